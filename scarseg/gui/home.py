"""The part of a slice worth showing: round the heart where it is known. No widgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, QRectF

from scarseg.case import Case
from scarseg.labels import wall_mask

ROOM, LARGE_ROOM = 1.44, 1.4
"""Side of what is shown to the width of the wall; and of the large view to that."""
SMALLEST_MM = 90.0
SHARE = 0.65
"""Of the slice, where no wall is known."""


@dataclass(frozen=True)
class Home:
    """Where the heart is.

    ``close_mm`` for small pictures and ``large_mm`` for the large view, in mm; ``crop`` is the
    former in source pixels. ``found`` says whether there is a wall to go by.
    """

    close_mm: QRectF
    large_mm: QRectF
    crop: QRectF
    found: bool


def find_home(case: Case) -> Home:
    """Find the square round the wall of all slices, or the middle where there is none."""
    stack = case.stack
    row_mm, column_mm = stack.pixel_spacing_mm
    wall = wall_mask(case.labels).any(axis=0)
    found = bool(wall.any())
    middle = QPointF(stack.columns / 2 * column_mm, stack.rows / 2 * row_mm)
    side = SHARE * min(stack.columns * column_mm, stack.rows * row_mm)
    if found:
        rows, columns = np.nonzero(wall)
        middle = QPointF(
            (float(columns.mean()) + 0.5) * column_mm, (float(rows.mean()) + 0.5) * row_mm
        )
        across = max(np.ptp(columns) * column_mm, np.ptp(rows) * row_mm)
        side = max(float(across) * ROOM, SMALLEST_MM)
    close = _square(middle, side)
    crop = QRectF(close.left() / column_mm, close.top() / row_mm, side / column_mm, side / row_mm)
    return Home(close, _square(middle, side * LARGE_ROOM), crop, found)


def _square(middle: QPointF, side: float) -> QRectF:
    return QRectF(middle.x() - side / 2, middle.y() - side / 2, side, side)
