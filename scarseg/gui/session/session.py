"""What is open: the list, the current document, its models and its saving. No widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.case import Case, CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import Measurements
from scarseg.case.stack import Stack
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.session.autosave import Autosave, SaveState
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference import Inference, Readiness
from scarseg.gui.session.interval import IntervalUpdater
from scarseg.gui.session.loading import OpenedCase, OpenRequest, StudyScanner, open_case
from scarseg.gui.session.resume import LastSlice, LockWatcher
from scarseg.gui.session.study_list import Entry, PatientLabel, StudyList, reading_summary
from scarseg.gui.workers import Worker
from scarseg.models import Models

if TYPE_CHECKING:
    from scarseg.io.casefile.lock import CaseLock

_log = logging.getLogger(__name__)
ModelsLoader = Callable[[], Models]


@dataclass(eq=False)
class OpenCase:
    """The document on the desk with its helpers."""

    entry: Entry
    document: Document
    inference: Inference
    saver: Autosave
    lock: CaseLock | None
    interval: IntervalUpdater


class Session(QObject):
    """Own the lanes, the models, the library and the open document.

    Signals:
        study_list_changed: studies, or what is known of them.
        opened: another document is on the desk (or none).
        working: (fraction or -1, what) a scan or an opening is under way; empty ``what`` ends it.
        notice: a sentence the reader must see; ``said``: one that may pass.
        images_needed: a sentence: case files wait for the folder of their images.
        asked: (sentence, word on the button, what it does or None, whether it lasts).
        thickness_needed: an entry whose header has no slice thickness.
        models_ready: the models are loaded.
    """

    study_list_changed = pyqtSignal()
    opened = pyqtSignal()
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    said = pyqtSignal(str)
    images_needed = pyqtSignal(str)
    asked = pyqtSignal(str, str, object, bool)
    thickness_needed = pyqtSignal(object)
    models_ready = pyqtSignal()

    def __init__(
        self, models_loader: ModelsLoader, store_folder: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.study_list = StudyList()
        self.current: OpenCase | None = None
        self.models: Models | None = None
        self.models_problem = ""
        self.folder = store_folder
        self._loader = models_loader
        self.inference_worker = Worker("inference", self)
        self.disk_worker = Worker("disk", self)
        self.measurement_worker = Worker("numbers", self)
        self.export_worker = Worker("export", self)
        self._wanted: Entry | None = None
        self._leaving: list[OpenCase] = []
        self._n_opened = 0
        self._then: tuple[Entry, Callable[[], None]] | None = None
        self.scanner = StudyScanner(self.study_list, self.disk_worker, store_folder, self)
        for mine, theirs in (
            (self.study_list_changed, self.scanner.study_list_changed),
            (self.working, self.scanner.working),
        ):
            theirs.connect(mine)
        for telling, tell in (
            (self.scanner.notice, self.notice),
            (self.scanner.images_needed, self.images_needed),
        ):
            telling.connect(partial(self._unless_blinded, tell.emit))
        self.scanner.found.connect(partial(self._unless_blinded, self.open))
        self.last_slice = LastSlice(self.disk_worker, store_folder, self)
        self.lock_watcher = LockWatcher(self.disk_worker, self)
        self.lock_watcher.freed.connect(self._offer)
        for lane in (self.disk_worker, self.export_worker):
            lane.progressed.connect(self._progressed)

    @property
    def blinded(self) -> bool:
        """Say whether the list stands under codes: nothing may tell whose a stack is."""
        return self.study_list is not self.scanner.study_list

    @property
    def open_title(self) -> str:
        """Patient, date and series of the open case; of a blinded one its code; else empty."""
        if self.current is None:
            return ""
        entry = self.current.entry
        return self.study_list.study_of(entry).describe(entry)

    def set_patient_label(self, style: PatientLabel) -> None:
        """Choose what patients are called in the window."""
        self.scanner.study_list.set_patient_label(style)
        self.study_list_changed.emit()

    def _unless_blinded(self, tell: Callable[..., None], what: object) -> None:
        """Pass on what may name files, or open a study by itself, unless that would tell."""
        if not self.blinded:
            tell(what)

    def blind(self, library: StudyList) -> None:
        """Put a list under codes in the place of the list; what is open is saved and left."""
        for name in ("scan", "open", "demo"):
            self.disk_worker.forget(name)
        self._show_list(library)

    def unblind(self) -> None:
        """Put the list itself back; what is open is saved and left."""
        self._show_list(self.scanner.study_list)

    def _show_list(self, library: StudyList) -> None:
        self._wanted, self._then = None, None
        self._n_opened += 1
        self.close()
        self.study_list = library
        self.working.emit(1.0, "")
        self.opened.emit()
        self.study_list_changed.emit()

    def start(self) -> None:
        """Load the models, and what opening needs, behind the window."""
        for name in (
            "scarseg.segmentation.pipeline",
            "scarseg.io.dicom",
            "scarseg.io.casefile.store",
            "scipy.spatial",
        ):
            self.disk_worker.run(f"import {name}", import_module, name)
        self.scanner.recall()
        self.inference_worker.run(
            "load models", self._loader, done=self._take_models, failed=self._no_models
        )

    def _take_models(self, models: Models) -> None:
        self.models = models
        if self.current is not None:
            self._propose(self.current, models)
        self.models_ready.emit()

    @staticmethod
    def _propose(current: OpenCase, models: Models) -> None:
        """Let the models begin; where they are not to propose unasked, they answer only."""
        current.inference.start(models)
        if current.entry.blinding is not None and not current.entry.blinding.proposals:
            current.inference.cancel()

    def _no_models(self, error: BaseException) -> None:
        if not isinstance(error, (ScarsegError, ImportError, OSError, RuntimeError)):
            raise error
        self.models_problem = f"{error} Boxes wait; brush and eraser work."
        self.notice.emit(self.models_problem)

    # Opening

    def scan(self, inputs: list[Path]) -> None:
        """Look at folders, files, zips or case files and open the likely stack."""
        self.scanner.scan(inputs)

    def demo(self) -> None:
        """Make a simulated study and open it."""
        self.scanner.demo()

    def remind(self) -> None:
        """Say again which images case files wait for, if they do."""
        self.scanner.remind()

    def open_last(self) -> None:
        """Open the folder of last time."""
        if self.scanner.last_folder is not None:
            self.scan([self.scanner.last_folder])

    def open_stack(self, stack: Stack) -> None:
        """Open a stack that is in memory already."""
        entry = self.study_list.add_stack(stack)
        self.study_list_changed.emit()
        self.open(entry)

    def open(self, entry: Entry, thickness_mm: float | None = None) -> None:
        """Put a stack on the desk; what was there is saved first."""
        self._wanted = entry
        if self.current is not None and self.current.entry is entry:
            if entry.imported_case is not None:
                self._open_again(entry)
            return
        for leaving in self._leaving:
            if leaving.entry is entry:
                self._take_back(leaving)
                return
        self._run_open(entry, thickness_mm)

    def _open_again(self, entry: Entry, replacing: bool = False) -> None:
        """Open an entry anew; where it is on the desk, once it is saved and let go of."""
        self._then = (entry, partial(self._run_open, entry, None, replacing))
        current = self.current
        if current is not None and current.entry is entry and not current.document.read_only:
            self.close()
            self.opened.emit()
        self._go_on()

    def _go_on(self) -> None:
        if self._then is None or any(each.entry is self._then[0] for each in self._leaving):
            return
        _, then = self._then
        then()

    def _run_open(
        self, entry: Entry, thickness_mm: float | None = None, replacing: bool = False
    ) -> None:
        self._wanted, self._then = entry, None
        self._n_opened += 1
        number = self._n_opened
        self.working.emit(-1.0, f"Opening {entry.title}")
        self.disk_worker.run(
            "open",
            open_case,
            OpenRequest(
                entry.source,
                self.folder,
                thickness_mm,
                entry.imported_case,
                replacing,
                entry.blinding,
            ),
            done=lambda opened: self._take_opened(entry, opened),
            failed=lambda error: self._not_opened(entry, error),
            current=lambda: number == self._n_opened,
            dropped=self._unlock,
            reports=True,
        )

    def _not_opened(self, entry: Entry, error: BaseException) -> None:
        if isinstance(error, ScarsegError) and error.code == "E_THICKNESS":
            self.working.emit(1.0, "")
            self.thickness_needed.emit(entry)
            return
        if isinstance(error, ScarsegError) and not isinstance(error, Cancelled):
            entry.code = error.code
            self.study_list_changed.emit()
            if entry.blinding is not None:
                self.notice.emit(f"{entry.title} does not open ({error.code}).")
        self.scanner.refuse(error)

    def _take_opened(self, entry: Entry, opened: OpenedCase) -> None:
        self.working.emit(1.0, "")
        if entry is not self._wanted:
            self._unlock(opened)
            return
        self.close()
        document = Document(opened.case, read_only=opened.lock is None, parent=self)
        if opened.place is not None:
            document.go_to(opened.place)
        saver = Autosave(document, self.disk_worker, opened.path, document)
        entry.code = ""
        self._put_on_desk(entry, document, saver, opened.lock)
        said = " ".join(opened.notes)
        if opened.blocked:
            self.asked.emit(said, "", None, True)
            self.lock_watcher.follow(opened.path)
        elif opened.question:
            again = partial(self._open_again, entry, True)
            self.asked.emit(f"{opened.question} {said}", "Open that one instead", again, False)
        elif said:
            self.notice.emit(said)
        if opened.lock is not None and not opened.question:
            entry.imported_case = None
        if opened.restored:
            self.said.emit(opened.restored)

    def _offer(self) -> None:
        """The case on the desk, open for reading only, can be written again."""
        if self.current is not None and self.current.document.read_only:
            again = partial(self._open_again, self.current.entry)
            self.asked.emit(
                "The other window has let go of this case. What it changed is read when you go on"
                " here.",
                "Go on here",
                again,
                True,
            )

    def _unlock(self, opened: OpenedCase) -> None:
        """Let go of what nobody wants any more, before the same case is opened again."""
        if opened.lock is not None:
            self.disk_worker.run(f"unlock {id(opened)}", opened.lock.release, urgent=True)

    def _put_on_desk(
        self, entry: Entry, document: Document, saver: Autosave, lock: CaseLock | None
    ) -> None:
        inference = Inference(document, self.inference_worker, document)
        interval = IntervalUpdater(document, inference, document)
        self.current = OpenCase(entry, document, inference, saver, lock, interval)
        self.lock_watcher.forget()
        self.last_slice.follow(document, saver.path.name)
        self.opened.emit()
        if self.models is not None:
            self._propose(self.current, self.models)

    def _take_back(self, leaving: OpenCase) -> None:
        """Put a document that was left, and is still being saved, on the desk again."""
        self._then = None
        self._leaving.remove(leaving)
        leaving.saver.state_changed.disconnect(self._let_go)
        self.close()
        self._put_on_desk(leaving.entry, leaving.document, leaving.saver, leaving.lock)

    def show_case(self, case: Case, models: Models | None) -> None:
        """Put a finished case on the desk as it stands, to be looked at and not saved."""
        entry = self.study_list.add_stack(case.stack)
        self.models = models
        document = Document(case, read_only=True, parent=self)
        inference = Inference(document, self.inference_worker, document)
        inference.readiness = [Readiness.READY] * case.stack.n_slices
        saver = Autosave(document, self.disk_worker, Path(), document)
        interval = IntervalUpdater(document, inference, document)
        self.current = OpenCase(entry, document, inference, saver, None, interval)
        self.opened.emit()

    def remember(self, measured: Measurements) -> None:
        """Note in the list how the open reading stands."""
        if self.current is None:
            return
        entry, case = self.current.entry, self.current.document.case
        before = (entry.read, entry.reading_summary)
        entry.read = case.status is CaseStatus.READ
        proposed = sum(reading.status is SliceStatus.PROPOSED for reading in case.readings)
        entry.reading_summary = reading_summary(
            case.stack.n_slices, case.n_slices_reviewed, proposed, measured.scar_mass_g
        )
        if before != (entry.read, entry.reading_summary):
            self.study_list_changed.emit()

    # Closing

    def close(self) -> None:
        """Save and let go of the open document; the disk lane finishes in its own time."""
        leaving, self.current = self.current, None
        if leaving is None:
            return
        leaving.inference.stop()
        self.last_slice.keep()
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
                    self.disk_worker.run(f"unlock {id(each)}", each.lock.release)
                each.document.deleteLater()
            elif each.saver.state is SaveState.FAILED:
                self.notice.emit(f"{each.entry.title} is not saved. {each.saver.problem}")
        self._go_on()

    def shut_down(self, force: bool = False) -> bool:
        """Save everything, wait for the disk, stop the threads.

        Where something cannot be saved nothing is closed and the answer is False, unless
        ``force``.
        """
        self._then = None
        self.lock_watcher.forget()
        for name in ("scan", "open", "demo"):
            self.disk_worker.forget(name)
        for each in (*self._leaving, *((self.current,) if self.current else ())):
            each.saver.save_now()
        self.disk_worker.drain()
        unsaved = [self.current] if self.current else []
        if not force and any(
            each.saver.state is SaveState.FAILED for each in (*self._leaving, *unsaved)
        ):
            return False
        self.close()
        self.inference_worker.close()
        self.measurement_worker.close()
        self.export_worker.drain()
        self.export_worker.close()
        self.disk_worker.drain()
        self.disk_worker.close()
        return True

    def cancel(self) -> None:
        """Stop scanning, opening, simulating, writing, proposing and answering; never saving."""
        for name in ("scan", "open", "demo", "write "):
            self.disk_worker.forget(name)
        self.export_worker.forget("write ")
        if self.current is not None:
            self.current.inference.cancel()
        self.working.emit(1.0, "")

    def _progressed(self, name: str, fraction: float, what: str) -> None:
        if name.startswith(("scan", "open", "write ")):
            self.working.emit(fraction, what)
