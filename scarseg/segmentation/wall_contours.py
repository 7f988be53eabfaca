"""Contours of the wall: masks from contours, contours from labels.

A contour is a closed polygon of (column, row) corners in continuous source pixels: pixel i covers
[i, i + 1). A pixel belongs to it when its centre, i + 0.5, lies inside (even-odd rule).

A contour that is dragged becomes labels in two steps: :func:`heart_in_contours` for every move of
the mouse (geometry alone), :func:`scarseg.segmentation.refill.labels_in_contours` on release (the
segmenter predicts scar anew). In the window the same is done by setting the contours as prompts
of the slice (:meth:`scarseg.case.prompts.SlicePrompts.with_contours`) and correcting the wall.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import find_contours

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Contour
from scarseg.segmentation.proposal import largest_component

ABOUT = 1e-9
"""Shift of a corner that lies on a row of centres, so that no pixel belongs to two contours."""


class WallContours(NamedTuple):
    """Contours of one slice; None where the labels have no pool, or no heart."""

    endocardium: Contour | None
    epicardium: Contour | None


def contours_of(labels: LabelArray) -> WallContours:
    """Return the borders of pool and heart of labels (row, column) as sub-pixel polygons.

    The largest component of each; without its holes. Filled again by :func:`contour_mask`, they
    give the pixels they came from.
    """
    pool = labels == np.uint8(Label.BLOOD_POOL)
    return WallContours(_border(pool), _border(labels > np.uint8(Label.BACKGROUND)))


def contour_mask(contour: Contour, shape: tuple[int, int]) -> MaskArray:
    """Return the pixels (row, column) whose centre lies inside a contour; parts off it are cut."""
    corners = np.array(contour, dtype=np.float64)[:, ::-1] - 0.5 + ABOUT
    return np.asarray(polygon2mask(shape, corners), dtype=np.bool_)


def heart_in_contours(
    wall: MaskArray, pool: MaskArray, endocardium: Contour | None, epicardium: Contour | None
) -> tuple[MaskArray, MaskArray]:
    """Return masks of wall and pool as contours enclose them.

    Args:
        wall: whole wall (row, column) before, scar included.
        pool: blood pool before. Both stay on the side that has no contour.
        endocardium: border of the pool. Without, the pool is that of before within the
            epicardium.
        epicardium: outer border of the wall. Without, it is that of before.
    """
    shape = (wall.shape[0], wall.shape[1])
    whole = wall | pool
    if epicardium is not None:
        whole = contour_mask(epicardium, shape)
        pool = pool & whole
    if endocardium is not None:
        pool = contour_mask(endocardium, shape)
    return whole & ~pool, pool


def _border(mask: MaskArray) -> Contour | None:
    """Return the outer border of the largest component of a mask (row, column)."""
    if not mask.any():
        return None
    filled = ndimage.binary_fill_holes(np.pad(largest_component(mask), 1))
    padded = np.asarray(filled, dtype=np.float64)
    found = max(find_contours(padded, 0.5), key=len)[:-1] - 0.5
    return tuple((float(column), float(row)) for row, column in found)
