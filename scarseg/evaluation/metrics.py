"""Compare one reading of a stack with its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, MaskArray, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.case.prompts import Box
from scarseg.case.stack import Stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import Reference, SimulatedReading, StackProposal
from scarseg.quant.mass import MM3_PER_ML
from scarseg.quant.overlap import dice, hausdorff_mm, precision, recall
from scarseg.training.prompts import bounding_box, components

LOOSE, FAIR, GOOD, TIGHT = 0.1, 0.3, 0.5, 0.75
"""Overlaps (IoU) from which a proposed box counts as found."""
DICE_GOAL, HIGH_DICE_GOAL = 0.75, 0.80
"""Dice that clicks are counted up to."""


@dataclass(frozen=True, kw_only=True)
class SliceFigures:
    """One slice, one segmenter, one strategy; only slices with a reference.

    What is not known or not defined is None. ``scar_score_mm2`` ranks slices by how much scar
    they may hold; boxes are the program's own; ``n_boxes_iou30`` counts true components whose
    box was met with at least that overlap. ``clicks_to_dice_075`` counts clicks after the box.
    """

    patient: str
    segmenter: str
    prompts: str
    slice_index: int
    true_scar_area_mm2: float | None = None
    scar_area_mm2: float | None = None
    true_scar_mass_g: float | None = None
    scar_mass_g: float | None = None
    dice: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    wall_dice: float | None = None
    pool_dice: float | None = None
    lv_iou: float | None = None
    scar_score_mm2: float | None = None
    n_true_boxes: int | None = None
    n_boxes: int | None = None
    n_boxes_iou10: int | None = None
    n_boxes_iou30: int | None = None
    n_boxes_iou50: int | None = None
    n_boxes_iou75: int | None = None
    n_interactions: int | None = None
    clicks_to_dice_075: int | None = None
    clicks_to_dice_080: int | None = None
    image_quality: str = ""


@dataclass(frozen=True, kw_only=True)
class PatientFigures:
    """One patient, one segmenter, one strategy; summed over slices with a reference.

    What is not known or not defined is None: Dice where neither has scar, distances where either
    has none, everything of the wall for a model that knows none. Errors are found minus true;
    ``scar_error_percent_lv`` is in percent of the true LV mass. ``false_scar_mass_g`` is what
    lies on slices without scar. ``hd_mm`` and ``hd95_mm`` are in-plane, the mean over slices.
    ``redrawn_...`` is of a second reading with redrawn prompts.
    """

    patient: str
    kind: str
    segmenter: str
    prompts: str
    n_slices: int = 0
    n_scar_slices: int | None = None
    true_scar_mass_g: float | None = None
    scar_mass_g: float | None = None
    scar_error_g: float | None = None
    scar_absolute_error_g: float | None = None
    true_lv_mass_g: float | None = None
    lv_mass_g: float | None = None
    lv_mass_error_g: float | None = None
    true_scar_percent_lv: float | None = None
    scar_percent_lv: float | None = None
    scar_error_percent_lv: float | None = None
    dice: float | None = None
    slice_dice: float | None = None
    precision: float | None = None
    recall: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    hd_3d_mm: float | None = None
    hd95_3d_mm: float | None = None
    false_scar_mass_g: float | None = None
    wall_dice: float | None = None
    pool_dice: float | None = None
    lv_iou: float | None = None
    lv_found_percent: float | None = None
    n_interactions: int | None = None
    clicks_to_dice_075: int | None = None
    clicks_to_dice_080: int | None = None
    redrawn_scar_mass_g: float | None = None
    redrawn_dice: float | None = None
    image_quality: str = ""
    error_code: str = ""
    proposal_seconds: float | None = None
    answer_seconds: float | None = None
    calibration_sha256: str = ""

    @property
    def column(self) -> tuple[str, str]:
        """Segmenter and prompt strategy."""
        return self.segmenter, self.prompts


def count_matched_boxes(true: Sequence[Box], proposed: Sequence[Box], least_iou: float) -> int:
    """Count true boxes that a proposed one meets with at least this overlap (IoU).

    Each box is used once, the best overlaps first.
    """
    pairs = sorted(
        (
            (one.intersection_over_union(other), i, j)
            for i, one in enumerate(true)
            for j, other in enumerate(proposed)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    met: set[int] = set()
    used: set[int] = set()
    for overlap, i, j in pairs:
        if overlap >= least_iou and i not in met and j not in used:
            met.add(i)
            used.add(j)
    return len(met)


FOUND_IOU = 0.5
"""A left ventricle counts as found above this overlap of the boxes."""


@dataclass(frozen=True, eq=False)
class EvaluatedStack:
    """Data of one stack that all prompt strategies share."""

    stack: Stack
    truth: Reference
    seen: StackProposal
    segmenter: str
    kind: str
    quality: str = ""
    slice_quality: tuple[str, ...] = ()

    @property
    def pixel_mm2(self) -> float:
        row_mm, column_mm = self.stack.pixel_spacing_mm
        return row_mm * column_mm

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return (self.stack.slice_thickness_mm, *self.stack.pixel_spacing_mm)

    def grams(self, mask: MaskArray) -> float:
        """Return the mass of a mask of any shape; slices touch."""
        voxel_ml = self.pixel_mm2 * self.stack.slice_thickness_mm / MM3_PER_ML
        return DENSITY_G_PER_ML * voxel_ml * int(np.count_nonzero(mask))

    def lv_iou(self, k: int) -> float | None:
        """Return the overlap of the left_ventricle box of slice ``k`` with the true one."""
        true, found = self.truth.lv_box(k), self.seen.proposals[k].prompts.lv_box
        if true is None:
            return None
        return 0.0 if found is None else true.intersection_over_union(found)


def measure_slices(
    reading: EvaluatedStack, strategy: PromptStrategy, rounds: Sequence[SimulatedReading]
) -> list[SliceFigures]:
    """Measure every slice that has a reference; ``rounds`` are the answers after each click."""
    truth = reading.truth
    known = [k for k, any_of in enumerate(_known(truth)) if any_of]
    return [_measure_slice(reading, strategy, rounds, k) for k in known]


def _known(truth: Reference) -> list[bool]:
    every = zip(truth.scar_known, truth.wall_known, truth.pool_known, strict=True)
    return [any(one) for one in every]


def _measure_slice(
    reading: EvaluatedStack, strategy: PromptStrategy, rounds: Sequence[SimulatedReading], k: int
) -> SliceFigures:
    truth, answer = reading.truth, rounds[-1]
    labels, true = answer.labels[k], truth.labels[k]
    values: dict[str, float | int | None] = {}
    has_wall = reading.seen.proposals[k].logits.wall is not None
    walled = has_wall and strategy.kind is not PromptKind.FWHM
    if truth.wall_known[k] and walled:
        values["wall_dice"] = dice(wall_mask(labels), wall_mask(true))
    if truth.pool_known[k] and walled:
        values["pool_dice"] = dice(labels == Label.BLOOD_POOL, true == Label.BLOOD_POOL)
    if truth.scar_known[k]:
        found, scar = answer.scar[k], truth.scar[k]
        spacing = reading.stack.pixel_spacing_mm
        values |= {
            "true_scar_area_mm2": reading.pixel_mm2 * int(scar.sum()),
            "scar_area_mm2": reading.pixel_mm2 * int(found.sum()),
            "true_scar_mass_g": reading.grams(scar),
            "scar_mass_g": reading.grams(found),
            "dice": dice(found, scar),
            "hd_mm": hausdorff_mm(found, scar, spacing),
            "hd95_mm": hausdorff_mm(found, scar, spacing, 95.0),
            "n_interactions": _interactions(strategy, answer, k),
        }
        if strategy.kind is PromptKind.AUTO:
            values["scar_score_mm2"] = reading.seen.scores_mm2[k]
        if strategy.kind in (PromptKind.AUTO, PromptKind.DETECTOR):
            values |= _boxes(scar, answer.prompts[k].boxes)
        if strategy.kind is PromptKind.CLICKS and scar.any():
            masks = [one.scar[k] for one in rounds]
            values["clicks_to_dice_075"] = clicks_to(masks, scar, DICE_GOAL)
            values["clicks_to_dice_080"] = clicks_to(masks, scar, HIGH_DICE_GOAL)
    return SliceFigures(
        patient=truth.patient,
        segmenter=reading.segmenter,
        prompts=strategy.name,
        slice_index=k,
        lv_iou=reading.lv_iou(k),
        image_quality=reading.slice_quality[k] if reading.slice_quality else "",
        **values,  # type: ignore[arg-type]
    )


def _interactions(strategy: PromptStrategy, answer: SimulatedReading, k: int) -> int:
    """Count a reader's boxes and clicks on a slice; a slice without scar takes none."""
    if not strategy.uses_reader:
        return 0
    return len(answer.prompts[k].boxes) + len(answer.prompts[k].points)


