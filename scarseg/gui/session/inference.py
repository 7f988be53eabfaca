"""The models of one document: propose every slice, answer prompts, drop what comes too late."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

from scarseg.case.case import CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference_jobs import InferenceJobs
from scarseg.gui.session.inference_queue import IdleTask, RequestKind
from scarseg.gui.session.inference_state import InferenceState, Readiness
from scarseg.gui.workers import Worker
from scarseg.models import Models


class Inference(InferenceState):
    """Propose all slices of a document, current one first, and answer its prompts.

    What happens to a slice:

    1. detect: the detector runs on every slice; the current slice is proposed at once where the
       detector sees one heart on it, and its box is unsettled until all slices are detected;
    2. settle: the boxes of all slices locate the heart; an unsettled slice with another box is
       proposed again, unless a reader changed it;
    3. propose: embed the slice and segment it; it is ready then;
    4. answer: prompts are answered from the embedding, the newest question first.

    Nothing is computed for a case that was read whole, or is open for reading only, until a
    reader asks: its slices rest. When nothing is to be done ``idle_task`` may have work.
    """

    def __init__(self, document: Document, worker: Worker, parent: QObject | None = None) -> None:
        super().__init__(document, parent)
        self._jobs = InferenceJobs(self, worker)

    def set_idle_task(self, idle_task: Callable[[], IdleTask | None]) -> None:
        """Set what returns work for the time in which nothing else is to be done."""
        self._jobs.idle_task = idle_task

    def resume(self) -> None:
        """Start the next job, if there is one; the idle task may have work now."""
        self._jobs.start_next()

    def put_in_front(self, at_rest: Callable[[], object]) -> None:
        """Run the jobs of this case before all others; call ``at_rest`` when they are done."""
        self._jobs.yields_to, self._jobs.at_rest = None, at_rest
        self._jobs.start_next()

    def put_behind(self, yields_to: Callable[[], bool], at_rest: Callable[[], object]) -> None:
        """Run the jobs of this case only while ``yields_to`` returns False."""
        self._jobs.yields_to, self._jobs.at_rest = yields_to, at_rest

    @property
    def alive(self) -> bool:
        """Return whether it was not stopped."""
        return self._jobs.alive

    @property
    def working(self) -> bool:
        """Return whether anything is to be proposed or answered."""
        return self._jobs.working

    def start(self, models: Models) -> None:
        """Begin to propose every slice, current first, then its neighbours outwards.

        A case that was read whole, or that cannot be written, rests.
        """
        self.models = models
        if models.detector is None:
            self.queue.found = [()] * self.queue.n
            self._jobs.settle()
        self._plan()
        read = self.document.case.status is CaseStatus.READ
        if self.document.read_only or (read and not self.pending):
            self.queue.clear()
            for k, state in enumerate(self.readiness):
                if state is Readiness.WAITING:
                    self.set_ready(k, Readiness.RESTING)
        self.proposing_changed.emit()
        self._jobs.start_next()

    def stop(self) -> None:
        """Drop everything that waits; results that still come are dropped."""
        self._jobs.stop()

    def cancel(self) -> None:
        """Stop proposing and answering; prompts stay, and are answered when a reader asks."""
        self._jobs.cancel()

    # Requests

    def segment(self, slice_index: int) -> None:
        """Answer the slice's prompts; waits for its embedding when that is not there yet."""
        if not self.document.read_only:
            self.add_question(slice_index)
            self._schedule(slice_index)

    def correct_wall(self, slice_index: int) -> None:
        """Correct wall and blood pool by the slice's prompts for them; a reader's scar stays."""
        if not self.document.read_only:
            self.add_question(slice_index, wall_only=True)
            self._schedule(slice_index)

    def refill(self, slice_index: int) -> None:
        """Predict scar anew inside the wall that a reader drew, where it is the models'."""
        if not self.document.read_only and self.refills(slice_index):
            self.correct_wall(slice_index)

    def relocate(self, slice_index: int) -> None:
        """Propose a slice anew round the ventricle box that the reader drew."""
        if self.models is not None and not self.document.read_only:
            self.add_question(slice_index)
            self._request(slice_index, RequestKind.RELOCATED)

    def propose_again(self, slice_index: int) -> None:
        """Propose one slice anew because the reader asked, whatever labels it has."""
        if self.models is not None and not self.document.read_only:
            self._request(slice_index, RequestKind.ASKED)

    def propose_wall(self, slice_index: int) -> None:
        """Propose wall and blood pool of one slice anew; its scar stays."""
        being_proposed = slice_index in self.queue.waiting
        if self.models is not None and not self.document.read_only and not being_proposed:
            self._request(slice_index, RequestKind.WALL)

    def _request(self, k: int, kind: RequestKind) -> None:
        self.queue.request(k, kind)
        self._schedule(k)

    def _plan(self) -> None:
        """Queue every slice that is not embedded yet."""
        queue = self.queue
        queue.awake = True
        for k, reading in enumerate(self.document.case.readings):
            if self.embeddings[k] is not None:
                continue
            queue.waiting.add(k)
            if reading.status is not SliceStatus.UNSEEN and reading.prompts.lv_box is not None:
                queue.known.add(k)
            if reading.status.read:
                queue.later.add(k)
            self.set_ready(k, Readiness.WAITING)

    def _schedule(self, k: int) -> None:
        """Queue the embedding of a slice that a reader asked for, and start."""
        if self.models is None:
            return
        if Readiness.RESTING in self.readiness:
            self._plan()
            self.proposing_changed.emit()
        if self.embeddings[k] is None or k in self.queue.requests:
            self.queue.waiting.add(k)
            self.set_ready(k, Readiness.WAITING)
        self._jobs.start_next()
