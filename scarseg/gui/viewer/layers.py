"""The layers of a view of a slice: image, tint, outlines, marks, prompts, hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPainterPath, QPolygonF

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.viewer import painting

MARGIN = 0.5
"""The image is prepared this share of its width beyond what is seen, so that a pan is smooth."""


class Layer:
    """Something painted in source pixels; it tells ``changed`` when it looks different.

    ``revision`` counts how often it did. It is shown and hidden as a widget is.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.revision = 0
        self._changed = changed
        self._visible = True

    def isVisible(self) -> bool:
        return self._visible

    def setVisible(self, visible: bool) -> None:
        if visible is not self._visible:
            self._visible = visible
            self.touch()

    def touch(self) -> None:
        """Say that this layer has to be painted again."""
        self.revision += 1
        self._changed()


class Guest(Layer):
    """Something that others than the view lay over its labels."""

    def paint(self, painter: QPainter) -> None:
        """Paint in source pixels."""
        raise NotImplementedError


class ImageLayer(Layer):
    """The pixels of a slice between two levels, smooth below the voxel size or as they are."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.pixels: FloatArray = np.zeros((1, 1), dtype=np.float32)
        self.smooth = True
        self._image = QImage()
        self._part = QRect()
        self._key: object = None

    def show_pixels(self, pixels: FloatArray) -> None:
        """Show these pixels (row, column)."""
        self.pixels = pixels
        self.touch()

    def paint(
        self, painter: QPainter, levels: tuple[float, float], smooth: bool, seen: QRectF
    ) -> None:
        """Paint what can be ``seen`` (source pixels) of the image.

        Only that much is brought to grey values: a drag of the levels has many slices to show.
        """
        rows, columns = self.pixels.shape
        whole = QRect(0, 0, columns, rows)
        wanted = seen.toAlignedRect().adjusted(-1, -1, 1, 1).intersected(whole)
        if wanted.isEmpty():
            return
        key = (self.revision, levels)
        if key != self._key or not self._part.contains(wanted):
            more = round(MARGIN * wanted.width()) if key == self._key else 0
            self._part = wanted.adjusted(-more, -more, more, more).intersected(whole)
            self._key = key
            top, left = self._part.top(), self._part.left()
            bottom, right = self._part.bottom() + 1, self._part.right() + 1
            grey = painting.grey(self.pixels[top:bottom, left:right], levels)
            self._image = painting.image(grey)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(QPointF(self._part.topLeft()), self._image)


class TintLayer(Layer):
    """Scar and MVO filled with their colours, voxel by voxel."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._opacity = 0.0
        self._image: tuple[QImage, QPointF] | None = None

    def show_labels(self, labels: LabelArray) -> None:
        """Tint labels (row, column)."""
        self._labels, self._image = labels, None
        self.touch()

    def set_opacity(self, opacity: float) -> None:
        """Let the tint cover 0 to 1 of the image."""
        if opacity != self._opacity:
            self._opacity, self._image = opacity, None
            self.touch()

    def paint(self, painter: QPainter) -> None:
        if self._image is None:
            self._image = painting.tint_image(self._labels, self._opacity)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        image, at = self._image
        painter.drawImage(at, image)


class LabelLayer(Layer):
    """Outlines of the labels."""

    width = 1.6
    """In screen pixels."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.traced: painting.Traced = []

    def show_outlines(self, traced: painting.Traced) -> None:
        self.traced = traced
        self.touch()

    def paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painting.paint_outlines(painter, self.traced, self.width)


class MarkLayer(Layer):
    """A quiet dotted line round what a reader may want to look at."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.path = QPainterPath()

    def show_path(self, path: QPainterPath) -> None:
        """Draw along this path, in source pixels."""
        if path is not self.path:
            self.path = path
            self.touch()

    def paint(self, painter: QPainter) -> None:
        if self.path.isEmpty():
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(painting.pen("#000000", 2.6))
        painter.drawPath(self.path)
        painter.setPen(painting.pen("#ffffff", 1.6, Qt.PenStyle.DotLine))
        painter.drawPath(self.path)


class PromptLayer(Layer):
    """Boxes and points, those that wait drawn as ghosts."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.prompts = SlicePrompts()
        self.chosen: tuple[str, int] | None = None
        self.waits = False
        self._handles: Label | None = Label.SCAR
        self.small = False

    def show_prompts(
        self, prompts: SlicePrompts, chosen: tuple[str, int] | None, waits: bool
    ) -> None:
        if (prompts, chosen, waits) != (self.prompts, self.chosen, self.waits):
            self.prompts, self.chosen, self.waits = prompts, chosen, waits
            self.touch()

    def show_handles(self, structure: Label | None) -> None:
        """Show handles on the boxes that ask for this."""
        if structure is not self._handles:
            self._handles = structure
            self.touch()

    def paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painting.paint_prompts(
            painter, self.prompts, self.chosen, self.waits, self._handles, self.small
        )


class CornerLayer(Layer):
    """Which slice this is and how it stands, in the upper left corner of a view."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._text = self.colour = ""

    def text(self) -> str:
        return self._text

    def say(self, text: str, colour: str = "") -> None:
        """Write this, a dot of ``colour`` before it if one is given."""
        if (text, colour) != (self._text, self.colour):
            self._text, self.colour = text, colour
            self.touch()

    def paint(self, painter: QPainter) -> None:
        """Paint in screen pixels."""
        if not self._text:
            return
        font = painter.font()
        font.setPixelSize(13)
        font.setBold(False)
        painter.setFont(font)
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
        room = pill.adjusted(9 + dot, 0, 0, 0)
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, self._text)


class HandLayer(Layer):
    """The brush under the hand, or the polygon being drawn."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._centre: QPointF | None = None
        self._radii = (0.0, 0.0)
        self._corners: list[tuple[float, float]] = []
        self._caught = QPainterPath()
        self._colour = QColor(theme.ORANGE)
        self._word: tuple[tuple[float, float], str, str] = ((0, 0), "", "")

    def show_word(self, at: tuple[float, float], word: str, colour: str) -> None:
        """Write a word beside the hand at (column, row); an empty one takes it away."""
        if word or self._word[1]:
            self._word = (at, word, colour)
            self.touch()

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
        self.touch()

    @property
    def word(self) -> str:
        """Give what is written beside the hand."""
        return self._word[1]

    def show_polygon(self, corners: list[tuple[float, float]]) -> None:
        if corners or self._corners:
            self._corners = list(corners)
            self.touch()

    def paint(self, painter: QPainter) -> None:
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
