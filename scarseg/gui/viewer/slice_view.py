"""One slice with its overlays, drawn in true proportions; no hand yet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, hypot

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent, QTransform
from PyQt6.QtWidgets import QWidget

from scarseg.case.labels import LabelArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.viewer import layers as viewer_layers
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.painting import pen
from scarseg.gui.viewer.view_state import Common, Levels, Shared

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
    """Image, tint, outlines, prompts and hand of one slice, in source pixels.

    ``seen`` is the part that is shown in mm; all of it is in sight whatever the widget's shape.
    ``guests`` are layers that others lay over the labels.

    Signals:
        seen_changed: another part of the slice is in sight, or the same part larger or smaller.
    """

    seen_changed = pyqtSignal()

    levels, fill_opacity, filled = Common[Levels](), Common[float](), Common[bool]()
    prompts_shown = Common[bool]()

    def __init__(self, shared: Shared | None = None) -> None:
        super().__init__()
        self.setAccessibleName("Slice view")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.shared = shared or Shared(self)
        self.chosen: tuple[str, int] | None = None
        self.home: QRectF | None = None
        self.whole = self.seen = QRectF(0, 0, 1, 1)
        self._spacing = (1.0, 1.0)
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._ground = self._labels
        self._traced: painting.Traced = []
        self._tracer = painting.Tracer()
        self._prompts = SlicePrompts()
        self._waits = False
        self.image = viewer_layers.ImageLayer(self.update)
        self.tint = viewer_layers.TintLayer(self.update)
        self.outlines, self.marks = (
            viewer_layers.LabelLayer(self.update),
            viewer_layers.MarkLayer(self.update),
        )
        self.prompt_layer = viewer_layers.PromptLayer(self.update)
        self.guests: list[viewer_layers.Guest] = []
        self.hand = viewer_layers.HandLayer(self.update)
        self._still = QPixmap()
        self._still_key: object = None
        self.directions = ["", "", "", ""]
        self.corner = viewer_layers.CornerLayer(self.update)
        self.small = False
        self.shared.changed.connect(self.redraw)
        self.redraw()

    # What is shown

    def set_geometry(
        self, rows: int, columns: int, spacing: tuple[float, float], orientation: Sequence[float]
    ) -> None:
        """Prepare for slices of this size.

        ``spacing`` (row, column) in mm; ``orientation`` the six direction cosines.
        """
        self._spacing = spacing
        self.whole = QRectF(0, 0, columns * spacing[1], rows * spacing[0])
        across, down = orientation[:3], orientation[3:]
        self.directions = [
            facing([sign * value for value in direction])
            for direction, sign in ((across, -1), (across, 1), (down, -1), (down, 1))
        ]
        self.update()

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice."""
        self.image.show_pixels(pixels)

    def show_labels(self, labels: LabelArray, ground: LabelArray, traced: painting.Traced) -> None:
        """Show labels (row, column) with their outlines.

        ``ground`` is what the eraser brings to light.
        """
        self._labels, self._ground, self._traced = labels, ground, traced
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
        """Give the slice as it is shown, without the hand; ``caption`` stands in the corner."""
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
        self.tint.set_opacity(self.fill_opacity if self.filled else 0.0)
        for layer in (self.tint, self.outlines, self.marks, *self.guests, self.hand):
            layer.setVisible(shown)
        self.prompt_layer.setVisible(shown and self.shared.prompts_shown)
        self.update()

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
        self.update()
        self.seen_changed.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.seen_changed.emit()

    # Painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        with painting.lines_for(self.devicePixelRatioF()):
            self._paint(painter)
        painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(theme.BACKGROUND))
        to_screen = self._to_screen()
        painter.setTransform(to_screen)
        back, _ = to_screen.inverted()
        smooth, seen = self.shared.smooth and self.image.smooth, back.mapRect(QRectF(self.rect()))
        self.image.paint(painter, self.levels, smooth, seen)
        if not smooth:
            paint(painter, self.image.pixels.shape, seen, self.screen_per_pixel)
        if self.tint.isVisible():
            self.tint.paint(painter)
        painter.resetTransform()
        painter.drawPixmap(0, 0, self._draw_still(to_screen))
        if self.hand.isVisible():
            painter.setTransform(to_screen)
            self.hand.paint(painter)

    def _draw_still(self, to_screen: QTransform) -> QPixmap:
        """Draw all that the hand and the levels do not change, once for as long as it stays."""
        layers: tuple[
            viewer_layers.Guest
            | viewer_layers.LabelLayer
            | viewer_layers.MarkLayer
            | viewer_layers.PromptLayer,
            ...,
        ]
        layers = (self.outlines, self.marks, *self.guests, self.prompt_layer)
        ratio = self.devicePixelRatioF()
        key = (
            self.size(), ratio, to_screen, tuple(self.directions),
            tuple((layer.revision, layer.isVisible()) for layer in (*layers, self.corner)),
        )  # fmt: skip
        if key != self._still_key:
            self._still_key = key
            self._still = QPixmap(self.size() * ratio)
            self._still.setDevicePixelRatio(ratio)
            self._still.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._still)
            painter.setTransform(to_screen)
            for layer in layers:
                if layer.isVisible():
                    layer.paint(painter)
            painter.resetTransform()
            if not self.small:
                self._paint_letters(painter)
                self.corner.paint(painter)
            painter.end()
        return self._still

    def _paint_letters(self, painter: QPainter) -> None:
        """Write at each edge where in the patient it points to."""
        font = painter.font()
        font.setPixelSize(13)
        font.setBold(True)
        painter.setFont(font)
        inside = QRectF(self.rect()).adjusted(10, 8, -10, -8)
        middle = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignHCenter
        sides = (
            Qt.AlignmentFlag.AlignLeft | middle[0], Qt.AlignmentFlag.AlignRight | middle[0],
            Qt.AlignmentFlag.AlignTop | middle[1], Qt.AlignmentFlag.AlignBottom | middle[1],
        )  # fmt: skip
        for text, side in zip(self.directions, sides, strict=True):
            painting.paint_words(painter, inside, side, text, theme.TEXT)

    # Where things are

    def _scale(self) -> float:
        """Give the screen pixels of a millimetre."""
        across = self.width() / max(self.seen.width(), 1e-6)
        return max(min(across, self.height() / max(self.seen.height(), 1e-6)), 1e-6)

    def _to_screen(self) -> QTransform:
        """Give the way from source pixels to this widget."""
        scale, centre = self._scale(), self.seen.center()
        made = QTransform.fromTranslate(self.width() / 2, self.height() / 2)
        made.scale(scale, scale)
        made.translate(-centre.x(), -centre.y())
        made.scale(self._spacing[1], self._spacing[0])
        return made

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
        """Give how many screen pixels a source pixel takes, on average of both axes."""
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
