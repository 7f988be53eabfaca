"""What shines in a stack: the threshold that the brush offers. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scarseg.case import Case
from scarseg.gui.levels import heart_pixels
from scarseg.labels import infarct_mask, wall_mask

BRIGHTEST_PERCENTILE = 98.0
"""The brightest scar is this percentile of it, so that a single voxel does not set it."""
N_SD = 2.0
RANGE_PERCENTILES = (0.5, 99.9)
"""Between these of the heart's pixels a threshold can be set."""
MARGIN = 2
"""Pixels kept round the wall where the remote region is looked for."""


@dataclass(frozen=True)
class Threshold:
    """A value in source units, how it was found, and the range it can be set in."""

    value: float
    rule: str
    low: float
    high: float


def scar_threshold(case: Case) -> Threshold:
    """Offer one threshold for the stack.

    Halfway from the mean of remote wall to the brightest scar (98th percentile of what is
    labelled scar or MVO): FWHM against remote, which holds for magnitude and PSIR images alike.
    With no scar labelled, mean + 2 SD of remote wall (Kim 1999). With no wall, the 90th
    percentile of the middle of the slices. Remote wall is what
    :func:`scarseg.quant.remote.propose_remote` proposes beside scar.
    """
    from scarseg.quant import remote

    pixels, labels = case.stack.pixels, case.labels
    heart = heart_pixels(case)
    low, high = (float(v) for v in np.percentile(heart, RANGE_PERCENTILES))
    high = max(high, low + 1e-3)
    # The search costs by area: only round the wall.
    rows, columns = np.nonzero(wall_mask(labels).any(axis=0))
    if rows.size:
        window = (
            slice(None),
            slice(max(rows.min() - MARGIN, 0), rows.max() + MARGIN + 1),
            slice(max(columns.min() - MARGIN, 0), columns.max() + MARGIN + 1),
        )
        pixels, labels = pixels[window], labels[window]
    scar = infarct_mask(labels)
    region = remote.propose_remote(
        pixels, wall_mask(labels), case.stack.pixel_spacing_mm, scar if scar.any() else None
    )
    signal = remote.stack_remote_signal(pixels, region)
    if signal is None:
        return Threshold(float(np.percentile(heart, 90)), "brightest tenth", low, high)
    if scar.any():
        brightest = float(np.percentile(pixels[scar], BRIGHTEST_PERCENTILE))
        if brightest > signal.mean:
            value = (signal.mean + brightest) / 2
            return Threshold(value, "halfway from remote wall to the brightest scar", low, high)
    return Threshold(signal.mean + N_SD * signal.sd, "remote wall + 2 SD", low, high)
