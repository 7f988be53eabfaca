"""Learn the calibration of a site from its read cases, and judge it by leave-one-out.

Of a grid of rules those are chosen whose total mass is right and whose masks and pools agree best.
Each patient is judged by rules chosen without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarseg.errors import InputError
from scarseg.evaluation.prompts import PromptKind
from scarseg.evaluation.rule_tables import KINDS, CaseTable, RuleGrid
from scarseg.models import Models
from scarseg.models.calibration_file import CalibratedRules, CalibrationFigures, CalibrationFile
from scarseg.segmentation.proposal import RULES
from scarseg.training.cases import TrainingCase

LEAST_PATIENTS, LEAST_WITH_SCAR = 10, 3
"""Fewer teach nothing: leave-one-out would judge rules chosen from two patients with scar."""
RELUCTANCE = 0.002
"""Cost of a step of a rule (1 mm or 1 logit) away from the shipped one: noise moves none."""


def choose_rules(tables: Sequence[CaseTable]) -> CalibratedRules:
    """Return the rules that suit cases best.

    The cost of a kind of prompts is the relative error of the total mass, plus one minus the mean
    Dice of the cases with scar; of the proposal also one minus the mean Dice of the pool. The
    offset is common to all kinds; where the wall is given the logit is at most that of a box. Then
    the limit of the gate is chosen: see :func:`choose_gate`.
    """
    ungated, grid = tables, tables[0].grid
    tables = [one.gated(RULES.gate_evidence_mm2) for one in tables]
    true_g = sum(one.true_g for one in tables)
    bias = np.abs(sum(one.mass_g for one in tables) - true_g) / true_g
    cost = bias + 1 - np.nanmean([one.dice for one in tables if one.true_g > 0], axis=0)
    pools = [one.pool_dice for one in tables if np.isfinite(one.pool_dice).all()]
    if pools:
        cost[KINDS.index(PromptKind.AUTO)] += 1 - np.mean(pools, axis=0)
    shipped = (RULES.automatic_logit, RULES.prompted_logit, RULES.given_wall_logit)
    for n, logit in enumerate(shipped):
        cost[n] += RELUCTANCE * np.abs(np.array(grid.logits) - logit)
    off = np.abs(np.array(grid.offsets_mm) - RULES.endocardium_offset_mm)
    i = int(np.argmin(cost.min(axis=2).sum(axis=0) + RELUCTANCE * off))
    automatic, prompted = (int(np.argmin(cost[n, i])) for n in (0, 1))
    given = int(np.argmin(cost[2, i, : prompted + 1]))
    return CalibratedRules(
        automatic_logit=grid.logits[automatic],
        prompted_logit=grid.logits[prompted],
        given_wall_logit=grid.logits[given],
        endocardium_offset_mm=grid.offsets_mm[i],
        gate_evidence_mm2=choose_gate(ungated, (i, automatic)),
    )


def choose_gate(tables: Sequence[CaseTable], at: tuple[int, int]) -> float:
    """Return the evidence below which a proposal is best withheld; of equal limits the nearest.

    Best by the rule of the EMIDEC challenge: the mean over all cases of Dice, where a case without
    scar counts 1 if none is shown and else 0.

    Args:
        at: place of offset and logit in the tables.
    """
    n, shipped = KINDS.index(PromptKind.AUTO), RULES.gate_evidence_mm2
    evidence = np.array([one.evidence_mm2[at] for one in tables])
    known = np.unique(evidence[np.isfinite(evidence)])
    limits = np.array([shipped, 0.0, *(known[1:] + known[:-1]) / 2])

    def score(limit: float) -> float:
        gated = [one.gated(limit) for one in tables]
        return sum(
            float(one.dice[n][at]) if one.true_g > 0 else float(one.mass_g[n][at] == 0)
            for one in gated
        )

    nearest = limits[np.argsort(np.abs(limits - shipped), kind="stable")]
    return float(max(nearest, key=score))


SHIPPED = CalibratedRules(
    automatic_logit=RULES.automatic_logit,
    prompted_logit=RULES.prompted_logit,
    given_wall_logit=RULES.given_wall_logit,
    endocardium_offset_mm=RULES.endocardium_offset_mm,
    gate_evidence_mm2=RULES.gate_evidence_mm2,
)
"""The rules in use without a calibration."""


def leave_one_out(tables: Sequence[CaseTable]) -> list[CalibratedRules]:
    """Return for every case the rules chosen from the cases of the other patients."""
    chosen = {
        patient: choose_rules([one for one in tables if one.patient != patient])
        for patient in dict.fromkeys(one.patient for one in tables)
    }
    return [chosen[one.patient] for one in tables]


def figures(
    tables: Sequence[CaseTable], rules: Sequence[CalibratedRules], calibrated: bool
) -> list[CalibrationFigures]:
    """Return bias, mean absolute error and Dice of cases, each read by rules of its own."""
    true = np.array([one.true_g for one in tables])
    tables = [one.gated(its.gate_evidence_mm2) for one, its in zip(tables, rules, strict=True)]
    found = []
    for n, kind in enumerate(KINDS):
        places = [_place(tables[0].grid, one, n) for one in rules]
        mass = np.array([one.mass_g[n][at] for one, at in zip(tables, places, strict=True)])
        overlap = [one.dice[n][at] for one, at in zip(tables, places, strict=True)]
        found.append(
            CalibrationFigures(
                prompts=kind.value,
                calibrated=calibrated,
                bias_g=float(np.mean(mass - true)),
                bias_percent=float(100 * (mass.sum() / true.sum() - 1)),
                mean_absolute_error_g=float(np.mean(np.abs(mass - true))),
                dice=float(np.nanmean(overlap)),
            )
        )
    return found


def _place(grid: RuleGrid, rules: CalibratedRules, kind: int) -> tuple[int, int]:
    """Return where rules stand in a table: place of the offset, and of a kind's logit."""
    given = min(rules.given_wall_logit, rules.prompted_logit)
    logit = (rules.automatic_logit, rules.prompted_logit, given)[kind]
    return grid.offsets_mm.index(rules.endocardium_offset_mm), grid.logits.index(logit)


