"""Geometry of contours of the wall: their pixels, area and crossings.

A contour is a closed polygon of (column, row) corners in continuous source pixels: pixel i covers
[i, i + 1). A pixel belongs to it when its centre, i + 0.5, lies inside by the even-odd rule.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scarseg.case.borders import trace_borders
from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Contour, SlicePrompts

Floats = npt.NDArray[np.float64]


def contour_mask(contour: Contour, shape: tuple[int, int]) -> MaskArray:
    """Return the pixels (row, column) whose centre a contour encloses; parts off them are cut."""
    x0, y0 = np.array(contour, dtype=np.float64).T[:, :, np.newaxis]
    x1, y1 = np.roll(x0, -1, axis=0), np.roll(y0, -1, axis=0)
    centres = np.arange(shape[0]) + 0.5
    edges, rows = np.nonzero((y0 > centres) != (y1 > centres))
    share = (centres[rows] - y0[edges, 0]) / (y1 - y0)[edges, 0]
    crossings = x0[edges, 0] + share * (x1 - x0)[edges, 0]
    # Right of a crossing inside and outside swap, from the first centre that is not left of it on.
    columns = np.clip(np.ceil(crossings - 0.5), 0, shape[1]).astype(np.intp)
    swaps = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    np.add.at(swaps, (rows, columns), 1)
    inside: MaskArray = np.cumsum(swaps, axis=1)[:, : shape[1]] % 2 == 1
    return inside


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
    from scipy import ndimage  # the window starts without it

    components, n = ndimage.label(mask)
    if n > 1:
        mask = components == 1 + int(np.argmax(np.bincount(components.ravel())[1:]))
    filled = ndimage.binary_fill_holes(mask)
    border = trace_borders(filled)[0][:-1]
    return tuple((float(column), float(row)) for column, row in border)


def area(contour: Contour) -> float:
    """Return the area of a contour in pixels (shoelace formula); loops of both senses cancel."""
    corners = np.array(contour, dtype=np.float64)
    return abs(_signed_area(corners - corners[0]))


def largest_loop_share(contour: Contour) -> float:
    """Return how much a contour that crosses itself encloses twice or not at all.

    At every crossing it falls into two loops; returned is the largest share, 0 to 1, that the
    smaller loop has of the larger one. 0 for a simple contour; a figure of eight has 1.
    """
    corners = np.array(contour, dtype=np.float64)
    corners -= corners[0]
    n, worst = len(corners), 0.0
    starts, edges = corners, np.roll(corners, -1, axis=0) - corners
    # Edge i from start p_i along r_i meets edge j at p_i + t r_i = p_j + u r_j.
    for i in range(n - 2):
        later = np.arange(i + 2, n if i else n - 1)
        between = starts[later] - starts[i]
        turn = _cross(edges[i], edges[later])
        with np.errstate(divide="ignore", invalid="ignore"):
            t = _cross(between, edges[later]) / turn
            u = _cross(between, edges[i]) / turn
        for j in later[(turn != 0) & (t > 0) & (t < 1) & (u > 0) & (u < 1)]:
            meeting = starts[i] + t[j - i - 2] * edges[i]
            inner = np.vstack([meeting, corners[i + 1 : j + 1]])
            outer = np.vstack([corners[: i + 1], meeting, corners[j + 1 :]])
            small, large = sorted(abs(_signed_area(one)) for one in (inner, outer))
            worst = max(worst, small / large if large else 1.0)
    return worst


def check_contours(prompts: SlicePrompts, shape: tuple[int, int]) -> None:
    """Check that contours enclose pixels of an image (row, column), and wall between them.

    Raises:
        ValueError: what is wrong, without its slice.
    """
    masks = {}
    for name in ("endocardium", "epicardium"):
        contour: Contour | None = getattr(prompts, name)
        if contour is not None:
            masks[name] = contour_mask(contour, shape)
            if not masks[name].any():
                raise ValueError(f"the {name} encloses no pixel")
    if len(masks) == 2:
        inner, outer = masks["endocardium"], masks["epicardium"]
        if not (outer & ~inner).any() or 2 * np.count_nonzero(inner & outer) < inner.sum():
            raise ValueError("the endocardium does not lie within the epicardium")


def _cross(one: Floats, other: Floats) -> Floats:
    found: Floats = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    return found


def _signed_area(corners: Floats) -> float:
    x, y = corners[:, 0], corners[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2
