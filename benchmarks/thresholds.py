"""Compare every threshold method, in the reference wall and in the proposed one.

    python benchmarks/thresholds.py [--patients inner|validation] [--reference-wall-only]

Scar is looked for in a reader's boxes or in the whole wall. Remote myocardium is proposed, away
from the boxes where there are any. Dice and grams (slice thickness) are of patients with scar;
false grams are those called scar in patients without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg import models
from scarseg.case.labels import LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import Stack
from scarseg.evaluation.prompts import reader_boxes
from scarseg.quant.agreement import agreement
from scarseg.quant.components import inside_boxes
from scarseg.quant.overlap import dice
from scarseg.quant.remote import propose_remote_outside
from scarseg.quant.thresholds import RULES, Scope, ThresholdMethod, ThresholdRules, threshold_scar
from scarseg.segmentation import pipeline
from scarseg.training.cases import INNER, VALIDATION
from tests.emidec import load_emidec

ROBUST = 98.0
"""Percentile of the labelled, robust maximum."""


@dataclass(frozen=True, eq=False)
class Patient:
    """A stack, its reference, a wall to search, and boxes as one reader drew them."""

    stack: Stack
    truth: LabelArray
    wall: MaskArray
    boxes: MaskArray

    def grams(self, mask: MaskArray) -> float:
        row_mm, column_mm = self.stack.pixel_spacing_mm
        area_mm2 = int(np.count_nonzero(mask)) * row_mm * column_mm
        return 1.05e-3 * area_mm2 * self.stack.slice_thickness_mm


def variants() -> Iterator[tuple[str, ThresholdMethod, ThresholdRules]]:
    robust = ThresholdRules(maximum_percentile=ROBUST)
    for method in ThresholdMethod:
        if method is not ThresholdMethod.MANUAL:
            yield method.value, method, RULES
            if method.value.startswith("fwhm"):
                yield f"{method.value}, p{ROBUST:.0f}", method, robust
    yield "otsu, per stack", ThresholdMethod.OTSU, ThresholdRules(scope=Scope.STACK)


def find(
    patient: Patient, method: ThresholdMethod, rules: ThresholdRules, boxed: bool
) -> MaskArray:
    stack, region = patient.stack, patient.boxes if boxed else None
    spacing = stack.pixel_spacing_mm
    remote = propose_remote_outside(patient.wall, spacing, region)
    return threshold_scar(
        method,
        stack.pixels,
        patient.wall,
        spacing,
        region=region,
        remote=remote,
        sequence=stack.sequence,
        rules=rules,
    ).infarct


def print_table(title: str, patients: list[Patient], boxed: bool) -> None:
    print(f"\n{title}, {'in a box per component' if boxed else 'whole wall'}")
    print(f"{'method':20} Dice   bias g (limits of agreement)   CCC    MAE g  false g")
    for name, method, rules in variants():
        scores, found, true, false = [], [], [], []
        for patient in patients:
            mask, scar = find(patient, method, rules, boxed), infarct_mask(patient.truth)
            if scar.any():
                scores.append(dice(mask, scar) or 0.0)
                found.append(patient.grams(mask))
                true.append(patient.grams(scar))
            else:
                false.append(patient.grams(mask))
        numbers = agreement(found, true)
        limits = numbers.bland_altman
        spread = f"({limits.lower_limit:.1f} to {limits.upper_limit:.1f})"
        ccc = numbers.concordance.ccc if numbers.concordance else float("nan")
        print(
            f"{name:20} {np.mean(scores):.3f} {limits.bias:6.1f} {spread:22} {ccc:6.3f}"
            f" {numbers.absolute_error.mae:7.2f} {np.mean(false):8.2f}"
        )


def boxes_of(scar: MaskArray, seed: int) -> MaskArray:
    rng = np.random.default_rng(seed)
    return np.stack([inside_boxes(reader_boxes(one, rng), one.shape) for one in scar])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", choices=("inner", "validation"), default="inner")
    parser.add_argument("--reference-wall-only", action="store_true")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    names = VALIDATION if options.patients == "validation" else INNER
    cases = [load_emidec(name) for name in names]
    reference = [
        Patient(stack, truth, wall_mask(truth), boxes_of(infarct_mask(truth), options.seed))
        for stack, truth in cases
    ]
    tables = {"reference wall": reference}
    if not options.reference_wall_only:
        loaded = models.load(options.segmenter, options.detector, "cpu")
        tables["proposed wall"] = [
            Patient(
                one.stack,
                one.truth,
                wall_mask(pipeline.propose_case(one.stack, loaded).labels),
                one.boxes,
            )
            for one in reference
        ]
    print(f"{len(cases)} {options.patients} patients of EMIDEC")
    for title, patients in tables.items():
        for boxed in (True, False):
            print_table(title, patients, boxed)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
