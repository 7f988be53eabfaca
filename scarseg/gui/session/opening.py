"""Open one case at a time: read the stack and its saved reading on the disk worker."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.gui.session.studies.stored_case import (
    OpenedCase,
    OpenRequest,
    PreparedRead,
    claim_case,
    open_case,
)
from scarseg.gui.session.studies.study import Entry
from scarseg.gui.workers import Worker


class CaseOpener(QObject):
    """Read the case that was asked for last.

    States of a request: waiting, while the same case is still being saved and released
    (:meth:`wait`); reading on the disk worker (:meth:`open`); finished, failed, or dropped
    because another one was asked for meanwhile: then its lock is released again.

    Signals:
        started: the title of the series that is read.
        finished: (entry, :class:`scarseg.gui.session.studies.stored_case.OpenedCase`).
        failed: (entry, error).
    """

    started = pyqtSignal(str)
    finished = pyqtSignal(object, object)
    failed = pyqtSignal(object, object)

    def __init__(self, worker: Worker, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker, self._folder = worker, folder
        self.wanted: Entry | None = None
        self.waiting: tuple[Entry, bool] | None = None
        """An entry to be opened once it is released, and whether its import replaces a reading."""
        self._number = 0

    def forget(self) -> None:
        """Drop what is waiting or being read."""
        self.wanted = self.waiting = None
        self._number += 1

    def wait(self, entry: Entry, replacing: bool) -> None:
        """Set the entry that :meth:`open_waiting` opens."""
        self.waiting = (entry, replacing)

    def open_waiting(self) -> None:
        """Open the entry that waits, if there is one."""
        if self.waiting is not None:
            entry, replacing = self.waiting
            self.open(entry, None, replacing)

    def open(
        self,
        entry: Entry,
        thickness_mm: float | None = None,
        replacing: bool = False,
        prepared: PreparedRead | None = None,
    ) -> None:
        """Read an entry on the disk worker.

        Args:
            entry: the series.
            thickness_mm: entered by the reader where the header has none.
            replacing: put the imported reading in the place of the one that is stored.
            prepared: the case, where it was read ahead.
        """
        self.wanted, self.waiting = entry, None
        self._number += 1
        number = self._number
        self.started.emit(entry.title)
        request = OpenRequest(
            entry.source, self._folder, thickness_mm, entry.imported_case, replacing, entry.blinding
        )
        self._worker.run(
            "open",
            *((open_case, request) if prepared is None else (claim_case, request, prepared)),
            done=lambda opened: self._take(entry, opened),
            failed=lambda error: self.failed.emit(entry, error),
            current=lambda: number == self._number,
            dropped=self._release,
            reports=True,
        )

    def _take(self, entry: Entry, opened: OpenedCase) -> None:
        if entry is self.wanted:
            self.finished.emit(entry, opened)
        else:
            self._release(opened)

    def _release(self, opened: OpenedCase) -> None:
        """Release the lock of a case nobody wants any more, before the same case is read again."""
        if opened.lock is not None:
            self._worker.run(f"unlock {id(opened)}", opened.lock.release, urgent=True)
