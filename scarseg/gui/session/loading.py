"""Scan for studies and case files, and read a stack with its case, on the disk worker.

States of a scan: scanning, then found (the likely series opens by itself), nothing found, or
cancelled. A case file whose images are missing waits in the list until they are scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.case.case import Case
from scarseg.case.stack import Stack
from scarseg.errors import Cancelled, InputError, ScarsegError, StoreError
from scarseg.gui.session.resume import missing_images_message
from scarseg.gui.session.study_list import (
    BlindedEntry,
    Entry,
    StudyList,
    most_likely,
    reading_summary,
)
from scarseg.gui.workers import Worker
from scarseg.io.casefile import lock as casefile_lock
from scarseg.progress import Progress

if TYPE_CHECKING:
    from scarseg.io.casefile.library import CaseFile
    from scarseg.io.casefile.lock import CaseLock
    from scarseg.io.casefile.store import ReadingProgress
    from scarseg.io.dicom.types import LoadReport, StackSummary


DEMO_SEED = 19
RESTORED_MESSAGE = "scarseg ended suddenly last time. Every change that was saved is here."


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Result of a scan: ``report`` is None where there were only case files."""

    report: LoadReport | None
    arrivals: tuple[CaseFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OpenRequest:
    """Request to open a stack, and the case file from elsewhere that belongs to it.

    ``replacing``: put the arrived reading in the place of another one, which is kept aside.
    ``blinding``: read it again, blinded, in a case file of its own.
    """

    source: StackSummary | Stack
    folder: Path
    thickness_mm: float | None = None
    imported_case: Path | None = None
    replacing: bool = False
    blinding: BlindedEntry | None = None


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """A case that was read, its lock, and what the reader must know.

    ``blocked``: another program writes this case. ``restored`` is shown where a program ended
    without releasing it. ``question`` is asked where an arrived reading waits beside another.
    """

    case: Case
    path: Path
    lock: CaseLock | None
    notes: tuple[str, ...] = ()
    blocked: bool = False
    restored: str = ""
    question: str = ""
    place: int | None = None


def scan_inputs(inputs: Sequence[Path], progress: Progress) -> ScanResult:
    """List the stacks and the case files of some inputs.

    Raises:
        InputError: there is neither the one nor the other.
    """
    from scarseg.io import dicom
    from scarseg.io.casefile import library

    found = library.find_case_files(inputs)
    report = None
    if found.rest:
        try:
            report = dicom.scan(found.rest, progress)
        except InputError:
            if not found.cases:
                raise
    return ScanResult(report, found.cases, found.notes)


@dataclass(frozen=True, eq=False)
class PreparedRead:
    """A case that was read ahead, without its lock; nothing was written.

    ``stamp`` is the state of its file when it was read: see :func:`case_stamp`.
    """

    case: Case
    path: Path
    stamp: tuple[int, int, int] | None
    place: int | None = None


def case_stamp(path: Path) -> tuple[int, int, int] | None:
    """Return time, size and number of a case file, other after every save; None without one."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def prepare_case(wanted: OpenRequest, progress: Progress) -> PreparedRead | None:
    """Read a stack and its saved case ahead; None where opening it needs a question or a note."""
    from scarseg.io.casefile import last_position, store

    path = _path_of(wanted)
    stamp = case_stamp(path)
    stack = _read_stack(wanted, path, progress)
    case = _new_case(wanted, stack)
    if store.has_case(path):
        saved = store.read_case(path, stack)
        if saved.notes:
            return None
        case = saved.case
    place = last_position.load_last_slice(wanted.folder, path.name, stack.n_slices)
    return PreparedRead(case, path, stamp, place)


def claim_case(wanted: OpenRequest, prepared: PreparedRead, progress: Progress) -> OpenedCase:
    """Lock a case that was read ahead; read it anew where its file is another by now."""
    try:
        lock = casefile_lock.CaseLock().acquire(prepared.path)
    except StoreError:
        return open_case(wanted, progress)
    if case_stamp(prepared.path) != prepared.stamp:
        lock.release()
        return open_case(wanted, progress)
    restored = RESTORED_MESSAGE if lock.replaced_dead_owner else ""
    return OpenedCase(prepared.case, prepared.path, lock, restored=restored, place=prepared.place)


def _path_of(wanted: OpenRequest) -> Path:
    from scarseg.io.casefile import store

    cover = wanted.blinding
    return cover.path if cover else store.case_path(wanted.folder, wanted.source)


def _read_stack(wanted: OpenRequest, path: Path, progress: Progress) -> Stack:
    from scarseg.io import dicom
    from scarseg.io.casefile import library

    source, cover = wanted.source, wanted.blinding
    if isinstance(source, Stack):
        return source
    thickness = wanted.thickness_mm or (cover and cover.thickness_mm)
    thickness = thickness or library.reader_thickness_mm(wanted.imported_case or path)
    return dicom.read_stack(source, thickness, progress)


def _new_case(wanted: OpenRequest, stack: Stack) -> Case:
    case, cover = Case.new(stack), wanted.blinding
    if cover is not None:
        case.reader, case.read_number = cover.reader, cover.read_number
    return case


def open_case(wanted: OpenRequest, progress: Progress) -> OpenedCase:
    """Read a stack and its saved case."""
    from scarseg.io.casefile import last_position, library, store

    path, notes = _path_of(wanted), []
    stack = _read_stack(wanted, path, progress)
    lock, blocked = None, False
    try:
        lock = casefile_lock.CaseLock().acquire(path)
    except StoreError as error:
        blocked = error.code == "E_CASE_LOCKED"
        notes.append(error.message)
    case, question = _new_case(wanted, stack), ""
    read_from = path
    if wanted.imported_case is not None and not library.is_stored_at(wanted.imported_case, path):
        if lock is None:
            read_from = wanted.imported_case
            notes.append(f"What you see is the reading in {wanted.imported_case.name}.")
        else:
            question = _take_arrival(wanted, wanted.imported_case, path, stack, notes)
    if store.has_case(read_from):
        try:
            saved = store.read_case(read_from, stack)
            case, notes = saved.case, [*notes, *saved.notes]
        except StoreError as error:
            notes.append(str(error))
            if lock is not None and error.code != "E_CASE_NEWER":
                notes.append(f"It was kept as {store.set_aside(path).name}; a new reading begins.")
            elif lock is not None:
                lock.release()
                lock = None
    restored = RESTORED_MESSAGE if lock is not None and lock.replaced_dead_owner else ""
    place = last_position.load_last_slice(wanted.folder, path.name, stack.n_slices)
    return OpenedCase(case, path, lock, tuple(notes), blocked, restored, question, place)


def _take_arrival(
    wanted: OpenRequest, arrival: Path, path: Path, stack: Stack, notes: list[str]
) -> str:
    """Copy an imported case file into the store; return the question where that needs an answer."""
    from scarseg.io.casefile import library, store

    try:
        store.read_case(arrival, stack)
        if store.has_case(path) and library.same_reading(arrival, path):
            return ""
        if store.has_case(path) and not wanted.replacing and library.has_reader_work(path):
            here, there = library.read_case_file(path).words, library.read_case_file(arrival).words
            return (
                f"This series has a reading here, which you see ({here}). {arrival.name} holds"
                f" another one ({there}). The one you leave is kept aside."
            )
        library.import_case(arrival, path, stack)
        notes.append(f"The reading in {arrival.name} was copied; changes are saved in the copy.")
    except StoreError as error:
        notes.append(f"{arrival.name} was not opened. {error}")
    return ""


def peek_cases(folder: Path, entries: Sequence[Entry]) -> list[tuple[Entry, ReadingProgress]]:
    """Read how far the saved readings of a list are."""
    from scarseg.io.casefile import store

    found = (
        (each, store.read_progress(each.imported_case or store.case_path(folder, each.source)))
        for each in entries
    )
    return [(entry, glance) for entry, glance in found if glance is not None]


def write_demo_study(folder: Path) -> Path:
    """Write the simulated study of the demo unless it is there already."""
    from scarseg.simulate import studies

    dicom_folder = folder / "study" / "dicom"
    if dicom_folder.exists():
        return dicom_folder
    return studies.write_study(folder / "study", DEMO_SEED).dicom_folder


def _keep_folder(folder: Path, shown: Path, names: list[str]) -> None:
    from scarseg.io.casefile import last_position

    last_position.save_last_folder(folder, shown, names)


def _recall_folders(folder: Path) -> tuple[Path | None, list[Path]]:
    from scarseg.io.casefile import last_position

    return last_position.load_last_folder(folder), last_position.load_recent_folders(folder)


class StudyScanner(QObject):
    """Fill the study list from folders, files, zips and case files, on the disk worker.

    Signals:
        study_list_changed: studies, or what is known of them.
        found: the entry to open by itself.
        working: (fraction or -1, what) a scan is under way; empty ``what`` ends it.
        notice: a sentence the reader must see.
        images_needed: a sentence: case files wait for the folder of their images.
        remembered: the folder that was opened last time.
        recent_known: the folders that were opened last, the latest first.
    """

    study_list_changed = pyqtSignal()
    found = pyqtSignal(object)
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    images_needed = pyqtSignal(str)
    remembered = pyqtSignal(object)
    recent_known = pyqtSignal(object)

    def __init__(
        self, study_list: StudyList, worker: Worker, folder: Path, parent: QObject
    ) -> None:
        super().__init__(parent)
        self.study_list, self._worker, self._folder = study_list, worker, folder
        self.last_folder: Path | None = None
        self.recent: list[Path] = []

    def recall(self) -> None:
        """Read which folder was opened last time."""
        self._worker.run("recall folder", _recall_folders, self._folder, done=self._take_folders)

    def _take_folders(self, found: tuple[Path | None, list[Path]]) -> None:
        folder, self.recent = found
        self.last_folder = folder
        if self.recent:
            self.recent_known.emit(self.recent)
        if folder is not None:
            self.remembered.emit(folder)

    def scan(self, inputs: list[Path]) -> None:
        """Scan folders, files, zips or case files and open the likely stack."""
        self.working.emit(-1.0, "Looking for short-axis stacks")
        self._worker.run(
            "scan",
            scan_inputs,
            inputs,
            done=lambda scanned: self._add_scan_result(inputs, scanned),
            failed=self.refuse,
            reports=True,
        )

    def scan_last(self) -> None:
        """Scan the folder that was opened last time."""
        if self.last_folder is not None:
            self.scan([self.last_folder])

    def demo(self) -> None:
        """Create a simulated study and scan it."""
        self.working.emit(-1.0, "Making a simulated study")
        self._worker.run(
            "demo", write_demo_study, self._folder.parent / "demo",
            done=lambda folder: self.scan([folder]), failed=self.refuse,
        )  # fmt: skip

    def _add_scan_result(self, inputs: list[Path], scanned: ScanResult) -> None:
        self.working.emit(1.0, "")
        report = scanned.report
        fresh = [] if report is None else self.study_list.add_report(report)
        met = self.study_list.expect(scanned.arrivals)
        notes = [*scanned.notes, *(() if report is None else report.notes)]
        if notes:
            self.notice.emit(" ".join(notes))
        self.study_list_changed.emit()
        entry = most_likely(met) or most_likely(fresh)
        if entry is not None:
            self.found.emit(entry)
            self._worker.run(
                f"peek {id(scanned)}",
                peek_cases,
                self._folder,
                [*fresh, *met],
                done=self._take_glances,
            )
        if report is not None:
            self._remember(inputs, report)
        if self.study_list.waiting:
            self.remind()
        elif entry is None and report is not None:
            self._say_nothing_opened(report)

    def _say_nothing_opened(self, report: LoadReport) -> None:
        if report.refused:
            first = report.refused[0]
            self.notice.emit(f"Nothing could be opened. {first.code}: {first.message}")
        elif not report.stacks:
            self.notice.emit("E_NO_MR: No MR series was found there.")

    def _remember(self, inputs: list[Path], report: LoadReport) -> None:
        """Remember a folder of several patients; one that is one patient's may bear the name."""
        patients = {stack.patient_id for stack in report.stacks}
        if len(inputs) == 1 and len(patients) > 1:
            names = [name for s in report.stacks for name in (s.patient_id, s.patient_name)]
            self._worker.run("keep folder", _keep_folder, self._folder, inputs[0], names)

    def _take_glances(self, found: list[tuple[Entry, ReadingProgress]]) -> None:
        for entry, glance in found:
            if not entry.reading_summary:
                entry.read = glance.n_read == glance.n_slices
                entry.reading_summary = reading_summary(
                    glance.n_slices, glance.n_read, glance.n_proposed
                )
        self.study_list_changed.emit()

    def refuse(self, error: BaseException) -> None:
        """Show why scanning or opening failed."""
        self.working.emit(1.0, "")
        if isinstance(error, Cancelled):
            return
        if not isinstance(error, (ScarsegError, OSError)):
            raise error
        if self.study_list.waiting:
            self.remind(f"{error} ")
        else:
            self.notice.emit(str(error))

    def remind(self, before: str = "") -> None:
        """Show again which images case files wait for, if they do."""
        waiting = self.study_list.waiting.values()
        if waiting:
            self.images_needed.emit(before + missing_images_message(waiting))
