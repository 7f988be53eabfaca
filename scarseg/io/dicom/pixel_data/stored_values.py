"""Convert stored pixel values to intensities: stored bits, padding, inversion, rescale or LUT."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scarseg.case.stack import FloatArray
from scarseg.io.dicom.types import Frame, PixelLayout

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class StoredValuesError(Exception):
    """The stored values contradict the header; the message says how."""


def to_intensities(stored: npt.NDArray[np.generic], frame: Frame) -> tuple[FloatArray, Mask]:
    """Return float32 pixels (row, column) and where they are image, not padding.

    MONOCHROME1 is inverted within the range of the stored bits, so that an inverted file gives the
    same array as the file it was made from. Padding gets the lowest value of the image.

    Raises:
        StoredValuesError: values that do not fit the stored bits, are not finite, or padding alone.
    """
    layout = frame.layout
    if layout.floating:
        if not np.isfinite(stored).all():
            raise StoredValuesError("it holds values that are no numbers")
        pixels = _rescaled(stored.astype(np.float32), frame)
        return pixels, np.ones(pixels.shape, dtype=np.bool_)
    values = _stored_integers(stored, layout)
    image = np.ones(values.shape, dtype=np.bool_)
    if layout.padding is not None:
        low, high = layout.padding
        image = (values < low) | (values > high)
        if not image.any():
            raise StoredValuesError("it holds padding alone")
    if layout.lookup is not None:
        pixels = _apply_lookup(values, layout)
    else:
        if layout.inverted:
            values = (-1 if layout.signed else (1 << layout.bits_stored) - 1) - values
        pixels = _rescaled(values.astype(np.float32), frame)
    if not image.all():
        pixels[~image] = pixels[image].min()
    return pixels, image


def _rescaled(pixels: FloatArray, frame: Frame) -> FloatArray:
    if frame.slope != 1 or frame.intercept != 0:
        pixels *= np.float32(frame.slope)
        pixels += np.float32(frame.intercept)
    return pixels


def _apply_lookup(values: Integers, layout: PixelLayout) -> FloatArray:
    """Apply the Modality LUT (PS3.3 C.11.1); its output is inverted for MONOCHROME1."""
    assert layout.lookup is not None
    entries = np.array(layout.lookup.entries, dtype=np.float32)
    pixels = entries[np.clip(values - layout.lookup.first, 0, len(entries) - 1)]
    return entries.max() + entries.min() - pixels if layout.inverted else pixels


def _stored_integers(stored: npt.NDArray[np.generic], layout: PixelLayout) -> Integers:
    """Extract the stored bits and extend the sign.

    The bits beside them may hold one constant, the sign, or an overlay. Where they hold anything
    else, HighBit may be misplaced and the values right-aligned; if they do not fit so either,
    BitsStored is too small and the values would be cut.
    """
    cells = stored.astype(np.int64) & ((1 << layout.bits_allocated) - 1)
    n_bits = layout.bits_stored
    shift = layout.high_bit + 1 - n_bits
    if shift and not _fits(cells, layout, shift):
        shift = 0
    if not _fits(cells, layout, shift):
        needed = int(cells.max()).bit_length()
        raise StoredValuesError(f"its values need {needed} bits, the header says {n_bits}")
    values = (cells >> shift) & ((1 << n_bits) - 1)
    if layout.signed:
        sign = 1 << (n_bits - 1)
        values = (values ^ sign) - sign
    return values


def _fits(cells: Integers, layout: PixelLayout, shift: int) -> bool:
    """Return whether nothing but a constant, the sign or an overlay lies beside the stored bits."""
    within = ((1 << layout.bits_stored) - 1) << shift
    above = ((1 << layout.bits_allocated) - 1) & ~((1 << (layout.bits_stored + shift)) - 1)
    beside = cells & ~(within | layout.overlay_bits)
    if (beside == beside.flat[0]).all():
        # Nothing in the stored bits, and a constant below them: the values are right-aligned.
        return not shift or not beside.flat[0] or bool((cells & within).any())
    negative = (cells >> (shift + layout.bits_stored - 1)) & 1 == 1
    extended = np.where(negative, above & ~layout.overlay_bits, 0)
    return layout.signed and not shift and bool((beside == extended).all())
