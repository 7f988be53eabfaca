"""Compare the rules of a proposal, and of a reader's box, on EMIDEC patients kept for tuning.

    python benchmarks/proposal_rules.py [--segmenter FILE] [--detector FILE] [--only TABLE]

Dice is pooled over the stack and averaged over patients; grams are by slice thickness. The last
table corrects each proposed slice as the reader of benchmarks/reader.py does (without a window):
the share of slices with scar whose Dice is 0.75 after so many corrections. Each patient is seen
as it is and mirrored, since six patients are few; simulated stacks stand beside them.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from scarseg.segmentation import predict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import reader_decisions as decisions
from scarseg import models
from scarseg.case.labels import LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.models import Logits, Models
from scarseg.quant.overlap import dice
from scarseg.segmentation import pipeline
from scarseg.segmentation.proposal import RULES, ProposalRules, ScarSource
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack
from scarseg.training.cases import INNER
from tests.emidec import load_emidec

PREDICTED = replace(RULES, scar=ScarSource.PREDICTED)
RESTRICTED = replace(RULES, scar=ScarSource.RESTRICTED)
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
        proposal: predict.SliceProposal,
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


BOXES: dict[str, ProposalRules] = {
    "boxes as the detector draws them": replace(RULES, tight_boxes=False, empty_box_score=0.0),
    "round the scar in them": replace(RULES, empty_box_score=0.0),
    "the same, empty ones dropped": RULES,
}
MOST_CORRECTIONS, GOOD_DICE = 3, 0.75


def mirrored(stack: Stack, truth: LabelArray) -> list[tuple[Stack, LabelArray]]:
    """Return a case as it is, upside down, left to right, and both."""
    seen = []
    for axes in ((), (1,), (2,), (1, 2)):
        pixels, labels = (np.ascontiguousarray(np.flip(one, axes)) for one in (stack.pixels, truth))
        seen.append((replace(stack, pixels=pixels), labels))
    return seen


def corrected(
    loaded: Models,
    proposal: predict.SliceProposal,
    scar: MaskArray,
    spacing: tuple[float, float],
    rng: np.random.Generator,
) -> list[float]:
    """Correct a slice as the scripted reader does; give its Dice after each correction."""
    prompts, labels, logits = proposal.prompts, proposal.labels, proposal.logits
    reached = [decisions.agreement(infarct_mask(labels), scar)]
    while reached[-1] < GOOD_DICE and len(reached) <= MOST_CORRECTIONS:
        act = decisions.correct(scar, infarct_mask(labels), prompts, spacing, rng)
        if isinstance(act, decisions.DrawBox):
            prompts = replace(prompts, boxes=(*prompts.boxes, act.box))
        elif isinstance(act, decisions.DeleteBox):
            kept = [box for k, box in enumerate(prompts.boxes) if k != act.index]
            prompts = replace(prompts, boxes=tuple(kept))
        else:
            prompts = prompts.with_point(act.point)
        labels, logits = pipeline.segment(loaded, proposal.embedding, prompts, labels, logits)
        reached.append(decisions.agreement(infarct_mask(labels), scar))
    return reached


def compare_corrections(loaded: Models, groups: dict[str, list[tuple[Stack, LabelArray]]]) -> None:
    print(f"\n{'proposed boxes':36} {'patients':10} slices  good after 0, 1, 2, 3  corrections")
    for name, rules in BOXES.items():
        for group, cases in groups.items():
            read = []
            for number, (stack, truth) in enumerate(cases):
                for k, proposal in pipeline.propose_stack(stack, loaded, rules=rules):
                    scar, rng = infarct_mask(truth[k]), np.random.default_rng([number, k])
                    if scar.any():
                        spacing = stack.pixel_spacing_mm
                        read.append(corrected(loaded, proposal, scar, spacing, rng))
            good = [np.mean([max(one[: n + 1]) >= GOOD_DICE for one in read]) for n in range(4)]
            mean = np.mean([len(one) - 1 for one in read])
            shares = " ".join(f"{share:5.2f}" for share in good)
            print(f"{name:36} {group:10} {len(read):6} {shares} {mean:12.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter")
    parser.add_argument("--detector")
    parser.add_argument("--only", choices=("rules", "readers", "corrections"))
    options = parser.parse_args()
    loaded = models.load(options.segmenter, options.detector, "cpu")
    cases = [load_emidec(name) for name in INNER]
    if options.only in (None, "rules"):
        compare_rules(loaded, cases)
    if options.only in (None, "readers"):
        compare_readers(loaded, cases)
    if options.only in (None, "corrections"):
        phantoms = [simulate_stack(seed, SimulationOptions(scar=True)) for seed in range(900, 912)]
        groups = {
            "tuning": [seen for case in cases for seen in mirrored(*case)],
            "simulated": [(one.stack, one.truth) for one in phantoms],
        }
        compare_corrections(loaded, groups)


if __name__ == "__main__":
    main()
