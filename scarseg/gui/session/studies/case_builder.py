"""Build the objects that work on a case: document, models, interval, doubts, saving."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject

from scarseg.case.case import Case
from scarseg.gui.session.autosave import Autosave
from scarseg.gui.session.document import Document
from scarseg.gui.session.doubts import DoubtUpdater
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.session.interval import IntervalUpdater
from scarseg.gui.session.open_case import CaseParts, OpenCase
from scarseg.gui.session.studies.stored_case import OpenedCase
from scarseg.gui.session.studies.study import Entry
from scarseg.gui.workers import Worker


class CaseBuilder:
    """Build what works on a case, on the workers of one session; documents belong to ``parent``."""

    def __init__(self, disk: Worker, models: Worker, numbers: Worker, parent: QObject) -> None:
        self._disk, self._models, self._numbers, self._parent = disk, models, numbers, parent

    def build(self, case: Case, read_only: bool = False, place: int | None = None) -> CaseParts:
        """Return a document with its models, interval and doubts; ``place`` is its slice."""
        document = Document(case, read_only=read_only, parent=self._parent)
        if place is not None:
            document.go_to(place)
        return self._parts(document)

    def _parts(self, document: Document) -> CaseParts:
        inference = Inference(document, self._models, document)
        interval = IntervalUpdater(document, inference, document)
        doubts = DoubtUpdater(document, interval, self._numbers, document)
        return CaseParts(document, inference, interval, doubts)

    def open(self, entry: Entry, opened: OpenedCase, prepared: CaseParts | None) -> OpenCase:
        """Return a case that was read from the disk; ``prepared`` was made of it before."""
        parts = prepared or self.build(opened.case, opened.lock is None, opened.place)
        # Nothing of a prepared case was written.
        saved = 0 if prepared is not None else parts.document.revision
        document = parts.document
        saver = Autosave(document, self._disk, opened.path, document, saved)
        return OpenCase.of(parts, entry, saver, opened.lock)

    def revive(self, case: OpenCase) -> OpenCase:
        """Return a case that was being left, with models that work for it again."""
        return OpenCase.of(self._parts(case.document), case.entry, case.saver, case.lock)

    def view(self, entry: Entry, case: Case) -> OpenCase:
        """Return a case for reading only; nothing is computed or saved."""
        parts = self.build(case, read_only=True)
        parts.inference.readiness = [Readiness.READY] * case.stack.n_slices
        saver = Autosave(parts.document, self._disk, Path(), parts.document)
        return OpenCase.of(parts, entry, saver, None)
