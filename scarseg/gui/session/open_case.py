"""The open case with what belongs to it, and the cases that are being left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.gui.session.autosave import Autosave, SaveState
from scarseg.gui.session.document import Document
from scarseg.gui.session.doubts import DoubtUpdater
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.interval import IntervalUpdater
from scarseg.gui.session.studies.study import Entry
from scarseg.gui.workers import Worker

if TYPE_CHECKING:
    from scarseg.io.casefile.lock import CaseLock


@dataclass(eq=False)
class CaseParts:
    """A document with the objects that compute for it."""

    document: Document
    inference: Inference
    interval: IntervalUpdater
    doubts: DoubtUpdater


@dataclass(eq=False)
class OpenCase(CaseParts):
    """A document with its entry of the list, models, saving and lock."""

    entry: Entry
    saver: Autosave
    lock: CaseLock | None

    @classmethod
    def of(cls, parts: CaseParts, entry: Entry, saver: Autosave, lock: CaseLock | None) -> Self:
        """Return the open case of these parts."""
        working = parts.document, parts.inference, parts.interval, parts.doubts
        return cls(*working, entry, saver, lock)


class ClosingCases(QObject):
    """Cases that are no longer shown, until they are proposed, saved and their lock is released.

    States of a case: proposing behind the one in front, where it was left in the middle; saving;
    released.

    Signals:
        released: a case is on the disk and can be opened by anybody.
        not_saved: a sentence: a case could not be saved; saving is retried.
    """

    released = pyqtSignal()
    not_saved = pyqtSignal(str)

    def __init__(
        self, worker: Worker, front_works: Callable[[], bool], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._worker, self._front_works = worker, front_works
        self.cases: list[OpenCase] = []

    def add(self, case: OpenCase) -> None:
        """Finish and save a case, and release it once it is saved; nobody waits for it."""
        case.inference.put_behind(self._front_works, self._finish)
        self.cases.append(case)
        case.saver.state_changed.connect(self._release)
        case.saver.save_now()
        self._finish()
        self._release()

    def go_on(self) -> None:
        """Resume the cases that were left in the middle."""
        for each in tuple(self.cases):
            each.inference.resume()

    def hurry(self) -> None:
        """Stop proposing: the cases are to be released as soon as possible."""
        for each in self.cases:
            each.inference.stop()
        self._release()

    def _finish(self) -> None:
        for each in self.cases:
            if not each.inference.proposing:
                each.inference.stop()
                each.saver.save_now()
        self._release()

    def contains(self, entry: Entry) -> bool:
        """Return whether the case of an entry is not released yet."""
        return any(each.entry is entry for each in self.cases)

    def take_back(self, entry: Entry) -> OpenCase | None:
        """Remove and return the case of an entry, to be shown again; None where there is none."""
        for each in self.cases:
            if each.entry is entry:
                self.cases.remove(each)
                each.saver.state_changed.disconnect(self._release)
                return each
        return None

    def _release(self) -> None:
        for each in tuple(self.cases):
            if each.inference.alive:
                continue
            if each.saver.state in (SaveState.SAVED, SaveState.READ_ONLY):
                self.cases.remove(each)
                if each.lock is not None:
                    self._worker.run(f"unlock {id(each)}", each.lock.release)
                each.document.deleteLater()
            elif each.saver.state is SaveState.FAILED:
                self.not_saved.emit(f"{each.entry.title} is not saved. {each.saver.problem}")
        self.released.emit()
