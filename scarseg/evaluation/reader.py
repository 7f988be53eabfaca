"""Read a stack as the program alone does, and as a reader with boxes and clicks would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.case.labels import (
    Label,
    LabelArray,
    MaskArray,
    infarct_mask,
    wall_mask,
    without_infarct,
)
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.evaluation.prompts import (
    PromptKind,
    PromptStrategy,
    RandomStream,
    reader_boxes,
    reader_points,
    reader_wall,
    rng_for,
)
from scarseg.models import Models, Structure
from scarseg.progress import Progress, silent
from scarseg.quant.components import inside_boxes
from scarseg.quant.thresholds import ThresholdRules, fwhm_mask
from scarseg.segmentation.calibration import rules_of
from scarseg.segmentation.gate import scar_evidence_mm2, withholds_scar
from scarseg.segmentation.pipeline import LocatedHeart, locate_hearts, propose_slice, segment
from scarseg.segmentation.predict import SliceProposal, predict
from scarseg.segmentation.proposal import ProposalRules
from scarseg.training.prompts import bounding_box, corrective_click


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference labels of a stack.

    ``labels`` uint8 (slice, row, column), 0 to 4; ``scar_known``, ``wall_known``,
    ``pool_known``: per slice, what of it is a reference.
    """

    patient: str
    labels: LabelArray
    scar_known: tuple[bool, ...]
    wall_known: tuple[bool, ...]
    pool_known: tuple[bool, ...]

    @property
    def scar(self) -> MaskArray:
        return infarct_mask(self.labels)

    def lv_box(self, k: int) -> Box | None:
        """Return the box round pool and wall of slice ``k``; None where there is none."""
        heart = self.labels[k] > 0
        known = self.wall_known[k] and bool(heart.any())
        return Box(*bounding_box(heart), Origin.READER) if known else None


@dataclass(frozen=True, eq=False)
class StackProposal:
    """Proposal of the program for a stack, slice by slice.

    ``scores_mm2``: how much scar a slice may hold, to rank slices by: the scar probability
    summed over the proposed wall, in mm2; None without a wall to look in. ``evidence_mm2``: of
    scar in the whole stack, :func:`scarseg.segmentation.gate.scar_evidence_mm2`; ``withheld``: it
    is too little, and the reading without a reader is free of scar.
    """

    located: tuple[LocatedHeart, ...]
    proposals: tuple[SliceProposal, ...]
    scores_mm2: tuple[float | None, ...]
    seconds: float
    evidence_mm2: float = 0.0
    withheld: bool = False


@dataclass(frozen=True, eq=False)
class SimulatedReading:
    """One reading of a stack: its labels, its prompts, and the seconds of every prediction."""

    labels: LabelArray
    prompts: tuple[SlicePrompts, ...]
    seconds: tuple[float, ...] = ()

    @property
    def scar(self) -> MaskArray:
        return infarct_mask(self.labels)


def propose_stack(
    stack: Stack,
    models: Models,
    lv_boxes: Sequence[Box | None] | None = None,
    rules: ProposalRules | None = None,
    progress: Progress = silent,
) -> StackProposal:
    """Propose every slice; ``lv_boxes`` replace the search for the heart."""
    rules, begin = rules or rules_of(models), time.perf_counter()
    located = locate_hearts(stack, models, lambda done, what: progress(0.3 * done, what), rules)
    proposals = []
    for k in range(stack.n_slices):
        progress(0.3 + 0.7 * k / stack.n_slices, f"Slice {k + 1} of {stack.n_slices}")
        hint = None if lv_boxes is None else lv_boxes[k]
        proposals.append(propose_slice(stack.image(k), models, hint, rules, located[k]))
    labels = np.stack([one.labels for one in proposals])
    scar = [one.logits.scar for one in proposals]
    evidence_mm2 = scar_evidence_mm2(labels, scar, stack.pixel_spacing_mm)
    walls = all(one.logits.wall is not None for one in proposals)
    withheld = walls and withholds_scar(evidence_mm2, stack.n_slices, rules)
    seconds = time.perf_counter() - begin
    area_mm2 = stack.pixel_spacing_mm[0] * stack.pixel_spacing_mm[1]
    scores = tuple(_score_mm2(models, proposal, area_mm2, rules) for proposal in proposals)
    return StackProposal(located, tuple(proposals), scores, seconds, evidence_mm2, withheld)


def _score_mm2(
    models: Models, proposal: SliceProposal, area_mm2: float, rules: ProposalRules | None
) -> float | None:
    if proposal.logits.wall is None:
        return None
    prompts = SlicePrompts(lv_box=proposal.prompts.lv_box)
    logits = predict(models, proposal.embedding, prompts, rules=rules)
    if logits.wall is None:
        return None
    inside = logits.scar[logits.wall > 0].astype(np.float64)
    return float((1 / (1 + np.exp(-inside))).sum() * area_mm2)


