"""A stack with its labels, prompts and the status of every slice."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg import __version__
from scarseg.case.history import (
    Cause,
    DetectorScope,
    ModelRun,
    ReadingRecord,
    SliceReading,
    SliceStatus,
    Step,
)
from scarseg.case.labels import Edit, LabelArray, Patch, infarct_mask
from scarseg.case.prompts import Box, InsertionPoint
from scarseg.case.stack import Stack

__all__ = [
    "Case",
    "CaseStatus",
    "Cause",
    "Change",
    "DetectorScope",
    "ModelIdentity",
    "ModelRun",
    "ReadingRecord",
    "SliceReading",
    "SliceStatus",
    "Step",
]


class CaseStatus(StrEnum):
    """Where the reading of a case stands."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    READ = "read"


@dataclass(frozen=True)
class Change:
    """One named step of a reading: labels, prompts and status of one slice together.

    ``edit`` is None when no label changes. ``inverse`` undoes it to the byte.
    """

    name: str
    slice_index: int
    before: SliceReading
    after: SliceReading
    edit: Edit | None = None

    def inverse(self) -> Change:
        return Change(
            self.name,
            self.slice_index,
            self.after,
            self.before,
            None if self.edit is None else self.edit.inverse(),
        )


@dataclass(frozen=True)
class ModelIdentity:
    """Name and sha256 of the weights behind a result; ``verified`` by the manifest or not."""

    name: str = ""
    sha256: str = ""
    verified: bool = False


