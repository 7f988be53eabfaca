"""Measure how well a detector finds hearts and scars; choose its thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from scarseg.case.prompts import Box
from scarseg.case.stack import SliceImage
from scarseg.models import Detection, Structure
from scarseg.training.detector.data import LabelledSlice, box_around, corner_points, scar_parts

Detect = Callable[[SliceImage], list[Detection]]

SHIFT = 0.25
"""Hearts are moved by up to this share of the slice, half of which is then blank border."""


@dataclass(frozen=True, eq=False)
class SliceDetections:
    """Detections on a slice and its reference; boxes in source pixels."""

    labelled: LabelledSlice
    true_lv: Box | None
    true_scars: tuple[Box, ...]
    lv: Detection | None
    scars: tuple[Detection, ...]


def shift_slices(slices: Sequence[LabelledSlice], seed: int = 0) -> list[LabelledSlice]:
    """Move every patient's heart off the centre, the same way on all its slices.

    What is pushed over the border is lost, what comes in is blank: as at the edge of a picture.
    """
    shifted = []
    for labelled in slices:
        rng = np.random.default_rng([seed, *labelled.patient.encode()])
        steps = [
            round(n * v)
            for n, v in zip(labelled.labels.shape, rng.uniform(-SHIFT, SHIFT, 2), strict=True)
        ]
        rows, columns = np.nonzero(labelled.heart)
        for axis, place in ((0, rows), (1, columns)):
            if place.size:
                low, high = -int(place.min()), labelled.labels.shape[axis] - 1 - int(place.max())
                steps[axis] = int(np.clip(steps[axis], low, high))
        pixels, labels = _moved(labelled.pixels, steps), _moved(labelled.labels, steps)
        shifted.append(
            LabelledSlice(
                labelled.patient,
                labelled.index,
                pixels,
                labels,
                labelled.pixel_spacing_mm,
                labelled.kind,
            )
        )
    return shifted


def _moved(array: Any, steps: Sequence[int]) -> Any:
    """Move (row, column) by whole pixels, zeros coming in."""
    out = np.zeros_like(array)
    into = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(steps, array.shape, strict=True))
    source = tuple(
        slice(max(0, -s), n - max(0, s)) for s, n in zip(steps, array.shape, strict=True)
    )
    out[into] = array[source]
    return out


def resample_slices(
    slices: Sequence[LabelledSlice], pixel_spacing_mm: tuple[float, float]
) -> list[LabelledSlice]:
    """Resample slices to another (row, column) spacing: what another scanner would have given."""
    changed = []
    for labelled in slices:
        factors = [
            old / new for old, new in zip(labelled.pixel_spacing_mm, pixel_spacing_mm, strict=True)
        ]
        changed.append(
            replace(
                labelled,
                pixels=ndimage.zoom(
                    labelled.pixels, factors, order=1, grid_mode=True, mode="nearest"
                ),
                labels=ndimage.zoom(
                    labelled.labels, factors, order=0, grid_mode=True, mode="nearest"
                ),
                pixel_spacing_mm=pixel_spacing_mm,
            )
        )
    return changed


def detect_all(detect: Detect, slices: Sequence[LabelledSlice]) -> list[SliceDetections]:
    """Run a detector over labelled slices."""
    found = []
    for labelled in slices:
        answers = detect(SliceImage(labelled.pixels, labelled.pixel_spacing_mm))
        hearts = [d for d in answers if d.structure == Structure.LEFT_VENTRICLE]
        heart = box_around(corner_points(labelled.heart))
        parts = [box_around(p) for p in scar_parts(labelled.labels, labelled.pixel_spacing_mm)]
        found.append(
            SliceDetections(
                labelled,
                None if heart is None else Box(*heart),
                tuple(Box(*p) for p in parts if p is not None),
                hearts[0] if hearts else None,
                tuple(d for d in answers if d.structure == Structure.SCAR),
            )
        )
    return found


def scar_recall(found: Sequence[SliceDetections], least_score: float, overlap: float) -> float:
    """Share of true scar boxes met by a box of at least this score and overlap."""
    met = [
        any(
            d.score >= least_score and d.box.intersection_over_union(true) > overlap
            for d in f.scars
        )
        for f in found
        for true in f.true_scars
    ]
    return float(np.mean(met)) if met else float("nan")


def recall_by_size(
    found: Sequence[SliceDetections],
    least_score: float,
    limits_mm2: Sequence[float] = (200.0, 1000.0),
) -> list[float]:
    """Share of true scar boxes met (IoU over 0.3), in classes of the box's own area."""
    met: list[list[bool]] = [[] for _ in range(len(limits_mm2) + 1)]
    for one in found:
        pixel_mm2 = one.labelled.pixel_spacing_mm[0] * one.labelled.pixel_spacing_mm[1]
        for true in one.true_scars:
            hit = any(
                d.score >= least_score and d.box.intersection_over_union(true) > 0.3
                for d in one.scars
            )
            area_mm2 = true.width * true.height * pixel_mm2
            met[int(np.searchsorted(limits_mm2, area_mm2))].append(hit)
    return [float(np.mean(hits)) if hits else float("nan") for hits in met]


