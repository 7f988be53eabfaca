"""Compute the interval of the scar mass from redrawn prompts and shifted logit levels.

Every slice is predicted again with prompts as another reader would draw them, and every
prediction is cut at several levels: its spread of voxel counts. The spreads of the slices are
combined by Monte Carlo; the interval holds the middle ``nominal`` share of the sampled masses.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.labels import LabelArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention, MassInterval
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.models import Embedding, Logits, Models
from scarseg.progress import Progress, silent
from scarseg.quant.components import remove_islands, window_around
from scarseg.quant.mass import MM3_PER_ML, headline_convention, slice_depths_mm
from scarseg.segmentation.calibration import rules_of
from scarseg.segmentation.predict import predict
from scarseg.segmentation.proposal import split_heart
from scarseg.segmentation.uncertainty import (
    RULE,
    IntervalRule,
    MassBasis,
    PromptVariation,
    mass_basis,
    prompted_variation,
    proposed_variation,
    slice_variation,
)

Floats = npt.NDArray[np.float64]

LEVELS: Floats = 14.0 * np.linspace(-1.0, 1.0, 49) * np.abs(np.linspace(-1.0, 1.0, 49))
"""Offsets from the usual level at which a prediction is cut: fine near 0, coarse far away."""
_ZERO_OFFSET = len(LEVELS) // 2


@dataclass(frozen=True, eq=False)
class SliceMassSpread:
    """Spread of the number of infarct voxels of a slice.

    ``voxels`` float64 (draw, level): the count at each of ``LEVELS``, less that of the given
    prompts at the usual level, plus that of the labels (unless scar was withheld); never negative.
    ``level_sd`` and
    ``level_shift`` are the distribution of levels, in logits (in mm for a manual contour).
    """

    voxels: Floats
    level_sd: float
    level_shift: float = 0.0


def count_at_levels(
    models: Models, embedding: Embedding, variation: PromptVariation, draw: int
) -> Floats:
    """Predict one draw of prompts and count scar voxels at every level, float64 (level,).

    Scar counts within the wall of the same prediction.
    """
    logits = predict(models, embedding, variation.prompts[draw])
    spacing = embedding.pixel_spacing_mm
    return _counts(logits, variation.level, spacing, variation.island_mm2)


def mass_spread(
    variation: PromptVariation, rows: Sequence[Floats], labels: LabelArray
) -> SliceMassSpread:
    """Return the spread of a slice from the counts of all its predictions.

    Args:
        rows: of :func:`count_at_levels`, one per draw of prompts.
        labels: uint8 (row, column) of the slice; what a manual edit changed after the prediction
            stays as a difference.
    """
    if variation.withheld:
        return SliceMassSpread(np.array(rows), variation.level_sd, variation.level_shift)
    return _around(rows, labels, variation.level_sd, variation.level_shift)


def prompted_spread(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    slice_index: int,
    rule: IntervalRule = RULE,
) -> SliceMassSpread:
    """Redraw the prompts of one slice and cut every prediction at several levels."""
    shape = embedding.shape
    variation = prompted_variation(
        prompts, shape, pixel_spacing_mm, slice_index, rule, rules_of(models)
    )
    return varied_spread(models, embedding, variation, labels)


def proposed_spread(
    models: Models, embedding: Embedding, labels: LabelArray, rule: IntervalRule = RULE
) -> SliceMassSpread:
    """Cut the prediction without any prompt at several levels."""
    variation = proposed_variation(embedding.lv_box, rule, rules_of(models))
    return varied_spread(models, embedding, variation, labels)


def varied_spread(
    models: Models, embedding: Embedding, variation: PromptVariation, labels: LabelArray
) -> SliceMassSpread:
    """Predict all draws of prompts of a slice."""
    draws = range(len(variation.prompts))
    return mass_spread(
        variation, [count_at_levels(models, embedding, variation, n) for n in draws], labels
    )


def drawn_spread(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float], rule: IntervalRule = RULE
) -> SliceMassSpread:
    """Move the contour of manually drawn scar in and out, within the wall if there is one."""
    infarct = infarct_mask(labels)
    distance = ndimage.distance_transform_edt(~infarct, sampling=pixel_spacing_mm)
    distance -= ndimage.distance_transform_edt(infarct, sampling=pixel_spacing_mm)
    # The centre of a voxel lies half a voxel inside its own contour.
    half = sum(pixel_spacing_mm) / 4
    distance = np.where(infarct, distance + half, distance - half)
    wall = wall_mask(labels)
    room = wall if wall[~infarct].any() else np.ones_like(wall)
    counts = np.searchsorted(np.sort(distance[room]), -LEVELS, "left").astype(np.float64)
    return _around([counts], labels, rule.contour_sd_mm)


def _around(
    rows: Sequence[Floats], labels: LabelArray, level_sd: float, level_shift: float = 0.0
) -> SliceMassSpread:
    """Centre the counts of all draws, the first being the given prompts, on the labels' count."""
    current = np.count_nonzero(infarct_mask(labels))
    voxels = np.array(rows) - rows[0][_ZERO_OFFSET] + current
    return SliceMassSpread(np.maximum(voxels, 0.0), level_sd, level_shift)


