"""Learn the calibration of a site from its read cases, and judge it by leave-one-out.

Every case is proposed and read by a simulated reader (boxes round the reference's scar; boxes and
both contours of the wall) with every combination of a grid of rules. The models predict once:
rules change what becomes of their logits. From these tables the rules are chosen whose total mass
is right and whose masks agree best, and each patient is judged by rules chosen without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, MaskArray, infarct_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage, Stack
from scarseg.errors import InputError
from scarseg.evaluation.patient import reference_of
from scarseg.evaluation.patients import as_stack
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import Reference, StackProposal, simulate_reading
from scarseg.models import Detection, Detector, Embedding, Logits, Models, Segmenter, takes_walls
from scarseg.models.calibration_file import CalibratedRules, CalibrationFigures, CalibrationFile
from scarseg.progress import Progress, silent
from scarseg.quant.overlap import dice
from scarseg.segmentation.pipeline import LocatedHeart, locate_hearts, propose_slice
from scarseg.segmentation.proposal import RULES
from scarseg.training.cases import TrainingCase

LEAST_PATIENTS, LEAST_WITH_SCAR = 10, 3
"""Fewer teach nothing: leave-one-out would judge rules chosen from two patients with scar."""
KINDS = (PromptKind.AUTO, PromptKind.BOX, PromptKind.BOX_WALL)
SEED = 7
"""Of the simulated reader."""

LOGITS = tuple(
    sorted(
        {*np.arange(-2.5, 2.0, 0.5).tolist(), RULES.automatic_logit}
        | {RULES.prompted_logit, RULES.given_wall_logit}
    )
)
OFFSETS_MM = tuple(sorted({-1.0, 0.0, 1.0, 2.0, 3.0, RULES.endocardium_offset_mm}))
RELUCTANCE = 0.002
"""Cost of a step of a rule (1 mm or 1 logit) away from the shipped one: noise moves none."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CaseTable:
    """How one case comes out by every combination of rules.

    ``mass_g`` and ``dice`` are float64 (kind, offset, logit); Dice is NaN without scar.
    ``pool_dice`` (offset, logit) is of the proposal; NaN where the pool is not labelled.
    """

    patient: str
    true_g: float
    mass_g: Floats
    dice: Floats
    pool_dice: Floats


class _Remembering:
    """Models that compute the same prediction once, for as long as one case is read."""

    def __init__(self, segmenter: Segmenter, detector: Detector | None) -> None:
        self.identity = segmenter.identity
        self.takes_walls = takes_walls(segmenter)
        self._segmenter, self._detector = segmenter, detector
        self._embeddings: dict[tuple[bytes, Box | None], Embedding] = {}
        self._predictions: dict[tuple[int, SlicePrompts, bytes, bool], Logits] = {}
        self._detections: dict[bytes, list[Detection]] = {}

    def detect(self, image: SliceImage) -> list[Detection]:
        """Return the boxes of the detector; none without one."""
        key = _digest(image.pixels)
        if key not in self._detections:
            found = [] if self._detector is None else self._detector.detect(image)
            self._detections[key] = found
        return self._detections[key]

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        """Return the embedding of a slice."""
        key = _digest(image.pixels), lv_box
        if key not in self._embeddings:
            self._embeddings[key] = self._segmenter.embed(image, lv_box)
        return self._embeddings[key]

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Return the prediction for prompts; embeddings are those that :meth:`embed` keeps."""
        fed = b"" if previous is None else _digest(*_maps(previous))
        key = id(embedding), prompts, fed, quick
        if key not in self._predictions:
            self._predictions[key] = self._segmenter.predict(embedding, prompts, previous, quick)
        return self._predictions[key]


def _maps(logits: Logits) -> list[npt.NDArray[np.float32]]:
    return [one for one in (logits.scar, logits.blood_pool, logits.wall) if one is not None]


def _digest(*arrays: npt.NDArray[np.float32]) -> bytes:
    digest = sha1(usedforsecurity=False)
    for one in arrays:
        digest.update(np.ascontiguousarray(one).data)
    return digest.digest()


def calibration_table(case: TrainingCase, models: Models, progress: Progress = silent) -> CaseTable:
    """Read one case by every combination of rules.

    Args:
        progress: called for every offset; may cancel.

    Raises:
        ModelError: a model gave no usable answer.
    """
    stack, truth = as_stack(case), reference_of(case)
    kept = _Remembering(models.segmenter, models.detector)
    memo = Models(kept, None if models.detector is None else kept)
    read = [k for k, known in enumerate(truth.scar_known) if known]
    row_mm, column_mm = case.pixel_spacing_mm
    depth_mm = case.slice_thickness_mm or case.slice_spacing_mm
    voxel_g = 1.05e-3 * row_mm * column_mm * depth_mm
    shape = (len(KINDS), len(OFFSETS_MM), len(LOGITS))
    mass, overlap = np.zeros(shape), np.full(shape, np.nan)
    pool_dice = np.full(shape[1:], np.nan)
    pools = [k for k, known in enumerate(truth.pool_known) if known]
    true = truth.scar[read]
    found = _found_hearts(stack, memo)
    for i, offset in enumerate(OFFSETS_MM):
        progress(i / len(OFFSETS_MM), case.name)
        for j, logit in enumerate(LOGITS):
            for n, labels in _readings(found, stack, truth, memo, offset, logit):
                scar = infarct_mask(labels[read])
                mass[n, i, j] = voxel_g * np.count_nonzero(scar)
                overlap[n, i, j] = _dice(scar, true)
                if KINDS[n] is PromptKind.AUTO and pools:
                    pool_dice[i, j] = _dice(
                        labels[pools] == Label.BLOOD_POOL, truth.labels[pools] == Label.BLOOD_POOL
                    )
    # Where the wall is given the predicted endocardium does not matter: it was read once.
    given = KINDS.index(PromptKind.BOX_WALL)
    once = OFFSETS_MM.index(RULES.endocardium_offset_mm)
    mass[given], overlap[given] = mass[given, once], overlap[given, once]
    return CaseTable(case.patient, voxel_g * np.count_nonzero(true), mass, overlap, pool_dice)


def _found_hearts(stack: Stack, models: Models) -> list[LocatedHeart]:
    """Return the box that each slice is embedded round in the end, whatever the rules."""
    located = locate_hearts(stack, models)
    return [
        replace(one, lv_box=propose_slice(stack.image(k), models, located=one).embedding.lv_box)
        for k, one in enumerate(located)
    ]


def _readings(
    found: Sequence[LocatedHeart],
    stack: Stack,
    truth: Reference,
    models: Models,
    offset_mm: float,
    logit: float,
) -> Iterable[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield the number of each kind of prompts and the labels it leads to."""
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
    seen = StackProposal(tuple(found), proposals, (None,) * stack.n_slices, 0.0)
    for n, kind in enumerate(KINDS):
        if kind is PromptKind.BOX_WALL and offset_mm != RULES.endocardium_offset_mm:
            continue
        strategy = PromptStrategy(kind)
        yield n, simulate_reading(strategy, models, seen, truth, SEED, rules=rules)[-1].labels


