"""Turn rescaled pixels into stored integers, and say how to turn them back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from scarseg.stack import FloatArray

StoredPixels = npt.NDArray[np.int16] | npt.NDArray[np.uint16]


class Storage(StrEnum):
    """How values are stored.

    ``DIRECT``: the value itself, signed where some are negative, without rescale.
    ``OFFSET``: unsigned, with an intercept below zero where values are negative.
    ``SCALED``: every slice has its own slope and intercept and fills the range.
    """

    DIRECT = "direct"
    OFFSET = "offset"
    SCALED = "scaled"


@dataclass(frozen=True, eq=False)
class StoredSlice:
    """Stored integers (row, column), 16 bits, with ``slope`` and ``intercept`` or None."""

    pixels: StoredPixels
    slope: str | None
    intercept: str | None


def decimal_string(value: float) -> str:
    """Write a number as DS: at most 16 characters, as precise as they allow."""
    for digits in range(16, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"no decimal string for {value}")


def store_slices(pixels: FloatArray, storage: Storage) -> list[StoredSlice]:
    """Encode pixels float32 (slice, row, column), one entry per slice, all of one integer type.

    Whole numbers within 16 bits come back exactly with DIRECT and OFFSET; anything else is
    SCALED, exact to half of 1/60000 of the slice's range.
    """
    low, high = float(pixels.min()), float(pixels.max())
    whole = bool(np.array_equal(pixels, np.round(pixels)))
    if storage is Storage.DIRECT and whole and -32768 <= low < 0 and high <= 32767:
        return [StoredSlice(part.astype(np.int16), None, None) for part in pixels]
    if storage is Storage.DIRECT and whole and low >= 0 and high <= 65535:
        return [StoredSlice(part.astype(np.uint16), None, None) for part in pixels]
    offset = 4096 * int(np.ceil(max(-low, 0) / 4096))
    if storage is Storage.OFFSET and whole and high + offset <= 65535:
        slope, intercept = ("1", str(-offset)) if offset else (None, None)
        return [StoredSlice((part + offset).astype(np.uint16), slope, intercept) for part in pixels]
    return [_scaled(part) for part in pixels]


def _scaled(pixels: FloatArray) -> StoredSlice:
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    slope = decimal_string((high - low) / 60000 if high > low else 1.0)
    intercept = decimal_string(low)
    stored = np.round((values - float(intercept)) / float(slope))
    return StoredSlice(np.clip(stored, 0, 65535).astype(np.uint16), slope, intercept)


def put_pixels(dataset: Dataset, frames: list[StoredPixels]) -> None:
    """Set the image pixel module from frames (row, column) of one integer type."""
    pixels = np.stack(frames)
    signed = bool(pixels.dtype == np.int16)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
