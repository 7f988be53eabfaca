"""``scarseg evaluate`` end to end on phantoms: tables, exit status, the same bytes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli
from scarseg.case.labels import Label
from scarseg.errors import ModelError
from scarseg.evaluation.tables import PATIENT_COLUMNS, SLICE_COLUMNS
from scarseg.models import Models
from scarseg.training.cases import TrainingCase
from tests.evaluation.phantoms import healthy_case, phantom_case, unread_scar
from tests.fakes import FakeDetector, FakeSegmenter, load_fakes

CASES = [phantom_case("A"), unread_scar(phantom_case("B")), healthy_case("C")]
WORDS = ["evaluate", "data", "--prompts", "auto", "box", "clicks:2", "detector", "--no-figures"]


@pytest.fixture
def phantoms(monkeypatch: pytest.MonkeyPatch) -> list[TrainingCase]:
    cases = list(CASES)
    monkeypatch.setattr("scarseg.training.cases.read_data", lambda folders, dicom: cases)
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    return cases


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without_times(path: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in rows(path)]


def test_tables_and_summary(
    phantoms: list[TrainingCase], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main([*WORDS, "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "scar: Dice, patients with scar" in said
    assert "scar: Dice, challenge's rule" in said
    assert f"{out}: 3 of 3 patients evaluated (all patients)" in said
    patients = rows(out / "patients.csv")
    names = ["auto", "box", "clicks:1", "clicks:2", "detector", "fwhm"]
    assert [(row["patient"], row["prompts"]) for row in patients[:6]] == [("A", n) for n in names]
    assert len(patients) == 18
    assert len(rows(out / "slices.csv")) == 90
    assert "clicks:1" not in said
    summary = json.loads((out / "summary.json").read_text())
    [models] = summary["segmenters"].values()
    assert list(models) == names
    assert models["auto"]["patients_with_scar"] == 2
    dice = [float(row["dice"]) for row in patients if row["prompts"] == "auto" and row["dice"]]
    assert models["auto"]["scar"]["dice"]["mean"] == pytest.approx(np.mean(dice))
    assert summary["settings"]["patients"] == ["A", "B", "C"]
    assert summary["settings"]["seed"] == 7


def test_order_and_jobs_change_nothing_but_times(
    phantoms: list[TrainingCase], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli.main([*WORDS, "-o", str(one)]) == 0
    phantoms.reverse()
    assert cli.main([*WORDS, "-o", str(two), "--jobs", "2"]) == 0
    assert without_times(one / "patients.csv") == without_times(two / "patients.csv")
    assert (one / "slices.csv").read_bytes() == (two / "slices.csv").read_bytes()


def test_methods_stand_beside_the_model(
    phantoms: list[TrainingCase], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["evaluate", "data", "--prompts", "auto", "--no-figures", "-o", str(out)]
    assert cli.main([*words, "--methods", "sd5,fwhm_max"]) == 0
    said = capsys.readouterr().out
    assert "Scar mass against the reference, by method" in said
    found = rows(out / "methods.csv")
    named = [row["method"] for row in found if row["patient"] == "A"]
    assert named[0] == "segmentation"
    assert {"sd5 by slice", "sd5 by stack", "fwhm_max by slice", "fwhm_max by slice 98 %"} <= {
        *named
    }
    assert len(named) == len(set(named))
    auto = {row["patient"]: row for row in rows(out / "patients.csv") if row["prompts"] == "auto"}
    for row in found:
        if row["method"] == "segmentation":
            assert row["scar_mass_g"] == auto[row["patient"]]["scar_mass_g"]
        if row["scar_mass_g"]:
            error = float(row["scar_mass_g"]) - float(row["true_scar_mass_g"])
            assert float(row["scar_error_g"]) == pytest.approx(error)
    [model, *_] = numbers = json.loads((out / "methods.json").read_text())["methods"]
    assert [one["method"] for one in numbers] == named
    assert model["patients"] == 2  # C has no scar
    errors = [
        float(row["scar_error_g"])
        for row in found
        if row["method"] == "segmentation" and float(row["true_scar_mass_g"])
    ]
    assert model["median_difference_g"] == pytest.approx(np.median(errors))
    assert model["agreement"]["absolute_error"]["mae"] == pytest.approx(np.mean(np.abs(errors)))
    page = (out / "methods.html").read_text(encoding="utf-8")
    assert "fwhm_max by slice" in page and "<img" in page
    assert cli.main([*words, "--methods", "sd5"]) == 1
    assert capsys.readouterr().err.startswith("E_EXISTS: ")


def test_another_seed_draws_other_boxes(phantoms: list[TrainingCase], tmp_path: Path) -> None:
    for seed in ("1", "2"):
        assert cli.main([*WORDS, "-o", str(tmp_path / seed), "--seed", seed]) == 0
    tables = [without_times(tmp_path / seed / "patients.csv") for seed in ("1", "2")]
    assert tables[0] != tables[1]


class Failing(FakeSegmenter):
    """Return up on slices that hold more scar than patient B's reference shows."""

    def embed(self, image: object, lv_box: object) -> object:
        if (np.asarray(image.pixels) > 190).sum() == 0:
            return super().embed(image, lv_box)
        raise ModelError("E_MODEL_OUTPUT", "The segmenter gave no usable answer.")


