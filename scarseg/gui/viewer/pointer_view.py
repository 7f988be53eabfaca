"""The mouse over a slice: cursor, brush, readout, wheel; drags of the view and its levels."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from scarseg.case.labels import Label
from scarseg.gui import theme
from scarseg.gui.tools import drawing
from scarseg.gui.tools import prompts as tools_prompts
from scarseg.gui.tools.contours import Border, HeartContours
from scarseg.gui.viewer.painting import REACH
from scarseg.gui.viewer.slice_view import SliceView
from scarseg.gui.viewer.view_state import SharedAttribute, ViewState

POINT_REACH = 6.5
"""How far from the middle of a point the mouse may be, in screen pixels."""
BRUSHES = ("brush", "threshold", "eraser")
"""The tools that draw along a stroke."""
CONTOUR_REACH = {"contour": 14.0, "box": 3.0, "point": 5.0}
"""How far from a contour of the wall each tool takes it, in screen pixels; others never do.

The box tool only right on it: boxes round scar begin close to the contours.
"""
CONTOUR_HINTS = {
    Border.ENDOCARDIUM: "Drag the endocardium; Home, End nudge it (Shift: all slices)",
    Border.EPICARDIUM: "Drag the epicardium; Page Up, Page Down nudge it (Shift: all slices)",
}
BOX_HINT = ". Ctrl: box"
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
BORDER_LABELS = {Border.ENDOCARDIUM: Label.BLOOD_POOL, Border.EPICARDIUM: Label.MYOCARDIUM}
"""The label that each border of the wall bounds from outside."""


class PointerView(SliceView):
    """Show the tool in use over the slice; the wheel and drags change the view.

    ``threshold`` is the value, in source units, above which the threshold brush paints.

    Signals:
        scrolled: slices to go, down positive.
        resized: the brush is to grow by so many steps.
        threshold_turned: the threshold is to rise by so many steps.
        levels_changed: the window is being dragged; ``levels_settled``: the button was released.
        hovered: sentence about the pixel under the mouse, or empty.
        hinted: sentence about what a press here would do.
    """

    scrolled = pyqtSignal(int)
    resized = pyqtSignal(int)
    threshold_turned = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()
    hovered = pyqtSignal(str)
    hinted = pyqtSignal(str)

    tool, label = SharedAttribute[str](), SharedAttribute[Label]()
    editable = SharedAttribute[bool]()
    radius_mm, threshold = SharedAttribute[float](), SharedAttribute[float]()

    def __init__(self, shared: ViewState | None = None) -> None:
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
            self.redraw_tool()

    def redraw_tool(self) -> None:
        """Draw brush and cursor again after tool, size or label changed."""
        self._show_handles()
        if self._over:
            self._hover(self.to_source(self._last_at))
        else:
            self._leave()

    def set_current(self, current: bool) -> None:
        """Set whether this small view shows the current slice."""
        self._current = current
        self._show_handles()

    def _show_handles(self) -> None:
        """Show the handles a press would grab; among many small views only where the mouse is."""
        tool = self.box_tool
        near = not self.small or self._current or self._over
        self.prompt_layer.show_handles(tool.structure if tool is not None and near else None)

    def _inside(self, at: tools_prompts.Position) -> bool:
        rows, columns = self._labels.shape
        return 0 <= at[0] < columns and 0 <= at[1] < rows

    def _hover(self, at: tools_prompts.Position) -> None:
        self._show_brush(at)
        self._show_word(at)
        if self._held is None:
            self._show_contour(at)
            self.setCursor(self._cursor(at))
        if self._inside(at):
            column, row = int(at[0]), int(at[1])
            self.hovered.emit(f"{column}, {row}:  {self.image.pixels[row, column]:.0f}")
        else:
            self.hovered.emit("")

    def _contour_at(self, at: tools_prompts.Position) -> tuple[HeartContours, Border, int] | None:
        """Find the contour that a press here takes, and which point of it.

        Handles and borders of boxes, and points, come first.
        """
        reach = CONTOUR_REACH.get(self.tool, 0.0) / self.screen_per_pixel
        if not (reach and self.editable) or self.shared.hidden or self._prompt_at(at):
            return None
        contours = self.shared.contours.of(self._under_scar)
        found = None if contours is None else contours.nearest(at, reach)
        return None if contours is None or found is None else (contours, *found)

    def takes_contour(self, at: tools_prompts.Position) -> bool:
        """Return whether a press here takes a contour of the wall instead of using the tool."""
        return self._contour_at(at) is not None

    def _prompt_at(self, at: tools_prompts.Position) -> bool:
        """Return whether the tool would take a box or point here."""
        tool, reach = self.box_tool, 1 / self.screen_per_pixel
        if tool is not None:
            return tool.grip(self._prompts, at, REACH * reach) is not None
        if self.tool != "point":
            return False
        return tools_prompts.point_at(self._prompts, at, POINT_REACH * reach) is not None

    def _show_contour(self, at: tools_prompts.Position) -> None:
        """Show the contour that a press here would take, and how to use it."""
        found = self._contour_at(at)
        if found is None:
            self.contour_layer.show_contour(None)
            return
        contours, border, _ = found
        if not self.contour_layer.shown:
            more = BOX_HINT if self.tool == "box" else ""
            self.hinted.emit(CONTOUR_HINTS[border] + more)
        self._draw_contour(contours, border)

    def _draw_contour(self, contours: HeartContours, border: Border) -> None:
        contour = contours[border]
        colour = theme.LABEL_COLOURS[BORDER_LABELS[border]]
        self.contour_layer.show_contour(None if contour is None else contour.points, colour)

    def _show_brush(self, at: tools_prompts.Position) -> None:
        """Show the brush and, before a press, the pixels that a threshold lets it paint."""
        colour = theme.LABEL_COLOURS.get(self.label, theme.TEXT)
        radii = (self.radius_mm / self._spacing[1], self.radius_mm / self._spacing[0])
        if self.tool not in BRUSHES:
            self.tool_layer.show_brush(None, radii, colour)
            return
        caught = None
        if self.tool == "threshold" and self._held is None:
            caught = drawing.disc(self._labels.shape, at, at, self.radius_mm, self._spacing)
            caught &= self.image.pixels > self.threshold
        self.tool_layer.show_brush(at, radii, colour, caught)

    def _show_word(self, at: tools_prompts.Position) -> None:
        """Write beside the cursor what box and point ask for where that is not scar."""
        word = ""
        if self.tool in ("box", "point") and self.label is not Label.SCAR and self.editable:
            word = tools_prompts.NAMES.get(self.label, "nothing to ask for")
        self.tool_layer.show_word(at, word, theme.LABEL_COLOURS.get(self.label, theme.TEXT))

    def _cursor(self, at: tools_prompts.Position) -> Qt.CursorShape:
        """Show what a press would do here."""
        reach = 1 / self.screen_per_pixel
        if self.tool == "window_level":
            return Qt.CursorShape.SizeAllCursor
        if self.contour_layer.shown:
            return Qt.CursorShape.OpenHandCursor
        tool = self.box_tool
        if tool is not None and self.editable:
            grip = tool.grip(self._prompts, at, REACH * reach)
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
        self.tool_layer.show_brush(None, (0, 0), theme.TEXT)
        self.tool_layer.show_word((0, 0), "", theme.TEXT)
        self.contour_layer.show_contour(None)
