"""Magnitude and real images in one series: told by vendors' elements, by sign, or refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from scarseg.case.stack import LgeSequence
from scarseg.errors import InputError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport
from tests.io.dicom_files import (
    COLUMNS,
    N_SLICES,
    ROWS,
    SERIES,
    enhanced,
    put_pixels,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)

Mark = Callable[[Dataset, bool], None]


def _ge(ds: Dataset, real: bool) -> None:
    ds.Manufacturer = "GE MEDICAL SYSTEMS"
    ds.add_new(0x00430010, "LO", "GEMS_PARM_01")
    ds.add_new(0x0043102F, "SS", 2 if real else 0)


def _ge_without_creator(ds: Dataset, real: bool) -> None:
    ds.Manufacturer = "GE MEDICAL SYSTEMS"
    ds.add_new(0x0043102F, "SS", 2 if real else 0)


def _ge_in_another_block(ds: Dataset, real: bool) -> None:
    ds.add_new(0x00430010, "LO", "GEMS_OTHER_01")
    ds.add_new(0x00430011, "LO", "GEMS_PARM_01")
    ds.add_new(0x0043112F, "SS", 2 if real else 0)


def _ge_unknown(ds: Dataset, real: bool) -> None:
    ds.add_new(0x00430010, "LO", "GEMS_PARM_01")
    ds.add_new(0x0043102F, "UN", b"\2\0" if real else b"\0\0")


def _comment(ds: Dataset, real: bool) -> None:
    ds.ImageComments = "phase sensitive image" if real else "Magnitude image"


def _short_comment(ds: Dataset, real: bool) -> None:
    ds.ImageComments = "PSIR_IR" if real else "MAG"


def _siemens(ds: Dataset, real: bool) -> None:
    ds.add_new(0x00210011, "LO", "SIEMENS MR SDI 02")
    ds.add_new(0x00211175, "CS", ["M", "PSIR"] if real else ["M", "MAG"])


def _philips(ds: Dataset, real: bool) -> None:
    ds.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
    ds.add_new(0x20051011, "CS", "R" if real else "M")


MARKS = [
    *(_ge, _ge_without_creator, _ge_in_another_block, _ge_unknown),
    *(_comment, _short_comment, _siemens, _philips),
]


def both(mark: Mark) -> list[Dataset]:
    """Make magnitude and real images of every position, by UID in an order that mixes them."""
    datasets = []
    for k in range(N_SLICES):
        for real in (False, True):
            ds = slice_dataset(k, pixels=stored_pixels(k + (50 if real else 0)))
            ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
            ds.SOPInstanceUID = f"{SERIES}.5.{2 * k + ((k + real) % 2)}"
            mark(ds, real)
            datasets.append(ds)
    return datasets


def contents(report: LoadReport) -> list[tuple[str, list[str]]]:
    return [(one.sequence.value, [f.sop_uid for f in one.frames]) for one in report.stacks]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("mark", MARKS)
def test_elements_of_the_vendors_tell_real_from_magnitude(
    tmp_path: Path, mark: Mark, syntax: str
) -> None:
    save_series(tmp_path, both(mark), syntax)
    report = scan([tmp_path])
    assert [one.n_slices for one in report.stacks] == [N_SLICES, N_SLICES]
    [magnitude] = [one for one in report.stacks if one.proposed]
    assert magnitude.sequence is LgeSequence.MAGNITUDE
    np.testing.assert_array_equal(
        read_stack(magnitude).pixels, [stored_pixels(k) for k in range(N_SLICES)]
    )
    [real] = [one for one in report.stacks if not one.proposed]
    assert real.sequence is LgeSequence.PSIR


def test_siemens_element_inside_the_frames_of_an_enhanced_file(tmp_path: Path) -> None:
    ds = enhanced(series() + series())
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    for n, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        item.add_new(0x00210011, "LO", "SIEMENS MR SDI 02")
        item.add_new(0x00211175, "CS", ["M", "PSIR"] if n >= N_SLICES else ["M"])
        group.add_new(0x00210011, "LO", "SIEMENS MR SDI 02")
        group.add_new(0x002111FE, "SQ", Items([item]))
    save(ds, tmp_path / "one")
    assert {(s.sequence.value, s.n_slices) for s in scan([tmp_path]).stacks} == {
        ("magnitude", N_SLICES),
        ("psir", N_SLICES),
    }


def test_uids_and_names_of_files_change_nothing(tmp_path: Path) -> None:
    datasets = both(_ge)
    for k, ds in enumerate(datasets):
        ds.SeriesDescription = "LGE SAX"
        ds.InstanceNumber = k
    expected = None
    for seed in range(3):
        rng = random.Random(seed)
        uids = [f"{SERIES}.6.{n}" for n in range(len(datasets))]
        rng.shuffle(uids)
        for ds, uid in zip(datasets, uids, strict=True):
            ds.SOPInstanceUID = uid
        names = [f"{n}" for n in range(len(datasets))]
        rng.shuffle(names)
        for ds, name in zip(datasets, names, strict=True):
            save(ds, tmp_path / f"{seed}" / name)
        of_uid = {ds.SOPInstanceUID: int(ds.InstanceNumber) for ds in datasets}
        found = [(k, [of_uid[uid] for uid in u]) for k, u in contents(scan([tmp_path / f"{seed}"]))]
        expected = expected or found
        assert found == expected


def offset(ds: Dataset, by: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.RescaleSlope, ds.RescaleIntercept = "1", str(by)


def test_sign_separates_what_nothing_else_does(tmp_path: Path) -> None:
    datasets = both(lambda ds, real: offset(ds, -2048 if real else 0))
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert {(s.sequence.value, s.n_slices) for s in report.stacks} == {
        ("magnitude", N_SLICES),
        ("psir", N_SLICES),
    }
    [psir] = [s for s in report.stacks if s.sequence is LgeSequence.PSIR]
    assert "W_SIGNED" in [warning.code for warning in psir.warnings]


@pytest.mark.parametrize("k", [0, 3, N_SLICES - 1])
def test_one_magnitude_slice_among_real_ones_is_refused(tmp_path: Path, k: int) -> None:
    datasets = series()
    for n, ds in enumerate(datasets):
        offset(ds, 0 if n == k else -2048)
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert report.stacks == ()
    [refusal] = report.refused
    assert refusal.code == "E_IMAGE_KINDS"
    assert f"{N_SLICES - 1} slices hold values below zero, 1 do not" in refusal.message


def test_negative_intercepts_under_larger_values_are_magnitude(tmp_path: Path) -> None:
    """What is stored as value + k with intercept -k holds nothing below zero."""
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, stored_pixels(k, 11) + np.uint16(10 * k))
        offset(ds, -10 * k)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.sequence, stack.n_slices) == (LgeSequence.MAGNITUDE, N_SLICES)
    expected = [stored_pixels(k, 11) for k in range(N_SLICES)]
    np.testing.assert_array_equal(read_stack(stack).pixels, expected)


def test_signed_storage_with_an_offset_is_magnitude(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, (stored_pixels(k).astype(np.int32) - 32768).astype(np.int16), 16)
        offset(ds, 32768)
        ds.add_new(0x00280106, "SS", -32768)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert stack.sequence is LgeSequence.MAGNITUDE
    assert read_stack(stack).sequence is LgeSequence.MAGNITUDE


def test_mixed_signs_found_only_on_reading_are_refused(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        put_pixels(ds, stored_pixels(k).astype(np.int16) - (2048 if k else 0))
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    with pytest.raises(InputError, match="5 slices hold values below zero, 1 do not") as refused:
        read_stack(stack)
    assert refused.value.code == "E_IMAGE_KINDS"


def test_same_pixels_under_two_uids_are_one_image(tmp_path: Path) -> None:
    again = series()
    for ds in again:
        ds.SOPInstanceUID += ".2"
    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", again)
    report = scan([tmp_path])
    [stack] = report.stacks
    assert (stack.n_slices, stack.complete, report.refused) == (N_SLICES, True, ())
    assert any("under other UIDs" in note for note in report.notes)


def test_padding_below_zero_does_not_make_psir(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        values = stored_pixels(k).astype(np.int16)
        values[: ROWS // 2, : COLUMNS // 2] = -2000
        put_pixels(ds, values, 16)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        ds.add_new(0x00280120, "SS", -2000)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    read = read_stack(stack)
    assert read.sequence is LgeSequence.MAGNITUDE
    for k in range(N_SLICES):
        image = np.ones((ROWS, COLUMNS), bool)
        image[: ROWS // 2, : COLUMNS // 2] = False
        lowest = stored_pixels(k)[image].min()
        assert (read.pixels[k][~image] == lowest).all()
        np.testing.assert_array_equal(read.pixels[k][image], stored_pixels(k)[image])
