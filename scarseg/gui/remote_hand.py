"""The hand that says where remote wall lies: drag round it, or click where it is."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot

from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent

from scarseg.gui.canvas import CLICK, Canvas
from scarseg.gui.grid import Cell
from scarseg.gui.views import Views

TOOL = "remote"
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
AWAY = Qt.KeyboardModifier.ShiftModifier
"""With this a drag moves the image, as with every tool."""
Position = tuple[float, float]


class RemoteHand(QObject):
    """Take the mouse over slices while the remote region is in hand.

    ``current`` gives the slice that is current. Positions are source pixels (column, row).

    Signals:
        drawn: (slice, corners) of a region that was dragged round.
        clicked: (slice, position).
        given_up: the slice whose region is to be proposed again.
    """

    drawn = pyqtSignal(int, object)
    clicked = pyqtSignal(int, object)
    given_up = pyqtSignal(int)

    def __init__(self, views: Views, current: Callable[[], int | None], parent: QObject) -> None:
        super().__init__(parent)
        self._current = current
        self._corners: list[Position] = []
        self._right_at = QPointF()
        self._began: tuple[Canvas, QPointF, int] | None = None
        views.canvas.installEventFilter(self)
        for cell in views.grid.cells:
            self._take_cell(cell)
        views.grid.made.connect(self._take_cell)
        views.shared.tool_chosen.connect(self.let_go)

    def _take_cell(self, cell: Cell) -> None:
        cell.canvas.installEventFilter(self)

    def let_go(self) -> None:
        """Give up a region that is half drawn."""
        if self._began is not None:
            canvas, self._began = self._began[0], None
            self._corners = []
            canvas.hand.show_polygon([])

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if not isinstance(event, QMouseEvent) or not isinstance(watched, Canvas):
            return False
        if watched.tool != TOOL or event.modifiers() & AWAY:
            return False
        kind = event.type()
        if event.button() is RIGHT:
            self._right(kind, event)
            return False  # a right drag changes the window, as with every tool
        if kind in PRESSES and event.button() is LEFT:
            self._press(watched, event)
            return True
        if self._began is None:
            return False
        if kind == QEvent.Type.MouseMove:
            self._corners.append(watched.to_source(event.position()))
            watched.hand.show_polygon(self._corners)
        elif kind == QEvent.Type.MouseButtonRelease:
            self._release(watched, event)
        return True

    def _right(self, kind: QEvent.Type, event: QMouseEvent) -> None:
        k = self._current()
        if kind in PRESSES:
            self._right_at = event.position()
        elif k is not None and (event.position() - self._right_at).manhattanLength() < CLICK:
            self.given_up.emit(k)

    def _press(self, canvas: Canvas, event: QMouseEvent) -> None:
        canvas.pressed.emit()
        k = self._current()
        if k is None:
            return
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.given_up.emit(k)
            return
        self._began = (canvas, event.position(), k)
        self._corners = [canvas.to_source(event.position())]

    def _release(self, canvas: Canvas, event: QMouseEvent) -> None:
        assert self._began is not None
        _, start, k = self._began
        corners, away = self._corners, event.position() - start
        first = corners[0]
        furthest = max(hypot(x - first[0], y - first[1]) for x, y in corners)
        self.let_go()
        if k != self._current():
            return
        small = furthest * canvas.screen_per_pixel < 2 * CLICK
        if small and away.manhattanLength() < CLICK:
            self.clicked.emit(k, canvas.to_source(event.position()))
        else:
            self.drawn.emit(k, corners)
