"""How much of the error of a cohort lies in the studies that the program doubts most.

Every patient is proposed by weights that never saw it: the shipped ones on EMIDEC's validation
patients, or with ``--folds DIR`` (the output of cross_validation.py) every fold's on those left
out of it. Printed are the share of the total absolute error of the scar mass that the most
doubtful fifth holds, by the column ``doubt`` and by the width of the interval alone, and the mean
error that is left for a reader who reads those alone.

    python benchmarks/triage.py DATA/emidec
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from interval import held_out

from scarseg import models as models_module
from scarseg.case.case import Case
from scarseg.case.measurements import MassConvention
from scarseg.evaluation.patient import off_centre_case, reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.models import Models
from scarseg.quant.doubt import case_doubt
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases

FIFTH = 0.2
SEED = 7


@dataclass(frozen=True)
class Row:
    """One patient: its doubt, the width of its interval, and the error of its scar mass, in g."""

    patient: str
    doubt: float
    width_g: float
    error_g: float


def measure(case: TrainingCase, models: Models) -> Row:
    moved = off_centre_case(case, SEED)
    stack, truth = as_stack(moved), reference_of(moved)
    proposed, embeddings = pipeline.propose_case_with_embeddings(stack, models)
    found = case_interval(proposed, models, embeddings)
    doubt = case_doubt(proposed, (found.low_g, found.high_g), found.slices_g)
    true_case = Case.new(stack)
    true_case.labels[:] = truth.labels
    grams, true_g = (
        pipeline.measure(one, MassConvention.THICKNESS).scar_mass_thickness_g
        for one in (proposed, true_case)
    )
    return Row(case.name, doubt.score, found.high_g - found.low_g, abs(grams - true_g))


def show(name: str, rows: Sequence[Row], key: Callable[[Row], float]) -> None:
    """Print what the fifth that ranks first holds; ties are broken by name."""
    ranked = sorted(rows, key=lambda one: (-key(one), one.patient))
    n = ceil(FIFTH * len(ranked))
    total = sum(one.error_g for one in ranked)
    read = sum(one.error_g for one in ranked[:n])
    print(
        f"{name}: the first {n} of {len(ranked)} hold {100 * read / total:.0f} % of the error; a"
        f" reader of those alone leaves {(total - read) / len(ranked):.2f} of"
        f" {total / len(ranked):.2f} g per patient"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("emidec", type=Path)
    parser.add_argument("--folds", type=Path, help="output of cross_validation.py")
    parser.add_argument("--views", type=int, default=4, help="mirrored views to average")
    parser.add_argument("--patients", choices=("validation", "tuning"), default="validation")
    options = parser.parse_args()
    models_module.limit_threads(1)
    if options.folds is not None:
        pairs = held_out(options.emidec, options.folds, options.views)
    else:
        names = VALIDATION if options.patients == "validation" else INNER
        models = models_module.load(device="cpu")
        pairs = ((case, models) for case in read_cases(options.emidec) if case.name in names)
    rows = []
    for case, own in pairs:
        rows.append(measure(case, own))
        one = rows[-1]
        print(
            f"{one.patient}: doubt {one.doubt:.2f}, interval {one.width_g:.1f} g wide, error"
            f" {one.error_g:.1f} g",
            flush=True,
        )
    show("doubt", rows, lambda one: one.doubt)
    show("interval alone", rows, lambda one: one.width_g)
    show("the best possible order", rows, lambda one: one.error_g)
    errors = np.array([one.error_g for one in rows])
    doubts = np.array([one.doubt for one in rows])
    ranks = [np.argsort(np.argsort(values)) for values in (doubts, errors)]
    print(f"rank correlation of doubt and error: {np.corrcoef(*ranks)[0, 1]:.2f}")


if __name__ == "__main__":
    main()
