"""Stored values to intensities, against a reference written from the standard's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport
from tests.io.dicom_files import (
    COLUMNS,
    N_SLICES,
    ROWS,
    put_pixels,
    save_series,
    series,
    stored_pixels,
)


def reference(
    cells: np.ndarray, bits: int, high: int, signed: bool, slope: float, intercept: float
) -> np.ndarray:
    """Value of every cell by PS3.5 8.1: bits high-bits+1 to high, two's complement, rescaled."""
    result = np.empty(cells.shape)
    for index, cell in np.ndenumerate(cells):
        text = f"{int(cell):016b}"[15 - high : 15 - high + bits]
        value = int(text, 2) - (1 << bits if signed and text[0] == "1" else 0)
        result[index] = value * slope + intercept
    return result


@settings(max_examples=25, deadline=None)
@given(
    bits=st.integers(8, 16),
    left=st.booleans(),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, 0.5, 2.25]),
    intercept=st.sampled_from([0.0, 10.0, -7.5]),
    seed=st.integers(0, 99),
)
def test_any_layout_gives_the_values_of_the_standard(
    tmp_path_factory: pytest.TempPathFactory,
    bits: int,
    left: bool,
    signed: bool,
    slope: float,
    intercept: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    high = 15 if left else bits - 1
    cells = rng.integers(0, 1 << bits, (ROWS, COLUMNS)).astype(np.uint16) << (high + 1 - bits)
    datasets = series(3)
    for ds in datasets:
        put_pixels(ds, cells.astype(np.uint16), bits)
        ds.HighBit, ds.PixelRepresentation = high, int(signed)
        ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(intercept)
    folder = tmp_path_factory.mktemp("any")
    save_series(folder, datasets)
    [stack] = scan([folder]).stacks
    expected = reference(cells, bits, high, signed, slope, intercept)
    np.testing.assert_allclose(read_stack(stack).pixels[1], expected, rtol=1e-6)


def with_lookup(
    first: int = 0, n: int = 256, bits: int = 16, entries: list[int] | None = None
) -> list[Dataset]:
    datasets = series()
    for k, ds in enumerate(datasets):
        put_pixels(ds, (stored_pixels(k) >> 4).astype(np.uint16), 16)
        item = Dataset()
        item.LUTDescriptor = [n % 65536, first, bits]
        item.ModalityLUTType = "US"
        item.add_new(0x00283006, "US", entries or [(255 - i) * 16 for i in range(256)])
        ds.ModalityLUTSequence = Items([item])
    return datasets


def test_modality_lut_is_applied(tmp_path: Path) -> None:
    save_series(tmp_path, with_lookup())
    [stack] = scan([tmp_path]).stacks
    expected = [(255 - (stored_pixels(k) >> 4).astype(int)) * 16 for k in range(N_SLICES)]
    np.testing.assert_array_equal(read_stack(stack).pixels, expected)


def test_values_beyond_the_lut_take_its_ends(tmp_path: Path) -> None:
    save_series(tmp_path, with_lookup(first=100, n=50, entries=[3 * i for i in range(50)]))
    [stack] = scan([tmp_path]).stacks
    stored = (stored_pixels(2) >> 4).astype(int)
    expected = 3 * np.minimum(np.maximum(stored - 100, 0), 49)
    np.testing.assert_array_equal(read_stack(stack).pixels[2], expected)


def refusal(report: LoadReport) -> tuple[str, str]:
    assert report.stacks == ()
    [one] = report.refused
    return one.code, one.message


def test_lut_that_contradicts_its_descriptor_is_refused(tmp_path: Path) -> None:
    save_series(tmp_path, with_lookup(n=300))
    code, message = refusal(scan([tmp_path]))
    assert code == "E_RESCALE"
    assert "256 entries, its descriptor says 300" in message


def test_lut_beside_a_rescale_is_refused(tmp_path: Path) -> None:
    datasets = with_lookup()
    for ds in datasets:
        ds.RescaleSlope, ds.RescaleIntercept = "2", "0"
    save_series(tmp_path, datasets)
    assert refusal(scan([tmp_path])) == (
        "E_RESCALE",
        "A Modality LUT and RescaleSlope 2 exclude each other. (6 of 6 files of the series)",
    )


def damages(folder: Path, datasets: list[Dataset]) -> list[str]:
    save_series(folder, datasets)
    [stack] = scan([folder]).stacks
    return [w.message for w in read_stack(stack).warnings if w.code == "W_SLICE_DAMAGED"]


def test_values_that_exceed_the_stored_bits_are_never_cut(tmp_path: Path) -> None:
    datasets = series()
    datasets[2].BitsStored, datasets[2].HighBit = 8, 7
    [text] = damages(tmp_path, datasets)
    assert "its values need 12 bits, the header says 8" in text


def test_misplaced_high_bit_reads_right_aligned_values(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets:
        ds.HighBit = 15
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    np.testing.assert_array_equal(
        read_stack(stack).pixels, [stored_pixels(k) for k in range(N_SLICES)]
    )


def test_overlay_in_an_unused_bit_is_no_pixel_value(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        overlay = (stored_pixels(k + 9) & 1) << 12
        put_pixels(ds, stored_pixels(k) | overlay)
        ds.add_new(0x60000102, "US", 12)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    np.testing.assert_array_equal(read_stack(stack).pixels[3], stored_pixels(3))


def test_padding_alone_is_no_image(tmp_path: Path) -> None:
    datasets = series()
    put_pixels(datasets[1], np.full((ROWS, COLUMNS), 7, np.uint16))
    datasets[1].add_new(0x00280120, "US", 7)
    [text] = damages(tmp_path, datasets)
    assert "it holds padding alone" in text


@pytest.mark.parametrize("double", [False, True])
def test_floating_point_pixels_are_read(tmp_path: Path, double: bool) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        values = stored_pixels(k) / np.float32(8)
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
        ds.BitsAllocated = 64 if double else 32
        if double:
            ds.DoubleFloatPixelData = values.astype("<f8").tobytes()
        else:
            ds.FloatPixelData = values.astype("<f4").tobytes()
        ds.RescaleSlope, ds.RescaleIntercept = "2", "1"
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    expected = [stored_pixels(k) / 4 + 1 for k in range(N_SLICES)]
    np.testing.assert_allclose(read_stack(stack).pixels, expected)


def test_floating_point_pixels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets:
        values = np.full((ROWS, COLUMNS), 1.0, "<f4")
        if ds is datasets[4]:
            values[3, 3] = np.nan
        del ds.PixelData
        ds.BitsAllocated, ds.FloatPixelData = 32, values.tobytes()
    [text] = damages(tmp_path, datasets)
    assert "it holds values that are no numbers" in text
