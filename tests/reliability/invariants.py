"""What must hold whatever a reader did: undo is exact, the disk equals the memory, labels exist."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import structs

from scarseg.case.labels import Label
from scarseg.gui.session.document import Document
from scarseg.gui.session.open_case import OpenCase
from scarseg.io.casefile import file_format

TIMES = ("saved_at_utc", "seconds", "slice_seconds")


class Watched:
    """Follow one document from its opening; ``broken`` collects what did not hold."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.broken: list[str] = []
        self.n_steps = 0
        self._base_labels = document.case.labels.copy()
        self._base_readings = list(document.case.readings)
        self._propose, self._push = document.propose, document.push
        document.propose = self._proposing  # type: ignore[method-assign]
        document.push = self._pushing  # type: ignore[method-assign]

    def _proposing(self, change: Any, *arguments: Any, **named: Any) -> None:
        """A proposal that nobody asked for: only where no reader has been.

        MVO may be found in the wall and scar of a slice that is not read.
        """
        k, case = change.slice_index, self.document.case
        reading, before = case.readings[k], case.labels[k].copy()
        untouched = self.document.versions[k] == 0
        self._propose(change, *arguments, **named)
        changed = before != case.labels[k]
        wall = np.isin(before[changed], (Label.MYOCARDIUM, Label.SCAR, Label.MVO)).all()
        infarct = np.isin(case.labels[k][changed], (Label.SCAR, Label.MVO)).all()
        allowed = not reading.protected or (wall and infarct and not reading.status.read)
        if not (self.document.read_only or allowed):
            self.broken.append(f"a proposal went over a protected slice ({reading})")
        if untouched:  # no step: elsewhere it is one, or joins one
            self._base_labels[k] = case.labels[k]
            self._base_readings[k] = case.readings[k]

    def _pushing(self, change: Any, *arguments: Any, **named: Any) -> None:
        self.n_steps += 1
        if self.document.read_only:
            before = self.document.case.labels.copy()
            self._push(change, *arguments, **named)
            if not np.array_equal(before, self.document.case.labels):
                self.broken.append("a case open for reading only was changed")
            return
        self._push(change, *arguments, **named)

    def check_steps(self) -> None:
        """Undo all the way and redo all the way; every byte must come back."""
        case, steps = self.document.case, self.document.undo_stack
        labels, readings, index = case.labels.copy(), list(case.readings), steps.index()
        if index != steps.count():
            while steps.canRedo():
                steps.redo()
            while steps.index() > index:
                steps.undo()
            self._same(labels, readings, "redoing and undoing")
        while steps.canUndo():
            steps.undo()
        if steps.count() < steps.undoLimit():
            self._same(self._base_labels, self._base_readings, "undoing everything")
        while steps.index() < index:
            steps.redo()
        self._same(labels, readings, "undoing and redoing")

    def _same(self, labels: Any, readings: Any, after: str) -> None:
        case = self.document.case
        for k, (mine, theirs) in enumerate(zip(case.readings, readings, strict=True)):
            if not np.array_equal(case.labels[k], labels[k]):
                self.broken.append(f"{after}: labels of slice {k + 1} differ")
            if mine != theirs:
                self.broken.append(f"{after}: slice {k + 1} is {mine}, was {theirs}")

    def check_labels(self) -> None:
        if int(self.document.case.labels.max()) > max(Label):
            self.broken.append("labels that do not exist")


def differences_on_disk(current: OpenCase) -> list[str]:
    """Name what the saved case file holds otherwise than the memory; times aside."""
    if not current.saver.path.exists():
        if current.document.revision:
            return ["changed and not on the disk"]
        return []
    mine = file_format.parse_case(file_format.encode_case(current.document.case.copy()))
    theirs = file_format.parse_case(current.saver.path.read_bytes())
    found = [
        f"{key}: {str(value)[:200]} in memory, {str(getattr(theirs.document, key))[:200]} on disk"
        for key, value in structs.asdict(mine.document).items()
        if key not in TIMES and getattr(theirs.document, key) != value
    ]
    if mine.packed_labels != theirs.packed_labels:
        found.append("labels differ")
    return found
