"""How often the interval beside the gram holds the reference, and how wide it is.

Without ``--folds``: the shipped weights on patients that they never saw. With ``--folds DIR``
(the output of cross_validation.py): every fold's weights on the patients left out of it, for
several widths of the rule: where the rule's figures come from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.folds import SEED
from benchmarks.folds import held_out as held_out_of_folds
from scarseg import models as models_module
from scarseg.case.labels import LabelArray, infarct_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import Stack
from scarseg.evaluation.patient import off_centre_case, reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import (
    Reference,
    SimulatedReading,
    StackProposal,
    propose_stack,
    simulate_reading,
)
from scarseg.models import Models
from scarseg.quant.mass import slice_depths_mm
from scarseg.segmentation.interval import (
    MassInterval,
    SliceMassSpread,
    mass_interval,
    prompted_spread,
    proposed_spread,
)
from scarseg.segmentation.uncertainty import RULE
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases

WIDTHS = (0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Row:
    """One patient read one way."""

    patient: str
    asking: str
    true_g: float
    measured_g: float
    interval: MassInterval

    @property
    def held(self) -> bool:
        return self.interval.low_g <= self.true_g <= self.interval.high_g


def voxel_grams(stack: Stack) -> list[float]:
    row_mm, column_mm = stack.pixel_spacing_mm
    depths = slice_depths_mm(stack, MassConvention.THICKNESS)
    return [DENSITY_G_PER_ML / 1000 * row_mm * column_mm * depth for depth in depths]


def spreads_of(
    models: Models,
    stack: Stack,
    seen: StackProposal,
    truth: Reference,
    answer: SimulatedReading,
    asking: str,
) -> list[SliceMassSpread | None]:
    """Vary one reading as the program would: slices that a reader knows free of scar are sure."""
    spreads: list[SliceMassSpread | None] = []
    spacing = stack.pixel_spacing_mm
    for k, proposal in enumerate(seen.proposals):
        labels, embedding = answer.labels[k], proposal.embedding
        if asking == PromptKind.AUTO:
            spreads.append(proposed_spread(models, embedding, labels))
        elif truth.scar[k].any():
            prompts = answer.prompts[k]
            spreads.append(prompted_spread(models, embedding, prompts, labels, spacing, k))
        else:
            spreads.append(None)
    return spreads


def levelled(
    spreads: Sequence[SliceMassSpread | None], width: float, shift: float = 0.0
) -> list[SliceMassSpread | None]:
    """Return the same spreads with levels drawn otherwise."""
    return [
        None if one is None else replace(one, level_sd=width, level_shift=shift) for one in spreads
    ]


def measure(case: TrainingCase, models: Models, sweep: bool) -> list[Row]:
    """Read a patient by itself, with boxes and with three clicks."""
    moved = off_centre_case(case, SEED)
    stack, truth = as_stack(moved), reference_of(moved)
    seen = propose_stack(stack, models)
    voxel_g = voxel_grams(stack)

    def grams(labels: LabelArray) -> float:
        masses = [infarct_mask(one).sum() * g for one, g in zip(labels, voxel_g, strict=True)]
        return float(sum(masses))

    readings = {
        "auto": simulate_reading(PromptStrategy(PromptKind.AUTO), models, seen, truth, SEED)[-1]
    }
    rounds = simulate_reading(PromptStrategy(PromptKind.CLICKS, 3), models, seen, truth, SEED)
    readings |= {"box": rounds[0], "box + 3 clicks": rounds[-1]}
    rows = []
    for asking, answer in readings.items():
        spreads = spreads_of(models, stack, seen, truth, answer, asking)
        counts = [int(infarct_mask(one).sum()) for one in answer.labels]
        ways = {"": spreads}
        if sweep:
            shifts = (0.0, -1.0, -2.0, -3.0) if asking == PromptKind.AUTO else (0.0,)
            ways = {
                f" level SD {w:g}, shift {z:g}": levelled(spreads, w, z)
                for w in WIDTHS
                for z in shifts
            }
        for way, varied in ways.items():
            found = mass_interval(varied, counts, voxel_g)
            rows.append(
                Row(case.name, asking + way, grams(truth.labels), grams(answer.labels), found)
            )
    return rows


def held_out(
    emidec: Path, output: Path, views: int = 4, only: Sequence[int] = ()
) -> Iterator[tuple[TrainingCase, Models]]:
    """Return every patient with the weights that never saw it; only of some folds if asked."""
    for _, case, models, file in held_out_of_folds(emidec, output, views=views, only=only):
        models.segmenter.load(file)
        yield case, models
        models.segmenter.save(file)


def show(rows: Sequence[Row]) -> None:
    for asking in dict.fromkeys(row.asking for row in rows):
        some = [row for row in rows if row.asking == asking]
        scarred = [row for row in some if row.true_g > 0]
        widths = [row.interval.high_g - row.interval.low_g for row in scarred]
        shares = [
            w / row.measured_g for w, row in zip(widths, scarred, strict=True) if row.measured_g > 0
        ]
        print(
            f"{asking:40s} held {np.mean([row.held for row in some]):6.1%} of {len(some)},"
            f" {np.mean([row.held for row in scarred]):6.1%} of {len(scarred)} with scar;"
            f" median width {np.median(widths):5.2f} g, {np.median(shares):4.0%} of the mass"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("emidec", type=Path)
    parser.add_argument("--folds", type=Path, help="output of cross_validation.py")
    parser.add_argument("--only-folds", type=int, nargs="+", default=[])
    parser.add_argument("--views", type=int, default=4, help="mirrored views to average")
    parser.add_argument("--patients", choices=("validation", "tuning"), default="validation")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="rows as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.folds is not None:
        pairs = held_out(options.emidec, options.folds, options.views, options.only_folds)
    else:
        names = VALIDATION if options.patients == "validation" else INNER
        models = models_module.load(device="cpu")
        pairs = ((case, models) for case in read_cases(options.emidec) if case.name in names)
    rows = [row for case, own in pairs for row in measure(case, own, options.folds is not None)]
    print(RULE.name)
    show(rows)
    if options.output is not None:
        flat = [
            [
                one.patient,
                one.asking,
                one.true_g,
                one.measured_g,
                one.interval.low_g,
                one.interval.high_g,
            ]
            for one in rows
        ]
        options.output.write_text(json.dumps(flat, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
