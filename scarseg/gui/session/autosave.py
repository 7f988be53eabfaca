"""Save the open case by itself.

A second after the last change, at most three seconds after the first one that is not saved yet,
and on switching and closing.
"""

from __future__ import annotations

import logging
import time
import traceback
from enum import StrEnum
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from scarseg.case.case import Case
from scarseg.errors import ScarsegError
from scarseg.gui.session.document import Document
from scarseg.gui.workers import Worker

DELAY_MS = 1000
LONGEST_MS = 3000
"""A reader who never pauses for a second is not waited for."""
RETRY_MS = 10_000
OVERDUE_MS = 30_000
"""A save that takes longer than this is shown as not saved."""
OVERDUE = "The disk has been busy for 30 seconds."
_log = logging.getLogger(__name__)


class SaveState(StrEnum):
    """State of the open case on the disk, as the status bar shows it.

    UNSAVED -> SAVING -> SAVED, or UNSAVED again where the case changed meanwhile. Any exception
    leads to FAILED, from which every retry leads to SAVED or back; a save that is overdue is
    FAILED until the disk answers. SAVED only once the disk has confirmed the last change.
    """

    SAVED = "saved"
    UNSAVED = "unsaved"
    SAVING = "saving"
    FAILED = "not saved"
    READ_ONLY = "read only"


def _save(case: Case, path: Path) -> None:
    from scarseg.io.casefile import store

    store.save_case(case, path)


class Autosave(QObject):
    """Save one document on the disk worker.

    ``saved_revision`` is the revision that the disk has; that of the document now when None.

    Signals:
        state_changed: ``state`` changed; ``problem`` is the sentence of a failed save.
    """

    state_changed = pyqtSignal()

    def __init__(
        self,
        document: Document,
        worker: Worker,
        path: Path,
        parent: QObject | None = None,
        saved_revision: int | None = None,
    ) -> None:
        super().__init__(parent)
        self.document = document
        self.path = path
        self.problem = ""
        self.state = SaveState.READ_ONLY if document.read_only else SaveState.SAVED
        self._worker = worker
        self._saved_revision = document.revision if saved_revision is None else saved_revision
        self._saving_revision: int | None = None
        self._touched_at: float | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save_now)
        self._overdue_timer = QTimer(self)
        self._overdue_timer.setSingleShot(True)
        self._overdue_timer.setInterval(OVERDUE_MS)
        self._overdue_timer.timeout.connect(self._overdue)
        document.edited.connect(self._touch)
        document.derived.connect(self._touch)
        self._touch()

    def _touch(self) -> None:
        if self.state is SaveState.READ_ONLY or self.document.revision == self._saved_revision:
            return
        if self.state is not SaveState.FAILED:
            self._set(SaveState.UNSAVED)
        now = time.monotonic()
        self._touched_at = self._touched_at or now
        left_ms = LONGEST_MS - round((now - self._touched_at) * 1000)
        self._timer.start(max(min(DELAY_MS, left_ms), 0))

    def save_now(self) -> None:
        """Queue a save on the disk worker, unless the disk has the last change already."""
        self._timer.stop()
        self._touched_at = None
        revision = self.document.revision
        if self.state is SaveState.READ_ONLY or revision in (
            self._saved_revision,
            self._saving_revision,
        ):
            return
        try:
            snapshot = self.document.case.copy()
        except Exception as error:  # noqa: BLE001 - MemoryError too is shown and tried again
            self._failed(revision, error)
            return
        self._saving_revision = revision
        self._overdue_timer.start()
        if self.state is not SaveState.FAILED:
            self._set(SaveState.SAVING)
        self._worker.run(
            f"save {self.path.name}",
            _save,
            snapshot,
            self.path,
            done=lambda _: self._saved(revision),
            failed=lambda error: self._failed(revision, error),
            urgent=True,
        )

    def _saved(self, revision: int) -> None:
        self._ended(revision)
        self._saved_revision = revision
        self.problem = ""
        newest = revision == self.document.revision
        self._set(SaveState.SAVED if newest else SaveState.UNSAVED)

    def _ended(self, revision: int) -> None:
        if self._saving_revision == revision:
            self._saving_revision = None
            self._overdue_timer.stop()

    def _failed(self, revision: int, error: BaseException) -> None:
        """Show any exception as "not saved" and try again; an unforeseen one is logged too."""
        self._ended(revision)
        self.problem = str(error)
        if not isinstance(error, (ScarsegError, OSError)):
            trace = "".join(traceback.format_tb(error.__traceback__)[-6:])
            _log.error("%s while saving\n%s", type(error).__name__, trace)
            self.problem = f"{type(error).__name__}: {error}".removesuffix(": ")
        self._set(SaveState.FAILED)
        self._timer.start(RETRY_MS)

    def _overdue(self) -> None:
        """Show a save that is still under way as not saved; its end is shown when it comes."""
        self.problem = OVERDUE
        self._set(SaveState.FAILED)

    def _set(self, state: SaveState) -> None:
        self.state = state
        self.state_changed.emit()
