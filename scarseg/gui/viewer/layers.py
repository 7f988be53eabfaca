"""What a view of a slice is made of: image, tint, the overlay of layers, text, brush."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import hypot, isclose
from typing import cast

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPixmap, QPolygonF, QTransform
from PyQt6.QtWidgets import QGraphicsItem, QWidget

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.view_state import Levels

MARGIN = 0.5
"""Image and overlay are drawn this share of the view beyond its edges, for a smooth pan."""
SIDES = tuple(
    side | middle
    for middle, sides in (
        (Qt.AlignmentFlag.AlignVCenter, (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)),
        (Qt.AlignmentFlag.AlignHCenter, (Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom)),
    )
    for side in sides
)
"""Left, right, top and bottom."""
EVERYWHERE = QRectF(-1e6, -1e6, 2e6, 2e6)
"""Bounds of items that decide themselves what they paint: the view always repaints as a whole."""


class Layer:
    """Something painted over the image, in source pixels.

    It is shown and hidden as a widget is.

    Args:
        changed: called when it looks different.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._visible = True

    def isVisible(self) -> bool:
        return self._visible

    def setVisible(self, visible: bool) -> None:
        if visible is not self._visible:
            self._visible = visible
            self.touch()

    def touch(self) -> None:
        """Request that this layer is painted again."""
        self._changed()

    def paint(self, painter: QPainter) -> None:
        """Paint in source pixels."""
        raise NotImplementedError


class Guest(Layer):
    """Something that others than the view lay over its labels."""


class GridLayer(Layer):
    """The borders between voxels, where they are large enough to be told apart."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self.shape = (0, 0)

    def paint(self, painter: QPainter) -> None:
        to_screen, device = painter.worldTransform(), painter.viewport()
        back, _ = to_screen.inverted()
        voxel = hypot(to_screen.m11(), to_screen.m22()) / hypot(1, 1)
        painting.paint_grid(painter, self.shape, back.mapRect(QRectF(device)), voxel)


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


class Overlay(QGraphicsItem):
    """The layers over the image, painted into one picture that a pan only moves.

    Args:
        layers: returns them, the lowest first.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]]) -> None:
        super().__init__()
        self._layers = layers
        self._picture = QPixmap()
        self._stale = True
        self._drawn_for = QTransform()
        self._margin = QSize(0, 0)

    def boundingRect(self) -> QRectF:
        return EVERYWHERE

    def redraw(self) -> None:
        """Paint the layers again at the next repaint."""
        self._stale = True
        self.update()

    def paint(
        self, painter: QPainter | None, option: object, widget: QWidget | None = None
    ) -> None:
        if painter is None or widget is None:
            return
        ratio, to_screen = widget.devicePixelRatioF(), painter.worldTransform()
        moved = self._moved(to_screen, widget.size(), ratio)
        if moved is None:
            # A pan comes as many small moves: what it needs beyond the edges is drawn at its first.
            pans = not self._stale and isclose(to_screen.m11(), self._drawn_for.m11())
            self._draw(to_screen, widget.size(), ratio, MARGIN / 2 if pans else 0.0)
            moved = QPointF()
        painter.resetTransform()
        margin = QPointF(self._margin.width(), self._margin.height())
        painter.drawPixmap(moved - margin, self._picture)

    def _moved(self, to_screen: QTransform, size: QSize, ratio: float) -> QPointF | None:
        """Return how far the picture is from where it was drawn, None where it cannot be used.

        It is used only at whole pixels of the screen, where it looks as if drawn anew.
        """
        if self._stale or not isclose(to_screen.m11(), self._drawn_for.m11(), rel_tol=1e-9):
            return None
        if self._picture.size() != (size + 2 * self._margin) * ratio:
            return None
        x, y = to_screen.dx() - self._drawn_for.dx(), to_screen.dy() - self._drawn_for.dy()
        whole = QPointF(round(x * ratio) / ratio, round(y * ratio) / ratio)
        exact = max(abs(whole.x() - x), abs(whole.y() - y)) < 0.02
        inside = abs(x) <= self._margin.width() + 0.02 and abs(y) <= self._margin.height() + 0.02
        return whole if exact and inside else None

    def _draw(self, to_screen: QTransform, size: QSize, ratio: float, margin: float) -> None:
        self._margin = QSize(round(margin * size.width()), round(margin * size.height()))
        self._picture = QPixmap((size + 2 * self._margin) * ratio)
        self._picture.setDevicePixelRatio(ratio)
        self._picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(self._picture)
        painter.setTransform(
            to_screen * QTransform.fromTranslate(self._margin.width(), self._margin.height())
        )
        with painting.lines_for(ratio):
            for layer in self._layers():
                if layer.isVisible():
                    layer.paint(painter)
        painter.end()
        self._drawn_for, self._stale = to_screen, False


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

    def say(self, text: str, colour: str = "") -> None:
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
        room = pill.adjusted(9 + dot, 0, 0, 0)
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, self._text)


class HandLayer(QGraphicsItem):
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
