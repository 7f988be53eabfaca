"""Studies are those of one patient; who is exported is named."""

from __future__ import annotations

from dataclasses import replace

from scarseg.case.patient import Patient
from scarseg.gui.session.studies.study import BlindedEntry
from scarseg.gui.session.studies.study_list import StudyList
from tests.conftest import make_phantom_stack


def _stack(patient: str, study: str, series: str):
    return replace(make_phantom_stack(), patient_id=patient, study_uid=study, series_uid=series)


def test_one_study_uid_of_two_patients_is_two_studies():
    listed = StudyList()
    for patient, series in (("P1", "1.1"), ("P2", "1.2"), ("P1", "1.3")):
        listed.add_stack(_stack(patient, "1.2.3", series))
    assert [(study.patient_id, len(study.entries)) for study in listed.studies] == [
        ("P1", 2), ("P2", 1),
    ]  # fmt: skip
    listed.last_opened[listed.studies[0]] = listed.studies[0].entries[1]
    assert listed.entry_of(listed.studies[0]) is listed.studies[0].entries[1]
    assert listed.entry_of(listed.studies[1]) is listed.studies[1].entries[0]


def test_two_patients_of_one_id_and_study_are_two_studies_by_their_own_names():
    studies = StudyList()
    for name, day, series in (("Doe^A", "", "1"), ("Roe^B", "", "2"), ("Doe^A", "19410203", "3")):
        stack = replace(_stack("P1", "1.2", series), patient_name=name)
        studies.add_stack(replace(stack, patient=Patient("P1", name.casefold(), day)))
    studies.add_stack(_stack("P1", "1.2", "4"))
    assert [study.patient_name for study in studies.studies] == ["Doe^A", "Roe^B"]
    assert [len(study.entries) for study in studies.studies] == [3, 1]


def test_the_patients_of_a_list_are_named_and_those_of_a_blinded_one_are_not(tmp_path):
    listed = StudyList()
    for number in range(6):
        listed.add_stack(_stack(f"P{number}", f"1.2.{number}", f"1.3.{number}"))
    assert listed.describe_patients() == "6 patients: P0, P1, P2, P3 and 2 more"
    for number, entry in enumerate(listed.entries):
        entry.blinding = BlindedEntry(f"Study {number}", tmp_path, "AB", 2)
    named = listed.describe_patients()
    assert named.startswith("6 patients: Study 0, Study 1") and "P1" not in named


def test_what_comes_next_goes_round_and_leaves_out_what_is_read():
    listed = StudyList()
    for number in range(4):
        listed.add_stack(_stack(f"P{number}", f"1.2.{number}", f"1.3.{number}"))
    first, second, third, fourth = listed.entries
    fourth.read = True
    assert list(listed.upcoming(second)) == [third, first]
    third.n_doubtful = 2
    listed.by_doubt = True
    assert list(listed.upcoming(None)) == [third, first, second]
