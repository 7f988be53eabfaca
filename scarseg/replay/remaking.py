"""Carry out the record of a case again: the models' answers anew, a reader's hand as recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import scarseg
from scarseg import pipeline
from scarseg.answers import Answers
from scarseg.case import Case, ModelIdentity
from scarseg.errors import ModelError
from scarseg.labels import LabelArray, Patch, infarct_mask, resting_on_wall
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.models import Models
from scarseg.progress import Progress, silent
from scarseg.record import Cause, Look, Recorded
from scarseg.replay.finding import MODEL_CAUSES, Difference, Findings, Replayed, Unchecked
from scarseg.replay.looking import Looking, Seen, Weights, same_box, same_prompts
from scarseg.replay.slices import RemadeSlice, beginning, draw, infarct_dice, lay

FORGOTTEN = "the record begins later"
NO_LOOK = "the record does not say how the models had looked at the slice"
NO_GROUND = "the record does not say what lay beneath the scar"


class _CannotBeMade(Exception):  # noqa: N818 - a finding
    """A step lacks what it was made from; the words say what."""


def remake(
    case: Case,
    source: Weights,
    progress: Progress = silent,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> Replayed:
    """Make a case again from its record and compare it with what stands in the case.

    Every answer of the models is computed anew on what was made again so far, so that the mask
    comes of the record and nothing else; what a hand changed is changed again, voxel by voxel.

    Args:
        progress: called before every step; may raise Cancelled.

    Raises:
        WeightsError: the models cannot be loaded.
    """
    remaking = _Remaking(case, source)
    labels = remaking.run(progress)
    again = replace(case, labels=labels, proposed=remaking.proposed(), grounds=None)
    if remaking.used is not None:
        detector = remaking.used.detector
        again.segmenter = remaking.used.segmenter.identity
        again.detector = ModelIdentity() if detector is None else detector.identity
    measured = [pipeline.measure(each, convention, density_g_per_ml) for each in (case, again)]
    differing = tuple(
        (k, int(np.count_nonzero(one != other)), infarct_dice(one, other))
        for k, (one, other) in enumerate(zip(case.labels, labels, strict=True))
        if not np.array_equal(one, other)
    )
    seen = [one.seen for one in remaking.slices]
    return Replayed(
        again,
        labels,
        remaking.findings,
        measured[0],
        measured[1],
        differing,
        remaking.used,
        tuple(None if one is None else one.proposal.embedding for one in seen),
    )


class _Remaking:
    """The steps of one case, one after another."""

    def __init__(self, case: Case, source: Weights) -> None:
        self.case = case
        self.findings = Findings(n_steps=len(case.record.steps))
        self.looking = Looking(case.stack, source)
        self.slices = beginning(case.record)
        self.used: Models | None = None
        self._proposals: dict[tuple[int, bytes], Patch] = {}
        self.answer: dict[Cause, Callable[[RemadeSlice, Recorded], LabelArray]] = {
            Cause.ANSWER: self._answered,
            Cause.CORRECTION: self._corrected,
            Cause.PROPOSAL: self._proposed,
            Cause.RELOCATED: self._proposed,
            Cause.WALL: self._walled,
        }

    def run(self, progress: Progress) -> LabelArray:
        self._hold_edits()
        for k, one in enumerate(self.slices):
            if one.recorded.any():
                self.findings.unchecked.append(Unchecked(0, k, "what stood before", FORGOTTEN))
        steps = self.case.record.steps
        for n, step in enumerate(steps):
            progress(n / len(steps), f"step {n + 1} of {len(steps)}")
            self._carry_out(n + 1, step)
        return np.stack([one.remade for one in self.slices])

    def proposed(self) -> list[Patch | None]:
        """Give, in place of the proposals of the case, what was made again of them."""
        proposed = []
        for k, patch in enumerate(self.case.proposed):
            if patch is not None:
                labels = np.zeros(self.case.labels.shape[1:], dtype=np.uint8)
                patch.paste(labels)
                patch = self._proposals.get((k, labels.tobytes()), patch)
            proposed.append(patch)
        return proposed

    def _hold_edits(self) -> None:
        """Put the recorded labels on each other; the case must come out byte for byte."""
        labels, readings = self.case.record.outcome()
        held = np.array_equal(labels, self.case.labels) and readings == self.case.readings
        self.findings.edits_hold = held

    def _carry_out(self, number: int, step: Recorded) -> None:
        one = self.slices[step.slice_index]
        before, off = one.recorded.copy(), one.differs
        if step.patch is not None:
            step.patch.paste(one.recorded)
        if step.look is not None:
            self._look(number, one, step, step.look)
        if step.cause in MODEL_CAUSES:
            self.findings.n_answers += 1
            self._ask(number, one, step, before, off)
        elif step.cause in (Cause.UNDO, Cause.REDO) and one.recorded.tobytes() in one.twins:
            one.remade, one.ground = one.twins[one.recorded.tobytes()]
        else:
            draw(one, step, before)
        if step.reading is not None:
            one.reading = step.reading
        if one.differs:
            one.twins[one.recorded.tobytes()] = one.remade, one.ground
        else:
            one.twins.pop(one.recorded.tobytes(), None)

    def _look(self, number: int, one: RemadeSlice, step: Recorded, look: Look) -> None:
        if look.fresh:
            one.answers = Answers()
        try:
            one.seen = self.looking.at(step.slice_index, look)
        except ModelError as error:
            self._cannot(number, step, error.message)
            one.seen = None
            return
        one.answers.last = one.seen.proposal.logits
        self.used = one.seen.models
        self._tell_weights(look, one.seen)
        box = one.seen.proposal.embedding.lv_box
        if not same_box(box, look.lv_box):
            place = Difference(
                number, step.slice_index, step.name, 0, None, one.differs, "another ventricle box"
            )
            self.findings.differences.append(place)

    def _tell_weights(self, look: Look, seen: Seen) -> None:
        if look.software not in ("", scarseg.__version__):
            self.findings.because(
                f"another version: scarseg {look.software} read it, this is {scarseg.__version__}"
            )
        detector = seen.models.detector
        now = {
            "segmenter": seen.models.segmenter.identity.sha256,
            "detector": "" if detector is None else detector.identity.sha256,
        }
        then = {"segmenter": look.segmenter_sha256, "detector": look.detector_sha256}
        for kind, sha256 in then.items():
            if sha256 != now[kind]:
                self.findings.because(
                    f"other weights: the {kind} was {sha256[:12] or 'none'},"
                    f" here it is {now[kind][:12] or 'none'} (sha256)"
                )

    def _ask(
        self, number: int, one: RemadeSlice, step: Recorded, before: LabelArray, off: bool
    ) -> None:
        """Make an answer again, and compare it with what was recorded."""
        try:
            labels = self.answer[step.cause](one, step)
        except (_CannotBeMade, ModelError) as error:
            self._cannot(
                number, step, error.message if isinstance(error, ModelError) else f"{error}"
            )
            draw(one, step, before)
            return
        lay(one, step, labels)
        if step.cause in (Cause.PROPOSAL, Cause.RELOCATED):
            place = step.slice_index, one.recorded.tobytes()
            self._proposals[place] = Patch.of(one.remade)
        also = self._other_prompts(one, step)
        if one.differs or also:
            n = int(np.count_nonzero(one.remade != one.recorded))
            overlap = infarct_dice(one.recorded, one.remade)
            self.findings.differences.append(
                Difference(number, step.slice_index, step.name, n, overlap, off, also)
            )

    def _cannot(self, number: int, step: Recorded, why: str) -> None:
        self.findings.unchecked.append(Unchecked(number, step.slice_index, step.name, why))

    def _other_prompts(self, one: RemadeSlice, step: Recorded) -> str:
        """Say whether the models propose other boxes than they did."""
        if step.cause is not Cause.PROPOSAL or one.seen is None:
            return ""
        recorded = (step.reading or one.reading).prompts
        return "" if same_prompts(recorded, one.seen.proposal.prompts) else "other boxes"

    # What the models say

    def _answered(self, one: RemadeSlice, step: Recorded) -> LabelArray:
        seen = _seen(one)
        labels, logits = pipeline.segment(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.remade.copy(),
            one.answers.behind(one.remade),
        )
        one.answers.last = logits
        one.answers.remember(labels, logits)
        return labels

    def _corrected(self, one: RemadeSlice, step: Recorded) -> LabelArray:
        seen = _seen(one)
        if one.ground is None:
            raise _CannotBeMade(NO_GROUND)
        drawn = one.hand_drawn
        answer = pipeline.correct_heart(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.remade.copy(),
            one.ground.copy(),
            one.answers.behind(one.remade),
        )
        if answer.logits is not None:
            one.answers.last = answer.logits
            if not drawn:
                one.answers.remember(answer.labels, answer.logits)
        return answer.labels

    def _proposed(self, one: RemadeSlice, step: Recorded) -> LabelArray:
        proposal = _seen(one).proposal
        one.answers.remember(proposal.labels, proposal.logits)
        return proposal.labels

    def _walled(self, one: RemadeSlice, step: Recorded) -> LabelArray:
        proposal = _seen(one).proposal
        drawn = one.hand_drawn
        heart = resting_on_wall(proposal.labels)
        labels = np.where(infarct_mask(one.remade), one.remade, heart)
        if not drawn:
            one.answers.remember(labels, proposal.logits)
        return labels


def _seen(one: RemadeSlice) -> Seen:
    if one.seen is None:
        raise _CannotBeMade(NO_LOOK)
    return one.seen
