"""The reading of one slice, and the recorded steps of a case.

Status of a slice: UNSEEN -> PROPOSED (the models or a manual edit) -> ACCEPTED, NO_SCAR or
NOT_ASSESSABLE by the reader; a new edit, prompt or "read again" leads back to PROPOSED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg.case.calibration import Calibration
from scarseg.case.labels import LabelArray, Patch
from scarseg.case.prompts import Box, SlicePrompts

MAX_STEPS = 4000
"""A record keeps this many steps; what happened before them is kept as the state they left."""
MAX_RECORD_BYTES = 4 << 20
_STEP_BYTES = 300


class SliceStatus(StrEnum):
    """How far the reading of a slice is. Zero grams never means "not read"."""

    UNSEEN = "unseen"
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    NO_SCAR = "no_scar"
    NOT_ASSESSABLE = "not_assessable"

    @property
    def read(self) -> bool:
        """Return whether a reader has decided on the slice."""
        return self in (
            SliceStatus.ACCEPTED,
            SliceStatus.NO_SCAR,
            SliceStatus.NOT_ASSESSABLE,
        )


@dataclass(frozen=True)
class SliceReading:
    """Everything known of one slice besides its labels; an immutable value.

    ``edited`` is True once a reader changed the labels: models overwrite such a slice, or a read
    one, only on request. ``reason`` explains NOT_ASSESSABLE. ``mvo_sought`` is True once MVO was
    looked for in the scar of the slice: without, no MVO is unknown, not none. ``scar_withheld`` is
    True where the whole stack is probably free of scar, and any that was proposed was taken back.
    """

    prompts: SlicePrompts = field(default_factory=SlicePrompts)
    status: SliceStatus = SliceStatus.UNSEEN
    edited: bool = False
    reason: str = ""
    mvo_sought: bool = False
    scar_withheld: bool = False

    @property
    def protected(self) -> bool:
        """Return whether models must not overwrite the slice without a request."""
        return self.edited or self.status.read


class Cause(StrEnum):
    """Cause of a step; a replay repeats each in its own way.

    READER: manual edit, status or prompts. ANSWER: the segmenter's prediction for the prompts on
    the slice. CORRECTION: the result of :func:`scarseg.segmentation.predict.correct_heart` for
    the prompts for wall and blood pool. REFILLED: scar predicted inside a wall that a reader set,
    by :func:`scarseg.segmentation.refill.refill_wall`. PROPOSAL and RELOCATED: the models'
    proposal for the slice; WALL: only wall and blood pool of it. MVO: dark cores in the scar of
    the models, labelled by :func:`scarseg.quant.mvo.propose_mvo`; no model is needed. GATE: scar of
    a whole proposal withheld by :mod:`scarseg.segmentation.gate`, or shown again. CONTOUR: a
    manual edit of the contours of the wall, in which scar goes on being the segmenter's. UNDO,
    REDO: of the named step. MODEL_RUN: the models ran on the slice, and nothing changed.
    """

    READER = "reader"
    ANSWER = "answer"
    CORRECTION = "correction"
    REFILLED = "refilled"
    PROPOSAL = "proposal"
    RELOCATED = "relocated"
    WALL = "wall"
    MVO = "mvo"
    GATE = "gate"
    CONTOUR = "contour"
    UNDO = "undo"
    REDO = "redo"
    MODEL_RUN = "looked"


class DetectorScope(StrEnum):
    """Slices the detector had run on when a slice was proposed: all, this one, or none."""

    STACK = "stack"
    SLICE = "slice"
    NONE = "nothing"


@dataclass(frozen=True)
class ModelRun:
    """One run of the models on a slice, with what is needed to repeat it.

    ``lv_hint`` is the left_ventricle box given to them, ``lv_box`` the one they ended with.
    Models are identified by the sha256 of their weights. ``fresh``: the first run of a session,
    when no earlier prediction is cached. ``software`` is the version of the program, empty in
    older records. ``calibration`` is that of the rules, if there was one.
    """

    segmenter_sha256: str
    detector_sha256: str
    lv_hint: Box | None
    lv_box: Box | None
    detector_scope: DetectorScope = DetectorScope.STACK
    fresh: bool = False
    software: str = ""
    calibration: Calibration | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One recorded step.

    ``at_ms`` is UTC in milliseconds since 1970. ``reading`` is that of the slice afterwards,
    ``patch`` the labels that were written; both None where they stayed. ``labels_under_scar``
    are the labels underneath scar afterwards (background elsewhere); None where scar covers the
    labels that were there.
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
        """Return whether the step changed anything."""
        return not (self.reading is None and self.patch is None and self.labels_under_scar is None)


@dataclass
class ReadingRecord:
    """The steps of a reading in order, undone steps included.

    Applied to ``start`` the steps lead to the labels and readings of the case: see
    :meth:`final_state`. ``start`` has one (reading, labels) per slice; None is a new case.
    ``n_forgotten`` is how many of the oldest steps were merged into ``start`` to save space.
    """

    shape: tuple[int, ...]
    start: list[tuple[SliceReading, Patch]] | None = None
    steps: list[Step] = field(default_factory=list)
    n_forgotten: int = 0
    n_bytes: int = 0

    @classmethod
    def starting_from(cls, labels: LabelArray, readings: Sequence[SliceReading]) -> ReadingRecord:
        """Start a record at the state of a case whose earlier steps are not known."""
        start = [(reading, Patch.of(one)) for reading, one in zip(readings, labels, strict=True)]
        return cls(labels.shape, start)

    def add(self, step: Step) -> None:
        """Add a step; merge the oldest into ``start`` while there are too many."""
        self.steps.append(step)
        self.n_bytes += _size_bytes(step)
        while len(self.steps) > MAX_STEPS or self.n_bytes > MAX_RECORD_BYTES:
            self._merge_oldest()

    def final_state(self) -> tuple[LabelArray, list[SliceReading]]:
        """Apply all steps; return labels uint8 (slice, row, column) and one reading per slice.

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
        """Return a copy that shares no list with this record."""
        start = None if self.start is None else list(self.start)
        return ReadingRecord(self.shape, start, list(self.steps), self.n_forgotten, self.n_bytes)

    def _merge_oldest(self) -> None:
        step = self.steps.pop(0)
        self.n_bytes -= _size_bytes(step)
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


def _size_bytes(step: Step) -> int:
    patches = (step.patch, step.labels_under_scar)
    return _STEP_BYTES + sum(len(each.packed) for each in patches if each is not None)
