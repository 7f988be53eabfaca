"""Measure the shipped route on patients with a reference: automatic, boxes, clicks."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg import models as model_room
from scarseg.labels import LabelArray, infarct_mask, wall_mask
from scarseg.models import Models
from scarseg.pipeline import SliceProposal, propose_stack, segment
from scarseg.prompts import Box, Origin, Point, SlicePrompts
from scarseg.proposal import RULES, ProposalRules
from scarseg.stack import SliceSource, Stack
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases
from scarseg.training.prompting import (
    bounding_box,
    components,
    corrective_click,
    draw_box,
)

Mask = npt.NDArray[np.bool_]
N_CLICKS = 3


def shifted_case(case: TrainingCase, rng: np.random.Generator) -> TrainingCase:
    """Move the heart off the picture's centre: pad one side, cut the other.

    The cut keeps 15 mm round the reference, so that no truth is lost.
    """
    rows, columns = np.nonzero((case.labels >= 1).any(axis=0))
    margin = round(15 / min(case.pixel_spacing_mm))
    pads, cuts = [], []
    for low, high, size in (
        (rows.min(), rows.max(), case.labels.shape[1]),
        (columns.min(), columns.max(), case.labels.shape[2]),
    ):
        before = int(rng.integers(0, max(1, low - margin)))
        after = int(rng.integers(0, max(1, size - high - margin)))
        if rng.random() < 0.5:
            pads.append((int(rng.integers(0, 40)), 0))
            cuts.append(slice(0, size + pads[-1][0] - after))
        else:
            pads.append((0, int(rng.integers(0, 40))))
            cuts.append(slice(before, None))
    pad = [(0, 0), *pads]
    low_value = float(np.percentile(case.pixels, 1))
    pixels = np.pad(case.pixels, pad, constant_values=low_value)[:, cuts[0], cuts[1]]
    labels = np.pad(case.labels, pad)[:, cuts[0], cuts[1]]
    return TrainingCase(
        case.name, case.kind, pixels, labels, case.pixel_spacing_mm, case.slice_spacing_mm
    )


def as_stack(case: TrainingCase) -> Stack:
    """Wrap arrays as a stack whose slices touch."""
    n = len(case.labels)
    return Stack(
        pixels=case.pixels,
        pixel_spacing_mm=case.pixel_spacing_mm,
        slice_thickness_mm=case.slice_spacing_mm,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=tuple((0.0, 0.0, case.slice_spacing_mm * k) for k in range(n)),
        sources=tuple(SliceSource(f"2.25.{k + 1}") for k in range(n)),
        series_uid="2.25.1",
        study_uid="2.25.2",
    )


def dice(a: Mask, b: Mask) -> float | None:
    """Give the Dice of two masks, None when both are empty."""
    total = int(a.sum()) + int(b.sum())
    return None if total == 0 else 2 * int((a & b).sum()) / total


def human_boxes(scar: Mask, rng: np.random.Generator) -> tuple[Box, ...]:
    """Draw a reader's boxes, one per component, generously and imprecisely."""
    boxes = []
    for part in components(scar):
        drawn = draw_box(bounding_box(part), rng, (0.05, 0.1), (0.0, 0.15))
        boxes.append(Box.spanning(*drawn))
    return tuple(boxes)


def read_slice(
    models: Models,
    proposal: SliceProposal,
    scar: Mask,
    rng: np.random.Generator,
    rules: ProposalRules = RULES,
) -> list[LabelArray]:
    """Read one slice by boxes, then by up to three corrective clicks; give labels after each.

    A slice without scar is read as such.
    """
    lv_box = proposal.prompts.lv_box
    prompts = SlicePrompts(boxes=human_boxes(scar, rng) if scar.any() else (), lv_box=lv_box)
    prompts = SlicePrompts(prompts.boxes, (), lv_box, no_scar=not scar.any())
    labels, logits = segment(
        models, proposal.embedding, prompts, proposal.labels, proposal.logits, rules
    )
    steps = [labels]
    for _ in range(N_CLICKS):
        clicks = corrective_click(scar, infarct_mask(labels), rng)
        if clicks and scar.any():
            column, row, inside = clicks[0]
            prompts = prompts.with_point(Point(column, row, bool(inside)))
            labels, logits = segment(models, proposal.embedding, prompts, labels, logits, rules)
        steps.append(labels)
    return steps


def lv_overlap(proposal: SliceProposal, labels: LabelArray) -> float | None:
    """Give the IoU of the proposed left_ventricle box with the reference; None without one."""
    lv = (labels >= 1) & (labels <= 4)
    if not lv.any():
        return None
    if proposal.prompts.lv_box is None:
        return 0.0
    return Box(*bounding_box(lv), Origin.READER).intersection_over_union(proposal.prompts.lv_box)


