"""The part of a slice that is in view: fitting, zoom and pan, and positions on the screen."""

from __future__ import annotations

from math import hypot

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QResizeEvent, QTransform
from PyQt6.QtWidgets import QGraphicsItem, QGraphicsView, QWidget

from scarseg.gui import theme

Position = tuple[float, float]
CLOSEST_MM, FURTHEST = 8.0, 4.0
"""Zoomed in, this much is still seen; zoomed out, the slice this many times over."""


class Viewport(QWidget):
    """A pyqtgraph view whose coordinates are source pixels, in true proportions.

    It takes no mouse events: they are this widget's. ``seen`` is the part that is shown in mm;
    all of it is in view whatever the widget's shape. ``whole`` is the slice, ``heart_mm`` the heart
    where it is known, both in mm.

    Signals:
        seen_changed: another part of the slice is in view, or the same part larger or smaller.
    """

    seen_changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.heart_mm: QRectF | None = None
        self.whole = self.seen = QRectF(0, 0, 1, 1)
        self._spacing = (1.0, 1.0)
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMouse=False, enableMenu=False)
        self.graphics = self._make_graphics()

    def _make_graphics(self) -> pg.GraphicsView:
        graphics = pg.GraphicsView(self, background=theme.BACKGROUND)
        graphics.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        for part in (graphics, graphics.viewport()):
            part.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        # Everything moves together, and the background is a colour: nothing to find out or keep.
        graphics.setCacheMode(QGraphicsView.CacheModeFlag.CacheNone)
        graphics.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        graphics.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        graphics.setCentralItem(self.box)
        self.box.disableAutoRange()
        # The box fills the view, which clips it already, and has neither border nor background.
        self.box.setFlag(QGraphicsItem.GraphicsItemFlag.ItemClipsChildrenToShape, False)
        self.box.borderRect.hide()
        self.box.background.hide()
        return graphics

    def fit_heart(self) -> None:
        """Fit the heart, or the whole slice where it is not known."""
        self.show_region(self.heart_mm or self.whole)

    def fit(self) -> None:
        """Fit the heart (``heart_mm``, in mm); where it fits already, the whole slice."""
        target = self.heart_mm or self.whole
        away = self.seen.center() - target.center()
        fits = abs(self.seen.height() - target.height()) < 1 and hypot(away.x(), away.y()) < 1
        self.show_region(self.whole if fits else target)

    def show_region(self, part: QRectF) -> None:
        """Show this part of the slice, in mm."""
        self.seen = QRectF(part)
        row_mm, column_mm = self._spacing
        left, top = part.left() / column_mm, part.top() / row_mm
        pixels = QRectF(left, top, part.width() / column_mm, part.height() / row_mm)
        self.box.setRange(pixels, padding=0, disableAutoRange=False)
        self._seen_changed()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_graphics()

    def _fit_graphics(self) -> None:
        self.graphics.resize(self.size())
        if self.graphics.range.size() != QSizeF(self.size()):
            self.graphics.resizeEvent(None)  # Qt sends its own only once it is visible
        self._seen_changed()

    def _seen_changed(self) -> None:
        self.box.updateMatrix()  # else it is done while painting, and all is painted once more
        self.seen_changed.emit()

    # Positions

    def _scale(self) -> float:
        """Return the screen pixels of a millimetre."""
        return max(self._to_screen().m11() / self._spacing[1], 1e-6)

    def _to_screen(self) -> QTransform:
        """Return the transform from source pixels to this widget."""
        if self.graphics.size() != self.size():
            self._fit_graphics()
        return QTransform(self.box.childTransform())

    def to_source(self, at: QPointF) -> Position:
        """Turn a position in this widget into (column, row) source pixels."""
        back, _ = self._to_screen().inverted()
        point = back.map(at)
        return point.x(), point.y()

    def from_source(self, column: float, row: float) -> QPointF:
        """Turn (column, row) source pixels into a position in this widget."""
        return self._to_screen().map(QPointF(column, row))

    @property
    def screen_per_pixel(self) -> float:
        """Return the screen pixels of a source pixel, on average of both axes."""
        one, other = self.from_source(0, 0), self.from_source(100, 100)
        return max(hypot(other.x() - one.x(), other.y() - one.y()) / hypot(100, 100), 1e-6)

    def zoom(self, factor: float, at: QPointF) -> None:
        """Show ``factor`` times as much, what is under ``at`` staying where it is."""
        smallest = CLOSEST_MM / min(self.seen.width(), self.seen.height())
        largest = FURTHEST * max(self.whole.width(), self.whole.height()) / self.seen.height()
        factor = min(max(factor, smallest), max(largest, smallest))
        away = (at - QPointF(self.width() / 2, self.height() / 2)) / self._scale()
        centre = self.seen.center() + away * (1 - factor)
        size = self.seen.size() * factor
        left, top = centre.x() - size.width() / 2, centre.y() - size.height() / 2
        self.show_region(QRectF(left, top, size.width(), size.height()))

    def pan(self, moved: QPointF) -> None:
        """Move the image by so many screen pixels."""
        self.show_region(self.seen.translated(-moved / self._scale()))
