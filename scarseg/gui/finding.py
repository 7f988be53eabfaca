"""Find studies: scan what the reader shows, list it, remember which images are still wanted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.library import Entry, Library, likely, standing
from scarseg.gui.opening import Looked, look, make_demo, peek_cases
from scarseg.gui.returning import words_for_waiting
from scarseg.gui.tasks import Lane

if TYPE_CHECKING:
    from scarseg.io.dicom import LoadReport
    from scarseg.io.store import Glance


def _keep_folder(folder: Path, shown: Path, names: list[str]) -> None:
    from scarseg.io import places

    places.keep_folder(folder, shown, names)


def _recall_folder(folder: Path) -> Path | None:
    from scarseg.io import places

    return places.recall_folder(folder)


class Finder(QObject):
    """Fill the library from folders, files, zips and case files, on the disk lane.

    Signals:
        library_changed: studies, or what is known of them.
        found: the entry to open by itself.
        working: (fraction or -1, what) a scan is under way; empty ``what`` ends it.
        notice: a sentence the reader must see.
        images_wanted: a sentence: case files wait for the folder of their images.
        remembered: the folder that was opened last time.
    """

    library_changed = pyqtSignal()
    found = pyqtSignal(object)
    working = pyqtSignal(float, str)
    notice = pyqtSignal(str)
    images_wanted = pyqtSignal(str)
    remembered = pyqtSignal(object)

    def __init__(self, library: Library, lane: Lane, folder: Path, parent: QObject) -> None:
        super().__init__(parent)
        self.library, self._lane, self._folder = library, lane, folder
        self.last_folder: Path | None = None

    def recall(self) -> None:
        """Look which folder was opened last time."""
        self._lane.run("recall folder", _recall_folder, self._folder, done=self._take_folder)

    def _take_folder(self, folder: Path | None) -> None:
        self.last_folder = folder
        if folder is not None:
            self.remembered.emit(folder)

    def scan(self, inputs: list[Path]) -> None:
        """Look at folders, files, zips or case files and open the likely stack."""
        self.working.emit(-1.0, "Looking for short-axis stacks")
        self._lane.run(
            "scan",
            look,
            inputs,
            done=lambda looked: self._take_looked(inputs, looked),
            failed=self.refuse,
            reports=True,
        )

    def demo(self) -> None:
        """Make a simulated study and look at it."""
        self.working.emit(-1.0, "Making a simulated study")
        self._lane.run(
            "demo", make_demo, self._folder.parent / "demo",
            done=lambda folder: self.scan([folder]), failed=self.refuse,
        )  # fmt: skip

    def _take_looked(self, inputs: list[Path], looked: Looked) -> None:
        self.working.emit(1.0, "")
        report = looked.report
        fresh = [] if report is None else self.library.add_report(report)
        met = self.library.expect(looked.arrivals)
        notes = [*looked.notes, *(() if report is None else report.notes)]
        if notes:
            self.notice.emit(" ".join(notes))
        self.library_changed.emit()
        entry = likely(met) or likely(fresh)
        if entry is not None:
            self.found.emit(entry)
            self._lane.run(
                f"peek {id(looked)}",
                peek_cases,
                self._folder,
                [*fresh, *met],
                done=self._take_glances,
            )
        if report is not None:
            self._remember(inputs, report)
        if self.library.waiting:
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
            self._lane.run("keep folder", _keep_folder, self._folder, inputs[0], names)

    def _take_glances(self, found: list[tuple[Entry, Glance]]) -> None:
        for entry, glance in found:
            if not entry.standing:
                entry.read = glance.n_read == glance.n_slices
                entry.standing = standing(glance.n_slices, glance.n_read, glance.n_proposed)
        self.library_changed.emit()

    def refuse(self, error: BaseException) -> None:
        """Say why looking or opening failed."""
        self.working.emit(1.0, "")
        if isinstance(error, Cancelled):
            return
        if not isinstance(error, (ScarsegError, OSError)):
            raise error
        if self.library.waiting:
            self.remind(f"{error} ")
        else:
            self.notice.emit(str(error))

    def remind(self, before: str = "") -> None:
        """Say again which images case files wait for, if they do."""
        waiting = self.library.waiting.values()
        if waiting:
            self.images_wanted.emit(before + words_for_waiting(waiting))
