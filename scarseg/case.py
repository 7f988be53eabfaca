"""A stack with its labels, prompts and the status of every slice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg.labels import Edit, LabelArray, Patch, infarct_mask
from scarseg.prompts import Box, SlicePrompts
from scarseg.stack import Stack

MAX_STEPS = 4000
"""A record keeps this many steps; what happened before them is kept as the state they left."""
MAX_RECORD_BYTES = 4 << 20
_STEP_BYTES = 300


class SliceStatus(StrEnum):
    """Where the reading of a slice stands. Zero grams never means "not read"."""

    UNSEEN = "unseen"
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    NO_SCAR = "no_scar"
    NOT_ASSESSABLE = "not_assessable"

    @property
    def read(self) -> bool:
        return self in (
            SliceStatus.ACCEPTED,
            SliceStatus.NO_SCAR,
            SliceStatus.NOT_ASSESSABLE,
        )


class CaseStatus(StrEnum):
    """Where the reading of a case stands."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    READ = "read"


@dataclass(frozen=True)
class SliceReading:
    """What is known of one slice besides its labels; an immutable value.

    ``edited`` is True once a reader's hand changed the labels: models never overwrite such a
    slice, nor a read one, without being asked. ``reason`` explains NOT_ASSESSABLE.
    """

    prompts: SlicePrompts = field(default_factory=SlicePrompts)
    status: SliceStatus = SliceStatus.UNSEEN
    edited: bool = False
    reason: str = ""

    @property
    def protected(self) -> bool:
        return self.edited or self.status.read


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


class Cause(StrEnum):
    """What brought a step about; a replay makes each in its own way.

    READER: a hand, a verdict, new prompts. ANSWER: the segmenter's to the prompts that stand on
    the slice. CORRECTION: what :func:`scarseg.asking.correct_heart` makes of the prompts for wall
    and blood pool. PROPOSAL and RELOCATED: what the models proposed when they last looked at the
    slice; WALL: of that, wall and blood pool alone. UNDO, REDO: of the named step. LOOKED: the
    models looked at the slice, and nothing changed.
    """

    READER = "reader"
    ANSWER = "answer"
    CORRECTION = "correction"
    PROPOSAL = "proposal"
    RELOCATED = "relocated"
    WALL = "wall"
    UNDO = "undo"
    REDO = "redo"
    LOOKED = "looked"


class Sight(StrEnum):
    """What the detector had seen when a slice was looked at: all slices, this one, or none."""

    STACK = "stack"
    SLICE = "slice"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Look:
    """How the models looked at a slice, so that they can look at it again in the same way.

    ``lv_hint`` is the box they were given, ``lv_box`` the one they settled on. Models by the
    sha256 of their weights.
    """

    segmenter_sha256: str
    detector_sha256: str
    lv_hint: Box | None
    lv_box: Box | None
    sight: Sight = Sight.STACK


@dataclass(frozen=True, eq=False)
class Recorded:
    """One entry of a record.

    ``at_ms`` is UTC in milliseconds since 1970; ``reading`` how the slice stood afterwards and
    ``patch`` the labels that were written, both None where they stayed. ``ground`` is what lay
    beneath scar afterwards (background elsewhere); None where scar covers what was there.
    """

    at_ms: int
    cause: Cause
    name: str
    slice_index: int
    reading: SliceReading | None = None
    patch: Patch | None = None
    look: Look | None = None
    ground: Patch | None = None


