"""What the models do for one document: propose every slice, answer prompts, never land late."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from scarseg import pipeline
from scarseg.case import SliceReading, SliceStatus
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui import reading as verbs
from scarseg.gui.document import Document
from scarseg.gui.tasks import Lane
from scarseg.labels import LabelArray
from scarseg.models import Embedding, Logits, Models


class Readiness(StrEnum):
    """Whether a click on a slice can be answered at once."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


class Inference(QObject):
    """Propose all slices of a document, current one first, and answer its prompts.

    Signals:
        ready_changed: readiness of this slice changed.
        pending_changed: a prompt on this slice began or ended to wait for its answer.
        failed: (slice, sentence) a model gave nothing usable; the manual tools go on.
    """

    ready_changed = pyqtSignal(int)
    pending_changed = pyqtSignal(int)
    failed = pyqtSignal(int, str)

    def __init__(self, document: Document, lane: Lane, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self._lane = lane
        self._models: Models | None = None
        self._alive = True
        n = document.case.stack.n_slices
        self.readiness = [Readiness.WAITING] * n
        self.pending: set[int] = set()
        self._embeddings: list[Embedding | None] = [None] * n
        self._logits: list[Logits | None] = [None] * n
        self._answers: dict[int, LabelArray] = {}
        self._queued: set[int] = set()
        self._key = f"{id(self):x}"
        document.moved_to.connect(self._prefer)
        document.slice_changed.connect(self._forget_pending)

    @property
    def n_ready(self) -> int:
        return sum(state is Readiness.READY for state in self.readiness)

    @property
    def proposing(self) -> bool:
        """Say whether slices are still waiting for their proposal."""
        return self._models is not None and Readiness.WAITING in self.readiness

    def start(self, models: Models) -> None:
        """Queue a proposal for every slice, current first, then its neighbours outwards."""
        self._models = models
        case = self.document.case
        case.segmenter = models.segmenter.identity
        if models.detector is not None:
            case.detector = models.detector.identity
        here = self.document.current
        for k in sorted(range(case.stack.n_slices), key=lambda k: (abs(k - here), k)):
            if self.readiness[k] is not Readiness.READY:
                self._queue_proposal(k)

    def stop(self) -> None:
        """Forget everything that waits; answers that still come are dropped."""
        self._alive = False
        self._lane.forget(self._key)

    def cancel(self) -> None:
        """Stop proposing; slices not ready yet are proposed when a reader asks."""
        self._lane.forget(f"{self._key} propose")
        self._queued.clear()
        for k, state in enumerate(self.readiness):
            if state is Readiness.WAITING:
                self._set_ready(k, Readiness.FAILED)

    def is_hand_drawn(self, slice_index: int) -> bool:
        """Say whether a reader's drawing would be lost by segmenting again."""
        if not self.document.case.readings[slice_index].edited:
            return False
        answer = self._answers.get(slice_index)
        return answer is None or not np.array_equal(answer, self.document.case.labels[slice_index])

    def segment(self, slice_index: int) -> None:
        """Answer the slice's prompts; waits for its embedding when that is not there yet."""
        if self.document.read_only:
            return
        self._set_pending(slice_index, True)
        if self._embeddings[slice_index] is not None:
            self._queue_answer(slice_index)
        elif slice_index in self._queued:
            self._prefer(slice_index)
        elif self._models is not None:
            self._queue_proposal(slice_index, urgent=True)

    def propose_again(self, slice_index: int) -> None:
        """Propose one slice anew because the reader asked, whatever stands on it."""
        if self._models is not None and not self.document.read_only:
            self._queue_proposal(slice_index, urgent=True, asked=True)

    def _forget_pending(self, slice_index: int) -> None:
        self._set_pending(slice_index, False)

    def _prefer(self, slice_index: int) -> None:
        self._lane.promote(f"{self._key} propose {slice_index}")

    def _queue_proposal(self, k: int, urgent: bool = False, asked: bool = False) -> None:
        assert self._models is not None
        self._set_ready(k, Readiness.WAITING)
        self._queued.add(k)
        version = self.document.versions[k]
        prompts = self.document.case.readings[k].prompts
        image = self.document.case.stack.image(k)
        self._lane.run(
            f"{self._key} propose {k}",
            pipeline.propose_slice,
            image,
            self._models,
            prompts.lv_box,
            done=lambda proposal: self._take_proposal(k, version, proposal, asked),
            failed=lambda error: self._fail(k, error),
            current=lambda: self._alive,
            urgent=urgent,
        )

    def _take_proposal(
        self, k: int, version: int, proposal: pipeline.SliceProposal, asked: bool
    ) -> None:
        self._queued.discard(k)
        self._embeddings[k] = proposal.embedding
        self._logits[k] = proposal.logits
        case = self.document.case
        change = None
        if asked:
            after = SliceReading(prompts=proposal.prompts, status=SliceStatus.PROPOSED)
            name = verbs.step_name("propose again", k)
            change = case.change(name, k, after, proposal.labels)
        elif version == self.document.versions[k] and (
            case.readings[k].status is SliceStatus.UNSEEN
        ):
            change = pipeline.proposal_change(case, k, proposal)
        if change is not None:
            if asked:
                self.document.push(change)
            else:
                self.document.propose(change)
            self._answers[k] = case.labels[k].copy()
        self._set_ready(k, Readiness.READY)
        if k in self.pending:
            self._queue_answer(k)

    def _queue_answer(self, k: int) -> None:
        assert self._models is not None
        version = self.document.versions[k]
        case = self.document.case
        self._lane.run(
            f"{self._key} segment {k}",
            pipeline.segment,
            self._models,
            self._embeddings[k],
            case.readings[k].prompts,
            case.labels[k].copy(),
            self._logits[k],
            done=lambda answer: self._take_answer(k, version, answer),
            failed=lambda error: self._fail(k, error),
            current=lambda: self._alive and version == self.document.versions[k],
            urgent=True,
        )

    def _take_answer(self, k: int, version: int, answer: tuple[LabelArray, Logits]) -> None:
        labels, self._logits[k] = answer
        self.document.push(verbs.answered(self.document.case, k, labels), answers=True)
        self._answers[k] = labels
        self._set_pending(k, False)

    def _fail(self, k: int, error: BaseException) -> None:
        self._queued.discard(k)
        self._set_pending(k, False)
        if self._embeddings[k] is None:
            self._set_ready(k, Readiness.FAILED)
        if isinstance(error, Cancelled):
            return
        if isinstance(error, (ScarsegError, MemoryError, RuntimeError)):
            self.failed.emit(k, f"Slice {k + 1}: {error}")
        else:
            raise error

    def _set_ready(self, k: int, state: Readiness) -> None:
        if self.readiness[k] is not state:
            self.readiness[k] = state
            self.ready_changed.emit(k)

    def _set_pending(self, k: int, waits: bool) -> None:
        if (k in self.pending) is not waits:
            (self.pending.add if waits else self.pending.discard)(k)
            self.pending_changed.emit(k)
