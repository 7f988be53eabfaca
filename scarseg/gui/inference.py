"""What the models do for one document: propose every slice, answer prompts, never land late."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case import Cause, Change, SliceReading, SliceStatus
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui import reading as verbs
from scarseg.gui import strays
from scarseg.gui.document import Document
from scarseg.gui.tasks import Lane
from scarseg.labels import LabelArray
from scarseg.models import Embedding, Logits, Models
from scarseg.prompts import Box, Origin

if TYPE_CHECKING:
    from scarseg.pipeline import Located, SliceProposal


def engine() -> ModuleType:
    """Give the pipeline; imported on first use, since scipy would delay the window."""
    from scarseg import pipeline

    return pipeline


class Readiness(StrEnum):
    """Whether a click on a slice can be answered at once."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"


class Why(StrEnum):
    """Why a proposal is made over what stands on a slice."""

    ASKED = "asked"
    RELOCATED = "relocated"
    WALL = "wall"


CAUSES = {Why.ASKED: Cause.PROPOSAL, Why.RELOCATED: Cause.RELOCATED, Why.WALL: Cause.WALL}


class Inference(QObject):
    """Propose all slices of a document, current one first, and answer its prompts.

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
        self._located: tuple[Located, ...] = ()
        self._locating = False
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
        self._locating = True
        pipeline = engine()
        self._lane.run(
            f"{self._key} propose all",
            pipeline.locate,
            case.stack,
            models,
            done=self._take_located,
            failed=self._not_located,
            current=lambda: self._alive,
            reports=True,
        )
        self.proposing_changed.emit()

    def _take_located(self, located: tuple[Located, ...]) -> None:
        self._locating = False
        self._located = located
        here, n = self.document.current, self.document.case.stack.n_slices
        for k in sorted(range(n), key=lambda k: (k not in self.pending, abs(k - here), k)):
            if self.readiness[k] is not Readiness.READY:
                self._queue_proposal(k)

    def _not_located(self, error: BaseException) -> None:
        self._locating = False
        for k in range(self.document.case.stack.n_slices):
            self._set_ready(k, Readiness.FAILED)
        self._tell(error, "The heart was not found")

    def stop(self) -> None:
        """Forget everything that waits; answers that still come are dropped."""
        self._alive = False
        self._lane.forget(self._key)

    def cancel(self) -> None:
        """Stop proposing; slices not ready yet are proposed when a reader asks."""
        self._lane.forget(f"{self._key} propose")
        self._queued.clear()
        self._locating = False
        for k, state in enumerate(self.readiness):
            if state is Readiness.WAITING:
                self._set_ready(k, Readiness.FAILED)
        self.proposing_changed.emit()

    def is_hand_drawn(self, slice_index: int) -> bool:
        """Say whether a reader's drawing would be lost by segmenting again."""
        if not self.document.case.readings[slice_index].edited:
            return False
        if not self.document.case.labels[slice_index].any():
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
        elif slice_index in self._queued or self._locating:
            self._prefer(slice_index)
        elif self._models is not None:
            self._queue_proposal(slice_index, urgent=True)

    def relocate(self, slice_index: int) -> None:
        """Look at a slice anew round the ventricle box that the reader drew."""
        if self._models is not None and not self.document.read_only:
            self._set_pending(slice_index, True)
            self._queue_proposal(slice_index, urgent=True, why=Why.RELOCATED)

    def propose_again(self, slice_index: int) -> None:
        """Propose one slice anew because the reader asked, whatever stands on it."""
        if self._models is not None and not self.document.read_only:
            self._queue_proposal(slice_index, urgent=True, why=Why.ASKED)

    def propose_wall(self, slice_index: int) -> None:
        """Propose wall and blood pool of one slice anew; its scar stays."""
        being_proposed = self._locating or slice_index in self._queued
        if self._models is not None and not self.document.read_only and not being_proposed:
            self._queue_proposal(slice_index, urgent=True, why=Why.WALL)

    def _forget_pending(self, slice_index: int) -> None:
        self._set_pending(slice_index, False)

    def _prefer(self, slice_index: int) -> None:
        self._lane.promote(f"{self._key} propose {slice_index}")

    def _queue_proposal(self, k: int, urgent: bool = False, why: Why | None = None) -> None:
        assert self._models is not None
        self._set_ready(k, Readiness.WAITING)
        self._queued.add(k)
        version = self.document.versions[k]
        reading = self.document.case.readings[k]
        box = reading.prompts.lv_box
        mine = box is not None and (reading.protected or box.origin is Origin.READER)
        hint = box if mine else None
        image = self.document.case.stack.image(k)
        pipeline = engine()
        self._lane.run(
            f"{self._key} propose {k}",
            partial(pipeline.propose_slice, located=self._located[k] if self._located else None),
            image,
            self._models,
            hint,
            done=lambda proposal: self._take_proposal(k, version, proposal, why, hint),
            failed=lambda error: self._fail(k, error),
            current=lambda: self._alive,
            urgent=urgent,
        )

    def _take_proposal(
        self, k: int, version: int, proposal: SliceProposal, why: Why | None, hint: Box | None
    ) -> None:
        self._queued.discard(k)
        self._embeddings[k] = proposal.embedding
        self._logits[k] = proposal.logits
        case = self.document.case
        self.document.looked(k, hint, proposal.embedding.lv_box, alone=not self._located)
        fresh = version == self.document.versions[k]
        drawn = why is Why.WALL and self.is_hand_drawn(k)
        change = None
        if why is Why.RELOCATED and fresh:
            change = verbs.relocated(case, k, proposal.prompts, proposal.labels)
        elif why is Why.ASKED:
            after = SliceReading(prompts=proposal.prompts, status=SliceStatus.PROPOSED)
            name = verbs.step_name("propose again", k)
            change = case.change(name, k, after, proposal.labels)
        elif why is Why.WALL:
            change = self._walled(k, proposal)
        elif fresh and case.readings[k].status is SliceStatus.UNSEEN:
            change = engine().proposal_change(case, k, proposal)
        if change is not None:
            if why is not None:
                ground = strays.resting_on_wall(proposal.labels)
                self.document.push(change, why is Why.RELOCATED, ground, CAUSES[why])
            else:
                self.document.propose(change)
            if not drawn:
                self._answers[k] = case.labels[k].copy()
        self._set_ready(k, Readiness.READY)
        asks = case.readings[k].prompts.asks_for_scar
        if k in self.pending or (why is Why.RELOCATED and change is not None and asks):
            self._set_pending(k, True)
            self._queue_answer(k)

    def _walled(self, k: int, proposal: SliceProposal) -> Change | None:
        if proposal.logits.wall is None:
            self.failed.emit("These weights know scar alone: draw wall and blood pool by hand.")
            return None
        return verbs.walled(self.document.case, k, proposal.labels, proposal.prompts.lv_box)

    def _queue_answer(self, k: int) -> None:
        assert self._models is not None
        version = self.document.versions[k]
        case = self.document.case
        self._lane.run(
            f"{self._key} segment {k}",
            engine().segment,
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
        self._tell(error, f"Slice {k + 1}")

    def _tell(self, error: BaseException, where: str) -> None:
        if isinstance(error, (ScarsegError, MemoryError, RuntimeError)):
            if not isinstance(error, Cancelled):
                self.failed.emit(
                    f"{where}: {error or type(error).__name__}. Draw by hand, or ask"
                    " again with Ctrl+R."
                )
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
