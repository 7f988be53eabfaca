"""The same tissue acquired more than once within one series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    BASE,
    NORMAL,
    SERIES,
    decimals,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)

N = 9


def at(ds: Dataset, mm: float) -> Dataset:
    ds.ImagePositionPatient = decimals(BASE + NORMAL * mm)
    return ds


def again(k: int, mm: float, acquisition: int = 2) -> Dataset:
    ds = at(slice_dataset(k, pixels=stored_pixels(100 + k)), mm)
    ds.SOPInstanceUID = f"{SERIES}.9.{acquisition}.{k + 1}"
    ds.AcquisitionNumber = acquisition
    return ds


def proposed(report: LoadReport) -> StackSummary:
    [one] = [stack for stack in report.stacks if stack.proposed]
    return one


@pytest.mark.parametrize("apart", [0.1, 0.3, 1.0, 1.5])
def test_two_averages_a_little_apart_are_two_stacks(tmp_path: Path, apart: float) -> None:
    save_series(tmp_path / "a", series(N))
    save_series(tmp_path / "b", [again(k, 9.0 * k + apart) for k in range(N)])
    report = scan([tmp_path])
    assert [stack.n_slices for stack in report.stacks] == [N, N]
    assert all(stack.complete for stack in report.stacks)
    assert all(stack.slice_spacing_mm == pytest.approx(9, abs=1e-4) for stack in report.stacks)


@pytest.mark.parametrize("apart", [0.04, 0.5, 1.0, 2.2, -1.0])
@pytest.mark.parametrize("k", [0, 4, N - 1])
def test_one_slice_acquired_again_is_replaced_by_the_newer(
    tmp_path: Path, apart: float, k: int
) -> None:
    newer = again(k, 9.0 * k + apart)
    save_series(tmp_path / "a", series(N))
    save_series(tmp_path / "b", [newer])
    report = scan([tmp_path])
    stack = proposed(report)
    assert stack.n_slices == N
    assert "W_REPEAT" in [warning.code for warning in stack.warnings]
    pixels = read_stack(stack).pixels[k]
    np.testing.assert_array_equal(pixels, stored_pixels(100 + k))
    # A slice that moved by more than rounding leaves uneven distances.
    assert stack.complete == (abs(apart) < 0.1)


def test_message_says_how_far_repeats_lie_apart(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series(N))
    save_series(tmp_path / "b", [again(4, 37.0)])
    stack = proposed(scan([tmp_path]))
    [text] = [w.message for w in stack.warnings if w.code == "W_REPEAT"]
    assert "up to 2 times, up to 1 mm apart; they are one tissue" in text


def test_thin_steps_under_thick_slices_are_no_repeats(tmp_path: Path) -> None:
    datasets = [at(slice_dataset(k), 1.0 * k) for k in range(30)]
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (30, True)
    [text] = [w.message for w in stack.warnings if w.code == "W_OVERLAP"]
    assert "overlap by 7 mm, so the mass follows the slice spacing" in text


@pytest.mark.parametrize(("digits", "n"), [(0, 9), (1, 22), (2, 22)])
def test_positions_written_with_few_decimals_are_regular(
    tmp_path: Path, digits: int, n: int
) -> None:
    datasets = series(n)
    for k, ds in enumerate(datasets):
        exact = BASE + NORMAL * 9.0 * k
        ds.ImagePositionPatient = [f"{value:.{digits}f}" for value in exact]
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (n, True)
    assert "W_GAP_IRREGULAR" not in [warning.code for warning in stack.warnings]


def test_missing_slices_are_counted_in_typical_gaps(tmp_path: Path) -> None:
    save_series(tmp_path, series(N, skip=[3, 4]))
    [stack] = scan([tmp_path]).stacks
    [text] = [w.message for w in stack.warnings if w.code == "W_GAP_IRREGULAR"]
    assert "Slices 3 and 4 lie 27 mm apart, others 9 mm: 2 slices may be missing" in text
