"""The mouse on the slice: its events become gestures in source pixels here."""

from __future__ import annotations

from math import hypot

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from scarseg.case.labels import Label
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.tools import drawing
from scarseg.gui.tools import prompts as tools_prompts
from scarseg.gui.viewer.painting import REACH
from scarseg.gui.viewer.slice_view import SliceView
from scarseg.gui.viewer.view_state import Common, Shared

POINT_REACH = 6.5
"""How far from the middle of a point the mouse may be, in screen pixels."""
BRUSHES = ("brush", "threshold", "eraser")
"""The tools that draw along a stroke."""
CURSORS = {
    "nw": Qt.CursorShape.SizeFDiagCursor,
    "se": Qt.CursorShape.SizeFDiagCursor,
    "ne": Qt.CursorShape.SizeBDiagCursor,
    "sw": Qt.CursorShape.SizeBDiagCursor,
    "n": Qt.CursorShape.SizeVerCursor,
    "s": Qt.CursorShape.SizeVerCursor,
    "w": Qt.CursorShape.SizeHorCursor,
    "e": Qt.CursorShape.SizeHorCursor,
    tools_prompts.BORDER: Qt.CursorShape.SizeAllCursor,
}
"""The mouse cursor over the parts of a box."""


class Pointing(SliceView):
    """Show the tool in use over the slice; the wheel and drags change the view.

    ``threshold`` is the value, in source units, above which the threshold brush paints.

    Signals:
        scrolled: slices to go, down positive.
        resized: the brush is to grow by so many steps.
        threshold_turned: the threshold is to rise by so many steps.
        levels_changed: the window is being dragged; ``levels_settled``: the button was released.
        hovered: sentence about the pixel under the mouse, or empty.
    """

    scrolled = pyqtSignal(int)
    resized = pyqtSignal(int)
    threshold_turned = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()
    hovered = pyqtSignal(str)

    tool, label, editable = Common[str](), Common[Label](), Common[bool]()
    radius_mm, threshold = Common[float](), Common[float]()

    def __init__(self, shared: Shared | None = None) -> None:
        super().__init__(shared)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setMouseTracking(True)
        self._boxes = {label: tools_prompts.BoxTool(label) for label in tools_prompts.NAMES}
        self._held: Qt.MouseButton | None = None
        self._last_at = QPointF()
        self._over = self._current = False
        self._wheel = 0
        self._leave()

    def viewport(self) -> QWidget:
        """Return the widget that receives the mouse events."""
        return self

    @property
    def box_tool(self) -> tools_prompts.BoxTool | None:
        """Return the box tool of this tool and label; L draws the wall's whatever the label."""
        if self.tool == "ventricle":
            return self._boxes[Label.MYOCARDIUM]
        return self._boxes.get(self.label) if self.tool == "box" else None

    def redraw(self) -> None:
        super().redraw()
        if hasattr(self, "_wheel"):
            self.redraw_hand()

    def redraw_hand(self) -> None:
        """Draw brush and cursor again after tool, size or label changed."""
        self._show_handles()
        if self._over:
            self._hover(self.to_source(self._last_at))
        else:
            self._leave()

    def be_current(self, current: bool) -> None:
        """Set whether this small view shows the current slice."""
        self._current = current
        self._show_handles()

    def _show_handles(self) -> None:
        """Show the handles a press would grab; among many small views only where the mouse is."""
        hand = self.box_tool
        near = not self.small or self._current or self._over
        self.prompt_layer.show_handles(hand.structure if hand is not None and near else None)

    def _inside(self, at: tools_prompts.Position) -> bool:
        rows, columns = self._labels.shape
        return 0 <= at[0] < columns and 0 <= at[1] < rows

    def _hover(self, at: tools_prompts.Position) -> None:
        self._show_brush(at)
        self._show_word(at)
        if self._held is None:
            self.setCursor(self._cursor(at))
        if self._inside(at):
            column, row = int(at[0]), int(at[1])
            self.hovered.emit(f"{column}, {row}:  {self.image.pixels[row, column]:.0f}")
        else:
            self.hovered.emit("")

    def _show_brush(self, at: tools_prompts.Position) -> None:
        """Show the brush and, before a press, the pixels that a threshold lets it paint."""
        colour = theme.LABEL_COLOURS.get(self.label, theme.TEXT)
        radii = (self.radius_mm / self._spacing[1], self.radius_mm / self._spacing[0])
        if self.tool not in BRUSHES:
            self.hand.show_brush(None, radii, colour)
            return
        caught = None
        if self.tool == "threshold" and self._held is None:
            caught = drawing.disc(self._labels.shape, at, at, self.radius_mm, self._spacing)
            caught &= self.image.pixels > self.threshold
        self.hand.show_brush(at, radii, colour, caught)

    def _show_word(self, at: tools_prompts.Position) -> None:
        """Write beside the cursor what box and point ask for where that is not scar."""
        word = ""
        if self.tool in ("box", "point") and self.label is not Label.SCAR and self.editable:
            word = tools_prompts.NAMES.get(self.label, "nothing to ask for")
        self.hand.show_word(at, word, theme.LABEL_COLOURS.get(self.label, theme.TEXT))

    def _cursor(self, at: tools_prompts.Position) -> Qt.CursorShape:
        """Show what a press would do here."""
        reach = 1 / self.screen_per_pixel
        if self.tool == "window_level":
            return Qt.CursorShape.SizeAllCursor
        hand = self.box_tool
        if hand is not None and self.editable:
            grip = hand.grip(self._prompts, at, REACH * reach)
            return Qt.CursorShape.CrossCursor if grip is None else CURSORS[grip.part]
        if self.tool == "point" and self.editable:
            index = tools_prompts.point_at(self._prompts, at, POINT_REACH * reach)
            if index is not None:
                return Qt.CursorShape.PointingHandCursor
        return Qt.CursorShape.CrossCursor

    def _drag_view(self, event: QMouseEvent) -> tools_prompts.Position:
        """Follow the mouse: pan or window the image where that is what the button does."""
        at, moved = self.to_source(event.position()), event.position() - self._last_at
        self._last_at = event.position()
        if not self._over:
            self._over = True
            self._show_handles()
        self._hover(at)
        if self._held is Qt.MouseButton.MiddleButton:
            self.pan(moved)
        elif self._held is Qt.MouseButton.RightButton or (
            self._held is not None and self.tool == "window_level"
        ):
            self._drag_levels(moved)
        return at

    def _drag_levels(self, moved: QPointF) -> None:
        low, high = self.levels
        width, centre = high - low, (high + low) / 2
        width = max(width * (1 + moved.x() / 250), 1e-3)
        centre += width * moved.y() / 250
        self.set_levels((centre - width / 2, centre + width / 2))
        self.levels_changed.emit()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is None:
            return
        event.accept()
        # Held with Alt or Shift, some systems turn the wheel sideways.
        turned = event.angleDelta().y() or event.angleDelta().x()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(0.999**turned, event.position())
            return
        self._wheel += turned
        steps = int(self._wheel / 120)
        if not steps:
            return
        self._wheel -= steps * 120
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.resized.emit(steps)
        elif event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.threshold_turned.emit(steps)
        else:
            self.scrolled.emit(-steps)

    def leaveEvent(self, event: QEvent | None) -> None:
        if self._over:
            self._over = False
            self._show_handles()
            self.hovered.emit("")
        self._leave()
        super().leaveEvent(event)

    def _leave(self) -> None:
        moves = self.tool == "window_level"
        self.setCursor(Qt.CursorShape.SizeAllCursor if moves else Qt.CursorShape.CrossCursor)
        self.hand.show_brush(None, (0, 0), theme.TEXT)
        self.hand.show_word((0, 0), "", theme.TEXT)