def evaluate_case(
    case: TrainingCase, models: Models, seed: int, rules: ProposalRules = RULES
) -> dict[str, object]:
    """Evaluate one patient, the left ventricle found by the program itself."""
    rng = np.random.default_rng(seed)
    case = shifted_case(case, rng)
    stack = as_stack(case)
    begin = time.perf_counter()
    proposals = dict(propose_stack(stack, models, rules=rules))
    seconds = time.perf_counter() - begin
    automatic = np.stack([proposals[k].labels for k in range(stack.n_slices)])
    truth = np.where(case.labels > 4, 0, case.labels).astype(np.uint8)
    scar = infarct_mask(truth)
    read = [read_slice(models, proposals[k], scar[k], rng, rules) for k in range(stack.n_slices)]
    overlaps = [lv_overlap(proposals[k], truth[k]) for k in range(stack.n_slices)]
    row, column = case.pixel_spacing_mm
    voxel_g = row * column * case.slice_spacing_mm * 1.05e-3
    result: dict[str, object] = {
        "patient": case.name,
        "seconds": seconds,
        "true_g": float(scar.sum() * voxel_g),
        "automatic_g": float(infarct_mask(automatic).sum() * voxel_g),
        "automatic_dice": dice(infarct_mask(automatic), scar),
        "wall_dice": dice(wall_mask(automatic), wall_mask(truth)),
        "pool_dice": dice(automatic == 1, truth == 1),
        "lv_iou": [v for v in overlaps if v is not None],
        "slice_scar_true": [bool(s.any()) for s in scar],
        "slice_scar_proposed": [bool(s.any()) for s in infarct_mask(automatic)],
    }
    for step in range(N_CLICKS + 1):
        labels = np.stack([slices[step] for slices in read])
        name = "box" if step == 0 else f"box_clicks{step}"
        result[f"{name}_dice"] = dice(infarct_mask(labels), scar)
        result[f"{name}_g"] = float(infarct_mask(labels).sum() * voxel_g)
    return result


def concordance(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Give Lin's concordance correlation coefficient with 1/n variances (Lin 1989)."""
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    return 2 * covariance / float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def summarise(results: Sequence[dict[str, object]]) -> dict[str, float]:
    """Pool the patients: means over patients with scar, false grams over those without."""
    sick = [r for r in results if float(str(r["true_g"])) > 0]
    well = [r for r in results if float(str(r["true_g"])) == 0]

    def column(rows: Sequence[dict[str, object]], name: str) -> npt.NDArray[np.float64]:
        return np.array([0.0 if r[name] is None else r[name] for r in rows], dtype=np.float64)

    summary: dict[str, float] = {"patients": len(results), "with_scar": len(sick)}
    steps = ["automatic", "box", "box_clicks1", "box_clicks2", f"box_clicks{N_CLICKS}"]
    truth = column(sick, "true_g")
    for step in steps:
        found = column(sick, f"{step}_g")
        summary[f"{step}_dice"] = float(column(sick, f"{step}_dice").mean())
        summary[f"{step}_mae_g"] = float(np.abs(found - truth).mean())
        summary[f"{step}_bias_g"] = float((found - truth).mean())
        summary[f"{step}_ccc"] = concordance(found, truth)
        summary[f"{step}_r2"] = float(stats.pearsonr(found, truth).statistic ** 2)
    if well:
        summary["false_scar_on_normals_g"] = float(column(well, "automatic_g").mean())
    summary["wall_dice"] = float(column(results, "wall_dice").mean())
    summary["pool_dice"] = float(column(results, "pool_dice").mean())
    overlaps = np.concatenate([np.array(r["lv_iou"]) for r in results])
    summary["lv_iou"] = float(overlaps.mean())
    summary["lv_found"] = float((overlaps > 0.5).mean())
    true = np.concatenate([np.array(r["slice_scar_true"]) for r in results])
    said = np.concatenate([np.array(r["slice_scar_proposed"]) for r in results])
    summary["slice_sensitivity"] = float(said[true].mean())
    summary["slice_specificity"] = float((~said[~true]).mean())
    summary["seconds_per_stack"] = float(column(results, "seconds").mean())
    return summary


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder in the EMIDEC layout")
    parser.add_argument("--patients", choices=("validation", "inner"), default="validation")
    parser.add_argument("--segmenter", default=None)
    parser.add_argument("--detector", default=None)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=None, help="JSON to write")
    options = parser.parse_args(arguments)
    chosen = VALIDATION if options.patients == "validation" else INNER
    loaded = model_room.load(options.segmenter, options.detector, "cpu")
    results = []
    for case in read_cases(options.data):
        if case.name not in chosen:
            continue
        results.append(evaluate_case(case, loaded, options.seed))
        line = results[-1]
        shown = [
            "-" if line[key] is None else f"{float(str(line[key])):.3f}"
            for key in ("automatic_dice", "box_dice", f"box_clicks{N_CLICKS}_dice")
        ]
        print(
            case.name,
            "dice",
            *shown,
            f"wall {line['wall_dice']:.3f} true {line['true_g']:.1f} g"
            f" automatic {line['automatic_g']:.1f} g",
            flush=True,
        )
    summary = summarise(results)
    for name, value in summary.items():
        print(f"{name:28s} {value:.3f}")
    if options.output is not None:
        text = json.dumps({"summary": summary, "patients": results}, indent=1)
        options.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
