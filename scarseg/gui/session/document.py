"""The open case: its undo stack, its signals, and the version of every slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QUndoCommand, QUndoStack

from scarseg.case import changes
from scarseg.case.case import Case, Change
from scarseg.case.history import Cause, DetectorScope, SliceReading
from scarseg.case.labels import LabelArray, MaskArray, Patch, without_infarct
from scarseg.case.measurements import MassInterval
from scarseg.case.prompts import Box, InsertionPoint
from scarseg.quant import scar_checks

UNDO_LIMIT = 200
ANSWER_CAUSES = (Cause.ANSWER, Cause.CORRECTION, Cause.REFILLED, Cause.RELOCATED)
"""Causes of changes that join the step that asked for them."""


class SliceCommand(QUndoCommand):
    """One named change on the undo stack.

    A model's answer (``answers`` True) joins the step that asked for it when nothing else was
    done in between, so that one undo takes back both; MVO found in the models' scar
    (``follows`` True) joins the answer.
    """

    def __init__(
        self,
        document: Document,
        change: Change,
        cause: Cause = Cause.READER,
        under_scar: LabelArray | None = None,
    ) -> None:
        super().__init__(change.name)
        self._document = document
        self.change = change
        self.at = datetime.now()  # noqa: DTZ005 - the reader's own clock
        self._cause = cause
        answers = cause in ANSWER_CAUSES
        self._before = document.labels_under_scar[change.slice_index].copy()
        self._under_scar = under_scar
        self._proposed = document.case.proposed[change.slice_index]
        self.answers, self.follows = answers, cause is Cause.MVO
        self.refills = cause is Cause.REFILLED
        self.answered = answers or cause is Cause.PROPOSAL
        self.open = not answers and change.edit is None

    @property
    def verb(self) -> str:
        """Name of the step, without its slice."""
        return self.change.name.removesuffix(f", slice {self.change.slice_index + 1}")

    def redo(self) -> None:
        self._document._apply(self.change, self._cause, self._under_scar)
        if self._cause is Cause.REDO:
            self._swap_proposed()
        self._cause = Cause.REDO

    def undo(self) -> None:
        self._document._apply(self.change.inverse(), Cause.UNDO, self._before)
        self._swap_proposed()

    def _swap_proposed(self) -> None:
        """Swap what counts as the proposal of the slice with what did before."""
        proposed, k = self._document.case.proposed, self.change.slice_index
        proposed[k], self._proposed = self._proposed, proposed[k]

    def id(self) -> int:
        return 1

    def mergeWith(self, other: QUndoCommand | None) -> bool:
        if not isinstance(other, SliceCommand):
            return False
        joins = (other.answers and self.open) or (other.follows and self.answered)
        joins |= other.refills  # nothing was done since the wall was set
        if not joins or other.change.slice_index != self.change.slice_index:
            return False
        self.change = changes.merge(self.change, other.change, self._document.case.labels)
        self._under_scar = other._under_scar
        self.open, self.answered = False, other.answers
        return True


class InsertionCommand(SliceCommand):
    """Another insertion point of the right ventricle; no label, prompt or status changes.

    ``k`` is the slice that the step belongs to.
    """

    def __init__(self, document: Document, k: int, name: str, point: InsertionPoint | None) -> None:
        super().__init__(document, document.case.change(f"{name}, slice {k + 1}", k))
        self.open = False  # an answer that comes next is a step of its own
        self._other = point

    def redo(self) -> None:
        self._other = self._document._place(self._other)

    def undo(self) -> None:
        self.redo()


class RemoteCommand(SliceCommand):
    """Another remote region on a slice; no label, prompt or status changes."""

    def __init__(self, document: Document, k: int, name: str, region: Patch | None) -> None:
        super().__init__(document, document.case.change(f"{name}, slice {k + 1}", k))
        self.open = False  # an answer that comes next is a step of its own
        self._k, self._other = k, region

    def redo(self) -> None:
        self._other = self._document._place_remote(self._k, self._other)

    def undo(self) -> None:
        self.redo()


class Document(QObject):
    """One case being read.

    It changes only through :meth:`push`, :meth:`propose`, :meth:`set_insertion_point` and
    :meth:`set_remote_region`.

    ``versions`` counts the changes of each slice: an answer that was asked for at another
    version is stale. ``grounds`` remembers what lies under scar and MVO, for the eraser.
    ``previous_history`` holds the steps of earlier sessions; ``viewed`` the slices that were on
    the screen as they stand now.

    Signals:
        slice_changed: labels, prompts or status of this slice changed.
        edited: anything that has to be saved changed.
        derived: what is computed of the case and saved with it changed; the reader did nothing.
        current_changed: another slice is the current one.
        insertion_changed: the insertion point of the right ventricle is another.
        remote_changed: the remote region of a slice is another.
    """

    slice_changed = pyqtSignal(int)
    edited = pyqtSignal()
    derived = pyqtSignal()
    current_changed = pyqtSignal(int)
    insertion_changed = pyqtSignal()
    remote_changed = pyqtSignal()

    def __init__(self, case: Case, read_only: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.case = case
        self.read_only = read_only
        middle = case.stack.n_slices // 2
        unread = changes.next_unread(case, middle - 1)
        self.current = middle if unread is None else unread
        self.versions = [0] * case.stack.n_slices
        self.revision = 0
        if case.labels_under_scar is None:
            case.labels_under_scar = np.stack(
                [scar_checks.estimate_labels_under_scar(labels) for labels in case.labels]
            )
        self.labels_under_scar = case.labels_under_scar
        self.previous_history = case.history
        self.viewed: set[int] = set()
        self._held: set[int] | None = None
        self.more_follow = False
        """Others of a group of changes are still to be emitted: what costs may wait."""
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(UNDO_LIMIT)

    @property
    def reading(self) -> SliceReading:
        return self.case.readings[self.current]

    @property
    def labels(self) -> LabelArray:
        """Labels of the current slice, uint8 (row, column), read-only."""
        view: LabelArray = self.case.labels[self.current].view()
        view.flags.writeable = False
        return view

    def go_to(self, slice_index: int) -> None:
        """Set the current slice; beyond either end nothing happens."""
        if 0 <= slice_index < self.case.stack.n_slices and slice_index != self.current:
            self.current = slice_index
            self.current_changed.emit(slice_index)

    def push(
        self,
        change: Change,
        answers: bool = False,
        under_scar: LabelArray | None = None,
        cause: Cause | None = None,
        counts: bool = True,
    ) -> None:
        """Apply a change as one step that can be undone; nothing where nothing changes.

        Args:
            change: the change of one slice.
            answers: it is a model's answer; it joins the step that asked for it.
            under_scar: labels (row, column) under the slice's scar afterwards; None where a reader
                drew it over what was there. Scar of a model's answer lies on wall.
            cause: how the change came about, where it is neither a reader's nor an answer.
            counts: count it as an interaction; of several steps of one interaction only one is.
        """
        if self.read_only:
            return
        cause = cause or (Cause.ANSWER if answers else Cause.READER)
        if change.edit is None and change.before == change.after:
            if cause is not Cause.READER:
                self.case.record_repeat(change, cause)
            return
        if not answers and counts:
            self.case.count_interaction(change.slice_index)
        if answers and under_scar is None:
            under_scar = self._under_scar_after(change)
        self.undo_stack.push(SliceCommand(self, change, cause, under_scar))

    def go_to_step(self, index: int) -> None:
        """Undo or redo until ``index`` steps are done, and show the slice of the last of them."""
        index = min(max(index, 0), self.undo_stack.count())
        if self.read_only or index == self.undo_stack.index():
            return
        step = self.undo_stack.command(max(index - 1, 0))
        assert step is not None
        self.go_to(self.slice_of(step))
        self.case.count_interaction(self.current)
        with self.grouped():
            self.undo_stack.setIndex(index)

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Group several steps: signals of changed slices are emitted once, at the end."""
        self._held = set()
        try:
            yield
        finally:
            changed, self._held = self._held, None
            for n, k in enumerate(sorted(changed), 1):
                self.more_follow = n < len(changed)
                self.slice_changed.emit(k)
            self.edited.emit()

    @contextmanager
    def one_step(self, name: str) -> Iterator[None]:
        """Make one named step of the undo stack of all that is pushed."""
        self.undo_stack.beginMacro(name)
        try:
            with self.grouped():
                yield
        finally:
            self.undo_stack.endMacro()

    def set_insertion_point(self, point: InsertionPoint | None) -> None:
        """Set where the right ventricle inserts in front, as one step; None: as proposed."""
        before = self.case.insertion
        if self.read_only or point == before:
            return
        k = self.current if point is None else point.slice_index
        self.case.count_interaction(k)
        name = "propose the insertion point" if point is None else "set the insertion point"
        self.undo_stack.push(InsertionCommand(self, k, name, point))

    def _place(self, point: InsertionPoint | None) -> InsertionPoint | None:
        """Set the point and return the one before."""
        before, self.case.insertion = self.case.insertion, point
        self.revision += 1
        self.insertion_changed.emit()
        self.edited.emit()
        return before

    def set_remote_region(self, k: int, region: MaskArray | None) -> None:
        """Set the remote region (row, column) of a slice, as one step; None: as proposed."""
        patch = None if region is None else Patch.of(region.astype(np.uint8))
        if self.read_only or patch == self.case.remote_regions.get(k):
            return
        self.case.count_interaction(k)
        name = "propose the remote region" if patch is None else "draw the remote region"
        self.undo_stack.push(RemoteCommand(self, k, name, patch))

    def _place_remote(self, k: int, region: Patch | None) -> Patch | None:
        """Set the region of a slice and return the one before."""
        before = self.case.remote_regions.pop(k, None)
        if region is not None:
            self.case.remote_regions[k] = region
        self.revision += 1
        self.remote_changed.emit()
        self.edited.emit()
        return before

    def mark_edited(self) -> None:
        """Mark the case as changed although no slice did, so that it is saved."""
        if not self.read_only:
            self.revision += 1
            self.edited.emit()

    def set_intervals(self, intervals: Sequence[MassInterval]) -> None:
        """Keep the intervals of the case as it is now."""
        self.case.intervals = tuple(intervals)
        if not self.read_only:
            self.revision += 1
            self.derived.emit()

    def propose(self, change: Change, cause: Cause = Cause.PROPOSAL) -> None:
        """Apply a model's first proposal, or the MVO found in the models' scar.

        On a slice the reader has never touched it is no step of the reader's; elsewhere it is,
        so that undoing older steps stays exact.
        """
        if self.read_only:
            return
        under_scar = None if cause is Cause.MVO else self._under_scar_after(change)
        if self.versions[change.slice_index] == 0:
            self._apply(change, cause, under_scar)
            self.versions[change.slice_index] = 0
        else:
            self.undo_stack.push(SliceCommand(self, change, cause, under_scar))

    def record_model_run(
        self,
        slice_index: int,
        lv_hint: Box | None,
        lv_box: Box | None,
        sight: DetectorScope,
        fresh: bool = False,
    ) -> None:
        """Record a model run: see :meth:`scarseg.case.case.Case.record_model_run`."""
        if not self.read_only:
            self.case.record_model_run(slice_index, lv_hint, lv_box, sight, fresh)

    def slice_of(self, command: QUndoCommand) -> int:
        """Return the slice that a step of the undo stack belongs to.

        A step of several slices belongs to the current one where that is among them.
        """
        if not isinstance(command, SliceCommand):
            parts = [command.child(n) for n in range(command.childCount())]
            slices = [self.slice_of(part) for part in parts if part is not None]
            return self.current if self.current in slices else slices[0]
        return command.change.slice_index

    def _under_scar_after(self, change: Change) -> LabelArray | None:
        """Return the labels under scar after a model's change; None where no label changes."""
        if change.edit is None:
            return None
        labels = self.case.labels[change.slice_index : change.slice_index + 1].copy()
        replace(change.edit, slice_index=0).apply(labels)
        return without_infarct(labels[0])

    def _apply(self, change: Change, cause: Cause, under_scar: LabelArray | None = None) -> None:
        k = change.slice_index
        self.case.apply(change, cause, under_scar)
        self.versions[k] += 1
        self.revision += 1
        self.viewed.discard(k)
        if self._held is not None:
            self._held.add(k)
            return
        self.slice_changed.emit(k)
        self.edited.emit()