def _boxes(scar: MaskArray, proposed: Sequence[Box]) -> dict[str, float | int | None]:
    true = [Box(*bounding_box(part)) for part in (components(scar) if scar.any() else ())]
    return {
        "n_true_boxes": len(true),
        "n_boxes": len(proposed),
        "n_boxes_iou10": count_matched_boxes(true, proposed, LOOSE),
        "n_boxes_iou30": count_matched_boxes(true, proposed, FAIR),
        "n_boxes_iou50": count_matched_boxes(true, proposed, GOOD),
        "n_boxes_iou75": count_matched_boxes(true, proposed, TIGHT),
    }


def clicks_to(rounds: Sequence[MaskArray], scar: MaskArray, goal: float) -> int | None:
    """Return after how many rounds of clicks the Dice is first at the goal; None if never."""
    for n, mask in enumerate(rounds):
        if (dice(mask, scar) or 0.0) >= goal:
            return n
    return None


def measure_patient(
    reading: EvaluatedStack,
    strategy: PromptStrategy,
    rounds: Sequence[SimulatedReading],
    again: SimulatedReading | None,
) -> PatientFigures:
    """Measure a stack over the slices that have a reference; ``again`` is a second reading."""
    truth, answer = reading.truth, rounds[-1]
    values: dict[str, float | int | None] = {}
    known = np.array(truth.scar_known)
    if known.any():
        scars = [one.scar[known] for one in rounds]
        values |= _scar(reading, truth.scar[known], scars)
        values["n_interactions"] = sum(
            _interactions(strategy, answer, int(k)) for k in np.flatnonzero(known)
        )
        if again is not None:
            values["redrawn_scar_mass_g"] = reading.grams(again.scar[known])
            values["redrawn_dice"] = dice(again.scar[known], scars[-1])
        if strategy.kind is not PromptKind.CLICKS:
            values["clicks_to_dice_075"] = values["clicks_to_dice_080"] = None
    values |= _heart(reading, strategy, answer, values)
    return PatientFigures(
        patient=truth.patient,
        kind=reading.kind,
        segmenter=reading.segmenter,
        prompts=strategy.name,
        n_slices=sum(_known(truth)),
        image_quality=reading.quality,
        proposal_seconds=reading.seen.seconds,
        **values,  # type: ignore[arg-type]
    )


