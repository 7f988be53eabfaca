"""Send keys, drags and clicks to the real window as events, and time the waiting.

Waiting runs from the event that is sent (the release of the button, the press of the key)
until the window can go on: the slice that is then in front shows its proposal, or the answer to
the prompt, and is painted. Nothing is called on the program but what reads its state. Events
go to whichever view is shown: on the slice shown large, or in the cells of the montage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QEvent, QEventLoop, QMimeData, QPointF, Qt, QTimer, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget

from benchmarks.reader_wall import DragContour, SeenSlice
from scarseg.case.case import Case
from scarseg.case.labels import LabelArray, MaskArray, infarct_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.montage import CAPTION
from scarseg.segmentation.refill import refill_wall

PATIENCE_S = 300.0
LEFT = Qt.MouseButton.LeftButton
PLAIN = Qt.KeyboardModifier.NoModifier
ANEW = Qt.KeyboardModifier.ControlModifier
AWAY = Qt.KeyboardModifier.AltModifier
Position = tuple[float, float]


def pump_until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Let the window live until something holds; looked at every millisecond.

    Raises:
        TimeoutError: it never did.
    """
    begin, loop, beat = time.perf_counter(), QEventLoop(), QTimer()

    def look() -> None:
        if condition() or time.perf_counter() - begin > patience_s:
            loop.quit()

    beat.timeout.connect(look)
    beat.start(1)
    if not condition():
        loop.exec()
    beat.stop()
    if not condition():
        raise TimeoutError(what)


