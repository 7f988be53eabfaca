"""The values a case file is made of, as JSON and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from scarseg.case import SliceReading, SliceStatus
from scarseg.labels import Label, Patch
from scarseg.prompts import Box, Origin, Point, SlicePrompts


def reading_document(reading: SliceReading) -> dict[str, Any]:
    """Turn a reading into JSON."""
    prompts = reading.prompts
    return {
        "boxes": [box_document(box) for box in prompts.boxes],
        "points": [_point_document(each) for each in prompts.points],
        "lv_box": None if prompts.lv_box is None else box_document(prompts.lv_box),
        "pool_box": None if prompts.pool_box is None else box_document(prompts.pool_box),
        "no_scar": bool(prompts.no_scar),
        "status": reading.status.value,
        "edited": bool(reading.edited),
        "reason": reading.reason,
    }


def read_reading(document: dict[str, Any]) -> SliceReading:
    """Turn JSON into a reading; every error of a wrong value is one of type or value."""
    lv_box, pool_box = document["lv_box"], document.get("pool_box")
    prompts = SlicePrompts(
        boxes=tuple(read_box(each) for each in document["boxes"]),
        points=tuple(_point(each) for each in document["points"]),
        lv_box=None if lv_box is None else read_box(lv_box),
        no_scar=flag(document["no_scar"]),
        pool_box=None if pool_box is None else read_box(pool_box),
    )
    status = SliceStatus(document["status"])
    return SliceReading(prompts, status, flag(document["edited"]), text(document["reason"]))


def _point_document(point: Point) -> list[Any]:
    place = [float(point.column), float(point.row), bool(point.positive)]
    return place if point.structure is Label.SCAR else [*place, int(point.structure)]


def _point(values: list[Any]) -> Point:
    column, row, positive, *structure = values
    (asked,) = structure or (Label.SCAR,)
    return Point(float(column), float(row), flag(positive), Label(asked))


def box_document(box: Box) -> list[Any]:
    """Turn a box into JSON: corners, origin, score."""
    corners = [float(v) for v in (box.column0, box.row0, box.column1, box.row1)]
    return [*corners, box.origin.value, None if box.score is None else float(box.score)]


def read_box(values: list[Any]) -> Box:
    """Turn JSON into a box."""
    *corners, origin, score = values
    column0, row0, column1, row1 = (float(v) for v in corners)
    certainty = None if score is None else float(score)
    return Box(column0, row0, column1, row1, Origin(origin), certainty)


def patch_document(patch: Patch) -> list[Any]:
    """Turn a patch into JSON: corner, size, and its bytes in base 64."""
    packed = b64encode(patch.packed).decode("ascii")
    return [patch.row, patch.column, patch.rows, patch.columns, packed]


def read_patch(values: list[Any], shape: tuple[int, ...]) -> Patch:
    """Turn JSON into a patch that lies within a slice of a stack (slice, row, column).

    Raises:
        ValueError, TypeError: it does not, or it is no patch.
    """
    *place, packed = values
    row, column, rows, columns = (int(v) for v in place)
    if min(row, column, rows, columns) < 0 or row + rows > shape[1] or column + columns > shape[2]:
        raise ValueError("a patch must lie within its slice")
    patch = Patch(row, column, rows, columns, b64decode(packed, validate=True))
    patch.unpacked()
    return patch


def text(value: object) -> str:
    """Take a text for a text and nothing else."""
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def flag(value: object) -> bool:
    """Take true or false and nothing else."""
    if not isinstance(value, bool):
        raise TypeError("true or false expected")
    return value
