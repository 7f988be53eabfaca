"""All slices at once, each in a cell that every tool works in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil

from PyQt6.QtCore import QEvent, QObject, QRectF, QSettings, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PyQt6.QtWidgets import QApplication, QScrollArea, QStackedWidget, QWidget

from scarseg.gui import theme
from scarseg.gui.commands import Commands
from scarseg.gui.tools import drawing, prompts
from scarseg.gui.tools.contours import WallMoved
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.filmstrip import RIGHT, Captioned, sized
from scarseg.gui.viewer.view_state import ViewState

CAPTION = 22
"""The line beneath a picture: number, grams, status."""
FRAME = 2
GAP = 4
SMALLEST = 132
"""Cells are never smaller than this, in pixels: beyond that the montage scrolls."""


@dataclass(frozen=True)
class Plan:
    """How cells stand: so many side by side, each this large; all of them this high."""

    columns: int
    width: int
    height: int
    total: int


def plan(n: int, width: int, height: int) -> Plan:
    """Arrange ``n`` cells in a window so that their pictures are as large as can be.

    A picture is as large as its shorter side. Cells fill the window; where they would become
    smaller than a reader can work in, they go on below it.
    """

    def cell(columns: int) -> tuple[int, int]:
        rows = ceil(n / columns)
        return (width - GAP * (columns + 1)) // columns, (height - GAP * (rows + 1)) // rows

    def side(columns: int) -> int:
        across, down = cell(columns)
        return min(across, down - CAPTION)

    n = max(n, 1)
    columns = max(range(1, n + 1), key=lambda c: (side(c), -c))
    across, down = cell(columns)
    if side(columns) < SMALLEST:
        columns = min(max((width - GAP) // (SMALLEST + GAP), 1), n)
        across = (width - GAP * (columns + 1)) // columns
        down = SMALLEST + CAPTION
    return Plan(columns, across, down, GAP + ceil(n / columns) * (down + GAP))


class Cell(Captioned):
    """One slice of the montage.

    Signals:
        opened: the line beneath the picture was double-clicked; ``pressed``: it was clicked.
    """

    pressed = pyqtSignal()
    opened = pyqtSignal()

    def __init__(self, index: int, shared: ViewState) -> None:
        super().__init__(index)
        self.canvas = Canvas(shared)
        self.canvas.setParent(self)
        self.canvas.setAccessibleName(f"Picture of slice {index + 1}")
        self.canvas.make_small()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        inner = self.rect().adjusted(FRAME, FRAME, -FRAME, -CAPTION)
        self.canvas.setGeometry(inner)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.pressed.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.opened.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(theme.BACKGROUND))
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(theme.ACCENT if self.chosen else theme.LINE), 2.0))
        painter.setBrush(QColor(theme.RAISED if self.chosen else theme.PANEL))
        painter.drawRoundedRect(frame, 3, 3)
        line = QRectF(8, self.height() - CAPTION, self.width() - 15, CAPTION - 2)
        sized(painter, 12, bold=True)
        self.write(painter, line, str(self.index + 1), theme.TEXT)
        left = line.left() + painter.fontMetrics().horizontalAdvance("00") + 5
        sized(painter, 12, bold=self.chosen)
        self.write(painter, line, self.grams, theme.TEXT, RIGHT)
        right = line.right() - painter.fontMetrics().horizontalAdvance(self.grams or " ") - 8
        if self.remark:
            self.write(painter, QRectF(right - 8, line.top(), 10, line.height()), "!", theme.YELLOW)
            right -= 14
        sized(painter, 11)
        self.write_status(painter, QRectF(left, line.top(), right - left, line.height()))
        painter.end()


class Grid(QScrollArea):
    """A cell for every slice of the open stack.

    Signals:
        made: a new cell, to be connected.
        stepped: slices to go, by a key that only the montage knows.
    """

    made = pyqtSignal(object)
    stepped = pyqtSignal(int)

    def __init__(self, shared: ViewState) -> None:
        super().__init__()
        self.setAccessibleName("Montage: all slices")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._shared = shared
        self._sheet = QWidget()
        self.setWidget(self._sheet)
        self.cells: list[Cell] = []
        self._linking = self._frozen = False

    def set_count(self, n: int) -> None:
        """Have exactly so many cells; those that stay are used again."""
        if len(self.cells) == n:
            return
        while len(self.cells) > n:
            cell = self.cells.pop()
            cell.setParent(None)
            cell.deleteLater()
        while len(self.cells) < n:
            cell = Cell(len(self.cells), self._shared)
            cell.setParent(self._sheet)
            cell.show()
            self.cells.append(cell)
            cell.canvas.seen_changed.connect(partial(self._link, cell.canvas))
            self.made.emit(cell)
        self._arrange()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if not self._frozen:
            self._arrange()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Leave the cells as they are while the window is laid out anew, and arrange them then.

        A cell that has its old size at the end need not be drawn again.
        """
        self._frozen = True
        try:
            yield
        finally:
            self._frozen = False
            self._arrange()

    def _arrange(self) -> None:
        width, height = self.width(), self.height()
        planned = plan(len(self.cells), width, height)
        if planned.total > height:
            bar = self.verticalScrollBar()
            width -= 8 if bar is None else max(bar.sizeHint().width(), 8)
            planned = plan(len(self.cells), width, height)
        self._sheet.resize(QSize(width, max(planned.total, height)))
        for n, cell in enumerate(self.cells):
            row, column = divmod(n, planned.columns)
            x, y = (GAP + column * (planned.width + GAP), GAP + row * (planned.height + GAP))
            cell.setGeometry(x, y, planned.width, planned.height)

    def _link(self, moved: Canvas) -> None:
        """Show the same part of every slice as the one that was panned or zoomed."""
        if not self._linking:
            self._linking = True
            for cell in self.cells:
                if cell.canvas.seen != moved.seen:
                    cell.canvas.show_region(moved.seen)
            self._linking = False

    @property
    def busy(self) -> bool:
        """Return whether a mouse button is held in one of the cells."""
        return any(cell.canvas.busy for cell in self.cells)

    def choose(self, k: int) -> None:
        """Frame the current slice and scroll to it, unless that moved it from under the mouse.

        A gesture under way on another slice is cancelled, unless a button is held there.
        """
        for cell in self.cells:
            cell.set_caption(chosen=cell.index == k)
            cell.canvas.set_current(cell.index == k)
            if cell.index != k and not cell.canvas.busy:
                cell.canvas.reset_tool()
        if k < len(self.cells) and not self.busy:
            self.ensureWidgetVisible(self.cells[k], 0, GAP)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Step by Left and Right; every other key is an action's or the window's."""
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if event is None:
            return
        if event.key() in steps and not event.modifiers():
            self.stepped.emit(steps[Qt.Key(event.key())])
        else:
            event.ignore()


KEY = "view/montage"


class Views(QStackedWidget):
    """Show one slice large or all at once; apply each gesture to the slice it was made on.

    Signals:
        switched: the other view is shown.
        refused, hinted, hovered, resized, threshold_turned, levels_changed, levels_settled: from
            the slice under the mouse, as in :class:`scarseg.gui.viewer.canvas.Canvas`.
    """

    switched = pyqtSignal()
    refused = pyqtSignal(str)
    hinted = pyqtSignal(str)
    hovered = pyqtSignal(str)
    resized = pyqtSignal(int)
    threshold_turned = pyqtSignal(int)
    levels_changed = pyqtSignal()
    levels_settled = pyqtSignal()

    def __init__(self, commands: Commands, settings: QSettings, watcher: QObject) -> None:
        super().__init__()
        self.other_gestures: list[Callable[[], bool]] = []
        """Tools that filter the events of the views: each returns whether it waits."""
        self._commands, self._settings, self._watcher = commands, settings, watcher
        self.shared = ViewState(self)
        self.shared.contours = commands.wall.contours
        self.canvas, self.grid = Canvas(self.shared), Grid(self.shared)
        self.addWidget(self.canvas)
        self.addWidget(self.grid)
        self.grid.made.connect(self._take_cell)
        self.grid.stepped.connect(commands.slices.step)
        self._connect(self.canvas)
        self.canvas.levels_changed.connect(self.levels_changed)
        self.canvas.prompted.connect(commands.segmentation.prompted)
        self.canvas.painted.connect(commands.segmentation.painted)
        self.canvas.wall_moved.connect(commands.wall.moved)
        self.setCurrentIndex(int(settings.value(KEY, False, type=bool)))

    @property
    def montage(self) -> bool:
        """Return whether all slices are shown."""
        return self.currentWidget() is self.grid

    @property
    def active(self) -> Canvas:
        """Return the view of the current slice that is shown."""
        document = self._commands.document
        if self.montage and document is not None and document.current < len(self.grid.cells):
            return self.grid.cells[document.current].canvas
        return self.canvas

    def of_slice(self, k: int) -> Iterator[Canvas]:
        """Return the views that show slice ``k`` of the open stack."""
        document = self._commands.document
        if document is not None and k == document.current:
            yield self.canvas
        if self.montage and k < len(self.grid.cells):
            yield self.grid.cells[k].canvas

    @property
    def gesture_canvas(self) -> Canvas | None:
        """The view in which a gesture is half made, if there is one."""
        canvases = (self.canvas, *(cell.canvas for cell in self.grid.cells))
        return next((canvas for canvas in canvases if canvas.gesture_open), None)

    @property
    def other_gesture_open(self) -> bool:
        """Return whether a tool that is none of the views' own waits for its click or release."""
        return any(waits() for waits in self.other_gestures)

    def cancel_gestures(self) -> None:
        """Cancel the gesture under way, on any slice."""
        for canvas in (self.canvas, *(cell.canvas for cell in self.grid.cells)):
            canvas.cancel_gesture()

    def toggle(self) -> None:
        """Show the other view; which one is remembered."""
        self.show_montage(not self.montage)

    def show_montage(self, montage: bool) -> None:
        """Show all slices at once, or the current one large."""
        if montage is self.montage:
            return
        self.cancel_gestures()
        with self.grid.frozen():
            self.setCurrentIndex(int(montage))
            self._settings.setValue(KEY, montage)
            self.switched.emit()
            # Lay out now: else every cell is painted once at the size it has beside the strip.
            QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        self.active.setFocus()

    def picture(self, caption: str) -> QImage:
        """Return the current slice as it is, or would be, shown large."""
        if self.canvas.size() != self.size():
            self.canvas.resize(self.size())
        return self.canvas.picture(caption)

    # Gestures

    def _connect(self, canvas: Canvas) -> None:
        canvas.refused.connect(self.refused)
        canvas.hinted.connect(self.hinted)
        canvas.hovered.connect(self.hovered)
        canvas.resized.connect(self.resized)
        canvas.threshold_turned.connect(self.threshold_turned)
        canvas.levels_settled.connect(self.levels_settled)
        canvas.scrolled.connect(self._commands.slices.step)
        canvas.installEventFilter(self._watcher)

    def _take_cell(self, cell: Cell) -> None:
        k = cell.index
        self._connect(cell.canvas)
        cell.canvas.levels_changed.connect(self.canvas.levels_changed)
        for part in (cell, cell.canvas):
            part.pressed.connect(partial(self._commands.slices.go_to, k))
            part.opened.connect(partial(self._open, k))
        cell.canvas.prompted.connect(partial(self._prompted, k))
        cell.canvas.painted.connect(partial(self._painted, k))
        cell.canvas.wall_moved.connect(partial(self._wall_moved, k))

    def _open(self, k: int) -> None:
        self._commands.slices.go_to(k)
        self.show_montage(False)

    # A reader may have changed the slice with a button held: the gesture ends where it began.

    def _prompted(self, k: int, outcome: prompts.Prompted) -> None:
        self._commands.slices.go_to(k)
        self._commands.segmentation.prompted(outcome)

    def _painted(self, k: int, outcome: drawing.Painted) -> None:
        self._commands.slices.go_to(k)
        self._commands.segmentation.painted(outcome)

    def _wall_moved(self, k: int, outcome: WallMoved) -> None:
        self._commands.slices.go_to(k)
        self._commands.wall.moved(outcome)
