"""The segmentation beside every threshold method, one row each, against the reference.

    python benchmarks/methods.py EMIDEC [--patients tuning|validation] [-o rows.csv]

Hearts are moved off the centre and found by the program, as in ``scarseg evaluate``; a reader's
imprecise boxes are the same for the segmenter and for the methods. Each method looks in the
reference's wall and in the proposed one, in the reader's boxes and in the whole wall; the
segmenter, too, is given the reference's wall once, as if a reader had corrected it. Remote muscle
is proposed away from the boxes where there are any. Bias, limits of agreement, CCC, MAE and Dice
are over patients with scar; false g is what is called scar in patients without, on average. Grams
by slice thickness.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from scarseg import models as models_module
from scarseg.case.labels import Label, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML
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
from scarseg.quant.agreement import agreement
from scarseg.quant.components import inside_boxes
from scarseg.quant.mass import MM3_PER_ML
from scarseg.quant.overlap import dice
from scarseg.quant.remote import propose_remote_outside
from scarseg.quant.thresholds import RULES, ThresholdMethod, ThresholdRules, threshold_scar
from scarseg.segmentation.pipeline import segment
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases

SEED = 7
ROBUST = 98.0
"""Percentile of the labelled, robust maximum of FWHM."""
BOX, AUTO = "segmentation, box", "segmentation, automatic"
CLICKS = "segmentation, box + 3 clicks"
CORRECTED = "segmentation, box, reference wall"
OURS = (BOX, CLICKS, CORRECTED, AUTO)


@dataclass
class Row:
    """What one method makes of all patients: (patient, reference g, found g, Dice) each."""

    name: str
    patients: list[tuple[str, float, float, float | None]] = field(default_factory=list)

    @property
    def scarred(self) -> list[tuple[str, float, float, float | None]]:
        return [one for one in self.patients if one[1] > 0]


@dataclass(frozen=True)
class Summary:
    """The printed figures of a row."""

    name: str
    bias: float
    low: float
    high: float
    ccc: float
    mae: float
    dice: float
    false_g: float


def methods() -> Iterator[tuple[str, ThresholdMethod, ThresholdRules]]:
    for method in ThresholdMethod:
        if method is ThresholdMethod.MANUAL:
            continue
        yield str(method), method, RULES
        if str(method).startswith("fwhm"):
            yield f"{method}, p{ROBUST:.0f}", method, ThresholdRules(maximum_percentile=ROBUST)


def found_masks(
    case: TrainingCase, models: Models
) -> tuple[Stack, Reference, dict[str, MaskArray]]:
    """Read one patient in every way; masks (slice, row, column) by name."""
    case = off_centre_case(case, SEED)
    stack, truth = as_stack(case), reference_of(case)
    seen = propose_stack(stack, models)
    clicked: list[SimulatedReading] = simulate_reading(
        PromptStrategy(PromptKind.CLICKS, 3), models, seen, truth, SEED
    )
    found = {
        BOX: clicked[0].scar,
        CLICKS: clicked[-1].scar,
        AUTO: simulate_reading(PromptStrategy(PromptKind.AUTO), models, seen, truth, SEED)[0].scar,
    }
    found[CORRECTED] = _in_reference_wall(models, seen, truth, clicked[0])
    boxes = np.stack(
        [inside_boxes(one.boxes, (stack.rows, stack.columns)) for one in clicked[0].prompts]
    )
    walls = {
        "reference wall": wall_mask(truth.labels),
        "proposed wall": np.stack([wall_mask(one.labels) for one in seen.proposals]),
    }
    for wall_name, wall in walls.items():
        for place, region in (("in the box", boxes), ("whole", None)):
            remote = propose_remote_outside(wall, stack.pixel_spacing_mm, region)
            for name, method, rules in methods():
                found[f"{name}, {wall_name}, {place}"] = threshold_scar(
                    method,
                    stack.pixels,
                    wall,
                    stack.pixel_spacing_mm,
                    region=region,
                    remote=remote,
                    sequence=stack.sequence,
                    rules=rules,
                ).infarct
    return stack, truth, found


def _in_reference_wall(
    models: Models, seen: StackProposal, truth: Reference, boxed: SimulatedReading
) -> MaskArray:
    """Ask for scar in the same boxes once a reader has put wall and pool right."""
    heart = np.where(wall_mask(truth.labels), Label.MYOCARDIUM, truth.labels).astype(np.uint8)
    slices = [
        infarct_mask(segment(models, proposal.embedding, asked, heart[k])[0])
        for k, (proposal, asked) in enumerate(zip(seen.proposals, boxed.prompts, strict=True))
    ]
    return np.stack(slices) & wall_mask(truth.labels)


def read_all(cases: Sequence[TrainingCase], models: Models) -> list[Row]:
    rows: dict[str, Row] = {}
    for case in cases:
        stack, truth, found = found_masks(case, models)
        row_mm, column_mm = stack.pixel_spacing_mm
        gram = DENSITY_G_PER_ML / MM3_PER_ML * row_mm * column_mm * stack.slice_thickness_mm
        true_g = gram * int(np.count_nonzero(truth.scar))
        for name, mask in found.items():
            overlap = dice(mask, truth.scar) if truth.scar.any() else None
            one = (case.name, true_g, gram * int(np.count_nonzero(mask)), overlap)
            rows.setdefault(name, Row(name)).patients.append(one)
    return list(rows.values())


def summary(row: Row) -> Summary:
    numbers = agreement([one[2] for one in row.scarred], [one[1] for one in row.scarred])
    false = [one[2] for one in row.patients if one[1] == 0]
    limits = numbers.bland_altman
    return Summary(
        row.name,
        limits.bias,
        limits.lower_limit,
        limits.upper_limit,
        numbers.concordance.ccc if numbers.concordance else float("nan"),
        numbers.absolute_error.mae,
        float(np.mean([one[3] or 0.0 for one in row.scarred])),
        float(np.mean(false)) if false else float("nan"),
    )


def print_rows(rows: Sequence[Summary]) -> None:
    print(f"{'method':46} bias g (limits of agreement)     CCC   MAE g   Dice  false g")
    for one in rows:
        spread = f"{one.bias:6.1f} ({one.low:.1f} to {one.high:.1f})"
        print(
            f"{one.name:46} {spread:29} {one.ccc:6.3f} {one.mae:7.2f} {one.dice:6.3f}"
            f" {one.false_g:8.2f}"
        )


def print_verdict(rows: Sequence[Summary]) -> None:
    """Return which threshold methods each reading with the segmenter beats, and which not.

    The automatic reading is held against methods in the whole wall: neither had a box.
    """
    for ours in (one for one in rows if one.name in OURS):
        print(f"\n{ours.name}:")
        for wall in ("proposed wall", "reference wall"):
            others = [one for one in rows if one.name not in OURS and wall in one.name]
            if ours.name == AUTO:
                others = [one for one in others if one.name.endswith("whole")]
            for what, higher in (("dice", True), ("ccc", True), ("mae", False)):
                print(f"  {_beaten(ours, others, what, higher)} in the {wall}")


def _beaten(ours: Summary, others: Sequence[Summary], what: str, higher: bool) -> str:
    mine = getattr(ours, what)
    known = {one.name: float(getattr(one, what)) for one in others}
    known = {name: value for name, value in known.items() if np.isfinite(value)}
    ahead = {n: v for n, v in known.items() if (v >= mine if higher else v <= mine)}
    best = (max if higher else min)(known, key=lambda name: known[name])
    said = "beats all" if not ahead else f"loses to {len(ahead)} of"
    place = best.split(", ")[-1]
    named = best.removesuffix(f", {place}").rsplit(", ", 1)[0]
    return (
        f"{what.upper() if what != 'dice' else 'Dice':4} {mine:.3f} {said} {len(known)}"
        f" (best {known[best]:.3f}, {named} {place})"
    )


def write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("method", "patient", "reference_g", "scar_mass_g", "dice"))
        writer.writerows((row.name, *one) for row in rows for one in row.patients)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("emidec", type=Path, help="folder of the challenge")
    parser.add_argument("--patients", choices=("tuning", "validation"), default="validation")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="every patient of every row, as CSV")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = VALIDATION if options.patients == "validation" else INNER
    cases = [one for one in read_cases(options.emidec) if one.name in names]
    models = models_module.load(options.segmenter, options.detector, "cpu")
    rows = read_all(cases, models)
    summaries = [summary(one) for one in rows]
    n = len(rows[0].scarred)
    print(
        f"{len(cases)} {options.patients} patients of EMIDEC, {n} with scar; reader's seed {SEED}\n"
    )
    print_rows(summaries)
    print_verdict(summaries)
    if options.output is not None:
        write(options.output, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