def average_precision(found: Sequence[SliceDetections], overlap: float) -> float:
    """Area under precision over recall of scar boxes, each true box met once at most."""
    ranked = sorted(
        ((d.score, i, d.box) for i, f in enumerate(found) for d in f.scars), key=lambda e: -e[0]
    )
    total = sum(len(f.true_scars) for f in found)
    if total == 0:
        return float("nan")
    met: set[tuple[int, int]] = set()
    hits = []
    for _, i, box in ranked:
        free = [
            (box.intersection_over_union(true), j)
            for j, true in enumerate(found[i].true_scars)
            if (i, j) not in met
        ]
        best = max(free, default=(0.0, -1))
        hits.append(best[0] > overlap)
        if hits[-1]:
            met.add((i, best[1]))
    if not hits:
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(envelope[np.array(hits)]) / total)


def best_scar_scores(found: Sequence[SliceDetections]) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scar score per slice (0 without any) of slices with and without scar."""
    scores = [
        (max((d.score for d in f.scars), default=0.0), bool((f.labelled.labels >= 3).any()))
        for f in found
    ]
    with_scar = np.array([s for s, scar in scores if scar])
    without = np.array([s for s, scar in scores if not scar])
    return with_scar, without


def _mean(values: np.ndarray | list[int]) -> float:
    """Return the mean; NaN, without a warning, of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def summarise(
    found: Sequence[SliceDetections], scar_score: float, lv_score: float
) -> dict[str, float]:
    """Return the figures of the model card at the given thresholds; NaN where undefined."""
    hearts = [f for f in found if f.true_lv is not None]
    overlaps = np.array(
        [
            f.lv.box.intersection_over_union(f.true_lv)
            if f.lv is not None and f.true_lv is not None and f.lv.score >= lv_score
            else 0.0
            for f in hearts
        ]
    )
    with_scar, without = best_scar_scores(found)
    free = [f for f in found if not (f.labelled.labels >= 3).any()]
    false_boxes = [sum(d.score >= scar_score for d in f.scars) for f in free]
    small, middle, large = recall_by_size(found, scar_score)
    strict = float(np.quantile(without, 0.9)) if without.size else 0.0
    return {
        "slices": len(found),
        "patients": len({f.labelled.patient for f in found}),
        "lv_iou_mean": _mean(overlaps),
        "lv_iou_median": float(np.median(overlaps)) if overlaps.size else float("nan"),
        "lv_found_iou_over_0.5": _mean(overlaps > 0.5),
        "lv_found_iou_over_0.7": _mean(overlaps > 0.7),
        "scar_boxes": sum(len(f.true_scars) for f in found),
        "scar_recall_iou_over_0.3": scar_recall(found, scar_score, 0.3),
        "scar_recall_iou_over_0.5": scar_recall(found, scar_score, 0.5),
        "scar_recall_box_under_200_mm2": small,
        "scar_recall_box_200_to_1000_mm2": middle,
        "scar_recall_box_over_1000_mm2": large,
        "scar_ap_iou_over_0.3": average_precision(found, 0.3),
        "scar_ap_iou_over_0.5": average_precision(found, 0.5),
        "false_boxes_per_scar_free_slice": _mean(false_boxes),
        "scar_slice_sensitivity": _mean(with_scar >= scar_score),
        "scar_slice_specificity": _mean(without < scar_score),
        "scar_slice_sensitivity_at_specificity_0.9": _mean(with_scar > strict),
        "scar_score": scar_score,
        "lv_score": lv_score,
    }


def choose_scar_score(found: Sequence[SliceDetections], least_specificity: float = 0.85) -> float:
    """Choose the lowest score at which enough scar-free slices stay empty: recall comes first."""
    _, without = best_scar_scores(found)
    if without.size == 0:
        return 0.25
    candidates = np.arange(5, 90) / 100
    enough = [c for c in candidates if (without < c).mean() >= least_specificity]
    return round(float(enough[0]), 2) if enough else 0.9


def choose_lv_score(found: Sequence[SliceDetections]) -> float:
    """Choose a score low enough to keep 99 % of the hearts that were found where they are."""
    scores = [
        f.lv.score
        for f in found
        if f.lv is not None
        and f.true_lv is not None
        and f.lv.box.intersection_over_union(f.true_lv) > 0.5
    ]
    if not scores:
        return 0.25
    return round(max(0.05, min(0.3, 0.8 * float(np.quantile(scores, 0.01)))), 2)
