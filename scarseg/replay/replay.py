"""Carry out the record of a case again: the models' answers anew, a reader's hand as recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

import scarseg
from scarseg import models
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause, DetectorScope, ModelRun, ReadingRecord, SliceReading, Step
from scarseg.case.labels import LabelArray, Patch, infarct_mask, without_infarct
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Detection, Models, weights
from scarseg.progress import Progress, silent
from scarseg.quant.overlap import dice
from scarseg.replay.result import (
    MODEL_CAUSES,
    ReplayFindings,
    ReplayResult,
    StepDifference,
    UncheckedStep,
)
from scarseg.segmentation import pipeline, predict
from scarseg.segmentation.pipeline import LocatedHeart
from scarseg.segmentation.predict import PredictionCache, SliceProposal, detect
from scarseg.segmentation.proposal import reconcile_lv_boxes

BOX_TOLERANCE_PIXELS, SCORE_TOLERANCE = 0.01, 0.001
"""Boxes that are nearer than this are the same."""


@dataclass(frozen=True, eq=False)
class RepeatedRun:
    """What the models say of a slice now, and who they are."""

    models: Models
    proposal: SliceProposal


class ReplayWeights:
    """Models by the weights that a record names, loaded once each.

    Weights given beforehand take their place; so do the default ones where the manifest does not
    know those of the record.
    """

    def __init__(
        self, segmenter: str | None = None, detector: str | None = None, device: str = "auto"
    ) -> None:
        self._segmenter, self._detector, self._device = segmenter, detector, device
        self._loaded: dict[tuple[str | None, str | None], Models] = {}

    def of(self, look: ModelRun) -> Models:
        """Give the models that looked, or those that stand in for them.

        Raises:
            WeightsError: they cannot be loaded.
        """
        names = (
            self._segmenter or _named(look.segmenter_sha256, "segmenter"),
            self._detector
            or (_named(look.detector_sha256, "detector") if look.detector_sha256 else "none"),
        )
        if names not in self._loaded:
            self._loaded[names] = models.load(*names, self._device)
        return self._loaded[names]


def same_box(one: Box | None, other: Box | None) -> bool:
    """Tell whether two boxes are the same but for the last digits of a model's answer."""
    if one is None or other is None:
        return one is other
    corners = (
        abs(getattr(one, side) - getattr(other, side))
        for side in ("column0", "row0", "column1", "row1")
    )
    scores = abs((one.score or 0.0) - (other.score or 0.0))
    return (
        max(corners) <= BOX_TOLERANCE_PIXELS
        and scores <= SCORE_TOLERANCE
        and one.origin is other.origin
    )


def same_prompts(one: SlicePrompts, other: SlicePrompts) -> bool:
    """Tell whether prompts ask the same but for the last digits of their boxes."""
    mine, theirs = ((each.lv_box, each.pool_box, *each.boxes) for each in (one, other))
    return (
        len(one.boxes) == len(other.boxes)
        and all(map(same_box, mine, theirs))
        and (one.points, one.no_scar) == (other.points, other.no_scar)
    )


def _as_recorded(located: LocatedHeart, look: ModelRun) -> LocatedHeart:
    """Take the recorded ventricle box where the detector finds it again.

    Its last digits depend on processor and threads, and a millionth of a pixel moves the logits
    enough to turn a voxel.
    """
    found_again = look.lv_hint is None and same_box(located.lv_box, look.lv_box)
    return replace(located, lv_box=look.lv_box) if found_again else located


def _named(sha256: str, kind: str) -> str | None:
    """Name the shipped weights with this hash; None where there are none."""
    try:
        entries = weights.list_weights()
    except WeightsError:
        return None
    return next((e.name for e in entries if (e.sha256, e.kind) == (sha256, kind)), None)


class ModelRunner:
    """Look at the slices of one stack; what the detector says of each is asked for once."""

    def __init__(self, stack: Stack, source: ReplayWeights) -> None:
        self._stack, self._source = stack, source
        self._found: dict[tuple[int, int], list[Detection]] = {}
        self._located: dict[int, list[Box | None]] = {}

    def at(self, k: int, look: ModelRun) -> RepeatedRun:
        """Look at a slice as a record says.

        Raises:
            ModelError: the segmenter gave nothing usable.
            WeightsError: the weights cannot be loaded.
        """
        asked = self._source.of(look)
        if look.detector_scope is DetectorScope.NONE:
            located = LocatedHeart(look.lv_hint, ())
        elif look.detector_scope is DetectorScope.SLICE:
            found = self._detected(asked, k)
            located = LocatedHeart(reconcile_lv_boxes([found])[0], tuple(found))
        else:
            located = LocatedHeart(self._settled(asked)[k], tuple(self._detected(asked, k)))
        located = _as_recorded(located, look)
        image = self._stack.image(k)
        proposal = pipeline.propose_slice(image, asked, look.lv_hint, located=located)
        return RepeatedRun(asked, proposal)

    def _detected(self, asked: Models, k: int) -> list[Detection]:
        key = (id(asked), k)
        if key not in self._found:
            self._found[key] = detect(asked, self._stack.image(k))
        return self._found[key]

    def _settled(self, asked: Models) -> list[Box | None]:
        if id(asked) not in self._located:
            every = [self._detected(asked, k) for k in range(self._stack.n_slices)]
            self._located[id(asked)] = reconcile_lv_boxes(every)
        return self._located[id(asked)]


