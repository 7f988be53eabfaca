"""Replay the record of a case: the models predict again, manual edits are applied as recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import scarseg
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause, ModelRun, Step
from scarseg.case.labels import LabelArray, Patch, infarct_mask, without_infarct
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.errors import ModelError
from scarseg.models import Models
from scarseg.progress import Progress, silent
from scarseg.replay.model_runs import (
    ModelRunner,
    RepeatedRun,
    ReplayWeights,
    same_box,
    same_prompts,
)
from scarseg.replay.result import (
    MODEL_CAUSES,
    ReplayFindings,
    ReplayResult,
    StepDifference,
    UncheckedStep,
)
from scarseg.replay.slices import (
    ReplayedSlice,
    apply_manual_edit,
    infarct_dice,
    initial_slices,
    set_labels,
)
from scarseg.segmentation import pipeline, predict
from scarseg.segmentation.predict import PredictionCache
from scarseg.segmentation.refill import refill_wall

RECORD_INCOMPLETE = "the record begins later"
NO_MODEL_RUN = "the record does not say how the models had looked at the slice"
NO_UNDERLYING_LABELS = "the record does not say what lay beneath the scar"


class _CannotReplay(Exception):  # noqa: N818 - a finding
    """A step lacks what it was made from; the message names it."""


def replay_case(
    case: Case,
    source: ReplayWeights,
    progress: Progress = silent,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> ReplayResult:
    """Make a case again from its record and compare the two.

    Every prediction is computed again from what was replayed so far, so that the mask comes from
    the record and nothing else; manual edits are applied again, voxel by voxel.

    Args:
        progress: called before every step; may raise Cancelled.

    Raises:
        WeightsError: the models cannot be loaded.
    """
    replay = _Replay(case, source)
    labels = replay.run(progress)
    again = replace(case, labels=labels, proposed=replay.proposed(), labels_under_scar=None)
    if replay.used is not None:
        detector = replay.used.detector
        again.segmenter = replay.used.segmenter.identity
        again.calibration = replay.used.calibration
        again.detector = ModelIdentity() if detector is None else detector.identity
    measured = [pipeline.measure(each, convention, density_g_per_ml) for each in (case, again)]
    differing = tuple(
        (k, int(np.count_nonzero(one != other)), infarct_dice(one, other))
        for k, (one, other) in enumerate(zip(case.labels, labels, strict=True))
        if not np.array_equal(one, other)
    )
    model_runs = [one.model_run for one in replay.slices]
    return ReplayResult(
        again,
        labels,
        replay.findings,
        measured[0],
        measured[1],
        differing,
        replay.used,
        tuple(None if one is None else one.proposal.embedding for one in model_runs),
    )


class _Replay:
    """Replay of the steps of one case, one after another."""

    def __init__(self, case: Case, source: ReplayWeights) -> None:
        self.case = case
        self.findings = ReplayFindings(n_steps=len(case.record.steps))
        self.runner = ModelRunner(case.stack, source)
        self.slices = initial_slices(case.record)
        self.used: Models | None = None
        self._proposals: dict[tuple[int, bytes], Patch] = {}
        self.predict: dict[Cause, Callable[[ReplayedSlice, Step], LabelArray]] = {
            Cause.ANSWER: self._segmented,
            Cause.CORRECTION: self._corrected,
            Cause.REFILLED: self._corrected,
            Cause.PROPOSAL: self._proposed,
            Cause.RELOCATED: self._proposed,
            Cause.WALL: self._walled,
        }

    def run(self, progress: Progress) -> LabelArray:
        self._check_patches()
        for k, one in enumerate(self.slices):
            if one.recorded.any():
                self.findings.unchecked.append(
                    UncheckedStep(0, k, "what stood before", RECORD_INCOMPLETE)
                )
        steps = self.case.record.steps
        for n, step in enumerate(steps):
            progress(n / len(steps), f"step {n + 1} of {len(steps)}")
            self._replay_step(n + 1, step)
        return np.stack([one.replayed for one in self.slices])

    def proposed(self) -> list[Patch | None]:
        """Return the proposals of the case as they were made again."""
        proposed = []
        for k, patch in enumerate(self.case.proposed):
            if patch is not None:
                labels = np.zeros(self.case.labels.shape[1:], dtype=np.uint8)
                patch.apply(labels)
                patch = self._proposals.get((k, labels.tobytes()), patch)
            proposed.append(patch)
        return proposed

    def _check_patches(self) -> None:
        """Check that the recorded patches alone give the labels of the case, byte for byte."""
        labels, readings = self.case.record.final_state()
        held = np.array_equal(labels, self.case.labels) and readings == self.case.readings
        self.findings.edits_hold = held

    def _replay_step(self, number: int, step: Step) -> None:
        """Replay one step on its slice.

        A step is one of three: a prediction of the models (computed again), undo or redo to labels
        that were seen before (their replayed variant comes back), or a manual edit.
        """
        one = self.slices[step.slice_index]
        before, differed = one.recorded.copy(), one.differs
        if step.patch is not None:
            step.patch.apply(one.recorded)
        if step.model_run is not None:
            self._repeat_model_run(number, one, step, step.model_run)
        if step.cause in MODEL_CAUSES:
            self.findings.n_answers += 1
            self._predict_again(number, one, step, before, differed)
        elif step.cause in (Cause.UNDO, Cause.REDO) and one.recorded.tobytes() in one.variants:
            one.replayed, one.under_scar = one.variants[one.recorded.tobytes()]
        else:
            known = step.cause in (Cause.CONTOUR, Cause.MVO, Cause.GATE) and not one.drawn_manually
            logits = one.cache.lookup(one.replayed)
            if step.cause is Cause.GATE and step.reading and step.reading.scar_withheld:
                set_labels(one, step, without_infarct(one.replayed))
            else:
                apply_manual_edit(one, step, before)
            if known and logits is not None:  # the scar goes on being that of the prediction
                one.cache.store(one.replayed, logits)
        if step.reading is not None:
            one.reading = step.reading
        if one.differs:
            one.variants[one.recorded.tobytes()] = one.replayed, one.under_scar
        else:
            one.variants.pop(one.recorded.tobytes(), None)

    def _repeat_model_run(
        self, number: int, one: ReplayedSlice, step: Step, recorded: ModelRun
    ) -> None:
        if recorded.fresh:
            one.cache = PredictionCache()
        try:
            one.model_run = self.runner.repeat(step.slice_index, recorded)
        except ModelError as error:
            self._add_unchecked(number, step, error.message)
            one.model_run = None
            return
        one.cache.last = one.model_run.proposal.logits
        self.used = one.model_run.models
        self._compare_weights(recorded, one.model_run)
        box = one.model_run.proposal.embedding.lv_box
        if not same_box(box, recorded.lv_box):
            place = StepDifference(
                number, step.slice_index, step.name, 0, None, one.differs, "another ventricle box"
            )
            self.findings.differences.append(place)

    def _compare_weights(self, recorded: ModelRun, repeated: RepeatedRun) -> None:
        """Add, as reasons for differences, another version and other weights."""
        if recorded.software not in ("", scarseg.__version__):
            self.findings.add_reason(
                f"another version: scarseg {recorded.software} read it,"
                f" this is {scarseg.__version__}"
            )
        detector = repeated.models.detector
        now = {
            "segmenter": repeated.models.segmenter.identity.sha256,
            "detector": "" if detector is None else detector.identity.sha256,
        }
        then = {"segmenter": recorded.segmenter_sha256, "detector": recorded.detector_sha256}
        for kind, sha256 in then.items():
            if sha256 != now[kind]:
                self.findings.add_reason(
                    f"other weights: the {kind} was {sha256[:12] or 'none'},"
                    f" here it is {now[kind][:12] or 'none'} (sha256)"
                )

    def _predict_again(
        self, number: int, one: ReplayedSlice, step: Step, before: LabelArray, differed: bool
    ) -> None:
        """Predict a step again, and compare the labels with those recorded."""
        try:
            labels = self.predict[step.cause](one, step)
        except (_CannotReplay, ModelError) as error:
            self._add_unchecked(
                number, step, error.message if isinstance(error, ModelError) else f"{error}"
            )
            apply_manual_edit(one, step, before)
            return
        set_labels(one, step, labels)
        if step.cause in (Cause.PROPOSAL, Cause.RELOCATED):
            place = step.slice_index, one.recorded.tobytes()
            self._proposals[place] = Patch.of(one.replayed)
        also = self._other_prompts(one, step)
        if one.differs or also:
            n = int(np.count_nonzero(one.replayed != one.recorded))
            overlap = infarct_dice(one.recorded, one.replayed)
            self.findings.differences.append(
                StepDifference(number, step.slice_index, step.name, n, overlap, differed, also)
            )

    def _add_unchecked(self, number: int, step: Step, why: str) -> None:
        self.findings.unchecked.append(UncheckedStep(number, step.slice_index, step.name, why))

    def _other_prompts(self, one: ReplayedSlice, step: Step) -> str:
        """Return a remark where the models propose other boxes than they did."""
        if step.cause is not Cause.PROPOSAL or one.model_run is None:
            return ""
        recorded = (step.reading or one.reading).prompts
        return "" if same_prompts(recorded, one.model_run.proposal.prompts) else "other boxes"

    # Predictions of the models

    def _segmented(self, one: ReplayedSlice, step: Step) -> LabelArray:
        seen = _seen(one)
        labels, logits = pipeline.segment(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.replayed.copy(),
            one.cache.lookup(one.replayed),
        )
        one.cache.last = logits
        one.cache.store(labels, logits)
        return labels

    def _corrected(self, one: ReplayedSlice, step: Step) -> LabelArray:
        seen = _seen(one)
        if one.under_scar is None:
            raise _CannotReplay(NO_UNDERLYING_LABELS)
        drawn = one.drawn_manually
        compute = refill_wall if step.cause is Cause.REFILLED else predict.correct_heart
        answer = compute(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.replayed.copy(),
            one.under_scar.copy(),
            one.cache.lookup(one.replayed),
        )
        if answer.logits is not None:
            one.cache.last = answer.logits
            if not drawn:
                one.cache.store(answer.labels, answer.logits)
        return answer.labels

    def _proposed(self, one: ReplayedSlice, step: Step) -> LabelArray:
        proposal = _seen(one).proposal
        one.cache.store(proposal.labels, proposal.logits)
        return proposal.labels

    def _walled(self, one: ReplayedSlice, step: Step) -> LabelArray:
        proposal = _seen(one).proposal
        drawn = one.drawn_manually
        heart = without_infarct(proposal.labels)
        labels = np.where(infarct_mask(one.replayed), one.replayed, heart)
        if not drawn:
            one.cache.store(labels, proposal.logits)
        return labels


def _seen(one: ReplayedSlice) -> RepeatedRun:
    if one.model_run is None:
        raise _CannotReplay(NO_MODEL_RUN)
    return one.model_run
