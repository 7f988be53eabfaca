"""What a reader or a detector asked for on a slice.

Coordinates are source pixels, continuous, (column, row): pixel i covers [i, i + 1), so its
centre is i + 0.5. Boxes are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor, isfinite


class Origin(StrEnum):
    """Who drew a box."""

    READER = "reader"
    DETECTOR = "detector"


@dataclass(frozen=True)
class Box:
    """An upright rectangle, corners sorted, with positive area."""

    column0: float
    row0: float
    column1: float
    row1: float
    origin: Origin = Origin.READER
    score: float | None = None

    def __post_init__(self) -> None:
        if not all(isfinite(v) for v in (self.column0, self.row0, self.column1, self.row1)):
            raise ValueError("box corners must be finite")
        if self.column1 <= self.column0 or self.row1 <= self.row0:
            raise ValueError("box corners must be sorted and apart")

    @classmethod
    def spanning(cls, column0: float, row0: float, column1: float, row1: float) -> Box:
        """Make a reader's box from any two opposite corners."""
        return cls(min(column0, column1), min(row0, row1), max(column0, column1), max(row0, row1))

    @property
    def width(self) -> float:
        return self.column1 - self.column0

    @property
    def height(self) -> float:
        return self.row1 - self.row0

    @property
    def centre(self) -> tuple[float, float]:
        """Give (column, row) of the middle."""
        return (self.column0 + self.column1) / 2, (self.row0 + self.row1) / 2

    def contains(self, column: float, row: float) -> bool:
        return self.column0 <= column < self.column1 and self.row0 <= row < self.row1

    def intersection_over_union(self, other: Box) -> float:
        width = min(self.column1, other.column1) - max(self.column0, other.column0)
        height = min(self.row1, other.row1) - max(self.row0, other.row0)
        if width <= 0 or height <= 0:
            return 0.0
        overlap = width * height
        return overlap / (self.width * self.height + other.width * other.height - overlap)


@dataclass(frozen=True)
class Point:
    """A click: ``positive`` says inside the scar, otherwise outside."""

    column: float
    row: float
    positive: bool = True

    @property
    def pixel(self) -> tuple[int, int]:
        """Give (column, row) of the pixel that was hit."""
        return floor(self.column), floor(self.row)


@dataclass(frozen=True)
class SlicePrompts:
    """Everything asked for on one slice; an immutable value.

    ``lv_box`` is the box round the left ventricle (outer border of the wall).
    """

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    lv_box: Box | None = None
    no_scar: bool = False

    @property
    def asks_for_scar(self) -> bool:
        return bool(self.boxes or self.points)

    def with_point(self, point: Point) -> SlicePrompts:
        return replace(self, points=(*self.points, point))
