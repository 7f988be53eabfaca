"""Say what a replay found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scarseg.replay.finding import Difference, Replayed, Unchecked

UNEXPLAINED = (
    "the record and these weights are the same: another processor, number of threads or library"
    " may round otherwise"
)
MOST_LINES = 12
"""So many steps are named; the rest is counted."""


def lines_of(name: str, replayed: Replayed) -> list[str]:
    """Say in lines how a case came out; the first names it and says all in all."""
    found = replayed.findings
    grams = f"{replayed.measured.scar_mass_g:.2f} g ({replayed.measured.convention})"
    made = f"{_count(found.n_steps, 'step')}, {_count(found.n_answers, 'answer')} of the models"
    if replayed.identical:
        return [f"{name}: identical: {made}, {grams}"]
    verdict = "differs"
    if not found.differences and replayed.same_mask and replayed.same_grams:
        verdict = "not all of it can be checked; the rest is identical"
    return [f"{name}: {verdict}: {made}, {grams}", *(f"  {line}" for line in _told(replayed))]


def _told(replayed: Replayed) -> Iterator[str]:
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


def _difference(one: Difference) -> str:
    where = f"step {one.number}, slice {one.slice_index + 1} ({_verb(one.name)})"
    told = [_voxels(one.n_voxels, one.dice)] if one.n_voxels else []
    told += [one.also] if one.also else []
    return f"{where}: {', '.join(told)}{', after an earlier difference' if one.follows else ''}"


def _unchecked(one: Unchecked) -> str:
    where = f"step {one.number}, slice" if one.number else "slice"
    return f"{where} {one.slice_index + 1} ({_verb(one.name)}): not checked: {one.why}"


def _verb(name: str) -> str:
    """Leave out the slice that a step's name ends in."""
    return name.partition(", slice ")[0]


def _voxels(n: int, overlap: float | None) -> str:
    dice = "no scar in either" if overlap is None else f"Dice of scar {overlap:.4f}"
    return f"{_count(n, 'voxel')} differ{'s' if n == 1 else ''}, {dice}"


def _grams(replayed: Replayed) -> Iterator[str]:
    then, now = replayed.recorded, replayed.measured
    names = ("scar_mass_thickness_g", "scar_mass_spacing_g", "mvo_mass_g", "lv_mass_g")
    for name in names:
        one, other = getattr(then, name), getattr(now, name)
        if one != other:
            yield f"{name}: {_number(one)} in the case, {_number(other)} made again"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        yield f"and {len(lines) - MOST_LINES} more of these"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
