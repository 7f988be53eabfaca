"""The jobs of the models for one document: detect, propose, answer; their results as changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from scarseg.case import changes
from scarseg.case.case import Change
from scarseg.case.history import Cause, DetectorScope, SliceReading, SliceStatus
from scarseg.case.labels import LabelArray, infarct_mask, without_infarct
from scarseg.case.prompts import Box, Origin
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.session.inference_queue import IdleTask, RequestKind, Task
from scarseg.gui.session.inference_state import InferenceState, Readiness
from scarseg.gui.workers import Worker
from scarseg.models import Detection, Logits, embed_step, embeds_in_steps

if TYPE_CHECKING:
    from scarseg.segmentation.pipeline import LocatedHeart
    from scarseg.segmentation.predict import SliceProposal
    from scarseg.segmentation.wall_correction import CorrectedHeart

CAUSES = {
    RequestKind.ASKED: Cause.PROPOSAL,
    RequestKind.RELOCATED: Cause.RELOCATED,
    RequestKind.WALL: Cause.WALL,
}


def _nothing() -> None:
    """Do nothing."""


def load_pipeline() -> ModuleType:
    """Return the pipeline; imported on first use, since scipy would delay the window."""
    from scarseg.segmentation import pipeline

    return pipeline


def load_gate() -> ModuleType:
    """Return the gate of a whole stack; imported on first use, as the pipeline."""
    from scarseg.segmentation import gate

    return gate


class InferenceJobs:
    """Run the next step of the queue on the worker, one short job at a time.

    The step after it is chosen when it has ended, so that a click never waits for more than one
    job. A result is dropped when it comes too late: after :meth:`cancel` (another turn), after
    :meth:`stop`, for prompts that are no longer the newest question, or for a slice that changed
    in the meantime (its version).

    The case in front goes first: its jobs are put before those that wait. One behind it
    (``yields_to`` is set) starts a job only while the other has nothing to do but idle tasks.
    """

    def __init__(self, state: InferenceState, worker: Worker) -> None:
        self._state, self._worker = state, worker
        self._document, self._queue = state.document, state.queue
        self.idle_task: Callable[[], IdleTask | None] | None = None
        self.yields_to: Callable[[], bool] | None = None
        """Returns whether the case in front has work; None for the case in front itself."""
        self.at_rest: Callable[[], object] = _nothing
        """Called whenever nothing but idle tasks is left."""
        self.alive, self._busy, self._turn = True, False, 0
        self._idle = False
        self._gate_waits = False
        """A first proposal came that the gate of the whole stack has not seen."""
        self._without_remote: int | None = None
        """Revision of the document in which no remote wall was found to tell MVO by."""
        self._key = f"{id(self):x}"

    def start_next(self) -> None:
        """Queue the next job on the worker, unless one is there."""
        if self._busy or not self.alive or self._state.models is None:
            return
        if self.yields_to is not None and self.yields_to():
            return
        step = self._queue.next_task(self._document.current)
        if step is None:
            self._withhold_scar()
            if self._look_for_mvo():
                return
            work = None if self.idle_task is None else self.idle_task()
            if work is not None:
                self._run(
                    Task.IDLE, work.slice_index, work.work, done=work.done, failed=work.failed
                )
            self.at_rest()
            return
        task, k = step
        if task is Task.PROPOSE and self._embeds_first(k):
            self._embed(k)
            return
        {Task.DETECT: self._detect, Task.PROPOSE: self._propose}.get(task, self._answer)(k)

    @property
    def working(self) -> bool:
        """Return whether there is anything to do but idle tasks."""
        if not self.alive or self._state.models is None:
            return False
        busy = self._busy and not self._idle
        return busy or self._queue.next_task(self._document.current) is not None

    def stop(self) -> None:
        """Drop everything that waits; results that still come are dropped."""
        self.alive = False
        self._worker.forget(self._key)

    def cancel(self) -> None:
        """Stop proposing and answering; prompts stay, and are answered when a reader asks."""
        state = self._state
        pending = list(state.pending)
        state.embedded_part.clear()
        self._turn += 1
        self._queue.clear()
        for k, readiness in enumerate(state.readiness):
            if readiness is Readiness.WAITING:
                state.set_ready(k, Readiness.FAILED)
        for k in pending:
            state.pending_changed.emit(k)
        state.proposing_changed.emit()

    def _run(
        self,
        task: Task,
        k: int,
        work: Callable[..., Any],
        *args: Any,
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._busy, self._idle = True, task is Task.IDLE
        turn = self._turn

        def finish(receive: Callable[[Any], None], result: Any) -> None:
            self._busy = False
            try:
                if turn == self._turn:
                    receive(result)
            finally:
                self.start_next()

        self._worker.run(
            f"{self._key} {task} {k}",
            work,
            *args,
            done=partial(finish, done),
            failed=partial(finish, failed),
            current=lambda: self.alive,
            urgent=self.yields_to is None and not self._idle,
        )

    # Detection

    def _detect(self, k: int) -> None:
        from scarseg.segmentation import predict

        image = self._document.case.stack.image(k)
        self._run(
            Task.DETECT, k, predict.detect, self._state.models, image,
            done=partial(self._take_detections, k), failed=self._detection_failed,
        )  # fmt: skip

    def _take_detections(self, k: int, found: list[Detection]) -> None:
        self._queue.found[k] = tuple(found)
        if None not in self._queue.found:
            self.settle()

    def settle(self) -> None:
        """Locate the heart from the detections of all slices.

        Slices proposed by another box before are proposed again, unless a reader changed them.
        """
        self._queue.set_located(_settled([found or () for found in self._queue.found]))
        self._queue.unsettled = {k for k in self._queue.unsettled if self._untouched(k)}

    def _untouched(self, k: int) -> bool:
        return self._document.versions[k] == 0 and not self._document.case.readings[k].protected

    def _detection_failed(self, error: BaseException) -> None:
        self.cancel()
        self._report(error, "The heart was not found")

    # Embeddings that take long

    def _embeds_first(self, k: int) -> bool:
        """Return whether a part of a slice's embedding is to be computed before its proposal."""
        models = self._state.models
        if models is None or not embeds_in_steps(models.segmenter):
            return False
        return self._state.embedded_part.get(k, 0.0) < 1

    def _embed(self, k: int) -> None:
        assert self._state.models is not None
        segmenter, image = self._state.models.segmenter, self._document.case.stack.image(k)
        self._run(
            Task.EMBED, k, embed_step, segmenter, image,
            done=partial(self._take_part, k), failed=partial(self._fail, k),
        )  # fmt: skip

    def _take_part(self, k: int, part: float) -> None:
        self._state.embedded_part[k] = part
        self._state.proposing_changed.emit()

    # Proposals

    def _propose(self, k: int) -> None:
        queue, reading = self._queue, self._document.case.readings[k]
        box = reading.prompts.lv_box
        known = k in queue.known
        request = queue.requests.pop(k, None)
        mine = box is not None and (known or reading.protected or box.origin is Origin.READER)
        hint = box if mine else None
        located: LocatedHeart | None = None
        scope = DetectorScope.STACK if queue.located else DetectorScope.SLICE
        if queue.located:
            located = queue.located[k]
        elif known and request is None:
            located = load_pipeline().LocatedHeart(box, ())
            scope = DetectorScope.NONE
        elif (found := queue.found[k]) is not None:
            located = _settled([found])[0]
            if hint is None:
                queue.alone[k] = located.lv_box
        take = partial(self._take_proposal, k, self._document.versions[k], request, hint, scope)
        self._run(
            Task.PROPOSE, k, partial(load_pipeline().propose_slice, located=located),
            self._document.case.stack.image(k), self._state.models, hint,
            done=take, failed=partial(self._fail, k),
        )  # fmt: skip

    def _take_proposal(
        self,
        k: int,
        version: int,
        request: RequestKind | None,
        hint: Box | None,
        scope: DetectorScope,
        proposal: SliceProposal,
    ) -> None:
        state, queue, document = self._state, self._queue, self._document
        fresh = version == document.versions[k]
        unsettled = k in queue.unsettled
        queue.unsettled.discard(k)
        if unsettled and not fresh:
            return
        self._store(k, hint, scope, proposal)
        change = None
        if request is not None:
            change = self._requested_change(k, request, fresh, proposal)
        elif fresh and (unsettled or document.case.readings[k].status is SliceStatus.UNSEEN):
            change = load_pipeline().proposal_change(document.case, k, proposal)
        drawn = request is RequestKind.WALL and state.is_drawn_manually(k)
        if change is not None:
            if request is not None:
                under_scar = without_infarct(proposal.labels)
                relocated = request is RequestKind.RELOCATED
                document.push(change, relocated, under_scar, CAUSES[request])
            else:
                document.propose(change)
                self._gate_waits = True
            if not drawn:
                state.store_prediction(k, proposal.logits)
        state.set_ready(k, Readiness.READY)
        prompts = document.case.readings[k].prompts
        if request is RequestKind.RELOCATED and change is not None:
            if prompts.has_scar_prompts:
                state.add_question(k)
            elif prompts.has_heart_prompts:
                state.add_question(k, wall_only=True)

    def _store(
        self, k: int, hint: Box | None, scope: DetectorScope, proposal: SliceProposal
    ) -> None:
        """Store what later clicks on this slice need, and record which models ran."""
        state, case = self._state, self._document.case
        assert state.models is not None
        case.segmenter = state.models.segmenter.identity
        if state.models.detector is not None:
            case.detector = state.models.detector.identity
        case.calibration = state.models.calibration
        self._queue.waiting.discard(k)
        self._queue.embedded.add(k)
        fresh = state.embeddings[k] is None
        state.embeddings[k], state.predictions[k].last = proposal.embedding, proposal.logits
        self._document.record_model_run(k, hint, proposal.embedding.lv_box, scope, fresh)

    def _requested_change(
        self, k: int, request: RequestKind, fresh: bool, proposal: SliceProposal
    ) -> Change | None:
        case = self._document.case
        if request is RequestKind.ASKED:
            after = SliceReading(prompts=proposal.prompts, status=SliceStatus.PROPOSED)
            name = changes.step_name("propose again", k)
            return case.change(name, k, after, proposal.labels)
        if request is RequestKind.RELOCATED:
            if not fresh:
                return None
            return changes.apply_relocation(case, k, proposal.prompts, proposal.labels)
        if proposal.logits.wall is None:
            self._state.failed.emit(
                "These weights know scar alone: draw wall and blood pool by hand."
            )
            return None
        return changes.apply_wall_proposal(case, k, proposal.labels, proposal.prompts.lv_box)

    # Answers to prompts

    def _answer(self, k: int) -> None:
        state, case, question = self._state, self._document.case, self._queue.asked[k]
        failed = partial(self._fail, k, question=question)
        if k in state.wall_only:
            from scarseg.segmentation.predict import correct_heart
            from scarseg.segmentation.refill import refill_wall

            refilled = state.refills(k)
            self._run(
                Task.ANSWER, k, refill_wall if refilled else correct_heart, state.models,
                state.embeddings[k], case.readings[k].prompts, case.labels[k].copy(),
                self._document.labels_under_scar[k].copy(), state.current_logits(k),
                done=partial(self._take_correction, k, question, refilled), failed=failed,
            )  # fmt: skip
            return
        self._run(
            Task.ANSWER, k, load_pipeline().segment, state.models, state.embeddings[k],
            case.readings[k].prompts, case.labels[k].copy(), state.current_logits(k),
            done=partial(self._take_answer, k, question), failed=failed,
        )  # fmt: skip

    def _take_answer(self, k: int, question: int, answer: tuple[LabelArray, Logits]) -> None:
        if self._queue.asked.get(k) != question:
            return
        labels, logits = answer
        self._state.predictions[k].last = logits
        change = changes.apply_prediction(self._document.case, k, labels)
        self._document.push(change, answers=True)
        self._state.store_prediction(k, logits)
        self._state.cancel_answer(k)

    def _take_correction(
        self, k: int, question: int, refilled: bool, answer: CorrectedHeart
    ) -> None:
        if self._queue.asked.get(k) != question:
            return
        state = self._state
        drawn = state.is_drawn_manually(k)
        build = changes.refill_wall if refilled else changes.correct_wall
        change = build(self._document.case, k, answer.labels)
        cause = Cause.REFILLED if refilled else Cause.CORRECTION
        self._document.push(change, True, answer.labels_under_scar, cause)
        if answer.logits is not None:
            state.predictions[k].last = answer.logits
            if not drawn:
                state.store_prediction(k, answer.logits)
        if refilled:
            state.scar_of_models[k] = infarct_mask(self._document.case.labels[k])
        state.cancel_answer(k)

    # The whole stack

    def _withhold_scar(self) -> None:
        """Withhold the scar of a stack that is probably free of it, once it is proposed."""
        if not self._gate_waits or self._document.read_only:
            return
        from scarseg.segmentation.calibration import calibrated

        self._gate_waits = False
        state, document = self._state, self._document
        last = {k: one.last for k, one in enumerate(state.predictions) if one.last is not None}
        rules = calibrated(document.case.calibration)
        for change in load_gate().withhold_changes(document.case, last, rules):
            document.propose(change, Cause.GATE)
            state.store_prediction(change.slice_index, last[change.slice_index])

    # MVO

    def _look_for_mvo(self) -> bool:
        """Start to look for MVO in scar that the models drew; return whether there was any."""
        document, state = self._document, self._state
        if document.read_only or self._without_remote == document.revision:
            return False
        slices = [
            k
            for k, embedding in enumerate(state.embeddings)
            if embedding is not None
            and load_pipeline().awaits_mvo(document.case, k)
            and not state.is_drawn_manually(k)
        ]
        if slices:
            self._run(
                Task.MVO, slices[0], load_pipeline().mvo_changes, document.case.copy(), slices,
                done=partial(self._take_mvo, document.revision), failed=self._mvo_failed,
            )  # fmt: skip
        return bool(slices)

    def _take_mvo(self, revision: int, found: list[Change]) -> None:
        document, state = self._document, self._state
        if revision != document.revision:
            return  # it is looked for again
        for change in found:
            logits = state.current_logits(change.slice_index)
            document.propose(change, Cause.MVO)
            if logits is not None:
                state.store_prediction(change.slice_index, logits)
        if not found:
            self._without_remote = document.revision

    def _mvo_failed(self, error: BaseException) -> None:
        self._without_remote = self._document.revision
        self._report(error, "MVO was not looked for")

    # Failures

    def _fail(self, k: int, error: BaseException, question: int | None = None) -> None:
        if question is not None and self._queue.asked.get(k) != question:
            return
        for each in (self._queue.waiting, self._queue.unsettled):
            each.discard(k)
        self._queue.requests.pop(k, None)
        self._state.cancel_answer(k)
        embedded = self._state.embeddings[k] is not None
        self._state.set_ready(k, Readiness.READY if embedded else Readiness.FAILED)
        self._report(error, f"Slice {k + 1}")

    def _report(self, error: BaseException, where: str) -> None:
        if not isinstance(error, (ScarsegError, MemoryError, RuntimeError)):
            raise error
        if not isinstance(error, Cancelled):
            self._state.failed.emit(
                f"{where}: {error or type(error).__name__}. Draw by hand, or ask again with Ctrl+R."
            )


def _settled(found: list[tuple[Detection, ...]]) -> tuple[LocatedHeart, ...]:
    """Locate the heart on slices detected one by one, as ``pipeline.locate_hearts`` does."""
    from scarseg.segmentation.proposal import reconcile_lv_boxes

    located = load_pipeline().LocatedHeart
    return tuple(
        located(box, several) for box, several in zip(reconcile_lv_boxes(found), found, strict=True)
    )
