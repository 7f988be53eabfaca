"""What of a load report is measured, and what gets a row with a code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scarseg.batch.selection import select_stacks
from scarseg.case.patient import Patient
from scarseg.errors import InputError
from scarseg.io.dicom import scan
from scarseg.io.dicom.types import LoadReport, Refusal, StackSummary
from tests.cohorts import write


@pytest.fixture
def one(tmp_path: Path) -> StackSummary:
    [summary] = scan([write(tmp_path / "in", 1)]).stacks
    return summary


def report(*stacks: StackSummary, refused: tuple[Refusal, ...] = ()) -> LoadReport:
    return LoadReport(stacks, refused, 0, ())


def test_proposed_stack_is_taken_and_said(one: StackSummary) -> None:
    other = replace(one, series_uid="1.2.1.9", proposed=False)
    chosen = select_stacks(report(one, other))
    assert [job.summary.series_uid for job in chosen.jobs] == ["1.2.1.1"]
    assert chosen.records == ()
    assert one.reason in chosen.notes[0]


def test_study_without_proposal_says_why(one: StackSummary) -> None:
    scout = replace(one, proposed=False, reason="not proposed: it is a localizer image")
    chosen = select_stacks(report(scout, replace(scout, part="b")))
    assert chosen.jobs == ()
    assert [record.row["error_code"] for record in chosen.records] == ["E_NO_LGE"]
    assert "2 x it is a localizer image" in chosen.notes[0]


def test_refusals_of_one_series_are_one_row(one: StackSummary) -> None:
    bad = [Refusal(f"/a/{k}", "E_SPACING", "m", "1.2.2.1", "1.2.2") for k in range(5)]
    other = Refusal("/a/9", "E_DUPLICATE", "m", "1.2.2.1", "1.2.2")
    chosen = select_stacks(report(one, refused=(*bad, other)))
    assert len(chosen.jobs) == 1
    assert sorted(str(r.row["error_code"]) for r in chosen.records) == ["E_DUPLICATE", "E_SPACING"]
    assert len([note for note in chosen.notes if "E_SPACING" in note]) == 5


def test_row_of_a_refusal_names_its_patient_as_other_rows_do(one: StackSummary) -> None:
    bad = Refusal("/a/9", "E_SPACING", "m", "1.2.2.1", "1.2.2", one.patient_id, "20240305")
    for identify in (False, True):
        chosen = select_stacks(report(one, refused=(bad,)), identify=identify)
        [record] = chosen.records
        assert record.row["patient_id"] == chosen.jobs[0].identity(identify)["patient_id"] != ""
        assert record.row["study_date"] == "20240305"
        assert (record.row["patient_id"] == one.patient_id) is identify
    assert one.patient_id not in repr(bad)


def test_refusal_beside_a_measured_stack_is_a_note(one: StackSummary) -> None:
    bad = Refusal("/a/9", "E_SPACING", "m", "1.2.1.8", one.study_uid)
    chosen = select_stacks(report(one, refused=(bad,)))
    assert chosen.records == ()
    assert any("E_SPACING" in note for note in chosen.notes)


def test_refusals_without_uids_are_one_row_per_folder(one: StackSummary) -> None:
    bad = [Refusal(f"/{folder}/{k}", "E_TRUNCATED", "m") for folder in "ab" for k in range(3)]
    assert len(select_stacks(report(one, refused=tuple(bad))).records) == 2


def test_two_patients_under_one_study_both_get_an_answer(one: StackSummary) -> None:
    stranger = replace(one, patient_id="OTHER", part="p2", proposed=False)
    chosen = select_stacks(report(one, stranger))
    assert len(chosen.jobs) == 1
    assert [record.row["error_code"] for record in chosen.records] == ["E_NO_LGE"]


def test_two_patients_under_one_id_both_get_an_answer(one: StackSummary) -> None:
    stranger = replace(one, patient=Patient(one.patient_id, birth_date="19410203"), part="p2")
    chosen = select_stacks(report(one, stranger))
    assert [job.summary.part for job in chosen.jobs] == ["", "p2"]
    chosen = select_stacks(report(one, replace(stranger, proposed=False)))
    assert len(chosen.jobs) == 1
    assert [record.row["error_code"] for record in chosen.records] == ["E_NO_LGE"]


def test_masks_of_stacks_with_one_name_are_kept_apart(one: StackSummary) -> None:
    twin = replace(one, patient_id="OTHER")
    names = [job.mask_file for job in select_stacks(report(one, twin)).jobs]
    assert names == ["1.2.1.1.nii.gz", "1.2.1.1_2.nii.gz"]
    assert [job.mask_file for job in select_stacks(report(twin, one)).jobs] == names


def test_series_asked_for_takes_its_proposed_part_or_the_part_named(one: StackSummary) -> None:
    magnitude, psir = replace(one, part="mag"), replace(one, part="psir", proposed=False)
    both = report(magnitude, psir)
    assert [job.summary.part for job in select_stacks(both, ["1.2.1.1"]).jobs] == ["mag"]
    assert [job.summary.part for job in select_stacks(both, ["1.2.1.1_psir"]).jobs] == ["psir"]
    neither = report(replace(magnitude, proposed=False), psir)
    assert len(select_stacks(neither, ["1.2.1.1"]).jobs) == 2


def test_series_asked_for_that_was_refused_is_a_row(one: StackSummary) -> None:
    bad = Refusal("/a/9", "E_SPACING", "m", "1.2.2.1", "1.2.2")
    chosen = select_stacks(report(one, refused=(bad,)), ["1.2.2.1"])
    assert chosen.jobs == ()
    assert [record.row["error_code"] for record in chosen.records] == ["E_SPACING"]


def test_nothing_there_is_an_error(one: StackSummary) -> None:
    with pytest.raises(InputError, match="E_NO_MR"):
        select_stacks(report())
    with pytest.raises(InputError, match="E_NO_MR"):
        select_stacks(report(replace(one, modality="CT")))
    with pytest.raises(InputError, match="E_SERIES"):
        select_stacks(report(one), ["9.9"])
