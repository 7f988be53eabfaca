"""A hand and a stopwatch in the real window: what benchmarks/desk.py runs as a child process.

Everything goes through ``scarseg.cli.main`` and through mouse, key and wheel events.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import (
    QEvent,
    QEventLoop,
    QMimeData,
    QObject,
    QPoint,
    QPointF,
    Qt,
    QTimer,
    QUrl,
)
from PyQt6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget

from scarseg.gui import app
from scarseg.gui.main_window import MainWindow

BEAT_MS = 4
PATIENCE_S = 300.0
NONE = Qt.KeyboardModifier.NoModifier
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


class Heart(QObject):
    """Beat on the GUI thread and remember the longest pause of every phase, in seconds."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.longest: dict[str, float] = {}
        self.phases: list[tuple[str, float]] = []
        self.phase = ""
        self._last = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def begin(self, phase: str) -> None:
        """Count from now on for another phase."""
        self.phase, self._last = phase, time.monotonic()
        self.phases.append((phase, self._last))
        self._timer.start(BEAT_MS)

    def _beat(self) -> None:
        now = time.monotonic()
        pause = max(now - self._last - BEAT_MS / 1000, 0.0)
        self.longest[self.phase] = max(self.longest.get(self.phase, 0.0), pause)
        if pause > 0.03 and os.environ.get("PAUSES"):
            print(f"{self.phase}: {pause * 1e3:.0f} ms", file=sys.stderr)
        self._last = now


class Paints(QObject):
    """Notice when a widget has been painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.n = 0
        widget.installEventFilter(self)

    def eventFilter(  # noqa: N802
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        if event is not None and event.type() == QEvent.Type.Paint:
            self.n += 1
        return False


class Driver(QObject):
    """Sit at the window and do what one scenario says."""

    def __init__(self, window: MainWindow, scenario: Callable[[Driver], None]) -> None:
        super().__init__(window)
        self.window, self.heart = window, Heart(self)
        self.figures: dict[str, Any] = {}
        self.painted = Paints(window.canvas.graphics.viewport())
        self._front = Paints(window.pages)
        self._scenario = scenario
        QTimer.singleShot(0, self._begin)

    def _begin(self) -> None:
        self.until(lambda: self._front.n)
        QTest.keyClick(self.window, Qt.Key.Key_B)
        self.figures["start"] = time.monotonic() - float(os.environ["BEGUN"])
        self.heart.begin("start")
        self._scenario(self)
        self.figures["pauses"] = self.heart.longest
        self.figures["phases"] = [*self.heart.phases, ("", time.monotonic())]
        self.window.close()

    @property
    def session(self):
        return self.window.session

    @property
    def document(self):
        return self.session.current.document

    @property
    def inference(self):
        return self.session.current.inference

    def until(self, done: Callable[[], object]) -> float:
        """Let the program run until this holds; give the moment."""
        begin = time.monotonic()
        while not done():
            if time.monotonic() - begin > PATIENCE_S:
                raise TimeoutError(self.heart.phase)
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        return time.monotonic()

    def quiet(self) -> None:
        """Wait until every lane has come to rest and nothing is left to paint."""
        session = self.session
        lanes = (session.disk_worker, session.export_worker, session.inference_worker)
        self.until(lambda: not any(lane.busy for lane in lanes))
        QApplication.processEvents()

    def painting(self, act: Callable[[], object]) -> float:
        """Return the seconds on the GUI thread from an event to the slice painted after it."""
        QApplication.processEvents()
        before, begin = self.painted.n, time.perf_counter()
        act()
        while self.painted.n == before:
            if time.perf_counter() - begin > PATIENCE_S:
                raise TimeoutError(f"nothing was painted: {self.heart.phase}")
            QApplication.processEvents()
        return time.perf_counter() - begin

    # The hand

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> None:
        QTest.keyClick(self.window.canvas, key, modifier)

    def mouse(self, kind: QEvent.Type, at: QPointF, button=LEFT, modifier=NONE) -> None:
        held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
        pressed = button if kind != QEvent.Type.MouseMove else Qt.MouseButton.NoButton
        event = QMouseEvent(kind, at, at, pressed, held, modifier)
        QApplication.sendEvent(self.window.canvas.viewport(), event)

    def wheel(self, turned: int, modifier: Qt.KeyboardModifier = NONE) -> None:
        at = QPointF(self.window.canvas.rect().center())
        event = QWheelEvent(
            at, at, QPoint(), QPoint(0, turned), Qt.MouseButton.NoButton, modifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(self.window.canvas.viewport(), event)

    def drop(self, folder: Path) -> None:
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(folder))])
        enter = QDragEnterEvent(QPoint(300, 300), Qt.DropAction.CopyAction, mime, LEFT, NONE)
        QApplication.sendEvent(self.window, enter)
        event = QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, LEFT, NONE)
        QApplication.sendEvent(self.window, event)

    def choose_study(self, row: int) -> None:
        """Click on a study of the list."""
        studies = self.window.studies.studies
        item = studies.item(row)
        assert item is not None
        studies.scrollToItem(item)
        at = studies.visualItemRect(item).center()
        QTest.mouseClick(studies.viewport(), LEFT, NONE, at)


def run(scenario: Callable[[Driver], None], arguments: list[str]) -> None:
    """Start the program as its command line does, with a driver in its window."""
    from scarseg import cli

    real = app.make_window
    drivers: list[Driver] = []

    def make_window(*more: Any, **named: Any) -> MainWindow:
        window = real(*more, **named)
        drivers.append(Driver(window, scenario))
        return window

    app.make_window = make_window
    # A driver that fails must end the program, not become a banner in it.
    app.excepthook = lambda window: _fail
    status = cli.main(["gui", *arguments])
    print(json.dumps(drivers[0].figures))
    sys.exit(status)


def _fail(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)
