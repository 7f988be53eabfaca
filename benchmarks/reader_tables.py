"""What the scripted reader notes down of a reading, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

GOOD_DICE = 0.75
MOST_CORRECTIONS = 3
VERDICTS = ("accept", "no_scar", "accept_seen", "choose slice")
CORRECTIONS = ("box", "this too", "not this", "delete", "wall")


@dataclass
class SliceRead:
    """How one slice was read: its Dice as proposed and after each correction, and their words.

    ``steps`` are what the program counts on the slice, ``gestures`` every key, click and drag
    that went there; what the reader did for all slices at once is the patient's.
    """

    slice_index: int
    scar_voxels: int
    dice: list[float]
    acts: list[str] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)
    steps: int = 0
    gestures: int = 0


@dataclass
class PatientRead:
    """How one patient was read; ``waits`` are acts and seconds in their order, opening first."""

    name: str
    slices: list[SliceRead]
    waits: list[tuple[str, float]]
    steps: int
    gestures: int
    dice: float | None
    grams: float
    reference_g: float
    looked_s: float = 0.0

    @property
    def scar_slices(self) -> list[SliceRead]:
        return [one for one in self.slices if one.scar_voxels]

    @property
    def waited_s(self) -> float:
        return sum(seconds for _, seconds in self.waits)

    @property
    def first_s(self) -> float:
        """Return what it took from opening to the first proposed slice."""
        return self.waits[0][1]

    @property
    def others_s(self) -> float:
        """Return what it then took until all slices were proposed; 0 where nobody waited."""
        return sum(seconds for word, seconds in self.waits if word == "all")

    @property
    def on_verdicts_s(self) -> float:
        """Return what verdicts took, the wait for the next slice's proposal included."""
        return sum(seconds for word, seconds in self.waits if word in VERDICTS)

    @property
    def answers_s(self) -> list[float]:
        """Return the time from each correction to its mask."""
        return [seconds for one in self.slices for seconds in one.answers_s]


def print_patients(read: Sequence[PatientRead]) -> None:
    """Print a line for every patient."""
    print(
        "                             steps/  waiting, s"
        "                           mask, ms   scar   scar, g"
    )
    print("                              scar  total = first +  all + verdict + mask")
    print(
        "patient slices scar steps acts slice"
        "                                       med   p90  Dice  read true"
    )
    for one in read:
        scar = one.scar_slices
        steps = f"{np.median([each.steps for each in scar]):5.1f}" if scar else "    -"
        dice = "   -" if one.dice is None else f"{one.dice:.2f}"
        parts = (one.waited_s, one.first_s, one.others_s, one.on_verdicts_s, sum(one.answers_s))
        print(
            f"{one.name:8}{len(one.slices):6}{len(scar):5}{one.steps:6}{one.gestures:5} {steps}"
            f"{''.join(f'{part:7.2f}' for part in parts)}"
            f"      {spread_ms(one.answers_s)}  {dice}{one.grams:6.1f}{one.reference_g:5.1f}"
        )


def spread_ms(seconds: Sequence[float]) -> str:
    """Say median and 90th percentile in ms."""
    if not seconds:
        return "   -     -"
    return f"{1e3 * np.median(seconds):4.0f} {1e3 * np.percentile(seconds, 90):5.0f}"


def print_all(read: Sequence[PatientRead]) -> None:
    """Print what holds over all patients."""
    _print_waiting(read)
    errors = [abs(one.grams - one.reference_g) for one in read]
    print(f"scar mass, mean absolute error: {np.mean(errors):.2f} g")
    dice = [one.dice for one in read if one.dice is not None]
    if dice:
        print(f"scar Dice per patient: mean {np.mean(dice):.3f}, least {min(dice):.2f}")
    quiet = [each for one in read for each in one.slices if not each.scar_voxels]
    false = sum(each.dice[0] < 1 for each in quiet)
    print(f"slices without scar: {len(quiet)}, of which with false scar (N): {false}")
    _print_scar_slices([each for one in read for each in one.scar_slices], read)


def _print_waiting(read: Sequence[PatientRead]) -> None:
    waits = [one.waited_s for one in read]
    answers = [seconds for one in read for seconds in one.answers_s]
    parts = {
        "first proposal": [one.first_s for one in read],
        "all others": [one.others_s for one in read],
        "verdicts": [one.on_verdicts_s for one in read],
        "masks": [sum(one.answers_s) for one in read],
    }
    print(f"\nwaiting per patient, s: median {np.median(waits):.2f}, most {max(waits):.2f}")
    for what, values in parts.items():
        print(f"  {what:14} median {np.median(values):.2f}, most {max(values):.2f}")
    print(f"mouse release to mask painted, ms: median, p90 {spread_ms(answers)} (n {len(answers)})")
    looked = [one.looked_s for one in read]
    if any(looked):
        print(f"looked before accepting, s (no waiting): median {np.median(looked):.2f}")


def _print_scar_slices(slices: Sequence[SliceRead], read: Sequence[PatientRead]) -> None:
    """Print interactions: steps as the program counts them, corrections, all acts."""
    for what, values in (
        ("steps", [one.steps for one in read]),
        ("acts", [one.gestures for one in read]),
    ):
        print(f"{what} per patient: median {np.median(values):.0f}, mean {np.mean(values):.1f}")
    if not slices:
        return
    print(f"scar slices: {len(slices)}")
    for what, each in (
        ("steps (program's counter)", [one.steps for one in slices]),
        ("corrections", [len(one.acts) for one in slices]),
        ("acts (keys, clicks, drags)", [one.gestures for one in slices]),
    ):
        print(f"{what} per scar slice: median {np.median(each):.0f}, mean {np.mean(each):.2f}")
    steps = sum(one.steps for one in read if one.scar_slices)
    print(f"all steps of patients with scar, per scar slice: {steps / len(slices):.2f}")
    for n in range(MOST_CORRECTIONS + 1):
        good = sum(max(each.dice[: n + 1]) >= GOOD_DICE for each in slices)
        share = 100 * good / len(slices)
        print(f"  Dice >= {GOOD_DICE} after {n} corrections: {good} ({share:.0f} %)")
