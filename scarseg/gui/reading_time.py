"""What a sitting leaves behind: active reading time, slices that were on the screen, steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCursor
from PyQt6.QtWidgets import QApplication, QWidget

from scarseg.gui.commands import Commands
from scarseg.gui.panels.history import HistoryPanel
from scarseg.gui.panels.results import ResultsPanel
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.montage import Views

IDLE_S = 10
"""The stopwatch pauses when a reader does nothing for this long."""
VIEWED_MS = 300
"""A slice that was on the screen as it stands for this long was looked at."""


class Stopwatch(QObject):
    """Count active reading time by slice; it pauses when idle and when the window is not active.

    Signals:
        ticked: another second of active reading.
    """

    ticked = pyqtSignal()

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._idle_s, self._unsaved_s = 0, 0
        self._hand_at = QCursor.pos()
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.tick)
        self._clock.start(1000)

    @property
    def running(self) -> bool:
        """Say whether the reader is at it."""
        return self._idle_s <= IDLE_S and QApplication.activeWindow() is not None

    def note_activity(self, *_: object) -> None:
        """Note that the reader did something."""
        self._idle_s = 0

    def follow(self, document: Document) -> None:
        """Take every move and change of a document for a sign of life."""
        document.edited.connect(self.note_activity)
        document.current_changed.connect(self.note_activity)
        self._unsaved_s = 0
        self.note_activity()

    def tick(self) -> None:
        """Let a second pass."""
        if self._hand_at != QCursor.pos():
            self._hand_at = QCursor.pos()
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
    """Note which slices the reader had on the screen, as they stand.

    ``in_view`` gives the slices on the screen; the current one as long as nobody knows better.
    """

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self.visible_slices: Callable[[], Iterable[int]] = self._current
        self._dwell = QTimer(self)
        self._dwell.setSingleShot(True)
        self._dwell.setInterval(VIEWED_MS)
        self._dwell.timeout.connect(self._look)

    def follow(self, document: Document) -> None:
        """Watch a document."""
        document.current_changed.connect(self.begin)
        document.slice_changed.connect(self.begin)
        self.begin()

    def begin(self, *_: object) -> None:
        """Begin to look: what is on the screen is another, or changed."""
        self._dwell.start()

    def _look(self) -> None:
        if self._session.current is not None and QApplication.activeWindow() is not None:
            self._session.current.document.viewed.update(self.visible_slices())

    def _current(self) -> tuple[int]:
        assert self._session.current is not None
        return (self._session.current.document.current,)


class ReadingTime(QObject):
    """Make them, and connect them with the window."""

    def __init__(
        self,
        session: Session,
        desk: Commands,
        results: ResultsPanel,
        studies: StudiesPanel,
        views: Views,
        clock: QWidget,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._commands, self._results = session, desk, results
        self._studies, self._views, self._clock = studies, views, clock
        self.stopwatch, self.viewed = Stopwatch(session, self), ViewedSlices(session, self)
        self.stopwatch.ticked.connect(self._tell_time)
        self.history = HistoryPanel()
        results.take_history(self.history)
        self.history.chosen.connect(desk.go_to_step)
        self.history.left.connect(lambda: self._open_history.setChecked(False))
        studies.left.connect(self._to_the_slice)
        self.viewed.visible_slices = self._in_view
        views.switched.connect(self.viewed.begin)
        session.opened.connect(self._follow)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions do."""
        return {
            "history": lambda: None,
            "accept_seen": self._commands.accept_seen,
            "reopen": self._commands.reopen,
            "find_study": self._studies.find_study,
        }

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the switch of the history."""
        self._open_history = actions["history"]
        self._open_history.toggled.connect(self._show_history)

    def _show_history(self, shown: bool) -> None:
        self._results.show_panel(self.history, shown)
        if shown:
            self.history.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif self.history.view.hasFocus() or not self.history.isVisible():
            self._to_the_slice()

    def _to_the_slice(self) -> None:
        self._views.active.setFocus()

    def _in_view(self) -> Iterable[int]:
        """Give the slices on the screen: in the montage all of them, else the current one."""
        assert self._session.current is not None
        document = self._session.current.document
        everything = range(document.case.stack.n_slices)
        return everything if self._views.montage else (document.current,)

    def _tell_time(self) -> None:
        """Say in the tool tip of the clock what it counts, and what this slice took."""
        assert self._session.current is not None
        document = self._session.current.document
        seconds = document.case.slice_seconds[document.current]
        n = document.case.slice_interactions[document.current]
        self._clock.setToolTip(
            f"Active reading time of this case; it pauses after {IDLE_S} s of rest and while"
            " another window is in front. Prompts, strokes, verdicts and undo count as steps.\n"
            f"Slice {document.current + 1}: {seconds:.0f} s, {n} step{'' if n == 1 else 's'}"
        )

    def _follow(self) -> None:
        current = self._session.current
        if current is None:
            self._results.bars.spent = None
            self.history.forget()
            return
        case = current.document.case
        self._results.bars.spent = lambda k: (case.slice_seconds[k], case.slice_interactions[k])
        self.history.follow(current.document)
        self.stopwatch.follow(current.document)
        self._tell_time()
        self.viewed.follow(current.document)
