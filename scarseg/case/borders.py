"""Trace the borders of masks, fast enough for every stroke of a brush."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import MaskArray

ABOVE, LEFT, BELOW, RIGHT = range(4)
"""Neighbouring pixels of a cell of 2 x 2 pixels between which a border crosses."""
CROSSED = {
    1: ((ABOVE, LEFT),),
    2: ((RIGHT, ABOVE),),
    3: ((RIGHT, LEFT),),
    4: ((BELOW, RIGHT),),
    5: ((ABOVE, LEFT), (BELOW, RIGHT)),
    6: ((BELOW, ABOVE),),
    7: ((BELOW, LEFT),),
    8: ((LEFT, BELOW),),
    9: ((ABOVE, BELOW),),
    10: ((RIGHT, ABOVE), (LEFT, BELOW)),
    11: ((RIGHT, BELOW),),
    12: ((LEFT, RIGHT),),
    13: ((ABOVE, RIGHT),),
    14: ((LEFT, ABOVE),),
}
"""Where a border enters and leaves a cell, by the pixels of the mask in it.

1 is the upper left pixel, 2 the upper right, 4 the lower right, 8 the lower left. The mask lies to
the right of a border that is followed. Pixels that touch at a corner alone are not connected.
"""


def trace_borders(mask: MaskArray) -> list[npt.NDArray[np.float64]]:
    """Return the closed borders of a mask (row, column), of holes too: marching squares.

    Each is an array (n, 2) of column and row in continuous source pixels, pixel i covering
    [i, i + 1): it goes through the middles between pixels of the mask and others, without those
    on straight lines, its first point repeated as its last.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    part = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.uint8)
    cells = part[:-1, :-1] + 2 * part[:-1, 1:] + 4 * part[1:, 1:] + 8 * part[1:, :-1]
    width = part.shape[1]
    # Crossings are numbered 2 * pixel: + 0 to its right neighbour, + 1 to the one below it.
    offsets = {ABOVE: 0, LEFT: 1, BELOW: 2 * width, RIGHT: 3}
    at_row, at_column = np.nonzero((cells > 0) & (cells < 15))
    codes, pixels = cells[at_row, at_column], 2 * (at_row * width + at_column)
    following: dict[int, int] = {}
    for code, crossings in CROSSED.items():
        chosen = pixels[codes == code]
        for enters, leaves in crossings:
            starts, ends = chosen + offsets[enters], chosen + offsets[leaves]
            following.update(zip(starts.tolist(), ends.tolist(), strict=True))
    found = []
    while following:
        start, following_one = following.popitem()
        border = [start, following_one]
        while following_one != start:
            following_one = following.pop(following_one)
            border.append(following_one)
        pixel, below = np.divmod(np.array(border), 2)
        row, column = np.divmod(pixel, width)
        points = np.stack([column + np.where(below, -0.5, 0.0), row - np.where(below, 0.0, 0.5)], 1)
        found.append(_without_straight(points) + np.array([left, top]))
    return found


def _without_straight(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Leave out the points in the middle of a straight line; every point costs when drawn."""
    steps = np.diff(points, axis=0)
    turns = np.any(np.diff(steps, axis=0) != 0, axis=1)
    kept: npt.NDArray[np.float64] = points[np.concatenate(([True], turns, [True]))]
    return kept
