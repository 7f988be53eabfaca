"""Graphics items of a view of a slice: image, tint, text at the edges, brush and polygon."""

from __future__ import annotations

from typing import cast

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPolygonF
from PyQt6.QtWidgets import QGraphicsItem, QWidget

from scarseg.case.labels import LabelArray, MaskArray
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.layers import EVERYWHERE, MARGIN
from scarseg.gui.viewer.window_level import Levels

SIDES = tuple(
    side | middle
    for middle, sides in (
        (Qt.AlignmentFlag.AlignVCenter, (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)),
        (Qt.AlignmentFlag.AlignHCenter, (Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom)),
    )
    for side in sides
)
"""Left, right, top and bottom."""


class SliceImageItem(pg.ImageItem):
    """The pixels of a slice between two levels, smooth below the voxel size or as they are.

    Only the part in view is converted to grey values: a drag of the levels has many slices to
    show.
    """

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 1), dtype=np.float32), axisOrder="row-major", levels=(0, 1))
        self.smooth = True
        self._part = QRect()

    @property
    def pixels(self) -> FloatArray:
        """Return the pixels (row, column) of the slice."""
        return cast(FloatArray, self.image)

    def show_pixels(self, pixels: FloatArray) -> None:
        """Show these pixels (row, column)."""
        self.setImage(pixels, autoLevels=False)

    def show_levels(self, levels: Levels) -> None:
        """Show grey values from black to white between these two."""
        if tuple(self.levels) != levels:
            self.setLevels(levels)

    def paint(self, painter: QPainter, _option: object, widget: QWidget) -> None:
        rows, columns = self.pixels.shape
        whole = QRect(0, 0, columns, rows)
        back, _ = painter.worldTransform().inverted()
        seen = back.mapRect(QRectF(widget.rect())).toAlignedRect()
        seen = seen.adjusted(-1, -1, 1, 1).intersected(whole)
        if seen.isEmpty():
            return
        if self._renderRequired or not self._part.contains(seen):
            more = 0 if self._renderRequired else round(MARGIN * seen.width())
            self._part = seen.adjusted(-more, -more, more, more).intersected(whole)
            self.render()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.smooth)
        painter.drawImage(QPointF(self._part.topLeft()), self.qimage)

    def render(self) -> None:
        """Convert the part to the format that Qt draws several times faster than greys."""
        part = painting.cut(self.pixels, self._part)
        self.qimage = painting.image(painting.grey(part, self.levels))
        self._renderRequired = False


class TintImage(pg.ImageItem):
    """Scar and MVO filled with their colours, voxel by voxel; the item's opacity is the tint's."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 1), dtype=np.uint8), axisOrder="row-major", levels=None)
        self._at = QPointF()

    def show_labels(self, labels: LabelArray) -> None:
        """Tint labels (row, column)."""
        self.setImage(labels, levels=None, autoLevels=False)

    def paint(self, painter: QPainter, *_args: object) -> None:
        if self._renderRequired:
            self.render()
        painter.drawImage(self._at, self.qimage)

    def render(self) -> None:
        """Colour the smallest part of the labels that holds them all."""
        self.qimage, self._at = painting.tint(self.image)
        self._renderRequired = False


class EdgeText(QGraphicsItem):
    """What stands at the edges of a large view, in screen pixels.

    In the upper left corner which slice this is and how it stands; at each edge where in the
    patient it points to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directions = ["", "", "", ""]
        self._text = self.colour = ""

    def text(self) -> str:
        return self._text

    def show_text(self, text: str, colour: str = "") -> None:
        """Write this, a dot of ``colour`` before it if one is given."""
        self._text, self.colour = text, colour
        self.update()

    def boundingRect(self) -> QRectF:
        return EVERYWHERE

    def paint(
        self, painter: QPainter | None, option: object, widget: QWidget | None = None
    ) -> None:
        if painter is None or widget is None:
            return
        font = painter.font()
        font.setPixelSize(13)
        font.setBold(True)
        painter.setFont(font)
        inside = QRectF(widget.rect()).adjusted(10, 8, -10, -8)
        for text, side in zip(self.directions, SIDES, strict=True):
            painting.paint_words(painter, inside, side, text, theme.TEXT)
        if self._text:
            font.setBold(False)
            painter.setFont(font)
            self._paint_corner(painter)

    def _paint_corner(self, painter: QPainter) -> None:
        dot = 16.0 if self.colour else 0.0
        width = painter.fontMetrics().horizontalAdvance(self._text)
        pill = QRectF(10, 9, width + dot + 18, 25)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.BACKGROUND, 0.78))
        painter.drawRoundedRect(pill, 6, 6)
        if self.colour:
            painter.setBrush(QColor(self.colour))
            painter.drawEllipse(QPointF(pill.left() + 13, pill.center().y()), 4, 4)
        painter.setPen(QColor(theme.TEXT))
        place = pill.adjusted(9 + dot, 0, 0, 0)
        painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, self._text)


class ToolLayer(QGraphicsItem):
    """The brush under the mouse, or the polygon being drawn, in source pixels."""

    def __init__(self) -> None:
        super().__init__()
        self._centre: QPointF | None = None
        self._radii = (0.0, 0.0)
        self._corners: list[tuple[float, float]] = []
        self._caught = QPainterPath()
        self._colour = QColor(theme.ORANGE)
        self._word: tuple[tuple[float, float], str, str] = ((0, 0), "", "")

    def boundingRect(self) -> QRectF:
        return EVERYWHERE

    def show_word(self, at: tuple[float, float], word: str, colour: str) -> None:
        """Write a word beside the cursor at (column, row); an empty one removes it."""
        if word or self._word[1]:
            self._word = (at, word, colour)
            self.update()

    def show_brush(
        self,
        at: tuple[float, float] | None,
        radii: tuple[float, float],
        colour: str,
        caught: MaskArray | None = None,
    ) -> None:
        """Show a brush of ``radii`` (columns, rows) in source pixels; None hides it.

        ``caught`` (row, column) is what a dab would paint, where that is not all beneath it.
        """
        if at is None and self._centre is None:
            return
        self._caught = QPainterPath() if caught is None else painting.outline(caught)
        self._centre = None if at is None else QPointF(*at)
        self._radii, self._colour = radii, QColor(colour)
        self.update()

    @property
    def word(self) -> str:
        """Return what is written beside the cursor."""
        return self._word[1]

    def show_polygon(self, corners: list[tuple[float, float]]) -> None:
        if corners or self._corners:
            self._corners = list(corners)
            self.update()

    def paint(self, painter: QPainter | None, *_option: object) -> None:
        device = None if painter is None else painter.device()
        empty = self._centre is None and not self._corners and not self.word
        if painter is None or device is None or empty:
            return
        with painting.lines_for(device.devicePixelRatioF()):
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._caught.isEmpty():
            painter.fillPath(self._caught, theme.colour(self._colour.name(), 0.45))
        (column, row), word, colour = self._word
        if word:
            painting.paint_caption(painter, column, row, f"  {word}", colour)
        painter.setPen(painting.pen(self._colour, 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._centre is not None:
            painter.drawEllipse(self._centre, *self._radii)
        if self._corners:
            painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in self._corners]))
