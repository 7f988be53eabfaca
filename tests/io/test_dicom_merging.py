"""Stacks of which every slice is a series of its own."""

from __future__ import annotations

import random
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


def _shifted_in_plane(slices: Slices) -> None:
    across = np.array(slices[2].ImageOrientationPatient[:3], float)
    slices[2].ImagePositionPatient = decimals(BASE + NORMAL * SPACING * 2 + 6 * across)


def _closer_than_thick(slices: Slices) -> None:
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient = decimals(BASE + NORMAL * 4.5 * k)


def _only_two(slices: Slices) -> None:
    del slices[2:]


@pytest.mark.parametrize(
    "change",
    [
        _one_thicker,
        _one_of_another_patient,
        _one_of_another_study,
        _one_moved,
        _no_frame_of_reference,
        _one_turned,
        _one_called_otherwise,
        _one_smaller,
        _one_of_other_pixels,
        _one_repeated,
        _one_missing,
        _shifted_in_plane,
        _closer_than_thick,
        _only_two,
    ],
)
def test_where_anything_is_to_be_guessed_nothing_is_merged(tmp_path: Path, change: object) -> None:
    slices = apart()
    assert callable(change)
    change(slices)
    n = len(slices)
    report = scanned(tmp_path, slices)
    assert [one.n_slices for one in report.stacks] == [1] * n
    assert not any(one.merged for one in report.stacks)


def test_one_series_a_slice_without_a_stack_is_left_to_the_reader(tmp_path: Path) -> None:
    slices = apart()
    _one_missing(slices)
    report = scanned(tmp_path, slices)
    assert not any(one.proposed for one in report.stacks)
    assert "one or two slices each" in report.stacks[0].reason
