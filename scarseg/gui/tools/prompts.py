"""Gestures to prompts: numbers in, numbers out. No Qt here.

Positions are continuous source pixels (column, row), as in :mod:`scarseg.case.prompts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts

Position = tuple[float, float]
VENTRICLE = "ventricle box"
"""The verb of a gesture that moves the box round the left ventricle."""
NAMES = {Label.SCAR: "scar", Label.MYOCARDIUM: "wall", Label.BLOOD_POOL: "blood pool"}
"""What boxes and points can ask for."""
REFUSED = {
    Label.MVO: "MVO is not asked for with boxes and points: O proposes it, the brush draws it.",
    Label.BACKGROUND: "Boxes and points ask for blood pool, wall or scar: press 1, 2 or 3.",
}
"""Why a label cannot be asked for."""
SAME_BOX = 0.25
"""A box drawn over a detector's takes its place when they share more than this part of the
smaller one: the box is then proposed wrongly, and drawn better. The segmenter would hold to it."""
SMALLEST_BOX = 1.5
"""A drag shorter than this on either side, in source pixels, draws no box."""
BORDER = "border"
"""The part of a box that moves it."""
SIDE_HANDLE = 6.0
"""A side this many times the reach long has a handle in its middle."""


@dataclass(frozen=True)
class Prompted:
    """The outcome of a gesture that changes what is asked for."""

    verb: str
    prompts: SlicePrompts


@dataclass(frozen=True)
class Grip:
    """What a press grabbed: box ``index`` by ``part`` (compass letters, or BORDER)."""

    index: int
    part: str


def handles(box: Box, reach: float) -> dict[str, Position]:
    """Return where a box can be resized: compass letters and (column, row).

    A side has a handle in its middle where enough of it is left beside that to move the box
    by. ``reach`` is how far the mouse may be off, in source pixels.
    """
    middle_column, middle_row = box.centre
    places = {
        "nw": (box.column0, box.row0),
        "ne": (box.column1, box.row0),
        "sw": (box.column0, box.row1),
        "se": (box.column1, box.row1),
    }
    if box.width >= SIDE_HANDLE * reach:
        places |= {"n": (middle_column, box.row0), "s": (middle_column, box.row1)}
    if box.height >= SIDE_HANDLE * reach:
        places |= {"w": (box.column0, middle_row), "e": (box.column1, middle_row)}
    return places


def grip_at(boxes: Sequence[Box], at: Position, reach: float) -> Grip | None:
    """Find the handle or border under the mouse, the smallest box first; the inside is free."""
    for index in sorted(range(len(boxes)), key=lambda i: _area(boxes[i])):
        part = _part(boxes[index], at, reach)
        if part:
            return Grip(index, part)
    return None


def box_round(boxes: Sequence[Box], at: Position) -> int | None:
    """Find the smallest box that the mouse is in."""
    holding = [i for i, box in enumerate(boxes) if box.contains(*at)]
    return min(holding, key=lambda i: _area(boxes[i]), default=None)


def _area(box: Box) -> float:
    return box.width * box.height


def _shared(one: Box, other: Box) -> float:
    """Return how much of the smaller of two boxes lies in the other, 0 to 1."""
    width = min(one.column1, other.column1) - max(one.column0, other.column0)
    height = min(one.row1, other.row1) - max(one.row0, other.row0)
    return max(width, 0.0) * max(height, 0.0) / min(_area(one), _area(other))


def _part(box: Box, at: Position, reach: float) -> str:
    column, row = at
    across, down = (box.column0, box.column1), (box.row0, box.row1)
    for part, (c, r) in handles(box, reach).items():
        if _close(column, c, across, reach) and _close(row, r, down, reach):
            return part
    near = all(
        sides[0] - reach <= value <= sides[1] + reach
        for value, sides in ((column, across), (row, down))
    )
    on_side = any(_close(column, side, across, reach) for side in across)
    on_side |= any(_close(row, side, down, reach) for side in down)
    return BORDER if near and on_side else ""


def _close(value: float, place: float, sides: tuple[float, float], reach: float) -> bool:
    """Return whether the mouse is at a place; a small box must keep an inside to press."""
    inward = min(reach, (sides[1] - sides[0]) / 4)
    before = inward if place == sides[1] else reach
    after = inward if place == sides[0] else reach
    return -before <= value - place <= after


def pulled(box: Box, part: str, by: Position, shape: tuple[int, int]) -> Box:
    """Move or resize a box by (column, row), kept inside a slice of ``shape`` (row, column)."""
    dc, dr = by
    c0, r0, c1, r1 = box.column0, box.row0, box.column1, box.row1
    if part == BORDER:
        dc = min(max(dc, -c0), shape[1] - c1)
        dr = min(max(dr, -r0), shape[0] - r1)
        c0, c1, r0, r1 = c0 + dc, c1 + dc, r0 + dr, r1 + dr
    else:
        c0, c1 = c0 + dc * ("w" in part), c1 + dc * ("e" in part)
        r0, r1 = r0 + dr * ("n" in part), r1 + dr * ("s" in part)
    return _clipped((c0, r0), (c1, r1), shape) or box


def _clipped(one: Position, other: Position, shape: tuple[int, int]) -> Box | None:
    columns = sorted(min(max(v, 0.0), float(shape[1])) for v in (one[0], other[0]))
    rows = sorted(min(max(v, 0.0), float(shape[0])) for v in (one[1], other[1]))
    if columns[1] - columns[0] < SMALLEST_BOX or rows[1] - rows[0] < SMALLEST_BOX:
        return None
    return Box(columns[0], rows[0], columns[1], rows[1], Origin.READER)


class BoxTool:
    """Drag to draw a box, inside another too; drag a handle to resize, the border to move.

    For scar there may be many, and one drawn over what the detector proposed, or inside it, takes
    its place.
    For the wall (the box round the left ventricle) and the blood pool there is one: a new box
    replaces the old.
    """

    def __init__(self, structure: Label = Label.SCAR) -> None:
        self.structure = structure
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
        self._grip = None if new else self.grip(prompts, at, reach)
        return None if self._grip is None else self._grip.index

    def grip(self, prompts: SlicePrompts, at: Position, reach: float) -> Grip | None:
        """Find what a press here would take hold of."""
        return grip_at(self._boxes(prompts), at, reach)

    def taken(self, prompts: SlicePrompts, at: Position, reach: float) -> int | None:
        """Find the box that a click takes, on its border or anywhere inside."""
        grip = self.grip(prompts, at, reach)
        return box_round(self._boxes(prompts), at) if grip is None else grip.index

    def move(self, at: Position) -> SlicePrompts:
        """Return the prompts as a release here would leave them."""
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
        if self.structure is Label.SCAR:
            return prompts.boxes
        one = prompts.lv_box if self.structure is Label.MYOCARDIUM else prompts.pool_box
        return () if one is None else (one,)

    def _with(self, index: int, box: Box) -> SlicePrompts:
        if self.structure is Label.MYOCARDIUM:
            return replace(self._before, lv_box=box)
        if self.structure is Label.BLOOD_POOL:
            return replace(self._before, pool_box=box)
        before = self._before.boxes
        kept = before[:index] + before[index + 1 :]
        if self._grip is None:
            kept = tuple(one for one in before if not self._is_corrected(one, box))
            index = next((i for i, one in enumerate(before) if one not in kept), index)
        return replace(self._before, boxes=(*kept[:index], box, *kept[index:]))

    def _is_corrected(self, proposed: Box, drawn: Box) -> bool:
        """Return whether a drawn box is a detector's one drawn better."""
        return proposed.origin is Origin.DETECTOR and _shared(proposed, drawn) > SAME_BOX

    def rebase(self, now: SlicePrompts) -> None:
        """Update the prompts to what they are now: an answer may have come in between.

        A grabbed box that is gone is released.
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
        self._start = None
        verb = "add box" if len(after.boxes) > len(self._before.boxes) else "correct box"
        if self._grip is not None:
            verb = "move box" if self._grip.part == BORDER else "resize box"
        if self.structure is Label.MYOCARDIUM:
            verb = VENTRICLE
        elif self.structure is Label.BLOOD_POOL:
            verb = "blood pool box"
        return None if after == self._before else Prompted(verb, after)


def point_at(prompts: SlicePrompts, at: Position, reach: float) -> int | None:
    """Find the point under the mouse."""
    best, nearest = None, reach
    for index, point in enumerate(prompts.points):
        distance = float(np.hypot(point.column - at[0], point.row - at[1]))
        if distance <= nearest:
            best, nearest = index, distance
    return best


def add_point(
    prompts: SlicePrompts, at: Position, positive: bool, structure: Label = Label.SCAR
) -> Prompted:
    """Add a click: scar, wall or blood pool here, or not."""
    words = ["add", *([] if positive else ["negative"])]
    words += [] if structure is Label.SCAR else [NAMES[structure]]
    point = Point(at[0], at[1], positive, structure)
    return Prompted(" ".join([*words, "point"]), prompts.with_point(point))


def without(prompts: SlicePrompts, kind: str, index: int) -> Prompted | None:
    """Delete the box or point of this index; ``kind`` is "box", "point" or "pool".

    Where nothing asks for scar any more after a box went, there is none: its scar goes with it.
    """
    if kind == "pool" and prompts.pool_box is not None:
        return Prompted("delete blood pool box", replace(prompts, pool_box=None))
    if kind == "box" and index < len(prompts.boxes):
        boxes = prompts.boxes[:index] + prompts.boxes[index + 1 :]
        after = replace(prompts, boxes=boxes)
        return Prompted("delete box", replace(after, no_scar=not after.has_scar_prompts))
    if kind == "point" and index < len(prompts.points):
        points = prompts.points[:index] + prompts.points[index + 1 :]
        structure = prompts.points[index].structure
        name = "" if structure is Label.SCAR else f"{NAMES[structure]} "
        return Prompted(f"delete {name}point", replace(prompts, points=points))
    return None