@dataclass
class Case:
    """One stack being read.

    ``labels`` uint8 (slice, row, column) with values of :class:`scarseg.case.labels.Label`;
    ``readings`` one per slice. Both change only through :meth:`apply`, and ``record`` tells how.
    ``proposed`` is what the models first proposed on each slice, or when last asked to start
    over; None where they never did. ``grounds``, like ``labels``, is what lies beneath scar and
    MVO; None while nobody asked. ``insertion`` is the anterior insertion of the right ventricle
    where a reader set it; it moves no label, and None means that it is proposed.

    ``reader`` holds initials, those of several readers joined by ``+``; ``read_number`` says for
    which time this reader reads the stack.

    ``interactions`` counts what a reader did, ``seconds`` is the active reading time; of both,
    ``slice_interactions`` and ``slice_seconds`` are what fell on each slice. Undoing a step does
    not turn them back.
    """

    stack: Stack
    labels: LabelArray
    readings: list[SliceReading]
    segmenter: ModelIdentity = ModelIdentity()
    detector: ModelIdentity = ModelIdentity()
    reader: str = ""
    read_number: int = 1
    interactions: int = 0
    seconds: float = 0.0
    slice_interactions: list[int] = field(default_factory=list)
    slice_seconds: list[float] = field(default_factory=list)
    proposed: list[Patch | None] = field(default_factory=list)
    labels_under_scar: LabelArray | None = None
    record: ReadingRecord = field(default_factory=lambda: ReadingRecord(()))
    insertion: InsertionPoint | None = None

    def __post_init__(self) -> None:
        n = self.stack.n_slices
        self.slice_interactions = self.slice_interactions or [0] * n
        self.slice_seconds = self.slice_seconds or [0.0] * n
        self.proposed = self.proposed or [None] * n
        if not self.record.shape:
            blank = not self.labels.any() and all(r == SliceReading() for r in self.readings)
            self.record = (
                ReadingRecord(self.labels.shape)
                if blank
                else ReadingRecord.starting_from(self.labels, self.readings)
            )

    @classmethod
    def new(cls, stack: Stack) -> Case:
        """Start a case: no labels, every slice unseen."""
        return cls(
            stack,
            np.zeros(stack.pixels.shape, dtype=np.uint8),
            [SliceReading() for _ in range(stack.n_slices)],
        )

    def apply(
        self, change: Change, cause: Cause = Cause.READER, ground: LabelArray | None = None
    ) -> None:
        """Carry out a change in place and write it down; ``cause`` says how it came about.

        A proposal is remembered as what the models proposed on its slice. Where ``grounds`` are
        kept, ``ground`` (row, column) is what then lies beneath the slice's scar; None when a
        hand drew it over what was there.
        """
        k, edit = change.slice_index, change.edit
        patch = None
        if edit is not None:
            edit.apply(self.labels)
            patch = Patch.at(edit.row, edit.column, edit.after)
        after = None if change.after == self.readings[k] else change.after
        self.readings[k] = change.after
        beneath = self._update_labels_under_scar(k, ground)
        self.record.add(Step(_now_ms(), cause, change.name, k, after, patch, None, beneath))
        if cause is Cause.PROPOSAL or (cause is Cause.RELOCATED and self.proposed[k] is None):
            self.proposed[k] = Patch.of(self.labels[k])

    def _update_labels_under_scar(self, k: int, ground: LabelArray | None) -> Patch | None:
        """Take what lies beneath a slice; give it where that is not what scar covered."""
        if self.labels_under_scar is None:
            return None
        labels = self.labels[k]
        infarct = infarct_mask(labels)
        covered = np.where(infarct, self.labels_under_scar[k], labels)
        self.labels_under_scar[k] = covered if ground is None else ground
        if ground is None or np.array_equal(covered[infarct], ground[infarct]):
            return None
        return Patch.of(np.where(infarct, ground, np.uint8(0)))

    def record_model_run(
        self,
        slice_index: int,
        lv_hint: Box | None,
        lv_box: Box | None,
        detector_scope: DetectorScope = DetectorScope.STACK,
        fresh: bool = False,
    ) -> None:
        """Write down how the models looked at a slice: see :class:`Look`."""
        weights = self.segmenter.sha256, self.detector.sha256
        run = ModelRun(*weights, lv_hint, lv_box, detector_scope, fresh, __version__)
        self.record.add(Step(_now_ms(), Cause.MODEL_RUN, "look", slice_index, model_run=run))

    def record_repeat(self, change: Change, cause: Cause) -> None:
        """Write down that the models said again what stands on a slice: nothing changes.

        A replay asks them again all the same, since later answers build on this one.
        """
        self.record.add(Step(_now_ms(), cause, change.name, change.slice_index))

    def count_interaction(self, slice_index: int) -> None:
        """Count one thing that a reader did on a slice."""
        self.interactions += 1
        self.slice_interactions[slice_index] += 1

    def add_reading_time(self, slice_index: int, seconds: float) -> None:
        """Count active reading time on a slice."""
        self.seconds += seconds
        self.slice_seconds[slice_index] += seconds

    def differs_from_proposal(self, slice_index: int) -> bool:
        """Say whether labels of a slice are other than the models proposed them."""
        patch = self.proposed[slice_index]
        return patch is not None and not patch.matches(self.labels[slice_index])

    def change(
        self,
        name: str,
        slice_index: int,
        reading: SliceReading | None = None,
        labels: LabelArray | None = None,
    ) -> Change:
        """Describe, without applying it, the step to a new reading and new labels.

        ``labels`` uint8 (row, column), or None to leave them.
        """
        before = self.readings[slice_index]
        edit = None
        if labels is not None:
            edit = Edit.between(slice_index, self.labels[slice_index], labels)
        return Change(name, slice_index, before, before if reading is None else reading, edit)

    @property
    def history(self) -> list[str]:
        """Name what was done in order, what was undone included."""
        return [
            f"Undo {step.name}" if step.cause is Cause.UNDO else step.name
            for step in self.record.steps
            if step.changed
        ]

    @property
    def n_slices_reviewed(self) -> int:
        return sum(reading.status.read for reading in self.readings)

    @property
    def status(self) -> CaseStatus:
        if all(reading.status.read for reading in self.readings):
            return CaseStatus.READ
        if self.n_slices_reviewed or any(reading.edited for reading in self.readings):
            return CaseStatus.IN_PROGRESS
        return CaseStatus.NEW


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
