"""Compare rules that tell MVO from scar, on EMIDEC's own infarcts or on those of a reader's boxes.

    python benchmarks/mvo_rules.py EMIDEC [--folds DIR]

Without ``--folds`` scar and MVO of the reference are joined and told apart again, which needs no
model; with it (the output of ``cross_validation.py``) infarct and wall are those that weights which
never saw the patient find with boxes. Printed are Dice of the patients with MVO, its mass over the
true one, and the mean grams of false MVO in infarcts without any.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.folds import SEED, held_out
from scarseg import models
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.evaluation.patient import off_centre_case, reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import propose_stack, simulate_reading
from scarseg.quant.mvo import MVO_RULE, propose_mvo
from scarseg.quant.overlap import dice
from scarseg.training.cases import TrainingCase, read_cases

VARIANTS = {
    "in use": MVO_RULE,
    **{f"{n:g} SD": replace(MVO_RULE, n_sd=n, scar_share=0.0) for n in (2.0, 3.0, 4.0, 6.0)},
    **{
        f"{share:g} of the way": replace(MVO_RULE, scar_share=share)
        for share in (0.3, 0.4, 0.5, 0.6, 0.7)
    },
    **{
        f"{share:g}, {mm2:g} mm2": replace(MVO_RULE, scar_share=share, smallest_mm2=mm2)
        for share in (0.4, 0.5, 0.6)
        for mm2 in (20.0, 40.0)
    },
}


def infarcts(options: argparse.Namespace) -> Iterator[tuple[TrainingCase, LabelArray]]:
    """Return patients with scar, and their labels without MVO."""
    if options.folds is None:
        for case in read_cases(options.data):
            labels = np.where(case.labels == Label.MVO, Label.SCAR, case.labels)
            yield case, np.where(labels > Label.MVO, 0, labels).astype(np.uint8)
        return
    for _, case, loaded, file in held_out(options.data, options.folds, False, options.views):
        moved = off_centre_case(case, SEED)
        truth = reference_of(moved)
        if truth.scar.any():
            loaded.segmenter.load(file)
            seen = propose_stack(as_stack(moved), loaded)
            strategy = PromptStrategy(PromptKind.BOX)
            yield moved, simulate_reading(strategy, loaded, seen, truth, SEED)[0].labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=Path, help="output of cross_validation.py")
    parser.add_argument("--views", type=int, default=4, help="mirrored views to average")
    options = parser.parse_args()
    models.limit_threads(1)
    rows: dict[str, list[tuple[float, float, float | None]]] = {name: [] for name in VARIANTS}
    for case, labels in infarcts(options):
        true = case.labels == Label.MVO
        if not infarct_mask(case.labels).any():
            continue
        row_mm, column_mm = case.pixel_spacing_mm
        voxel_g = 1.05e-3 * row_mm * column_mm * case.slice_spacing_mm
        for name, rule in VARIANTS.items():
            found = propose_mvo(case.pixels, labels, case.pixel_spacing_mm, rule)
            dark = np.zeros_like(true) if found is None else found == Label.MVO
            overlap = (dice(dark, true) or 0.0) if true.any() else None
            rows[name].append((voxel_g * dark.sum(), voxel_g * true.sum(), overlap))
    print(f"{'':18s} Dice of patients with MVO, mass over true, false g where there is none")
    for name, some in rows.items():
        sick = [one for one in some if one[2] is not None]
        false = np.mean([one[0] for one in some if one[2] is None])
        overlap = np.mean([one[2] for one in sick if one[2] is not None])
        ratio = sum(one[0] for one in sick) / sum(one[1] for one in sick)
        print(f"{name:18s} {overlap:.3f} of {len(sick)}, {ratio:.2f}, {false:.2f} g")


if __name__ == "__main__":
    main()
