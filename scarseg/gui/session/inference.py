"""What the models do for one document: propose every slice, answer prompts, never land late."""

from __future__ import annotations

from collections.abc import Callable, KeysView
from enum import StrEnum
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case import changes
from scarseg.case.case import CaseStatus, Change
from scarseg.case.history import Cause, DetectorScope, SliceReading, SliceStatus
from scarseg.case.labels import LabelArray, without_infarct
from scarseg.case.prompts import Box, Origin
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference_queue import IdleTask, InferenceQueue, RequestKind, Task
from scarseg.gui.workers import Worker
from scarseg.models import Detection, Embedding, Logits, Models
from scarseg.segmentation.predict import PredictionCache

if TYPE_CHECKING:
    from scarseg.segmentation.pipeline import LocatedHeart
    from scarseg.segmentation.predict import SliceProposal
    from scarseg.segmentation.wall_correction import CorrectedHeart


def load_pipeline() -> ModuleType:
    """Give the pipeline; imported on first use, since scipy would delay the window."""
    from scarseg.segmentation import pipeline

    return pipeline


class Readiness(StrEnum):
    """Whether a click on a slice can be answered at once."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"
    RESTING = "resting"
    """Nothing is computed before a reader wants to change something."""


CAUSES = {
    RequestKind.ASKED: Cause.PROPOSAL,
    RequestKind.RELOCATED: Cause.RELOCATED,
    RequestKind.WALL: Cause.WALL,
}


class Inference(QObject):
    """Propose all slices of a document, current one first, and answer its prompts.

    One short job at a time is on the lane; what comes next is decided when it is done, so that
    a click never waits for more than that; when nothing is to be done ``idle_task`` is asked for
    work. The current slice is shown by what the detector says
    of it alone, and proposed again, unless a reader touched it, where the whole stack says
    otherwise. A case that was read whole rests until a reader asks.

    Signals:
        ready_changed: readiness of this slice changed.
        pending_changed: a prompt on this slice began or ended to wait for its answer.
        proposing_changed: proposing began or was cancelled.
        failed: a sentence: a model gave nothing usable; the manual tools go on.
    """

    ready_changed = pyqtSignal(int)
    pending_changed = pyqtSignal(int)
    failed = pyqtSignal(str)
    proposing_changed = pyqtSignal()

    def __init__(self, document: Document, lane: Worker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self._worker = lane
        self._models: Models | None = None
        self._alive = True
        n = document.case.stack.n_slices
        self.readiness = [Readiness.WAITING] * n
        self._embeddings: list[Embedding | None] = [None] * n
        self._answers = [PredictionCache() for _ in range(n)]
        self._hearts: set[int] = set()
        self._queue = InferenceQueue(n)
        self.idle_task: Callable[[], IdleTask | None] | None = None
        self._busy = False
        self._turn = 0
        self._key = f"{id(self):x}"
        document.slice_changed.connect(self.cancel_answer)

    @property
    def pending(self) -> KeysView[int]:
        """Give the slices whose prompts wait for their answer."""
        return self._queue.asked.keys()

    @property
    def n_ready(self) -> int:
        return sum(state is Readiness.READY for state in self.readiness)

    @property
    def proposing(self) -> bool:
        """Say whether slices are still waiting for their proposal."""
        waiting = Readiness.WAITING in self.readiness or bool(self._queue.unsettled)
        return self._models is not None and waiting

    @property
    def models(self) -> Models | None:
        """Give the models, once they are loaded."""
        return self._models

    def embedding(self, slice_index: int) -> Embedding | None:
        """Give the embedding of a slice; None where the models have not looked in this sitting."""
        return self._embeddings[slice_index]

    def resume(self) -> None:
        """See whether there is something to do: ``idle_task`` may have work now."""
        self._go_on()

    def start(self, models: Models) -> None:
        """Begin to propose every slice, current first, then its neighbours outwards.

        A case that was read whole, or that cannot be written, rests.
        """
        self._models = models
        if models.detector is None:
            self._queue.found = [()] * self._queue.n
            self._settle()
        self._plan()
        read = self.document.case.status is CaseStatus.READ
        if self.document.read_only or (read and not self.pending):
            self._queue.clear()
            for k, state in enumerate(self.readiness):
                if state is Readiness.WAITING:
                    self._set_ready(k, Readiness.RESTING)
        self.proposing_changed.emit()
        self._go_on()

    def stop(self) -> None:
        """Forget everything that waits; answers that still come are dropped."""
        self._alive = False
        self._worker.forget(self._key)

    def cancel(self) -> None:
        """Stop proposing and answering; prompts stay, and are answered when a reader asks."""
        pending = list(self.pending)
        self._turn += 1
        self._queue.clear()
        for k, state in enumerate(self.readiness):
            if state is Readiness.WAITING:
                self._set_ready(k, Readiness.FAILED)
        for k in pending:
            self.pending_changed.emit(k)
        self.proposing_changed.emit()

    def cancel_answer(self, slice_index: int) -> bool:
        """Wait no longer for the answer on this slice; say whether there was one to come."""
        self._hearts.discard(slice_index)
        if self._queue.asked.pop(slice_index, None) is None:
            return False
        self.pending_changed.emit(slice_index)
        return True

    def is_drawn_manually(self, slice_index: int) -> bool:
        """Say whether a reader's drawing would be lost by segmenting again."""
        if not self.document.case.readings[slice_index].edited:
            return False
        if not self.document.case.labels[slice_index].any():
            return False
        return not self._answers[slice_index].contains(self.document.case.labels[slice_index])

    def _remember(self, k: int, logits: Logits) -> None:
        self._answers[k].store(self.document.case.labels[k], logits)

    def _behind(self, k: int) -> Logits | None:
        return self._answers[k].lookup(self.document.case.labels[k])

    def segment(self, slice_index: int) -> None:
        """Answer the slice's prompts; waits for its embedding when that is not there yet."""
        if not self.document.read_only:
            self._ask(slice_index)
            self._want(slice_index)

    def correct_wall(self, slice_index: int) -> None:
        """Let wall and blood pool obey the slice's prompts for them; its scar stays."""
        if not self.document.read_only:
            self._ask(slice_index)
            self._hearts.add(slice_index)
            self._want(slice_index)

    def awaits_scar_answer(self, slice_index: int) -> bool:
        """Say whether the slice waits for an answer to more than its wall and blood pool."""
        return slice_index in self.pending and slice_index not in self._hearts

    def relocate(self, slice_index: int) -> None:
        """Look at a slice anew round the ventricle box that the reader drew."""
        if self._models is not None and not self.document.read_only:
            self._ask(slice_index)
            self._wish(slice_index, RequestKind.RELOCATED)

    def propose_again(self, slice_index: int) -> None:
        """Propose one slice anew because the reader asked, whatever stands on it."""
        if self._models is not None and not self.document.read_only:
            self._wish(slice_index, RequestKind.ASKED)

    def propose_wall(self, slice_index: int) -> None:
        """Propose wall and blood pool of one slice anew; its scar stays."""
        being_proposed = slice_index in self._queue.waiting
        if self._models is not None and not self.document.read_only and not being_proposed:
            self._wish(slice_index, RequestKind.WALL)

    # What comes next

    def _plan(self) -> None:
        """Note what every slice needs that is not embedded yet."""
        agenda = self._queue
        agenda.awake = True
        for k, reading in enumerate(self.document.case.readings):
            if self._embeddings[k] is not None:
                continue
            agenda.waiting.add(k)
            if reading.status is not SliceStatus.UNSEEN and reading.prompts.lv_box is not None:
                agenda.known.add(k)
            if reading.status.read:
                agenda.later.add(k)
            self._set_ready(k, Readiness.WAITING)

    def _ask(self, k: int) -> None:
        self._hearts.discard(k)
        self._queue.ask(k)
        self.pending_changed.emit(k)

    def _wish(self, k: int, why: RequestKind) -> None:
        self._queue.request(k, why)
        self._want(k)

    def _want(self, k: int) -> None:
        """See to it that a slice a reader asked for is embedded, and soon."""
        if self._models is None:
            return
        if Readiness.RESTING in self.readiness:
            self._plan()
            self.proposing_changed.emit()
        if self._embeddings[k] is None or k in self._queue.requests:
            self._queue.waiting.add(k)
            self._set_ready(k, Readiness.WAITING)
        self._go_on()

    def _go_on(self) -> None:
        """Put the next job on the lane, unless one is there."""
        if self._busy or not self._alive or self._models is None:
            return
        step = self._queue.next_task(self.document.current)
        if step is None:
            self._use_the_pause()
            return
        task, k = step
        if task is Task.LOOK:
            self._look(k)
        elif task is Task.PROPOSE:
            self._propose(k)
        else:
            self._answer(k)

    def _use_the_pause(self) -> None:
        """Do what can wait, one piece at a time, as long as nothing else is to be done."""
        work = None if self.idle_task is None else self.idle_task()
        if work is not None:
            self._run(Task.SPARE, work.slice_index, work.work, done=work.done, failed=work.failed)

    def _run(
        self,
        task: Task,
        k: int,
        work: Callable[..., Any],
        *args: Any,
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._busy = True
        turn = self._turn

        def finish(take: Callable[[Any], None], what: Any) -> None:
            self._busy = False
            try:
                if turn == self._turn:
                    take(what)
            finally:
                self._go_on()

        self._worker.run(
            f"{self._key} {task} {k}",
            work,
            *args,
            done=partial(finish, done),
            failed=partial(finish, failed),
            current=lambda: self._alive,
        )

    # Looking

    def _look(self, k: int) -> None:
        from scarseg.segmentation import predict

        image = self.document.case.stack.image(k)
        self._run(
            Task.LOOK, k, predict.detect, self._models, image,
            done=partial(self._take_look, k), failed=self._not_found,
        )  # fmt: skip

    def _take_look(self, k: int, found: list[Detection]) -> None:
        self._queue.found[k] = tuple(found)
        if None not in self._queue.found:
            self._settle()

    def _settle(self) -> None:
        """Let all slices agree where the heart is; a slice that a reader touched stays."""
        self._queue.set_located(_settled([found or () for found in self._queue.found]))
        self._queue.unsettled = {k for k in self._queue.unsettled if self._untouched(k)}

    def _untouched(self, k: int) -> bool:
        return self.document.versions[k] == 0 and not self.document.case.readings[k].protected

    def _not_found(self, error: BaseException) -> None:
        self.cancel()
        self._tell(error, "The heart was not found")

    # Proposing

    def _propose(self, k: int) -> None:
        reading = self.document.case.readings[k]
        box = reading.prompts.lv_box
        known = k in self._queue.known
        why = self._queue.requests.pop(k, None)
        mine = box is not None and (known or reading.protected or box.origin is Origin.READER)
        hint = box if mine else None
        located: LocatedHeart | None = None
        sight = DetectorScope.STACK if self._queue.located else DetectorScope.SLICE
        if self._queue.located:
            located = self._queue.located[k]
        elif known and why is None:
            located = load_pipeline().LocatedHeart(box, ())
            sight = DetectorScope.NONE
        elif (found := self._queue.found[k]) is not None:
            located = _settled([found])[0]
            if hint is None:
                self._queue.alone[k] = located.lv_box
        take = partial(self._take_proposal, k, self.document.versions[k], why, hint, sight)
        self._run(
            Task.PROPOSE, k, partial(load_pipeline().propose_slice, located=located),
            self.document.case.stack.image(k), self._models, hint,
            done=take, failed=partial(self._fail, k),
        )  # fmt: skip

    def _take_proposal(
        self,
        k: int,
        version: int,
        why: RequestKind | None,
        hint: Box | None,
        sight: DetectorScope,
        proposal: SliceProposal,
    ) -> None:
        agenda, case = self._queue, self.document.case
        fresh = version == self.document.versions[k]
        unsettled = k in agenda.unsettled
        agenda.unsettled.discard(k)
        if unsettled and not fresh:
            return
        self._keep(k, hint, sight, proposal)
        change = None
        if why is not None:
            change = self._change_asked_for(k, why, fresh, proposal)
        elif fresh and (unsettled or case.readings[k].status is SliceStatus.UNSEEN):
            change = load_pipeline().proposal_change(case, k, proposal)
        drawn = why is RequestKind.WALL and self.is_drawn_manually(k)
        if change is not None:
            if why is not None:
                ground = without_infarct(proposal.labels)
                self.document.push(change, why is RequestKind.RELOCATED, ground, CAUSES[why])
            else:
                self.document.propose(change)
            if not drawn:
                self._remember(k, proposal.logits)
        self._set_ready(k, Readiness.READY)
        prompts = case.readings[k].prompts
        if why is RequestKind.RELOCATED and change is not None:
            if prompts.has_scar_prompts:
                self._ask(k)
            elif prompts.has_heart_prompts:
                self.correct_wall(k)

    def _keep(
        self, k: int, hint: Box | None, sight: DetectorScope, proposal: SliceProposal
    ) -> None:
        """Keep what later clicks on this slice need, and write down whose it is."""
        assert self._models is not None
        case = self.document.case
        case.segmenter = self._models.segmenter.identity
        if self._models.detector is not None:
            case.detector = self._models.detector.identity
        self._queue.waiting.discard(k)
        self._queue.embedded.add(k)
        fresh = self._embeddings[k] is None
        self._embeddings[k], self._answers[k].last = proposal.embedding, proposal.logits
        self.document.looked(k, hint, proposal.embedding.lv_box, sight, fresh)

    def _change_asked_for(
        self, k: int, why: RequestKind, fresh: bool, proposal: SliceProposal
    ) -> Change | None:
        case = self.document.case
        if why is RequestKind.ASKED:
            after = SliceReading(prompts=proposal.prompts, status=SliceStatus.PROPOSED)
            name = changes.step_name("propose again", k)
            return case.change(name, k, after, proposal.labels)
        if why is RequestKind.RELOCATED:
            if not fresh:
                return None
            return changes.apply_relocation(case, k, proposal.prompts, proposal.labels)
        if proposal.logits.wall is None:
            self.failed.emit("These weights know scar alone: draw wall and blood pool by hand.")
            return None
        return changes.apply_wall_proposal(case, k, proposal.labels, proposal.prompts.lv_box)

    # Answering

    def _answer(self, k: int) -> None:
        case, question = self.document.case, self._queue.asked[k]
        if k in self._hearts:
            from scarseg.segmentation.predict import correct_heart

            self._run(
                Task.ANSWER, k, correct_heart, self._models, self._embeddings[k],
                case.readings[k].prompts, case.labels[k].copy(),
                self.document.labels_under_scar[k].copy(), self._behind(k),
                done=partial(self._take_correction, k, question),
                failed=partial(self._fail, k, question=question),
            )  # fmt: skip
            return
        self._run(
            Task.ANSWER, k, load_pipeline().segment, self._models, self._embeddings[k],
            case.readings[k].prompts, case.labels[k].copy(), self._behind(k),
            done=partial(self._take_answer, k, question),
            failed=partial(self._fail, k, question=question),
        )  # fmt: skip

    def _take_answer(self, k: int, question: int, answer: tuple[LabelArray, Logits]) -> None:
        if self._queue.asked.get(k) != question:
            return
        labels, logits = answer
        self._answers[k].last = logits
        self.document.push(changes.apply_prediction(self.document.case, k, labels), answers=True)
        self._remember(k, logits)
        self.cancel_answer(k)

    def _take_correction(self, k: int, question: int, answer: CorrectedHeart) -> None:
        if self._queue.asked.get(k) != question:
            return
        drawn = self.is_drawn_manually(k)
        change = changes.correct_wall(self.document.case, k, answer.labels)
        self.document.push(change, True, answer.labels_under_scar, Cause.CORRECTION)
        if answer.logits is not None:
            self._answers[k].last = answer.logits
            if not drawn:
                self._remember(k, answer.logits)
        self.cancel_answer(k)

    # What goes wrong

    def _fail(self, k: int, error: BaseException, question: int | None = None) -> None:
        if question is not None and self._queue.asked.get(k) != question:
            return
        for each in (self._queue.waiting, self._queue.unsettled):
            each.discard(k)
        self._queue.requests.pop(k, None)
        self.cancel_answer(k)
        ready = self._embeddings[k] is not None
        self._set_ready(k, Readiness.READY if ready else Readiness.FAILED)
        self._tell(error, f"Slice {k + 1}")

    def _tell(self, error: BaseException, where: str) -> None:
        if not isinstance(error, (ScarsegError, MemoryError, RuntimeError)):
            raise error
        if not isinstance(error, Cancelled):
            self.failed.emit(
                f"{where}: {error or type(error).__name__}. Draw by hand, or ask again with Ctrl+R."
            )

    def _set_ready(self, k: int, state: Readiness) -> None:
        if self.readiness[k] is not state:
            self.readiness[k] = state
            self.ready_changed.emit(k)


def _settled(found: list[tuple[Detection, ...]]) -> tuple[LocatedHeart, ...]:
    """Reconcile slices detected singly, as ``pipeline.locate_hearts`` does for a stack."""
    from scarseg.segmentation.proposal import reconcile_lv_boxes

    located = load_pipeline().LocatedHeart
    return tuple(
        located(box, several) for box, several in zip(reconcile_lv_boxes(found), found, strict=True)
    )
