"""The layers of the slice view: image, tint, outlines, prompts, hand."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPolygonF
from PyQt6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from scarseg.gui import overlay, theme
from scarseg.labels import MaskArray
from scarseg.prompts import SlicePrompts

pg.setConfigOptions(imageAxisOrder="row-major")


class SmoothImage(pg.ImageItem):
    """An image drawn smooth below the voxel size, or voxel by voxel on request."""

    smooth = True

    def paint(self, painter: QPainter, *args: object) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.smooth)
        super().paint(painter, *args)


class _Layer(QGraphicsItem):
    """Something painted in source pixels over a slice of known size."""

    def __init__(self) -> None:
        super().__init__()
        self._bounds = QRectF(0, 0, 1, 1)

    def set_shape(self, rows: int, columns: int) -> None:
        self.prepareGeometryChange()
        margin = 40.0
        self._bounds = QRectF(-margin, -margin, columns + 2 * margin, rows + 2 * margin)

    def boundingRect(self) -> QRectF:
        return self._bounds


class LabelLayer(_Layer):
    """Outlines of the labels."""

    def __init__(self) -> None:
        super().__init__()
        self._traced: overlay.Traced = []

    def set_outlines(self, traced: overlay.Traced) -> None:
        self._traced = traced
        self.update()

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionGraphicsItem | None,
        widget: QWidget | None = None,
    ) -> None:
        if painter is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            overlay.paint_outlines(painter, self._traced, 1.6)


class MarkLayer(_Layer):
    """A quiet dotted line round what a reader may want to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.path = QPainterPath()

    def mark(self, mask: MaskArray) -> None:
        """Draw round this mask (row, column)."""
        self.path = overlay.outline(mask)
        self.update()

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionGraphicsItem | None,
        widget: QWidget | None = None,
    ) -> None:
        if painter is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(overlay.pen("#000000", 2.6))
            painter.drawPath(self.path)
            painter.setPen(overlay.pen("#ffffff", 1.6, Qt.PenStyle.DotLine))
            painter.drawPath(self.path)


class PromptLayer(_Layer):
    """Boxes and points, those that wait drawn as ghosts."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = SlicePrompts()
        self.chosen: tuple[str, int] | None = None
        self.waits = False
        self.handles = overlay.SCAR

    def show_prompts(
        self, prompts: SlicePrompts, chosen: tuple[str, int] | None, waits: bool
    ) -> None:
        self.prompts, self.chosen, self.waits = prompts, chosen, waits
        self.update()

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionGraphicsItem | None,
        widget: QWidget | None = None,
    ) -> None:
        if painter is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            overlay.paint_prompts(painter, self.prompts, self.chosen, self.waits, self.handles)


class HandLayer(_Layer):
    """The brush under the hand, or the polygon being drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._centre: QPointF | None = None
        self._radii = (0.0, 0.0)
        self._corners: list[tuple[float, float]] = []
        self._caught = QPainterPath()
        self._colour = QColor(theme.ORANGE)

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
        self._caught = QPainterPath() if caught is None else overlay.outline(caught)
        self._centre = None if at is None else QPointF(*at)
        self._radii, self._colour = radii, QColor(colour)
        self.update()

    def show_polygon(self, corners: list[tuple[float, float]]) -> None:
        self._corners = corners
        self.update()

    def paint(
        self,
        painter: QPainter | None,
        option: QStyleOptionGraphicsItem | None,
        widget: QWidget | None = None,
    ) -> None:
        if painter is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._caught.isEmpty():
            painter.fillPath(self._caught, theme.colour(self._colour.name(), 0.45))
        painter.setPen(overlay.pen(self._colour, 1.4))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._centre is not None:
            painter.drawEllipse(self._centre, *self._radii)
        if self._corners:
            painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in self._corners]))


def tint_item() -> pg.ImageItem:
    """Make the layer that fills labels with their colours."""
    item = pg.ImageItem(np.zeros((1, 1, 4), dtype=np.uint8))
    item.setLevels(None)
    return item