@dataclass
class Record:
    """What was asked and answered, in order, undone steps included.

    Carried out on ``start`` the steps give the labels and readings of the case: see
    :meth:`outcome`. ``start`` has one (reading, labels) per slice; None is a new case.
    ``n_forgotten`` steps were too many to keep, and went into ``start``.
    """

    shape: tuple[int, ...]
    start: list[tuple[SliceReading, Patch]] | None = None
    steps: list[Recorded] = field(default_factory=list)
    n_forgotten: int = 0
    n_bytes: int = 0

    @classmethod
    def beginning_at(cls, labels: LabelArray, readings: Sequence[SliceReading]) -> Record:
        """Begin where a case stands whose steps are not known."""
        start = [(reading, Patch.of(one)) for reading, one in zip(readings, labels, strict=True)]
        return cls(labels.shape, start)

    def add(self, step: Recorded) -> None:
        """Add a step; the oldest give way when there are too many."""
        self.steps.append(step)
        self.n_bytes += _weight(step)
        while len(self.steps) > MAX_STEPS or self.n_bytes > MAX_RECORD_BYTES:
            self._forget()

    def outcome(self) -> tuple[LabelArray, list[SliceReading]]:
        """Carry out all steps: labels uint8 (slice, row, column), and one reading per slice.

        Raises:
            ValueError: a step does not fit the stack.
        """
        labels = np.zeros(self.shape, dtype=np.uint8)
        readings = [SliceReading() for _ in labels]
        for k, (reading, patch) in enumerate(self.start or ()):
            readings[k] = reading
            patch.paste(labels[k])
        for step in self.steps:
            if step.reading is not None:
                readings[step.slice_index] = step.reading
            if step.patch is not None:
                step.patch.paste(labels[step.slice_index])
        return labels, readings

    def copy(self) -> Record:
        start = None if self.start is None else list(self.start)
        return Record(self.shape, start, list(self.steps), self.n_forgotten, self.n_bytes)

    def _forget(self) -> None:
        step = self.steps.pop(0)
        self.n_bytes -= _weight(step)
        self.n_forgotten += 1
        if self.start is None:
            blank = Patch.of(np.zeros((0, 0), dtype=np.uint8))
            self.start = [(SliceReading(), blank)] * self.shape[0]
        reading, patch = self.start[step.slice_index]
        if step.patch is not None:
            labels = np.zeros(self.shape[1:], dtype=np.uint8)
            patch.paste(labels)
            step.patch.paste(labels)
            patch = Patch.of(labels)
        self.start[step.slice_index] = (step.reading or reading, patch)


def _weight(step: Recorded) -> int:
    patches = (step.patch, step.ground)
    return _STEP_BYTES + sum(len(each.packed) for each in patches if each is not None)


@dataclass
class Case:
    """One stack being read.

    ``labels`` uint8 (slice, row, column) with values of :class:`scarseg.labels.Label`;
    ``readings`` one per slice. Both change only through :meth:`apply`, and ``record`` tells how.
    ``proposed`` is what the models first proposed on each slice, or when last asked to start
    over; None where they never did. ``grounds``, like ``labels``, is what lies beneath scar and
    MVO; None while nobody asked.

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
    interactions: int = 0
    seconds: float = 0.0
    slice_interactions: list[int] = field(default_factory=list)
    slice_seconds: list[float] = field(default_factory=list)
    proposed: list[Patch | None] = field(default_factory=list)
    grounds: LabelArray | None = None
    record: Record = field(default_factory=lambda: Record(()))

    def __post_init__(self) -> None:
        n = self.stack.n_slices
        self.slice_interactions = self.slice_interactions or [0] * n
        self.slice_seconds = self.slice_seconds or [0.0] * n
        self.proposed = self.proposed or [None] * n
        if not self.record.shape:
            blank = not self.labels.any() and all(r == SliceReading() for r in self.readings)
            self.record = (
                Record(self.labels.shape)
                if blank
                else Record.beginning_at(self.labels, self.readings)
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
        beneath = self._lay(k, ground)
        self.record.add(Recorded(_now_ms(), cause, change.name, k, after, patch, None, beneath))
        if cause is Cause.PROPOSAL or (cause is Cause.RELOCATED and self.proposed[k] is None):
            self.proposed[k] = Patch.of(self.labels[k])

    def _lay(self, k: int, ground: LabelArray | None) -> Patch | None:
        """Take what lies beneath a slice; give it where that is not what scar covered."""
        if self.grounds is None:
            return None
        labels = self.labels[k]
        infarct = infarct_mask(labels)
        covered = np.where(infarct, self.grounds[k], labels)
        self.grounds[k] = covered if ground is None else ground
        if ground is None or np.array_equal(covered[infarct], ground[infarct]):
            return None
        return Patch.of(np.where(infarct, ground, np.uint8(0)))

    def looked(
        self,
        slice_index: int,
        lv_hint: Box | None,
        lv_box: Box | None,
        sight: Sight = Sight.STACK,
    ) -> None:
        """Write down how the models looked at a slice: see :class:`Look`."""
        look = Look(self.segmenter.sha256, self.detector.sha256, lv_hint, lv_box, sight)
        self.record.add(Recorded(_now_ms(), Cause.LOOKED, "look", slice_index, look=look))

    def interacted(self, slice_index: int) -> None:
        """Count one thing that a reader did on a slice."""
        self.interactions += 1
        self.slice_interactions[slice_index] += 1

    def spent(self, slice_index: int, seconds: float) -> None:
        """Count active reading time on a slice."""
        self.seconds += seconds
        self.slice_seconds[slice_index] += seconds

    def differs_from_proposal(self, slice_index: int) -> bool:
        """Say whether labels of a slice are other than the models proposed them."""
        patch = self.proposed[slice_index]
        return patch is not None and not patch.is_all_of(self.labels[slice_index])

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
            if step.cause is not Cause.LOOKED
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
