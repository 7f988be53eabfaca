"""Resume a case: its last slice, its lock in another window, the images it waits for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from scarseg.gui.session.document import Document
from scarseg.gui.workers import Worker

if TYPE_CHECKING:
    from scarseg.io.casefile.library import CaseFile

SETTLED_MS = 1500
"""A slice is stored once the reader stays on it this long."""
WATCH_MS = 2000


def missing_images_message(waiting: Iterable[CaseFile]) -> str:
    """Return a sentence on missing images of case files, by UID: no patient is named there."""
    several = list(waiting)
    first = several[0]
    words = (
        f"{first.path.name} ({first.words}) waits for its images: show the folder with the DICOM"
        f" of study {first.study_uid}."
    )
    if len(several) > 1:
        words += f" {len(several) - 1} more wait for theirs."
    return words


def _keep(folder: Path, name: str, slice_index: int) -> None:
    from scarseg.io.casefile import last_position

    last_position.save_last_slice(folder, name, slice_index)


class LastSlice(QObject):
    """Store at which slice the open case was left."""

    def __init__(self, worker: Worker, folder: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._worker, self._folder = worker, folder
        self._document: Document | None = None
        self._name, self._kept = "", -1
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._write)

    def follow(self, document: Document, name: str) -> None:
        """Follow the document just opened; its case file has this name."""
        self._timer.stop()
        self._document = None if document.read_only else document
        self._name, self._kept = name, document.current
        document.current_changed.connect(self._moved)

    def _moved(self) -> None:
        if self.sender() is self._document:
            self._timer.start(SETTLED_MS)

    def _write(self) -> None:
        if self._document is None or self._document.current == self._kept:
            return
        self._kept = self._document.current
        self._worker.run(f"place {self._name}", _keep, self._folder, self._name, self._kept)

    def keep(self) -> None:
        """Store the slice at once and stop following the document."""
        self._timer.stop()
        self._write()
        self._document = None


def _is_free(path: Path) -> bool:
    from scarseg.io.casefile import lock

    return lock.is_unlocked(path)


class LockWatcher(QObject):
    """Poll whether another window has released a case.

    Signals:
        freed: the case that is followed can be locked.
    """

    freed = pyqtSignal()

    def __init__(self, worker: Worker, parent: QObject) -> None:
        super().__init__(parent)
        self._worker, self._path = worker, Path()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)

    def follow(self, path: Path) -> None:
        """Poll the lock of this case file until it is free."""
        self._path = path
        self._timer.start(WATCH_MS)

    def forget(self) -> None:
        self._timer.stop()

    def _look(self) -> None:
        path = self._path
        self._worker.run(
            "look at lock", _is_free, path, done=lambda free: self._answered(path, bool(free))
        )

    def _answered(self, path: Path, free: bool) -> None:
        if free and path == self._path and self._timer.isActive():
            self.forget()
            self.freed.emit()
