"""The hand that says where remote wall lies: drag round it, or click where it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import hypot

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QMouseEvent

from scarseg.case.labels import Label, MaskArray, infarct_mask
from scarseg.gui.panels import threshold_results
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.tools import drawing
from scarseg.gui.viewer.canvas import CLICK, Canvas
from scarseg.gui.viewer.montage import Cell, Views

TOOL = "remote"
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
PAN_MODIFIER = Qt.KeyboardModifier.ShiftModifier
"""With this a drag moves the image, as with every tool."""
Position = tuple[float, float]


class RemoteRegionMouse(QObject):
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
        if watched.tool != TOOL or event.modifiers() & PAN_MODIFIER:
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


class RemoteRegions(QObject):
    """The remote regions that a reader drew, by stack and slice; the case does not change.

    Signals:
        changed: one was drawn or given up.
        said: a sentence for the reader that does not need an answer.
    """

    changed = pyqtSignal()
    said = pyqtSignal(str)

    def __init__(self, session: Session, views: Views, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._drawn: dict[str, dict[int, MaskArray]] = {}
        self._hand = RemoteRegionMouse(views, self._current, self)
        self._hand.drawn.connect(self._take_drawn)
        self._hand.clicked.connect(self._take_clicked)
        self._hand.given_up.connect(self._give_up)

    def bind(self, actions: Mapping[str, QAction]) -> None:
        """Take the action that lets go of what is half drawn."""
        actions["cancel_gesture"].triggered.connect(self._hand.let_go)

    @property
    def here(self) -> dict[int, MaskArray]:
        """Give the regions (row, column) that were drawn on the open stack, by slice."""
        return self._drawn.setdefault(self._document.case.stack.stack_id, {})

    @property
    def _document(self) -> Document:
        assert self._session.current is not None
        return self._session.current.document

    def _current(self) -> int | None:
        return None if self._session.current is None else self._document.current

    def _take_drawn(self, k: int, corners: list[Position]) -> None:
        blank = np.zeros_like(self._document.case.labels[k])
        filled = drawing.polygon(blank, corners, Label.MYOCARDIUM)
        self._keep(k, np.zeros(blank.shape, dtype=bool) if filled is None else filled.labels > 0)

    def _take_clicked(self, k: int, at: Position) -> None:
        from scarseg.quant.remote import remote_sector

        spacing = self._document.case.stack.pixel_spacing_mm
        self._keep(k, remote_sector(self._wall(k), spacing, at))

    def _keep(self, k: int, region: MaskArray) -> None:
        """Take of a region what is wall and not scar."""
        from scarseg.quant.remote import MINIMUM_VOXELS

        region = region & self._wall(k) & ~infarct_mask(self._document.case.labels[k])
        if np.count_nonzero(region) < MINIMUM_VOXELS:
            self.said.emit(f"Not taken: fewer than {MINIMUM_VOXELS} voxels of wall without scar.")
            return
        self.here[k] = region
        self.changed.emit()

    def _give_up(self, k: int) -> None:
        if self.here.pop(k, None) is not None:
            self.changed.emit()

    def _wall(self, k: int) -> MaskArray:
        """Give the wall of a slice as it stands now, (row, column)."""
        from scarseg.quant.method_comparison import searched_wall

        document = self._document
        return searched_wall(
            threshold_results.clip_stack_to_wall(document.case.labels, document.labels_under_scar)
        )[k]
