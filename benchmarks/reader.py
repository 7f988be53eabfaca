"""Let a scripted reader read EMIDEC patients in the real window, and count what it takes.

    python benchmarks/reader.py EMIDEC [--patients validation|tuning|P005,...] [--log FILE]

The window is the program's own, offscreen, with the shipped weights, on studies written as DICOM.
The reader acts by events of keyboard and mouse alone. A slice without scar and without proposed
scar gets Enter, one with false scar N. A slice with scar is corrected by a jittered hand (a
box where the mask is bad or there is none, Del on a box of false scar, a click into the largest
error of a fair mask) until its Dice reaches 0.75 or three corrections were made; then Enter.

Dice is that of scar, MVO included. Steps are what the program itself counts and exports
(n_interactions): every prompt drawn, moved or deleted, and Enter or N on every slice. Acts are all
keys, clicks and drags, taking a tool in hand included.

Waiting runs from each event until the window can go on, painted: from Tab (or the drop of the
folder, for the first patient) until the first proposed slice stands there, from Enter until the
next slice does, from the release of the mouse until the mask answers. The reader looks for no time
at all (--look S for one who does), so that every proposal has to be waited for. The start of the
program, until its weights are loaded, is printed apart. Of the waiting, "open" is the first part,
"next" follows Enter and N, "mask" follows corrections; taking tools and boxes makes up the rest.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from benchmarks import reader_mind as mind
from benchmarks.reader_hand import Hand, pump_until
from scarseg.evaluation.strategies import Hand as Habit
from scarseg.evaluation.strategies import steady
from scarseg.gui import app
from scarseg.gui.window import MainWindow
from scarseg.labels import LabelArray, infarct_mask
from scarseg.pipeline import measure
from scarseg.quant.mass import measure as measure_labels
from scarseg.training.cases import INNER, VALIDATION
from tests.emidec import case_names, wrap_emidec

GOOD_DICE = 0.75
MOST_CORRECTIONS = 3
VERDICTS = ("accept", "no_scar")


@dataclass
class SliceRead:
    """How one slice was read: its Dice as proposed and after each correction, and their words."""

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
    dice: float | None
    grams: float
    reference_g: float

    @property
    def scar_slices(self) -> list[SliceRead]:
        return [one for one in self.slices if one.scar_voxels]

    @property
    def waited_s(self) -> float:
        return sum(seconds for _, seconds in self.waits)

    @property
    def on_verdicts_s(self) -> float:
        """Give what Enter and N took, the wait for the next slice's proposal included."""
        return sum(seconds for word, seconds in self.waits if word in VERDICTS)

    @property
    def answers_s(self) -> list[float]:
        """Give the time from each correction to its mask."""
        return [seconds for one in self.slices for seconds in one.answers_s]


def read_slice(hand: Hand, truth: LabelArray, rng: np.random.Generator) -> SliceRead:
    """Read the slice in front, knowing its labels (row, column), and leave it."""
    scar = infarct_mask(truth)
    case = hand.window.session.current.document.case
    steps, gestures = case.interactions, hand.n_gestures
    one = SliceRead(hand.slice_index, int(scar.sum()), [mind.agreement(hand.found, scar)])
    while scar.any() and one.dice[-1] < GOOD_DICE and len(one.acts) < MOST_CORRECTIONS:
        spacing = case.stack.pixel_spacing_mm
        act = mind.correct(scar, hand.found, hand.prompts, spacing, rng)
        one.acts.append(do(hand, act))
        one.answers_s.append(hand.waits[-1][1])
        one.dice.append(mind.agreement(hand.found, scar))
    hand.press(VERDICTS[0] if scar.any() or not hand.found.any() else VERDICTS[1])
    one.steps, one.gestures = case.interactions - steps, hand.n_gestures - gestures
    return one


def do(hand: Hand, act: mind.Correction) -> str:
    """Carry out a correction; give its word."""
    if isinstance(act, mind.DrawBox):
        hand.drag_box(act.box)
        return "box"
    if isinstance(act, mind.DeleteBox):
        hand.delete_box(act.index)
        return "del"
    hand.click(act.point)
    return "+" if act.point.positive else "-"


def read_patient(hand: Hand, name: str, truth: LabelArray, seed: int) -> PatientRead:
    """Read every slice of the study on the desk; truth uint8 (slice, row, column)."""
    case = hand.window.session.current.document.case
    if truth.shape != case.labels.shape:
        raise ValueError(f"{name}: the reference is not of this stack")
    slices = []
    while not hand.all_read:
        k = hand.slice_index
        slices.append(read_slice(hand, truth[k], steady(seed, name, k, 0, Habit.CLICKS)))
    scar, found = infarct_mask(truth), infarct_mask(case.labels)
    statuses = [reading.status for reading in case.readings]
    reference = measure_labels(truth, case.stack, statuses)
    waits, hand.waits = hand.waits, []
    dice = mind.agreement(found, scar) if scar.any() else None
    grams = measure(case).scar_mass_g
    return PatientRead(name, slices, waits, case.interactions, dice, grams, reference.scar_mass_g)


def read_list(
    hand: Hand, folder: Path, truths: Mapping[str, LabelArray], seed: int
) -> list[PatientRead]:
    """Drop a folder of studies on the window and read one after the other, by Tab."""

    def opened() -> bool:
        current = hand.window.session.current
        return current is not None and current is not before and hand.answered()

    before = None
    hand.drop(folder, opened)
    read: list[PatientRead] = []
    for turn in range(len(truths)):
        before = hand.window.session.current
        name = before.document.case.stack.patient_id
        read.append(read_patient(hand, name, truths[name], seed))
        if turn + 1 < len(truths):
            hand.press("next_study", opened)
    return read


