"""Blinded re-reading: studies under codes in random order, and a page of agreement at the end."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, QUrl
from PyQt6.QtGui import QDesktopServices

from scarseg.errors import ScarsegError
from scarseg.gui.actions import ACTIONS, Actions
from scarseg.gui.commands import Commands
from scarseg.gui.dialogs.rereading import RereadingOptions
from scarseg.gui.panels.agreement_plot import AgreementDialog, AgreementPlot
from scarseg.gui.panels.rereading_bar import REREADING_ACTIONS, RereadingBar
from scarseg.gui.panels.status_bar import Banner
from scarseg.gui.session import rereading as session_rereading
from scarseg.gui.session.session import Session
from scarseg.gui.session.studies.study import BlindedEntry, Entry, Study, reading_summary
from scarseg.gui.session.studies.study_list import StudyList, most_likely

if TYPE_CHECKING:
    from scarseg.io.casefile.rereading import FirstReading, Rereading

ALLOWED_WHILE_BLINDED = frozenset((*REREADING_ACTIONS, "next_study", "find_study", "save", "quit"))
"""Actions of the File menu for a blinded reader: none that shows or writes an identity."""
RESUME_TEXT = "Go on reading again …"


class RereadingController(QObject):
    """Controller: start, continue, leave and finish a blinded re-reading.

    States: none (``now`` is None), and blinded: the study list shows codes in random order, and
    the File menu is reduced to ``ALLOWED_WHILE_BLINDED``. Files are read on the disk worker.
    """

    def __init__(
        self,
        session: Session,
        commands: Commands,
        banner: Banner,
        actions: Actions,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session, self._commands, self._actions = session, commands, actions
        self._reader, self._banner = commands.reader, banner
        self.strip = RereadingBar()
        self.strip.bind(actions)
        self.strip.images.clicked.connect(commands.studies.open_folder)
        self.now: Rereading | None = None
        self._left: Entry | None = None
        self._tell_then: Callable[[], None] | None = None
        self._read: dict[str, tuple[int, int]] = {}
        actions.connect(
            {
                "reread": self.ask,
                "reread_resume": self.go_on,
                "reread_finish": self.finish,
                "reread_leave": self.leave,
            }
        )
        session.opened.connect(self.update_actions)
        session.opened.connect(self._tell_opened)
        session.study_list_changed.connect(self._refresh)
        session.models_ready.connect(self._look)
        for scanned in (session.scanner.study_list_changed, session.scanner.notice):
            scanned.connect(self._say_missing)
        self.update_actions()

    def _run(
        self, name: str, work: Callable[..., object], *args: Any, done: Callable[[Any], None]
    ) -> None:
        self._session.disk_worker.run(f"reread {name}", work, *args, done=done, failed=self._failed)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, (ScarsegError, OSError)):
            raise error
        self._session.notice.emit(str(error))

    # Starting

    def ask(self) -> None:
        """Show the dialog that plans a re-reading, once the finished readings are known."""
        if self.now is not None:
            return
        self._save()
        library = self._session.study_list
        listed = [(s, e) for s in library.studies for e in s.entries if e.read and not e.code]
        sources = [entry.source for _, entry in listed]
        take = partial(self._offer, listed)
        self._run(
            "look",
            session_rereading.find_first_readings,
            self._session.folder,
            sources,
            done=take,
        )

    def _save(self) -> None:
        if self._session.current is not None:
            self._session.current.saver.save_now()

    def _offer(
        self,
        listed: Sequence[tuple[Study, Entry]],
        found: tuple[Sequence[FirstReading | None], Sequence[Rereading]],
    ) -> None:
        """Show the dialog and start what it plans."""
        firsts, earlier = found
        read = [(*one, first) for one, first in zip(listed, firsts, strict=True) if first]
        if not read:
            self._commands.said.emit("Nothing of the list is read to its end yet.")
            return

        def number(reader: str, chosen: Sequence[int]) -> int:
            from scarseg.io.casefile import rereading

            return rereading.next_read_number(reader, [read[k][2] for k in chosen], earlier)

        words = tuple(f"{study.title}   {entry.title}" for study, entry, _ in read)
        plan = self._commands.dialogs.rereading(RereadingOptions(words, self._reader.name, number))
        if plan is None:
            return
        if not self._reader.name:
            self._reader.name = plan.reader
        chosen = [read[k][2] for k in plan.chosen]
        self._run(
            "start", session_rereading.start, self._session.folder, chosen,
            plan.reader, plan.read_number, plan.proposals, done=self._begin,
        )  # fmt: skip

    # Going on

    def go_on(self) -> None:
        """Continue an unfinished re-reading."""
        if self.now is None:
            self._save()
            self._run(
                "find",
                session_rereading.find_unfinished,
                self._session.folder,
                done=self._choose,
            )

    def _look(self) -> None:
        """Show the unfinished re-reading in the menu."""
        if self.now is None:
            self._run(
                "find",
                session_rereading.find_unfinished,
                self._session.folder,
                done=self._name,
            )

    def _name(self, found: session_rereading.RereadingProgress) -> None:
        waiting = found.rereadings
        more = f": {_words(found, waiting[0])}" if waiting else " …"
        self._actions["reread_resume"].setText(RESUME_TEXT.removesuffix(" …") + more)

    def _choose(self, found: session_rereading.RereadingProgress) -> None:
        self._name(found)
        waiting = found.rereadings
        if not waiting:
            self._commands.said.emit("No re-reading waits. File > Read again, blinded starts one.")
            return
        which: int | None = 0
        if len(waiting) > 1:
            which = self._commands.dialogs.which(
                [f"{_words(found, w)} ({w.code})" for w in waiting]
            )
        if which is not None:
            self._begin(session_rereading.RereadingProgress((waiting[which],), found.read))

    def _begin(self, found: session_rereading.RereadingProgress) -> None:
        """Replace the study list by the list of codes."""
        current = self._session.current
        if current is not None and current.saver.problem:
            self._session.notice.emit("Your reading is not saved: save it before you read again.")
            return
        self.now = found.rereadings[0]
        self._read = dict(found.read[self.now.code])
        self._left = None if current is None else current.entry
        self._banner.clear()
        self._commands.said.emit(f"Under codes, in random order: {self.now.name}.")
        self._session.show_list(self._library())
        self._refresh()
        self._open_next()

    def _library(self) -> StudyList:
        """Return the stacks whose images are found, under codes; known entries are kept."""
        assert self.now is not None
        old = {study.study_uid: study for study in self._session.study_list.studies}
        made = StudyList()
        for covered in self.now.cases:
            study = old.get(covered.code) if self._session.blinded else None
            if study is None:
                try:
                    full = self._session.scanner.study_list.find(covered.first.stack_id)
                except LookupError:
                    continue
                entry = Entry(full.source, blinding=_cover(self.now, covered.code))
                self._tell(entry, *self._read[covered.code])
                study = Study(covered.code, covered.code, "", [entry])
            made.studies.append(study)
        return made

    @staticmethod
    def _tell(entry: Entry, n_read: int, n: int) -> None:
        entry.read = 0 < n == n_read
        entry.reading_summary = reading_summary(n, n_read, 0) if n_read else ""

    def _open_next(self) -> None:
        library = self._session.study_list
        entry = library.next_unread(None) or most_likely(
            [e for s in library.studies for e in s.entries]
        )
        if entry is not None:
            self._session.open(entry)

    def _refresh(self) -> None:
        """Update the progress, and add images that were found."""
        if self.now is None:
            return
        library = self._session.study_list
        missing = len(self.now.cases) - len(library.studies)
        if missing:
            fuller = self._library()
            found = len(fuller.studies) - len(library.studies)
            library.studies[:] = fuller.studies
            if found:
                self._session.study_list_changed.emit()
                if self._session.current is None:
                    self._open_next()
                return
        here = {study.study_uid: study.entries[0].read for study in library.studies}
        done = sum(here.get(code, 0 < of == n) for code, (n, of) in self._read.items())
        self.strip.show_state(self.now.name, done, len(self.now.cases), missing)

    def _say_missing(self) -> None:
        """Report that a folder lacks the wanted images, without naming what it holds."""
        if self.now is not None and not self._session.study_list.studies:
            self._commands.said.emit("None of the images that are wanted were found there.")

    # Ending

    def leave(self) -> None:
        """Leave the re-reading unfinished; it can be continued."""
        if self.now is None:
            return
        self._uncover()
        self._commands.said.emit("The re-reading waits: File > Go on reading again.")
        self._look()

    def _uncover(self) -> None:
        self.now = None
        self.strip.hide()
        self._banner.clear()
        self._session.show_list(self._session.scanner.study_list)
        if self._left is not None:
            self._session.open(self._left)

    def finish(self) -> None:
        """Write the page of agreement; without the unread cases if the reader confirms."""
        if self.now is None:
            return
        self._save()
        library = self._session.study_list
        sources = {s.study_uid: e.source for s in library.studies for e in s.entries}
        n, total = sum(e.read for s in library.studies for e in s.entries), len(self.now.cases)
        if not n:
            self._commands.said.emit("No case is read again to its end yet.")
            return
        asked = f"{total - n} of {total} cases are not read again yet. Finish without them?"
        if n < total and not self._commands.dialogs.confirm(asked, "Finish"):
            return
        kind = "Page, with its numbers and tables beside it (*.html)"
        path = self._commands.dialogs.save_as("Agreement of the readings", "agreement.html", kind)
        if path is None:
            return
        path = path if path.suffix else path.with_suffix(".html")
        write = partial(session_rereading.write_page, path, self.now, sources, self._session.folder)
        done = partial(self._finished, path)
        self._commands.export.write(write, path, reports=True, done=done)

    def _finished(self, path: Path, said: str) -> None:
        show = partial(QDesktopServices.openUrl, QUrl.fromLocalFile(str(path)))
        tell = partial(self._session.asked.emit, said, "Show the page", show, False)
        self._show_plot(path, said)
        # What is opened clears the banner: the sentence comes after it.
        self._tell_then = None if self._left is None else tell
        self._uncover()
        if self._left is None:
            tell()
        self._look()

    def _show_plot(self, page: Path, summary: str) -> None:
        """Show the masses of the first comparison of a page, from the table beside it."""
        stem = page.stem if page.suffix.lower() in (".html", ".htm", ".pdf") else page.name
        with page.with_name(f"{stem}_pairs.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        shown = [row for row in rows if row["against"] == rows[0]["against"]]
        a, b = ([float(row[f"scar_mass_{one}_g"]) for row in shown] for one in "ab")
        plot = AgreementPlot(a, b, [row["code"] for row in shown])
        window = self.strip.window()
        assert window is not None
        self.agreement = AgreementDialog(window, summary, plot)
        self.agreement.show()

    def _tell_opened(self) -> None:
        if self._session.current is not None and self._tell_then is not None:
            tell, self._tell_then = self._tell_then, None
            tell()

    def update_actions(self) -> None:
        """Disable, while blinded, the actions that show or write an identity."""
        blinded = self.now is not None
        for row in ACTIONS:
            action = self._actions[row.name]
            if row.name in REREADING_ACTIONS:
                action.setEnabled(blinded)
            elif row.menu == "File" and row.name not in ALLOWED_WHILE_BLINDED and blinded:
                action.setEnabled(False)
            elif row.menu == "File" and not row.needs_case and row.name != "open_last":
                action.setEnabled(True)
        last = self._session.scanner.last_folder is not None
        self._actions["open_last"].setEnabled(last and not blinded)


def _cover(now: Rereading, code: str) -> BlindedEntry:
    first = next(each.first for each in now.cases if each.code == code)
    return BlindedEntry(
        code, now.case_path(code), now.reader, now.read_number, now.proposals, first.thickness_mm
    )


def _words(found: session_rereading.RereadingProgress, one: Rereading) -> str:
    return f"{one.name}, {found.n_done(one)} of {len(one.cases)} done"
