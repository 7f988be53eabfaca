"""Evaluate one patient: every prompt strategy, compared with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from scarseg.case.labels import LabelArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import Stack
from scarseg.evaluation.methods import MethodFigures, method_figures
from scarseg.evaluation.metrics import (
    EvaluatedStack,
    PatientFigures,
    SliceFigures,
    measure_patient,
    measure_slices,
)
from scarseg.evaluation.patients import as_stack, shifted_case
from scarseg.evaluation.prompts import PromptKind, PromptStrategy
from scarseg.evaluation.reader import (
    Reference,
    SimulatedReading,
    StackProposal,
    propose_stack,
    read_by_fwhm,
    simulate_reading,
)
from scarseg.models import Models
from scarseg.progress import Progress, silent
from scarseg.quant.image_quality import stack_quality
from scarseg.segmentation.proposal import ProposalRules
from scarseg.training.cases import RIGHT_VENTRICLE, TrainingCase


@dataclass(frozen=True)
class Protocol:
    """Settings of an evaluation, the same for every patient; a value that crosses processes.

    ``methods`` are threshold methods to set beside. ``true_lv``: the left ventricle's box is the
    reference's instead of what the program finds.
    """

    strategies: tuple[PromptStrategy, ...]
    seed: int = 7
    true_lv: bool = False
    rules: ProposalRules | None = None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PatientResult:
    """Rows of one patient and one segmenter; labels and prompts by strategy."""

    patients: tuple[PatientFigures, ...]
    slices: tuple[SliceFigures, ...] = ()
    labels: dict[str, LabelArray] = field(default_factory=dict)
    prompts: dict[str, tuple[SlicePrompts, ...]] = field(default_factory=dict)
    note: str = ""
    trouble: str = ""
    methods: tuple[MethodFigures, ...] = ()


def off_centre_case(case: TrainingCase, seed: int) -> TrainingCase:
    """Return a case as it is evaluated: with the heart off the centre."""
    return shifted_case(case, np.random.default_rng(seed))


def reference_of(case: TrainingCase) -> Reference:
    """Return the reference of a case; scar of cine is not known, its RV is background."""
    n = len(case.labels)
    read = case.scar_read or (True,) * n
    walls, pools = case.wall_known or (True,) * n, case.pool_known or (True,) * n
    labels = np.where(case.labels >= RIGHT_VENTRICLE, 0, case.labels).astype(np.uint8)
    return Reference(
        case.name,
        labels,
        tuple(known and case.kind != "cine" for known in read),
        tuple(a and b for a, b in zip(read, walls, strict=True)),
        tuple(a and b for a, b in zip(read, pools, strict=True)),
    )


def evaluate_patient(
    case: TrainingCase,
    models: Models,
    protocol: Protocol,
    segmenter: str = "",
    progress: Progress = silent,
) -> PatientResult:
    """Evaluate one patient by every strategy of the protocol.

    Args:
        segmenter: its name in the tables; the model's own name when empty.

    Raises:
        InputError: E_REFERENCE, the labels are empty.
        ModelError: a model gave no usable answer.
    """
    case = off_centre_case(case, protocol.seed)
    stack, truth = as_stack(case), reference_of(case)
    boxes = [truth.lv_box(k) for k in range(stack.n_slices)] if protocol.true_lv else None
    seen = propose_stack(stack, models, boxes, protocol.rules, progress)
    name = segmenter or models.segmenter.identity.name
    # By the reference, so that no model decides in which stratum it is judged.
    quality = stack_quality(stack.pixels, truth.labels, stack.pixel_spacing_mm)
    grades = tuple(str(one.grade or "") for one in quality.slices)
    reading = EvaluatedStack(stack, truth, seen, name, case.kind, str(quality.grade or ""), grades)
    rows: list[PatientFigures] = []
    slices: list[SliceFigures] = []
    kept: dict[str, SimulatedReading] = {}
    for strategy, rounds, again in _readings(models, stack, seen, truth, protocol):
        found, row = rounds[-1], measure_patient(reading, strategy, rounds, again)
        if found.seconds:
            row = replace(row, answer_seconds=median(found.seconds))
        if models.calibration is not None:
            row = replace(row, calibration_sha256=models.calibration.sha256)
        rows.append(row)
        slices += measure_slices(reading, strategy, rounds)
        kept[strategy.name] = found
    methods: tuple[MethodFigures, ...] = ()
    if protocol.methods:
        proposed = np.stack([one.labels for one in seen.proposals])
        methods = method_figures(stack, proposed, truth, name, protocol.methods, seen.seconds)
    return PatientResult(
        tuple(rows),
        tuple(slices),
        {name: answer.labels for name, answer in kept.items()},
        {name: answer.prompts for name, answer in kept.items()},
        methods=methods,
    )


def with_fewer_clicks(asked: Sequence[PromptStrategy]) -> tuple[PromptStrategy, ...]:
    """Add, to a strategy with clicks, those with fewer: they are computed on the way."""
    every: list[PromptStrategy] = []
    for strategy in asked:
        steps = range(1, strategy.clicks + 1)
        on_the_way = [PromptStrategy(strategy.kind, n) for n in steps] or [strategy]
        every += [one for one in on_the_way if one not in every]
    return tuple(every)


def _readings(
    models: Models, stack: Stack, seen: StackProposal, truth: Reference, protocol: Protocol
) -> list[tuple[PromptStrategy, Sequence[SimulatedReading], SimulatedReading | None]]:
    """Read by every strategy: the readings after each click, and one with redrawn prompts.

    Boxes alone are where clicks begin, so both share one reading.
    """
    seed, rules = protocol.seed, protocol.rules
    wanted = list(with_fewer_clicks(protocol.strategies))
    most = max((one.clicks for one in wanted), default=0)
    boxed: dict[int, list[SimulatedReading]] = {}

    def read(strategy: PromptStrategy, draw: int) -> list[SimulatedReading]:
        if strategy.kind not in (PromptKind.BOX, PromptKind.CLICKS):
            return simulate_reading(strategy, models, seen, truth, seed, draw, rules)
        if draw not in boxed:
            all_clicks = PromptStrategy(PromptKind.CLICKS, most)
            boxed[draw] = simulate_reading(all_clicks, models, seen, truth, seed, draw, rules)
        return boxed[draw][: strategy.clicks + 1]

    readings: list[tuple[PromptStrategy, Sequence[SimulatedReading], SimulatedReading | None]] = []
    for strategy in wanted:
        if strategy.kind is PromptKind.DETECTOR and models.detector is None:
            continue
        again = read(strategy, 1)[-1] if strategy.uses_reader else None
        readings.append((strategy, read(strategy, 0), again))
    if PromptStrategy(PromptKind.BOX) in wanted and any(
        p.logits.wall is not None for p in seen.proposals
    ):
        box = PromptStrategy(PromptKind.BOX)
        first, second = (read_by_fwhm(stack, seen, read(box, draw)[0]) for draw in (0, 1))
        readings.append((PromptStrategy(PromptKind.FWHM), [first], second))
    return readings
