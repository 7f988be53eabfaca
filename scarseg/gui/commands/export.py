"""Commands that write files: tables, masks, reports and prompts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QSettings

from scarseg.case.case import Case
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.errors import OutputError, ScarsegError
from scarseg.gui.commands.base import CommandContext, CommandGroup
from scarseg.gui.session import export as session_export
from scarseg.gui.session.export import ExportFormat
from scarseg.gui.session.interval import IntervalMaker, IntervalOf
from scarseg.models import Embedding
from scarseg.progress import Progress

TABLE_FILTER = "CSV (*.csv);;Workbook (*.xlsx)"
EXPORT_KEY = "export/parts"
FOLDER_KEY, IDENTIFY_KEY = "export/folder", "export/identify"
DEFAULT_FORMATS = frozenset((ExportFormat.CSV, ExportFormat.REPORT))
"""Formats ticked before a reader chose any."""


class ExportCommands(CommandGroup):
    """Choose what to write, and write it on the export worker."""

    def __init__(self, context: CommandContext, settings: QSettings) -> None:
        super().__init__(context)
        self._settings = settings
        self._intervals = IntervalMaker()

    def recover(self) -> None:
        """Finish or undo what an interrupted export left half done in the folder of last time."""
        folder = str(self._settings.value(FOLDER_KEY, ""))
        if folder:
            self._session.disk_worker.run("recover", _recover, Path(folder))

    def export_csv(self) -> None:
        """Write the tables of the open case."""
        if self.document is None:
            return
        path = self._dialogs.save_as(self._titled("Export CSV"), "scar.csv", TABLE_FILTER)
        if path is not None:
            now = self.document.case.copy()
            export = partial(session_export.export_cases, path, [now])
            self.write(partial(export, interval_of=self.interval_of(now)), path)

    def export_list(self) -> None:
        """Write the tables of every reading of the list."""
        study_list = self._session.study_list
        title = f"Export CSV of the whole list · {study_list.describe_patients()}"
        path = self._dialogs.save_as(title, "scar.csv", TABLE_FILTER)
        if path is None:
            return
        now = None if self.document is None else self.document.case.copy()
        entries = study_list.entries
        folder = self._session.folder
        export = partial(session_export.export_list, path, entries, folder, now)
        export = partial(export, interval_of=self.interval_of(now))
        self.write(export, path, reports=True)

    def export_formats(self) -> None:
        """Show the export dialog and write what was chosen."""
        current = self._session.current
        if current is None:
            return
        entries = self._session.study_list.entries
        dicom = not all(isinstance(entry.source, Stack) for entry in entries)
        subjects = self._session.open_title, self._session.study_list.describe_patients()
        request = self._dialogs.export_request(subjects, self._last_formats(), len(entries), dicom)
        if request is None or self._session.current is not current:
            return
        self._settings.setValue(EXPORT_KEY, ",".join(sorted(request.formats)))
        chosen = entries if request.whole_list else [current.entry]
        now = current.document.case.copy()
        export = partial(session_export.export_formats, request, chosen, self._session.folder, now)
        write = partial(export, interval_of=self.interval_of(now))
        self.write(write, request.folder, reports=True)

    def write_page(self) -> None:
        """Write the report of the open case into the folder of the last export, and open it."""
        if self.document is None:
            return
        case = self.document.case.copy()
        name = session_export.page_name(case, self.identify)
        folder = Path(str(self._settings.value(FOLDER_KEY, "")))
        path: Path | None = folder / name
        if not self._settings.value(FOLDER_KEY) or not folder.is_dir():
            path = self._dialogs.save_as(self._titled("Page"), name, "PDF (*.pdf)")
        if path is not None:
            export = partial(session_export.write_page, path, case, self.identify)
            write = partial(export, interval_of=self.interval_of(case))
            self.write(write, path, reports=True, done=partial(self.show_page, path))

    def show_page(self, path: Path, sentence: str) -> None:
        """Open a page that was written; where no program opens it, say where it is."""
        opened = self._dialogs.open_file(path)
        self._show_message(sentence if opened else f"{sentence}. No program here opens it.")

    @property
    def identify(self) -> bool:
        """Return whether the page bears the real name and ID."""
        return bool(self._settings.value(IDENTIFY_KEY, False, type=bool))

    def set_identify(self, identify: bool) -> None:
        """Choose whether the page bears the real name and ID."""
        self._settings.setValue(IDENTIFY_KEY, identify)

    def _last_formats(self) -> frozenset[ExportFormat]:
        """Return the formats chosen last time."""
        known = str(self._settings.value(EXPORT_KEY, "")).split(",")
        return frozenset(each for each in ExportFormat if each in known) or DEFAULT_FORMATS

    def interval_of(self, now: Case | None) -> IntervalOf:
        """Return what finds intervals for an export; ``now`` is the copy of the open case."""
        current, models = self._session.current, self._session.models
        at_hand = [] if current is None else current.interval.embeddings()

        def find(case: Case, progress: Progress) -> MassInterval | None:
            none: list[Embedding | None] = [None] * case.stack.n_slices
            embeddings = at_hand if case is now else none
            return self._intervals.make(case, models, embeddings, progress)

        return find

    def picture_path(self, text: str, name: str) -> Path | None:
        """Show the dialog for a picture of the open reading; None where it is dismissed."""
        return self._dialogs.save_as(self._titled(text), name, "PNG (*.png)")

    def save_prompts(self) -> None:
        """Write boxes and points as JSON."""
        if self.document is None:
            return
        path = self._dialogs.save_as(
            self._titled("Save prompts"), "prompts.json", "Prompts (*.json)"
        )
        if path is not None:
            case = self.document.case.copy()
            self.write(lambda force: session_export.save_prompts(path, case, force), path)

    def write(
        self,
        write: Callable[..., str],
        path: Path,
        force: bool = False,
        reports: bool = False,
        done: Callable[[str], object] | None = None,
    ) -> None:
        """Write a file on the export worker; replace an existing one only after asking.

        States: queued behind the saves on the disk worker, writing on the export worker, then
        one of written, refused because the file exists (asked, and written anew with ``force``),
        or failed (the banner offers to try again).

        Args:
            write: called with ``force`` (and ``progress`` if ``reports``); returns a sentence.
            path: the file or folder.
            force: replace what is there.
            reports: whether it reports progress, and so can be cancelled while it runs.
            done: called with the sentence; without it the sentence is shown to the reader.
        """
        self._session.working.emit(-1.0, f"Writing {path.name}")
        self._settings.setValue(FOLDER_KEY, str(path if path.is_dir() else path.parent))

        def written(sentence: str) -> None:
            self._session.working.emit(1.0, "")
            (done or self._show_message)(sentence)

        def failed(error: BaseException) -> None:
            self._session.working.emit(1.0, "")
            if isinstance(error, OutputError) and error.code == "E_EXISTS" and not force:
                if self._dialogs.confirm(f"{error.message} Replace what is there?", "Replace"):
                    self.write(write, path, True, reports, done)
            elif isinstance(error, (ScarsegError, OSError)):
                again = partial(self.write, write, path, force, reports, done)
                self._session.asked.emit(f"Not written. {error}", "Try again", again, False)
            else:
                raise error

        def begin(_: object) -> None:
            self._session.export_worker.run(
                f"write {path}", write, force,
                done=written, failed=failed, dropped=written, reports=reports,
            )  # fmt: skip

        # Queued behind what is being saved: the list is written from its case files.
        self._session.disk_worker.run(f"write {path}", lambda: None, done=begin)


def _recover(folder: Path) -> None:
    from scarseg.io import commit

    with contextlib.suppress(OSError, ScarsegError):
        commit.recover(folder)
