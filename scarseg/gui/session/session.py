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
from scarseg.gui.session.autosave import Saver, SaveState
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference import Inference, Readiness
from scarseg.gui.session.interval import Interval
from scarseg.gui.session.loading import Finder, Opened, Wanted, open_case
from scarseg.gui.session.resume import Places, Watch
from scarseg.gui.session.study_list import Entry, Library, standing
from scarseg.gui.workers import Lane
from scarseg.models import Models

if TYPE_CHECKING:
    from scarseg.io.casefile.lock import CaseLock

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
    interval: Interval


class Session(QObject):
    """Own the lanes, the models, the library and the open document.

    Signals:
        library_changed: studies, or what is known of them.
        opened: another document is on the desk (or none).
        working: (fraction or -1, what) a scan or an opening is under way; empty ``what`` ends it.
        notice: a sentence the reader must see; ``said``: one that may pass.
        images_wanted: a sentence: case files wait for the folder of their images.
        asked: (sentence, word on the button, what it does or None, whether it lasts).
        thickness_wanted: an entry whose header has no slice thickness.
        models_ready: the models are loaded.
    """

    library_changed = pyqtSignal()
    opened = pyqtSignal()
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    said = pyqtSignal(str)
    images_wanted = pyqtSignal(str)
    asked = pyqtSignal(str, str, object, bool)
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
        self.numbers_lane = Lane("numbers", self)
        self.export_lane = Lane("export", self)
        self._wanted: Entry | None = None
        self._leaving: list[Open] = []
        self._n_opened = 0
        self._then: tuple[Entry, Callable[[], None]] | None = None
        self.finder = Finder(self.library, self.disk_lane, store_folder, self)
        for mine, theirs in (
            (self.library_changed, self.finder.library_changed),
            (self.working, self.finder.working),
        ):
            theirs.connect(mine)
        for telling, tell in (
            (self.finder.notice, self.notice),
            (self.finder.images_wanted, self.images_wanted),
        ):
            telling.connect(partial(self._unless_blinded, tell.emit))
        self.finder.found.connect(partial(self._unless_blinded, self.open))
        self.places = Places(self.disk_lane, store_folder, self)
        self.watch = Watch(self.disk_lane, self)
        self.watch.freed.connect(self._offer)
        for lane in (self.disk_lane, self.export_lane):
            lane.progressed.connect(self._progressed)

    @property
    def blinded(self) -> bool:
        """Say whether the list stands under codes: nothing may tell whose a stack is."""
        return self.library is not self.finder.library

    def _unless_blinded(self, tell: Callable[..., None], what: object) -> None:
        """Pass on what may name files, or open a study by itself, unless that would tell."""
        if not self.blinded:
            tell(what)

    def blind(self, library: Library) -> None:
        """Put a list under codes in the place of the list; what is open is saved and left."""
        for name in ("scan", "open", "demo"):
            self.disk_lane.forget(name)
        self._show_list(library)

    def unblind(self) -> None:
        """Put the list itself back; what is open is saved and left."""
        self._show_list(self.finder.library)

    def _show_list(self, library: Library) -> None:
        self._wanted, self._then = None, None
        self._n_opened += 1
        self.close()
        self.library = library
        self.working.emit(1.0, "")
        self.opened.emit()
        self.library_changed.emit()

    def start(self) -> None:
        """Load the models, and what opening needs, behind the window."""
        for name in (
            "scarseg.segmentation.pipeline",
            "scarseg.io.dicom",
            "scarseg.io.casefile.store",
            "scipy.spatial",
        ):
            self.disk_lane.run(f"import {name}", import_module, name)
        self.finder.recall()
        self.inference_lane.run(
            "load models", self._loader, done=self._take_models, failed=self._no_models
        )

    def _take_models(self, models: Models) -> None:
        self.models = models
        if self.current is not None:
            self._propose(self.current, models)
        self.models_ready.emit()

    @staticmethod
    def _propose(current: Open, models: Models) -> None:
        """Let the models begin; where they are not to propose unasked, they answer only."""
        current.inference.start(models)
        if current.entry.cover is not None and not current.entry.cover.proposals:
            current.inference.cancel()

    def _no_models(self, error: BaseException) -> None:
        if not isinstance(error, (ScarsegError, ImportError, OSError, RuntimeError)):
            raise error
        self.models_problem = f"{error} Boxes wait; brush and eraser work."
        self.notice.emit(self.models_problem)

    # Opening

    def scan(self, inputs: list[Path]) -> None:
        """Look at folders, files, zips or case files and open the likely stack."""
        self.finder.scan(inputs)

    def demo(self) -> None:
        """Make a simulated study and open it."""
        self.finder.demo()

    def remind(self) -> None:
        """Say again which images case files wait for, if they do."""
        self.finder.remind()

    def open_last(self) -> None:
        """Open the folder of last time."""
        if self.finder.last_folder is not None:
            self.scan([self.finder.last_folder])

    def open_stack(self, stack: Stack) -> None:
        """Open a stack that is in memory already."""
        entry = self.library.add_stack(stack)
        self.library_changed.emit()
        self.open(entry)

    def open(self, entry: Entry, thickness_mm: float | None = None) -> None:
        """Put a stack on the desk; what was there is saved first."""
        self._wanted = entry
        if self.current is not None and self.current.entry is entry:
            if entry.arrival is not None:
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
        self.disk_lane.run(
            "open",
            open_case,
            Wanted(entry.source, self.folder, thickness_mm, entry.arrival, replacing, entry.cover),
            done=lambda opened: self._take_opened(entry, opened),
            failed=lambda error: self._not_opened(entry, error),
            current=lambda: number == self._n_opened,
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
            if entry.cover is not None:
                self.notice.emit(f"{entry.title} does not open ({error.code}).")
        self.finder.refuse(error)

    def _take_opened(self, entry: Entry, opened: Opened) -> None:
        self.working.emit(1.0, "")
        if entry is not self._wanted:
            self._unlock(opened)
            return
        self.close()
        document = Document(opened.case, read_only=opened.lock is None, parent=self)
        if opened.place is not None:
            document.go_to(opened.place)
        saver = Saver(document, self.disk_lane, opened.path, document)
        entry.code = ""
        self._put_on_desk(entry, document, saver, opened.lock)
        said = " ".join(opened.notes)
        if opened.blocked:
            self.asked.emit(said, "", None, True)
            self.watch.follow(opened.path)
        elif opened.question:
            again = partial(self._open_again, entry, True)
            self.asked.emit(f"{opened.question} {said}", "Open that one instead", again, False)
        elif said:
            self.notice.emit(said)
        if opened.lock is not None and not opened.question:
            entry.arrival = None
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

    def _unlock(self, opened: Opened) -> None:
        """Let go of what nobody wants any more, before the same case is opened again."""
        if opened.lock is not None:
            self.disk_lane.run(f"unlock {id(opened)}", opened.lock.release, urgent=True)

    def _put_on_desk(
        self, entry: Entry, document: Document, saver: Saver, lock: CaseLock | None
    ) -> None:
        inference = Inference(document, self.inference_lane, document)
        interval = Interval(document, inference, document)
        self.current = Open(entry, document, inference, saver, lock, interval)
        self.watch.forget()
        self.places.follow(document, saver.path.name)
        self.opened.emit()
        if self.models is not None:
            self._propose(self.current, self.models)

    def _take_back(self, leaving: Open) -> None:
        """Put a document that was left, and is still being saved, on the desk again."""
        self._then = None
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
        interval = Interval(document, inference, document)
        self.current = Open(entry, document, inference, saver, None, interval)
        self.opened.emit()

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
        self.places.keep()
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
        self._go_on()

    def shut_down(self, force: bool = False) -> bool:
        """Save everything, wait for the disk, stop the threads.

        Where something cannot be saved nothing is closed and the answer is False, unless
        ``force``.
        """
        self._then = None
        self.watch.forget()
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
        self.numbers_lane.close()
        self.export_lane.drain()
        self.export_lane.close()
        self.disk_lane.drain()
        self.disk_lane.close()
        return True

    def cancel(self) -> None:
        """Stop scanning, opening, simulating, writing, proposing and answering; never saving."""
        for name in ("scan", "open", "demo", "write "):
            self.disk_lane.forget(name)
        self.export_lane.forget("write ")
        if self.current is not None:
            self.current.inference.cancel()
        self.working.emit(1.0, "")

    def _progressed(self, name: str, fraction: float, what: str) -> None:
        if name.startswith(("scan", "open", "write ")):
            self.working.emit(fraction, what)
