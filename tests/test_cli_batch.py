"""``scarseg batch`` on phantoms written as DICOM, with fake models."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from scarseg import batch, cli, pipeline
from scarseg.case import Case
from scarseg.errors import Cancelled, WeightsError
from scarseg.io import dicom, selection
from scarseg.io.dicom_write import write_series
from scarseg.labels import LabelArray
from scarseg.models import Embedding, Logits, Models
from scarseg.prompts import SlicePrompts
from scarseg.stack import SliceSource, Stack
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter, load_fakes

Run = Callable[..., int]


def patient(n: int) -> Stack:
    """Give the phantom as patient ``n``, with UIDs of its own."""
    return replace(
        make_phantom_stack(),
        patient_id=f"CANARY-{n}",
        patient_name=f"CANARY^{n}",
        study_uid=f"1.2.{n}",
        series_uid=f"1.2.{n}.1",
        sources=tuple(SliceSource(f"1.2.{n}.1.{k + 1}") for k in range(5)),
    )


def write(folder: Path, *numbers: int) -> Path:
    for n in numbers:
        write_series(folder / f"p{n}", patient(n))
    return folder


def spoil(folder: Path, keyword: str, value: object) -> None:
    """Change one element in every file of a folder."""
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
        dataset.save_as(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the batch on paths below tmp_path, into tmp_path/scar.csv unless told otherwise."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)

    def call(*words: object) -> int:
        output = () if "-o" in words else ("-o", tmp_path / "scar.csv")
        return cli.main(["batch", *map(str, (*words, *output))])

    return call


def test_one_study_gives_one_row_and_five_slices(
    run: Run, tmp_path: Path, phantom_truth: LabelArray, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    assert run(data, "--masks", tmp_path / "masks") == 0
    [row] = rows_of(tmp_path / "scar.csv")
    case = Case.new(patient(1))
    case.labels[:] = phantom_truth
    grams = pipeline.measure(case).scar_mass_thickness_g
    assert float(row["scar_mass_g"]) == pytest.approx(grams, rel=1e-12)
    assert (row["status"], row["error_code"]) == ("incomplete", "")
    assert row["n_slices_reviewed"] == "0"
    assert "W_GAP" in row["warnings"].split()
    assert row["mask_file"] == "1.2.1.1.nii.gz"
    assert len(rows_of(tmp_path / "scar_slices.csv")) == 5
    said = capsys.readouterr()
    assert "1 measured, 0 failed" in said.out
    assert "Took series 1.2.1.1" in said.err


def test_grams_are_those_of_the_masks(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    assert run(data, "--masks", tmp_path / "m", "--mass", "spacing", "--density", "1.1") == 0
    for row in rows_of(tmp_path / "scar.csv"):
        mask = np.asarray(nib.load(tmp_path / "m" / row["mask_file"]).dataobj)
        area = float(row["pixel_spacing_row_mm"]) * float(row["pixel_spacing_column_mm"])
        per_mm = (mask >= 3).sum() * area * 1.1 / 1000
        assert float(row["scar_mass_thickness_g"]) == pytest.approx(per_mm * 8, abs=1e-9)
        assert float(row["scar_mass_spacing_g"]) == pytest.approx(per_mm * 10, abs=1e-9)
        assert row["scar_mass_g"] == row["scar_mass_spacing_g"]
        assert row["mass_convention"] == "spacing"
        assert row["density_g_per_ml"] == "1.1"


def test_same_bytes_for_any_order_and_any_number_of_jobs(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2, 3)
    spoil(data / "p2", "PixelSpacing", None)
    folders = [data / "p1", data / "p2", data / "p3"]
    for name, words in {
        "a": folders,
        "b": [*folders[::-1], "--jobs", 2],
        "c": [data, "--jobs", 3],
    }.items():
        out = tmp_path / name
        assert run(*words, "-o", out / "scar.csv", "--masks", out / "masks") == 2
    names = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(names) == 5  # table, slices, sidecar, two masks
    for name in names:
        [first, *others] = [(tmp_path / x / name).read_bytes() for x in "abc"]
        assert others == [first, first], name


def test_bad_study_is_a_row_and_the_others_finish(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1, 2, 3)
    spoil(data / "p2", "PixelSpacing", None)
    spoil(data / "p3", "SliceThickness", None)
    assert run(data) == 2
    assert sorted(row["error_code"] for row in rows_of(tmp_path / "scar.csv")) == [
        "",
        "E_SPACING",
        "E_THICKNESS",
    ]
    assert "E_THICKNESS: series 1.2.3.1" in capsys.readouterr().err


def test_slice_thickness_is_taken_from_the_user(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 3)
    spoil(data / "p3", "SliceThickness", None)
    assert run(data, "--slice-thickness", "7.5") == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert (row["slice_thickness_mm"], row["slice_thickness_source"]) == ("7.5", "user")


def test_study_without_lge_is_a_row(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    spoil(data / "p2", "SeriesDescription", "scout")
    assert run(data) == 2
    failed = [row for row in rows_of(tmp_path / "scar.csv") if row["error_code"]]
    assert [(row["error_code"], row["study_uid"]) for row in failed] == [("E_NO_LGE", "1.2.2")]
    assert failed[0]["patient_id"] not in ("", "CANARY-2")


def test_series_asked_for_is_measured_alone(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    spoil(data / "p2", "SeriesDescription", "scout")
    assert run(data, "--series", "1.2.2.1") == 0
    assert [row["series_uid"] for row in rows_of(tmp_path / "scar.csv")] == ["1.2.2.1"]


@pytest.mark.parametrize("identify", [False, True])
def test_patient_is_named_on_request_alone(identify: bool, run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    out = tmp_path / "out"
    words = ["--identify"] if identify else []
    assert run(data, "-o", out / "scar.csv", "--masks", out / "m", *words) == 0
    found = [p for p in out.rglob("*.*") if p.is_file() and b"CANARY" in p.read_bytes()]
    assert sorted(p.name for p in found) == (["scar.csv", "scar_slices.csv"] if identify else [])


def test_prompts_decide_where_the_scar_is(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    prompts = tmp_path / "p.json"
    slices = [
        {"sop_instance_uid": "1.2.1.1.2", "boxes": [[30, 15, 60, 45]]},
        {"sop_instance_uid": "1.2.1.1.3", "no_scar": True},
    ]
    prompts.write_text(json.dumps({"version": 1, "slices": slices}))
    assert run(data, "--prompts", prompts) == 0
    rows = rows_of(tmp_path / "scar_slices.csv")
    assert {r["sop_instance_uid"] for r in rows if int(r["n_infarct_voxels"])} == {"1.2.1.1.2"}
    assert all(int(r["n_wall_voxels"]) for r in rows)
    assert rows_of(tmp_path / "scar.csv")[0]["method"] == "prompted"


def test_prompts_that_speak_of_no_slice_are_reported(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    prompts = tmp_path / "p.json"
    entry = {"sop_instance_uid": "9.9.9", "boxes": [[30, 15, 60, 45]]}
    prompts.write_text(json.dumps({"version": 1, "slices": [entry]}))
    assert run(data, "--prompts", prompts) == 2
    assert "9.9.9" in capsys.readouterr().err


def test_bad_prompts_stop_everything(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    (tmp_path / "p.json").write_text('{"version": 3, "slices": []}')
    assert run(data, "--prompts", tmp_path / "p.json") == 1
    assert "E_PROMPTS" in capsys.readouterr().err
    assert not (tmp_path / "scar.csv").exists()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("missing", "E_INPUT_MISSING"),
        ("empty", "E_INPUT_EMPTY"),
        ("text", "E_NO_MR"),
        ("output exists", "E_EXISTS"),
        ("slices exist", "E_EXISTS"),
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


def test_batch_that_was_killed_goes_on_over_its_own_masks(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    masks = tmp_path / "masks"
    assert run(data, "--masks", masks) == 0
    whole = (tmp_path / "scar.csv").read_bytes()
    for path in tmp_path.glob("scar*"):  # killed before the table was written
        path.unlink()
    assert run(data, "--masks", masks) == 0
    assert (tmp_path / "scar.csv").read_bytes() == whole


def test_somebody_elses_mask_is_kept(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2)
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "1.2.1.1.nii.gz").write_text("mine")
    assert run(data, "--masks", masks) == 2
    assert (masks / "1.2.1.1.nii.gz").read_text() == "mine"
    codes = {r["study_uid"]: r["error_code"] for r in rows_of(tmp_path / "scar.csv")}
    assert codes == {"1.2.1": "E_EXISTS", "1.2.2": ""}


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
        self, embedding: Embedding, prompts: SlicePrompts, previous: Logits | None = None
    ) -> Logits:
        if embedding.features[0, 0] == 77:
            os._exit(9)
        return super().predict(embedding, prompts, previous)


def load_buggy(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    return Models(Buggy(), FakeDetector())


def load_deadly(segmenter: object = None, detector: object = None, device: str = "") -> Models:
    return Models(Deadly(), FakeDetector())


def write_marked(folder: Path, n: int) -> None:
    pixels = patient(n).pixels.copy()
    pixels[:, 0, 0] = 77
    write_series(folder / f"p{n}", replace(patient(n), pixels=pixels))


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
    chosen = selection.select(dicom.scan([write(tmp_path / "in", 1, 2)]))

    def progress(fraction: float, what: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    settings = batch.BatchSettings(masks=tmp_path / "masks")
    with pytest.raises(Cancelled):
        batch.run(chosen.jobs, settings, load_fakes, 1, progress)
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["1.2.1.1.nii.gz"]


def test_copies_of_a_study_are_measured_once(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    shutil.copytree(data / "p1", data / "again")
    assert run(data) == 0
    assert len(rows_of(tmp_path / "scar.csv")) == 1
