"""Mouse tool for the remote myocardium: drag around it, or click into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import hypot

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QMouseEvent

from scarseg.case.labels import Label, MaskArray, infarct_mask
from scarseg.gui.panels.thresholds import masks
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.tools import drawing
from scarseg.gui.viewer.canvas import CLICK, Canvas
from scarseg.gui.viewer.montage import Cell, Views

TOOL = "remote"
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
PAN_MODIFIER = Qt.KeyboardModifier.ShiftModifier
"""With this modifier a drag pans, as with every tool."""
Position = tuple[float, float]


class RemoteRegionMouse(QObject):
    """Filter the mouse events of the canvases while the remote region tool is selected.

    ``current`` returns the index of the current slice. Positions are source pixels (column, row).
    States: idle; dragging, from the press until the release or :meth:`cancel`.

    Signals:
        drawn: (slice, corners) of a region that was dragged around.
        clicked: (slice, position).
        reset: the slice whose region is to be proposed again.
    """

    drawn = pyqtSignal(int, object)
    clicked = pyqtSignal(int, object)
    reset = pyqtSignal(int)

    def __init__(self, views: Views, current: Callable[[], int | None], parent: QObject) -> None:
        super().__init__(parent)
        self._current = current
        self._corners: list[Position] = []
        self._right_at = QPointF()
        self._began: tuple[Canvas, QPointF, int] | None = None
        views.canvas.installEventFilter(self)
        for cell in views.grid.cells:
            self._add_cell(cell)
        views.grid.made.connect(self._add_cell)
        views.shared.tool_chosen.connect(self.cancel)
        views.other_gestures.append(lambda: self._began is not None)

    def _add_cell(self, cell: Cell) -> None:
        cell.canvas.installEventFilter(self)

    def cancel(self) -> None:
        """Discard a region that is being drawn."""
        if self._began is not None:
            canvas, self._began = self._began[0], None
            self._corners = []
            canvas.tool_layer.show_polygon([])

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
            watched.tool_layer.show_polygon(self._corners)
        elif kind == QEvent.Type.MouseButtonRelease:
            self._release(watched, event)
        return True

    def _right(self, kind: QEvent.Type, event: QMouseEvent) -> None:
        k = self._current()
        if kind in PRESSES:
            self._right_at = event.position()
        elif k is not None and (event.position() - self._right_at).manhattanLength() < CLICK:
            self.reset.emit(k)

    def _press(self, canvas: Canvas, event: QMouseEvent) -> None:
        canvas.pressed.emit()
        k = self._current()
        if k is None:
            return
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self.reset.emit(k)
            return
        self._began = (canvas, event.position(), k)
        self._corners = [canvas.to_source(event.position())]

    def _release(self, canvas: Canvas, event: QMouseEvent) -> None:
        assert self._began is not None
        _, start, k = self._began
        corners, away = self._corners, event.position() - start
        first = corners[0]
        furthest = max(hypot(x - first[0], y - first[1]) for x, y in corners)
        self.cancel()
        if k != self._current():
            return
        small = furthest * canvas.screen_per_pixel < 2 * CLICK
        if small and away.manhattanLength() < CLICK:
            self.clicked.emit(k, canvas.to_source(event.position()))
        else:
            self.drawn.emit(k, corners)


class RemoteRegions(QObject):
    """Controller of the remote regions that the reader draws on the open case.

    Signals:
        said: a message for the status bar.
    """

    said = pyqtSignal(str)

    def __init__(
        self, session: Session, views: Views, actions: Mapping[str, QAction], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._mouse = RemoteRegionMouse(views, self._current, self)
        self._mouse.drawn.connect(self._add_drawn)
        self._mouse.clicked.connect(self._add_sector)
        self._mouse.reset.connect(self._reset)
        actions["cancel_gesture"].triggered.connect(self._mouse.cancel)

    @property
    def here(self) -> dict[int, MaskArray]:
        """The regions (row, column) drawn on the open stack, by slice."""
        from scarseg.quant.remote import drawn_remote

        return drawn_remote(self._document.case)

    @property
    def _document(self) -> Document:
        assert self._session.current is not None
        return self._session.current.document

    def _current(self) -> int | None:
        return None if self._session.current is None else self._document.current

    def _add_drawn(self, k: int, corners: list[Position]) -> None:
        empty = np.zeros_like(self._document.case.labels[k])
        filled = drawing.polygon(empty, corners, Label.MYOCARDIUM)
        self._keep(k, np.zeros(empty.shape, dtype=bool) if filled is None else filled.labels > 0)

    def _add_sector(self, k: int, at: Position) -> None:
        from scarseg.quant.remote import remote_sector

        spacing = self._document.case.stack.pixel_spacing_mm
        self._keep(k, remote_sector(self._wall(k), spacing, at))

    def _keep(self, k: int, region: MaskArray) -> None:
        """Keep the part of a region that is wall without scar."""
        from scarseg.quant.remote import MINIMUM_VOXELS

        region = region & self._wall(k) & ~infarct_mask(self._document.case.labels[k])
        if np.count_nonzero(region) < MINIMUM_VOXELS:
            self.said.emit(f"Not taken: fewer than {MINIMUM_VOXELS} voxels of wall without scar.")
            return
        self._document.set_remote_region(k, region)

    def _reset(self, k: int) -> None:
        self._document.set_remote_region(k, None)

    def _wall(self, k: int) -> MaskArray:
        """Return the current wall of a slice, (row, column)."""
        from scarseg.quant.method_comparison import searched_wall

        document = self._document
        return searched_wall(
            masks.clip_stack_to_wall(document.case.labels, document.labels_under_scar)
        )[k]
