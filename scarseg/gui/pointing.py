"""The hand over the slice: what it would do here, and moving, windowing and scrolling."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from scarseg.gui import drawing, theme, tools
from scarseg.gui.overlay import REACH
from scarseg.gui.shared import Common, Shared
from scarseg.gui.sliceview import SliceView
from scarseg.labels import Label

POINT_REACH = 6.5
"""How far from the middle of a point the hand may be, in screen pixels."""
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
    tools.BORDER: Qt.CursorShape.SizeAllCursor,
}
"""What the hand looks like over the parts of a box."""


class Pointing(SliceView):
    """Show what is in hand over the slice, and let the wheel and drags change the view.

    ``threshold`` is the value, in source units, above which the threshold brush paints.

    Signals:
        scrolled: slices to go, down positive.
        resized: the brush is to grow by so many steps.
        threshold_turned: the threshold is to rise by so many steps.
        levels_changed: the window is being dragged; ``levels_settled``: the hand let go.
        hovered: sentence about the pixel under the hand, or empty.
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
        self._boxes = {label: tools.BoxTool(label) for label in tools.NAMES}
        self._held: Qt.MouseButton | None = None
        self._last_at = QPointF()
        self._over = self._current = False
        self._wheel = 0
        self._leave()

    def viewport(self) -> QWidget:
        """Give the widget that takes the mouse."""
        return self

    @property
    def box_tool(self) -> tools.BoxTool | None:
        """Give what draws boxes with this tool and label; L draws the wall's whatever the label."""
        if self.tool == "ventricle":
            return self._boxes[Label.MYOCARDIUM]
        return self._boxes.get(self.label) if self.tool == "box" else None

    def redraw(self) -> None:
        super().redraw()
        if hasattr(self, "_wheel"):
            self.redraw_hand()

    def redraw_hand(self) -> None:
        """Draw the hand again after its tool, size or label changed."""
        self._show_handles()
        if self._over:
            self._hover(self.to_source(self._last_at))
        else:
            self._leave()

    def be_current(self, current: bool) -> None:
        """Say whether this small view shows the current slice."""
        self._current = current
        self._show_handles()

    def _show_handles(self) -> None:
        """Show what a press would take hold of; among many small views only where a hand is."""
        hand = self.box_tool
        near = not self.small or self._current or self._over
        self.prompt_layer.show_handles(hand.structure if hand is not None and near else None)

    def _inside(self, at: tools.Position) -> bool:
        rows, columns = self._labels.shape
        return 0 <= at[0] < columns and 0 <= at[1] < rows

    def _hover(self, at: tools.Position) -> None:
        self._show_brush(at)
        self._show_word(at)
        if self._held is None:
            self.setCursor(self._cursor(at))
        if self._inside(at):
            column, row = int(at[0]), int(at[1])
            self.hovered.emit(f"{column}, {row}:  {self.image.pixels[row, column]:.0f}")
        else:
            self.hovered.emit("")

    def _show_brush(self, at: tools.Position) -> None:
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

    def _show_word(self, at: tools.Position) -> None:
        """Say at the hand what box and point ask for where that is not scar."""
        word = ""
        if self.tool in ("box", "point") and self.label is not Label.SCAR and self.editable:
            word = tools.NAMES.get(self.label, "nothing to ask for")
        self.hand.show_word(at, word, theme.LABEL_COLOURS.get(self.label, theme.TEXT))

    def _cursor(self, at: tools.Position) -> Qt.CursorShape:
        """Show what a press would do here."""
        reach = 1 / self.screen_per_pixel
        if self.tool == "window_level":
            return Qt.CursorShape.SizeAllCursor
        hand = self.box_tool
        if hand is not None and self.editable:
            grip = hand.grip(self._prompts, at, REACH * reach)
            return Qt.CursorShape.CrossCursor if grip is None else CURSORS[grip.part]
        if self.tool == "point" and self.editable:
            index = tools.point_at(self._prompts, at, POINT_REACH * reach)
            if index is not None:
                return Qt.CursorShape.PointingHandCursor
        return Qt.CursorShape.CrossCursor

    def _drag_view(self, event: QMouseEvent) -> tools.Position:
        """Follow the hand: move or window the image where that is what it does."""
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