CLICK = 4.0
"""A press that moves less than this, in screen pixels, is a click."""

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE = Qt.MouseButton.MiddleButton
CLICKED = ("point", "flood", *BRUSHES)
"""The tools that a second click means as much to as the first."""
Outcome = tools_prompts.Prompted | drawing.Painted | drawing.Refused


class Canvas(Pointing):
    """Show one slice and report the gestures on it.

    Signals:
        prompted: a :class:`scarseg.gui.tools.prompts.Prompted`.
        painted: a :class:`scarseg.gui.tools.drawing.Painted`.
        refused: why a gesture changed nothing.
        pressed: a button went down, before anything comes of it.
        opened: a double-click with a tool that has no other use for it.
    """

    prompted = pyqtSignal(object)
    painted = pyqtSignal(object)
    refused = pyqtSignal(str)
    pressed = pyqtSignal()
    opened = pyqtSignal()

    def __init__(self, shared: Shared | None = None) -> None:
        super().__init__(shared)
        self._brush: drawing.Brush | None = None
        self._box: tools_prompts.BoxTool | None = None
        self._corners: list[tools_prompts.Position] = []
        self._pressed_at, self._button = QPointF(), LEFT
        self._twice = False
        self.shared.tool_chosen.connect(self._take_tool)
        self._take_tool()

    def choose_tool(self, name: str) -> None:
        """Choose a tool, in all views; a gesture under way is cancelled."""
        self.shared.choose_tool(name)

    def _take_tool(self) -> None:
        self.cancel_gesture()
        self.redraw_hand()

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice; a gesture under way is cancelled."""
        self.cancel_gesture()
        super().show_image(pixels)

    def cancel_gesture(self) -> None:
        """Cancel the gesture under way, without effect."""
        busy = self._held is not None
        self._held, self._brush, self._box, self._corners = None, None, None, []
        self.hand.show_polygon([])
        if busy:
            self._report(None)

    @property
    def busy(self) -> bool:
        """Return whether a mouse button is held here."""
        return self._held is not None

    @property
    def gesture_open(self) -> bool:
        """Return whether a gesture is half made: a button is held, or a polygon is not closed."""
        return self.busy or bool(self._corners)

    def close_outline(self) -> bool:
        """Close and fill the open polygon or lasso; return whether there was one."""
        if not self._corners or not self.editable:
            return False
        self._held = None
        self._fill_corners(self.tool)
        return True

    def leave_off(self) -> None:
        """Forget what was chosen and half made: another slice is the current one."""
        self.cancel_gesture()
        self.chosen = None
        self.show_prompts(self._prompts, self._waits)

    def delete_chosen(self) -> None:
        """Delete the chosen box or point, or the only one there is."""
        prompts, chosen = self._prompts, self.chosen
        pool = ["pool"] if prompts.pool_box is not None else []
        every = ["box"] * len(prompts.boxes) + ["point"] * len(prompts.points) + pool
        if chosen is None and len(every) == 1:
            chosen = (every[0], 0)
        if chosen is not None and self.editable:
            self.chosen = None
            self._report(tools_prompts.without(prompts, *chosen))

    # Press, move, release

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        event.accept()
        if self._held is not None:
            return
        self._held = self._button = event.button()
        self._pressed_at = self._last_at = event.position()
        if self._held is LEFT and event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self._held = MIDDLE
        self.pressed.emit()
        if self._held is LEFT and self.editable:
            self._begin(self.to_source(event.position()), event)

    def _begin(self, at: tools_prompts.Position, event: QMouseEvent) -> None:
        new = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        self._box = self.box_tool
        if self._box is not None:
            rows, columns = self._labels.shape
            reach = REACH / self.screen_per_pixel
            index = self._box.press(self._prompts, at, reach, (rows, columns), new)
            self._choose(index)
            self.show_prompts(self._prompts, self._waits)
        elif self.tool in BRUSHES:
            self._brush = self._new_brush()
            labels = self._brush.press(
                self._labels, self._under_scar, at, self.label, self.radius_mm, self._spacing
            )
            self._draw_labels(labels)
        elif self.tool in ("polygon", "lasso"):
            self._corners.append(at)
            self.hand.show_polygon(self._corners)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        event.accept()
        at = self._drag_view(event)
        if self._held is LEFT and self.editable:
            if self._box is not None:
                self.prompt_layer.show_prompts(self._box.move(at), self.chosen, False)
            elif self._brush is not None:
                self._draw_labels(self._brush.move(at))
            elif self.tool == "lasso" and self._corners:
                self._corners.append(at)
                self.hand.show_polygon(self._corners)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        event.accept()
        if event.button() is not self._button:
            return
        held, self._held = self._held, None
        away = event.position() - self._pressed_at
        clicked = hypot(away.x(), away.y()) < CLICK
        if (held is RIGHT and not clicked) or (held is LEFT and self.tool == "window_level"):
            self.levels_settled.emit()
        elif held in (LEFT, RIGHT) and self.editable:
            self._end(self.to_source(event.position()), event, clicked, held is RIGHT)
        twice, self._twice = self._twice, False
        if twice and clicked and held is LEFT and self.tool not in CLICKED:
            self.opened.emit()

    def _end(
        self, at: tools_prompts.Position, event: QMouseEvent, clicked: bool, right: bool
    ) -> None:
        if self.tool == "point":
            alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
            self._click(at, positive=not (alt or right))
        elif right:
            return
        elif self._box is not None:
            box, self._box = self._box, None
            start = self.to_source(self._pressed_at)
            if clicked:
                self._choose(box.taken(self._prompts, start, REACH / self.screen_per_pixel))
            box.rebase(self._prompts)
            self._report(box.release(start if clicked else at))
        elif self.tool == "box" and self.label in tools_prompts.REFUSED:
            self._report(drawing.Refused(tools_prompts.REFUSED[self.label]))
        elif self._brush is not None:
            stroke, self._brush = self._brush.release(self._labels), None
            self._report(stroke)
        elif self.tool == "lasso":
            self._fill_corners("lasso")
        elif self.tool == "flood" and clicked:
            self._report(drawing.flood(self._labels, at, self.label))

    def _choose(self, index: int | None) -> None:
        """Choose the box that Del deletes, of the tool's kind; the ventricle's always stays."""
        kind = "pool" if self.label is Label.BLOOD_POOL else "box"
        able = index is not None and self.tool == "box" and self.label is not Label.MYOCARDIUM
        self.chosen = (kind, index or 0) if able else None

    def _click(self, at: tools_prompts.Position, positive: bool) -> None:
        """Add a point, or delete the one that was clicked."""
        if not self._inside(at):
            return
        index = tools_prompts.point_at(self._prompts, at, POINT_REACH / self.screen_per_pixel)
        if index is None and self.label in tools_prompts.REFUSED:
            self._report(drawing.Refused(tools_prompts.REFUSED[self.label]))
        elif index is None:
            self._report(tools_prompts.add_point(self._prompts, at, positive, self.label))
        else:
            self.chosen = None
            self._report(tools_prompts.without(self._prompts, "point", index))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self.tool == "polygon" and self.editable:
            event.accept()
            self._fill_corners("polygon")
        else:
            self._twice = True
            self.mousePressEvent(event)

    def _fill_corners(self, verb: str) -> None:
        corners, self._corners = self._corners, []
        self.hand.show_polygon([])
        self._report(drawing.polygon(self._labels, corners, self.label, verb))

    def _new_brush(self) -> drawing.Brush:
        if self.tool != "threshold":
            return drawing.Brush(self.tool == "eraser")
        above = self.image.pixels > self.threshold
        return drawing.Brush(False, above, f"paint above {self.threshold:.4g}")

    def _report(self, outcome: Outcome | None) -> None:
        if isinstance(outcome, drawing.Painted):
            self.painted.emit(outcome)
        elif isinstance(outcome, tools_prompts.Prompted):
            self.prompted.emit(outcome)
        else:
            if isinstance(outcome, drawing.Refused):
                self.refused.emit(outcome.why)
            self._draw_labels(self._labels, self._traced)
            self.show_prompts(self._prompts, self._waits)
