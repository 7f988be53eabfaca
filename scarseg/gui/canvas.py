"""One slice with its overlays; the mouse becomes gestures in source pixels here."""

from __future__ import annotations

from math import hypot

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QTransform, QWheelEvent
from PyQt6.QtWidgets import QLabel

from scarseg.gui import items, overlay, theme, tools
from scarseg.labels import Label, LabelArray
from scarseg.prompts import SlicePrompts
from scarseg.stack import FloatArray

REACH = 8.0
"""How far from a handle the hand may be, in screen pixels."""
CLICK = 4.0
"""A press that moves less than this, in screen pixels, is a click."""

Levels = tuple[float, float]


class Canvas(pg.GraphicsView):
    """Show one slice in its true proportions and report what the hand did.

    Signals:
        prompted: a :class:`scarseg.gui.tools.Prompted`.
        painted: a :class:`scarseg.gui.tools.Painted`.
        scrolled: slices to go, down positive.
        levels_changed: the window is being dragged; ``levels_settled``: the hand let go.
        hovered: sentence about the pixel under the hand, or empty.
    """

    prompted = pyqtSignal(object)
    painted = pyqtSignal(object)
    scrolled = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()
    hovered = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(background=theme.GROUND)
        self.setAccessibleName("Slice view")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMouseTracking(True)
        self.setAcceptDrops(False)
        self.tool = "box"
        self.label = Label.SCAR
        self.radius_mm = 4.0
        self.levels: Levels = (0.0, 1.0)
        self.fill_opacity = 0.3
        self.filled = True
        self.prompts_shown = True
        self.editable = True
        self.chosen: tuple[str, int] | None = None
        self.home: QRectF | None = None
        self._spacing = (1.0, 1.0)
        self._pixels: FloatArray = np.zeros((1, 1), dtype=np.float32)
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._ground = self._labels
        self._prompts = SlicePrompts()
        self._waits = False
        self._box = tools.BoxTool()
        self._brush: tools.Brush | None = None
        self._corners: list[tools.Position] = []
        self._held: Qt.MouseButton | None = None
        self._pressed_at = self._last_at = QPointF()
        self._wheel = 0
        self._make_layers()

    def _make_layers(self) -> None:
        self.view = pg.ViewBox(
            lockAspect=True, invertY=True, enableMouse=False, enableMenu=False, defaultPadding=0.0
        )
        self.setCentralItem(self.view)
        self._group = pg.ItemGroup()
        self.image = items.SmoothImage(self._pixels)
        self.tint = items.tint_item()
        self.outlines, self.prompt_layer = items.LabelLayer(), items.PromptLayer()
        self.hand = items.HandLayer()
        for layer in (self.image, self.tint, self.outlines, self.prompt_layer, self.hand):
            layer.setParentItem(self._group)
        self.view.addItem(self._group, ignoreBounds=True)
        self.corner = QLabel(self)
        self.corner.setObjectName("quiet")
        self.corner.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.corner.move(12, 8)

    # What is shown

    def set_geometry(self, rows: int, columns: int, spacing: tuple[float, float]) -> None:
        """Prepare for slices of this size; ``spacing`` (row, column) in mm."""
        self._spacing = spacing
        self._group.setTransform(QTransform.fromScale(spacing[1], spacing[0]))
        for layer in (self.outlines, self.prompt_layer, self.hand):
            layer.set_shape(rows, columns)
        self.whole = QRectF(0, 0, columns * spacing[1], rows * spacing[0])

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice."""
        self.cancel_gesture()
        self._pixels = pixels
        self.image.setImage(pixels, autoLevels=False, levels=self.levels)

    def show_labels(self, labels: LabelArray, ground: LabelArray) -> None:
        """Show labels (row, column); ``ground`` is what the eraser brings to light."""
        self._labels, self._ground = labels, ground
        self._draw_labels(labels)

    def show_prompts(self, prompts: SlicePrompts, waits: bool) -> None:
        """Show boxes and points; ``waits`` when they have not been answered yet."""
        self._prompts, self._waits = prompts, waits
        kind, index = self.chosen or ("box", 0)
        if index >= len(prompts.boxes if kind == "box" else prompts.points):
            self.chosen = None
        self.prompt_layer.show_prompts(prompts, self.chosen, waits)
        self.prompt_layer.setVisible(self.prompts_shown)

    def set_levels(self, levels: Levels) -> None:
        self.levels = levels
        self.image.setLevels(levels)

    def set_smooth(self, smooth: bool) -> None:
        """Show voxels smoothed, or as they are."""
        self.image.smooth = smooth
        self.image.update()

    def set_overlays_shown(self, shown: bool) -> None:
        """Show everything over the image, or the image alone."""
        for layer in (self.tint, self.outlines, self.hand):
            layer.setVisible(shown)
        self.prompt_layer.setVisible(shown and self.prompts_shown)

    def redraw(self) -> None:
        """Draw again after opacity, fill or visibility changed."""
        self._draw_labels(self._labels)
        self.prompt_layer.setVisible(self.prompts_shown)

    def _draw_labels(self, labels: LabelArray) -> None:
        opacity = self.fill_opacity if self.filled else 0.0
        self.tint.setImage(overlay.tint(labels, opacity), autoLevels=False, levels=None)
        self.outlines.set_labels(labels)

    def fit(self) -> None:
        """Fit the heart (``home``, in mm); where it fits already, the whole slice."""
        target = self.home or self.whole
        shown = self.view.viewRect()
        if (
            self.home is not None
            and abs(shown.center().x() - target.center().x()) < 1
            and (abs(min(shown.width(), shown.height()) - max(target.width(), target.height())) < 1)
        ):
            target = self.whole
        self.view.setRange(target, padding=0)

    # Where the hand is

    def to_source(self, at: QPointF) -> tools.Position:
        """Turn a position in this widget into (column, row) source pixels."""
        point = self._group.mapFromScene(self.mapToScene(at.toPoint()))
        return point.x(), point.y()

    def from_source(self, column: float, row: float) -> QPointF:
        """Turn (column, row) source pixels into a position in this widget."""
        return QPointF(self.mapFromScene(self._group.mapToScene(QPointF(column, row))))

    @property
    def _screen_per_pixel(self) -> float:
        one, other = self.from_source(0, 0), self.from_source(100, 100)
        return max(hypot(other.x() - one.x(), other.y() - one.y()) / hypot(100, 100), 1e-6)

    @property
    def _reach(self) -> float:
        return REACH / self._screen_per_pixel

    # The hand

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if self._held is not None:
            return
        self._held, self._pressed_at, self._last_at = (
            event.button(),
            event.position(),
            event.position(),
        )
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if event.button() is Qt.MouseButton.LeftButton and shift:
            self._held = Qt.MouseButton.MiddleButton
        if self._held is Qt.MouseButton.LeftButton and self.editable:
            self._begin(self.to_source(event.position()), event)

    def _begin(self, at: tools.Position, event: QMouseEvent) -> None:
        shape = self._labels.shape
        new = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self.tool == "box":
            index = self._box.press(self._prompts, at, self._reach, (shape[0], shape[1]), new)
            self.chosen = None if index is None else ("box", index)
            self.show_prompts(self._prompts, self._waits)
        elif self.tool in ("brush", "eraser"):
            self._brush = tools.Brush(self.tool == "eraser")
            self._draw_labels(
                self._brush.press(
                    self._labels, self._ground, at, self.label, self.radius_mm, self._spacing
                )
            )
        elif self.tool == "polygon":
            self._corners.append(at)
            self.hand.show_polygon(self._corners)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.accept()
        at, moved = self.to_source(event.position()), event.position() - self._last_at
        self._last_at = event.position()
        self._hover(at)
        if self._held is Qt.MouseButton.MiddleButton:
            self._pan(moved)
        elif self._held is Qt.MouseButton.RightButton or (
            self._held is Qt.MouseButton.LeftButton and self.tool == "window_level"
        ):
            self._drag_levels(moved)
        elif self._held is Qt.MouseButton.LeftButton and self.editable:
            if self.tool == "box":
                self.prompt_layer.show_prompts(self._box.move(at), self.chosen, False)
            elif self._brush is not None:
                self._draw_labels(self._brush.move(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()
        held, self._held = self._held, None
        at = self.to_source(event.position())
        away = event.position() - self._pressed_at
        clicked = hypot(away.x(), away.y()) < CLICK
        windowing = self.tool == "window_level" and held is Qt.MouseButton.LeftButton
        if (held is Qt.MouseButton.RightButton and not clicked) or windowing:
            self.levels_settled.emit()
        if not self.editable:
            return
        if held is Qt.MouseButton.LeftButton:
            self._end(at, event, clicked)
        elif held is Qt.MouseButton.RightButton and clicked and self.tool == "point":
            self._report(tools.add_point(self._prompts, at, positive=False))

    def _end(self, at: tools.Position, event: QMouseEvent, clicked: bool) -> None:
        if self.tool == "box":
            start = self.to_source(self._pressed_at)
            self._report(self._box.release(start if clicked else at))
        elif self.tool == "point" and self._inside(at):
            index = tools.point_at(self._prompts, at, self._reach)
            if index is not None:
                self.chosen = ("point", index)
                self.show_prompts(self._prompts, self._waits)
            else:
                alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
                self._report(tools.add_point(self._prompts, at, positive=not alt))
        elif self._brush is not None:
            stroke, self._brush = self._brush.release(), None
            self._report(stroke)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if self.tool == "polygon" and self.editable:
            corners, self._corners = self._corners, []
            self.hand.show_polygon([])
            self._report(tools.polygon(self._labels, corners, self.label))
        else:
            self.mousePressEvent(event)

    def _report(self, outcome: tools.Prompted | tools.Painted | None) -> None:
        if isinstance(outcome, tools.Painted):
            self.painted.emit(outcome)
        elif isinstance(outcome, tools.Prompted):
            self.prompted.emit(outcome)
        else:
            self._draw_labels(self._labels)
            self.show_prompts(self._prompts, self._waits)

    def cancel_gesture(self) -> None:
        """Let go of a half-made gesture without effect."""
        self._held, self._brush, self._corners = None, None, []
        self._box.release(self._pressed_source())
        self.hand.show_polygon([])

    def _pressed_source(self) -> tools.Position:
        return self.to_source(self._pressed_at)

    def delete_chosen(self) -> None:
        """Delete the chosen box or point, or the only one there is."""
        prompts, chosen = self._prompts, self.chosen
        if chosen is None and len(prompts.boxes) + len(prompts.points) == 1:
            chosen = ("box" if prompts.boxes else "point", 0)
        if chosen is not None and self.editable:
            self.chosen = None
            self._report(tools.without(prompts, *chosen))

    def _inside(self, at: tools.Position) -> bool:
        rows, columns = self._labels.shape
        return 0 <= at[0] < columns and 0 <= at[1] < rows

    def _hover(self, at: tools.Position) -> None:
        brush = self.tool in ("brush", "eraser")
        radii = (self.radius_mm / self._spacing[1], self.radius_mm / self._spacing[0])
        colour = theme.LABEL_COLOURS.get(self.label, theme.TEXT)
        self.hand.show_brush(at if brush else None, radii, colour)
        if self._inside(at):
            column, row = int(at[0]), int(at[1])
            self.hovered.emit(f"{column}, {row}: {self._pixels[row, column]:.0f}")
        else:
            self.hovered.emit("")

    def redraw_hand(self) -> None:
        """Draw the brush again after its size changed."""
        self._hover(self.to_source(self._last_at))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def leaveEvent(self, event: QEvent) -> None:
        self.hand.show_brush(None, (0, 0), theme.TEXT)
        self.hovered.emit("")
        super().leaveEvent(event)

    def _pan(self, moved: QPointF) -> None:
        per_mm = self._screen_per_pixel * 2 / sum(self._spacing)
        self.view.translateBy(x=-moved.x() / per_mm, y=-moved.y() / per_mm)

    def _drag_levels(self, moved: QPointF) -> None:
        low, high = self.levels
        width, centre = high - low, (high + low) / 2
        width = max(width * (1 + moved.x() / 250), 1e-3)
        centre += width * moved.y() / 250
        self.set_levels((centre - width / 2, centre + width / 2))
        self.levels_changed.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.accept()
        turned = event.angleDelta().y()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            at = self.view.mapSceneToView(self.mapToScene(event.position().toPoint()))
            self.view.scaleBy(s=0.999**turned, center=(at.x(), at.y()))
            return
        self._wheel += turned
        steps = int(self._wheel / 120)
        if steps:
            self._wheel -= steps * 120
            self.scrolled.emit(-steps)
