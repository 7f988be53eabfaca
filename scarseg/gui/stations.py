"""Where a hand without a mouse jumps to: the corners and borders of boxes, and points."""

from __future__ import annotations

from dataclasses import dataclass

from scarseg.gui import tools
from scarseg.labels import Label
from scarseg.prompts import Box, SlicePrompts


@dataclass(frozen=True)
class Station:
    """A place the cursor jumps to: (column, row) of box or point ``index``, and the tool for it."""

    kind: str
    index: int
    at: tools.Position
    tool: str = ""


def stations(prompts: SlicePrompts, reach: float, structure: Label = Label.SCAR) -> list[Station]:
    """Give every place worth a jump: of a box two corners and its border, then the points.

    ``reach`` is how far a hand may be off a handle, in source pixels; ``structure`` is what the
    boxes are of: scar, wall (the ventricle's) or blood pool.
    """
    boxes, kind, tool = prompts.boxes, "box", "box"
    if structure is Label.MYOCARDIUM:
        boxes, kind, tool = _one(prompts.lv_box), "", "ventricle"
    elif structure is Label.BLOOD_POOL:
        boxes, kind = _one(prompts.pool_box), "pool"
    found = []
    for index, box in enumerate(boxes):
        corners = tools.handles(box, reach)
        places = (corners["se"], corners["nw"], _on_border(box, reach))
        found += [Station(kind, index, at, tool) for at in places]
    found += [
        Station("point", index, (point.column, point.row))
        for index, point in enumerate(prompts.points)
    ]
    return found


def _one(box: Box | None) -> tuple[Box, ...]:
    return () if box is None else (box,)


def _on_border(box: Box, reach: float) -> tools.Position:
    """Give a place on the upper side that holds no handle: there the box moves."""
    share = 0.25 if "n" in tools.handles(box, reach) else 0.5
    return box.column0 + share * box.width, box.row0