@dataclass
class ReplayedSlice:
    """One slice on its way: as it was recorded, and as it is made again.

    ``ground`` lies beneath the scar of ``remade``, None where that is not known. ``twins`` are
    what was made again where other labels were recorded, by the latter: undoing brings them back.
    """

    recorded: LabelArray
    remade: LabelArray
    ground: LabelArray | None
    reading: SliceReading = field(default_factory=SliceReading)
    answers: PredictionCache = field(default_factory=PredictionCache)
    seen: RepeatedRun | None = None
    twins: dict[bytes, tuple[LabelArray, LabelArray | None]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        return not np.array_equal(self.recorded, self.remade)

    @property
    def hand_drawn(self) -> bool:
        """Say what :meth:`scarseg.gui.session.inference.Inference.is_drawn_manually` said then."""
        drawn = self.reading.edited and bool(self.remade.any())
        return drawn and not self.answers.contains(self.remade)


def initial_slices(record: ReadingRecord) -> list[ReplayedSlice]:
    """Give every slice as it stood before the first step."""
    slices = []
    for k in range(record.shape[0]):
        labels = np.zeros(record.shape[1:], dtype=np.uint8)
        reading = SliceReading()
        if record.start is not None:
            reading, patch = record.start[k]
            patch.apply(labels)
        ground = None if infarct_mask(labels).any() else labels.copy()
        slices.append(ReplayedSlice(labels, labels.copy(), ground, reading))
    return slices


def apply_manual_edit(one: ReplayedSlice, step: Step, before: LabelArray) -> None:
    """Change what a hand changed, and nothing else."""
    labels = one.remade.copy()
    drawn = one.recorded != before
    labels[drawn] = one.recorded[drawn]
    set_labels(one, step, labels)


def set_labels(one: ReplayedSlice, step: Step, labels: LabelArray) -> None:
    """Set labels, and the labels under their scar, as :class:`scarseg.case.case.Case` does."""
    infarct = infarct_mask(labels)
    if step.labels_under_scar is not None:
        beneath = np.zeros_like(labels)
        step.labels_under_scar.apply(beneath)
        one.ground = np.where(infarct, beneath, labels)
    elif one.ground is not None:
        one.ground = np.where(infarct, one.ground, labels)
    elif not infarct.any():
        one.ground = labels.copy()
    one.remade = labels


def infarct_dice(one: LabelArray, other: LabelArray) -> float | None:
    """Give the Dice of scar and MVO of two slices (row, column); None where neither has any."""
    return dice(infarct_mask(one), infarct_mask(other))


RECORD_INCOMPLETE = "the record begins later"
NO_MODEL_RUN = "the record does not say how the models had looked at the slice"
NO_UNDERLYING_LABELS = "the record does not say what lay beneath the scar"


class _CannotBeMade(Exception):  # noqa: N818 - a finding
    """A step lacks what it was made from; the words say what."""


def replay_case(
    case: Case,
    source: ReplayWeights,
    progress: Progress = silent,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> ReplayResult:
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
    again = replace(case, labels=labels, proposed=remaking.proposed(), labels_under_scar=None)
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
    return ReplayResult(
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

    def __init__(self, case: Case, source: ReplayWeights) -> None:
        self.case = case
        self.findings = ReplayFindings(n_steps=len(case.record.steps))
        self.looking = ModelRunner(case.stack, source)
        self.slices = initial_slices(case.record)
        self.used: Models | None = None
        self._proposals: dict[tuple[int, bytes], Patch] = {}
        self.answer: dict[Cause, Callable[[ReplayedSlice, Step], LabelArray]] = {
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
                self.findings.unchecked.append(
                    UncheckedStep(0, k, "what stood before", RECORD_INCOMPLETE)
                )
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
                patch.apply(labels)
                patch = self._proposals.get((k, labels.tobytes()), patch)
            proposed.append(patch)
        return proposed

    def _hold_edits(self) -> None:
        """Put the recorded labels on each other; the case must come out byte for byte."""
        labels, readings = self.case.record.final_state()
        held = np.array_equal(labels, self.case.labels) and readings == self.case.readings
        self.findings.edits_hold = held

    def _carry_out(self, number: int, step: Step) -> None:
        one = self.slices[step.slice_index]
        before, off = one.recorded.copy(), one.differs
        if step.patch is not None:
            step.patch.apply(one.recorded)
        if step.model_run is not None:
            self._look(number, one, step, step.model_run)
        if step.cause in MODEL_CAUSES:
            self.findings.n_answers += 1
            self._ask(number, one, step, before, off)
        elif step.cause in (Cause.UNDO, Cause.REDO) and one.recorded.tobytes() in one.twins:
            one.remade, one.ground = one.twins[one.recorded.tobytes()]
        else:
            apply_manual_edit(one, step, before)
        if step.reading is not None:
            one.reading = step.reading
        if one.differs:
            one.twins[one.recorded.tobytes()] = one.remade, one.ground
        else:
            one.twins.pop(one.recorded.tobytes(), None)

    def _look(self, number: int, one: ReplayedSlice, step: Step, look: ModelRun) -> None:
        if look.fresh:
            one.answers = PredictionCache()
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
            place = StepDifference(
                number, step.slice_index, step.name, 0, None, one.differs, "another ventricle box"
            )
            self.findings.differences.append(place)

    def _tell_weights(self, look: ModelRun, seen: RepeatedRun) -> None:
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
        self, number: int, one: ReplayedSlice, step: Step, before: LabelArray, off: bool
    ) -> None:
        """Make an answer again, and compare it with what was recorded."""
        try:
            labels = self.answer[step.cause](one, step)
        except (_CannotBeMade, ModelError) as error:
            self._cannot(
                number, step, error.message if isinstance(error, ModelError) else f"{error}"
            )
            apply_manual_edit(one, step, before)
            return
        set_labels(one, step, labels)
        if step.cause in (Cause.PROPOSAL, Cause.RELOCATED):
            place = step.slice_index, one.recorded.tobytes()
            self._proposals[place] = Patch.of(one.remade)
        also = self._other_prompts(one, step)
        if one.differs or also:
            n = int(np.count_nonzero(one.remade != one.recorded))
            overlap = infarct_dice(one.recorded, one.remade)
            self.findings.differences.append(
                StepDifference(number, step.slice_index, step.name, n, overlap, off, also)
            )

    def _cannot(self, number: int, step: Step, why: str) -> None:
        self.findings.unchecked.append(UncheckedStep(number, step.slice_index, step.name, why))

    def _other_prompts(self, one: ReplayedSlice, step: Step) -> str:
        """Say whether the models propose other boxes than they did."""
        if step.cause is not Cause.PROPOSAL or one.seen is None:
            return ""
        recorded = (step.reading or one.reading).prompts
        return "" if same_prompts(recorded, one.seen.proposal.prompts) else "other boxes"

    # What the models say

    def _answered(self, one: ReplayedSlice, step: Step) -> LabelArray:
        seen = _seen(one)
        labels, logits = pipeline.segment(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.remade.copy(),
            one.answers.lookup(one.remade),
        )
        one.answers.last = logits
        one.answers.store(labels, logits)
        return labels

    def _corrected(self, one: ReplayedSlice, step: Step) -> LabelArray:
        seen = _seen(one)
        if one.ground is None:
            raise _CannotBeMade(NO_UNDERLYING_LABELS)
        drawn = one.hand_drawn
        answer = predict.correct_heart(
            seen.models,
            seen.proposal.embedding,
            one.reading.prompts,
            one.remade.copy(),
            one.ground.copy(),
            one.answers.lookup(one.remade),
        )
        if answer.logits is not None:
            one.answers.last = answer.logits
            if not drawn:
                one.answers.store(answer.labels, answer.logits)
        return answer.labels

    def _proposed(self, one: ReplayedSlice, step: Step) -> LabelArray:
        proposal = _seen(one).proposal
        one.answers.store(proposal.labels, proposal.logits)
        return proposal.labels

    def _walled(self, one: ReplayedSlice, step: Step) -> LabelArray:
        proposal = _seen(one).proposal
        drawn = one.hand_drawn
        heart = without_infarct(proposal.labels)
        labels = np.where(infarct_mask(one.remade), one.remade, heart)
        if not drawn:
            one.answers.store(labels, proposal.logits)
        return labels


def _seen(one: ReplayedSlice) -> RepeatedRun:
    if one.seen is None:
        raise _CannotBeMade(NO_MODEL_RUN)
    return one.seen
