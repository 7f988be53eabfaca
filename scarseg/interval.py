"""An interval beside the gram: what other prompts and other levels would have made of it.

A mask is one answer out of many. A second reader draws the box a little otherwise, and the level
at which the segmenter's logits are cut is a choice. Both are varied here, cheaply, since the
slices are embedded already, and the spread of the mass is the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.asking import predict
from scarseg.case import Case, SliceReading, SliceStatus
from scarseg.labels import LabelArray, infarct_mask, wall_mask
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.models import Embedding, Logits, Models
from scarseg.prompts import Box, Origin, Point, SlicePrompts
from scarseg.proposal import RULES, split_heart
from scarseg.quant.components import without_islands
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IntervalRule:
    """How the interval is made; every figure of it.

    The levels' spreads make it hold the reference in ``nominal`` of patients with scar, read by
    weights that never saw them: five folds of EMIDEC without the patients kept for validation
    (``benchmarks/interval.py --folds``).

    Args:
        nominal: the share of patients whose reference the interval should hold.
        n_draws: how often a second reader's prompts are drawn on a slice, beside the given ones.
        box_edge: each edge of a redrawn box is off by a normal error of this share of the side.
        click_mm: each redrawn click is off by a normal error of this length, per axis.
        corrected_level_sd: standard deviation of the logit at which the mask is cut, where a
            reader corrected with points; half of its variance is the whole stack's, half every
            slice's own.
        boxed_level_sd: the same where a reader asked with boxes alone.
        automatic_level_sd: the same where no reader has asked.
        automatic_level_shift: ... and how much lower than usual the cut then is in the middle,
            since proposals miss faint scar far more often than they invent any.
        contour_sd_mm: standard deviation of the contour of scar that a hand drew.
        n_samples: how many stacks are put together from the slices' draws.
        seed: the same case gives the same interval.
    """

    nominal: float = 0.9
    n_draws: int = 5
    box_edge: float = 0.05
    click_mm: float = 1.5
    corrected_level_sd: float = 0.65
    boxed_level_sd: float = 1.85
    automatic_level_sd: float = 2.0
    automatic_level_shift: float = 1.0
    contour_sd_mm: float = 0.7
    n_samples: int = 4000
    seed: int = 7

    @property
    def name(self) -> str:
        """Name the rule as it stands beside an exported number."""
        levels = (self.corrected_level_sd, self.boxed_level_sd, self.automatic_level_sd)
        return (
            f"{self.nominal:.0%} by {self.n_draws} redrawn prompts and logit level SD "
            + "/".join(f"{each:g}" for each in levels)
        )


RULE = IntervalRule()
_LEVELS: Floats = 14.0 * np.linspace(-1.0, 1.0, 49) * np.abs(np.linspace(-1.0, 1.0, 49))
"""Levels at which every draw is cut, off the usual one: fine near it, coarse far away."""
_USUAL = len(_LEVELS) // 2


@dataclass(frozen=True, eq=False)
class SliceSpread:
    """How many infarct voxels a slice might have had instead.

    ``voxels`` float64 (draw, level): at each of ``_LEVELS``, less what the given prompts make at
    the usual one, plus what stands on the slice; never negative. ``level_sd`` and
    ``level_shift`` say how levels are drawn, in logits (in mm for a contour drawn by hand).
    """

    voxels: Floats
    level_sd: float
    level_shift: float = 0.0


@dataclass(frozen=True)
class MassInterval:
    """Lower and upper end of the scar mass in g, and of every slice's."""

    low_g: float
    high_g: float
    slices_g: tuple[tuple[float, float], ...]
    method: str


def case_interval(
    case: Case,
    models: Models,
    embeddings: Sequence[Embedding | None],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    rule: IntervalRule = RULE,
) -> MassInterval:
    """Give the interval of a case as it stands.

    A slice that a reader prompted or accepted varies with its prompts; one that nobody has read,
    with the level alone but more widely; scar that a hand drew without any prompt, with its
    contour. Where a reader says that there is no scar, or that nothing can be said, none is.

    Args:
        embeddings: of every slice; None where the models have not looked: what stands there
            counts as drawn.
    """
    spacing = case.stack.pixel_spacing_mm
    spreads = [
        _slice_spread(models, one, reading, labels, spacing, k, rule)
        for k, (one, reading, labels) in enumerate(
            zip(embeddings, case.readings, case.labels, strict=True)
        )
    ]
    per_mm = density_g_per_ml / MM3_PER_ML * spacing[0] * spacing[1]
    voxel_g = [per_mm * depth for depth in slice_depths_mm(case.stack, convention)]
    counts = [int(np.count_nonzero(infarct_mask(labels))) for labels in case.labels]
    return mass_interval(spreads, counts, voxel_g, rule)


def _slice_spread(
    models: Models,
    embedding: Embedding | None,
    reading: SliceReading,
    labels: LabelArray,
    spacing: tuple[float, float],
    k: int,
    rule: IntervalRule,
) -> SliceSpread | None:
    status, prompts = reading.status, reading.prompts
    infarct = bool(infarct_mask(labels).any())
    if status in (SliceStatus.NO_SCAR, SliceStatus.NOT_ASSESSABLE) or (status.read and not infarct):
        return None
    mine = bool(prompts.scar_points) or any(box.origin is Origin.READER for box in prompts.boxes)
    if embedding is not None and prompts.asks_for_scar and (mine or status.read):
        return prompted_spread(models, embedding, prompts, labels, spacing, k, rule)
    if embedding is not None and not reading.protected:
        return proposed_spread(models, embedding, labels, spacing, rule)
    return drawn_spread(labels, spacing, rule) if infarct else None


