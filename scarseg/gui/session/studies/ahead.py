"""Propose the next studies of the list behind the reading, nearest first, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.history import SliceStatus
from scarseg.errors import ScarsegError
from scarseg.gui.session.open_case import CaseParts
from scarseg.gui.session.studies.case_builder import CaseBuilder
from scarseg.gui.session.studies.stored_case import OpenRequest, PreparedRead, prepare_case
from scarseg.gui.session.studies.study import Entry, reading_summary
from scarseg.gui.workers import Worker
from scarseg.models import Models

BUDGET_BYTES = 200 * 1024 * 1024
"""Memory for studies that were prepared: pixels, labels and what the models keep of them."""
READ_AHEAD = "ahead"
"""Name of the job that reads a study ahead."""
LOOKAHEAD = 8
"""No more studies than this are prepared, however small they are."""


@dataclass(eq=False)
class PreparedCase(CaseParts):
    """A study that was read and is being proposed, or is ready, before anybody opened it."""

    read: PreparedRead

    @property
    def n_bytes(self) -> int:
        """Memory it takes."""
        case, known = self.document.case, self.inference
        arrays = (case.stack.pixels, case.labels, self.document.labels_under_scar)
        kept = [known.embeddings, [each.last for each in known.predictions]]
        return sum(each.nbytes for each in arrays) + sum(map(_n_bytes, kept))

    def drop(self) -> None:
        """Stop its models and delete it; results that still come are dropped."""
        self.inference.stop()
        self.document.deleteLater()


def _n_bytes(what: Any) -> int:
    """Return the memory of all arrays and tensors in nested values."""
    size = getattr(what, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(what, Mapping):
        return sum(map(_n_bytes, what.values()))
    if isinstance(what, (list, tuple)):
        return sum(map(_n_bytes, what))
    if is_dataclass(what) and not isinstance(what, type):
        return sum(_n_bytes(getattr(what, each.name)) for each in fields(what))
    return 0


class StudiesAhead(QObject):
    """Read and propose the next studies, so that none of them is waited for.

    States of an entry: wanted (unread, among the next of the list), reading on the disk worker,
    proposing while the case in front has nothing to do, ready. An entry that cannot be read is
    passed over: opening it says why. Nothing is locked or written before a reader opens it; then
    :func:`scarseg.gui.session.studies.stored_case.claim_case` compares its file with what was read.

    Signals:
        prepared: an entry whose slices are all proposed now.
    """

    prepared = pyqtSignal(object)

    def __init__(
        self,
        disk: Worker,
        builder: CaseBuilder,
        folder: Path,
        front_works: Callable[[], bool],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._disk, self._builder, self._folder = disk, builder, folder
        self._front_works = front_works
        self._models: Models | None = None
        self._wanted: list[Entry] = []
        self._cases: dict[Entry, PreparedCase] = {}
        self._reading: Entry | None = None
        self._refused: set[Entry] = set()
        self._number = 0

    def want(self, entries: Iterator[Entry], models: Models | None) -> None:
        """Set which entries come next, the nearest first.

        Of others, such as those that a filter hides now, only what is ready is kept, until its
        memory is needed.
        """
        self._models = models
        able = (each for each in entries if each not in self._refused and _can_prepare(each))
        self._wanted = list(islice(able, LOOKAHEAD))
        for entry in self._unwanted:
            if self._cases[entry].inference.proposing:
                self._drop(entry)
        self.go_on()

    @property
    def _unwanted(self) -> list[Entry]:
        return [each for each in self._cases if each not in self._wanted]

    def find(self, entry: Entry) -> PreparedRead | None:
        """Return what was read of an entry; None where it was not."""
        case = self._cases.get(entry)
        return None if case is None else case.read

    def take(self, entry: Entry) -> PreparedCase | None:
        """Remove an entry and return its case, which goes to the front."""
        return self._cases.pop(entry, None)

    def forget(self) -> None:
        """Drop everything."""
        self._wanted = []
        self.interrupt()
        for entry in list(self._cases):
            self._drop(entry)

    def go_on(self) -> None:
        """Resume the prepared cases, and prepare more."""
        for case in list(self._cases.values()):
            case.inference.resume()
        self._prepare_next()

    def _prepare_next(self) -> None:
        """Read the next study that is not there, one at a time, where there is room for it."""
        if self._models is None or self._front_works() or self._reading is not None:
            return
        if any(case.inference.proposing for case in self._cases.values()):
            return
        entry = next((each for each in self._wanted if each not in self._cases), None)
        if entry is not None and self._has_room(entry):
            self._read(entry)

    def _has_room(self, entry: Entry) -> bool:
        """Return whether another study fits; one not wanted or farther away makes room."""
        place = self._wanted.index(entry)
        sizes = {each: case.n_bytes for each, case in self._cases.items()}
        largest = max(sizes.values(), default=0)
        for other in [*self._unwanted, *reversed(self._wanted[place + 1 :])]:
            if sum(sizes.values()) + largest <= BUDGET_BYTES:
                break
            if sizes.pop(other, None) is not None:
                self._drop(other)
        return sum(sizes.values()) + largest <= BUDGET_BYTES

    def interrupt(self) -> None:
        """Stop reading ahead: the disk is needed for what the reader waits for."""
        self._number += 1
        self._reading = None
        self._disk.forget(READ_AHEAD)

    def _read(self, entry: Entry) -> None:
        self._reading, number = entry, self._number
        request = OpenRequest(entry.source, self._folder, blinding=entry.blinding)
        self._disk.run(
            READ_AHEAD, prepare_case, request, reports=True,
            done=lambda read: self._take_read(entry, read),
            failed=lambda error: self._not_read(entry, error),
            current=lambda: number == self._number,
        )  # fmt: skip

    def _take_read(self, entry: Entry, read: PreparedRead | None) -> None:
        self._reading = None
        if read is None:
            self._refuse(entry)
        elif entry in self._wanted and self._models is not None:
            self._propose(entry, read, self._models)
        self._prepare_next()

    def _propose(self, entry: Entry, read: PreparedRead, models: Models) -> None:
        parts = self._builder.build(read.case, place=read.place)
        inference, doubts = parts.inference, parts.doubts
        working = parts.document, inference, parts.interval, doubts
        self._cases[entry] = PreparedCase(*working, read)
        doubts.changed.connect(lambda: self._tell(entry))
        inference.put_behind(self._front_works, self._prepare_next)
        inference.proposing_changed.connect(lambda: self._tell(entry))
        inference.ready_changed.connect(lambda _k: self._tell(entry))
        inference.start(models)
        if entry.blinding is not None and not entry.blinding.proposals:
            inference.cancel()

    def _tell(self, entry: Entry) -> None:
        """Show in the list that an entry is proposed."""
        case = self._cases.get(entry)
        if case is None or case.inference.proposing:
            return
        statuses = [reading.status for reading in case.document.case.readings]
        proposed = sum(status is SliceStatus.PROPOSED for status in statuses)
        n_read = sum(status.read for status in statuses)
        entry.read = n_read == len(statuses)
        before = entry.reading_summary, entry.n_doubtful
        entry.reading_summary = reading_summary(
            len(statuses),
            n_read,
            proposed,
            probably_no_scar=any(one.scar_withheld for one in case.document.case.readings),
        )
        entry.n_doubtful = sum(bool(case.doubts.of(k)) for k in range(len(statuses)))
        if before != (entry.reading_summary, entry.n_doubtful):
            self.prepared.emit(entry)

    def _not_read(self, entry: Entry, error: BaseException) -> None:
        self._reading = None
        if isinstance(error, (ScarsegError, OSError, MemoryError)):
            self._refuse(entry)
            self._prepare_next()
        else:
            raise error

    def _refuse(self, entry: Entry) -> None:
        """Pass over an entry: only opening it can say what is the matter."""
        self._refused.add(entry)
        self._wanted = [each for each in self._wanted if each is not entry]

    def _drop(self, entry: Entry) -> None:
        self._cases.pop(entry).drop()


def _can_prepare(entry: Entry) -> bool:
    """Return whether an entry opens without a question to the reader."""
    blinded_mm = None if entry.blinding is None else entry.blinding.thickness_mm
    return entry.imported_case is None and (
        entry.source.slice_thickness_mm is not None or blinded_mm is not None
    )
