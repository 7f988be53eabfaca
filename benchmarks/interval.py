"""How often the interval beside the gram holds the reference, and how wide it is.

Without ``--folds``: the shipped weights on patients that they never saw. With ``--folds DIR``
(the output of cross_validation.py): every fold's weights on the patients left out of it, those
kept for validation excepted, for several widths of the rule: where the rule's figures come from.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from cross_validation import FOLDS, PROTOCOL, DrawnHeart

from scarseg import models as model_room
from scarseg.evaluation.patient import moved_case, reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.reading import Answer, Reference, Seen, ask, look
from scarseg.evaluation.strategies import Asking, Strategy
from scarseg.interval import (
    RULE,
    IntervalRule,
    MassInterval,
    SliceSpread,
    mass_interval,
    prompted_spread,
    proposed_spread,
)
from scarseg.labels import infarct_mask
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.models import Models
from scarseg.quant.mass import slice_depths_mm
from scarseg.stack import Stack
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases
from scarseg.training.splits import folds

WIDTHS = (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)


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


def interval_of(
    models: Models,
    stack: Stack,
    seen: Seen,
    truth: Reference,
    answer: Answer,
    asking: str,
    rule: IntervalRule,
) -> MassInterval:
    """Give the interval of one reading as the program would: scar-free slices are certain."""
    spreads: list[SliceSpread | None] = []
    spacing = stack.pixel_spacing_mm
    for k, proposal in enumerate(seen.proposals):
        labels = answer.labels[k]
        if asking == Asking.AUTO:
            spreads.append(proposed_spread(proposal.logits, labels, spacing, rule))
        elif truth.scar[k].any():
            prompts = answer.prompts[k]
            spreads.append(
                prompted_spread(models, proposal.embedding, prompts, labels, spacing, k, rule)
            )
        else:
            spreads.append(None)
    counts = [int(infarct_mask(one).sum()) for one in answer.labels]
    return mass_interval(spreads, counts, voxel_grams(stack), rule)


def measure(case: TrainingCase, models: Models, rules: Sequence[IntervalRule]) -> list[list[Row]]:
    """Read a patient by itself, with boxes and with three clicks; a list of rows per rule."""
    moved = moved_case(case, PROTOCOL.seed)
    stack, truth = as_stack(moved), reference_of(moved)
    seen = look(stack, models)
    grams = voxel_grams(stack)
    true_g = float(
        sum(infarct_mask(one).sum() * g for one, g in zip(truth.labels, grams, strict=True))
    )
    readings = {"auto": ask(Strategy(Asking.AUTO), models, seen, truth, PROTOCOL.seed)[-1]}
    rounds = ask(Strategy(Asking.CLICKS, 3), models, seen, truth, PROTOCOL.seed)
    readings |= {"box": rounds[0], "box + 3 clicks": rounds[-1]}
    made: list[list[Row]] = []
    for rule in rules:
        rows = []
        for asking, answer in readings.items():
            found = interval_of(models, stack, seen, truth, answer, asking, rule)
            mass = sum(
                infarct_mask(one).sum() * g for one, g in zip(answer.labels, grams, strict=True)
            )
            rows.append(Row(case.name, asking, true_g, float(mass), found))
        made.append(rows)
    return made


def held_out(emidec: Path, output: Path) -> Iterator[tuple[TrainingCase, Models]]:
    """Give every patient not kept for validation with the weights that never saw it."""
    cases = read_cases(emidec)
    dealt = folds([case.name for case in cases], FOLDS)
    for k, left_out in enumerate(dealt):
        weights = output / f"fold{k}" / "average.safetensors"
        segmenter = model_room.load(str(weights), None, "cpu").segmenter
        for case in cases:
            if case.name in left_out and case.name not in VALIDATION:
                yield case, Models(segmenter, DrawnHeart(case, PROTOCOL.seed))


def show(title: str, rows: Sequence[Row]) -> None:
    print(title)
    for asking in dict.fromkeys(row.asking for row in rows):
        some = [row for row in rows if row.asking == asking]
        scarred = [row for row in some if row.true_g > 0]
        widths = [row.interval.high_g - row.interval.low_g for row in scarred]
        shares = [
            w / row.measured_g for w, row in zip(widths, scarred, strict=True) if row.measured_g > 0
        ]
        print(
            f"  {asking:16s} held {np.mean([row.held for row in some]):6.1%} of {len(some)},"
            f" {np.mean([row.held for row in scarred]):6.1%} of {len(scarred)} with scar;"
            f" median width {np.median(widths):5.2f} g, {np.median(shares):4.0%} of the mass"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("emidec", type=Path)
    parser.add_argument("--folds", type=Path, help="output of cross_validation.py")
    parser.add_argument("--patients", choices=("validation", "tuning"), default="validation")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="rows as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rules: list[IntervalRule] = [RULE]
    if options.folds is not None:
        rules = [replace(RULE, level_sd=w, automatic_level_sd=w) for w in WIDTHS]
        pairs = held_out(options.emidec, options.folds)
    else:
        names = VALIDATION if options.patients == "validation" else INNER
        models = model_room.load(device="cpu")
        pairs = ((case, models) for case in read_cases(options.emidec) if case.name in names)
    by_rule: list[list[Row]] = [[] for _ in rules]
    for case, own in pairs:
        for rows, more in zip(by_rule, measure(case, own, rules), strict=True):
            rows += more
    for rule, rows in zip(rules, by_rule, strict=True):
        show(f"level SD {rule.level_sd:g}, automatic {rule.automatic_level_sd:g}", rows)
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
            for one in by_rule[0]
        ]
        options.output.write_text(json.dumps(flat, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
