"""One slice with its overlays, drawn in true proportions; no mouse yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QResizeEvent, QTransform
from PyQt6.QtWidgets import QGraphicsItem, QGraphicsView, QWidget

from scarseg.case.labels import LabelArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.viewer import layers, painting
from scarseg.gui.viewer.view_state import Common, Levels, Shared

Position = tuple[float, float]
LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of the positive and negative direction of each LPS axis; H head, F foot."""
SMALL_LINE = 1.3
"""Width of the outlines in a small view, in screen pixels."""
CLOSEST_MM, FURTHEST = 8.0, 4.0
"""Zoomed in, this much is still seen; zoomed out, the slice this many times over."""


def facing(direction: Sequence[float]) -> str:
    """Name a direction in patient space (LPS) by its one or two leading letters."""
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    leading = [axis for axis in order[:2] if abs(direction[axis]) > 0.35]
    return "".join(LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in leading)


class SliceView(QWidget):
    """Image, tint, outlines, prompts and brush of one slice.

    A pyqtgraph view whose coordinates are source pixels, each as wide to its height as a voxel.
    It takes no mouse events: they are this widget's. ``seen`` is the part that is shown in mm;
    all of it is in view whatever the widget's shape. ``guests`` are layers that others lay over
    the labels.

    Signals:
        seen_changed: another part of the slice is in view, or the same part larger or smaller.
    """

    seen_changed = pyqtSignal()

    levels, fill_opacity, filled = Common[Levels](), Common[float](), Common[bool]()
    prompts_shown = Common[bool]()

    def __init__(self, shared: Shared | None = None) -> None:
        super().__init__()
        self.setAccessibleName("Slice view")
        self.shared = shared or Shared(self)
        self.chosen: tuple[str, int] | None = None
        self.home: QRectF | None = None
        self.whole = self.seen = QRectF(0, 0, 1, 1)
        self._spacing = (1.0, 1.0)
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._under_scar = self._labels
        self._traced: painting.Traced = []
        self._tracer = painting.Tracer()
        self._prompts = SlicePrompts()
        self._waits = False
        self.image, self.tint = layers.SliceImageItem(), layers.TintImage()
        self.overlay = layers.Overlay(self._layers)
        self.grid = layers.GridLayer(self.overlay.redraw)
        self.outlines = layers.LabelLayer(self.overlay.redraw)
        self.marks = layers.MarkLayer(self.overlay.redraw)
        self.prompt_layer = layers.PromptLayer(self.overlay.redraw)
        self.guests: list[layers.Guest] = []
        self.hand, self.corner = layers.HandLayer(), layers.EdgeText()
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMouse=False, enableMenu=False)
        self.graphics = self._make_graphics()
        self.small = False
        self.shared.changed.connect(self.redraw)
        self.redraw()

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
        for item in (self.image, self.tint, self.overlay, self.hand):
            self.box.addItem(item, ignoreBounds=True)
        self.corner.setParentItem(self.box)
        return graphics

    def _layers(self) -> Iterable[layers.Layer]:
        return (self.grid, self.outlines, self.marks, *self.guests, self.prompt_layer)

    # What is shown

    def set_geometry(
        self, rows: int, columns: int, spacing: tuple[float, float], orientation: Sequence[float]
    ) -> None:
        """Prepare for slices of this size.

        ``spacing`` (row, column) in mm; ``orientation`` the six direction cosines.
        """
        self._spacing, self.grid.shape = spacing, (rows, columns)
        self.box.setAspectLocked(True, spacing[1] / spacing[0])
        self.whole = QRectF(0, 0, columns * spacing[1], rows * spacing[0])
        across, down = orientation[:3], orientation[3:]
        self.corner.directions = [
            facing([sign * value for value in direction])
            for direction, sign in ((across, -1), (across, 1), (down, -1), (down, 1))
        ]
        self.overlay.redraw()

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice."""
        self.image.show_pixels(pixels)

    def show_labels(
        self, labels: LabelArray, under_scar: LabelArray, traced: painting.Traced
    ) -> None:
        """Show labels (row, column) with their outlines.

        ``under_scar`` is what the eraser brings to light.
        """
        self._labels, self._under_scar, self._traced = labels, under_scar, traced
        if traced is not self.outlines.traced:
            self._draw_labels(labels, traced)

    def show_prompts(self, prompts: SlicePrompts, waits: bool) -> None:
        """Show boxes and points; ``waits`` when they have not been answered yet."""
        self._prompts, self._waits = prompts, waits
        kind, index = self.chosen or ("box", 0)
        n = {"box": len(prompts.boxes), "point": len(prompts.points)}
        if index >= n.get(kind, int(prompts.pool_box is not None)):
            self.chosen = None
        self.prompt_layer.show_prompts(prompts, self.chosen, waits)

    def say(self, text: str, colour: str = "") -> None:
        """Write slice and status into the corner, a dot of ``colour`` before them."""
        self.corner.say(text, colour)
        self.setAccessibleDescription(text)

    def make_small(self) -> None:
        """Draw what lies over the image as a cell among many needs it: finer and less of it."""
        self.small = self.prompt_layer.small = True
        self.outlines.width = SMALL_LINE
        self.corner.setVisible(False)

    def picture(self, caption: str) -> QImage:
        """Return the slice as it is shown, without the brush; ``caption`` stands in the corner."""
        said, hand = (self.corner.text(), self.corner.colour), self.hand.isVisible()
        self.say(caption)
        self.hand.setVisible(False)
        image = self.grab().toImage()
        self.say(*said)
        self.hand.setVisible(hand)
        return image

    def set_levels(self, levels: Levels) -> None:
        """Show grey values from black to white between these two, in all views."""
        self.levels = levels

    def redraw(self) -> None:
        """Draw again after something that all views share was changed."""
        shown = not self.shared.hidden
        self.image.show_levels(self.levels)
        if self.image.smooth is not self.shared.smooth:
            self.image.smooth = self.shared.smooth
            self.image.update()
        self.tint.setOpacity(self.fill_opacity)
        self.tint.setVisible(shown and self.filled)
        self.grid.setVisible(not self.shared.smooth)
        for layer in (self.outlines, self.marks, *self.guests):
            layer.setVisible(shown)
        self.hand.setVisible(shown)
        self.prompt_layer.setVisible(shown and self.shared.prompts_shown)

    def _draw_labels(self, labels: LabelArray, traced: painting.Traced | None = None) -> None:
        self.tint.show_labels(labels)
        self.outlines.show_outlines(self._tracer.trace(labels) if traced is None else traced)

    def go_home(self) -> None:
        """Fit the heart, or the whole slice where it is not known."""
        self.look_at(self.home or self.whole)

    def fit(self) -> None:
        """Fit the heart (``home``, in mm); where it fits already, the whole slice."""
        target = self.home or self.whole
        away = self.seen.center() - target.center()
        fits = abs(self.seen.height() - target.height()) < 1 and hypot(away.x(), away.y()) < 1
        self.look_at(self.whole if fits else target)

    def look_at(self, part: QRectF) -> None:
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

    # Where things are

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
        self.look_at(QRectF(left, top, size.width(), size.height()))

    def pan(self, moved: QPointF) -> None:
        """Move the image by so many screen pixels."""
        self.look_at(self.seen.translated(-moved / self._scale()))
