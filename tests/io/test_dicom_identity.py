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
