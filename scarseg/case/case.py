"""A stack with its labels, prompts and the status of every slice."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg import __version__
from scarseg.case.calibration import Calibration
from scarseg.case.history import (
    Cause,
    DetectorScope,
    ModelRun,
    ReadingRecord,
    SliceReading,
    Step,
)
from scarseg.case.labels import Edit, LabelArray, Patch, infarct_mask
from scarseg.case.measurements import MassInterval
from scarseg.case.prompts import Box, InsertionPoint
from scarseg.case.stack import Stack


class CaseStatus(StrEnum):
    """How far the reading of a case is."""

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
        """Return the change that undoes this one."""
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


@dataclass(frozen=True)
class SentInstance:
    """An instance made of a reading that was sent to an archive, and found there.

    ``server`` is its name or address, ``kind`` a word such as SEG or SR.
    """

    server: str
    sent_at_utc: str
    kind: str
    sop_instance_uid: str


@dataclass
class Case:
    """One stack being read.

    ``labels`` uint8 (slice, row, column) with values of :class:`scarseg.case.labels.Label`;
    ``readings`` one per slice. Both change only through :meth:`apply`, which adds a step to
    ``record``. ``proposed`` holds the labels of the first proposal of each slice, or of the last
    one made on request; None where the models proposed nothing. ``labels_under_scar``, of the
    shape of ``labels``, holds the tissue underneath scar and MVO; None until it is needed.
    ``insertion`` is the anterior insertion of the right ventricle set by a reader; None means
    that it is proposed. ``remote_regions`` holds the remote myocardium that a reader drew, by
    slice, as patches of 0 and 1; on other slices it is proposed. Neither changes a label.

    ``segmenter`` and ``detector`` are the models that ran last, ``calibration`` that of the rules
    they ran by.

    ``intervals`` holds the intervals of the scar mass as the case is now, one per convention;
    none once a slice changes, until they are computed again.

    ``archive`` is the server the images came from, empty where it is not known; ``sent`` holds
    what of this reading was sent to archives.

    ``reader`` holds initials, those of several readers joined by ``+``; ``read_number`` counts
    the readings of this stack by this reader, from 1.

    ``interactions`` counts the reader's actions, ``seconds`` is the active reading time;
    ``slice_interactions`` and ``slice_seconds`` are their parts per slice. Undo reduces neither.
    """

    stack: Stack
    labels: LabelArray
    readings: list[SliceReading]
    segmenter: ModelIdentity = ModelIdentity()
    detector: ModelIdentity = ModelIdentity()
    calibration: Calibration | None = None
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
    remote_regions: dict[int, Patch] = field(default_factory=dict)
    intervals: tuple[MassInterval, ...] = ()
    archive: str = ""
    sent: tuple[SentInstance, ...] = ()

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

    def copy(self) -> Case:
        """Return a case that changes apart from this one; the stack and its pixels are shared."""
        twin = copy(self)
        twin.labels = self.labels.copy()
        if self.labels_under_scar is not None:
            twin.labels_under_scar = self.labels_under_scar.copy()
        twin.readings, twin.proposed = list(self.readings), list(self.proposed)
        twin.slice_interactions = list(self.slice_interactions)
        twin.slice_seconds = list(self.slice_seconds)
        twin.remote_regions = dict(self.remote_regions)
        twin.record = self.record.copy()
        return twin

    def apply(
        self, change: Change, cause: Cause = Cause.READER, under_scar: LabelArray | None = None
    ) -> None:
        """Apply a change in place and record it as a step.

        The labels of a proposal are kept in ``proposed``.

        Args:
            change: of one slice.
            cause: how the change came about.
            under_scar: labels (row, column) underneath the scar of the slice after the change; None
                where a manual edit drew scar over the labels that were there. Ignored while
                ``labels_under_scar`` is None.
        """
        k, edit = change.slice_index, change.edit
        self.intervals = ()
        proposed = self.proposed[k]
        # What is found or withheld in a proposal belongs to it, not what is in a reader's scar.
        joins = cause in (Cause.MVO, Cause.GATE)
        agrees = joins and proposed is not None and proposed.matches(self.labels[k])
        patch = None
        if edit is not None:
            edit.apply(self.labels)
            patch = Patch.at(edit.row, edit.column, edit.after)
        after = None if change.after == self.readings[k] else change.after
        self.readings[k] = change.after
        underneath = self._update_labels_under_scar(k, under_scar)
        self.record.add(Step(_now_ms(), cause, change.name, k, after, patch, None, underneath))
        first = cause is Cause.RELOCATED and proposed is None
        if cause is Cause.PROPOSAL or first or agrees:
            self.proposed[k] = Patch.of(self.labels[k])

    def _update_labels_under_scar(self, k: int, under_scar: LabelArray | None) -> Patch | None:
        """Update the labels under the scar of a slice.

        Returns them as a patch only where they differ from the labels that the scar covered.
        """
        if self.labels_under_scar is None:
            return None
        labels = self.labels[k]
        infarct = infarct_mask(labels)
        covered = np.where(infarct, self.labels_under_scar[k], labels)
        self.labels_under_scar[k] = covered if under_scar is None else under_scar
        if under_scar is None or np.array_equal(covered[infarct], under_scar[infarct]):
            return None
        return Patch.of(np.where(infarct, under_scar, np.uint8(0)))

    def record_model_run(
        self,
        slice_index: int,
        lv_hint: Box | None,
        lv_box: Box | None,
        detector_scope: DetectorScope = DetectorScope.STACK,
        fresh: bool = False,
    ) -> None:
        """Record a run of the models on a slice: see :class:`scarseg.case.history.ModelRun`."""
        weights = self.segmenter.sha256, self.detector.sha256
        run = ModelRun(
            *weights, lv_hint, lv_box, detector_scope, fresh, __version__, self.calibration
        )
        self.record.add(Step(_now_ms(), Cause.MODEL_RUN, "look", slice_index, model_run=run))

    def record_repeat(self, change: Change, cause: Cause) -> None:
        """Record that the models predicted the labels a slice already has: nothing changes.

        A replay needs the step all the same, since later predictions build on this one.
        """
        self.record.add(Step(_now_ms(), cause, change.name, change.slice_index))

    def count_interaction(self, slice_index: int) -> None:
        """Count one action of a reader on a slice."""
        self.interactions += 1
        self.slice_interactions[slice_index] += 1

    def add_reading_time(self, slice_index: int, seconds: float) -> None:
        """Add active reading time in seconds to a slice."""
        self.seconds += seconds
        self.slice_seconds[slice_index] += seconds

    def differs_from_proposal(self, slice_index: int) -> bool:
        """Return whether the labels of a slice differ from the models' proposal."""
        patch = self.proposed[slice_index]
        return patch is not None and not patch.matches(self.labels[slice_index])

    def change(
        self,
        name: str,
        slice_index: int,
        reading: SliceReading | None = None,
        labels: LabelArray | None = None,
    ) -> Change:
        """Build the change to a new reading and new labels, without applying it.

        ``labels`` uint8 (row, column), or None to leave them.
        """
        before = self.readings[slice_index]
        edit = None
        if labels is not None:
            edit = Edit.between(slice_index, self.labels[slice_index], labels)
        return Change(name, slice_index, before, before if reading is None else reading, edit)

    @property
    def history(self) -> list[str]:
        """Names of all steps that changed something, in order, undone steps included."""
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