def simulate_reading(
    strategy: PromptStrategy,
    models: Models,
    seen: StackProposal,
    truth: Reference,
    seed: int,
    draw: int = 0,
    rules: ProposalRules | None = None,
) -> list[SimulatedReading]:
    """Read a stack by one strategy; return the reading after each round of clicks.

    A reader knows which slices hold no scar. Slices whose scar is not known keep the proposal.

    Args:
        seed, draw: which hand draws; the same give the same prompts for every model.
    """
    if strategy.kind is PromptKind.AUTO:
        labels = np.stack([proposal.labels for proposal in seen.proposals])
        if seen.withheld:
            labels = without_infarct(labels)
        return [SimulatedReading(labels, tuple(proposal.prompts for proposal in seen.proposals))]
    rounds: list[list[tuple[LabelArray, SlicePrompts, float]]] = []
    for k, proposal in enumerate(seen.proposals):
        if strategy.kind is PromptKind.DETECTOR:
            boxes = tuple(
                replace(one.box, origin=Origin.DETECTOR, score=one.score)
                for one in seen.located[k].detections
                if one.structure is Structure.SCAR
            )
            asked = SlicePrompts(boxes, lv_box=proposal.prompts.lv_box, no_scar=not boxes)
            rounds.append(_answers(models, proposal, asked, rules))
        elif not truth.scar_known[k]:
            rounds.append([(proposal.labels, proposal.prompts, 0.0)])
        else:
            scar = truth.scar[k]
            asked = _drawn(strategy, proposal, scar, truth.patient, k, (seed, draw))
            if strategy.kind is PromptKind.BOX_WALL:
                proposal = _walled(proposal, truth, k, (seed, draw))
            clicking = rng_for(seed, truth.patient, k, draw, RandomStream.CLICKS)
            rounds.append(_answers(models, proposal, asked, rules, scar, strategy.clicks, clicking))
    return [_joined(rounds, n) for n in range(strategy.clicks + 1)]


def _walled(
    proposal: SliceProposal, truth: Reference, k: int, hand: tuple[int, int]
) -> SliceProposal:
    """Return the proposal of slice ``k`` with a reader's wall and pool instead of its labels.

    Unchanged where the reference has no wall or no pool; ``hand`` is (seed, draw).
    """
    pool, heart = truth.labels[k] == Label.BLOOD_POOL, truth.labels[k] > 0
    known = truth.wall_known[k] and truth.pool_known[k]
    if not (known and pool.any() and (heart & ~pool).any()):
        return proposal
    seed, draw = hand
    rng = rng_for(seed, truth.patient, k, draw, RandomStream.CONTOURS)
    spacing_mm = proposal.embedding.pixel_spacing_mm
    inner, wall = reader_wall(pool, heart, spacing_mm, rng)
    labels = np.zeros_like(proposal.labels)
    labels[inner], labels[wall] = Label.BLOOD_POOL, Label.MYOCARDIUM
    return replace(proposal, labels=labels)


def _drawn(
    strategy: PromptStrategy,
    proposal: SliceProposal,
    scar: MaskArray,
    patient: str,
    k: int,
    hand: tuple[int, int],
) -> SlicePrompts:
    """Draw a reader's first prompts on slice ``k``; ``hand`` is (seed, draw)."""
    seed, draw = hand
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    if strategy.kind is not PromptKind.POINT:
        boxes = reader_boxes(scar, rng_for(seed, patient, k, draw, RandomStream.BOXES))
    if strategy.kind in (PromptKind.POINT, PromptKind.BOX_POINTS):
        points = reader_points(scar, rng_for(seed, patient, k, draw, RandomStream.POINTS))
    return SlicePrompts(boxes, points, proposal.prompts.lv_box, no_scar=not scar.any())


def _answers(
    models: Models,
    proposal: SliceProposal,
    asked: SlicePrompts,
    rules: ProposalRules | None,
    scar: MaskArray | None = None,
    n_clicks: int = 0,
    clicking: np.random.Generator | None = None,
) -> list[tuple[LabelArray, SlicePrompts, float]]:
    """Predict from first prompts, then from corrective clicks at the largest error, in order."""
    labels, logits, answers = proposal.labels, proposal.logits, []
    for turn in range(n_clicks + 1):
        if turn and scar is not None and clicking is not None:
            clicks = corrective_click(scar, infarct_mask(labels), clicking) if scar.any() else []
            if not clicks:
                break
            column, row, inside = clicks[0]
            asked = asked.with_point(Point(column, row, bool(inside)))
        begin = time.perf_counter()
        labels, logits = segment(models, proposal.embedding, asked, labels, logits, rules)
        answers.append((labels, asked, time.perf_counter() - begin))
    return answers


def _joined(
    rounds: Sequence[Sequence[tuple[LabelArray, SlicePrompts, float]]], n: int
) -> SimulatedReading:
    """Return the reading after ``n`` clicks."""
    last = [slices[min(n, len(slices) - 1)] for slices in rounds]
    seconds = tuple(one[2] for slices in rounds for one in slices[: n + 1] if one[2])
    return SimulatedReading(
        np.stack([one[0] for one in last]), tuple(one[1] for one in last), seconds
    )


FWHM_RULES = ThresholdRules(maximum_percentile=98)
"""Half-way from remote muscle to a robust maximum: the best of FWHM's readings on EMIDEC's tuning
patients (``benchmarks/thresholds.py``). A comparator should be beaten at its best."""


def read_by_fwhm(stack: Stack, seen: StackProposal, boxed: SimulatedReading) -> SimulatedReading:
    """Read a stack by FWHM with the boxes of another reading as its region."""
    walls = np.stack([wall_mask(proposal.labels) for proposal in seen.proposals])
    regions = np.stack(
        [inside_boxes(asked.boxes, (stack.rows, stack.columns)) for asked in boxed.prompts]
    )
    scar = fwhm_mask(stack.pixels, walls, stack.pixel_spacing_mm, regions, rules=FWHM_RULES)
    labels = np.where(walls, Label.MYOCARDIUM, Label.BACKGROUND).astype(np.uint8)
    labels[scar] = Label.SCAR
    return SimulatedReading(labels, boxed.prompts)
