"""Adapt the default weights to a scanner they are bad at, from five cases read in the window.

    python benchmarks/adapt.py [--minutes 6] [--emidec FOLDER]

The scanner is simulated: its inversion time is 30 % shorter than what nulls muscle, and it shows
magnitude. Muscle is then bright, blood dark, and scar as dark as blood: the reverse of LGE as the
weights know it. Real stacks like this are repeated, not read; it stands for any site whose pictures
look unlike those the weights were trained on.

Five studies are opened, proposed, corrected and accepted by the steps of the window, the truth in
the reader's place; ``scarseg train segmenter`` starts from the default weights and learns from the
case files, and from simulated stacks of ordinary scanners beside them, against forgetting. Six
other studies of the scanner then show what it gave, and EMIDEC's tuning patients, where they are,
what it cost. The detector stays as it is unless given minutes too. Dice is of the whole stack,
mean over patients with scar; false grams are by slice thickness on those without.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg import cli, models
from scarseg.case import changes
from scarseg.case.labels import LabelArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import LgeSequence as Reconstruction
from scarseg.case.stack import Stack
from scarseg.io import dicom
from scarseg.io.casefile import store
from scarseg.models import Models
from scarseg.models.weights import resolve_weights, sha256
from scarseg.segmentation import pipeline
from scarseg.segmentation.predict import SliceProposal
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import SimulatedStudy, StudyOptions, simulate_patients
from scarseg.training.cases import INNER
from scarseg.training.prompts import bounding_box, components, draw_box
from tests.emidec import EMIDEC, load_emidec

ODD_SCANNER = StudyOptions(
    SimulationOptions(
        sequence=Reconstruction.MAGNITUDE,
        inversion_error=-0.3,
        pixel_spacing_mm=(1.3, 1.3),
        slice_thickness_mm=8.0,
        slice_gap_mm=2.0,
    ),
    pair=False,
    localizer=False,
    scout=False,
)
READ, HELD_OUT = (4, 1), (4, 2)
"""Studies with scar and without."""
_ONE = ("automatic", "box", "wall", "false g")
COLUMNS = (*_ONE, *(f"{name}*" for name in _ONE))
Figures = dict[str, float]
Cohort = Sequence[tuple[Stack, LabelArray]]


def simulate_cohort(folder: Path, n: tuple[int, int], seed: int) -> list[SimulatedStudy]:
    """Write studies of the odd scanner, some with scar and some without."""
    studies: list[SimulatedStudy] = []
    for k, scar in enumerate((True, False)):
        simulation = replace(ODD_SCANNER.simulation, scar=scar)
        options = replace(ODD_SCANNER, simulation=simulation)
        part = folder / ("scar" if scar else "none")
        studies += simulate_patients(part, n[k], 2 * seed + k, options=options)
    return studies


def read_as_in_the_window(
    dicom_folder: Path, truth: LabelArray, cases: Path, loaded: Models
) -> None:
    """Open a study, take the proposals, draw the truth over them, accept each slice, save."""
    (summary,) = dicom.scan([dicom_folder]).stacks
    stack = dicom.read_stack(summary)
    case = pipeline.propose_case(stack, loaded)
    case.reader = "simulated reader"
    for k, labels in enumerate(truth):
        steps = [changes.paint(case, k, "brush", labels)]
        case.apply(steps[0])
        settle = changes.accept if infarct_mask(labels).any() else changes.mark_no_scar
        steps.append(settle(case, k))
        case.apply(steps[1])
        for _ in steps:
            case.count_interaction(k)
    store.save_case(case, store.case_path(cases, stack))


def dice(found: np.ndarray, true: np.ndarray) -> float:
    return float(2 * (found & true).sum() / max(1, found.sum() + true.sum()))


def drawn_boxes(scar: np.ndarray, rng: np.random.Generator) -> tuple[Box, ...]:
    drawn = (
        draw_box(bounding_box(part), rng, (0.05, 0.1), (0.0, 0.15)) for part in components(scar)
    )
    return tuple(Box.spanning(*box) for box in drawn)


def measure_stack(loaded: Models, stack: Stack, truth: LabelArray) -> Figures:
    """Return Dice of scar, automatic and with a box per part, and of the wall; or false grams.

    Twice: with the heart found by the program, and (*) with the box of the left ventricle drawn
    by a reader.
    """
    found = dict(pipeline.propose_stack(stack, loaded))
    rng = np.random.default_rng(7)
    drawn = dict(found)
    for k, labels in enumerate(truth):
        if labels.any():
            box = draw_box(bounding_box(labels > 0), rng, (0.05, 0.1), (-0.03, 0.05))
            drawn[k] = pipeline.propose_slice(stack.image(k), loaded, Box.spanning(*box))
    figures = judge(loaded, stack, truth, found)
    for name, value in judge(loaded, stack, truth, drawn).items():
        figures[f"{name}*"] = value
    return figures


def judge(
    loaded: Models, stack: Stack, truth: LabelArray, proposals: dict[int, SliceProposal]
) -> Figures:
    rng = np.random.default_rng(7)
    scar = infarct_mask(truth)
    alone, boxed = np.zeros_like(truth), np.zeros_like(scar)
    for k, proposal in proposals.items():
        alone[k] = proposal.labels
        if scar[k].any():
            prompts = SlicePrompts(drawn_boxes(scar[k], rng), (), proposal.prompts.lv_box)
            labels, _ = pipeline.segment(
                loaded, proposal.embedding, prompts, proposal.labels, proposal.logits
            )
            boxed[k] = infarct_mask(labels)
    found = infarct_mask(alone)
    figures = {"wall": dice(wall_mask(alone), wall_mask(truth))}
    if scar.any():
        return figures | {"automatic": dice(found, scar), "box": dice(boxed, scar)}
    row_mm, column_mm = stack.pixel_spacing_mm
    voxel_g = 1.05e-3 * row_mm * column_mm * stack.slice_thickness_mm
    return figures | {"false g": float(found.sum()) * voxel_g}


def measure(loaded: Models, cohort: Cohort) -> Figures:
    """Return the means over a cohort."""
    rows = [measure_stack(loaded, stack, truth) for stack, truth in cohort]
    means = {}
    for name in COLUMNS:
        values = [row[name] for row in rows if name in row]
        means[name] = float(np.mean(values)) if values else np.nan
    return means


def fine_tune(kind: str, folder: Path, minutes: float, options: argparse.Namespace) -> Path:
    """Train from the default weights on the case files; give the weights that came out."""
    out = folder / kind
    words = ["train", kind, str(folder / "cases"), *map(str, options.also)]
    words += ["--dicom", str(folder / "read"), "--init", "default", "-o", str(out)]
    words += ["--time-budget", str(minutes), "--rate", str(options.rate)]
    words += ["--threads", str(options.threads), "--device", "cpu"]
    words += ["--simulated", str(options.simulated)]
    if kind == "segmenter" and options.simulated:
        words += ["--shares", "0.4", "0.2", "0", "0.4"]
    if cli.main(words) != 0:
        raise SystemExit("training did not end well")
    return out / f"{kind}.safetensors"


def show(name: str, figures: Figures) -> None:
    values = (
        f"{'-' if np.isnan(value) else format(value, '.3f'):>10s}" for value in figures.values()
    )
    print(f"{name:42s}", *values, flush=True)


def run(folder: Path, options: argparse.Namespace) -> None:
    """Do it all below a folder, and print it."""
    default = resolve_weights(None, "segmenter").path
    before = sha256(default)
    loaded = models.load(device="cpu")
    for study in simulate_cohort(folder / "read", READ, options.seed):
        where, truth = study.series[0].files[0].parent, study.series[0].truth
        read_as_in_the_window(where, truth, folder / "cases", loaded)
    began = time.perf_counter()
    segmenter = fine_tune("segmenter", folder, options.minutes, options)
    adapted = {"segmenter": models.load(str(segmenter), device="cpu")}
    if options.detector_minutes:
        detector = fine_tune("detector", folder, options.detector_minutes, options)
        adapted["both"] = models.load(str(segmenter), str(detector), "cpu")
    took = (time.perf_counter() - began) / 60
    held_out = simulate_cohort(folder / "held_out", HELD_OUT, options.seed + 1)
    cohorts = {"odd scanner, held out": [(s.series[0].stack, s.series[0].truth) for s in held_out]}
    if options.emidec.is_dir():
        cohorts["EMIDEC, tuning patients"] = [load_emidec(name, options.emidec) for name in INNER]
    print(f"{sum(READ)} cases read, {took:.1f} minutes of training on {options.threads} threads")
    print(f"{'':42s}", *(f"{name:>10s}" for name in COLUMNS))
    for name, cohort in cohorts.items():
        show(f"{name}: default", measure(loaded, cohort))
        for which, ours in adapted.items():
            show(f"{name}: {which} adapted", measure(ours, cohort))
    print("* with the left ventricle's box drawn by a reader")
    print(f"default weights before {before}\n               after  {sha256(default)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--detector-minutes", type=float, default=0.0, help="adapt it too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0.5, help="factor on the learning rates")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--emidec", type=Path, default=EMIDEC, help="to see what is forgotten")
    parser.add_argument("--simulated", type=int, default=60, help="stacks against forgetting")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="more data to train on")
    parser.add_argument("--keep", type=Path, help="folder for studies, cases and weights")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.keep:
        run(options.keep, options)
        return
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), options)


if __name__ == "__main__":
    main()