def _dice(found: MaskArray, true: MaskArray) -> float:
    value = dice(found, true) if true.any() else None
    return float("nan") if value is None else value


def choose_rules(tables: Sequence[CaseTable]) -> CalibratedRules:
    """Return the rules that suit cases best.

    The cost of a kind of prompts is the relative error of the total mass, plus one minus the mean
    Dice of the cases with scar; of the proposal also one minus the mean Dice of the pool. The
    offset is common to all kinds; where the wall is given the logit is at most that of a box.
    """
    true_g = sum(one.true_g for one in tables)
    bias = np.abs(sum(one.mass_g for one in tables) - true_g) / true_g
    cost = bias + 1 - np.nanmean([one.dice for one in tables if one.true_g > 0], axis=0)
    pools = [one.pool_dice for one in tables if np.isfinite(one.pool_dice).all()]
    if pools:
        cost[KINDS.index(PromptKind.AUTO)] += 1 - np.mean(pools, axis=0)
    shipped = (RULES.automatic_logit, RULES.prompted_logit, RULES.given_wall_logit)
    for n, logit in enumerate(shipped):
        cost[n] += RELUCTANCE * np.abs(np.array(LOGITS) - logit)
    off = np.abs(np.array(OFFSETS_MM) - RULES.endocardium_offset_mm)
    i = int(np.argmin(cost.min(axis=2).sum(axis=0) + RELUCTANCE * off))
    automatic, prompted = (int(np.argmin(cost[n, i])) for n in (0, 1))
    given = int(np.argmin(cost[2, i, : prompted + 1]))
    return CalibratedRules(
        automatic_logit=LOGITS[automatic],
        prompted_logit=LOGITS[prompted],
        given_wall_logit=LOGITS[given],
        endocardium_offset_mm=OFFSETS_MM[i],
    )


SHIPPED = CalibratedRules(
    automatic_logit=RULES.automatic_logit,
    prompted_logit=RULES.prompted_logit,
    given_wall_logit=RULES.given_wall_logit,
    endocardium_offset_mm=RULES.endocardium_offset_mm,
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
    found = []
    for n, kind in enumerate(KINDS):
        places = [_place(one, n) for one in rules]
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


def _place(rules: CalibratedRules, kind: int) -> tuple[int, int]:
    """Return where rules stand in a table: place of the offset, and of a kind's logit."""
    given = min(rules.given_wall_logit, rules.prompted_logit)
    logit = (rules.automatic_logit, rules.prompted_logit, given)[kind]
    return OFFSETS_MM.index(rules.endocardium_offset_mm), LOGITS.index(logit)


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
        tables: of :func:`calibration_table`, by these models.
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
