"""Gestures to prompts: numbers in, numbers out. No Qt here.

Positions are continuous source pixels (column, row), as in :mod:`scarseg.prompts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.prompts import Box, Origin, Point, SlicePrompts

Position = tuple[float, float]
VENTRICLE = "ventricle box"
"""The verb of a gesture that moves the box round the left ventricle."""
SMALLEST_BOX = 1.5
"""A drag shorter than this on either side, in source pixels, draws no box."""


@dataclass(frozen=True)
class Prompted:
    """The outcome of a gesture that changes what is asked for."""

    verb: str
    prompts: SlicePrompts


@dataclass(frozen=True)
class Grip:
    """What the hand holds: box ``index`` by ``part`` (compass letters, or "inside")."""

    index: int
    part: str


def grip_at(boxes: Sequence[Box], at: Position, reach: float) -> Grip | None:
    """Find the box handle or border under the hand, the smallest box first."""
    column, row = at
    order = sorted(range(len(boxes)), key=lambda i: _area(boxes[i]))
    for index in order:
        part = _part(boxes[index], column, row, reach)
        if part:
            return Grip(index, part)
    for index in order:
        if boxes[index].contains(column, row):
            return Grip(index, "inside")
    return None


def _area(box: Box) -> float:
    return box.width * box.height


def _part(box: Box, column: float, row: float, reach: float) -> str:
    reach_c, reach_r = min(reach, box.width / 3), min(reach, box.height / 3)
    if not (box.column0 - reach <= column <= box.column1 + reach):
        return ""
    if not (box.row0 - reach <= row <= box.row1 + reach):
        return ""
    north, south = row - box.row0 < reach_r, box.row1 - row < reach_r
    west, east = column - box.column0 < reach_c, box.column1 - column < reach_c
    return ("n" if north else "s" if south else "") + ("w" if west else "e" if east else "")


def pulled(box: Box, part: str, by: Position, shape: tuple[int, int]) -> Box:
    """Move or resize a box by (column, row), kept inside a slice of ``shape`` (row, column)."""
    dc, dr = by
    c0, r0, c1, r1 = box.column0, box.row0, box.column1, box.row1
    if part == "inside":
        dc = min(max(dc, -c0), shape[1] - c1)
        dr = min(max(dr, -r0), shape[0] - r1)
        c0, c1, r0, r1 = c0 + dc, c1 + dc, r0 + dr, r1 + dr
    if "w" in part and part != "inside":
        c0 += dc
    if "e" in part and part != "inside":
        c1 += dc
    if "n" in part and part != "inside":
        r0 += dr
    if "s" in part and part != "inside":
        r1 += dr
    return _clipped((c0, r0), (c1, r1), shape) or box


def _clipped(one: Position, other: Position, shape: tuple[int, int]) -> Box | None:
    columns = sorted(min(max(v, 0.0), float(shape[1])) for v in (one[0], other[0]))
    rows = sorted(min(max(v, 0.0), float(shape[0])) for v in (one[1], other[1]))
    if columns[1] - columns[0] < SMALLEST_BOX or rows[1] - rows[0] < SMALLEST_BOX:
        return None
    return Box(columns[0], rows[0], columns[1], rows[1], Origin.READER)


class BoxTool:
    """Drag to draw a box; drag a handle to resize, the inside to move.

    For scar there may be many; for the ventricle (``ventricle``) a new box replaces the old.
    """

    def __init__(self, ventricle: bool = False) -> None:
        self._ventricle = ventricle
        self._start: Position | None = None
        self._grip: Grip | None = None
        self._before = SlicePrompts()
        self._shape = (0, 0)

    def press(
        self,
        prompts: SlicePrompts,
        at: Position,
        reach: float,
        shape: tuple[int, int],
        new: bool = False,
    ) -> int | None:
        """Begin; return the index of the box that was taken, if any. ``new`` always draws."""
        self._start, self._before, self._shape = at, prompts, shape
        self._grip = None if new else grip_at(self._boxes(prompts), at, reach)
        return None if self._grip is None else self._grip.index

    def move(self, at: Position) -> SlicePrompts:
        """Give the prompts as they would be were the hand to let go here."""
        if self._start is None:
            return self._before
        if self._grip is None:
            box = _clipped(self._start, at, self._shape)
            return self._before if box is None else self._with(len(self._boxes(self._before)), box)
        by = (at[0] - self._start[0], at[1] - self._start[1])
        if by == (0.0, 0.0):
            return self._before
        box = self._boxes(self._before)[self._grip.index]
        return self._with(self._grip.index, pulled(box, self._grip.part, by, self._shape))

    def _boxes(self, prompts: SlicePrompts) -> tuple[Box, ...]:
        if not self._ventricle:
            return prompts.boxes
        return () if prompts.lv_box is None else (prompts.lv_box,)

    def _with(self, index: int, box: Box) -> SlicePrompts:
        if self._ventricle:
            return replace(self._before, lv_box=box)
        boxes = (*self._before.boxes[:index], box, *self._before.boxes[index + 1 :])
        return replace(self._before, boxes=boxes)

    def rebase(self, now: SlicePrompts) -> None:
        """Go on from the prompts as they are now: an answer may have come in between.

        A box in hand that is gone is let go.
        """
        if self._grip is not None and self._start is not None:
            held, boxes = self._boxes(self._before)[self._grip.index], self._boxes(now)
            if held in boxes:
                self._grip = replace(self._grip, index=boxes.index(held))
            else:
                self._start = None
        self._before = now

    def release(self, at: Position) -> Prompted | None:
        """End; None when nothing changed."""
        after = self.move(at)
        verb = "add box"
        if self._grip is not None:
            verb = "move box" if self._grip.part == "inside" else "resize box"
        if self._ventricle:
            verb = VENTRICLE
        self._start = None
        return None if after == self._before else Prompted(verb, after)


def point_at(prompts: SlicePrompts, at: Position, reach: float) -> int | None:
    """Find the point under the hand."""
    best, nearest = None, reach
    for index, point in enumerate(prompts.points):
        distance = float(np.hypot(point.column - at[0], point.row - at[1]))
        if distance <= nearest:
            best, nearest = index, distance
    return best


def add_point(prompts: SlicePrompts, at: Position, positive: bool) -> Prompted:
    """Add a click: scar here, or not."""
    verb = "add point" if positive else "add negative point"
    return Prompted(verb, prompts.with_point(Point(at[0], at[1], positive)))


def without(prompts: SlicePrompts, kind: str, index: int) -> Prompted | None:
    """Delete the box or point of this index."""
    if kind == "box" and index < len(prompts.boxes):
        boxes = prompts.boxes[:index] + prompts.boxes[index + 1 :]
        return Prompted("delete box", replace(prompts, boxes=boxes))
    if kind == "point" and index < len(prompts.points):
        points = prompts.points[:index] + prompts.points[index + 1 :]
        return Prompted("delete point", replace(prompts, points=points))
    return None
