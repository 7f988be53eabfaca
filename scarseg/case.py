"""A stack with its labels, prompts and the status of every slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from scarseg.labels import Edit, LabelArray
from scarseg.prompts import SlicePrompts
from scarseg.stack import Stack


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


@dataclass
class Case:
    """One stack being read.

    ``labels`` uint8 (slice, row, column) with values of :class:`scarseg.labels.Label`;
    ``readings`` one per slice. Both change only through :meth:`apply`.
    ``interactions`` counts what a reader did; ``seconds`` is the active reading time;
    ``history`` names every step in order, undone ones included.
    """

    stack: Stack
    labels: LabelArray
    readings: list[SliceReading]
    segmenter: ModelIdentity = ModelIdentity()
    detector: ModelIdentity = ModelIdentity()
    reader: str = ""
    interactions: int = 0
    seconds: float = 0.0
    history: list[str] = field(default_factory=list)

    @classmethod
    def new(cls, stack: Stack) -> Case:
        """Start a case: no labels, every slice unseen."""
        return cls(
            stack,
            np.zeros(stack.pixels.shape, dtype=np.uint8),
            [SliceReading() for _ in range(stack.n_slices)],
        )

    def apply(self, change: Change) -> None:
        """Carry out a change in place."""
        if change.edit is not None:
            change.edit.apply(self.labels)
        self.readings[change.slice_index] = change.after

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
    def n_slices_reviewed(self) -> int:
        return sum(reading.status.read for reading in self.readings)

    @property
    def status(self) -> CaseStatus:
        if all(reading.status.read for reading in self.readings):
            return CaseStatus.READ
        if self.n_slices_reviewed or any(reading.edited for reading in self.readings):
            return CaseStatus.IN_PROGRESS
        return CaseStatus.NEW
