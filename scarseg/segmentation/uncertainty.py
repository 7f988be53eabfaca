"""What the models are asked about one slice to see how else it might have been answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.segmentation.proposal import RULES


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
        """Name the rule, all its parts, as it stands beside an exported number."""
        return (
            f"{self.nominal:.0%} by {self.n_draws} redrawn prompts (box edges {self.box_edge:.0%},"
            f" clicks {self.click_mm:g} mm) and logit level SD {self.corrected_level_sd:g}"
            f" corrected, {self.boxed_level_sd:g} boxed, {self.automatic_level_sd:g} automatic"
            f" ({-self.automatic_level_shift:+g}); contours drawn by hand SD"
            f" {self.contour_sd_mm:g} mm"
        )


RULE = IntervalRule()


class MassBasis(StrEnum):
    """What the scar mass of a slice rests on."""

    CERTAIN = "certain"
    """No scar, by a reader's word, or nothing there to vary."""
    PROMPTED = "prompted"
    """A reader asked for it, or accepted what was asked for."""
    PROPOSED = "proposed"
    """Nobody has read the slice."""
    DRAWN = "drawn"
    """A hand drew it, or the models have not looked."""


@dataclass(frozen=True)
class PromptVariation:
    """What to ask about one slice, one question after the other, and how answers are cut.

    The first of ``prompts`` is the one behind what stands there. ``level`` is the logit where
    scar usually begins, ``level_sd`` and ``level_shift`` say how others are drawn. Islands
    smaller than ``island_mm2`` do not count.
    """

    prompts: tuple[SlicePrompts, ...]
    level: float
    level_sd: float
    level_shift: float = 0.0
    island_mm2: float = 0.0


def mass_basis(case: Case, slice_index: int, looked: bool, sure: Collection[int] = ()) -> MassBasis:
    """Say what the scar mass of a slice rests on.

    Args:
        looked: the models have seen the slice and can be asked.
        sure: slices whose mass is certain for another reason.
    """
    reading: SliceReading = case.readings[slice_index]
    status, prompts = reading.status, reading.prompts
    infarct = bool(infarct_mask(case.labels[slice_index]).any())
    if status in (SliceStatus.NO_SCAR, SliceStatus.NOT_ASSESSABLE) or (status.read and not infarct):
        return MassBasis.CERTAIN
    if slice_index in sure:
        return MassBasis.CERTAIN
    mine = bool(prompts.scar_points) or any(box.origin is Origin.READER for box in prompts.boxes)
    if looked and prompts.has_scar_prompts and (mine or status.read):
        return MassBasis.PROMPTED
    if looked and not reading.protected:
        return MassBasis.PROPOSED
    return MassBasis.DRAWN if infarct else MassBasis.CERTAIN


def slice_variation(
    case: Case,
    slice_index: int,
    lv_box: Box | None,
    sure: Collection[int] = (),
    rule: IntervalRule = RULE,
) -> PromptVariation | None:
    """Say what to ask about a slice that the models have seen; None where they have no say.

    Args:
        lv_box: round which the slice is embedded.
        sure: slices whose mass is certain for another reason.
    """
    footing = mass_basis(case, slice_index, True, sure)
    if footing is MassBasis.PROMPTED:
        prompts, stack = case.readings[slice_index].prompts, case.stack
        shape = (stack.rows, stack.columns)
        return prompted_variation(prompts, shape, stack.pixel_spacing_mm, slice_index, rule)
    return proposed_variation(lv_box, rule) if footing is MassBasis.PROPOSED else None


def prompted_variation(
    prompts: SlicePrompts,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    slice_index: int,
    rule: IntervalRule = RULE,
) -> PromptVariation:
    """Draw the prompts of a slice as other hands would.

    Args:
        shape: of the slice, (row, column); clicks stay within it.
        slice_index: makes the draws of a slice its own.
    """
    rng = np.random.default_rng([rule.seed, slice_index])
    redrawn = [_redrawn(prompts, shape, pixel_spacing_mm, rng, rule) for _ in range(rule.n_draws)]
    level_sd = rule.corrected_level_sd if prompts.scar_points else rule.boxed_level_sd
    return PromptVariation((prompts, *redrawn), RULES.prompted_logit, level_sd)


def proposed_variation(lv_box: Box | None, rule: IntervalRule = RULE) -> PromptVariation:
    """Ask without any prompt: scar far from the proposed boxes counts too."""
    return PromptVariation(
        (SlicePrompts(lv_box=lv_box),),
        RULES.automatic_logit,
        rule.automatic_level_sd,
        -rule.automatic_level_shift,
        RULES.island_mm2,
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
