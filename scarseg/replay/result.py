"""Result of a replay, step by step and as a whole, and its description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scarseg.case.case import Case
from scarseg.case.history import Cause
from scarseg.case.labels import LabelArray
from scarseg.case.measurements import Measurements
from scarseg.models import Embedding, Models

MODEL_CAUSES = (
    Cause.ANSWER,
    Cause.CORRECTION,
    Cause.REFILLED,
    Cause.PROPOSAL,
    Cause.RELOCATED,
    Cause.WALL,
)
"""Steps whose labels came from the models."""


@dataclass(frozen=True)
class StepDifference:
    """A step whose labels differ from those recorded.

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
class UncheckedStep:
    """A step of the models that could not be replayed, and why."""

    number: int
    slice_index: int
    name: str
    why: str


@dataclass
class ReplayFindings:
    """Findings of all steps; ``reasons`` are the known differences to the time of the reading.

    ``edits_hold``: the recorded labels, put on each other in order, are those of the case.
    """

    edits_hold: bool = True
    n_steps: int = 0
    n_answers: int = 0
    differences: list[StepDifference] = field(default_factory=list)
    unchecked: list[UncheckedStep] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add_reason(self, reason: str) -> None:
        """Add a reason, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """A replayed case: ``labels`` uint8 (slice, row, column), and its measurements.

    ``differing`` are the slices whose final labels are not the recorded ones, with the number of
    voxels and the Dice of the infarct. ``models`` and ``embeddings``, one per slice, are those of
    the last run of the models, None where there was none.
    """

    case: Case
    labels: LabelArray
    findings: ReplayFindings
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
        """Return whether every step could be replayed and nothing differs."""
        found = self.findings
        return self.same_mask and self.same_grams and not found.differences and not found.unchecked


UNEXPLAINED = (
    "the record and these weights are the same: another processor, number of threads or library"
    " may round otherwise"
)
MAX_LINES = 12
"""So many steps are named; the rest is counted."""


def describe_replay(name: str, replayed: ReplayResult) -> list[str]:
    """Return a description in lines; the first holds the name and the result as a whole."""
    found = replayed.findings
    grams = f"{replayed.measured.scar_mass_g:.2f} g ({replayed.measured.convention})"
    made = f"{_count(found.n_steps, 'step')}, {_count(found.n_answers, 'answer')} of the models"
    if replayed.identical:
        return [f"{name}: identical: {made}, {grams}"]
    verdict = "differs"
    if not found.differences and replayed.same_mask and replayed.same_grams:
        verdict = "not all of it can be checked; the rest is identical"
    return [f"{name}: {verdict}: {made}, {grams}", *(f"  {line}" for line in _lines(replayed))]


def _lines(replayed: ReplayResult) -> Iterator[str]:
    found = replayed.findings
    if not found.edits_hold:
        yield "the recorded steps do not lead to the labels and states of the case"
    for k, n, overlap in replayed.differing:
        yield f"slice {k + 1} in the end: {_voxels(n, overlap)}"
    yield from _some([_difference(one) for one in found.differences])
    yield from _some([_unchecked(one) for one in found.unchecked])
    if not replayed.same_grams:
        yield from _grams(replayed)
    differs = found.differences or replayed.differing or not found.edits_hold
    for reason in found.reasons if differs or found.unchecked else ():
        yield f"because of {reason}" if differs else f"also {reason}"
    if differs and not found.reasons:
        yield UNEXPLAINED


def _difference(one: StepDifference) -> str:
    where = f"step {one.number}, slice {one.slice_index + 1} ({_verb(one.name)})"
    told = [_voxels(one.n_voxels, one.dice)] if one.n_voxels else []
    told += [one.also] if one.also else []
    return f"{where}: {', '.join(told)}{', after an earlier difference' if one.follows else ''}"


def _unchecked(one: UncheckedStep) -> str:
    where = f"step {one.number}, slice" if one.number else "slice"
    return f"{where} {one.slice_index + 1} ({_verb(one.name)}): not checked: {one.why}"


def _verb(name: str) -> str:
    """Leave out the slice that a step's name ends in."""
    return name.partition(", slice ")[0]


def _voxels(n: int, overlap: float | None) -> str:
    dice = "no scar in either" if overlap is None else f"Dice of scar {overlap:.4f}"
    return f"{_count(n, 'voxel')} differ{'s' if n == 1 else ''}, {dice}"


def _grams(replayed: ReplayResult) -> Iterator[str]:
    then, now = replayed.recorded, replayed.measured
    names = ("scar_mass_thickness_g", "scar_mass_spacing_g", "mvo_mass_g", "lv_mass_g")
    for name in names:
        one, other = getattr(then, name), getattr(now, name)
        if one != other:
            yield f"{name}: {_number(one)} in the case, {_number(other)} made again"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        yield f"and {len(lines) - MAX_LINES} more of these"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
