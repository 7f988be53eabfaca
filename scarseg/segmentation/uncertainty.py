"""Vary the prompts of one slice: the rule of the interval, and redrawn prompts and levels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.segmentation.proposal import RULES, ProposalRules


@dataclass(frozen=True)
class IntervalRule:
    """Every constant of the interval.

    The standard deviations of the level are calibrated so that the interval contains the
    reference in about ``nominal`` of patients, predicted by weights not trained on them: five folds
    over the 75 patients of EMIDEC (``benchmarks/interval.py --folds``), of which it holds 89 %
    without prompts, 95 % with boxes and 91 % after three clicks; of the 50 with scar 88, 92 and
    86 %.

    Args:
        nominal: share of patients whose reference the interval should contain.
        n_draws: how many redrawn sets of prompts a slice gets, beside the given ones.
        box_edge: each edge of a redrawn box is off by a normal error of this share of the side.
        click_mm: each redrawn click is off by a normal error of this length, per axis.
        corrected_level_sd: standard deviation of the logit at which the mask is cut, where a
            reader corrected with points; half of its variance is the whole stack's, half every
            slice's own.
        boxed_level_sd: the same where a reader drew boxes alone.
        automatic_level_sd: the same without prompts of a reader.
        automatic_level_shift: how much lower than usual the mean level then is, where proposals
            miss faint scar more often than they add false scar.
        contour_sd_mm: standard deviation of the contour of manually drawn scar.
        n_samples: how many stacks are sampled.
        seed: fixed, so that the same case gets the same interval.
    """

    nominal: float = 0.9
    n_draws: int = 5
    box_edge: float = 0.05
    click_mm: float = 1.5
    corrected_level_sd: float = 0.65
    boxed_level_sd: float = 1.5
    automatic_level_sd: float = 2.0
    automatic_level_shift: float = 0.0
    contour_sd_mm: float = 0.7
    n_samples: int = 4000
    seed: int = 7

    @property
    def name(self) -> str:
        """Text of the rule with all its constants, as exported beside the interval."""
        shift = f" ({-self.automatic_level_shift:+g})" if self.automatic_level_shift else ""
        return (
            f"{self.nominal:.0%} by {self.n_draws} redrawn prompts (box edges {self.box_edge:.0%},"
            f" clicks {self.click_mm:g} mm) and logit level SD {self.corrected_level_sd:g}"
            f" corrected, {self.boxed_level_sd:g} boxed, {self.automatic_level_sd:g} automatic"
            f"{shift}; contours drawn by hand SD {self.contour_sd_mm:g} mm"
        )


RULE = IntervalRule()


class MassBasis(StrEnum):
    """Basis of the scar mass of a slice, which decides how it varies."""

    CERTAIN = "certain"
    """Marked "no scar" by a reader, or nothing to vary."""
    PROMPTED = "prompted"
    """Predicted from prompts that a reader drew."""
    PROPOSED = "proposed"
    """Proposed by the models without prompts of a reader, who may have accepted it."""
    DRAWN = "drawn"
    """Drawn manually, or the models have not run."""


@dataclass(frozen=True)
class PromptVariation:
    """Sets of prompts to predict for one slice, and the distribution of the logit level.

    The first of ``prompts`` is the given one. ``level`` is the usual threshold of the logits,
    ``level_sd`` and ``level_shift`` the distribution of others about it. Islands
    smaller than ``island_mm2`` do not count. ``withheld``: scar of the prediction was withheld, so
    that the labels do not say how much it found.
    """

    prompts: tuple[SlicePrompts, ...]
    level: float
    level_sd: float
    level_shift: float = 0.0
    island_mm2: float = 0.0
    withheld: bool = False


def mass_basis(
    case: Case, slice_index: int, embedded: bool, sure: Collection[int] = ()
) -> MassBasis:
    """Return the basis of the scar mass of a slice.

    Args:
        embedded: the models have run on the slice.
        sure: slices whose mass is certain for another reason.
    """
    reading: SliceReading = case.readings[slice_index]
    status, prompts = reading.status, reading.prompts
    infarct = bool(infarct_mask(case.labels[slice_index]).any())
    if status in (SliceStatus.NO_SCAR, SliceStatus.NOT_ASSESSABLE) or (status.read and not infarct):
        return MassBasis.CERTAIN
    if slice_index in sure:
        return MassBasis.CERTAIN
    if embedded and prompts.asks_for_scar:
        return MassBasis.PROMPTED
    # A reader who agrees knows no more than the models: the interval must not change by it.
    agreed = case.proposed[slice_index] is not None and not case.differs_from_proposal(slice_index)
    if embedded and (not reading.protected or (status.read and (agreed or prompts.boxes))):
        return MassBasis.PROPOSED
    return MassBasis.DRAWN if infarct else MassBasis.CERTAIN


def slice_variation(
    case: Case,
    slice_index: int,
    lv_box: Box | None,
    sure: Collection[int] = (),
    rule: IntervalRule = RULE,
    rules: ProposalRules = RULES,
) -> PromptVariation | None:
    """Return the variation of a slice that the models have run on; None where it has none.

    Args:
        lv_box: box round which the slice is embedded.
        sure: slices whose mass is certain for another reason.
        rules: those by which the slice was proposed, here and below.
    """
    footing = mass_basis(case, slice_index, True, sure)
    if footing is MassBasis.PROMPTED:
        prompts, stack = case.readings[slice_index].prompts, case.stack
        shape = (stack.rows, stack.columns)
        return prompted_variation(prompts, shape, stack.pixel_spacing_mm, slice_index, rule, rules)
    if footing is not MassBasis.PROPOSED:
        return None
    withheld = case.readings[slice_index].scar_withheld
    return replace(proposed_variation(lv_box, rule, rules), withheld=withheld)


def prompted_variation(
    prompts: SlicePrompts,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    slice_index: int,
    rule: IntervalRule = RULE,
    rules: ProposalRules = RULES,
) -> PromptVariation:
    """Redraw the prompts of a slice as other readers would.

    Args:
        shape: of the slice, (row, column); clicks stay within it.
        slice_index: part of the seed, so that slices have different draws.
    """
    rng = np.random.default_rng([rule.seed, slice_index])
    redrawn = [_redrawn(prompts, shape, pixel_spacing_mm, rng, rule) for _ in range(rule.n_draws)]
    level_sd = rule.corrected_level_sd if prompts.scar_points else rule.boxed_level_sd
    return PromptVariation((prompts, *redrawn), rules.prompted_logit, level_sd)


def proposed_variation(
    lv_box: Box | None, rule: IntervalRule = RULE, rules: ProposalRules = RULES
) -> PromptVariation:
    """Return the variation without any prompt: scar far from the proposed boxes counts too."""
    return PromptVariation(
        (SlicePrompts(lv_box=lv_box),),
        rules.automatic_logit,
        rule.automatic_level_sd,
        -rule.automatic_level_shift,
        rules.island_mm2,
    )


def _redrawn(
    prompts: SlicePrompts,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
    rule: IntervalRule,
) -> SlicePrompts:
    """Redraw one set of prompts as another reader would."""
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
