"""Scan for studies and case files on the disk worker.

States of a scan: scanning, then found (the likely series opens by itself), nothing found, or
cancelled. A case file whose images are missing waits in the list until they are scanned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.errors import Cancelled, InputError, ScarsegError
from scarseg.gui.session.resume import missing_images_message
from scarseg.gui.session.studies.study import Entry, reading_summary
from scarseg.gui.session.studies.study_list import StudyList, most_likely
from scarseg.gui.workers import Worker
from scarseg.progress import Progress

if TYPE_CHECKING:
    from scarseg.io.casefile.library import CaseFile
    from scarseg.io.casefile.store import ReadingProgress
    from scarseg.io.dicom.types import LoadReport


DEMO_SEED = 19


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Result of a scan: ``report`` is None where there were only case files."""

    report: LoadReport | None
    arrivals: tuple[CaseFile, ...]
    notes: tuple[str, ...]


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

    def add(self, inputs: list[Path]) -> None:
        """Scan folders and add what they hold to the list; nothing is opened."""
        self._worker.run(
            "add",
            scan_inputs,
            inputs,
            done=lambda scanned: self._add_scan_result(inputs, scanned, opens=False),
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

    def _add_scan_result(self, inputs: list[Path], scanned: ScanResult, opens: bool = True) -> None:
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
            if opens:
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
