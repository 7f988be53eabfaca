"""From the spreads of slices to the interval of a stack's scar mass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from scarseg.case import Case
from scarseg.interval.rule import RULE, IntervalRule
from scarseg.interval.spreads import LEVELS, Floats, SliceSpread, drawn_spread, varied_spread
from scarseg.interval.variation import Footing, footing_of, variation_of
from scarseg.labels import infarct_mask
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.models import Embedding, Models
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm


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
    spreads = [
        slice_spread(case, k, models, embedding, rule, sure)
        for k, embedding in enumerate(embeddings)
    ]
    return interval_of(case, spreads, convention, density_g_per_ml, rule)


def slice_spread(
    case: Case,
    slice_index: int,
    models: Models,
    embedding: Embedding | None,
    rule: IntervalRule = RULE,
    sure: Collection[int] = (),
) -> SliceSpread | None:
    """Vary one slice of a case as it stands; None where its mass is certain."""
    labels = case.labels[slice_index]
    if footing_of(case, slice_index, embedding is not None, sure) is Footing.DRAWN:
        return drawn_spread(labels, case.stack.pixel_spacing_mm, rule)
    if embedding is None:
        return None
    variation = variation_of(case, slice_index, embedding.lv_box, sure, rule)
    return None if variation is None else varied_spread(models, embedding, variation, labels)


def interval_of(
    case: Case,
    spreads: Sequence[SliceSpread | None],
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
    spreads: Sequence[SliceSpread | None],
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


def _sampled(spread: SliceSpread, draws: Floats, levels: Floats) -> Floats:
    """Take voxels at a draw (0 to 1) and a level, between the levels that were cut."""
    rows = np.minimum((draws * len(spread.voxels)).astype(np.int64), len(spread.voxels) - 1)
    place = np.interp(levels, LEVELS, np.arange(len(LEVELS), dtype=np.float64))
    below = np.minimum(place.astype(np.int64), len(LEVELS) - 2)
    part = place - below
    found: Floats = spread.voxels[rows, below] * (1 - part) + spread.voxels[rows, below + 1] * part
    return found
