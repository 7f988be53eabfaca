"""Draw the desk in the middle of a reading, from a simulated study: docs/desk.png, montage.png."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from scarseg import models
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.prompts import Box, Point
from scarseg.case.stack import LgeSequence, Stack
from scarseg.io import dicom
from scarseg.models import Models
from scarseg.progress import silent
from scarseg.quant.segments import Territory
from scarseg.segmentation import pipeline
from scarseg.simulate import studies
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions

DOCS = Path(__file__).resolve().parents[1] / "docs"


def study(folder: Path, seed: int) -> tuple[Stack, LabelArray]:
    """Write a simulated study and read it as the window would; give the truth with it."""
    simulation = SimulationOptions(
        territories=(Territory.LAD,),
        n_slices=10,
        sequence=LgeSequence.PSIR,
        slice_thickness_mm=8.0,
        slice_gap_mm=2.0,
    )
    options = StudyOptions(simulation, enhanced=False, pair=False, localizer=False, scout=False)
    written = studies.write_study(folder, seed, options)
    summary = dicom.scan([written.dicom_folder], silent).stacks[0]
    return dicom.read_stack(summary), written.series[0].truth


def correct(case: Case, loaded: Models, truth: LabelArray, k: int) -> None:
    """Draw a box round the true scar, click into it and beside it, and take the answer."""
    proposal = pipeline.propose_slice(case.stack.image(k), loaded)
    rows, columns = np.nonzero(infarct_mask(truth[k]))
    box = Box(columns.min() - 2.0, rows.min() - 2.0, columns.max() + 3.0, rows.max() + 3.0)
    inside = (columns - columns.mean()) ** 2 + (rows - rows.mean()) ** 2
    nearest = int(inside.argmin())
    pool = np.argwhere(truth[k] == Label.BLOOD_POOL).mean(axis=0)
    points = (
        Point(columns[nearest] + 0.5, rows[nearest] + 0.5),
        Point(float(pool[1]), float(pool[0]), False),
    )
    before = case.readings[k]
    prompts = replace(before.prompts, boxes=(box,), points=points)
    labels, _ = pipeline.segment(
        loaded, proposal.embedding, prompts, case.labels[k], proposal.logits
    )
    after = replace(before, prompts=prompts, edited=True)
    case.apply(case.change("segment", k, after, labels))


def read_half(case: Case, loaded: Models, truth: LabelArray) -> int:
    """Accept the slices from the base to the largest scar, and correct that one; give its index."""
    k = int(infarct_mask(truth).sum(axis=(1, 2)).argmax())
    for each in range(k):
        scar = infarct_mask(case.labels[each]).any()
        status = SliceStatus.ACCEPTED if scar else SliceStatus.NO_SCAR
        case.apply(case.change("accept", each, replace(case.readings[each], status=status)))
    correct(case, loaded, truth, k)
    case.interactions, case.seconds = k + 3, 21.0
    return k


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="folder", type=Path, nargs="?", default=DOCS)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    options = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from scarseg.gui import app

    loaded = models.load(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        stack, truth = study(Path(folder) / "study", options.seed)
    case = pipeline.propose_case(stack, loaded)
    k = read_half(case, loaded, truth)
    options.target.mkdir(parents=True, exist_ok=True)
    for name, montage in (("desk.png", False), ("montage.png", True)):
        app.save_screenshot(case, options.target / name, tuple(options.size), k, loaded, montage)
        print(options.target / name)


if __name__ == "__main__":
    main()
