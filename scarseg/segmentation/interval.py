"""How many infarct voxels a slice might have had, by other prompts and at other levels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.labels import LabelArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.models import Embedding, Logits, Models
from scarseg.progress import Progress, silent
from scarseg.quant.components import remove_islands
from scarseg.quant.mass import MM3_PER_ML, headline_convention, slice_depths_mm
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
"""Levels at which every draw is cut, off the usual one: fine near it, coarse far away."""
_USUAL = len(LEVELS) // 2


@dataclass(frozen=True, eq=False)
class SliceMassSpread:
    """How many infarct voxels a slice might have had instead.

    ``voxels`` float64 (draw, level): at each of ``LEVELS``, less what the given prompts make at
    the usual one, plus what stands on the slice; never negative. ``level_sd`` and
    ``level_shift`` say how levels are drawn, in logits (in mm for a contour drawn by hand).
    """

    voxels: Floats
    level_sd: float
    level_shift: float = 0.0


def count_at_levels(
    models: Models, embedding: Embedding, variation: PromptVariation, question: int
) -> Floats:
    """Ask one question and count scar voxels at every level, float64 (level,).

    The answer's scar counts within its own wall.
    """
    logits = predict(models, embedding, variation.prompts[question])
    spacing = embedding.pixel_spacing_mm
    return _counts(logits, variation.level, spacing, variation.island_mm2)


def mass_spread(
    variation: PromptVariation, rows: Sequence[Floats], labels: LabelArray
) -> SliceMassSpread:
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
) -> SliceMassSpread:
    """Redraw the prompts of one slice and cut every answer at several levels."""
    shape = embedding.shape
    variation = prompted_variation(prompts, shape, pixel_spacing_mm, slice_index, rule)
    return varied_spread(models, embedding, variation, labels)


def proposed_spread(
    models: Models, embedding: Embedding, labels: LabelArray, rule: IntervalRule = RULE
) -> SliceMassSpread:
    """Cut what the models say without any prompt at several levels."""
    return varied_spread(models, embedding, proposed_variation(embedding.lv_box, rule), labels)


def varied_spread(
    models: Models, embedding: Embedding, variation: PromptVariation, labels: LabelArray
) -> SliceMassSpread:
    """Ask all questions of a slice."""
    asked = range(len(variation.prompts))
    return mass_spread(
        variation, [count_at_levels(models, embedding, variation, n) for n in asked], labels
    )


def drawn_spread(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float], rule: IntervalRule = RULE
) -> SliceMassSpread:
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
) -> SliceMassSpread:
    """Carry the differences of the draws, the first the given one, to what stands there."""
    stands = np.count_nonzero(infarct_mask(labels))
    voxels = np.array(rows) - rows[0][_USUAL] + stands
    return SliceMassSpread(np.maximum(voxels, 0.0), level_sd, level_shift)


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
        large = remove_islands((scar > level + off) & room, pixel_spacing_mm, island_mm2)
        above[n] = np.count_nonzero(large)
    return above


@dataclass(frozen=True)
class MassInterval:
    """Lower and upper end of the scar mass in g, and of every slice's.

    ``method`` names the rule; ``convention`` is that of the masses.
    """

    low_g: float
    high_g: float
    slices_g: tuple[tuple[float, float], ...]
    method: str
    convention: MassConvention = MassConvention.THICKNESS


def case_interval(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    rule: IntervalRule = RULE,
    sure: Collection[int] = (),
) -> MassInterval:
    """Give the interval of a case as it stands.

    A slice that a reader prompted or accepted varies with its prompts; one that nobody has read,
    with the level alone but more widely; scar that a hand drew without any prompt, with its
    contour. Where a reader says that there is no scar, or that nothing can be said, none is.

    Args:
        embeddings: of every slice; None where the models have not looked: what stands there
            counts as drawn.
        sure: slices whose mass is certain for another reason.
    """
    convention = headline_convention(case.stack, convention)
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
    """Vary one slice of a case as it stands; None where its mass is certain."""
    labels = case.labels[slice_index]
    if mass_basis(case, slice_index, embedding is not None, sure) is MassBasis.DRAWN:
        return drawn_spread(labels, case.stack.pixel_spacing_mm, rule)
    if embedding is None:
        return None
    variation = slice_variation(case, slice_index, embedding.lv_box, sure, rule)
    return None if variation is None else varied_spread(models, embedding, variation, labels)


def interval_from_spreads(
    case: Case,
    spreads: Sequence[SliceMassSpread | None],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    rule: IntervalRule = RULE,
) -> MassInterval:
    """Give the interval of a case whose slices were varied: one spread each."""
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
    """Put stacks together from the slices' draws; give the middle ``nominal`` of their masses.

    The level moves with the whole stack and on every slice by itself; draws are independent. The
    interval always holds the mass as it stands.

    Args:
        spreads: one per slice; None where the mass is certain (no scar, by a reader's word).
        counts: infarct voxels per slice as they stand.
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
    stands = sum(count * grams for count, grams in zip(counts, voxel_g, strict=True))
    low, high = np.percentile(total, (tail, 100 - tail))
    ends = min(float(low), stands), max(float(high), stands)
    return MassInterval(*ends, tuple(slices), rule.name, convention)


def _sampled(spread: SliceMassSpread, draws: Floats, levels: Floats) -> Floats:
    """Take voxels at a draw (0 to 1) and a level, between the levels that were cut."""
    rows = np.minimum((draws * len(spread.voxels)).astype(np.int64), len(spread.voxels) - 1)
    place = np.interp(levels, LEVELS, np.arange(len(LEVELS), dtype=np.float64))
    below = np.minimum(place.astype(np.int64), len(LEVELS) - 2)
    part = place - below
    found: Floats = spread.voxels[rows, below] * (1 - part) + spread.voxels[rows, below + 1] * part
    return found


def last_crop_boxes(case: Case) -> dict[int, Box | None]:
    """Give the box round which each slice was embedded last; slices never looked at are left out.

    The record knows; where it had to forget, the box among the slice's prompts is the one.
    """
    looks: dict[int, Box | None] = {
        k: reading.prompts.lv_box
        for k, reading in enumerate(case.readings)
        if reading.prompts.lv_box is not None
    }
    for step in case.record.steps:
        if step.model_run is not None:
            looks[step.slice_index] = step.model_run.lv_box
    return looks


def slices_to_embed(
    case: Case, embedded: Collection[int], sure: Collection[int] = ()
) -> dict[int, Box | None]:
    """Name the slices whose spread needs an embedding that is not there, and the box for it."""
    asked = (MassBasis.PROMPTED, MassBasis.PROPOSED)
    return {
        k: box
        for k, box in sorted(last_crop_boxes(case).items())
        if k not in embedded and mass_basis(case, k, True, sure) in asked
    }


def embed_missing(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    progress: Progress = silent,
) -> list[Embedding | None]:
    """Embed the slices whose spread needs it, so that an interval is the same whenever it is made.

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
