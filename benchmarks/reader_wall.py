"""When a reader drags a contour of the wall, and from where to where.

The reader sees the contours, knows those of the reference, and knows from experience what
scar a drag leaves, since scar follows the wall as the window says. Of the drags that bring a
contour to where it belongs, beside a piece of the scar's error, the one that corrects most is
made, by a mouse that is off by a normal error of 1 mm; none where it would not be worth its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.reader_decisions import agreement
from scarseg.case.labels import Label, LabelArray, infarct_mask, without_infarct
from scarseg.case.stack import FloatArray
from scarseg.gui.tools.contours import (
    Border,
    ContourDrag,
    HeartContours,
    Position,
    WallMoved,
)
from scarseg.segmentation.moved_wall import scar_in_moved_wall
from scarseg.training.prompts import components

MOUSE_MM = 1.0
WORTH = 0.08
"""A drag that does not make the slice good enough must raise its Dice by this much."""
PIECES = 3
"""The reader looks at so many pieces of error."""


@dataclass(frozen=True)
class DragContour:
    """Drag a contour from one place (column, row) to another."""

    start: Position
    end: Position


@dataclass(frozen=True, eq=False)
class SeenSlice:
    """A slice as a reader sees it: pixels, labels, wall and pool without their scar.

    ``refilled`` returns labels with the scar that is predicted anew, for labels after a move of the
    wall and those under their scar; None where the window does not predict it anew.
    """

    pixels: FloatArray
    labels: LabelArray
    under_scar: LabelArray
    spacing: tuple[float, float]
    refilled: Callable[[LabelArray, LabelArray], LabelArray] | None = None

    def after(self, moved: WallMoved) -> LabelArray:
        """Return the labels that a move of the wall leaves."""
        if self.refilled is not None:
            return self.refilled(moved.labels, moved.under_scar)
        new_wall = moved.under_scar == Label.MYOCARDIUM
        new_wall &= self.under_scar != Label.MYOCARDIUM
        return scar_in_moved_wall(self.pixels, self.labels, moved.labels, new_wall)


def drag_wall(
    truth: LabelArray, seen: SeenSlice, good: float, worth: float, rng: np.random.Generator
) -> DragContour | None:
    """Choose the drag that corrects most of the scar; None where none is worth it.

    Args:
        truth: labels of the reference (row, column).
        good: the Dice that is good enough.
        worth: what a drag that does not reach it must raise it by.
    """
    scar = infarct_mask(truth)
    now = agreement(infarct_mask(seen.labels), scar)
    best, most = None, now
    for drag, end in _candidates(truth, seen):
        moved = drag.moved(drag.contours(end), seen.labels, seen.under_scar)
        if moved is None:
            continue
        after = agreement(infarct_mask(seen.after(moved)), scar)
        if after > most:
            best, most = DragContour(drag.start, end), after
    if best is None or (most < good and most - now < worth):
        return None
    column, row = rng.normal(0, MOUSE_MM, 2) / np.array(seen.spacing[::-1])
    return DragContour(best.start, (best.end[0] + float(column), best.end[1] + float(row)))


def _candidates(truth: LabelArray, seen: SeenSlice) -> Iterator[tuple[ContourDrag, Position]]:
    """Yield drags of both contours to where they belong, beside the largest pieces of error."""
    shown = HeartContours.trace(seen.under_scar)
    wanted = HeartContours.trace(without_infarct(truth))
    wrong = infarct_mask(truth) ^ infarct_mask(seen.labels)
    if shown is None or wanted is None or not wrong.any():
        return
    for piece in components(wrong)[:PIECES]:
        rows, columns = np.nonzero(piece)
        middle = float(columns.mean()) + 0.5, float(rows.mean()) + 0.5
        for border in Border:
            one, other = shown[border], wanted[border]
            if one is None or other is None:
                continue
            index, _ = one.nearest(middle)
            start = float(one.points[index][0]), float(one.points[index][1])
            end = other.points[other.nearest(start)[0]]
            drag = ContourDrag(border, index, shown, start, seen.spacing)
            yield drag, (float(end[0]), float(end[1]))
