"""The hand on the slice: the mouse becomes gestures in source pixels here."""

from __future__ import annotations

from math import hypot

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent

from scarseg.gui import drawing, theme, tools
from scarseg.gui.overlay import REACH
from scarseg.gui.sliceview import SliceView
from scarseg.labels import Label
from scarseg.stack import FloatArray

POINT_REACH = 6.5
"""How far from the middle of a point the hand may be, in screen pixels."""
CLICK = 4.0
"""A press that moves less than this, in screen pixels, is a click."""

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE = Qt.MouseButton.MiddleButton
CURSORS = {
    "nw": Qt.CursorShape.SizeFDiagCursor,
    "se": Qt.CursorShape.SizeFDiagCursor,
    "ne": Qt.CursorShape.SizeBDiagCursor,
    "sw": Qt.CursorShape.SizeBDiagCursor,
    "n": Qt.CursorShape.SizeVerCursor,
    "s": Qt.CursorShape.SizeVerCursor,
    "w": Qt.CursorShape.SizeHorCursor,
    "e": Qt.CursorShape.SizeHorCursor,
    tools.BORDER: Qt.CursorShape.SizeAllCursor,
}
"""What the hand looks like over the parts of a box."""


class Canvas(SliceView):
    """Show one slice and report what the hand did on it.

    Signals:
        prompted: a :class:`scarseg.gui.tools.Prompted`.
        painted: a :class:`scarseg.gui.drawing.Painted`.
        scrolled: slices to go, down positive.
        levels_changed: the window is being dragged; ``levels_settled``: the hand let go.
        resized: the brush is to grow by so many steps.
        hovered: sentence about the pixel under the hand, or empty.
    """

    prompted = pyqtSignal(object)
    painted = pyqtSignal(object)
    scrolled = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()
    resized = pyqtSignal(int)
    hovered = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMouseTracking(True)
        self.setAcceptDrops(False)
        self.tool = "box"
        self.label = Label.SCAR
        self.radius_mm = 4.0
        self.editable = True
        self._boxes = {"box": tools.BoxTool(), "ventricle": tools.BoxTool(ventricle=True)}
        self._brush: drawing.Brush | None = None
        self._corners: list[tools.Position] = []
        self._held: Qt.MouseButton | None = None
        self._pressed_at = self._last_at = QPointF()
        self._over = False
        self._wheel = 0

    def choose_tool(self, name: str) -> None:
        """Take a tool in hand; what was half made is let go."""
        self.cancel_gesture()
        self.tool = name
        self.prompt_layer.handles = name if name in self._boxes else ""
        self.prompt_layer.update()
        self.redraw_hand()

    def show_image(self, pixels: FloatArray) -> None:
        self.cancel_gesture()
        super().show_image(pixels)

    def cancel_gesture(self) -> None:
        """Let go of a half-made gesture without effect."""
        busy = self._held is not None
        self._held, self._brush, self._corners = None, None, []
        self.hand.show_polygon([])
        if busy:
            self._report(None)

    def delete_chosen(self) -> None:
        """Delete the chosen box or point, or the only one there is."""
        prompts, chosen = self._prompts, self.chosen
        if chosen is None and len(prompts.boxes) + len(prompts.points) == 1:
            chosen = ("box" if prompts.boxes else "point", 0)
        if chosen is not None and self.editable:
            self.chosen = None
            self._report(tools.without(prompts, *chosen))

    def redraw_hand(self) -> None:
        """Draw the hand again after its tool, size or label changed."""
        if self._over:
            self._hover(self.to_source(self._last_at))
        else:
            self._leave()

    # Press, move, release

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()
        if self._held is not None:
            return
        self._held = event.button()
        self._pressed_at = self._last_at = event.position()
        if self._held is LEFT and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._held = MIDDLE
        if self._held is LEFT and self.editable:
            self._begin(self.to_source(event.position()), event)

    def _begin(self, at: tools.Position, event: QMouseEvent) -> None:
        new = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self.tool in self._boxes:
            rows, columns = self._labels.shape
            reach = REACH / self.screen_per_pixel
            hand = self._boxes[self.tool]
            index = hand.press(self._prompts, at, reach, (rows, columns), new)
            self.chosen = ("box", index) if self.tool == "box" and index is not None else None
            self.show_prompts(self._prompts, self._waits)
        elif self.tool in ("brush", "eraser"):
            self._brush = drawing.Brush(self.tool == "eraser")
            labels = self._brush.press(
                self._labels, self._ground, at, self.label, self.radius_mm, self._spacing
            )
            self._draw_labels(labels)
        elif self.tool == "polygon":
            self._corners.append(at)
            self.hand.show_polygon(self._corners)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        event.accept()
        at, moved = self.to_source(event.position()), event.position() - self._last_at
        self._last_at, self._over = event.position(), True
        self._hover(at)
        if self._held is MIDDLE:
            self._pan(moved)
        elif self._held is RIGHT or (self._held is LEFT and self.tool == "window_level"):
            self._drag_levels(moved)
        elif self._held is LEFT and self.editable:
            if self.tool in self._boxes:
                self.prompt_layer.show_prompts(self._boxes[self.tool].move(at), self.chosen, False)
            elif self._brush is not None:
                self._draw_labels(self._brush.move(at))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()
        held, self._held = self._held, None
        away = event.position() - self._pressed_at
        clicked = hypot(away.x(), away.y()) < CLICK
        if (held is RIGHT and not clicked) or (held is LEFT and self.tool == "window_level"):
            self.levels_settled.emit()
        elif held in (LEFT, RIGHT) and self.editable:
            self._end(self.to_source(event.position()), event, clicked, held is RIGHT)

    def _end(self, at: tools.Position, event: QMouseEvent, clicked: bool, right: bool) -> None:
        if self.tool == "point":
            alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
            self._click(at, positive=not (alt or right))
        elif right:
            return
        elif self.tool in self._boxes:
            start = self.to_source(self._pressed_at)
            if clicked and self.tool == "box":
                self._choose_box(start)
            self._boxes[self.tool].rebase(self._prompts)
            self._report(self._boxes[self.tool].release(start if clicked else at))
        elif self._brush is not None:
            stroke, self._brush = self._brush.release(self._labels), None
            self._report(stroke)

    def _choose_box(self, at: tools.Position) -> None:
        """Take the box that was clicked, on its border or inside, as the one to delete."""
        grip = tools.grip_at(self._prompts.boxes, at, REACH / self.screen_per_pixel)
        index = tools.box_round(self._prompts.boxes, at) if grip is None else grip.index
        self.chosen = None if index is None else ("box", index)

    def _click(self, at: tools.Position, positive: bool) -> None:
        """Add a point, or delete the one that was clicked."""
        if not self._inside(at):
            return
        index = tools.point_at(self._prompts, at, POINT_REACH / self.screen_per_pixel)
        if index is None:
            self._report(tools.add_point(self._prompts, at, positive))
        else:
            self.chosen = None
            self._report(tools.without(self._prompts, "point", index))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.tool == "polygon" and self.editable:
            event.accept()
            corners, self._corners = self._corners, []
            self.hand.show_polygon([])
            self._report(drawing.polygon(self._labels, corners, self.label))
        else:
            self.mousePressEvent(event)

    def _report(self, outcome: tools.Prompted | drawing.Painted | None) -> None:
        if isinstance(outcome, drawing.Painted):
            self.painted.emit(outcome)
        elif isinstance(outcome, tools.Prompted):
            self.prompted.emit(outcome)
        else:
            self._draw_labels(self._labels, self._traced)
            self.show_prompts(self._prompts, self._waits)

    def _inside(self, at: tools.Position) -> bool:
        rows, columns = self._labels.shape
        return 0 <= at[0] < columns and 0 <= at[1] < rows

    # Hovering, moving, windowing, scrolling

    def _hover(self, at: tools.Position) -> None:
        brush = self.tool in ("brush", "eraser")
        radii = (self.radius_mm / self._spacing[1], self.radius_mm / self._spacing[0])
        colour = theme.LABEL_COLOURS.get(self.label, theme.TEXT)
        self.hand.show_brush(at if brush else None, radii, colour)
        if self._held is None:
            self.setCursor(self._cursor(at))
        if self._inside(at):
            column, row = int(at[0]), int(at[1])
            self.hovered.emit(f"{column}, {row}:  {self._pixels[row, column]:.0f}")
        else:
            self.hovered.emit("")

    def _cursor(self, at: tools.Position) -> Qt.CursorShape:
        """Show what a press would do here."""
        reach = 1 / self.screen_per_pixel
        if self.tool == "window_level":
            return Qt.CursorShape.SizeAllCursor
        if self.tool in self._boxes and self.editable:
            grip = self._boxes[self.tool].grip(self._prompts, at, REACH * reach)
            return Qt.CursorShape.CrossCursor if grip is None else CURSORS[grip.part]
        if self.tool == "point" and self.editable:
            index = tools.point_at(self._prompts, at, POINT_REACH * reach)
            if index is not None:
                return Qt.CursorShape.PointingHandCursor
        return Qt.CursorShape.CrossCursor

    def _pan(self, moved: QPointF) -> None:
        per_mm = self.view.width() / max(self.view.viewRect().width(), 1e-6)
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
        # Held with Alt or Shift, some systems turn the wheel sideways.
        turned = event.angleDelta().y() or event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            at = self.view.mapSceneToView(self.mapToScene(event.position().toPoint()))
            factor = 0.999**turned
            self.view.scaleBy(s=(factor, factor), center=(at.x(), at.y()))
            return
        self._wheel += turned
        steps = int(self._wheel / 120)
        if not steps:
            return
        self._wheel -= steps * 120
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.resized.emit(steps)
        else:
            self.scrolled.emit(-steps)

    def leaveEvent(self, event: QEvent) -> None:
        self._over = False
        self._leave()
        super().leaveEvent(event)

    def _leave(self) -> None:
        self.setCursor(
            Qt.CursorShape.SizeAllCursor
            if self.tool == "window_level"
            else Qt.CursorShape.CrossCursor
        )
        self.hand.show_brush(None, (0, 0), theme.TEXT)
        self.hovered.emit("")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        event.ignore()
