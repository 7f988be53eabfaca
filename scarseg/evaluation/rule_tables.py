"""Read a case with a reference by every combination of a grid of rules.

The models predict once: rules change what becomes of their logits. The reader is simulated: boxes
round the reference's scar, and the same with both contours of the wall.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.case.stack import Stack
from scarseg.evaluation.patient import reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import Reference, StackProposal, simulate_reading
from scarseg.evaluation.windowed_case import windowed_case
from scarseg.models import Models
from scarseg.progress import Progress, silent
from scarseg.quant.mass import MM3_PER_ML
from scarseg.quant.overlap import dice
from scarseg.segmentation.gate import scar_evidence_mm2
from scarseg.segmentation.pipeline import LocatedHeart, propose_slice
from scarseg.segmentation.proposal import RULES, ProposalRules
from scarseg.training.cases import TrainingCase

KINDS = (PromptKind.AUTO, PromptKind.BOX, PromptKind.BOX_WALL)
SEED = 7
"""Of the simulated reader."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RuleGrid:
    """The rules that are tried: every offset with every logit; those in use are among them."""

    logits: tuple[float, ...] = tuple(
        sorted(
            {*np.arange(-4.0, 2.0, 0.5).tolist(), RULES.automatic_logit}
            | {RULES.prompted_logit, RULES.given_wall_logit}
        )
    )
    offsets_mm: tuple[float, ...] = tuple(
        sorted({-1.0, 0.0, 1.0, 2.0, 3.0, RULES.endocardium_offset_mm})
    )


GRID = RuleGrid()


@dataclass(frozen=True, eq=False)
class CaseTable:
    """How one case comes out by every combination of rules.

    ``mass_g`` and ``dice`` are float64 (kind, offset, logit); Dice is NaN without scar.
    ``pool_dice`` (offset, logit) is of the proposal; NaN where the pool is not labelled. So is
    ``evidence_mm2``, of scar in the whole stack, infinite where the gate does not apply; mass and
    Dice of the proposal are those without the gate.
    """

    grid: RuleGrid
    patient: str
    true_g: float
    mass_g: Floats
    dice: Floats
    pool_dice: Floats
    evidence_mm2: Floats

    def gated(self, limit_mm2: float) -> CaseTable:
        """Return the table whose proposals without enough evidence of scar are withheld."""
        withheld = self.evidence_mm2 < limit_mm2
        mass, overlap, n = self.mass_g.copy(), self.dice.copy(), KINDS.index(PromptKind.AUTO)
        mass[n][withheld] = 0.0
        overlap[n][withheld & np.isfinite(overlap[n])] = 0.0
        return replace(self, mass_g=mass, dice=overlap)


def read_by_rules(
    case: TrainingCase, models: Models, progress: Progress = silent, grid: RuleGrid = GRID
) -> CaseTable:
    """Read one case by every combination of rules.

    Args:
        progress: called for every offset; may cancel.

    Raises:
        ModelError: a model gave no usable answer.
    """
    case, memo, found = windowed_case(case, models)
    stack, truth = as_stack(case), reference_of(case)
    read = [k for k, known in enumerate(truth.scar_known) if known]
    row_mm, column_mm = case.pixel_spacing_mm
    depth_mm = case.slice_thickness_mm or case.slice_spacing_mm
    voxel_g = DENSITY_G_PER_ML / MM3_PER_ML * row_mm * column_mm * depth_mm
    shape = (len(KINDS), len(grid.offsets_mm), len(grid.logits))
    mass, overlap = np.zeros(shape), np.full(shape, np.nan)
    pool_dice, evidence = np.full(shape[1:], np.nan), np.full(shape[1:], np.inf)
    pools = [k for k, known in enumerate(truth.pool_known) if known]
    true = truth.scar[read]
    for i, offset in enumerate(grid.offsets_mm):
        progress(i / len(grid.offsets_mm), case.name)
        for j, logit in enumerate(grid.logits):
            seen, rules = _proposed(found, stack, memo, offset, logit)
            evidence[i, j] = seen.evidence_mm2
            for n, labels in _readings(seen, truth, memo, rules):
                scar = infarct_mask(labels[read])
                mass[n, i, j] = voxel_g * np.count_nonzero(scar)
                overlap[n, i, j] = _dice(scar, true)
                if KINDS[n] is PromptKind.AUTO and pools:
                    pool_dice[i, j] = _dice(
                        labels[pools] == Label.BLOOD_POOL, truth.labels[pools] == Label.BLOOD_POOL
                    )
    # Where the wall is given the predicted endocardium does not matter: it was read once.
    given = KINDS.index(PromptKind.BOX_WALL)
    once = grid.offsets_mm.index(RULES.endocardium_offset_mm)
    mass[given], overlap[given] = mass[given, once], overlap[given, once]
    true_g = float(voxel_g * np.count_nonzero(true))
    return CaseTable(grid, case.patient, true_g, mass, overlap, pool_dice, evidence)


def _proposed(
    found: Sequence[LocatedHeart], stack: Stack, models: Models, offset_mm: float, logit: float
) -> tuple[StackProposal, ProposalRules]:
    """Propose every slice of a window by one offset and one logit; return the rules too."""
    rules = replace(
        RULES,
        automatic_logit=logit,
        prompted_logit=logit,
        given_wall_logit=logit,
        endocardium_offset_mm=offset_mm,
        recrops=0,
    )
    proposals = tuple(
        propose_slice(stack.image(k), models, None, rules, one) for k, one in enumerate(found)
    )
    labels = np.stack([one.labels for one in proposals])
    scar = [one.logits.scar for one in proposals]
    evidence_mm2 = float("inf")
    if stack.n_slices >= rules.gate_slices and all(p.logits.wall is not None for p in proposals):
        evidence_mm2 = scar_evidence_mm2(labels, scar, stack.pixel_spacing_mm)
    nothing = (None,) * stack.n_slices
    return StackProposal(tuple(found), proposals, nothing, 0.0, evidence_mm2), rules


def _readings(
    seen: StackProposal, truth: Reference, models: Models, rules: ProposalRules
) -> Iterable[tuple[int, LabelArray]]:
    """Yield the number of each kind of prompts and the labels it leads to."""
    for n, kind in enumerate(KINDS):
        moved = rules.endocardium_offset_mm != RULES.endocardium_offset_mm
        if kind is PromptKind.BOX_WALL and moved:
            continue
        strategy = PromptStrategy(kind)
        yield n, simulate_reading(strategy, models, seen, truth, SEED, rules=rules)[-1].labels


def _dice(found: MaskArray, true: MaskArray) -> float:
    value = dice(found, true) if true.any() else None
    return float("nan") if value is None else value
