"""The session of one window: workers, models, the list of studies and the open case. No widgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.case import Case, CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import Measurements
from scarseg.case.stack import Stack
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.front import OpenCaseSignals
from scarseg.gui.session.loading import StudyScanner
from scarseg.gui.session.open_case import ClosingCases, OpenCase
from scarseg.gui.session.opening import CaseOpener
from scarseg.gui.session.resume import LastSlice, LockWatcher
from scarseg.gui.session.studies.ahead import PreparedCase, StudiesAhead
from scarseg.gui.session.studies.case_builder import CaseBuilder
from scarseg.gui.session.studies.stored_case import OpenedCase
from scarseg.gui.session.studies.study import Entry, reading_summary
from scarseg.gui.session.studies.study_list import StudyList
from scarseg.gui.session.weights import ChosenWeights
from scarseg.gui.workers import Worker
from scarseg.models import Models

ModelsLoader = Callable[[], Models]
SCAN_JOBS = ("scan", "open", "demo")
"""Jobs of the disk worker that lead to an open case."""


class Session(QObject):
    """Own the workers, the models, the list of studies and the open case.

    Signals:
        study_list_changed: studies, or what is known of them.
        opened: another case is open, or none.
        leaving: the open case is about to be closed.
        working: (fraction or -1, what) a scan or an opening is under way; empty ``what`` ends it.
        notice: a sentence the reader must see; ``said``: one that may pass.
        images_needed: a sentence: case files wait for the folder of their images.
        asked: (sentence, word on the button, what it does or None, whether it lasts).
        thickness_needed: an entry whose header has no slice thickness.
        models_ready: the models are loaded.
    """

    study_list_changed = pyqtSignal()
    opened = pyqtSignal()
    leaving = pyqtSignal()
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    said = pyqtSignal(str)
    images_needed = pyqtSignal(str)
    asked = pyqtSignal(str, str, object, bool)
    thickness_needed = pyqtSignal(object)
    models_ready = pyqtSignal()

    def __init__(
        self, weights: ChosenWeights, store_folder: Path, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.study_list = StudyList()
        self.current: OpenCase | None = None
        self.front = OpenCaseSignals(self)
        self.models: Models | None = None
        self.models_problem = ""
        self.folder = store_folder
        self.weights = weights
        self.inference_worker = Worker("inference", self)
        self.disk_worker = Worker("disk", self)
        self.measurement_worker = Worker("numbers", self)
        self.export_worker = Worker("export", self)
        self.scanner = StudyScanner(self.study_list, self.disk_worker, store_folder, self)
        self.opener = CaseOpener(self.disk_worker, store_folder, self)
        self.closing = ClosingCases(self.disk_worker, self._front_works, self)
        self._builder = CaseBuilder(
            self.disk_worker, self.inference_worker, self.measurement_worker, self
        )
        self.ahead = StudiesAhead(
            self.disk_worker,
            self._builder,
            store_folder,
            self._front_works,
            self,
        )
        self.last_slice = LastSlice(self.disk_worker, store_folder, self)
        self.lock_watcher = LockWatcher(self.disk_worker, self)
        self._connect()

    def _connect(self) -> None:
        scanner, opener = self.scanner, self.opener
        scanner.study_list_changed.connect(self.study_list_changed)
        scanner.working.connect(self.working)
        # While blinded nothing may name files, or open a study by itself.
        scanner.notice.connect(partial(self._unless_blinded, self.notice.emit))
        scanner.images_needed.connect(partial(self._unless_blinded, self.images_needed.emit))
        scanner.found.connect(partial(self._unless_blinded, self.open))
        opener.started.connect(lambda title: self.working.emit(-1.0, f"Opening {title}"))
        opener.finished.connect(self._show_opened)
        opener.failed.connect(self._not_opened)
        self.closing.not_saved.connect(self.notice)
        self.closing.released.connect(self._open_waiting)
        self.lock_watcher.freed.connect(self._offer_writing)
        self.ahead.prepared.connect(self.study_list_changed)
        self.study_list_changed.connect(self._plan_ahead)
        for worker in (self.disk_worker, self.export_worker):
            worker.progressed.connect(self._progressed)

    @property
    def blinded(self) -> bool:
        """Return whether the list shows codes instead of studies."""
        return self.study_list is not self.scanner.study_list

    @property
    def open_title(self) -> str:
        """Patient, date and series of the open case; of a blinded one its code; else empty."""
        if self.current is None:
            return ""
        entry = self.current.entry
        return self.study_list.study_of(entry).describe(entry)

    def _unless_blinded(self, act: Callable[..., None], what: object) -> None:
        if not self.blinded:
            act(what)

    def show_list(self, study_list: StudyList) -> None:
        """Show another list, such as one under codes; the open case is saved and closed."""
        if study_list is not self.scanner.study_list:
            for name in SCAN_JOBS:
                self.disk_worker.forget(name)
        self.opener.forget()
        self.ahead.forget()
        self.close()
        self.closing.hurry()
        self.study_list = study_list
        self.working.emit(1.0, "")
        self.opened.emit()
        self.study_list_changed.emit()

    # Models

    def start(self) -> None:
        """Load the models, and the modules that opening needs, behind the window."""
        for name in (
            "scarseg.segmentation.pipeline",
            "scarseg.io.dicom",
            "scarseg.io.casefile.store",
            "scipy.spatial",
        ):
            self.disk_worker.run(f"import {name}", import_module, name)
        self.scanner.recall()
        self.inference_worker.run(
            "load models", self.weights, done=self._take_models, failed=self._models_failed
        )

    def _take_models(self, models: Models) -> None:
        self.models = models
        if self.current is not None:
            self._propose(self.current, models)
        self._plan_ahead()
        self.models_ready.emit()

    def load_models(
        self,
        segmenter: Path | None,
        done: Callable[[Models], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Load models with another segmenter behind the window; those in use stay meanwhile."""
        self.inference_worker.run(
            "other models", self.weights.load, segmenter, done=done, failed=failed, urgent=True
        )

    def use_models(self, models: Models, propose_again: bool) -> None:
        """Use other models from now on, for the open case too.

        Args:
            models: loaded ones.
            propose_again: propose the slices of the open case that are proposed and not protected
                anew, one step of undo each; else they keep their labels.
        """
        self.models, self.models_problem = models, ""
        self.ahead.forget()
        self.closing.hurry()
        current = self.current
        if current is not None:
            current.inference.stop()
            self._show(self._builder.revive(current))
            if propose_again and self.current is not None:
                self._propose_unread(self.current)
        self.models_ready.emit()

    def _propose_unread(self, case: OpenCase) -> None:
        for k, reading in enumerate(case.document.case.readings):
            if reading.status is SliceStatus.PROPOSED and not reading.protected:
                case.inference.propose_again(k)

    def _models_failed(self, error: BaseException) -> None:
        if not isinstance(error, (ScarsegError, ImportError, OSError, RuntimeError)):
            raise error
        self.models_problem = f"{error} Boxes wait; brush and eraser work."
        self.notice.emit(self.models_problem)

    # Opening

    def scan(self, inputs: list[Path]) -> None:
        """Scan folders, files, zips or case files and open the likely stack."""
        self.scanner.scan(inputs)

    def add(self, inputs: list[Path]) -> None:
        """Scan folders and add what they hold to the list; the open case stays."""
        self.scanner.add(inputs)

    def demo(self) -> None:
        """Create a simulated study and open it."""
        self.scanner.demo()

    def open_stack(self, stack: Stack) -> None:
        """Open a stack that is in memory already."""
        entry = self.study_list.add_stack(stack)
        self.study_list_changed.emit()
        self.open(entry)

    def open(self, entry: Entry, thickness_mm: float | None = None) -> None:
        """Open a series; the open case is saved first."""
        self.opener.wanted = entry
        if self.current is not None and self.current.entry is entry:
            if entry.imported_case is not None:
                self._open_again(entry)
            return
        closing = self.closing.take_back(entry)
        if closing is None:
            # What is read ahead must not hold up what the reader waits for.
            self.ahead.interrupt()
            self.opener.open(entry, thickness_mm, prepared=self.ahead.find(entry))
            return
        self.opener.waiting = None
        self.close()
        self._show(closing if closing.inference.alive else self._builder.revive(closing))

    def _open_again(self, entry: Entry, replacing: bool = False) -> None:
        """Read an entry anew; where it is open, once it is saved and released."""
        self.opener.wait(entry, replacing)
        current = self.current
        if current is not None and current.entry is entry and not current.document.read_only:
            self.close()
            self.opened.emit()
        self.closing.hurry()
        self._open_waiting()

    def _open_waiting(self) -> None:
        waiting = self.opener.waiting
        if waiting is not None and not self.closing.contains(waiting[0]):
            self.opener.open_waiting()

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
        self._plan_ahead()

    def _show_opened(self, entry: Entry, opened: OpenedCase) -> None:
        self.working.emit(1.0, "")
        self.close()
        entry.code = ""
        prepared = self._take_prepared(entry, opened)
        self._show(self._builder.open(entry, opened, prepared))
        notes = " ".join(opened.notes)
        if opened.blocked:
            self.asked.emit(notes, "", None, True)
            self.lock_watcher.follow(opened.path)
        elif opened.question:
            again = partial(self._open_again, entry, True)
            self.asked.emit(f"{opened.question} {notes}", "Open that one instead", again, False)
        elif notes:
            self.notice.emit(notes)
        if opened.lock is not None and not opened.question:
            entry.imported_case = None
        if opened.restored:
            self.said.emit(opened.restored)

    def _take_prepared(self, entry: Entry, opened: OpenedCase) -> PreparedCase | None:
        """Return what was prepared of the case that was opened, if it still is that case."""
        ready = self.ahead.take(entry)
        if ready is not None and ready.read.case is not opened.case:
            ready.drop()
            return None
        return ready

    def _show(self, case: OpenCase) -> None:
        self.current = case
        self.front.follow(case)
        self.lock_watcher.forget()
        self.last_slice.follow(case.document, case.saver.path.name)
        self.opened.emit()
        case.inference.put_in_front(self._at_rest)
        if self.models is not None and case.inference.models is None:
            self._propose(case, self.models)
        self._plan_ahead()

    def _propose(self, case: OpenCase, models: Models) -> None:
        """Start the models; where they are not to propose unasked, they answer prompts alone."""
        case.inference.start(models)
        if case.entry.blinding is not None and not case.entry.blinding.proposals:
            case.inference.cancel()

    # Behind the reading

    def _front_works(self) -> bool:
        """Return whether the models have anything to do for the open case, or one is opening."""
        if self.disk_worker.holds("open"):
            return True
        return self.current is not None and self.current.inference.working

    def _at_rest(self) -> None:
        """Finish the case left in the middle, then prepare the next ones."""
        self.closing.go_on()
        self.ahead.go_on()

    def _plan_ahead(self) -> None:
        after = None if self.current is None else self.current.entry
        following = self.study_list.upcoming(after)
        free = (entry for entry in following if not self.closing.contains(entry))
        self.ahead.want(free, self.models)

    def _offer_writing(self) -> None:
        """Offer to write the open case, which another window had locked."""
        if self.current is not None and self.current.document.read_only:
            again = partial(self._open_again, self.current.entry)
            self.asked.emit(
                "The other window has let go of this case. What it changed is read when you go on"
                " here.",
                "Go on here",
                again,
                True,
            )

    def show_case(self, case: Case, models: Models | None) -> None:
        """Show a case for reading only, without computing or saving anything."""
        entry = self.study_list.add_stack(case.stack)
        self.models = models
        self.current = self._builder.view(entry, case)
        self.front.follow(self.current)
        self.opened.emit()

    def remember(self, measured: Measurements) -> None:
        """Update the summary of the open reading in the list."""
        if self.current is None:
            return
        entry, case = self.current.entry, self.current.document.case
        before = (entry.read, entry.reading_summary, entry.n_doubtful)
        entry.n_doubtful = len(self.current.doubts.known_unread())
        entry.read = case.status is CaseStatus.READ
        proposed = sum(reading.status is SliceStatus.PROPOSED for reading in case.readings)
        entry.reading_summary = reading_summary(
            case.stack.n_slices,
            case.n_slices_reviewed,
            proposed,
            measured.scar_mass_g,
            measured.n_slices_changed > 0,
            any(reading.scar_withheld for reading in case.readings),
        )
        if before != (entry.read, entry.reading_summary, entry.n_doubtful):
            self.study_list_changed.emit()

    # Closing

    def close(self) -> None:
        """Save and close the open case; the disk worker ends in its own time."""
        if self.current is not None:
            self.leaving.emit()
        case, self.current = self.current, None
        self.front.follow(None)
        if case is not None:
            self.last_slice.keep()
            self.closing.add(case)

    def shut_down(self, force: bool = False) -> bool:
        """Save everything, wait for the disk, stop the threads.

        Where something cannot be saved nothing is closed and the answer is False, unless
        ``force``.
        """
        self.opener.waiting = None
        self.lock_watcher.forget()
        self.ahead.forget()
        for name in SCAN_JOBS:
            self.disk_worker.forget(name)
        open_cases = [*self.closing.cases, *([self.current] if self.current else [])]
        for each in open_cases:
            each.saver.save_now()
        self.disk_worker.drain()
        open_cases = [*self.closing.cases, *([self.current] if self.current else [])]
        if not force and any(each.saver.state is SaveState.FAILED for each in open_cases):
            return False
        self.close()
        self.closing.hurry()
        self.inference_worker.close()
        self.measurement_worker.close()
        self.export_worker.drain()
        self.export_worker.close()
        self.disk_worker.drain()
        self.disk_worker.close()
        return True

    def cancel(self) -> None:
        """Stop scanning, opening, simulating, writing, proposing and answering; never saving."""
        for name in (*SCAN_JOBS, "write "):
            self.disk_worker.forget(name)
        self.export_worker.forget("write ")
        if self.current is not None:
            self.current.inference.cancel()
        self.working.emit(1.0, "")

    def _progressed(self, name: str, fraction: float, what: str) -> None:
        if name.startswith(("scan", "open", "write ")):
            self.working.emit(fraction, what)
