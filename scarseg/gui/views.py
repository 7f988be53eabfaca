"""The two views of a stack: one slice large, or all of them in a montage that is edited alike."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from PyQt6.QtCore import QObject, QSettings, pyqtSignal
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QStackedWidget

from scarseg.gui import drawing, tools
from scarseg.gui.canvas import Canvas
from scarseg.gui.desk import Desk
from scarseg.gui.grid import Cell, Grid
from scarseg.gui.shared import Shared

KEY = "view/montage"


class Views(QStackedWidget):
    """Show one slice large or all at once, and bring what a hand did to the slice it did it on.

    Signals:
        switched: the other view is in sight.
        refused, hovered, resized, threshold_turned, levels_changed, levels_settled: as those of
            :class:`scarseg.gui.canvas.Canvas`, from whichever slice the hand is on.
    """

    switched = pyqtSignal()
    refused = pyqtSignal(str)
    hovered = pyqtSignal(str)
    resized = pyqtSignal(int)
    threshold_turned = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()

    def __init__(self, desk: Desk, settings: QSettings, watcher: QObject) -> None:
        super().__init__()
        self._desk, self._settings, self._watcher = desk, settings, watcher
        self.shared = Shared(self)
        self.canvas, self.grid = Canvas(self.shared), Grid(self.shared)
        self.addWidget(self.canvas)
        self.addWidget(self.grid)
        self.grid.made.connect(self._take_cell)
        self.grid.stepped.connect(desk.step)
        self._connect(self.canvas)
        self.canvas.levels_changed.connect(self.levels_changed)
        self.canvas.prompted.connect(desk.prompted)
        self.canvas.painted.connect(desk.painted)
        self.setCurrentIndex(int(settings.value(KEY, False, type=bool)))

    @property
    def montage(self) -> bool:
        """Say whether all slices are in sight."""
        return self.currentWidget() is self.grid

    @property
    def active(self) -> Canvas:
        """Give the view of the current slice that is in sight."""
        document = self._desk.document
        if self.montage and document is not None and document.current < len(self.grid.cells):
            return self.grid.cells[document.current].canvas
        return self.canvas

    def of_slice(self, k: int) -> Iterator[Canvas]:
        """Give the views that show slice ``k`` of the open stack."""
        document = self._desk.document
        if document is not None and k == document.current:
            yield self.canvas
        if self.montage and k < len(self.grid.cells):
            yield self.grid.cells[k].canvas

    def let_go(self) -> None:
        """Give up whatever is half made, on any slice."""
        for canvas in (self.canvas, *(cell.canvas for cell in self.grid.cells)):
            canvas.cancel_gesture()

    def toggle(self) -> None:
        """Show the other view; which one is remembered."""
        self.show_montage(not self.montage)

    def show_montage(self, montage: bool) -> None:
        """Show all slices at once, or the current one large."""
        if montage is self.montage:
            return
        self.let_go()
        self.setCurrentIndex(int(montage))
        self._settings.setValue(KEY, montage)
        self.switched.emit()
        self.active.setFocus()

    def picture(self, caption: str) -> QImage:
        """Give the current slice as it is, or would be, shown large."""
        if self.canvas.size() != self.size():
            self.canvas.resize(self.size())
        return self.canvas.picture(caption)

    # What a hand did

    def _connect(self, canvas: Canvas) -> None:
        canvas.refused.connect(self.refused)
        canvas.hovered.connect(self.hovered)
        canvas.resized.connect(self.resized)
        canvas.threshold_turned.connect(self.threshold_turned)
        canvas.levels_settled.connect(self.levels_settled)
        canvas.scrolled.connect(self._desk.step)
        canvas.installEventFilter(self._watcher)

    def _take_cell(self, cell: Cell) -> None:
        k = cell.index
        self._connect(cell.canvas)
        cell.canvas.levels_changed.connect(self.canvas.levels_changed)
        for part in (cell, cell.canvas):
            part.pressed.connect(partial(self._desk.go_to, k))
            part.opened.connect(partial(self._open, k))
        cell.canvas.prompted.connect(partial(self._prompted, k))
        cell.canvas.painted.connect(partial(self._painted, k))

    def _open(self, k: int) -> None:
        self._desk.go_to(k)
        self.show_montage(False)

    # A reader may have gone on while the hand still held something: it lands where it began.

    def _prompted(self, k: int, outcome: tools.Prompted) -> None:
        self._desk.go_to(k)
        self._desk.prompted(outcome)

    def _painted(self, k: int, outcome: drawing.Painted) -> None:
        self._desk.go_to(k)
        self._desk.painted(outcome)
