"""Whose images these are, and that they are what they say: patients, frames, parts, lengths."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    N_SLICES,
    SERIES,
    enhanced,
    put_raw,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)


def codes(stack: StackSummary) -> list[str]:
    return [warning.code for warning in stack.warnings]


def refusal(report: LoadReport) -> tuple[str, str]:
    assert report.stacks == ()
    [one] = report.refused
    return one.code, one.message


def again(**values: object) -> list[Dataset]:
    datasets = []
    for k in range(N_SLICES):
        ds = slice_dataset(k, pixels=stored_pixels(k + 50))
        ds.SOPInstanceUID = f"{SERIES}.66.{k}"
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        datasets.append(ds)
    return datasets


def test_two_frames_of_reference_are_two_stacks(tmp_path: Path) -> None:
    first = series()
    for ds in first:
        ds.FrameOfReferenceUID = "1.2.7.1"
    save_series(tmp_path / "a", first)
    save_series(tmp_path / "b", again(FrameOfReferenceUID="1.2.7.2"))
    report = scan([tmp_path])
    assert [stack.n_slices for stack in report.stacks] == [N_SLICES, N_SLICES]
    assert all(stack.complete and "W_SPLIT" in codes(stack) for stack in report.stacks)


def test_file_without_a_frame_of_reference_stays_with_the_others(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets[1:]:
        ds.FrameOfReferenceUID = "1.2.7.1"
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (N_SLICES, True)


def test_one_id_with_two_names_is_two_patients(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", again(PatientName="Other^Person"))
    report = scan([tmp_path])
    assert [stack.n_slices for stack in report.stacks] == [N_SLICES, N_SLICES]
    texts = [w.message for s in report.stacks for w in s.warnings if w.code == "W_PATIENT"]
    assert texts == ["One patient ID carries 2 names in this series; split."] * 2


def test_one_id_with_two_names_in_two_series_is_said(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", again(PatientName="Other^Person", SeriesInstanceUID="1.2.9"))
    for stack in scan([tmp_path]).stacks:
        assert "W_PATIENT" in codes(stack)


OF_ANOTHER_PATIENT = [
    ({"PatientName": "Other^Person"}, "2 names"),
    ({"PatientBirthDate": "19410204"}, "2 birth dates"),
    ({"PatientBirthDate": "1941.02.04"}, "2 birth dates"),
    ({"PatientSex": "M"}, "2 sexes"),
    ({"PatientBirthDate": "20010203", "PatientSex": "M"}, "2 birth dates and 2 sexes"),
    (
        {"PatientName": "Other^Person", "PatientBirthDate": "20010203", "PatientSex": "M"},
        "2 names, 2 birth dates and 2 sexes",
    ),
]
KNOWN = {"PatientBirthDate": "19410203", "PatientSex": "F"}


def known(datasets: list[Dataset], **values: str) -> list[Dataset]:
    """Return images of a patient whose name, birth date and sex are known, changed."""
    for ds in datasets:
        for keyword, value in {**KNOWN, **values}.items():
            if "." in value:  # not a date that pydicom writes
                put_raw(ds, keyword, value.encode())
            else:
                setattr(ds, keyword, value)
    return datasets


@pytest.mark.parametrize(("values", "carried"), OF_ANOTHER_PATIENT)
def test_contradictory_patients_of_one_series_are_split(
    tmp_path: Path, values: dict[str, str], carried: str
) -> None:
    save_series(tmp_path / "a", known(series()))
    save_series(tmp_path / "b", known(again(), **values))
    report = scan([tmp_path])
    assert [(s.part, s.n_slices, s.complete) for s in report.stacks] == [
        ("p1", N_SLICES, True),
        ("p2", N_SLICES, True),
    ]
    texts = {w.message for s in report.stacks for w in s.warnings if w.code == "W_PATIENT"}
    assert texts == {f"One patient ID carries {carried} in this series; split."}
    assert all("W_PATIENT" in codes(stack) for stack in report.stacks)
    assert sum(stack.proposed for stack in report.stacks) == 2


@pytest.mark.parametrize(("values", "carried"), OF_ANOTHER_PATIENT)
def test_contradictory_patients_of_two_series_are_both_proposed_and_said(
    tmp_path: Path, values: dict[str, str], carried: str
) -> None:
    save_series(tmp_path / "a", known(series()))
    save_series(tmp_path / "b", known(again(SeriesInstanceUID="1.2.9"), **values))
    stacks = scan([tmp_path]).stacks
    assert len({stack.owner for stack in stacks}) == 2
    assert [stack.proposed for stack in stacks] == [True, True]
    for stack in stacks:
        [text] = [w.message for w in stack.warnings if w.code == "W_PATIENT"]
        assert text == f"One patient ID carries {carried} in these files."
        assert read_stack(stack).patient == stack.patient


@pytest.mark.parametrize("index", range(N_SLICES))
@pytest.mark.parametrize(("values", "_carried"), OF_ANOTHER_PATIENT)
def test_one_slice_of_another_patient_makes_the_stack_incomplete(
    tmp_path: Path, index: int, values: dict[str, str], _carried: str
) -> None:
    datasets = known(series())
    known([datasets[index]], **values)
    save_series(tmp_path, datasets)
    stacks = scan([tmp_path]).stacks
    assert sorted(stack.n_slices for stack in stacks) == [1, N_SLICES - 1]
    assert not any(stack.complete for stack in stacks)
    assert all("W_PATIENT" in codes(stack) for stack in stacks)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", b""),
        ("PatientBirthDate", b"1941.02.03"),
        ("PatientBirthDate", b"1941-02-03"),
        ("PatientBirthDate", b"19410203  "),
        ("PatientBirthDate", b"00000000"),
        ("PatientBirthDate", b"19410000"),
        ("PatientBirthDate", b"yesterda"),
        ("PatientBirthDate", b"1941"),
        ("PatientSex", b""),
        ("PatientSex", b"O "),
        ("PatientSex", b"f "),
        ("PatientSex", b"unknown"),
        ("PatientID", b" ID-7 "),
        ("PatientID", b""),
    ],
)
def test_what_a_header_does_not_know_contradicts_nothing(
    tmp_path: Path, keyword: str, value: bytes
) -> None:
    datasets = known(series())
    put_raw(datasets[2], keyword, value)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (N_SLICES, True)
    assert "W_PATIENT" not in codes(stack)


def test_birth_date_of_a_series_without_one_is_that_of_the_other_series(tmp_path: Path) -> None:
    save_series(tmp_path / "a", known(series()))
    save_series(tmp_path / "b", again(SeriesInstanceUID="1.2.9"))
    stacks = scan([tmp_path]).stacks
    assert len({stack.owner for stack in stacks}) == 1
    assert not any("W_PATIENT" in codes(stack) for stack in stacks)
    assert sum(stack.proposed for stack in stacks) == 1


def test_image_that_may_be_of_either_patient_is_of_neither(tmp_path: Path) -> None:
    save_series(tmp_path / "a", known(series()))
    save_series(tmp_path / "b", known(again(), PatientBirthDate="20010203"))
    stray = slice_dataset(0, pixels=stored_pixels(90))
    stray.SOPInstanceUID = f"{SERIES}.99"
    save_series(tmp_path / "c", [stray])
    stacks = scan([tmp_path]).stacks
    assert sorted(stack.n_slices for stack in stacks) == [1, N_SLICES, N_SLICES]
    assert all("W_PATIENT" in codes(stack) for stack in stacks)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"PatientID": ""}, {"PatientID": "", "PatientName": "Other^Person"},
         "Images without a patient ID carry 2 names in this series; split."),
        ({}, {"PatientID": "", "PatientName": "Other^Person"},
         "Some images of this series carry no patient ID; split."),
        ({"PatientID": ""}, {"PatientID": "", "PatientName": ""},
         "Some images of this series do not say whose they are; split."),
        ({}, {"StudyInstanceUID": "1.2.99", "PatientName": "Other^Person"},
         "One patient ID carries 2 names in this series; 2 studies share this series UID; split."),
    ],
)  # fmt: skip
def test_sentence_is_true_of_what_the_series_holds(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], text: str
) -> None:
    datasets = series()
    for ds in datasets:
        for keyword, value in first.items():
            setattr(ds, keyword, value)
    save_series(tmp_path / "a", datasets)
    save_series(tmp_path / "b", again(**second))
    stacks = scan([tmp_path]).stacks
    assert [stack.n_slices for stack in stacks] == [N_SLICES, N_SLICES]
    assert {w.message for s in stacks for w in s.warnings if w.code == "W_PATIENT"} == {text}


@pytest.mark.parametrize(("values", "_carried"), OF_ANOTHER_PATIENT)
def test_one_image_under_two_patients_is_no_copy(
    tmp_path: Path, values: dict[str, str], _carried: str
) -> None:
    save_series(tmp_path / "a", known(series()))
    save_series(tmp_path / "b", known(series(), **values))
    report = scan([tmp_path])
    assert report.stacks == ()
    assert {one.code for one in report.refused} == {"E_DUPLICATE"}


@pytest.mark.parametrize("name", ["TEST^CASE", "Test^Case^^", "Tést^Case", "", "Test^Case=x"])
def test_one_name_written_in_several_ways_is_one_patient(tmp_path: Path, name: str) -> None:
    datasets = series()
    datasets[2].SpecificCharacterSet = "ISO_IR 192"
    datasets[2].PatientName = name
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert stack.n_slices == N_SLICES
    assert "W_PATIENT" not in codes(stack)


@pytest.mark.parametrize(
    ("sequence", "keyword", "value", "name"),
    [
        ("PixelMeasuresSequence", "PixelSpacing", ["1.5", "1.2"], "PixelSpacing"),
        ("PixelMeasuresSequence", "SliceThickness", "7", "SliceThickness"),
        (
            "PlaneOrientationSequence",
            "ImageOrientationPatient",
            ["1", "0", "0", "0", "1", "0"],
            "ImageOrientationPatient",
        ),
    ],
)
def test_shared_and_per_frame_groups_that_contradict_are_refused(
    tmp_path: Path, sequence: str, keyword: str, value: object, name: str
) -> None:
    ds = enhanced(series())
    item = copy.deepcopy(ds.SharedFunctionalGroupsSequence[0][sequence].value[0])
    setattr(item, keyword, value)
    setattr(ds.PerFrameFunctionalGroupsSequence[3], sequence, Items([item]))
    save(ds, tmp_path / "one")
    code, message = refusal(scan([tmp_path]))
    assert code == "E_GEOMETRY"
    assert message.startswith(f"{name} is ")
    assert "in the per-frame groups of frame 4" in message


def test_groups_that_agree_in_other_words_are_read(tmp_path: Path) -> None:
    ds = enhanced(series())
    item = Dataset()
    item.PixelSpacing, item.SliceThickness = ["1.50", "1.250"], "8.00"
    ds.PerFrameFunctionalGroupsSequence[3].PixelMeasuresSequence = Items([item])
    save(ds, tmp_path / "one")
    [stack] = scan([tmp_path]).stacks
    assert stack.n_slices == N_SLICES


def parts(total: int | None) -> list[Dataset]:
    """The stack as two Enhanced files of one concatenation."""
    halves = [enhanced(series()[:3]), enhanced(series()[3:])]
    for number, ds in enumerate(halves, 1):
        ds.SOPInstanceUID = f"{SERIES}.90{number}"
        ds.ConcatenationUID, ds.InConcatenationNumber = "1.2.3.4", number
        if total is not None:
            ds.InConcatenationTotalNumber = total
    return halves


@pytest.mark.parametrize("total", [2, None])
def test_whole_concatenation_is_one_stack(tmp_path: Path, total: int | None) -> None:
    save_series(tmp_path, parts(total))
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (N_SLICES, True)


@pytest.mark.parametrize(("kept", "total"), [(0, 2), (1, 2), (1, None)])
def test_part_of_a_concatenation_is_incomplete(
    tmp_path: Path, kept: int, total: int | None
) -> None:
    save_series(tmp_path, [parts(total)[kept]])
    [stack] = scan([tmp_path]).stacks
    assert not stack.complete
    [text] = [w.message for w in stack.warnings if w.code == "W_INCOMPLETE"]
    assert text == f"Part {kept + 1} of 2 of a concatenation; part {2 - kept} is not here."
    assert not read_stack(stack).complete


@pytest.mark.parametrize("value", [b"0.09\\0.09", b"120\\120", b"1.5\\10.5", b"1e3\\1"])
def test_pixel_spacing_beyond_belief_is_refused_with_its_value(
    tmp_path: Path, value: bytes
) -> None:
    datasets = series()
    for ds in datasets:
        put_raw(ds, "PixelSpacing", value)
    save_series(tmp_path, datasets)
    code, message = refusal(scan([tmp_path]))
    assert code == "E_SPACING"
    assert f"PixelSpacing is '{value.decode()}'; 0.1 to 10 mm is read." in message


@pytest.mark.parametrize("value", [b"0.05", b"31", b"1000"])
def test_thickness_beyond_belief_is_refused_with_its_value(tmp_path: Path, value: bytes) -> None:
    datasets = series()
    for ds in datasets:
        put_raw(ds, "SliceThickness", value)
    save_series(tmp_path, datasets)
    code, message = refusal(scan([tmp_path]))
    assert code == "E_THICKNESS"
    assert f"SliceThickness is '{value.decode()}'; 0.1 to 30 mm is read." in message


@pytest.mark.parametrize(("spacing", "thickness"), [("0.1", "0.1"), ("10", "30")])
def test_lengths_at_the_limits_are_read(tmp_path: Path, spacing: str, thickness: str) -> None:
    datasets = series()
    for ds in datasets:
        ds.PixelSpacing, ds.SliceThickness = [spacing, spacing], thickness
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert stack.slice_thickness_mm == float(thickness)