def require_enough(cases: Sequence[TrainingCase]) -> list[TrainingCase]:
    """Return the cases of which scar is known.

    Raises:
        InputError: E_CALIBRATION_CASES, too few patients, or too few with scar.
    """
    usable = [one for one in cases if one.kind != "cine" and one.slices_read]
    n_patients = len({one.patient for one in usable})
    if n_patients < LEAST_PATIENTS:
        message = (
            f"There are {n_patients} patients whose scar was read; a calibration needs at least"
            f" {LEAST_PATIENTS}."
        )
        raise InputError("E_CALIBRATION_CASES", message)
    with_scar = len({one.patient for one in usable if one.has_scar})
    if with_scar < LEAST_WITH_SCAR:
        message = (
            f"Of {n_patients} patients {with_scar} have scar; a calibration needs at least"
            f" {LEAST_WITH_SCAR}."
        )
        raise InputError("E_CALIBRATION_CASES", message)
    return usable


def learn_calibration(tables: Sequence[CaseTable], models: Models) -> CalibrationFile:
    """Return the calibration of cases, with its figures by leave-one-out.

    Args:
        tables: of :func:`scarseg.evaluation.rule_tables.read_by_rules`, by these models.
    """
    detector = models.detector
    before = figures(tables, [SHIPPED] * len(tables), calibrated=False)
    return CalibrationFile(
        segmenter_sha256=models.segmenter.identity.sha256,
        detector_sha256="" if detector is None else detector.identity.sha256,
        n_cases=len(tables),
        n_cases_with_scar=sum(one.true_g > 0 for one in tables),
        rules=choose_rules(tables),
        figures=[*before, *figures(tables, leave_one_out(tables), calibrated=True)],
    )