def _counts(
    logits: Logits, level: float, pixel_spacing_mm: tuple[float, float], island_mm2: float
) -> Floats:
    """Count scar voxels within the prediction's own wall at every level."""
    scar, room = logits.scar, np.ones(logits.scar.shape, dtype=bool)
    if logits.wall is not None:
        room = split_heart(logits)[0]
    inside = np.sort(scar[room])
    above = (inside.size - np.searchsorted(inside, level + LEVELS, "right")).astype(np.float64)
    if not island_mm2 or not inside.size:
        return above
    box = window_around(room, pixel_spacing_mm)
    scar, room = scar[box], room[box]
    n_above = above.copy()
    for n, off in enumerate(LEVELS):
        if n_above[n] == 0:
            break
        if n and n_above[n] == n_above[n - 1]:  # the same pixels
            above[n] = above[n - 1]
            continue
        large = remove_islands((scar > level + off) & room, pixel_spacing_mm, island_mm2)
        above[n] = np.count_nonzero(large)
    return above


def case_interval(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    rule: IntervalRule = RULE,
    sure: Collection[int] = (),
) -> MassInterval:
    """Compute the interval of a case.

    A slice that a reader prompted or accepted varies with its prompts; an unread one with the
    level alone, but more widely; scar drawn manually without any prompt with its contour. Where
    a reader marked "no scar" or "not assessable" the mass is certain.

    Args:
        embeddings: of every slice; None where the models have not run: its scar then counts as
            drawn manually.
        sure: slices whose mass is certain for another reason.
    """
    convention = headline_convention(case.stack, convention)
    # Scar varies about the labels there are: by the rules that made them.
    models = replace(models, calibration=case.calibration)
    spreads = [
        slice_spread(case, k, models, embedding, rule, sure)
        for k, embedding in enumerate(embeddings)
    ]
    return interval_from_spreads(case, spreads, convention, density_g_per_ml, rule)


def slice_spread(
    case: Case,
    slice_index: int,
    models: Models,
    embedding: Embedding | None,
    rule: IntervalRule = RULE,
    sure: Collection[int] = (),
) -> SliceMassSpread | None:
    """Return the spread of one slice of a case; None where its mass is certain."""
    labels = case.labels[slice_index]
    if mass_basis(case, slice_index, embedding is not None, sure) is MassBasis.DRAWN:
        return drawn_spread(labels, case.stack.pixel_spacing_mm, rule)
    if embedding is None:
        return None
    variation = slice_variation(case, slice_index, embedding.lv_box, sure, rule, rules_of(models))
    return None if variation is None else varied_spread(models, embedding, variation, labels)


def interval_from_spreads(
    case: Case,
    spreads: Sequence[SliceMassSpread | None],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    rule: IntervalRule = RULE,
) -> MassInterval:
    """Compute the interval of a case from the spreads of its slices."""
    spacing = case.stack.pixel_spacing_mm
    per_mm = density_g_per_ml / MM3_PER_ML * spacing[0] * spacing[1]
    voxel_g = [per_mm * depth for depth in slice_depths_mm(case.stack, convention)]
    counts = [int(np.count_nonzero(infarct_mask(labels))) for labels in case.labels]
    return mass_interval(spreads, counts, voxel_g, rule, convention)


