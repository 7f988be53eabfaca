"""How one slice stands, and the record of what was asked and answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg.case.labels import LabelArray, Patch
from scarseg.case.prompts import Box, SlicePrompts

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


class Cause(StrEnum):
    """What brought a step about; a replay makes each in its own way.

    READER: manual edit, status or prompts. ANSWER: the segmenter's to the prompts that stand on
    the slice. CORRECTION: what :func:`scarseg.segmentation.predict.correct_heart` makes of the
    prompts for wall and blood pool. PROPOSAL and RELOCATED: what the models proposed for the
    slice; WALL: of that, wall and blood pool alone. UNDO, REDO: of the named step. MODEL_RUN: the
    models ran on the slice, and nothing changed.
    """

    READER = "reader"
    ANSWER = "answer"
    CORRECTION = "correction"
    PROPOSAL = "proposal"
    RELOCATED = "relocated"
    WALL = "wall"
    UNDO = "undo"
    REDO = "redo"
    MODEL_RUN = "looked"


class DetectorScope(StrEnum):
    """What the detector had seen when a slice was looked at: all slices, this one, or none."""

    STACK = "stack"
    SLICE = "slice"
    NONE = "nothing"


@dataclass(frozen=True)
class ModelRun:
    """How the models looked at a slice, so that they can look at it again in the same way.

    ``lv_hint`` is the box they were given, ``lv_box`` the one they settled on. Models by the
    sha256 of their weights. ``fresh``: the first look of a sitting, no earlier answer is known
    any more. ``software`` is the version that looked, empty in older records.
    """

    segmenter_sha256: str
    detector_sha256: str
    lv_hint: Box | None
    lv_box: Box | None
    detector_scope: DetectorScope = DetectorScope.STACK
    fresh: bool = False
    software: str = ""


@dataclass(frozen=True, eq=False)
class Step:
    """One entry of a record.

    ``at_ms`` is UTC in milliseconds since 1970; ``reading`` how the slice stood afterwards and
    ``patch`` the labels that were written, both None where they stayed: a model may say again
    what stands there. ``labels_under_scar`` is what lay beneath scar afterwards (background
    elsewhere); None where scar covers what was there.
    """

    at_ms: int
    cause: Cause
    name: str
    slice_index: int
    reading: SliceReading | None = None
    patch: Patch | None = None
    model_run: ModelRun | None = None
    labels_under_scar: Patch | None = None

    @property
    def changed(self) -> bool:
        """Say whether anything is other than before."""
        return not (self.reading is None and self.patch is None and self.labels_under_scar is None)


@dataclass
class ReadingRecord:
    """What was asked and answered, in order, undone steps included.

    Carried out on ``start`` the steps give the labels and readings of the case: see
    :meth:`final_state`. ``start`` has one (reading, labels) per slice; None is a new case.
    ``n_forgotten`` steps were too many to keep, and went into ``start``.
    """

    shape: tuple[int, ...]
    start: list[tuple[SliceReading, Patch]] | None = None
    steps: list[Step] = field(default_factory=list)
    n_forgotten: int = 0
    n_bytes: int = 0

    @classmethod
    def starting_from(cls, labels: LabelArray, readings: Sequence[SliceReading]) -> ReadingRecord:
        """Begin where a case stands whose steps are not known."""
        start = [(reading, Patch.of(one)) for reading, one in zip(readings, labels, strict=True)]
        return cls(labels.shape, start)

    def add(self, step: Step) -> None:
        """Add a step; the oldest give way when there are too many."""
        self.steps.append(step)
        self.n_bytes += _weight(step)
        while len(self.steps) > MAX_STEPS or self.n_bytes > MAX_RECORD_BYTES:
            self._forget()

    def final_state(self) -> tuple[LabelArray, list[SliceReading]]:
        """Carry out all steps: labels uint8 (slice, row, column), and one reading per slice.

        Raises:
            ValueError: a step does not fit the stack.
        """
        labels = np.zeros(self.shape, dtype=np.uint8)
        readings = [SliceReading() for _ in labels]
        for k, (reading, patch) in enumerate(self.start or ()):
            readings[k] = reading
            patch.apply(labels[k])
        for step in self.steps:
            if step.reading is not None:
                readings[step.slice_index] = step.reading
            if step.patch is not None:
                step.patch.apply(labels[step.slice_index])
        return labels, readings

    def copy(self) -> ReadingRecord:
        start = None if self.start is None else list(self.start)
        return ReadingRecord(self.shape, start, list(self.steps), self.n_forgotten, self.n_bytes)

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
            patch.apply(labels)
            step.patch.apply(labels)
            patch = Patch.of(labels)
        self.start[step.slice_index] = (step.reading or reading, patch)


def _weight(step: Step) -> int:
    patches = (step.patch, step.labels_under_scar)
    return _STEP_BYTES + sum(len(each.packed) for each in patches if each is not None)
