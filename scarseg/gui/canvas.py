"""The hand on the slice: the mouse becomes gestures in source pixels here."""

from __future__ import annotations

from math import hypot

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent

from scarseg.gui import drawing, tools
from scarseg.gui.overlay import REACH
from scarseg.gui.pointing import BRUSHES, POINT_REACH, Pointing
from scarseg.gui.shared import Shared
from scarseg.labels import Label
from scarseg.stack import FloatArray

CLICK = 4.0
"""A press that moves less than this, in screen pixels, is a click."""

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE = Qt.MouseButton.MiddleButton
CLICKED = ("point", "flood", *BRUSHES)
"""The tools that a second click means as much to as the first."""
Outcome = tools.Prompted | drawing.Painted | drawing.Refused


class Canvas(Pointing):
    """Show one slice and report what the hand did on it.

    Signals:
        prompted: a :class:`scarseg.gui.tools.Prompted`.
        painted: a :class:`scarseg.gui.drawing.Painted`.
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
        self._box: tools.BoxTool | None = None
        self._corners: list[tools.Position] = []
        self._pressed_at, self._button = QPointF(), LEFT
        self._twice = False
        self.shared.tool_chosen.connect(self._take_tool)
        self._take_tool()

    def choose_tool(self, name: str) -> None:
        """Take a tool in hand, in all views; what was half made is let go."""
        self.shared.choose_tool(name)

    def _take_tool(self) -> None:
        self.cancel_gesture()
        self.redraw_hand()

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice; a half-made gesture is let go."""
        self.cancel_gesture()
        super().show_image(pixels)

    def cancel_gesture(self) -> None:
        """Let go of a half-made gesture without effect."""
        busy = self._held is not None
        self._held, self._brush, self._box, self._corners = None, None, None, []
        self.hand.show_polygon([])
        if busy:
            self._report(None)

    @property
    def busy(self) -> bool:
        """Say whether a button is held here."""
        return self._held is not None

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
            self._report(tools.without(prompts, *chosen))

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

    def _begin(self, at: tools.Position, event: QMouseEvent) -> None:
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
                self._labels, self._ground, at, self.label, self.radius_mm, self._spacing
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

    def _end(self, at: tools.Position, event: QMouseEvent, clicked: bool, right: bool) -> None:
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
        elif self.tool == "box" and self.label in tools.REFUSED:
            self._report(drawing.Refused(tools.REFUSED[self.label]))
        elif self._brush is not None:
            stroke, self._brush = self._brush.release(self._labels), None
            self._report(stroke)
        elif self.tool == "lasso":
            self._fill_corners("lasso")
        elif self.tool == "flood" and clicked:
            self._report(drawing.flood(self._labels, at, self.label))

    def _choose(self, index: int | None) -> None:
        """Take a box of the kind in hand as the one to delete; the ventricle's always stays."""
        kind = "pool" if self.label is Label.BLOOD_POOL else "box"
        able = index is not None and self.tool == "box" and self.label is not Label.MYOCARDIUM
        self.chosen = (kind, index or 0) if able else None

    def _click(self, at: tools.Position, positive: bool) -> None:
        """Add a point, or delete the one that was clicked."""
        if not self._inside(at):
            return
        index = tools.point_at(self._prompts, at, POINT_REACH / self.screen_per_pixel)
        if index is None and self.label in tools.REFUSED:
            self._report(drawing.Refused(tools.REFUSED[self.label]))
        elif index is None:
            self._report(tools.add_point(self._prompts, at, positive, self.label))
        else:
            self.chosen = None
            self._report(tools.without(self._prompts, "point", index))

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
        elif isinstance(outcome, tools.Prompted):
            self.prompted.emit(outcome)
        else:
            if isinstance(outcome, drawing.Refused):
                self.refused.emit(outcome.why)
            self._draw_labels(self._labels, self._traced)
            self.show_prompts(self._prompts, self._waits)
