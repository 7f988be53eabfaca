"""``scarseg batch`` on phantoms written as DICOM, with fake models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import nibabel as nib
import numpy as np
import pytest

from scarseg import cli
from scarseg.case.case import Case
from scarseg.case.labels import LabelArray
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.segmentation import pipeline
from tests.cohorts import patient, rows_of, spoil, tree, write
from tests.fakes import load_fakes

Run = Callable[..., int]

IDENTIFIED = ["scar.csv", "scar_segments.csv", "scar_slices.csv"]


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
    assert len(names) == 6  # table, slices, segments, sidecar, two masks
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
    assert sorted(p.name for p in found) == (IDENTIFIED if identify else [])


@pytest.mark.parametrize("identify", [False, True])
def test_row_is_traced_to_its_input_and_scanner(identify: bool, run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    for keyword, value in (
        ("Manufacturer", "ACME"),
        ("ManufacturerModelName", "Field 3"),
        ("MagneticFieldStrength", "15000"),
        ("SeriesNumber", "12"),
        ("PatientID", " 007"),
    ):
        spoil(data / "p1", keyword, value)
    assert run(data, *(["--identify"] if identify else [])) == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert (row["manufacturer"], row["model_name"]) == ("ACME", "Field 3")
    assert (row["field_strength_t"], row["series_number"]) == ("1.5", "12")
    assert row["series_description"] == "LGE SAX phantom"
    assert row["image_quality"] in ("good", "fair", "poor")
    if identify:
        assert (row["input"], row["patient_id"]) == (str(data / "p1"), " 007")
    else:
        assert row["input"] == pseudonym(str(data / "p1"))
        assert row["patient_id"] == pseudonym(" 007")


def test_description_that_names_the_patient_needs_identify(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    spoil(data / "p1", "SeriesDescription", "LGE short axis Canary")
    assert run(data) == 0
    assert rows_of(tmp_path / "scar.csv")[0]["series_description"] == ""
    assert run(data, "--identify", "--force") == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert row["series_description"] == "LGE short axis Canary"


def test_message_of_an_error_holds_no_header_unless_identified(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1)
    spoil(data / "p1", "SliceThickness", "77")
    assert run(data) == 2
    [row] = rows_of(tmp_path / "scar.csv")
    assert row["error_message"] == "The slice thickness is missing or impossible."
    assert run(data, "--identify", "--force") == 2
    assert "'77'" in rows_of(tmp_path / "scar.csv")[0]["error_message"]


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


def test_series_without_prompts_says_why_it_has_no_scar(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1, 2)
    entry = {"sop_instance_uid": "1.2.1.1.2", "boxes": [[30, 15, 60, 45]]}
    (tmp_path / "p.json").write_text(json.dumps({"version": 1, "slices": [entry]}))
    assert run(data, "--prompts", tmp_path / "p.json") == 0
    rows = {row["series_uid"]: row for row in rows_of(tmp_path / "scar.csv")}
    asked, passed_over = rows["1.2.1.1"], rows["1.2.2.1"]
    assert float(asked["scar_mass_g"]) > 0
    assert "W_NO_PROMPTS" not in asked["warnings"]
    assert passed_over["method"] == "prompted"
    assert passed_over["status"] == "incomplete"
    unknown = ("scar_mass_g", "scar_mass_low_g", "scar_mass_high_g", "mvo_mass_g", "doubt")
    assert [passed_over[name] for name in unknown] == [""] * len(unknown)
    assert float(passed_over["lv_mass_g"]) > 0, "the wall is proposed all the same"
    assert "W_NO_PROMPTS" in passed_over["warnings"].split()
    said = capsys.readouterr().err
    assert "W_NO_PROMPTS: series 1.2.2.1:" in said
    assert "series 1.2.1.1:" not in said


def test_prompts_that_are_refused_are_not_called_unused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    entry = {"sop_instance_uid": "1.2.1.1.2", "boxes": [[3000, 15, 3060, 45]]}
    (tmp_path / "p.json").write_text(json.dumps({"version": 1, "slices": [entry]}))
    assert run(data, "--prompts", tmp_path / "p.json") == 2
    assert rows_of(tmp_path / "scar.csv")[0]["error_code"] == "E_PROMPTS"
    assert "W_PROMPTS_UNUSED" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("scar.json", (), "E_OUTPUT_NAME"),
        ("folder", ("--force",), "E_WRITE"),
        ("blocked.csv", ("--force",), "E_WRITE"),
    ],
)
def test_a_table_that_cannot_be_written_stops_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: tuple[str, ...],
    code: str,
) -> None:
    worked: list[object] = []
    monkeypatch.setattr("scarseg.io.dicom.scan", lambda *args: worked.append(args))
    (tmp_path / "folder").mkdir()
    (tmp_path / "blocked_slices.csv").mkdir()
    output = str(tmp_path / name)
    assert cli.main(["batch", str(tmp_path), "-o", output, *words]) == 1
    assert capsys.readouterr().err.startswith(f"{code}: ")
    assert worked == []


def test_bad_prompts_stop_everything(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    (tmp_path / "p.json").write_text('{"version": 3, "slices": []}')
    assert run(data, "--prompts", tmp_path / "p.json") == 1
    assert "E_PROMPTS" in capsys.readouterr().err
    assert not (tmp_path / "scar.csv").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("p.csv", ("--prompts", "p.json")),
        ("in/p1/IM0001", ()),
        ("study.zip", ()),
        ("in/p1/a.csv", ("--prompts", "in/p1/a_slices.csv")),
    ],
)
def test_no_output_replaces_an_input_even_by_force(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write(Path("in"), 1)
    next((data / "p1").iterdir()).rename(data / "p1" / "IM0001")
    for prompts in ("p.json", "in/p1/a_slices.csv"):
        Path(prompts).write_text('{"version": 1, "slices": []}')
    with ZipFile("study.zip", "w") as archive:
        archive.write(data / "p1" / "IM0001")
    before = tree(tmp_path)
    inputs = ["study.zip"] if name == "study.zip" else ["in"]
    assert run(*inputs, "-o", name, *words, "--force") == 1
    assert capsys.readouterr().err.startswith("E_OUTPUT_NAME: ")
    assert tree(tmp_path) == before
