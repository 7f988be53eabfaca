"""Compare the open study with an earlier one of the same patient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtWidgets import QWidget

from scarseg.case.case import Case
from scarseg.case.measurements import MassConvention, MassInterval
from scarseg.case.patient import contradiction_note
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.actions import Actions
from scarseg.gui.commands import Commands
from scarseg.gui.follow_up import jobs
from scarseg.gui.follow_up.dialog import ComparisonDialog
from scarseg.gui.follow_up.jobs import OtherStudy
from scarseg.gui.panels.status_bar import Banner
from scarseg.gui.session.open_case import OpenCase
from scarseg.gui.session.session import Session
from scarseg.gui.session.studies.study import Entry
from scarseg.gui.session.studies.study_list import state_text
from scarseg.gui.workers import Worker
from scarseg.quant.mass import headline_convention

if TYPE_CHECKING:
    from scarseg.agreement.follow_study import StudyComparison
    from scarseg.io.casefile.library import CaseFile

DEBOUNCE_MS = 300
"""Pause after a change of the open study before the comparison is computed again."""
BLINDED = "A blinded re-reading shows no other study."


class FollowUpController(QObject):
    """Choose the other study, read it and its interval on a worker, and keep the dialog current.

    States: nothing compared; reading the other study, with the dialog open; compared, without the
    interval of the other study and then with it. The open study's interval is the session's own,
    and each of its changes, and of its labels, compares anew. Another study in front, or a blinded
    re-reading, closes the dialog.
    """

    def __init__(
        self,
        session: Session,
        commands: Commands,
        actions: Actions,
        banner: Banner,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._commands = session, commands
        self._banner, self._window = banner, window
        self.worker = Worker("follow-up", self)
        self.worker.progressed.connect(self._show_progress)
        self.dialog: ComparisonDialog | None = None
        self._current: OpenCase | None = None
        self._other: Case | None = None
        self._other_is_earlier = True
        self._other_interval: MassInterval | None = None
        self._comparison: StudyComparison | None = None
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(DEBOUNCE_MS)
        self._debounce.timeout.connect(self._compare)
        for changed in (session.front.slice_changed, session.front.insertion_changed):
            changed.connect(self._changed)
        session.front.interval_changed.connect(self._changed)
        session.opened.connect(self._follow)
        actions.connect({"follow_up": self.choose})

    def close(self) -> None:
        """Stop what runs."""
        self.worker.forget("")
        self.worker.close()

    # Which study

    def choose(self) -> None:
        """Show the patient's other studies, and compare with the chosen one."""
        current = self._session.current
        if current is None:
            return
        if self._session.blinded:
            self._commands.said.emit(BLINDED)
            return
        others = self._others(current)
        texts = [self._text_of(entry) for entry in others]
        chosen = self._commands.dialogs.earlier_study(self._session.open_title, texts)
        if chosen is None or self._session.current is not current:
            return
        if chosen.place is None:
            self._choose_file(current)
        elif 0 <= chosen.place < len(others):
            self._begin(current, self._other_study(others[chosen.place]))

    def _others(self, current: OpenCase) -> list[Entry]:
        """Return the series by which the patient's other studies are read, the latest first."""
        study_list = self._session.study_list
        own = study_list.study_of(current.entry)
        patient = own.patient_id.strip()
        studies = [
            study
            for study in study_list.studies
            if study is not own and patient and study.patient_id.strip() == patient
        ]
        studies.sort(key=lambda study: study.study_date, reverse=True)
        entries = (study_list.entry_of(study) for study in studies)
        return [entry for entry in entries if entry is not None and not entry.code]

    def _text_of(self, entry: Entry) -> str:
        study = self._session.study_list.study_of(entry)
        return " · ".join((study.date or "no date", entry.title, state_text(entry)))

    def _other_study(self, entry: Entry, case_file: Path | None = None) -> OtherStudy:
        """Return a study of the list; where it is still being saved, as it stands here."""
        for closing in self._session.closing.cases:
            if closing.entry is entry and case_file is None:
                return OtherStudy(entry.source, case=closing.document.case.copy())
        return OtherStudy(entry.source, case_file or entry.imported_case)

    def _choose_file(self, current: OpenCase) -> None:
        path = self._commands.dialogs.case_file()
        if path is None:
            return
        from scarseg.io.casefile import library

        try:
            file = library.read_case_file(path)
        except ScarsegError as error:
            self._refuse(error)
            return
        if file.stack_id == current.document.case.stack.stack_id:
            self._commands.said.emit(f"{path.name} is a reading of the study that is open.")
            return
        try:
            entry = self._session.scanner.study_list.find(file.stack_id)
        except LookupError:
            self._find_images(current, file)
        else:
            self._begin(current, self._other_study(entry, path))

    def _find_images(self, current: OpenCase, file: CaseFile) -> None:
        """Find the images of a case file in a folder that the reader names."""
        folder = self._commands.dialogs.folder(f"Folder with the images of {file.path.name}")
        if folder is None:
            return
        self._session.working.emit(-1.0, "Looking for the images")
        self.worker.run(
            "images", jobs.find_images, file, folder,
            done=lambda found: self._begin(current, OtherStudy(found, file.path)),
            failed=self._refuse, current=lambda: self._session.current is current, reports=True,
        )  # fmt: skip

    # Reading and comparing

    def _begin(self, current: OpenCase, other: OtherStudy) -> None:
        """Open the dialog and read the other study; other patients only after a warning."""
        self._session.working.emit(1.0, "")
        stack = current.document.case.stack
        own, theirs = stack.patient_id.strip(), other.source.patient_id.strip()
        differences = stack.patient.differences(other.source.patient)
        warning = ""
        if not own or own != theirs or differences:
            warning = _warning(own, theirs, differences)
            question = f"{warning} Compare them all the same?"
            if not self._commands.dialogs.confirm(question, "Compare"):
                return
        self.end()
        self._current = current
        self._other_is_earlier = jobs.is_earlier(other.source.study_date, stack.study_date)
        self.dialog = ComparisonDialog(self._window, self._session.open_title, warning)
        self.dialog.finished.connect(self._ended)
        self.dialog.cancelled.connect(self._cancel)
        self.dialog.page_wanted.connect(self._write_page)
        self.dialog.set_busy(True, "Reading the other study")
        self.dialog.show_progress(-1.0, "Reading the other study")
        self.dialog.show()
        self.worker.run(
            "study", jobs.read_study, other, self._session.folder, self._session.models,
            done=self._take_study, failed=self._failed, reports=True,
        )  # fmt: skip

    def _take_study(self, case: Case) -> None:
        self._other = case
        self._compare()
        assert self.dialog is not None
        self.dialog.set_busy(True, "Interval of the other study")
        self.worker.run(
            "interval", jobs.find_interval, case, self._session.models,
            done=self._take_interval, failed=self._failed, reports=True,
        )  # fmt: skip

    def _take_interval(self, interval: MassInterval | None) -> None:
        self._other_interval = interval
        if self.dialog is not None:
            without = "" if interval else "The other study has no interval: the models are needed."
            self.dialog.set_busy(False, without)
        self._compare()

    def _changed(self, *_what: object) -> None:
        if self.dialog is not None and self._other is not None:
            self._debounce.start()

    def _compare(self) -> None:
        """Compare the open study as it stands with the other one."""
        if self._current is None or self._other is None:
            return
        now = self._current.document.case.copy()
        convention = headline_convention(now.stack, MassConvention.THICKNESS)
        own = (self._current.interval.found or {}).get(convention)
        cases, intervals = (self._other, now), (self._other_interval, own)
        if not self._other_is_earlier:
            cases, intervals = cases[::-1], intervals[::-1]
        self.worker.run(
            "compare", jobs.compare, cases, intervals,
            done=self._show, failed=self._failed, urgent=True,
        )  # fmt: skip

    def _show(self, comparison: StudyComparison) -> None:
        self._comparison = comparison
        if self.dialog is not None:
            self.dialog.show_comparison(comparison)
            self.dialog.page.setEnabled(True)

    def _write_page(self) -> None:
        """Write the comparison as it is shown, and open it."""
        comparison = self._comparison
        if comparison is None:
            return
        from scarseg.agreement.follow_page import page_name

        name = page_name(comparison.later.case.stack.stack_id)
        title = f"Page of the follow-up · {self._session.open_title}"
        path = self._commands.dialogs.save_as(title, name, "PDF (*.pdf)")
        if path is not None:
            export = self._commands.export
            write = partial(jobs.write_page, path, comparison, export.identify)
            export.write(write, path, done=partial(export.show_page, path))

    # Progress and the end

    def _show_progress(self, name: str, fraction: float, what: str) -> None:
        if self.dialog is not None and name in ("study", "interval"):
            self.dialog.show_progress(fraction, what)

    def _cancel(self) -> None:
        """Compute no interval; where nothing is compared yet, close."""
        self.worker.forget("")
        if self._comparison is None:
            self.end()
        elif self.dialog is not None:
            self.dialog.set_busy(False, "Cancelled: the other study has no interval.")

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            return
        if self._comparison is None:
            self.end()
        elif self.dialog is not None:
            self.dialog.set_busy(False)
        self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        self._session.working.emit(1.0, "")
        if not isinstance(error, (ScarsegError, OSError)):
            raise error
        self._banner.show_notice(f"Not compared. {error}")

    def _follow(self) -> None:
        """Close the dialog where another study is in front, or studies are blinded."""
        if self._session.current is not self._current or self._session.blinded:
            self.end()

    def end(self) -> None:
        """Close the dialog and forget the comparison."""
        if self.dialog is not None:
            self.dialog.close()

    def _ended(self) -> None:
        self.worker.forget("")
        self._debounce.stop()
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = self._current = self._other = None
        self._other_interval = self._comparison = None


def _warning(own: str, theirs: str, differences: Sequence[str]) -> str:
    if own and own == theirs:
        return contradiction_note(differences)
    if own and theirs:
        return (
            f"The patient IDs differ: {own} is open, the other study is of {theirs}. They may be"
            " different patients."
        )
    return "A study has no patient ID: that both are of one patient cannot be checked."
