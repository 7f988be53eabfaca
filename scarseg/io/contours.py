"""Masks -> polygons that run along the borders of pixels, so that no voxel is lost or won."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scarseg.labels import MaskArray

Polygon = npt.NDArray[np.int64]
"""Corners (n, 2) as (column, row) of pixel borders: pixel i covers [i, i + 1); not closed."""

_Point = tuple[int, int]


def outlines(mask: MaskArray) -> list[Polygon]:
    """Give the polygons of a mask (row, column), one per piece; every corner is a pixel's.

    Filled by the even-odd rule they are the mask again, to the pixel. A hole is cut open to the
    left along a border between rows (a keyhole of no width), so that one polygon does for a
    ring. Pieces that touch at a corner only are apart.
    """
    loops = _loops(mask)
    outer = [loop for loop in loops if _area(loop) > 0]
    holes = sorted((loop for loop in loops if _area(loop) < 0), key=min)
    for hole in holes:
        _cut_open(outer, hole)
    return [np.array(_straightened(loop), dtype=np.int64) for loop in outer]


def _loops(mask: MaskArray) -> list[list[_Point]]:
    """Walk along all borders with the mask on the right hand (rows run down)."""
    padded = np.pad(mask, 1)
    follow: dict[_Point, list[_Point]] = {}

    def add(starts: npt.NDArray[np.intp], start: _Point, end: _Point) -> None:
        for row, column in starts.tolist():
            c, r = column - 1, row - 1
            follow.setdefault((c + start[0], r + start[1]), []).append((c + end[0], r + end[1]))

    add(np.argwhere(padded & ~np.roll(padded, 1, axis=0)), (0, 0), (1, 0))
    add(np.argwhere(padded & ~np.roll(padded, -1, axis=1)), (1, 0), (1, 1))
    add(np.argwhere(padded & ~np.roll(padded, -1, axis=0)), (1, 1), (0, 1))
    add(np.argwhere(padded & ~np.roll(padded, 1, axis=1)), (0, 1), (0, 0))
    loops = []
    while follow:
        start = min(follow)
        loop, here, came = [start], follow[start].pop(), start
        while here != start:
            loop.append(here)
            came, here = here, _next(follow[here], came, here)
        for point in loop:
            if point in follow and not follow[point]:
                del follow[point]
        loops.append(loop)
    return loops


def _next(choices: list[_Point], came: _Point, here: _Point) -> _Point:
    """Take the one way on; where two pieces touch at a corner, stay with one's own: turn right."""
    if len(choices) == 1:
        return choices.pop()
    step = (here[0] - came[0], here[1] - came[1])
    right = (here[0] - step[1], here[1] + step[0])
    choices.remove(right)
    return right


def _area(loop: list[_Point]) -> float:
    """Give the signed area, positive for a loop round a piece, negative round a hole."""
    points = np.array(loop, dtype=np.float64)
    following = np.roll(points, -1, axis=0)
    return float((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum() / 2)


def _cut_open(outer: list[list[_Point]], hole: list[_Point]) -> None:
    """Join a hole to the nearest border on its left; ``outer`` changes in place.

    Holes come from left to right, so that what lies on the left of one is joined already. The
    cut runs on a border between rows, where no pixel has its centre.
    """
    first = hole.index(min(hole))
    column, row = hole[first]
    best: tuple[int, int, int] | None = None
    for i, loop in enumerate(outer):
        for j, (c, r) in enumerate(loop):
            if r == row and c < column and (best is None or c > best[0]):
                best = (c, i, j)
    assert best is not None, "a hole lies inside a piece"
    _, i, j = best
    there = outer[i][j]
    cut = [there, *hole[first:], *hole[: first + 1], there]
    outer[i][j : j + 1] = cut


def _straightened(loop: list[_Point]) -> list[_Point]:
    """Leave out corners on a straight line; one where the line turns back stays."""
    kept = []
    for k, (c, r) in enumerate(loop):
        before, after = loop[k - 1], loop[(k + 1) % len(loop)]
        came = (c - before[0], r - before[1])
        goes = (after[0] - c, after[1] - r)
        straight = came[0] * goes[1] == came[1] * goes[0]
        forward = came[0] * goes[0] + came[1] * goes[1] > 0
        if not (straight and forward):
            kept.append((c, r))
    return kept
