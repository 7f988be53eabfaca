"""The borders between voxels, drawn where they are large enough to be told apart."""

from __future__ import annotations

from math import ceil, floor

from PyQt6.QtCore import QLineF, QRectF
from PyQt6.QtGui import QPainter

from scarseg.gui import theme
from scarseg.gui.overlay import pen

SMALLEST = 9.0
"""Below this many screen pixels for a voxel, lines would hide the image."""


def paint(painter: QPainter, shape: tuple[int, int], seen: QRectF, screen_per_pixel: float) -> bool:
    """Draw the grid of a slice of ``shape`` (row, column) in source pixels; say whether it did.

    ``seen`` is the part that is in sight, in source pixels.
    """
    part = seen.intersected(QRectF(0, 0, shape[1], shape[0]))
    if screen_per_pixel < SMALLEST or part.isEmpty():
        return False
    left, right, top, bottom = part.left(), part.right(), part.top(), part.bottom()
    lines = [QLineF(x, top, x, bottom) for x in range(ceil(left), floor(right) + 1)]
    lines += [QLineF(left, y, right, y) for y in range(ceil(top), floor(bottom) + 1)]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(pen(theme.colour(theme.QUIET, 0.32), 1.0))
    painter.drawLines(*lines)
    return True
