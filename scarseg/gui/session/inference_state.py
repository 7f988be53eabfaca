"""What the models know of each slice of a document, and which prompts wait for an answer."""

from __future__ import annotations

from collections.abc import KeysView
from enum import StrEnum

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.history import SliceStatus
from scarseg.case.labels import MaskArray, infarct_mask, wall_mask
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference_queue import InferenceQueue
from scarseg.models import Embedding, Logits, Models, takes_walls
from scarseg.segmentation.predict import PredictionCache


class Readiness(StrEnum):
    """Return whether a click on a slice can be answered at once.

    WAITING -> READY once the slice is embedded, or FAILED; RESTING -> WAITING when a reader asks
    for something. FAILED -> WAITING on the next request for the slice.
    """

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"
    RESTING = "resting"
    """Nothing is computed before a reader wants to change something."""


class InferenceState(QObject):
    """Readiness, embedding, predictions and pending prompts of every slice.

    Signals:
        ready_changed: readiness of this slice changed.
        pending_changed: a prompt on this slice began or ended to wait for its answer.
        proposing_changed: proposing began or was cancelled.
        failed: a sentence: a model returned nothing usable; the manual tools go on.
    """

    ready_changed = pyqtSignal(int)
    pending_changed = pyqtSignal(int)
    failed = pyqtSignal(str)
    proposing_changed = pyqtSignal()

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self.models: Models | None = None
        n = document.case.stack.n_slices
        self.queue = InferenceQueue(n)
        self.readiness = [Readiness.WAITING] * n
        self.embeddings: list[Embedding | None] = [None] * n
        self.embedded_part: dict[int, float] = {}
        """Part of the embedding that is done, of slices whose embedding takes long."""
        self.predictions = [PredictionCache() for _ in range(n)]
        self.scar_of_models: list[MaskArray | None] = [None] * n
        """Scar of each slice as the models predicted it last in this session."""
        self.wall_only: set[int] = set()
        """Slices whose pending prompts correct wall and blood pool alone."""
        document.slice_changed.connect(self.cancel_answer)

    @property
    def pending(self) -> KeysView[int]:
        """Slices whose prompts wait for their answer."""
        return self.queue.asked.keys()

    @property
    def n_ready(self) -> int:
        """Number of slices that are embedded."""
        return sum(state is Readiness.READY for state in self.readiness)

    @property
    def embedding_now(self) -> tuple[int, float] | None:
        """Return the slice whose embedding is under way, and the part of it that is done."""
        under_way = {k: part for k, part in self.embedded_part.items() if part < 1}
        return max(under_way.items(), key=lambda one: one[1], default=None)

    @property
    def proposing(self) -> bool:
        """Return whether slices still wait for their proposal."""
        waiting = Readiness.WAITING in self.readiness or bool(self.queue.unsettled)
        return self.models is not None and waiting

    def embedding(self, slice_index: int) -> Embedding | None:
        """Return the embedding of a slice; None where it was not embedded in this session."""
        return self.embeddings[slice_index]

    def set_ready(self, k: int, state: Readiness) -> None:
        """Set the readiness of a slice."""
        if self.readiness[k] is not state:
            self.readiness[k] = state
            self.ready_changed.emit(k)

    def add_question(self, k: int, wall_only: bool = False) -> None:
        """Queue the prompts of a slice for an answer."""
        self.wall_only.discard(k)
        self.queue.ask(k)
        self.pending_changed.emit(k)
        if wall_only:
            self.wall_only.add(k)

    def cancel_answer(self, slice_index: int) -> bool:
        """Wait no longer for the answer on this slice; return whether one was due."""
        self.wall_only.discard(slice_index)
        if self.queue.asked.pop(slice_index, None) is None:
            return False
        self.pending_changed.emit(slice_index)
        return True

    def awaits_scar_answer(self, slice_index: int) -> bool:
        """Return whether the answer due includes more than wall and blood pool."""
        return slice_index in self.pending and slice_index not in self.wall_only

    def is_drawn_manually(self, slice_index: int) -> bool:
        """Return whether segmenting again would lose what a reader drew."""
        if not self.document.case.readings[slice_index].edited:
            return False
        labels = self.document.case.labels[slice_index]
        return bool(labels.any()) and not self.predictions[slice_index].contains(labels)

    def store_prediction(self, k: int, logits: Logits) -> None:
        """Store the logits behind the labels that the slice has now."""
        self.predictions[k].store(self.document.case.labels[k], logits)
        self.scar_of_models[k] = infarct_mask(self.document.case.labels[k])

    def refills(self, k: int) -> bool:
        """Return whether scar is predicted anew when a reader sets the wall of a slice.

        Only scar of the models that is not read, and by a segmenter trained with given walls.
        """
        case, scar = self.document.case, self.scar_of_models[k]
        if self.models is None or scar is None or not takes_walls(self.models.segmenter):
            return False
        reading, labels = case.readings[k], case.labels[k]
        if reading.status is not SliceStatus.PROPOSED or reading.prompts.no_scar:
            return False
        predicted = self.predictions[k].contains(labels)
        return predicted or np.array_equal(infarct_mask(labels), scar & wall_mask(labels))

    def current_logits(self, k: int) -> Logits | None:
        """Return the logits behind the labels that the slice has now, or the last ones."""
        return self.predictions[k].lookup(self.document.case.labels[k])
