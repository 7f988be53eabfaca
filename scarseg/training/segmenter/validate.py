"""Validation of unfinished weights: a quick measurement on validation patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import LabelArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.models import Segmenter
from scarseg.segmentation.proposal import RULES, compose_labels
from scarseg.training.cases import TrainingCase
from scarseg.training.prompts import bounding_box, components, draw_box

MAX_SLICES = 48
SOFTENING_ML = 1.0
"""Added above and below a patient's Dice: one without scar counts too, 1 where nothing is
called and 0.5 where 1 ml is, and no Dice is ever undefined."""


@dataclass(frozen=True, eq=False)
class ValidationSlice:
    """One slice of a validation patient with the prompts it is tried with, in source pixels."""

    patient: str
    image: SliceImage
    labels: LabelArray
    voxel_ml: float
    lv_box: Box
    boxes: tuple[Box, ...]


def choose_validation_slices(
    cases: Sequence[TrainingCase], seed: int, most: int = MAX_SLICES
) -> list[ValidationSlice]:
    """Pick slices to try, at most ``most``, of every patient about as many, with and without scar.

    Left-ventricle and scar boxes are drawn once, imprecisely, so that every try sees the same.
    Slices without a left ventricle in the reference are left out.
    """
    rng = np.random.default_rng(seed)
    each = ceil(most / max(1, len(cases)))
    chosen = []
    for case in sorted(cases, key=lambda case: case.name):
        for index in _pick(case, each, rng):
            chosen.append(_trial_slice(case, index, rng))
    return chosen[:most] if len(cases) <= most else chosen[:: ceil(len(chosen) / most)]


def _pick(case: TrainingCase, n: int, rng: np.random.Generator) -> list[int]:
    """Pick up to ``n`` slices, scar on two thirds of them where there are that many."""
    hearts = [k for k in case.slices_read if _heart(case.labels[k]).any() and _wall_known(case, k)]
    order = [hearts[i] for i in rng.permutation(len(hearts))]
    scar = [k for k in order if infarct_mask(_clean(case.labels[k])).any()]
    free = [k for k in order if k not in scar]
    n_scar = min(len(scar), max(ceil(n * 2 / 3), n - len(free)))
    return sorted([*scar[:n_scar], *free[: n - n_scar]])


def _wall_known(case: TrainingCase, index: int) -> bool:
    return case.wall_known is None or case.wall_known[index]


def _clean(labels: LabelArray) -> LabelArray:
    """Drop the RV of cine references."""
    return np.where(labels > 4, 0, labels).astype(np.uint8)


def _heart(labels: LabelArray) -> npt.NDArray[np.bool_]:
    return (labels >= 1) & (labels <= 4)


def _trial_slice(case: TrainingCase, index: int, rng: np.random.Generator) -> ValidationSlice:
    labels = _clean(case.labels[index])
    lv = draw_box(bounding_box(_heart(labels)), rng, (0.05, 0.1), (-0.03, 0.05))
    scar = infarct_mask(labels)
    drawn = [
        draw_box(bounding_box(part), rng, (0.05, 0.1), (0.0, 0.15))
        for part in (components(scar) if scar.any() else [])
    ]
    before = case.pixels[index - 1] if index > 0 else None
    after = case.pixels[index + 1] if index + 1 < len(case.pixels) else None
    row_mm, column_mm = case.pixel_spacing_mm
    return ValidationSlice(
        case.patient,
        SliceImage(case.pixels[index], case.pixel_spacing_mm, (before, after)),
        labels,
        row_mm * column_mm * case.slice_spacing_mm / 1000,
        Box.spanning(*lv),
        tuple(Box.spanning(*one) for one in drawn),
    )


class _Tally:
    """Volumes in ml summed over one patient's slices: both, found, true."""

    def __init__(self) -> None:
        self.ml = np.zeros(3)

    def add(
        self, found: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_], voxel_ml: float
    ) -> None:
        self.ml += voxel_ml * np.array([(found & true).sum(), found.sum(), true.sum()])

    def dice(self, softening_ml: float = 0.0) -> float:
        both, found, true = self.ml
        total = found + true + softening_ml
        return float((2 * both + softening_ml) / total) if total else 1.0


def validate(
    segmenter: Segmenter,
    slices: Sequence[ValidationSlice],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Measure a segmenter on trial slices; None when stopped meanwhile or nothing can be said.

    Returns:
        ``score``: mean over patients of the Dice (softened, see SOFTENING_ML) of automatic scar
        and of scar with a box per component, both counting the same; ``automatic_dice`` and
        ``box_dice``: plain, over patients with scar; ``wall_dice``; ``false_scar_ml``: automatic,
        mean over patients without. Figures that do not apply are left out, never NaN. A
        segmenter without an automatic mode (it knows no wall) is scored with boxes alone.
    """
    tallies: dict[str, dict[str, _Tally]] = {}
    for one in slices:
        if stopped():
            return None
        patient = tallies.setdefault(one.patient, {})
        embedding = segmenter.embed(one.image, one.lv_box)
        spacing = one.image.pixel_spacing_mm
        scar = infarct_mask(one.labels)
        alone = segmenter.predict(embedding, SlicePrompts(lv_box=one.lv_box))
        if alone.wall is not None:
            labels = compose_labels(alone, spacing, RULES.automatic_logit, RULES)
            patient.setdefault("automatic", _Tally()).add(infarct_mask(labels), scar, one.voxel_ml)
            true_wall = wall_mask(one.labels)
            patient.setdefault("wall", _Tally()).add(wall_mask(labels), true_wall, one.voxel_ml)
        boxed = np.zeros_like(scar)
        if one.boxes:
            logits = segmenter.predict(embedding, SlicePrompts(one.boxes, (), one.lv_box))
            labels = compose_labels(logits, spacing, RULES.prompted_logit, RULES)
            boxed = infarct_mask(labels)
        patient.setdefault("box", _Tally()).add(boxed, scar, one.voxel_ml)
    return _figures(list(tallies.values()))


def _figures(patients: list[dict[str, _Tally]]) -> dict[str, float] | None:
    sick = [p for p in patients if p["box"].ml[2] > 0]
    well = [p for p in patients if p["box"].ml[2] == 0 and "automatic" in p]
    automatic = [p["automatic"] for p in patients if "automatic" in p]
    parts = []
    if automatic:
        parts.append(np.mean([tally.dice(SOFTENING_ML) for tally in automatic]))
    if sick:
        parts.append(np.mean([p["box"].dice(SOFTENING_ML) for p in sick]))
    if not parts:
        return None
    figures = {"score": float(np.mean(parts))}
    for name in ("automatic", "box"):
        values = [p[name].dice() for p in sick if name in p]
        if values:
            figures[f"{name}_dice"] = float(np.mean(values))
    walls = [p["wall"].dice() for p in patients if "wall" in p]
    if walls:
        figures["wall_dice"] = float(np.mean(walls))
    if well:
        figures["false_scar_ml"] = float(np.mean([p["automatic"].ml[1] for p in well]))
    return figures
