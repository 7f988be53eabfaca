"""Layers over the image of a slice: voxel grid, outlines, marks, prompts; their overlay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import hypot, isclose

import numpy as np
import numpy.typing as npt
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPixmap, QTransform
from PyQt6.QtWidgets import QGraphicsItem, QWidget

from scarseg.case.labels import Label
from scarseg.case.prompts import SlicePrompts
from scarseg.gui import theme
from scarseg.gui.viewer import painting

MARGIN = 0.5
"""Image and overlay are drawn this share of the view beyond its edges, for a smooth pan."""
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


class AddedLayer(Layer):
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


class ContourLayer(Layer):
    """The contour of the wall under the mouse, or in it."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(changed)
        self._contour: npt.NDArray[np.float64] | None = None
        self._colour = theme.TEXT

    @property
    def shown(self) -> bool:
        """Return whether a contour is shown."""
        return self._contour is not None

    def show_contour(self, points: npt.NDArray[np.float64] | None, colour: str = "") -> None:
        """Show a closed contour, points (n, 2) of column and row; None removes it."""
        if points is not self._contour:
            self._contour, self._colour = points, colour
            self.touch()

    def paint(self, painter: QPainter) -> None:
        if self._contour is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        polygon = painting.polygon_of(self._contour)
        for colour, width in ((theme.colour("#000000", 0.5), 5.0), (QColor("#ffffff"), 3.0)):
            painter.setPen(painting.pen(colour, width))
            painter.drawPolygon(polygon)
        painter.setPen(painting.pen(self._colour, 1.6))
        painter.drawPolygon(polygon)


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
