"""Scar within a wall whose contours a reader moved.

Scar in the wall that stayed is the reader's or the models' and stays to the voxel. In wall that
is new there is scar where the segmenter predicts it, and where tissue as bright as scar continues
scar that is there: the segmenter took it for blood pool or for fat until the reader moved the
contour, and so hardly ever predicts scar there. Bright is above the middle between the medians of
scar and of the other wall of the slice. It serves where scar is not predicted anew inside the new
wall, which comes closer to a reference (benchmarks/moved_wall.py): scar of a reader, or of a
segmenter that takes no walls.
"""

from __future__ import annotations

import numpy as np
from skimage.measure import label as connected

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask
from scarseg.case.stack import FloatArray
from scarseg.models import Logits
from scarseg.segmentation.proposal import RULES, ProposalRules

BRIGHT = 0.5
"""Scar-bright is this far from the median of the other wall to that of scar."""


def scar_in_moved_wall(
    pixels: FloatArray,
    before: LabelArray,
    after: LabelArray,
    new_wall: MaskArray,
    logits: Logits | None = None,
    rules: ProposalRules = RULES,
) -> LabelArray:
    """Return labels after a move of the wall, with the scar of its new part.

    Args:
        pixels: the slice, in source units; all arguments are (row, column).
        before: labels before the move, of which the brightness of scar is known.
        after: labels after it, without scar in new wall.
        new_wall: where there is wall that was none before.
        logits: the prediction behind the labels before.
        rules: those by which scar was predicted.
    """
    scar: MaskArray = np.zeros_like(new_wall)
    if not new_wall.any():
        return after.copy()
    if logits is not None:
        scar |= new_wall & (logits.scar > rules.prompted_logit)
    kept = infarct_mask(after)
    bright = _scar_brightness(pixels, before)
    if bright is not None and kept.any():
        part = _extent(new_wall | kept)
        candidates = (new_wall[part] & (pixels[part] > bright)) | kept[part]
        components = connected(candidates, connectivity=1)
        continues = np.isin(components, np.unique(components[kept[part]]))
        scar[part] |= new_wall[part] & candidates & continues
    labels = after.copy()
    labels[scar] = Label.SCAR
    return labels


def _extent(mask: MaskArray) -> tuple[slice, slice]:
    """Return the rows and columns that hold all of a mask (row, column), which is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _scar_brightness(pixels: FloatArray, labels: LabelArray) -> float | None:
    """Return the signal above which tissue is as bright as scar; None where nothing tells."""
    scar, wall = pixels[labels == Label.SCAR], pixels[labels == Label.MYOCARDIUM]
    if not scar.size or not wall.size:
        return None
    low, high = float(np.median(wall)), float(np.median(scar))
    return None if high <= low else low + BRIGHT * (high - low)