def _scar(
    reading: EvaluatedStack, scar: MaskArray, rounds: Sequence[MaskArray]
) -> dict[str, float | int | None]:
    """Compare scar (slice, row, column) of the slices where it is known."""
    found = rounds[-1]
    true_g, found_g = reading.grams(scar), reading.grams(found)
    with_scar = scar.any(axis=(1, 2))
    pairs = [(found[k], scar[k]) for k in np.flatnonzero(with_scar)]
    spacing = reading.stack.pixel_spacing_mm
    return {
        "n_scar_slices": int(with_scar.sum()),
        "true_scar_mass_g": true_g,
        "scar_mass_g": found_g,
        "scar_error_g": found_g - true_g,
        "scar_absolute_error_g": abs(found_g - true_g),
        "dice": dice(found, scar),
        "slice_dice": mean([dice(*pair) for pair in pairs]),
        "precision": precision(found, scar),
        "recall": recall(found, scar),
        "hd_mm": mean([hausdorff_mm(*pair, spacing) for pair in pairs]),
        "hd95_mm": mean([hausdorff_mm(*pair, spacing, 95.0) for pair in pairs]),
        "hd_3d_mm": hausdorff_mm(found, scar, reading.spacing_mm),
        "hd95_3d_mm": hausdorff_mm(found, scar, reading.spacing_mm, 95.0),
        "false_scar_mass_g": reading.grams(found[~with_scar]),
        "clicks_to_dice_075": clicks_to(rounds, scar, DICE_GOAL) if scar.any() else None,
        "clicks_to_dice_080": clicks_to(rounds, scar, HIGH_DICE_GOAL) if scar.any() else None,
    }


def _heart(
    reading: EvaluatedStack,
    strategy: PromptStrategy,
    answer: SimulatedReading,
    scar: dict[str, float | int | None],
) -> dict[str, float | int | None]:
    """Compare wall, pool and the left ventricle's box; ``scar`` holds the grams of scar."""
    truth = reading.truth
    walls, pools = np.array(truth.wall_known), np.array(truth.pool_known)
    overlaps = [v for k in range(len(walls)) if (v := reading.lv_iou(k)) is not None]
    values: dict[str, float | int | None] = {
        "lv_iou": mean(overlaps),
        "lv_found_percent": found_percent(overlaps),
    }
    found, true = wall_mask(answer.labels)[walls], wall_mask(truth.labels)[walls]
    true_g = reading.grams(true)
    error = scar.get("scar_error_g")
    if true_g and error is not None:
        values |= {
            "true_lv_mass_g": true_g,
            "true_scar_percent_lv": 100 * (scar["true_scar_mass_g"] or 0.0) / true_g,
            "scar_error_percent_lv": 100 * error / true_g,
        }
    has_wall = any(one.logits.wall is not None for one in reading.seen.proposals)
    if not has_wall or strategy.kind is PromptKind.FWHM:
        return values
    found_g = reading.grams(found)
    if walls.any():
        values |= {
            "lv_mass_g": found_g,
            "lv_mass_error_g": found_g - true_g,
            "true_lv_mass_g": true_g,
            "wall_dice": dice(found, true),
        }
    if found_g and error is not None:
        values["scar_percent_lv"] = 100 * (scar["scar_mass_g"] or 0.0) / found_g
    if pools.any():
        pool, true_pool = (one[pools] == Label.BLOOD_POOL for one in (answer.labels, truth.labels))
        values["pool_dice"] = dice(pool, true_pool)
    return values


def found_percent(overlaps: Sequence[float] | npt.NDArray[np.float64]) -> float | None:
    """Return the share of left ventricles that were found; None where there is none."""
    return 100 * float(np.mean(np.asarray(overlaps) > FOUND_IOU)) if len(overlaps) else None


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is defined; None when nothing is."""
    defined = [value for value in values if value is not None]
    return fsum(defined) / len(defined) if defined else None