def prompted_spread(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    slice_index: int,
    rule: IntervalRule = RULE,
) -> SliceSpread:
    """Redraw the prompts of one slice and cut every answer at several levels.

    Args:
        labels: uint8 (row, column), the slice as it stands; what a hand changed after the answer
            is kept as a difference.
        slice_index: makes the draws of a slice its own.
    """
    rng = np.random.default_rng([rule.seed, slice_index])
    base = _counts(predict(models, embedding, prompts), RULES.prompted_logit)
    rows = [base]
    for _ in range(rule.n_draws):
        redrawn = _redrawn(prompts, embedding.shape, pixel_spacing_mm, rng, rule)
        rows.append(_counts(predict(models, embedding, redrawn), RULES.prompted_logit))
    level_sd = rule.corrected_level_sd if prompts.scar_points else rule.boxed_level_sd
    return _around(rows, labels, level_sd)


def proposed_spread(
    models: Models,
    embedding: Embedding,
    labels: LabelArray,
    pixel_spacing_mm: tuple[float, float],
    rule: IntervalRule = RULE,
) -> SliceSpread:
    """Cut what the models say without any prompt at several levels.

    Scar far from the proposed boxes counts too: they may have missed it.
    """
    logits = predict(models, embedding, SlicePrompts(lv_box=embedding.lv_box))
    counts = _counts(logits, RULES.automatic_logit, pixel_spacing_mm, RULES.island_mm2)
    return _around([counts], labels, rule.automatic_level_sd, -rule.automatic_level_shift)


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
    counts = [float(np.count_nonzero((distance < -mm) & room)) for mm in _LEVELS]
    return _around([np.array(counts)], labels, rule.contour_sd_mm)


def mass_interval(
    spreads: Sequence[SliceSpread | None],
    counts: Sequence[int],
    voxel_g: Sequence[float],
    rule: IntervalRule = RULE,
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
    return MassInterval(min(float(low), stands), max(float(high), stands), tuple(slices), rule.name)


def _sampled(spread: SliceSpread, draws: Floats, levels: Floats) -> Floats:
    """Take voxels at a draw (0 to 1) and a level, between the levels that were cut."""
    rows = np.minimum((draws * len(spread.voxels)).astype(np.int64), len(spread.voxels) - 1)
    place = np.interp(levels, _LEVELS, np.arange(len(_LEVELS), dtype=np.float64))
    below = np.minimum(place.astype(np.int64), len(_LEVELS) - 2)
    part = place - below
    found: Floats = spread.voxels[rows, below] * (1 - part) + spread.voxels[rows, below + 1] * part
    return found


def _around(
    rows: Sequence[Floats], labels: LabelArray, level_sd: float, level_shift: float = 0.0
) -> SliceSpread:
    """Carry the differences of the draws, the first the given one, to what stands there."""
    stands = np.count_nonzero(infarct_mask(labels))
    voxels = np.array(rows) - rows[0][_USUAL] + stands
    return SliceSpread(np.maximum(voxels, 0.0), level_sd, level_shift)


def _counts(
    logits: Logits,
    level: float,
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0),
    island_mm2: float = 0.0,
) -> Floats:
    """Count scar voxels within the answer's own wall at every level."""
    room = np.ones(logits.scar.shape, dtype=bool)
    if logits.wall is not None:
        room = split_heart(logits)[0]
    if not island_mm2:
        inside = np.sort(logits.scar[room])
        above: Floats = inside.size - np.searchsorted(inside, level + _LEVELS, "right")
        return above.astype(np.float64)
    return np.array(
        [
            float(
                np.count_nonzero(
                    without_islands(
                        (logits.scar > level + off) & room, pixel_spacing_mm, island_mm2
                    )
                )
            )
            for off in _LEVELS
        ]
    )


def _redrawn(
    prompts: SlicePrompts,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
    rule: IntervalRule,
) -> SlicePrompts:
    """Draw the same prompts as another hand would."""
    boxes = tuple(_redrawn_box(box, rng, rule) for box in prompts.boxes)
    points = tuple(
        _redrawn_point(one, shape, pixel_spacing_mm, rng, rule) for one in prompts.points
    )
    return replace(prompts, boxes=boxes, points=points)


def _redrawn_box(box: Box, rng: np.random.Generator, rule: IntervalRule) -> Box:
    dx0, dx1 = rng.normal(0, rule.box_edge, 2) * box.width
    dy0, dy1 = rng.normal(0, rule.box_edge, 2) * box.height
    column0, row0 = box.column0 + dx0, box.row0 + dy0
    return replace(
        box,
        column0=column0,
        row0=row0,
        column1=max(box.column1 + dx1, column0 + 1.0),
        row1=max(box.row1 + dy1, row0 + 1.0),
    )


def _redrawn_point(
    point: Point,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
    rule: IntervalRule,
) -> Point:
    row_mm, column_mm = pixel_spacing_mm
    dy, dx = rng.normal(0, rule.click_mm, 2)
    column = float(np.clip(point.column + dx / column_mm, 0.0, np.nextafter(shape[1], 0)))
    row = float(np.clip(point.row + dy / row_mm, 0.0, np.nextafter(shape[0], 0)))
    return replace(point, column=column, row=row)