def test_a_patient_that_fails_is_a_row_with_its_code(
    phantoms: list[TrainingCase],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("scarseg.models.load", lambda *_: Models(Failing(), FakeDetector()))
    assert cli.main([*WORDS, "-o", str(tmp_path / "out")]) == 2
    patients = rows(tmp_path / "out" / "patients.csv")
    failed = [row for row in patients if row["error_code"]]
    assert {(row["patient"], row["error_code"]) for row in failed} == {
        ("A", "E_MODEL_OUTPUT"),
        ("B", "E_MODEL_OUTPUT"),
    }
    assert {row["dice"] for row in failed} == {""}
    captured = capsys.readouterr()
    assert "E_MODEL_OUTPUT: A: The segmenter gave no usable answer." in captured.err
    assert "1 of 3 patients evaluated" in captured.out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    [models] = summary["segmenters"].values()
    assert models["auto"]["failed"] == 2


def test_a_patient_without_reference_fails_alone(
    phantoms: list[TrainingCase], tmp_path: Path
) -> None:
    case = phantom_case("D")
    phantoms.append(TrainingCase("D", "lge", case.pixels, case.labels * 0, (1.5, 1.25), 10.0))
    assert cli.main([*WORDS, "-o", str(tmp_path / "out")]) == 2
    codes = {row["error_code"] for row in rows(tmp_path / "out" / "patients.csv")}
    assert codes == {"", "E_REFERENCE"}


def test_several_segmenters_make_a_column_each(
    phantoms: list[TrainingCase], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sam.pth", "med.pth"):
        (tmp_path / name).write_bytes(name.encode())
    words = ["--segmenter", str(tmp_path / "sam.pth"), "--segmenter", str(tmp_path / "med.pth")]
    assert cli.main([*WORDS, *words, "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "mean patient Dice" in said
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["segmenters"]) == ["sam", "med"]
    assert len(rows(tmp_path / "out" / "patients.csv")) == 36


def test_what_exists_is_not_replaced_without_being_told(
    phantoms: list[TrainingCase], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "patients.csv").write_text("mine")
    assert cli.main([*WORDS, "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("E_EXISTS: ")
    assert (tmp_path / "patients.csv").read_text() == "mine"
    assert cli.main([*WORDS, "-o", str(tmp_path), "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--prompts", "magic"], "E_PROMPTS"),
        (["--patients", "nobody"], "E_PATIENTS"),
        (["--segmenter", "nothing"], "E_WEIGHTS_UNKNOWN"),
        (["--jobs", "0"], "E_USAGE"),
    ],
)
def test_options_that_make_no_sense(
    words: list[str],
    code: str,
    phantoms: list[TrainingCase],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        status = cli.main([*WORDS, *words, "-o", str(tmp_path / "out")])
    except SystemExit as error:
        status = error.code
    assert status == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_references_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    words = ["evaluate", str(tmp_path / "data"), "-o", str(tmp_path / "out")]
    assert cli.main(words) == 1
    assert capsys.readouterr().err.startswith("E_INPUT_UNREADABLE: ")


def test_columns_carry_units() -> None:
    unitless = re.compile(
        r"(patient|kind|segmenter|prompts|error_code|image_quality|calibration_sha256|slice_index"
        r"|n_\w+|(\w+_)?dice|precision|recall|lv_iou|clicks_to_dice_0\d+)"
    )
    for name in (*PATIENT_COLUMNS, *SLICE_COLUMNS):
        units = ("_g", "_mm", "_mm2", "_percent", "_percent_lv", "_seconds")
        assert name.endswith(units) != bool(unitless.fullmatch(name)), name


def test_labels_of_the_phantoms_differ_as_the_tests_assume() -> None:
    scar = [int((case.labels == Label.SCAR).sum()) for case in CASES]
    assert scar[0] > scar[1] > scar[2] == 0