def mass_interval(
    spreads: Sequence[SliceMassSpread | None],
    counts: Sequence[int],
    voxel_g: Sequence[float],
    rule: IntervalRule = RULE,
    convention: MassConvention = MassConvention.THICKNESS,
) -> MassInterval:
    """Sample stacks from the slices' spreads; return the middle ``nominal`` of their masses.

    Half of the variance of the level is common to the whole stack, half is each slice's own;
    draws of prompts are independent. The interval always contains the mass of the labels.

    Args:
        spreads: one per slice; None where the mass is certain (marked "no scar" by a reader).
        counts: infarct voxels per slice.
        voxel_g: grams per voxel of each slice, in the convention wanted.
    """
    rng = np.random.default_rng(rule.seed)
    n = rule.n_samples
    shared = rng.standard_normal(n)
    tail = 50 * (1 - rule.nominal)
    total = np.zeros(n)
    slices = []
    for spread, count, grams in zip(spreads, counts, voxel_g, strict=True):
        masses = np.full(n, count * grams)
        draws, own = rng.random(n), rng.standard_normal(n)
        if spread is not None:
            levels = spread.level_shift + spread.level_sd * np.sqrt(0.5) * (shared + own)
            masses = grams * _sampled(spread, draws, levels)
        total += masses
        low, high = np.percentile(masses, (tail, 100 - tail))
        slices.append((min(float(low), count * grams), max(float(high), count * grams)))
    current = sum(count * grams for count, grams in zip(counts, voxel_g, strict=True))
    low, high = np.percentile(total, (tail, 100 - tail))
    ends = min(float(low), current), max(float(high), current)
    return MassInterval(*ends, tuple(slices), rule.name, convention)


def _sampled(spread: SliceMassSpread, draws: Floats, levels: Floats) -> Floats:
    """Return voxel counts at a draw (0 to 1) and a level, interpolated between the levels."""
    rows = np.minimum((draws * len(spread.voxels)).astype(np.int64), len(spread.voxels) - 1)
    place = np.interp(levels, LEVELS, np.arange(len(LEVELS), dtype=np.float64))
    below = np.minimum(place.astype(np.int64), len(LEVELS) - 2)
    part = place - below
    found: Floats = spread.voxels[rows, below] * (1 - part) + spread.voxels[rows, below + 1] * part
    return found


def last_crop_boxes(case: Case) -> dict[int, Box | None]:
    """Return the box round which each slice was embedded last; other slices are left out.

    It comes from the record; where the step is no longer kept, from the slice's prompts.
    """
    boxes: dict[int, Box | None] = {
        k: reading.prompts.lv_box
        for k, reading in enumerate(case.readings)
        if reading.prompts.lv_box is not None
    }
    for step in case.record.steps:
        if step.model_run is not None:
            boxes[step.slice_index] = step.model_run.lv_box
    return boxes


def slices_to_embed(
    case: Case, embedded: Collection[int], sure: Collection[int] = ()
) -> dict[int, Box | None]:
    """Return the slices whose spread needs an embedding that is missing, with its box."""
    predicted = (MassBasis.PROMPTED, MassBasis.PROPOSED)
    return {
        k: box
        for k, box in sorted(last_crop_boxes(case).items())
        if k not in embedded and mass_basis(case, k, True, sure) in predicted
    }


def embed_missing(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    progress: Progress = silent,
) -> list[Embedding | None]:
    """Embed the slices whose spread needs it, so that an interval never depends on the session.

    Args:
        embeddings: one per slice, None where there is none.
        progress: called before every slice; may raise Cancelled.
    """
    found = list(embeddings)
    wanted = slices_to_embed(case, [k for k, one in enumerate(found) if one is not None])
    for n, (k, box) in enumerate(wanted.items()):
        progress(n / len(wanted), f"Looking at slice {k + 1} again")
        found[k] = models.segmenter.embed(case.stack.image(k), box)
    return found
