"""Active reading time, the slices that were on the screen, and the history of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCursor
from PyQt6.QtWidgets import QApplication, QWidget

from scarseg.gui.actions import Actions
from scarseg.gui.commands import Commands
from scarseg.gui.panels.docks import PanelDocks
from scarseg.gui.panels.history import HistoryPanel
from scarseg.gui.panels.results import ResultsPanel
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.montage import Views

IDLE_S = 10
"""The stopwatch pauses when a reader does nothing for this long."""
VIEWED_MS = 300
"""A slice that was on the screen, unchanged, for this long counts as viewed."""


class Stopwatch(QObject):
    """Count active reading time by slice.

    It runs while the reader acts (moves the mouse, presses keys, edits) and for ``IDLE_S``
    afterwards, and pauses while another window is active.

    Signals:
        ticked: another second of active reading.
    """

    ticked = pyqtSignal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._idle_s, self._unsaved_s = 0, 0
        self._cursor_at = QCursor.pos()
        session.front.edited.connect(self.note_activity)
        session.front.current_changed.connect(self.note_activity)
        session.opened.connect(self._restart)
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.tick)
        self._clock.start(1000)

    @property
    def running(self) -> bool:
        """Return whether the reader is active."""
        return self._idle_s <= IDLE_S and QApplication.activeWindow() is not None

    def note_activity(self, *_: object) -> None:
        """Restart the idle time: the reader did something."""
        self._idle_s = 0

    def _restart(self) -> None:
        self._unsaved_s = 0
        self.note_activity()

    def tick(self) -> None:
        """Count one second."""
        if self._cursor_at != QCursor.pos():
            self._cursor_at = QCursor.pos()
            self.note_activity()
        self._idle_s += 1
        if self._session.current is None or self._session.current.document.read_only:
            return
        document = self._session.current.document
        if self.running:
            document.case.add_reading_time(document.current, 1.0)
            self._unsaved_s += 1
            self.ticked.emit()
        elif self._unsaved_s and document.revision:
            self._unsaved_s = 0
            document.mark_edited()
            self._idle_s = max(self._idle_s, IDLE_S + 1)


class ViewedSlices(QObject):
    """Record which slices the reader had on the screen, as they are now.

    ``visible_slices`` returns the slices on the screen; by default the current one.
    """

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.visible_slices: Callable[[], Iterable[int]] = self._current
        self._dwell = QTimer(self)
        self._dwell.setSingleShot(True)
        self._dwell.setInterval(VIEWED_MS)
        self._dwell.timeout.connect(self._record)
        session.front.current_changed.connect(self.restart)
        session.front.slice_changed.connect(self.restart)
        session.opened.connect(self.restart)

    def restart(self, *_: object) -> None:
        """Restart the time on the screen: another slice is shown, or this one changed."""
        self._dwell.start()

    def _record(self) -> None:
        if self._session.current is not None and QApplication.activeWindow() is not None:
            self._session.current.document.viewed.update(self.visible_slices())

    def _current(self) -> tuple[int]:
        assert self._session.current is not None
        return (self._session.current.document.current,)


class ReadingTime(QObject):
    """Connect stopwatch, viewed slices and history with the window."""

    def __init__(
        self,
        session: Session,
        commands: Commands,
        results: ResultsPanel,
        history: HistoryPanel,
        docks: PanelDocks,
        views: Views,
        actions: Actions,
        clock: QWidget,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._results, self._history = session, results, history
        self._views, self._clock = views, clock
        self.stopwatch, self.viewed = Stopwatch(session, self), ViewedSlices(session, self)
        self.stopwatch.ticked.connect(self._show_time)
        docks.add("history", "History", history, action=actions["history"], wanted=False)
        history.chosen.connect(commands.slices.go_to_step)
        history.left.connect(lambda: actions["history"].setChecked(False))
        actions["history"].toggled.connect(self._show_history)
        self.viewed.visible_slices = self._visible_slices
        views.switched.connect(self.viewed.restart)
        session.opened.connect(self._follow)

    def _show_history(self, shown: bool) -> None:
        if shown:
            self._history.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif self._history.view.hasFocus() or not self._history.isVisible():
            self._views.active.setFocus()

    def _visible_slices(self) -> Iterable[int]:
        """Return the slices on the screen: in the montage all of them, else the current one."""
        assert self._session.current is not None
        document = self._session.current.document
        everything = range(document.case.stack.n_slices)
        return everything if self._views.montage else (document.current,)

    def _show_time(self) -> None:
        """Show in the tool tip of the clock what it counts, and the figures of this slice."""
        assert self._session.current is not None
        document = self._session.current.document
        seconds = document.case.slice_seconds[document.current]
        n = document.case.slice_interactions[document.current]
        self._clock.setToolTip(
            f"Active reading time of this case; it pauses after {IDLE_S} s of rest and while"
            " another window is in front. Prompts, strokes, statuses and undo count as steps.\n"
            f"Slice {document.current + 1}: {seconds:.0f} s, {n} step{'' if n == 1 else 's'}"
        )

    def _follow(self) -> None:
        current = self._session.current
        if current is None:
            self._results.bars.spent = None
            self._history.forget()
            return
        case = current.document.case
        self._results.bars.spent = lambda k: (case.slice_seconds[k], case.slice_interactions[k])
        self._history.follow(current.document)
        self._show_time()
