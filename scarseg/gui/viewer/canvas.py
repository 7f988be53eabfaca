"""Gestures on a slice: presses, drags and clicks become prompts and labels in source pixels."""

from __future__ import annotations

from math import hypot

from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent

from scarseg.case.labels import Label
from scarseg.case.stack import FloatArray
from scarseg.gui.tools import drawing
from scarseg.gui.tools import prompts as tools_prompts
from scarseg.gui.tools.contours import ContourDrag, WallMoved
from scarseg.gui.viewer.painting import REACH
from scarseg.gui.viewer.pointer_view import BRUSHES, POINT_REACH, PointerView
from scarseg.gui.viewer.view_state import ViewState

CLICK = 4.0
"""A press that moves less than this, in screen pixels, is a click."""
PULL = 2.0
"""The same with the tool for contours, to which a click means nothing and a pixel much."""

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE = Qt.MouseButton.MiddleButton
CLICKED = ("point", "flood", *BRUSHES)
"""The tools that a second click means as much to as the first."""
Outcome = tools_prompts.Prompted | drawing.Painted | drawing.Refused | WallMoved


class Canvas(PointerView):
    """Show one slice and report the gestures on it.

    Signals:
        prompted: a :class:`scarseg.gui.tools.prompts.Prompted`.
        painted: a :class:`scarseg.gui.tools.drawing.Painted`.
        wall_moved: a :class:`scarseg.gui.tools.contours.WallMoved`.
        refused: why a gesture changed nothing.
        pressed: a button went down, before anything comes of it.
        opened: a double-click with a tool that has no other use for it.
    """

    prompted = pyqtSignal(object)
    painted = pyqtSignal(object)
    wall_moved = pyqtSignal(object)
    refused = pyqtSignal(str)
    pressed = pyqtSignal()
    opened = pyqtSignal()

    def __init__(self, shared: ViewState | None = None) -> None:
        super().__init__(shared)
        self._brush: drawing.Brush | None = None
        self._box: tools_prompts.BoxTool | None = None
        self._drag: ContourDrag | None = None
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
        self.redraw_tool()

    def show_image(self, pixels: FloatArray, slice_index: int = 0) -> None:
        """Show the pixels (row, column) of a slice; a gesture under way is cancelled."""
        self.cancel_gesture()
        super().show_image(pixels, slice_index)

    def cancel_gesture(self) -> None:
        """Cancel the gesture under way, without effect."""
        busy = self._held is not None
        self._held, self._brush, self._box, self._corners = None, None, None, []
        self._drag = None
        self.contour_layer.show_contour(None)
        self.tool_layer.show_polygon([])
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

    def reset_tool(self) -> None:
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
        taken = None if new else self._contour_at(at)
        if taken is not None:
            contours, border, point = taken
            self._drag = ContourDrag(border, point, contours, at, self._spacing)
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
            self.tool_layer.show_polygon(self._corners)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        event.accept()
        at = self._drag_view(event)
        if self._held is LEFT and self.editable:
            if self._drag is not None:
                self._show_drag(self._drag, event)
            elif self._box is not None:
                self.prompt_layer.show_prompts(self._box.move(at), self.chosen, False)
            elif self._brush is not None:
                self._draw_labels(self._brush.move(at))
            elif self.tool == "lasso" and self._corners:
                self._corners.append(at)
                self.tool_layer.show_polygon(self._corners)

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
        drag, self._drag = self._drag, None
        if drag is not None and self._pulls(event):
            self._box = None
            self._release_contour(drag, at)
        elif self.tool == "point":
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

    def _show_drag(self, drag: ContourDrag, event: QMouseEvent) -> None:
        """Show wall and blood pool as a release here would leave them."""
        if not self._pulls(event):
            return
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        contours = drag.contours(self.to_source(event.position()))
        moved = drag.moved(contours, self._labels, self._under_scar)
        self._draw_contour(contours, drag.border)
        self._draw_labels(self._labels if moved is None else moved.labels)

    def _pulls(self, event: QMouseEvent) -> bool:
        """Return whether the mouse went far enough from its press to drag a contour."""
        away = event.position() - self._pressed_at
        return hypot(away.x(), away.y()) >= (PULL if self.tool == "contour" else CLICK)

    def _release_contour(self, drag: ContourDrag, at: tools_prompts.Position) -> None:
        contours = drag.contours(at)
        moved = drag.moved(contours, self._labels, self._under_scar)
        if moved is not None:
            self.shared.contours.store(moved.under_scar, contours)
        self._report(moved)
        self._hover(at)

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
        self.tool_layer.show_polygon([])
        self._report(drawing.polygon(self._labels, corners, self.label, verb))

    def _new_brush(self) -> drawing.Brush:
        if self.tool != "threshold":
            return drawing.Brush(self.tool == "eraser")
        above = self.image.pixels > self.threshold
        return drawing.Brush(False, above, f"paint above {self.threshold:.4g}")

    def _report(self, outcome: Outcome | None) -> None:
        if isinstance(outcome, drawing.Painted):
            self.painted.emit(outcome)
        elif isinstance(outcome, WallMoved):
            self.wall_moved.emit(outcome)
        elif isinstance(outcome, tools_prompts.Prompted):
            self.prompted.emit(outcome)
        else:
            if isinstance(outcome, drawing.Refused):
                self.refused.emit(outcome.why)
            self._draw_labels(self._labels, self._traced)
            self.show_prompts(self._prompts, self._waits)
