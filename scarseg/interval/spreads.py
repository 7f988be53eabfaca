"""How many infarct voxels a slice might have had, by other prompts and at other levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.asking import predict
from scarseg.interval.rule import RULE, IntervalRule
from scarseg.interval.variation import Variation, prompted_variation, proposed_variation
from scarseg.labels import LabelArray, infarct_mask, wall_mask
from scarseg.models import Embedding, Logits, Models
from scarseg.prompts import SlicePrompts
from scarseg.proposal import split_heart
from scarseg.quant.components import without_islands

Floats = npt.NDArray[np.float64]

LEVELS: Floats = 14.0 * np.linspace(-1.0, 1.0, 49) * np.abs(np.linspace(-1.0, 1.0, 49))
"""Levels at which every draw is cut, off the usual one: fine near it, coarse far away."""
_USUAL = len(LEVELS) // 2


@dataclass(frozen=True, eq=False)
class SliceSpread:
    """How many infarct voxels a slice might have had instead.

    ``voxels`` float64 (draw, level): at each of ``LEVELS``, less what the given prompts make at
    the usual one, plus what stands on the slice; never negative. ``level_sd`` and
    ``level_shift`` say how levels are drawn, in logits (in mm for a contour drawn by hand).
    """

    voxels: Floats
    level_sd: float
    level_shift: float = 0.0


def cut_answer(models: Models, embedding: Embedding, variation: Variation, question: int) -> Floats:
    """Ask one question and count scar voxels at every level, float64 (level,).

    The answer's scar counts within its own wall.
    """
    logits = predict(models, embedding, variation.questions[question])
    spacing = embedding.pixel_spacing_mm
    return _counts(logits, variation.level, spacing, variation.island_mm2)


def spread_of(variation: Variation, rows: Sequence[Floats], labels: LabelArray) -> SliceSpread:
    """Carry the differences of all answers to what stands on the slice.

    Args:
        rows: of :func:`cut_answer`, one per question.
        labels: uint8 (row, column), the slice as it stands; what a hand changed after the answer
            is kept as a difference.
    """
    return _around(rows, labels, variation.level_sd, variation.level_shift)


def prompted_spread(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    slice_index: int,
    rule: IntervalRule = RULE,
) -> SliceSpread:
    """Redraw the prompts of one slice and cut every answer at several levels."""
    shape = embedding.shape
    variation = prompted_variation(prompts, shape, pixel_spacing_mm, slice_index, rule)
    return varied_spread(models, embedding, variation, labels)


def proposed_spread(
    models: Models, embedding: Embedding, labels: LabelArray, rule: IntervalRule = RULE
) -> SliceSpread:
    """Cut what the models say without any prompt at several levels."""
    return varied_spread(models, embedding, proposed_variation(embedding.lv_box, rule), labels)


def varied_spread(
    models: Models, embedding: Embedding, variation: Variation, labels: LabelArray
) -> SliceSpread:
    """Ask all questions of a slice."""
    asked = range(len(variation.questions))
    return spread_of(
        variation, [cut_answer(models, embedding, variation, n) for n in asked], labels
    )


def drawn_spread(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float], rule: IntervalRule = RULE
) -> SliceSpread:
    """Move the contour of scar that a hand drew in and out, within the wall if there is one."""
    infarct = infarct_mask(labels)
    distance = ndimage.distance_transform_edt(~infarct, sampling=pixel_spacing_mm)
    distance -= ndimage.distance_transform_edt(infarct, sampling=pixel_spacing_mm)
    # A voxel's middle lies half a voxel within its own contour.
    half = sum(pixel_spacing_mm) / 4
    distance = np.where(infarct, distance + half, distance - half)
    wall = wall_mask(labels)
    room = wall if wall[~infarct].any() else np.ones_like(wall)
    counts = np.searchsorted(np.sort(distance[room]), -LEVELS, "left").astype(np.float64)
    return _around([counts], labels, rule.contour_sd_mm)


def _around(
    rows: Sequence[Floats], labels: LabelArray, level_sd: float, level_shift: float = 0.0
) -> SliceSpread:
    """Carry the differences of the draws, the first the given one, to what stands there."""
    stands = np.count_nonzero(infarct_mask(labels))
    voxels = np.array(rows) - rows[0][_USUAL] + stands
    return SliceSpread(np.maximum(voxels, 0.0), level_sd, level_shift)


def _counts(
    logits: Logits, level: float, pixel_spacing_mm: tuple[float, float], island_mm2: float
) -> Floats:
    """Count scar voxels within the answer's own wall at every level."""
    scar, room = logits.scar, np.ones(logits.scar.shape, dtype=bool)
    if logits.wall is not None:
        room = split_heart(logits)[0]
    inside = np.sort(scar[room])
    above = (inside.size - np.searchsorted(inside, level + LEVELS, "right")).astype(np.float64)
    if not island_mm2 or not inside.size:
        return above
    box = ndimage.find_objects(room.astype(np.uint8))[0]
    scar, room = scar[box], room[box]
    for n, off in enumerate(LEVELS):
        if above[n] == 0:
            break
        large = without_islands((scar > level + off) & room, pixel_spacing_mm, island_mm2)
        above[n] = np.count_nonzero(large)
    return above
