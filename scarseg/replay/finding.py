"""What a replay found: step by step, and all in all."""

from __future__ import annotations

from dataclasses import dataclass, field

from scarseg.case import Case
from scarseg.labels import LabelArray
from scarseg.measurements import Measurements
from scarseg.models import Embedding, Models
from scarseg.record import Cause

MODEL_CAUSES = (
    Cause.ANSWER,
    Cause.CORRECTION,
    Cause.PROPOSAL,
    Cause.RELOCATED,
    Cause.WALL,
)
"""Steps whose labels came from the models."""


@dataclass(frozen=True)
class Difference:
    """Where a step came out otherwise than it was recorded.

    ``number`` counts the steps of the record from 1; ``n_voxels`` have another label, ``dice`` is
    that of the infarct, None where neither has any. ``follows``: something had come out
    otherwise on this slice before. ``also`` says what else differs than labels.
    """

    number: int
    slice_index: int
    name: str
    n_voxels: int
    dice: float | None
    follows: bool
    also: str = ""


@dataclass(frozen=True)
class Unchecked:
    """A step of the models that could not be made again, and why."""

    number: int
    slice_index: int
    name: str
    why: str


@dataclass
class Findings:
    """What came of the steps; ``reasons`` are what is known to be other than at the reading.

    ``edits_hold``: the recorded labels, put on each other in order, are those of the case.
    """

    edits_hold: bool = True
    n_steps: int = 0
    n_answers: int = 0
    differences: list[Difference] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def because(self, reason: str) -> None:
        """Note a reason, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(frozen=True, eq=False)
class Replayed:
    """A case made again: ``labels`` uint8 (slice, row, column), and what it measures.

    ``differing`` are the slices whose final labels are not the recorded ones, with the number of
    voxels and the Dice of the infarct. ``models`` and ``embeddings``, one per slice, are those of
    the last looks, None where there was none.
    """

    case: Case
    labels: LabelArray
    findings: Findings
    recorded: Measurements
    measured: Measurements
    differing: tuple[tuple[int, int, float | None], ...]
    models: Models | None = None
    embeddings: tuple[Embedding | None, ...] = ()

    @property
    def same_mask(self) -> bool:
        return self.findings.edits_hold and not self.differing

    @property
    def same_grams(self) -> bool:
        return self.recorded == self.measured

    @property
    def identical(self) -> bool:
        """Say whether all of it was made again and nothing came out otherwise."""
        found = self.findings
        return self.same_mask and self.same_grams and not found.differences and not found.unchecked