class WindowDriver:
    """Operates the window as a reader does. Positions are source pixels (column, row).

    Args:
        look_s: how long the reader looks before every act; 0 is a reader faster than any.
        watch: called with a word after every act, to film it.

    ``waits`` tells of every act what it was and how many seconds the window then took;
    ``looked_s`` is how long the program wanted the reader to look before it took a verdict.
    """

    def __init__(
        self,
        window: MainWindow,
        look_s: float = 0.0,
        watch: Callable[[str], None] | None = None,
    ) -> None:
        self.window = window
        self.look_s = look_s
        self.waits: list[tuple[str, float]] = []
        self.n_gestures = 0
        self.looked_s = 0.0
        self.drags_wall = True
        self._cell: int | None = None
        self._watch = watch or (lambda word: None)

    # What the reader sees

    @property
    def slice_index(self) -> int:
        """Return which slice is read: the large one, or that of the cell."""
        in_cell = self._cell is not None and self.window.views.montage
        return self._cell if self._cell is not None and in_cell else self._document.current

    @property
    def found(self) -> MaskArray:
        """Return the scar on the slice that is read, bool (row, column)."""
        return infarct_mask(self.case.labels[self.slice_index])

    @property
    def seen(self) -> SeenSlice:
        """Return what the slice that is read shows."""
        k, stack = self.slice_index, self.case.stack
        under_scar, labels = self._document.labels_under_scar[k], self.case.labels[k]
        current = self.window.session.current
        assert current is not None
        inference = current.inference
        refilled = partial(self._refilled, inference, k) if inference.refills(k) else None
        spacing = stack.pixel_spacing_mm
        return SeenSlice(stack.pixels[k], labels, under_scar, spacing, refilled)

    def _refilled(
        self, inference: Inference, k: int, labels: LabelArray, under_scar: LabelArray
    ) -> LabelArray:
        """Return what the window makes of scar in a moved wall."""
        models, embedding = inference.models, inference.embedding(k)
        assert models is not None and embedding is not None
        logits = inference.current_logits(k)
        return refill_wall(models, embedding, self.prompts, labels, under_scar, logits).labels

    @property
    def case(self) -> Case:
        return self._document.case

    @property
    def prompts(self) -> SlicePrompts:
        return self.case.readings[self.slice_index].prompts

    @property
    def all_read(self) -> bool:
        return all(reading.status.read for reading in self._document.case.readings)

    @property
    def _document(self):  # type: ignore[no-untyped-def]
        current = self.window.session.current
        assert current is not None
        return current.document

    def answered(self) -> bool:
        """Return whether the slice in front is proposed and answers nothing any more."""
        current = self.window.session.current
        if current is None:
            return False
        k, inference = current.document.current, current.inference
        return inference.readiness[k] is not Readiness.WAITING and k not in inference.pending

    def all_proposed(self) -> bool:
        """Return whether every slice is proposed and answers nothing any more."""
        current = self.window.session.current
        if current is None:
            return False
        inference = current.inference
        waiting = Readiness.WAITING in inference.readiness or inference.proposing
        return not waiting and not inference.pending

    def looked_at_all(self) -> bool:
        """Return whether the program takes it that every slice was looked at as it stands."""
        document, everything = self._document, range(len(self._document.case.readings))
        unread = {k for k in everything if not document.case.readings[k].status.read}
        return unread <= document.viewed

    @property
    def canvas(self) -> Canvas:
        """Return the view of the slice that is read."""
        views = self.window.views
        return views.grid.cells[self.slice_index].canvas if views.montage else views.canvas

    # Keys

    def press(self, action: str, then: Callable[[], bool] | None = None) -> None:
        """Press the key of an action; wait until ``then``, or for the slice in front."""
        self._look()
        begin = time.perf_counter()
        QTest.keySequence(self.canvas, self.window.actions_by_name[action].shortcut())
        self._wait(begin, then or self.answered, action)

    def show_montage(self) -> None:
        """Have all slices in sight; the program remembers that."""
        self._cell = None
        if not self.window.views.montage:
            self.press("montage")

    def accept_the_rest(self) -> None:
        """Accept all that was looked at and has no verdict yet."""
        if not self.all_read:
            self.look_at_all()
            self.press("accept_seen", lambda: self.all_read)
        self._cell = None

    def take_counts(self) -> tuple[list[tuple[str, float]], int, float]:
        """Return waits, number of gestures and time looked so far, and begin anew."""
        told = self.waits, self.n_gestures, self.looked_s
        self.waits, self.n_gestures, self.looked_s = [], 0, 0.0
        return told

    def choose_tool(self, tool: str) -> None:
        """Choose a tool unless it is chosen."""
        if not self.window.actions_by_name[tool].isChecked():
            self.press(tool)

    # Mouse

    def go_to_cell(self, k: int) -> None:
        """Work on this slice of the montage from now on."""
        self._cell = k

    def choose_slice(self) -> None:
        """Click on the line beneath the picture of the slice that is read."""
        cell = self.window.views.grid.cells[self.slice_index]
        at = QPointF(cell.width() / 2, cell.height() - CAPTION / 2)
        self._look()
        begin = time.perf_counter()
        for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
            _send(cell, kind, at, LEFT, PLAIN)
        self._wait(begin, self.answered, "choose slice")

    def drag_box(self, box: Box) -> None:
        """Drag a new box; with Ctrl, so that no border of another one is taken."""
        self.choose_tool("box")
        corners = np.array([(box.column0, box.row0), (box.column1, box.row1)])
        path = [tuple(corners[0] + share * (corners[1] - corners[0])) for share in (0, 0.3, 0.7, 1)]
        self._stroke(path, ANEW, "box")

    def click(self, point: Point) -> None:
        """Click where scar is missing; with Alt where it is false."""
        self.choose_tool("point")
        word = "this too" if point.positive else "not this"
        self._stroke([(point.column, point.row)], PLAIN if point.positive else AWAY, word)

    def drag_contour(self, drag: DragContour) -> None:
        """Drag a contour of the wall from where it is to where it belongs."""
        self.choose_tool("contour")
        start, end = np.array(drag.start), np.array(drag.end)
        path = [tuple(start + share * (end - start)) for share in (0, 0.3, 0.7, 1)]
        self._stroke(path, PLAIN, "wall")

    def delete_box(self, index: int) -> None:
        """Choose a box by a click on its border and press Del."""
        self.choose_tool("box")
        box = self.prompts.boxes[index]
        for share in (0.25, 0.75, 0.4, 0.6, 0.1, 0.9):
            at = (box.column0 + share * box.width, box.row0)
            self._stroke([at], PLAIN, "choose")
            if self.canvas.chosen == ("box", index):
                break
        self.press("delete")

    def _stroke(self, path: list[Position], modifiers: Qt.KeyboardModifier, word: str) -> None:
        self._look()
        self._mouse(QEvent.Type.MouseMove, path[0], modifiers, held=False)
        self._mouse(QEvent.Type.MouseButtonPress, path[0], modifiers)
        for at in path[1:]:
            self._mouse(QEvent.Type.MouseMove, at, modifiers)
        begin = time.perf_counter()
        self._mouse(QEvent.Type.MouseButtonRelease, path[-1], modifiers)
        self._wait(begin, self.answered, word)

    def _mouse(
        self, kind: QEvent.Type, at: Position, modifiers: Qt.KeyboardModifier, held: bool = True
    ) -> None:
        view = self.canvas
        here = QPointF(view.from_source(*at).toPoint())
        button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else LEFT
        down = held and kind != QEvent.Type.MouseButtonRelease
        _send(view, kind, here, button, modifiers, LEFT if down else Qt.MouseButton.NoButton)

    def drop(self, folder: Path, then: Callable[[], bool]) -> None:
        """Drop a folder on the window."""
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(folder))])
        at, copy = self.window.rect().center(), Qt.DropAction.CopyAction
        QApplication.sendEvent(self.window, QDragEnterEvent(at, copy, mime, LEFT, PLAIN))
        begin = time.perf_counter()
        QApplication.sendEvent(self.window, QDropEvent(QPointF(at), copy, mime, LEFT, PLAIN))
        self._wait(begin, then, "drop")

    # Waiting

    def _look(self) -> None:
        if self.look_s:
            end = time.perf_counter() + self.look_s
            pump_until(lambda: time.perf_counter() > end, "looking")

    def wait_for_all(self) -> None:
        """Wait until every slice is proposed, and painted."""
        begin = time.perf_counter()
        pump_until(self.all_proposed, "all proposals")
        self._paint_cells()
        self.waits.append(("all", time.perf_counter() - begin))
        self._watch("all proposed")

    def look_at_all(self) -> None:
        """Look until the program takes it that all was looked at."""
        begin = time.perf_counter()
        pump_until(self.looked_at_all, "slices taken as seen")
        self.looked_s += time.perf_counter() - begin

    def _paint_cells(self) -> None:
        for cell in self.window.views.grid.cells:
            cell.canvas.repaint()

    def _wait(self, begin: float, until: Callable[[], bool], word: str) -> None:
        pump_until(until, word)
        self.canvas.repaint()
        self.waits.append((word, time.perf_counter() - begin))
        self.n_gestures += 1
        self._watch(word)


def _send(
    widget: QWidget,
    kind: QEvent.Type,
    at: QPointF,
    button: Qt.MouseButton,
    modifiers: Qt.KeyboardModifier,
    held: Qt.MouseButton = Qt.MouseButton.NoButton,
) -> None:
    across = widget.mapToGlobal(at)
    QApplication.sendEvent(widget, QMouseEvent(kind, at, across, button, held, modifiers))
