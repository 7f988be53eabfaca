"""What shines in a stack: the threshold that the brush offers, dark cores as MVO. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scarseg.case import Case
from scarseg.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.stack import FloatArray

if TYPE_CHECKING:
    from scarseg.quant.remote import RemoteSignal

BRIGHTEST_PERCENTILE = 98.0
"""The brightest scar is this percentile of it, so that a single voxel does not set it."""
N_SD = 2.0
RANGE_PERCENTILES = (0.5, 99.9)
"""Between these of the heart's pixels a threshold can be set."""
SMALLEST_MVO_MM2 = 10.0
"""A smaller dark core is taken for noise."""
MARGIN = 2
"""Pixels kept round the wall where the remote region is looked for."""


@dataclass(frozen=True)
class Threshold:
    """A value in source units, how it was found, and the range it can be set in."""

    value: float
    rule: str
    low: float
    high: float


def heart_pixels(case: Case) -> FloatArray:
    """Give the pixels of blood pool and wall; those of the middle where none are drawn.

    Fat round the heart would outshine any scar.
    """
    inside: FloatArray = case.stack.pixels[case.labels > 0]
    return inside if inside.size else middle_pixels(case.stack.pixels)


def middle_pixels(pixels: FloatArray) -> FloatArray:
    """Give the pixels (slice, row, column) of the inner two fifths of each side."""
    rows, columns = pixels.shape[1] * 3 // 10, pixels.shape[2] * 3 // 10
    middle = pixels[:, rows : pixels.shape[1] - rows, columns : pixels.shape[2] - columns]
    return middle if middle.size else pixels


def scar_threshold(case: Case) -> Threshold:
    """Offer one threshold for the stack.

    Halfway from the mean of remote wall to the brightest scar (98th percentile of what is
    labelled scar or MVO): FWHM against remote, which holds for magnitude and PSIR images alike.
    With no scar labelled, mean + 2 SD of remote wall (Kim 1999). With no wall, the 90th
    percentile of the middle of the slices.
    """
    heart = heart_pixels(case)
    low, high = (float(v) for v in np.percentile(heart, RANGE_PERCENTILES))
    high = max(high, low + 1e-3)
    signal = remote_signal(case)
    if signal is None:
        return Threshold(float(np.percentile(heart, 90)), "brightest tenth", low, high)
    scar = infarct_mask(case.labels)
    if scar.any():
        brightest = float(np.percentile(case.stack.pixels[scar], BRIGHTEST_PERCENTILE))
        if brightest > signal.mean:
            value = (signal.mean + brightest) / 2
            return Threshold(value, "halfway from remote wall to the brightest scar", low, high)
    return Threshold(signal.mean + N_SD * signal.sd, "remote wall + 2 SD", low, high)


def remote_signal(case: Case) -> RemoteSignal | None:
    """Measure the remote wall that :func:`scarseg.quant.remote.propose_remote` finds beside scar.

    None with too little wall.
    """
    from scarseg.quant import remote

    pixels, labels = case.stack.pixels, case.labels
    rows, columns = np.nonzero(wall_mask(labels).any(axis=0))
    if rows.size == 0:
        return None
    # The search costs by area: only round the wall.
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
    return remote.stack_remote_signal(pixels, region)


def with_mvo(
    pixels: FloatArray, labels: LabelArray, signal: RemoteSignal, spacing: tuple[float, float]
) -> LabelArray:
    """Label the dark cores of one slice (row, column) as MVO.

    A core is a piece (four neighbours) of infarct, or of wall shut in by it, that is not
    enhanced, up to mean + 2 SD of remote wall, and that lies within enhanced infarct or between
    it and the blood pool: more of its faces are on enhanced infarct than on other wall and
    background, and at least as many as on the pool. Cores under 10 mm2 are left alone.
    """
    from scipy import ndimage

    from scarseg.quant.components import dark_cores

    infarct = infarct_mask(labels)
    enhanced = infarct & (pixels > signal.mean + N_SD * signal.sd)
    dark = (infarct | dark_cores(infarct, wall_mask(labels))) & ~enhanced
    pieces, _ = ndimage.label(dark)
    sizes = np.bincount(pieces.ravel()) * (spacing[0] * spacing[1])
    pool = labels == Label.BLOOD_POOL
    out = labels.copy()
    for piece in np.flatnonzero(sizes[1:] >= SMALLEST_MVO_MM2) + 1:
        core: MaskArray = pieces == piece
        on_scar, on_pool = _faces(core, enhanced), _faces(core, pool)
        if on_scar > _faces(core, ~(core | enhanced | pool)) and on_scar >= on_pool:
            out[core] = Label.MVO
    return out


def _faces(core: MaskArray, other: MaskArray) -> int:
    """Count the pixel faces that two masks (row, column) share."""
    down = (core[1:] & other[:-1]) | (core[:-1] & other[1:])
    across = (core[:, 1:] & other[:, :-1]) | (core[:, :-1] & other[:, 1:])
    return int(np.count_nonzero(down) + np.count_nonzero(across))
