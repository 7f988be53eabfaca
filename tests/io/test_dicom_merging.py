"""Stacks of which every slice is a series of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from scarseg.batch.selection import select_stacks
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport
from tests.io.dicom_files import (
    BASE,
    N_SLICES,
    NORMAL,
    ORIENTATION,
    SPACING,
    decimals,
    put_pixels,
    save,
    series,
    slice_dataset,
    stored_pixels,
)

Slices = list[Dataset]


def apart(n: int = N_SLICES, root: str = "1.2.50", first: int = 0) -> Slices:
    """Make a stack of one series a slice, as scanners number them."""
    datasets = []
    for k in range(first, first + n):
        ds = slice_dataset(k)
        # Later slices do not sort behind earlier ones.
        ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{root}.{90 - k}", f"{root}.{k}.1"
        ds.SeriesNumber, ds.InstanceNumber = 20 + k, 1
        ds.SeriesDescription = f"LGE_SAX_{k + 1}"
        ds.FrameOfReferenceUID = "1.2.51"
        datasets.append(ds)
    return datasets


def scanned(folder: Path, datasets: Slices) -> LoadReport:
    random.Random(3).shuffle(datasets)
    for k, ds in enumerate(datasets):
        save(ds, folder / f"{k}")
    return scan([folder])


def test_one_series_a_slice_is_one_stack_and_says_so(tmp_path: Path) -> None:
    report = scanned(tmp_path, apart())
    [one] = report.stacks
    assert (one.series_uid, one.part, one.proposed, one.complete) == ("1.2.50.90", "", True, True)
    assert one.n_slices == N_SLICES
    assert one.slice_spacing_mm == pytest.approx(SPACING)
    assert "W_MERGED" in [warning.code for warning in one.warnings]
    stack = read_stack(one)
    assert stack.series_uid == "1.2.50.90"
    assert [s.sop_instance_uid for s in stack.sources] == [f"1.2.50.{k}.1" for k in range(N_SLICES)]
    assert np.array_equal(stack.pixels, [stored_pixels(k) for k in range(N_SLICES)])
    assert "W_MERGED" in [warning.code for warning in stack.warnings]


@pytest.mark.parametrize("uid", ["1.2.50.90", "1.2.50.87"])
def test_any_of_its_series_names_the_stack(tmp_path: Path, uid: str) -> None:
    chosen = select_stacks(scanned(tmp_path, apart()), [uid])
    assert [job.mask_file for job in chosen.jobs] == ["1.2.50.90.nii.gz"]


def test_magnitude_and_psir_of_one_series_a_slice_are_two_stacks(tmp_path: Path) -> None:
    psir = apart(root="1.2.60")
    for ds in psir:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "PSIR"]
    report = scanned(tmp_path, apart() + psir)
    assert [(one.sequence, one.n_slices, one.proposed) for one in report.stacks] == [
        ("magnitude", N_SLICES, True),
        ("psir", N_SLICES, False),
    ]


def test_a_series_of_several_slices_is_left_alone(tmp_path: Path) -> None:
    whole = series()
    for ds in whole:
        ds.FrameOfReferenceUID = "1.2.51"
    report = scanned(tmp_path, whole + apart(1, first=N_SLICES))
    assert sorted(one.n_slices for one in report.stacks) == [1, N_SLICES]


def _one_thicker(slices: Slices) -> None:
    slices[2].SliceThickness = "7"


def _one_of_another_patient(slices: Slices) -> None:
    slices[2].PatientID = "ID-9"


def _one_of_another_study(slices: Slices) -> None:
    slices[2].StudyInstanceUID = "1.2.99"


def _one_moved(slices: Slices) -> None:
    slices[2].FrameOfReferenceUID = "1.2.52"


def _no_frame_of_reference(slices: Slices) -> None:
    for ds in slices:
        del ds.FrameOfReferenceUID


def _one_turned(slices: Slices) -> None:
    x, y = np.array(slices[2].ImageOrientationPatient, float).reshape(2, 3)
    slices[2].ImageOrientationPatient = decimals(
        [*(0.999 * x + 0.0447102 * y), *(0.999 * y - 0.0447102 * x)]
    )


def _one_called_otherwise(slices: Slices) -> None:
    slices[2].SeriesDescription = "LGE_SAX_3_repeat"


def _one_smaller(slices: Slices) -> None:
    put_pixels(slices[2], stored_pixels(2)[:-4])


def _one_of_other_pixels(slices: Slices) -> None:
    slices[2].PixelSpacing = decimals([1.6, 1.25])


def _one_repeated(slices: Slices) -> None:
    again = slice_dataset(2, pixels=stored_pixels(70))
    again.update({"SeriesDescription": "LGE_SAX_3", "FrameOfReferenceUID": "1.2.51"})
    again.SOPInstanceUID, again.SeriesInstanceUID = "1.2.70.1", "1.2.70"
    slices.append(again)


def _one_missing(slices: Slices) -> None:
    del slices[2]


def _closer_than_thick(slices: Slices) -> None:
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient = decimals(BASE + NORMAL * 4.5 * k)


def _only_two(slices: Slices) -> None:
    del slices[2:]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_one_thicker, "thickness"),
        (_one_of_another_patient, "patient"),
        (_one_of_another_study, "study"),
        (_one_moved, "frame of reference"),
        (_one_turned, "orientation"),
        (_one_smaller, "matrix"),
        (_one_of_other_pixels, "pixel spacing"),
    ],
)
def test_slice_unlike_the_others_stays_apart_and_is_named(
    tmp_path: Path, change: Callable[[Slices], None], why: str
) -> None:
    slices = apart()
    change(slices)
    report = scanned(tmp_path, slices)
    assert sorted(one.n_slices for one in report.stacks) == [1, N_SLICES - 1]
    [joined] = [one for one in report.stacks if one.n_slices > 1]
    assert not joined.complete
    [text] = [w.message for w in joined.warnings if w.code == "W_SPLIT_OFF"]
    assert f"its {why}" in text


@pytest.mark.parametrize("change", [_no_frame_of_reference, _one_called_otherwise])
def test_what_says_nothing_of_the_stack_does_not_keep_slices_apart(
    tmp_path: Path, change: Callable[[Slices], None]
) -> None:
    slices = apart()
    change(slices)
    [one] = scanned(tmp_path, slices).stacks
    assert (one.n_slices, one.complete) == (N_SLICES, True)


def test_repeated_slice_is_replaced_by_the_newer(tmp_path: Path) -> None:
    slices = apart()
    for ds in slices:
        ds.AcquisitionTime = "101500"
    _one_repeated(slices)
    slices[-1].AcquisitionTime = "102500"
    report = scanned(tmp_path, slices)
    [one] = [stack for stack in report.stacks if stack.proposed]
    assert (one.n_slices, one.complete) == (N_SLICES, True)
    assert "W_REPEAT" in [warning.code for warning in one.warnings]
    assert one.merged[2] == "1.2.70"
    np.testing.assert_array_equal(read_stack(one).pixels[2], stored_pixels(70))


def test_missing_slice_is_a_gap_as_in_any_series(tmp_path: Path) -> None:
    slices = apart()
    _one_missing(slices)
    [one] = scanned(tmp_path, slices).stacks
    assert (one.n_slices, one.complete) == (N_SLICES - 1, False)
    assert "W_GAP_IRREGULAR" in [warning.code for warning in one.warnings]


def test_overlapping_slices_join_and_overlap(tmp_path: Path) -> None:
    slices = apart()
    _closer_than_thick(slices)
    [one] = scanned(tmp_path, slices).stacks
    assert one.n_slices == N_SLICES
    assert "W_OVERLAP" in [warning.code for warning in one.warnings]


def test_two_series_of_one_slice_are_no_stack(tmp_path: Path) -> None:
    slices = apart()
    _only_two(slices)
    assert [one.n_slices for one in scanned(tmp_path, slices).stacks] == [1, 1]


def own_studies(slices: Slices) -> Slices:
    for k, ds in enumerate(slices):
        ds.StudyInstanceUID = f"1.2.80.{k}"
    return slices


def test_one_study_a_slice_is_one_stack_and_says_so(tmp_path: Path) -> None:
    [one] = scanned(tmp_path, own_studies(apart())).stacks
    assert (one.n_slices, one.complete, one.proposed) == (N_SLICES, True, True)
    assert one.study_uid == "1.2.80.0"
    assert {"W_MERGED", "W_UIDS"} <= {warning.code for warning in one.warnings}


def test_frames_of_reference_made_up_for_every_file_say_nothing(tmp_path: Path) -> None:
    slices = own_studies(apart())
    for k, ds in enumerate(slices):
        ds.FrameOfReferenceUID = f"1.2.81.{k}"
    [one] = scanned(tmp_path, slices).stacks
    assert (one.n_slices, one.complete) == (N_SLICES, True)


def test_studies_of_several_patients_are_never_joined(tmp_path: Path) -> None:
    slices = own_studies(apart())
    for k, ds in enumerate(slices):
        ds.PatientID = f"ID-{k}"
    assert [one.n_slices for one in scanned(tmp_path, slices).stacks] == [1] * N_SLICES


def test_long_axis_views_of_one_slice_stay_apart(tmp_path: Path) -> None:
    slices = apart()
    views = apart(3, root="1.2.90")
    for k, ds in enumerate(views):
        angle = np.radians(60 * k)
        ds.ImageOrientationPatient = decimals(
            [*NORMAL, *(np.cos(angle) * ORIENTATION[:3] + np.sin(angle) * ORIENTATION[3:])]
        )
        ds.SeriesDescription = f"LGE_{k + 2}CH"
    report = scanned(tmp_path, slices + views)
    assert sorted(one.n_slices for one in report.stacks) == [1, 1, 1, N_SLICES]
    assert all(one.complete for one in report.stacks if one.n_slices > 1)
