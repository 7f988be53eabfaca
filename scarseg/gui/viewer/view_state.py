"""What all views of slices share: how a slice is shown, and the tool in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np
from PyQt6.QtCore import QObject, QPointF, QRectF, pyqtSignal

from scarseg.case.case import Case
from scarseg.case.labels import Label, wall_mask
from scarseg.gui.tools.contours import ContourCache
from scarseg.gui.viewer.window_level import Balance, Levels

T = TypeVar("T")


class ViewState(QObject):
    """Values that every view of a slice takes from one place.

    ``levels`` are the grey values from black to white on the scale of the stack, ``balances`` carry
    them to that of each slice where slices are not shown alike; ``filled`` and ``fill_opacity``
    say how labels are tinted; ``hidden`` is true while a reader wants the image alone; ``tool``,
    ``label``, ``radius_mm`` and ``threshold`` (source units) are of the tool in use, ``editable``
    whether it may change anything. ``contours`` are those of the wall of each slice.

    Signals:
        changed: any of them.
        tool_chosen: another tool is in use, or the same one was chosen again.
    """

    changed = pyqtSignal()
    tool_chosen = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.levels: Levels = (0.0, 1.0)
        self.balances: tuple[Balance, ...] = ()
        self.fill_opacity = 0.3
        self.filled = True
        self.smooth = True
        self.prompts_shown = True
        self.hidden = False
        self.tool = "box"
        self.label = Label.SCAR
        self.radius_mm = 4.0
        self.threshold = 0.0
        self.editable = True
        self.contours = ContourCache()

    def set(self, name: str, value: object) -> None:
        """Change one of the values, for all views at once."""
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.changed.emit()

    def levels_of(self, slice_index: int) -> Levels:
        """Return the grey values from black to white of a slice."""
        known = slice_index < len(self.balances)
        return self.balances[slice_index].levels(self.levels) if known else self.levels

    def choose_tool(self, name: str) -> None:
        """Choose a tool, in all views at once."""
        self.tool = name
        self.tool_chosen.emit()


class _Sharing(Protocol):
    shared: ViewState


class SharedAttribute(Generic[T]):
    """An attribute of a view that is really that of all views."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, view: None, owner: type) -> SharedAttribute[T]: ...
    @overload
    def __get__(self, view: _Sharing, owner: type) -> T: ...
    def __get__(self, view: _Sharing | None, owner: type) -> Any:
        return self if view is None else getattr(view.shared, self._name)

    def __set__(self, view: _Sharing, value: T) -> None:
        view.shared.set(self._name, value)


SMALL_MARGIN, LARGE_MARGIN = 1.44, 1.4
"""Side of what is shown to the width of the wall; and of the large view to that."""
SMALLEST_MM = 90.0
SHARE = 0.65
"""Of the slice, where no wall is known."""


@dataclass(frozen=True)
class HeartRegion:
    """Where the heart is.

    ``close_mm`` for small pictures and ``large_mm`` for the large view, in mm; ``crop`` is the
    former in source pixels. ``found`` says whether there is a wall to go by.
    """

    close_mm: QRectF
    large_mm: QRectF
    crop: QRectF
    found: bool


def find_heart_region(case: Case) -> HeartRegion:
    """Find the square round the wall of all slices, or the middle where there is none."""
    stack = case.stack
    row_mm, column_mm = stack.pixel_spacing_mm
    wall = wall_mask(case.labels).any(axis=0)
    found = bool(wall.any())
    middle = QPointF(stack.columns / 2 * column_mm, stack.rows / 2 * row_mm)
    side = SHARE * min(stack.columns * column_mm, stack.rows * row_mm)
    if found:
        rows, columns = np.nonzero(wall)
        middle = QPointF(
            (float(columns.mean()) + 0.5) * column_mm, (float(rows.mean()) + 0.5) * row_mm
        )
        across = max(np.ptp(columns) * column_mm, np.ptp(rows) * row_mm)
        side = max(float(across) * SMALL_MARGIN, SMALLEST_MM)
    close = _square(middle, side)
    crop = QRectF(close.left() / column_mm, close.top() / row_mm, side / column_mm, side / row_mm)
    return HeartRegion(close, _square(middle, side * LARGE_MARGIN), crop, found)


def _square(middle: QPointF, side: float) -> QRectF:
    return QRectF(middle.x() - side / 2, middle.y() - side / 2, side, side)
