"""What is open: the list, the current document, its models and its saving. No widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case import Case, CaseStatus, SliceStatus
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.document import Document
from scarseg.gui.inference import Inference, Readiness
from scarseg.gui.library import Entry, Library, likely, standing
from scarseg.gui.opening import Opened, make_demo, open_case, peek_cases
from scarseg.gui.saving import Saver, SaveState
from scarseg.gui.tasks import Lane
from scarseg.measurements import Measurements
from scarseg.models import Models
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.io.dicom import LoadReport
    from scarseg.io.store import CaseLock, Glance

_log = logging.getLogger(__name__)
ModelsLoader = Callable[[], Models]


@dataclass(eq=False)
class Open:
    """The document on the desk with its helpers."""

    entry: Entry
    document: Document
    inference: Inference
    saver: Saver
    lock: CaseLock | None


class Session(QObject):
    """Own the lanes, the models, the library and the open document.

    Signals:
        library_changed: studies, or what is known of them.
        opened: another document is on the desk (or none).
        working: (fraction or -1, what) a scan or an opening is under way; empty ``what`` ends it.
        notice: a sentence the reader must see.
        thickness_wanted: an entry whose header has no slice thickness.
        models_ready: the models are loaded.
    """

    library_changed = pyqtSignal()
    opened = pyqtSignal()
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    thickness_wanted = pyqtSignal(object)
    models_ready = pyqtSignal()

    def __init__(
        self, models_loader: ModelsLoader, store_folder: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.library = Library()
        self.current: Open | None = None
        self.models: Models | None = None
        self.models_problem = ""
        self.folder = store_folder
        self._loader = models_loader
        self.inference_lane = Lane("inference", self)
        self.disk_lane = Lane("disk", self)
        self._wanted: Entry | None = None
        self._leaving: list[Open] = []
        self.disk_lane.progressed.connect(self._progressed)

    def start(self) -> None:
        """Load the models, and what opening needs, behind the window."""
        for name in ("scarseg.pipeline", "scarseg.io.dicom", "scarseg.io.store"):
            self.disk_lane.run(f"import {name}", import_module, name)
        self.inference_lane.run(
            "load models", self._loader, done=self._take_models, failed=self._no_models
        )

    def _take_models(self, models: Models) -> None:
        self.models = models
        if self.current is not None:
            self.current.inference.start(models)
        self.models_ready.emit()

    def _no_models(self, error: BaseException) -> None:
        if not isinstance(error, (ScarsegError, ImportError, OSError, RuntimeError)):
            raise error
        self.models_problem = f"{error} Boxes wait; brush and eraser work."
        self.notice.emit(self.models_problem)

    # Opening

    def scan(self, inputs: list[Path]) -> None:
        """Look at folders, files or zips and open the likely stack."""
        from scarseg.io import dicom

        self.working.emit(-1.0, "Looking for short-axis stacks")
        self.disk_lane.run(
            "scan", dicom.scan, inputs, done=self._take_report, failed=self._refuse, reports=True
        )

    def _take_report(self, report: LoadReport) -> None:
        self.working.emit(1.0, "")
        fresh = self.library.add_report(report)
        if report.notes:
            self.notice.emit(" ".join(report.notes))
        self.library_changed.emit()
        entry = likely(fresh)
        if entry is not None:
            self.open(entry)
            self.disk_lane.run(
                f"peek {id(report)}", peek_cases, self.folder, fresh, done=self._take_glances
            )
            return
        refused = report.refused
        if refused:
            self.notice.emit(f"Nothing could be opened. {refused[0].code}: {refused[0].message}")
        elif not report.stacks:
            self.notice.emit("E_NO_MR: No MR series was found there.")

    def _take_glances(self, found: list[tuple[Entry, Glance]]) -> None:
        for entry, glance in found:
            if not entry.standing:
                entry.read = glance.n_read == glance.n_slices
                entry.standing = standing(glance.n_slices, glance.n_read, glance.n_proposed)
        self.library_changed.emit()

    def _refuse(self, error: BaseException) -> None:
        self.working.emit(1.0, "")
        if isinstance(error, Cancelled):
            return
        if not isinstance(error, (ScarsegError, OSError)):
            raise error
        self.notice.emit(str(error))

    def open_stack(self, stack: Stack) -> None:
        """Open a stack that is in memory already."""
        entry = self.library.add_stack(stack)
        self.library_changed.emit()
        self.open(entry)

    def open(self, entry: Entry, thickness_mm: float | None = None) -> None:
        """Put a stack on the desk; what was there is saved first."""
        self._wanted = entry
        if self.current is not None and self.current.entry is entry:
            return
        for leaving in self._leaving:
            if leaving.entry is entry:
                self._take_back(leaving)
                return
        self.working.emit(-1.0, f"Opening {entry.title}")
        self.disk_lane.run(
            "open",
            open_case,
            entry.source,
            self.folder,
            thickness_mm,
            done=lambda opened: self._take_opened(entry, opened),
            failed=lambda error: self._not_opened(entry, error),
            dropped=self._unlock,
            reports=True,
        )

    def _not_opened(self, entry: Entry, error: BaseException) -> None:
        if isinstance(error, ScarsegError) and error.code == "E_THICKNESS":
            self.working.emit(1.0, "")
            self.thickness_wanted.emit(entry)
            return
        if isinstance(error, ScarsegError) and not isinstance(error, Cancelled):
            entry.code = error.code
            self.library_changed.emit()
        self._refuse(error)

    def _take_opened(self, entry: Entry, opened: Opened) -> None:
        self.working.emit(1.0, "")
        if entry is not self._wanted:
            self._unlock(opened)
            return
        self.close()
        document = Document(opened.case, read_only=opened.lock is None, parent=self)
        saver = Saver(document, self.disk_lane, opened.path, document)
        entry.code = ""
        self._put_on_desk(entry, document, saver, opened.lock)
        if opened.notes:
            self.notice.emit(" ".join(opened.notes))

    def _unlock(self, opened: Opened) -> None:
        if opened.lock is not None:
            self.disk_lane.run(f"unlock {id(opened)}", opened.lock.release)

    def _put_on_desk(
        self, entry: Entry, document: Document, saver: Saver, lock: CaseLock | None
    ) -> None:
        inference = Inference(document, self.inference_lane, document)
        self.current = Open(entry, document, inference, saver, lock)
        self.opened.emit()
        if self.models is not None:
            inference.start(self.models)

    def _take_back(self, leaving: Open) -> None:
        """Put a document that was left, and is still being saved, on the desk again."""
        self._leaving.remove(leaving)
        leaving.saver.state_changed.disconnect(self._let_go)
        self.close()
        self._put_on_desk(leaving.entry, leaving.document, leaving.saver, leaving.lock)

    def show_finished(self, case: Case, models: Models | None) -> None:
        """Put a finished case on the desk as it stands, to be looked at and not saved."""
        entry = self.library.add_stack(case.stack)
        self.models = models
        document = Document(case, read_only=True, parent=self)
        inference = Inference(document, self.inference_lane, document)
        inference.readiness = [Readiness.READY] * case.stack.n_slices
        saver = Saver(document, self.disk_lane, Path(), document)
        self.current = Open(entry, document, inference, saver, None)
        self.opened.emit()

    def demo(self) -> None:
        """Make a simulated study and open it."""
        self.working.emit(-1.0, "Making a simulated study")
        self.disk_lane.run(
            "demo", make_demo, self.folder.parent / "demo",
            done=lambda folder: self.scan([folder]), failed=self._refuse,
        )  # fmt: skip

    def remember(self, measured: Measurements) -> None:
        """Note in the list how the open reading stands."""
        if self.current is None:
            return
        entry, case = self.current.entry, self.current.document.case
        before = (entry.read, entry.standing)
        entry.read = case.status is CaseStatus.READ
        proposed = sum(reading.status is SliceStatus.PROPOSED for reading in case.readings)
        entry.standing = standing(
            case.stack.n_slices, case.n_slices_reviewed, proposed, measured.scar_mass_g
        )
        if before != (entry.read, entry.standing):
            self.library_changed.emit()

    # Closing

    def close(self) -> None:
        """Save and let go of the open document; the disk lane finishes in its own time."""
        leaving, self.current = self.current, None
        if leaving is None:
            return
        leaving.inference.stop()
        self._leaving.append(leaving)
        leaving.saver.state_changed.connect(self._let_go)
        leaving.saver.save_now()
        self._let_go()

    def _let_go(self) -> None:
        """Unlock and forget what was left and is on the disk; say what could not be saved."""
        for each in tuple(self._leaving):
            if each.saver.state in (SaveState.SAVED, SaveState.READ_ONLY):
                self._leaving.remove(each)
                if each.lock is not None:
                    self.disk_lane.run(f"unlock {id(each)}", each.lock.release)
                each.document.deleteLater()
            elif each.saver.state is SaveState.FAILED:
                self.notice.emit(f"{each.entry.title} is not saved. {each.saver.problem}")

    def shut_down(self, force: bool = False) -> bool:
        """Save everything, wait for the disk, stop the threads.

        Where something cannot be saved nothing is closed and the answer is False, unless
        ``force``.
        """
        for name in ("scan", "open", "demo"):
            self.disk_lane.forget(name)
        for each in (*self._leaving, *((self.current,) if self.current else ())):
            each.saver.save_now()
        self.disk_lane.drain()
        unsaved = [self.current] if self.current else []
        if not force and any(
            each.saver.state is SaveState.FAILED for each in (*self._leaving, *unsaved)
        ):
            return False
        self.close()
        self.inference_lane.close()
        self.disk_lane.drain()
        self.disk_lane.close()
        return True

    def cancel(self) -> None:
        """Stop scanning, opening and proposing."""
        self.disk_lane.forget("scan")
        self.disk_lane.forget("open")
        if self.current is not None:
            self.current.inference.cancel()
        self.working.emit(1.0, "")

    def _progressed(self, name: str, fraction: float, what: str) -> None:
        if name in ("scan", "open"):
            self.working.emit(fraction, what)
