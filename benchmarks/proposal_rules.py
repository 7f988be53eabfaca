"""Compare the rules of a proposal, and of a reader's box, on EMIDEC patients kept for tuning.

    python benchmarks/proposal_rules.py [--segmenter FILE] [--detector FILE]

Dice is pooled over the stack and averaged over patients; grams are by slice thickness.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scarseg import models, pipeline
from scarseg.labels import LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.models import Logits, Models
from scarseg.prompts import Box, Point, SlicePrompts
from scarseg.proposal import RULES, ProposalRules, ScarChoice
from scarseg.quant.overlap import dice
from scarseg.stack import Stack
from scarseg.training.cases import INNER
from tests.emidec import load_emidec

PREDICTED = replace(RULES, scar=ScarChoice.PREDICTED)
RESTRICTED = replace(RULES, scar=ScarChoice.RESTRICTED)
VARIANTS: dict[str, ProposalRules] = {
    "automatic mask inside the boxes": RESTRICTED,
    "the same, no detector scar boxes": replace(RESTRICTED, detector_scar_score=2),
    "asked again with the boxes": PREDICTED,
    "the same, detector over 0.5": replace(PREDICTED, detector_scar_score=0.5),
    "the same, detector over 0.7": replace(PREDICTED, detector_scar_score=0.7),
    "asked again, own boxes alone": replace(PREDICTED, detector_scar_score=2),
    "never looking again": replace(RULES, recrops=0),
}


def grams(mask: MaskArray, stack: Stack) -> float:
    row_mm, column_mm = stack.pixel_spacing_mm
    return 1.05e-3 * int(mask.sum()) * row_mm * column_mm * stack.slice_thickness_mm


def compare_rules(loaded: Models, cases: list[tuple[Stack, LabelArray]]) -> None:
    print(f"{'proposal':36} scar Dice  wall Dice  error g  false g  ms/slice")
    for name, rules in VARIANTS.items():
        scar, wall, error, false = [], [], [], []
        started, n = time.perf_counter(), 0
        for stack, truth in cases:
            labels = pipeline.propose_case(stack, loaded, rules=rules).labels
            found, true = infarct_mask(labels), infarct_mask(truth)
            wall.append(dice(wall_mask(labels), wall_mask(truth)))
            error.append(abs(grams(found, stack) - grams(true, stack)))
            (scar if true.any() else false).append(
                dice(found, true) if true.any() else grams(found, stack)
            )
            n += stack.n_slices
        took = 1000 * (time.perf_counter() - started) / n
        figures = [float(np.mean(values)) for values in (scar, wall, error, false)]
        print(f"{name:36} {{:9.3f}} {{:10.3f}} {{:8.2f}} {{:8.2f}} {took:9.0f}".format(*figures))


def reader_boxes(scar: MaskArray, rng: np.random.Generator) -> tuple[Box, ...]:
    """Draw one box per component as a reader would: 5 % too small to 12 % too large."""
    boxes = []
    pieces, n = ndimage.label(scar)
    for piece in range(1, n + 1):
        rows, columns = np.nonzero(pieces == piece)
        if rows.size < 5 and n > 1:
            continue
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        left, up, right, down = rng.uniform(-0.05, 0.12, 4)
        corners = (
            columns.min() - left * width - 0.5,
            rows.min() - up * height - 0.5,
            columns.max() + 1 + right * width + 0.5,
            rows.max() + 1 + down * height + 0.5,
        )
        boxes.append(Box(*(float(v) for v in corners)))
    return tuple(boxes)


def click(found: MaskArray, scar: MaskArray) -> Point | None:
    """Click in the middle of the largest error."""
    depth = ndimage.distance_transform_edt(np.pad(found ^ scar, 1))[1:-1, 1:-1]
    if not depth.max() > 0:
        return None
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Point(float(column) + 0.5, float(row) + 0.5, bool(scar[row, column]))


def compare_readers(loaded: Models, cases: list[tuple[Stack, LabelArray]]) -> None:
    def read(
        proposal: pipeline.SliceProposal,
        scar: MaskArray,
        prompts: SlicePrompts,
        clicks: int,
        rules: ProposalRules,
        keep_wall: bool,
    ) -> LabelArray:
        labels = proposal.labels
        logits: Logits | None = None if keep_wall else proposal.logits
        for _ in range(clicks + 1):
            labels, answer = pipeline.segment(
                loaded, proposal.embedding, prompts, labels, logits, rules
            )
            logits = None if keep_wall else answer
            point = click(infarct_mask(labels), scar)
            if point is None:
                break
            prompts = prompts.with_point(point)
        return labels

    swayed = replace(RULES, previous_with_points=True)
    readers: dict[str, tuple[int, ProposalRules, bool]] = {
        "box, wall follows": (0, RULES, False),
        "box, wall of the proposal kept": (0, RULES, True),
        "box and 3 clicks": (3, RULES, False),
        "the same, told the answer before": (3, swayed, False),
    }
    print(f"\n{'reader':36} scar Dice  error g")
    for name, (clicks, rules, keep_wall) in readers.items():
        rng = np.random.default_rng(0)
        scores, errors = [], []
        for stack, truth in cases:
            if not infarct_mask(truth).any():
                continue
            found = np.zeros(truth.shape, dtype=bool)
            for k, proposal in pipeline.propose_stack(stack, loaded):
                scar = infarct_mask(truth[k])
                boxes = reader_boxes(scar, rng)
                if boxes:
                    prompts = SlicePrompts(boxes, lv_box=proposal.prompts.lv_box)
                    labels = read(proposal, scar, prompts, clicks, rules, keep_wall)
                    found[k] = infarct_mask(labels)
            scores.append(dice(found, infarct_mask(truth)))
            errors.append(abs(grams(found, stack) - grams(infarct_mask(truth), stack)))
        print(f"{name:36} {np.mean(scores):9.3f} {np.mean(errors):8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter")
    parser.add_argument("--detector")
    options = parser.parse_args()
    loaded = models.load(options.segmenter, options.detector, "cpu")
    cases = [load_emidec(name) for name in INNER]
    compare_rules(loaded, cases)
    compare_readers(loaded, cases)


if __name__ == "__main__":
    main()
