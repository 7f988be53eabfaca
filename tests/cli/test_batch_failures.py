"""What ``scarseg batch`` does with bad input, bugs, dying processes and files in the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.batch import models, selection
from scarseg.case.prompts import SlicePrompts
from scarseg.errors import Cancelled, WeightsError
from scarseg.io import dicom
from scarseg.models import Embedding, Logits, Models
from tests.cohorts import rows_of, spoil, tree, write, write_marked
from tests.fakes import FakeDetector, FakeSegmenter, load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the batch on paths below tmp_path, into tmp_path/scar.csv unless told otherwise."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)

    def call(*words: object) -> int:
        output = () if "-o" in words else ("-o", tmp_path / "scar.csv")
        return cli.main(["batch", *map(str, (*words, *output))])

    return call


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("missing", "E_INPUT_MISSING"),
        ("empty", "E_INPUT_EMPTY"),
        ("text", "E_NO_MR"),
        ("output exists", "E_EXISTS"),
        ("slices exist", "E_EXISTS"),
        ("output below a file", "E_WRITE"),
        ("series", "E_SERIES"),
        ("weights", "E_WEIGHTS_MISSING"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    what: str,
    code: str,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "in"
    words: list[str] = []
    if what not in ("missing", "empty", "text"):
        write(data, 1)
    elif what != "missing":
        data.mkdir()
    if what == "text":
        (data / "notes.txt").write_text("no image")
    elif what == "output exists":
        (tmp_path / "scar.csv").write_text("mine")
    elif what == "slices exist":
        (tmp_path / "scar_slices.csv").write_text("mine")
    elif what == "output below a file":
        (tmp_path / "file").write_text("mine")
        words = ["-o", str(tmp_path / "file" / "scar.csv")]
    elif what == "series":
        words = ["--series", "7.7"]
    elif what == "weights":
        monkeypatch.setattr("scarseg.models.load", no_weights)
    before = tree(tmp_path)
    assert run(data, *words) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"{code}: ")
    assert said.endswith(".")
    assert tree(tmp_path) == before


def no_weights(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    raise WeightsError("E_WEIGHTS_MISSING", "The weights file x is missing.", "x")


def test_missing_weights_are_said_from_workers_too(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scarseg.models.load", no_weights)
    data = write(tmp_path / "in", 1, 2)
    assert run(data, "--jobs", 2) == 1
    assert "E_WEIGHTS_MISSING: The weights file x is missing." in capsys.readouterr().err
    assert not (tmp_path / "scar.csv").exists()


def test_force_replaces(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    (tmp_path / "scar.csv").write_text("old")
    assert run(data, "--force") == 0
    assert len(rows_of(tmp_path / "scar.csv")) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--density", "0"],
        ["--density", "-1"],
        ["--density", "nan"],
        ["--density", "1,05"],
        ["--slice-thickness", "0"],
        ["--slice-thickness", "inf"],
        ["--jobs", "0"],
        ["--mass", "both"],
        ["--device", "tpu"],
    ],
)
def test_impossible_options_are_refused(
    words: list[str], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, *words)
    assert caught.value.code == 1
    assert "E_USAGE" in capsys.readouterr().err


def test_masks_that_are_there_are_found_before_the_models_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1, 2)
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("1.2.1.1.nii.gz", "1.2.2.1.nii.gz"):
        (masks / name).write_text("mine")

    def load(*_: object) -> None:
        pytest.fail("the models must not be loaded")

    with monkeypatch.context() as patch:
        patch.setattr("scarseg.models.load", load)
        assert run(data, "--masks", masks) == 1
    assert "nii.gz exists already and 1 more; give --force" in capsys.readouterr().err
    assert {path.read_text() for path in masks.iterdir()} == {"mine"}
    assert not (tmp_path / "scar.csv").exists()
    assert run(data, "--masks", masks, "--force") == 0
    assert all(path.read_bytes()[:2] == b"\x1f\x8b" for path in masks.iterdir())


@pytest.mark.parametrize("kind", ["nifti", "seg", "rtstruct", "none"])
def test_a_mask_format_without_a_folder_is_refused(
    kind: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    assert run(data, "--mask-format", kind) == 1
    assert "E_USAGE" in (said := capsys.readouterr().err) and "--masks DIR" in said
    assert not (tmp_path / "scar.csv").exists()


def test_mask_format_none_writes_no_masks(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    assert run(data, "--masks", tmp_path / "masks", "--mask-format", "none") == 0
    assert not (tmp_path / "masks").exists()
    assert rows_of(tmp_path / "scar.csv")[0]["mask_file"] == ""


def test_source_files_are_not_touched(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    before = tree(data)
    assert run(data, "--masks", tmp_path / "masks") == 0
    assert tree(data) == before


class Buggy(FakeSegmenter):
    """Fail by a bug on the patient whose image is marked."""

    def embed(self, image: object, lv_box: object) -> Embedding:
        if image.pixels[0, 0] == 77:  # type: ignore[attr-defined]
            raise ZeroDivisionError(f"of patient CANAR{chr(89)}-2")
        return super().embed(image, lv_box)  # type: ignore[arg-type]


class Deadly(FakeSegmenter):
    """Kill the whole process on the patient whose image is marked."""

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        if embedding.features[0, 0] == 77:
            os._exit(9)
        return super().predict(embedding, prompts, previous, quick)


def load_buggy(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    return Models(Buggy(), FakeDetector())


def load_deadly(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    return Models(Deadly(), FakeDetector())


@pytest.mark.parametrize("jobs", [1, 2])
def test_bug_costs_one_row_and_is_logged_without_the_patient(
    jobs: int,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("scarseg.models.load", load_buggy)
    data = write(tmp_path / "in", 1, 3)
    write_marked(data, 2)
    assert run(data, "--jobs", jobs) == 2
    codes = {r["study_uid"]: r["error_code"] for r in rows_of(tmp_path / "scar.csv")}
    assert codes == {"1.2.1": "", "1.2.2": "E_INTERNAL", "1.2.3": ""}
    assert "ZeroDivisionError" in caplog.text
    assert "in embed" in caplog.text
    assert "CANARY" not in caplog.text


def test_series_that_kills_its_process_costs_one_row(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scarseg.models.load", load_deadly)
    data = write(tmp_path / "in", 1, 3)
    write_marked(data, 2)
    assert run(data, "--jobs", 2) == 2
    codes = {r["study_uid"]: r["error_code"] for r in rows_of(tmp_path / "scar.csv")}
    assert codes == {"1.2.1": "", "1.2.2": "E_CRASH", "1.2.3": ""}


def test_cancelled_batch_writes_nothing(tmp_path: Path) -> None:
    chosen = selection.select_stacks(dicom.scan([write(tmp_path / "in", 1, 2)]))

    def progress(fraction: float, what: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    settings = models.BatchSettings(masks=tmp_path / "masks")
    with pytest.raises(Cancelled):
        models.measure_jobs(chosen.jobs, settings, load_fakes, 1, progress)
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["1.2.1.1.nii.gz"]


def test_copies_of_a_study_are_measured_once(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    shutil.copytree(data / "p1", data / "again")
    assert run(data) == 0
    assert len(rows_of(tmp_path / "scar.csv")) == 1


def test_refused_studies_are_rows_of_their_patients_and_wait_for_no_models(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scarseg.models.load", no_weights)
    data = write(tmp_path / "in", 1)
    spoil(data / "p1", "PixelSpacing", None)
    assert run(data, "--identify") == 2
    [row] = rows_of(tmp_path / "scar.csv")
    assert (row["patient_id"], row["study_uid"], row["series_uid"]) == (
        "CANARY-1",
        "1.2.1",
        "1.2.1.1",
    )
    assert row["error_code"] == "E_SPACING"