# The desk


def sit_down(script: Callable[[MainWindow], None], store: Path) -> None:
    """Start the program as its command does and let a script use the window."""
    qt = app.application()

    def act() -> None:
        [window] = [one for one in qt.topLevelWidgets() if isinstance(one, MainWindow)]
        try:
            script(window)
        finally:
            window.close()
            qt.quit()

    QTimer.singleShot(0, act)
    app.main(store_folder=store)


def film_into(folder: Path, window: MainWindow) -> Callable[[str], None]:
    """Take a picture of the window after every act."""
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[Path] = []

    def take(word: str) -> None:
        path = folder / f"{len(taken):04d} {word.replace(' ', '_')}.png"
        QApplication.processEvents()
        window.grab().save(str(path))
        taken.append(path)

    return take


# What is printed


def spread_ms(seconds: Sequence[float]) -> str:
    """Say median and 90th percentile in ms."""
    if not seconds:
        return "   -     -"
    return f"{1e3 * np.median(seconds):4.0f} {1e3 * np.percentile(seconds, 90):5.0f}"


def print_patients(read: Sequence[PatientRead]) -> None:
    print(
        "                             steps/  waiting, s                mask, ms   scar   scar, g"
    )
    print("                              scar  total = open + next + mask")
    print(
        "patient slices scar steps acts slice                            med   p90  Dice  read true"
    )
    for one in read:
        scar = one.scar_slices
        steps = f"{np.median([each.steps for each in scar]):5.1f}" if scar else "    -"
        acts = sum(each.gestures for each in one.slices)
        dice = "   -" if one.dice is None else f"{one.dice:.2f}"
        parts = (one.waits[0][1], one.on_verdicts_s, sum(one.answers_s))
        print(
            f"{one.name:8}{len(one.slices):6}{len(scar):5}{one.steps:6}{acts:5} {steps}"
            f"{one.waited_s:7.2f}{parts[0]:7.2f}{parts[1]:7.2f}{parts[2]:7.2f}"
            f"    {spread_ms(one.answers_s)}  {dice}{one.grams:6.1f}{one.reference_g:5.1f}"
        )


def print_all(read: Sequence[PatientRead]) -> None:
    slices = [each for one in read for each in one.scar_slices]
    waits = [one.waited_s for one in read]
    answers = [seconds for one in read for seconds in one.answers_s]
    errors = [abs(one.grams - one.reference_g) for one in read]
    print(f"\nwaiting per patient, s: median {np.median(waits):.2f}, most {max(waits):.2f}")
    print(f"mouse release to mask painted, ms: median, p90 {spread_ms(answers)} (n {len(answers)})")
    print(f"steps per patient: median {np.median([one.steps for one in read]):.0f}")
    print(f"scar mass, mean absolute error: {np.mean(errors):.2f} g")
    quiet = [each for one in read for each in one.slices if not each.scar_voxels]
    false = sum(each.dice[0] < 1 for each in quiet)
    print(f"slices without scar: {len(quiet)}, of which with false scar (N): {false}")
    if not slices:
        return
    steps = [each.steps for each in slices]
    print(f"scar slices: {len(slices)}")
    print(f"steps per scar slice: median {np.median(steps):.0f}, mean {np.mean(steps):.2f}")
    for n in range(MOST_CORRECTIONS + 1):
        good = sum(max(each.dice[: n + 1]) >= GOOD_DICE for each in slices)
        share = 100 * good / len(slices)
        print(f"  Dice >= {GOOD_DICE} after {n} corrections: {good} ({share:.0f} %)")
    dice = [one.dice for one in read if one.dice is not None]
    print(f"scar Dice per patient: mean {np.mean(dice):.3f}, least {min(dice):.2f}")


def chosen(words: str) -> tuple[str, ...]:
    named = {"validation": VALIDATION, "tuning": INNER}
    return named.get(words) or tuple(words.split(","))


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("emidec", type=Path)
    parser.add_argument("--patients", default="tuning", help="validation, tuning, or names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", type=float, default=0.0, metavar="S")
    parser.add_argument("--log", type=Path, help="write every slice as a line of JSON")
    parser.add_argument("--film", type=Path, help="folder for a picture after every act")
    options = parser.parse_args()
    names = chosen(options.patients)
    if missing := set(names) - set(case_names(options.emidec)):
        parser.error(f"not there: {', '.join(sorted(missing))}")
    read: list[PatientRead] = []
    with tempfile.TemporaryDirectory(prefix="scarseg-reader-") as home:
        os.environ["XDG_CONFIG_HOME"] = home
        studies = Path(home) / "studies"
        wrapped = [wrap_emidec(name, studies, options.emidec) for name in names]
        truths = {case.name: case.truth for case in wrapped}

        def script(window: MainWindow) -> None:
            begin = time.perf_counter()
            pump_until(lambda: window.session.models, "the weights")
            print(f"program started, weights loaded: {time.perf_counter() - begin:.2f} s")
            print(f"others ask {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores\n")
            watch = film_into(options.film, window) if options.film else None
            read.extend(read_list(Hand(window, options.look, watch), studies, truths, options.seed))

        sit_down(script, Path(home) / "cases")
    if len(read) < len(names):
        sys.exit("The reading broke off.")
    print_patients(read)
    print_all(read)
    if options.log:
        lines = [{"patient": one.name, **asdict(each)} for one in read for each in one.slices]
        options.log.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
