"""Let a scripted reader read EMIDEC patients in the real window, and count what it takes.

    python benchmarks/reader.py EMIDEC [--patients validation|tuning|P005,...] [--view large]

The window is the program's own, offscreen, with the shipped weights, on studies written as DICOM.
The reader acts by events of keyboard and mouse alone, which miss by a millimetre or two, on all
slices in the montage (M): when all are proposed, a slice without scar where scar is proposed gets
N; a slice with scar whose Dice is under 0.75 is corrected in its cell (a drag of the contour where
the wall is to blame, unless --without-wall; a box where the mask is bad or there is none, Del on a
box of false scar, a click into the largest error of a fair mask) until it reaches that or three
corrections were made; then Shift+Enter accepts all the rest as seen, and
Tab opens the next study. With --view large, slice after slice is read by itself instead, each
with its own Enter or N.

Dice is that of scar, MVO included. Steps are what the program itself counts and exports
(n_interactions): every prompt drawn, moved or deleted, and every Enter, N and Shift+Enter; the
last is one step, counted on the first slice that it accepts. Acts are all keys, clicks and drags,
choosing a tool, choosing a slice and Tab included.

Waiting runs from each event until the window can go on, painted: from Tab (or the drop of the
folder, for the first patient) until the first proposed slice stands there, then until all are
proposed ("all"), from the release of the mouse until the mask answers, from a verdict until the
window follows. The reader looks for no time at all (--look S for one who does) but for the third
of a second that the program wants before it takes slices as seen, printed apart. The start of the
program, until its weights are loaded, is printed apart too. Taking tools makes up the rest.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication

from benchmarks import reader_decisions as decisions
from benchmarks.reader_input import WindowDriver, pump_until
from benchmarks.reader_tables import (
    GOOD_DICE,
    MOST_CORRECTIONS,
    PatientRead,
    SliceRead,
    print_all,
    print_patients,
)
from benchmarks.reader_wall import WORTH, DragContour, drag_wall
from scarseg.case.labels import LabelArray, infarct_mask
from scarseg.evaluation.prompts import RandomStream as Habit
from scarseg.evaluation.prompts import rng_for
from scarseg.gui import app
from scarseg.gui.main_window import MainWindow
from scarseg.quant.mass import measure as measure_labels
from scarseg.segmentation.pipeline import measure
from scarseg.training.cases import INNER, VALIDATION
from tests.emidec import case_names, wrap_emidec


def read_slice(driver: WindowDriver, truth: LabelArray, rng: np.random.Generator) -> SliceRead:
    """Read the slice shown large, knowing its labels (row, column), and leave it."""
    gestures, scar = driver.n_gestures, infarct_mask(truth)
    one = correct_slice(driver, truth, rng)
    driver.press("accept" if scar.any() or not driver.found.any() else "no_scar")
    one.gestures = driver.n_gestures - gestures
    return one


def read_cell(
    driver: WindowDriver, k: int, truth: LabelArray, rng: np.random.Generator
) -> SliceRead:
    """Read a slice in the montage: do something only where it is wrong."""
    gestures, scar = driver.n_gestures, infarct_mask(truth)
    driver.go_to_cell(k)
    one = correct_slice(driver, truth, rng)
    if not scar.any() and driver.found.any():
        driver.choose_slice()
        driver.press("no_scar")
    one.gestures = driver.n_gestures - gestures
    return one


def correct_slice(driver: WindowDriver, truth: LabelArray, rng: np.random.Generator) -> SliceRead:
    """Correct a slice until it is good enough, three times at most."""
    spacing, scar = driver.case.stack.pixel_spacing_mm, infarct_mask(truth)
    one = SliceRead(driver.slice_index, int(scar.sum()), [decisions.agreement(driver.found, scar)])
    while scar.any() and one.dice[-1] < GOOD_DICE and len(one.acts) < MOST_CORRECTIONS:
        act: decisions.Correction | DragContour | None = None
        if driver.drags_wall:
            # A box is the cheaper beginning where a drag alone would not be enough.
            worth = WORTH if one.acts else 1.0
            act = drag_wall(truth, driver.seen, GOOD_DICE, worth, rng)
        if act is None:
            act = decisions.correct(scar, driver.found, driver.prompts, spacing, rng)
        one.acts.append(carry_out(driver, act))
        one.answers_s.append(driver.waits[-1][1])
        one.dice.append(decisions.agreement(driver.found, scar))
    return one


def carry_out(driver: WindowDriver, act: decisions.Correction | DragContour) -> str:
    """Carry out a correction; return its word."""
    if isinstance(act, DragContour):
        driver.drag_contour(act)
        return "wall"
    if isinstance(act, decisions.DrawBox):
        driver.drag_box(act.box)
        return "box"
    if isinstance(act, decisions.DeleteBox):
        driver.delete_box(act.index)
        return "del"
    driver.click(act.point)
    return "+" if act.point.positive else "-"


def read_patient(
    driver: WindowDriver, name: str, truth: LabelArray, seed: int, montage: bool = True
) -> PatientRead:
    """Read every slice of the open study; truth uint8 (slice, row, column)."""
    case = driver.case
    if truth.shape != case.labels.shape:
        raise ValueError(f"{name}: the reference is not of this stack")
    generators = [rng_for(seed, name, k, 0, Habit.CLICKS) for k in range(len(truth))]
    slices = []
    if montage:
        driver.show_montage()
        driver.wait_for_all()
        slices = [read_cell(driver, k, truth[k], rng) for k, rng in enumerate(generators)]
        driver.accept_the_rest()
    while not driver.all_read:
        k = driver.slice_index
        slices.append(read_slice(driver, truth[k], generators[k]))
    for one in slices:
        one.steps = case.slice_interactions[one.slice_index]
    scar, found = infarct_mask(truth), infarct_mask(case.labels)
    reference = measure_labels(truth, case.stack, [reading.status for reading in case.readings])
    waits, gestures, looked_s = driver.take_counts()
    dice = decisions.agreement(found, scar) if scar.any() else None
    grams = measure(case).scar_mass_g
    return PatientRead(
        name, slices, waits, case.interactions, gestures, dice, grams, reference.scar_mass_g,
        looked_s,
    )  # fmt: skip


def read_list(
    driver: WindowDriver,
    folder: Path,
    truths: Mapping[str, LabelArray],
    seed: int,
    montage: bool = True,
) -> list[PatientRead]:
    """Drop a folder of studies on the window and read one after the other, by Tab."""

    def opened() -> bool:
        current = driver.window.session.current
        return current is not None and current is not before and driver.answered()

    before = None
    driver.drop(folder, opened)
    read: list[PatientRead] = []
    for turn in range(len(truths)):
        before = driver.window.session.current
        name = driver.case.stack.patient_id
        read.append(read_patient(driver, name, truths[name], seed, montage))
        if turn + 1 < len(truths):
            driver.press("next_study", opened)
    return read


# The program


def run_program(script: Callable[[MainWindow], None], store: Path) -> None:
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
    parser.add_argument("--view", choices=("montage", "large"), default="montage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look", type=float, default=0.0, metavar="S")
    parser.add_argument("--without-wall", action="store_true", help="never drag a contour")
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
            driver, montage = WindowDriver(window, options.look, watch), options.view == "montage"
            driver.drags_wall = not options.without_wall
            read.extend(read_list(driver, studies, truths, options.seed, montage))

        run_program(script, Path(home) / "cases")
    if len(read) < len(names):
        sys.exit("The reading broke off.")
    print_patients(read)
    print_all(read)
    if options.log:
        lines = [{"patient": one.name, **asdict(each)} for one in read for each in one.slices]
        options.log.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
