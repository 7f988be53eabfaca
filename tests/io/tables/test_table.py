"""The CSV: names, digits, order, pseudonyms, formulas, links and failing disks."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause, SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.errors import OutputError
from scarseg.io.tables import table
from scarseg.io.tables.columns import COLUMNS
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.io.tables.table import StackRecord, error_record, render_csv, table_files
from scarseg.segmentation import pipeline

DESIGN_COLUMNS = """
patient_id study_uid series_uid study_date sequence n_slices n_slices_reviewed status scar_mass_g
mass_convention scar_mass_thickness_g scar_mass_spacing_g scar_volume_ml scar_mass_low_g
scar_mass_high_g mvo_mass_g lv_mass_g scar_percent_lv slice_thickness_mm slice_spacing_mm
pixel_spacing_row_mm pixel_spacing_column_mm density_g_per_ml method seconds n_interactions
reader warnings error_code mask_file software_version segmenter_sha256 detector_sha256
"""


@pytest.fixture
def case(phantom_stack: Stack, phantom_truth: LabelArray) -> Case:
    case = Case.new(phantom_stack)
    case.labels[:] = phantom_truth
    case.segmenter = ModelIdentity("s", "a" * 64, True)
    return case


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_column_of_the_design_is_there() -> None:
    assert set(DESIGN_COLUMNS.split()) <= set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_row_tells_the_grams_with_all_digits(case: Case, tmp_path: Path) -> None:
    measured = pipeline.measure(case, MassConvention.SPACING)
    record = pipeline.measured_record(case, MassConvention.SPACING, mask_file="m.nii.gz")
    files = pipeline.export_table(tmp_path / "scar.csv", [record])
    [row] = read_csv(files.table)
    assert float(row["scar_mass_g"]) == measured.scar_mass_spacing_g
    assert float(row["scar_mass_thickness_g"]) == measured.scar_mass_thickness_g
    assert float(row["scar_percent_lv"]) == measured.scar_percent_lv
    assert row["mass_convention"] == "spacing"
    assert row["pixel_spacing_row_mm"] == "1.5"
    assert row["pixel_spacing_column_mm"] == "1.25"
    assert row["slice_spacing_mm"] == "10.0"
    assert row["scar_mass_low_g"] == row["scar_mass_high_g"] == ""
    assert row["mask_file"] == "m.nii.gz"
    assert row["warnings"] == "W_CONVENTION"
    assert row["segmenter_sha256"] == "a" * 64
    assert row["error_code"] == ""


def test_slice_rows_add_up_to_the_stack(case: Case, tmp_path: Path) -> None:
    files = pipeline.export_table(tmp_path / "scar.csv", [pipeline.measured_record(case)])
    [row] = read_csv(files.table)
    slices = read_csv(files.slices)
    assert files.slices.name == "scar_slices.csv"
    assert [one["slice_index"] for one in slices] == ["0", "1", "2", "3", "4"]
    assert {one["series_uid"] for one in slices} == {"1.2.3.4"}
    for mass in ("scar_mass_thickness_g", "scar_mass_spacing_g"):
        total = sum(float(one[mass] or 0) for one in slices)
        assert total == pytest.approx(float(row[mass]), rel=1e-12)
        assert [one[mass] == "" for one in slices] == [True, False, False, False, True]


def test_lv_mass_without_wall_is_blank_not_zero(phantom_stack: Stack, tmp_path: Path) -> None:
    record = pipeline.measured_record(Case.new(phantom_stack))
    [row] = read_csv(pipeline.export_table(tmp_path / "scar.csv", [record]).table)
    assert row["lv_mass_g"] == row["scar_percent_lv"] == ""


def test_zero_stands_for_none_and_never_for_not_looked_for(
    phantom_stack: Stack, tmp_path: Path
) -> None:
    """Nobody has looked: blank. A reader says "no scar" on one slice: 0 g, and no MVO in it."""
    masses = ("scar_mass_g", "scar_mass_thickness_g", "scar_mass_spacing_g", "scar_volume_ml")
    case = Case.new(phantom_stack)
    files = pipeline.export_table(tmp_path / "new.csv", [pipeline.measured_record(case)])
    [row] = read_csv(files.table)
    assert [row[name] for name in (*masses, "mvo_mass_g")] == [""] * 5
    case.readings[2] = SliceReading(status=SliceStatus.NO_SCAR)
    files = pipeline.export_table(tmp_path / "one.csv", [pipeline.measured_record(case)])
    [row] = read_csv(files.table)
    assert [row[name] for name in (*masses, "mvo_mass_g")] == ["0.0"] * 5
    slices = read_csv(files.slices)
    assert [one["scar_mass_thickness_g"] for one in slices] == ["", "", "0.0", "", ""]
    assert [one["n_mvo_voxels"] for one in slices] == ["", "", "0", "", ""]


def test_mvo_is_blank_until_it_was_looked_for_on_every_slice_with_scar(
    phantom_stack: Stack, tmp_path: Path
) -> None:
    case = Case.new(phantom_stack)
    for k in (1, 2):
        case.labels[k][30, 30:34] = Label.SCAR
        case.readings[k] = SliceReading(status=SliceStatus.PROPOSED, mvo_sought=k == 1)
    blank = pipeline.measured_record(case)
    assert blank.row["mvo_mass_g"] is None and blank.row["scar_mass_g"] is not None
    assert [one["n_mvo_voxels"] for one in blank.slices] == [None, 0, None, None, None]
    case.readings[2] = SliceReading(status=SliceStatus.PROPOSED, mvo_sought=True)
    assert pipeline.measured_record(case).row["mvo_mass_g"] == 0.0
    case.labels[2][30, 30] = Label.MVO
    # One voxel of 1.5 x 1.25 mm, 8 mm thick, 1.05 g/ml.
    assert pipeline.measured_record(case).row["mvo_mass_g"] == pytest.approx(0.01575)


def test_status_is_incomplete_until_every_slice_was_read(case: Case) -> None:
    for k in range(5):
        assert table.case_record(case, pipeline.measure(case)).row["status"] == "incomplete"
        case.readings[k] = SliceReading(status=SliceStatus.NO_SCAR if k else SliceStatus.ACCEPTED)
    assert table.case_record(case, pipeline.measure(case)).row["status"] == "read"
    case.stack = replace(case.stack, complete=False)
    record = table.case_record(case, pipeline.measure(case))
    assert record.row["status"] == "incomplete"
    assert "W_INCOMPLETE" in str(record.row["warnings"])


def test_method_says_how_far_a_reader_had_a_hand_in_it(case: Case) -> None:
    proposed = Box(1, 1, 5, 5, Origin.DETECTOR)
    case.readings[0] = SliceReading(SlicePrompts(boxes=(proposed,)))
    assert table.reading_method(case) == "automatic"
    case.readings[0] = SliceReading(SlicePrompts(boxes=(replace(proposed, origin=Origin.READER),)))
    assert table.reading_method(case) == "prompted"
    case.readings[1] = SliceReading(edited=True)
    assert table.reading_method(case) == "edited"


def test_unverified_weights_are_marked(case: Case) -> None:
    case.detector = ModelIdentity("mine", "b" * 64, False)
    record = pipeline.measured_record(case)
    assert "W_UNVERIFIED_WEIGHTS" in str(record.row["warnings"]).split()


def test_patient_is_a_pseudonym_unless_identified(case: Case, tmp_path: Path) -> None:
    case.stack = replace(case.stack, patient_id="CANARY^77", patient_name="CANARY^NAME")
    hidden = pipeline.export_table(tmp_path / "a.csv", [pipeline.measured_record(case)])
    named = pipeline.export_table(
        tmp_path / "b.csv", [pipeline.measured_record(case, identify=True)]
    )
    assert all(b"CANARY" not in path.read_bytes() for path in hidden)
    [row] = read_csv(hidden.table)
    assert row["patient_id"] == pseudonym("CANARY^77")
    assert read_csv(named.table)[0]["patient_id"] == "CANARY^77"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
def test_text_that_a_spreadsheet_would_run_is_neutralised(start: str) -> None:
    rows = render_csv(["a", "b"], [{"a": f'{start}cmd("x"),1', "b": -1.5}])
    [_, row] = list(csv.reader(io.StringIO(rows.decode(), newline="")))
    assert row == [f'\'{start}cmd("x"),1', "-1.5"]


@pytest.mark.parametrize("text", ["Müller, „LGE“", 'a"b', "1.2.840", "x\ny"])
def test_harmless_text_comes_back_as_it_was(text: str) -> None:
    rows = render_csv(["a"], [{"a": text}])
    assert list(csv.reader(io.StringIO(rows.decode("utf-8"), newline="")))[1] == [text]


def test_any_order_gives_the_same_bytes(phantom_stack: Stack, tmp_path: Path) -> None:
    records = [
        pipeline.measured_record(
            Case.new(replace(phantom_stack, patient_id=who, study_date=day, part=part))
        )
        for who, day, part in [("B", "2", ""), ("A", "1", ""), ("A", "2", "psir"), ("A", "2", "m")]
    ]
    records.append(error_record({"study_uid": "1.9"}, "E_NO_LGE"))
    written = set()
    for n, order in enumerate(itertools.permutations(records)):
        files = pipeline.export_table(tmp_path / f"{n}.csv", order)
        written.add(tuple(path.read_bytes() for path in files))
    assert len(written) == 1
    [row, *_] = read_csv(tmp_path / "0.csv")
    assert (row["status"], row["error_code"], row["scar_mass_g"]) == ("error", "E_NO_LGE", "")


def test_sidecar_carries_provenance_and_the_statement(case: Case, tmp_path: Path) -> None:
    case.readings[1] = SliceReading(SlicePrompts(boxes=(Box(1, 2, 3, 4),)))
    files = pipeline.export_table(
        tmp_path / "s.csv", [pipeline.measured_record(case)], {"device": "cpu"}
    )
    sidecar = json.loads(files.sidecar.read_text())
    assert sidecar["statement"] == "For research use only. Not a medical device."
    assert sidecar["settings"] == {"device": "cpu"}
    [stack] = sidecar["stacks"]
    assert stack["segmenter"]["sha256"] == "a" * 64
    assert stack["slices"][1]["boxes"][0]["corners"] == [1, 2, 3, 4]
    assert stack["slices"][1]["sop_instance_uid"] == "1.2.3.4.2"


@pytest.mark.parametrize("which", [0, 1, 2])
def test_existing_output_is_never_replaced_unasked(which: int, case: Case, tmp_path: Path) -> None:
    path = tmp_path / "scar.csv"
    table_files(path)[which].write_text("mine")
    with pytest.raises(OutputError, match="E_EXISTS"):
        pipeline.export_table(path, [pipeline.measured_record(case)])
    assert [p.name for p in tmp_path.iterdir()] == [table_files(path)[which].name]
    assert table_files(path)[which].read_text() == "mine"
    files = pipeline.export_table(path, [pipeline.measured_record(case)], force=True)
    assert all(file.stat().st_size > 10 for file in files)


def test_links_are_not_followed(case: Case, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "scar.csv").symlink_to(victim)
    with pytest.raises(OutputError, match="E_EXISTS"):
        pipeline.export_table(out / "scar.csv", [pipeline.measured_record(case)])
    pipeline.export_table(out / "scar.csv", [pipeline.measured_record(case)], force=True)
    assert victim.read_text() == "precious"
    assert not (out / "scar.csv").is_symlink()


def test_dangling_link_counts_as_existing(case: Case, tmp_path: Path) -> None:
    (tmp_path / "scar.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="E_EXISTS"):
        pipeline.export_table(tmp_path / "scar.csv", [pipeline.measured_record(case)])
    assert not (tmp_path / "elsewhere").exists()


def test_files_are_private_and_folders_made(case: Case, tmp_path: Path) -> None:
    files = pipeline.export_table(tmp_path / "new" / "scar.csv", [pipeline.measured_record(case)])
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.parametrize("force", [False, True])
def test_failing_disk_leaves_nothing_or_the_old(
    force: bool, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scar.csv"
    if force:
        path.write_text("old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"E_WRITE.*No space left"):
        pipeline.export_table(path, [pipeline.measured_record(case)], force=force)
    assert [p.name for p in tmp_path.iterdir()] == (["scar.csv"] if force else [])
    assert not force or path.read_text() == "old"


def test_table_must_not_be_its_own_sidecar(case: Case, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="E_OUTPUT_NAME"):
        pipeline.export_table(tmp_path / "scar.json", [StackRecord({})])


def test_numpy_numbers_are_numbers() -> None:
    cells = {"a": np.float64(0.1), "b": True}
    assert render_csv(["a", "b"], [cells]) == b"a,b\n0.1,True\n"


def test_tables_tell_what_changed_since_the_proposal_and_where_the_time_went(
    case: Case, tmp_path: Path
) -> None:
    proposals = Case.new(case.stack)
    for k in (1, 2):
        change = proposals.change("Propose", k, None, case.labels[k].copy())
        proposals.apply(change, Cause.PROPOSAL)
    fewer = case.labels[2].copy()
    fewer[:30] = 0
    proposals.apply(proposals.change("erase", 2, None, fewer))
    proposals.count_interaction(2)
    proposals.add_reading_time(2, 3.25)
    measured = pipeline.measure(proposals, MassConvention.SPACING)
    record = pipeline.measured_record(proposals, MassConvention.SPACING)
    files = pipeline.export_table(tmp_path / "scar.csv", [record])
    [row] = read_csv(files.table)
    one, two = (measured.slices[k] for k in (1, 2))
    assert one.scar_mass_proposed_spacing_g == one.scar_mass_spacing_g > 0
    assert two.scar_mass_proposed_spacing_g == one.scar_mass_spacing_g > two.scar_mass_spacing_g
    assert float(row["scar_mass_proposed_g"]) == pytest.approx(2 * one.scar_mass_spacing_g)
    assert row["n_slices_changed"] == "1"
    slices = read_csv(files.slices)
    assert [each["changed"] for each in slices] == ["", "no", "yes", "", ""]
    assert slices[0]["scar_mass_proposed_thickness_g"] == ""
    assert float(slices[2]["scar_mass_proposed_thickness_g"]) == two.scar_mass_proposed_thickness_g
    assert [each["seconds"] for each in slices] == ["0.0", "0.0", "3.2", "0.0", "0.0"]
    assert [each["n_interactions"] for each in slices] == ["0", "0", "1", "0", "0"]
