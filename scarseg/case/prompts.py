"""Prompts of a reader or a detector on a slice: boxes and points.

Coordinates are source pixels, continuous, (column, row): pixel i covers [i, i + 1), so its
centre is i + 0.5. Boxes are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor, isfinite

from scarseg.case.labels import Label

PROMPT_STRUCTURES = (Label.SCAR, Label.MYOCARDIUM, Label.BLOOD_POOL)
"""Structures a prompt can mark. The wall is the whole wall, scar included."""


@dataclass(frozen=True)
class InsertionPoint:
    """The anterior insertion of the right ventricle on one slice, in continuous pixels."""

    slice_index: int
    column: float
    row: float


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
        """Build a reader's box from any two opposite corners."""
        return cls(min(column0, column1), min(row0, row1), max(column0, column1), max(row0, row1))

    @property
    def width(self) -> float:
        return self.column1 - self.column0

    @property
    def height(self) -> float:
        return self.row1 - self.row0

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (column, row)."""
        return (self.column0 + self.column1) / 2, (self.row0 + self.row1) / 2

    def contains(self, column: float, row: float) -> bool:
        """Return whether a point lies in the half-open box."""
        return self.column0 <= column < self.column1 and self.row0 <= row < self.row1

    def intersection_over_union(self, other: Box) -> float:
        """Return the overlap with another box as a share of their union, 0 to 1."""
        width = min(self.column1, other.column1) - max(self.column0, other.column0)
        height = min(self.row1, other.row1) - max(self.row0, other.row0)
        if width <= 0 or height <= 0:
            return 0.0
        overlap = width * height
        return overlap / (self.width * self.height + other.width * other.height - overlap)


@dataclass(frozen=True)
class Point:
    """A click inside (``positive``) or outside a structure.

    ``structure`` is scar, the whole wall (MYOCARDIUM, scar included) or the blood pool.
    """

    column: float
    row: float
    positive: bool = True
    structure: Label = Label.SCAR

    def __post_init__(self) -> None:
        if self.structure not in PROMPT_STRUCTURES:
            raise ValueError("a point asks for scar, wall or blood pool")

    @property
    def pixel(self) -> tuple[int, int]:
        """Pixel (column, row) that was clicked."""
        return floor(self.column), floor(self.row)


Contour = tuple[tuple[float, float], ...]
"""Corners (column, row) of a closed polygon; a pixel belongs to it by its centre."""


@dataclass(frozen=True)
class SlicePrompts:
    """All prompts of one slice; an immutable value.

    ``boxes`` mark scar, ``points`` the structure of each. ``lv_box`` is the box round
    the left ventricle (outer border of the wall), ``pool_box`` the box round its blood pool
    (the endocardium, papillary muscles within). ``endocardium`` and ``epicardium`` are contours:
    pool and wall are then exactly what they enclose.
    """

    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    lv_box: Box | None = None
    no_scar: bool = False
    pool_box: Box | None = None
    endocardium: Contour | None = None
    epicardium: Contour | None = None

    @property
    def has_contours(self) -> bool:
        return self.endocardium is not None or self.epicardium is not None

    @property
    def asks_for_scar(self) -> bool:
        """Return whether a reader drew a box or a point for scar."""
        drawn = any(box.origin is Origin.READER for box in self.boxes)
        return drawn or bool(self.scar_points)

    @property
    def scar_points(self) -> tuple[Point, ...]:
        """Points for scar."""
        return tuple(point for point in self.points if point.structure is Label.SCAR)

    @property
    def heart_points(self) -> tuple[Point, ...]:
        """Points for wall or blood pool."""
        return tuple(point for point in self.points if point.structure is not Label.SCAR)

    @property
    def has_scar_prompts(self) -> bool:
        return bool(self.boxes or self.scar_points)

    @property
    def has_heart_prompts(self) -> bool:
        """Return whether wall or blood pool are corrected; the ventricle's box is no correction."""
        return self.pool_box is not None or bool(self.heart_points) or self.has_contours

    @property
    def scar_only(self) -> SlicePrompts:
        """The prompts for scar, with the ventricle's box."""
        return replace(self.without_contours, points=self.scar_points, pool_box=None)

    @property
    def without_contours(self) -> SlicePrompts:
        """The prompts without contours of the wall."""
        return replace(self, endocardium=None, epicardium=None)

    def with_contours(
        self, endocardium: Contour | None, epicardium: Contour | None
    ) -> SlicePrompts:
        """Return the prompts with contours in place of all other prompts for wall and pool."""
        return replace(self.scar_only, endocardium=endocardium, epicardium=epicardium)

    def with_point(self, point: Point) -> SlicePrompts:
        """Return the prompts with a click added.

        A positive click into scar outside every box shows that the detector's boxes are wrong:
        they are removed, since the segmenter would stay inside them. A reader's own stay.
        """
        boxes = self.boxes
        positive_scar = point.positive and point.structure is Label.SCAR
        if positive_scar and not any(box.contains(point.column, point.row) for box in boxes):
            boxes = tuple(box for box in boxes if box.origin is Origin.READER)
        return replace(self, boxes=boxes, points=(*self.points, point))
