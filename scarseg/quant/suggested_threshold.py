"""Suggest one threshold of scar for a whole stack, for the reader to adjust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarseg.case.case import Case
from scarseg.case.labels import infarct_mask
from scarseg.case.stack import FloatArray
from scarseg.quant.remote import N_SD, remote_signal

BRIGHTEST_PERCENTILE = 98.0
"""The brightest scar is this percentile of it, so that a single voxel does not set it."""

RANGE_PERCENTILES = (0.5, 99.9)
"""Between these of the heart's pixels a threshold can be set."""


@dataclass(frozen=True)
class SuggestedThreshold:
    """Threshold in source units, the rule behind it, and the range it can be set in."""

    value: float
    rule: str
    low: float
    high: float


def heart_pixels(case: Case) -> FloatArray:
    """Return the pixels of blood pool and wall; those of the image centre where none are drawn.

    Fat round the heart is brighter than any scar and would set the range.
    """
    inside: FloatArray = case.stack.pixels[case.labels > 0]
    return inside if inside.size else central_pixels(case.stack.pixels)


def central_pixels(pixels: FloatArray) -> FloatArray:
    """Return the pixels (slice, row, column) of the inner two fifths of each side."""
    rows, columns = pixels.shape[1] * 3 // 10, pixels.shape[2] * 3 // 10
    middle = pixels[:, rows : pixels.shape[1] - rows, columns : pixels.shape[2] - columns]
    return middle if middle.size else pixels


def suggest_threshold(case: Case) -> SuggestedThreshold:
    """Suggest one threshold for the stack.

    Halfway from the mean of remote wall to the brightest scar (98th percentile of what is
    labelled scar or MVO): FWHM against remote, valid for magnitude and PSIR images alike.
    With no scar labelled, mean + 2 SD of remote wall (Kim 1999). With no wall, the 90th
    percentile of the centre of the slices.
    """
    heart = heart_pixels(case)
    low, high = (float(v) for v in np.percentile(heart, RANGE_PERCENTILES))
    high = max(high, low + 1e-3)
    signal = remote_signal(case)
    if signal is None:
        return SuggestedThreshold(float(np.percentile(heart, 90)), "brightest tenth", low, high)
    scar = infarct_mask(case.labels)
    if scar.any():
        brightest = float(np.percentile(case.stack.pixels[scar], BRIGHTEST_PERCENTILE))
        if brightest > signal.mean:
            value = (signal.mean + brightest) / 2
            return SuggestedThreshold(
                value, "halfway from remote wall to the brightest scar", low, high
            )
    return SuggestedThreshold(signal.mean + N_SD * signal.sd, "remote wall + 2 SD", low, high)
