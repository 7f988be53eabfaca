"""What every action does to the session: the verbs of the desk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QObject, QSettings, pyqtSignal

from scarseg.case import changes
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import OutputError, ScarsegError
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.session import export as session_export
from scarseg.gui.session.document import Document
from scarseg.gui.session.export import ExportFormat, export_formats
from scarseg.gui.session.interval import IntervalMaker, interval_maker
from scarseg.gui.session.session import Session
from scarseg.gui.session.study_list import Entry
from scarseg.gui.tools import drawing, prompts
from scarseg.quant import remote, scar_checks

TABLE_FILTER = "CSV (*.csv);;Workbook (*.xlsx)"


class Commands(QObject):
    """Carry out what a reader asks for.

    Signals:
        said: a sentence for the reader that does not need an answer.
    """

    said = pyqtSignal(str)

    def __init__(self, session: Session, dialogs: Dialogs, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self.dialogs = session, dialogs
        session.thickness_needed.connect(self._ask_thickness)

    @property
    def document(self) -> Document | None:
        return None if self._session.current is None else self._session.current.document

    # Opening

    def open_folder(self) -> None:
        folder = self.dialogs.folder()
        if folder is None:
            self._session.remind()
        else:
            self._session.scan([folder])

    def open_files(self) -> None:
        files = self.dialogs.files()
        if files:
            self._session.scan(files)

    def demo(self) -> None:
        self._session.demo()

    def next_study(self) -> None:
        current = self._session.current
        entry = self._session.study_list.next_unread(None if current is None else current.entry)
        if entry is None:
            self.said.emit("Every study of the list is read.")
        else:
            self._session.open(entry)

    def _ask_thickness(self, entry: Entry) -> None:
        value = self.dialogs.thickness_mm(entry.title)
        if value is not None:
            self._session.open(entry, value)

    # Slices

    def step(self, by: int) -> None:
        if self.document is not None:
            n = self.document.case.stack.n_slices
            self.document.go_to(min(max(self.document.current + by, 0), n - 1))

    def go_to(self, slice_index: int) -> None:
        if self.document is not None:
            self.document.go_to(slice_index)

    def _go_on(self) -> None:
        assert self.document is not None
        following = changes.next_unread(self.document.case, self.document.current)
        if following is None:
            self.said.emit("Every slice is read. Ctrl+E exports, Tab opens the next study.")
        else:
            self.document.go_to(following)

    def accept(self) -> None:
        document = self.document
        if document is None or document.read_only:
            return
        k = document.current
        if self._session.current is not None and k in self._session.current.inference.pending:
            self.said.emit("The model has not answered yet: accept when the mask is there.")
        elif changes.can_accept(document.case, k):
            document.push(changes.accept(document.case, k))
            self._go_on()
        else:
            self.said.emit("Nothing is proposed here yet: wait, draw, or press N for no scar.")

    def accept_seen(self) -> None:
        """Accept every proposal that was on the screen; what was not shown stays to be read."""
        document = self.document
        if document is None or document.read_only or self._session.current is None:
            return
        case, waiting = document.case, self._session.current.inference.pending
        seen = [
            k
            for k in sorted(document.viewed - waiting)
            if case.readings[k].status is SliceStatus.PROPOSED
        ]
        with document.grouped():
            for k in seen:
                document.push(changes.accept(case, k), counts=k == seen[0])
        left = case.stack.n_slices - case.n_slices_reviewed
        if left and seen:
            self._go_on()
        rest = f"{left} to look at: the arrow keys show them." if left else "Every slice is read."
        self.said.emit(f"{len(seen)} of the slices you looked at accepted. {rest}")

    def reopen(self) -> None:
        """Take back the verdict on this slice; its labels stay."""
        document = self.document
        if document is None or document.read_only:
            return
        k = document.current
        if not document.reading.status.read:
            self.said.emit("This slice is not read yet.")
            return
        emptied = document.reading.status is SliceStatus.NOT_ASSESSABLE
        document.push(changes.reopen(document.case, k))
        if emptied:
            self.said.emit("To be read again. Ctrl+R lets the models propose it anew.")

    def no_scar(self) -> None:
        if self.document is not None and not self.document.read_only:
            self.document.push(changes.mark_no_scar(self.document.case, self.document.current))
            self._go_on()

    def not_assessable(self) -> None:
        document = self.document
        if document is None or document.read_only:
            return
        k = document.current
        reason = self.dialogs.reason()
        if reason is not None:
            document.push(changes.mark_not_assessable(document.case, k, reason))
            self._go_on()

    def copy(self, by: int) -> None:
        document = self.document
        if document is None or document.read_only:
            return
        target = document.current + by
        if 0 <= target < document.case.stack.n_slices:
            ground = document.labels_under_scar[document.current].copy()
            document.push(
                changes.copy_slice(document.case, document.current, target), ground=ground
            )
            document.go_to(target)

    def carry(self, by: int) -> None:
        """Take the boxes of this slice to a neighbour, and segment there."""
        document = self.document
        if document is None or document.read_only:
            return
        source, target = document.current, document.current + by
        if not document.reading.prompts.boxes:
            self.said.emit("There is no box on this slice to carry.")
        elif 0 <= target < document.case.stack.n_slices:
            document.push(changes.copy_boxes(document.case, source, target))
            document.go_to(target)
            self._answer()

    # Prompts and drawing

    def prompted(self, outcome: prompts.Prompted) -> None:
        """Take new boxes or points and let the model answer at once."""
        document = self.document
        if document is None or document.read_only:
            return
        k, current = document.current, self._session.current
        heart = current is not None and not current.inference.awaits_scar_answer(k)
        heart &= not changes.scar_prompts_changed(document.reading.prompts, outcome.prompts)
        document.push(changes.set_prompts(document.case, k, outcome.verb, outcome.prompts))
        if heart and current is not None and outcome.verb != prompts.VENTRICLE:
            current.inference.correct_wall(k)
        else:
            self._answer(ventricle=outcome.verb == prompts.VENTRICLE)

    def _answer(self, ventricle: bool = False) -> None:
        """Let the model answer the prompts of this slice, unless that would lose a drawing."""
        current = self._session.current
        assert current is not None
        k = current.document.current
        if current.inference.is_drawn_manually(k):
            anew = "Shift+L proposes wall and pool" if ventricle else "Space segments it"
            self.said.emit(f"This slice was drawn by hand: {anew} anew.")
        elif ventricle:
            current.inference.relocate(k)
        else:
            current.inference.segment(k)

    def painted(self, outcome: drawing.Painted) -> None:
        document = self.document
        if document is not None:
            change = changes.paint(document.case, document.current, outcome.verb, outcome.labels)
            document.push(change)

    def clip(self) -> None:
        """Take away the scar outside the wall."""
        document = self.document
        if document is None or document.read_only:
            return
        labels, ground = document.labels, document.labels_under_scar[document.current]
        if not scar_checks.has_wall(ground):
            self.said.emit("There is no wall on this slice to clip scar to.")
            return
        nothing = "All scar of this slice lies within the wall."
        self._redraw("clip scar to the wall", scar_checks.clip_to_wall(labels, ground), nothing)

    def propose_mvo(self) -> None:
        """Label the dark cores within scar as MVO, where there are any."""
        document = self.document
        if document is None or document.read_only:
            return
        signal = remote.remote_signal(document.case)
        if signal is None:
            self.said.emit("There is no remote wall in this stack to tell a dark core by.")
            return
        stack = document.case.stack
        pixels, spacing = stack.pixels[document.current], stack.pixel_spacing_mm
        labels = remote.label_mvo(pixels, document.labels, signal, spacing)
        self._redraw("propose MVO", labels, "No dark core lies within the scar of this slice.")

    def _redraw(self, verb: str, labels: LabelArray, otherwise: str) -> None:
        """Take labels that an action drew; ``otherwise`` is said when they change nothing."""
        assert self.document is not None
        if np.array_equal(labels, self.document.labels):
            self.said.emit(otherwise)
        else:
            self.painted(drawing.Painted(verb, labels))

    def segment(self) -> None:
        if self._session.current is not None and self.document is not None:
            self._session.current.inference.segment(self.document.current)

    def propose_wall(self) -> None:
        if self._session.current is not None and self.document is not None:
            self._session.current.inference.propose_wall(self.document.current)

    def propose_again(self) -> None:
        if self._session.current is not None and self.document is not None:
            self._session.current.inference.propose_again(self.document.current)

    def undo(self) -> None:
        self._undo_or_redo(forward=False)

    def redo(self) -> None:
        self._undo_or_redo(forward=True)

    def _undo_or_redo(self, forward: bool) -> None:
        """Undo or redo one step, and show the slice where it happened."""
        document = self.document
        if document is None:
            return
        stack = document.undo_stack
        command = stack.command(stack.index() if forward else stack.index() - 1)
        if command is None:
            return
        document.go_to(document.slice_of(command))
        document.case.count_interaction(document.current)
        (stack.redo if forward else stack.undo)()

    def go_to_step(self, index: int) -> None:
        """Go back or forward to where ``index`` steps are done."""
        if self.document is not None:
            self.document.go_to_step(index)

    # Leaving with numbers

    def save(self) -> None:
        if self._session.current is not None:
            self._session.current.saver.save_now()

    def export(self) -> None:
        if self.document is None:
            return
        path = self.dialogs.save_as("Export CSV", "scar.csv", TABLE_FILTER)
        if path is not None:
            now = self.document.snapshot()
            export = partial(session_export.export_cases, path, [now])
            self.write(partial(export, interval_of=self.interval_maker(now)), path)

    def export_all(self) -> None:
        path = self.dialogs.save_as("Export CSV of the whole list", "scar.csv", TABLE_FILTER)
        if path is None:
            return
        now = None if self.document is None else self.document.snapshot()
        entries = [e for study in self._session.study_list.studies for e in study.entries]
        folder = self._session.folder
        export = partial(session_export.export_list, path, entries, folder, now)
        export = partial(export, interval_of=self.interval_maker(now))
        self.write(export, path, reports=True)

    def interval_maker(self, now: Case | None) -> IntervalMaker:
        """Give what makes intervals for an export; ``now`` is the copy of the open case."""
        current = self._session.current
        interval = None if current is None or now is None else current.interval
        return interval_maker(self._session.models, interval, now)

    def save_prompts(self) -> None:
        if self.document is None:
            return
        path = self.dialogs.save_as("Save prompts", "prompts.json", "Prompts (*.json)")
        if path is not None:
            case = self.document.snapshot()
            self.write(lambda force: session_export.save_prompts(path, case, force), path)

    def write(
        self,
        write: Callable[..., str],
        path: Path,
        force: bool = False,
        reports: bool = False,
        done: Callable[[str], object] | None = None,
    ) -> None:
        """Write a file on a lane of its own; over one that is there only after asking.

        One that ``reports`` its progress can be cancelled while it runs. ``done`` is given what
        ``write`` says of it, which otherwise is said to the reader.
        """
        self._session.working.emit(-1.0, f"Writing {path.name}")

        def wrote(words: str) -> None:
            self._session.working.emit(1.0, "")
            (done or self.said.emit)(words)

        def failed(error: BaseException) -> None:
            self._session.working.emit(1.0, "")
            if isinstance(error, OutputError) and error.code == "E_EXISTS" and not force:
                if self.dialogs.confirm(f"{error.message} Replace what is there?", "Replace"):
                    self.write(write, path, True, reports, done)
            elif isinstance(error, (ScarsegError, OSError)):
                again = partial(self.write, write, path, force, reports, done)
                self._session.asked.emit(f"Not written. {error}", "Try again", again, False)
            else:
                raise error

        def begin(_: object) -> None:
            self._session.export_worker.run(
                f"write {path}", write, force,
                done=wrote, failed=failed, dropped=wrote, reports=reports,
            )  # fmt: skip

        # Behind what is being saved: the list is written from its case files.
        self._session.disk_worker.run(f"write {path}", lambda: None, done=begin)


EXPORT_KEY = "export/parts"
DEFAULT_FORMATS = frozenset((ExportFormat.CSV, ExportFormat.REPORT))
"""What is ticked before a reader ticked anything."""


class ExportCommands(QObject):
    """Ask what to write, remember the ticks, write on the disk lane."""

    def __init__(
        self, session: Session, desk: Commands, settings: QSettings, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._commands, self._settings = session, desk, settings

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the action does."""
        return {"export_parts": self.export}

    def export(self) -> None:
        """Ask, and write; over files that are there only after asking again."""
        current = self._session.current
        if current is None:
            return
        entries = [e for study in self._session.study_list.studies for e in study.entries]
        dicom = not all(isinstance(entry.source, Stack) for entry in entries)
        dialogs = self._commands.dialogs
        wish = dialogs.export_request(self._usual(), len(entries), dicom)
        if wish is None or self._session.current is not current:
            return
        self._settings.setValue(EXPORT_KEY, ",".join(sorted(wish.parts)))
        chosen = entries if wish.whole_list else [current.entry]
        now = current.document.snapshot()
        export = partial(export_formats, wish, chosen, self._session.folder, now)
        write = partial(export, interval_of=self._commands.interval_maker(now))
        self._commands.write(write, wish.folder, reports=True)

    def _usual(self) -> frozenset[ExportFormat]:
        """Give what was ticked last time."""
        known = str(self._settings.value(EXPORT_KEY, "")).split(",")
        return frozenset(part for part in ExportFormat if part in known) or DEFAULT_FORMATS


READER_KEY = "reader"


class ReaderName(QObject):
    """Keep the reader's initials, and sign each case with them at its first change.

    A case that somebody else signed bears both: "AB+CD". A blinded re-reading has its own reader.
    """

    def __init__(
        self, session: Session, desk: Commands, settings: QSettings, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._commands, self._settings = session, desk, settings
        self._before = 0
        session.opened.connect(self._follow)

    @property
    def name(self) -> str:
        return str(self._settings.value(READER_KEY, "", type=str))

    @name.setter
    def name(self, name: str) -> None:
        self._settings.setValue(READER_KEY, name)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the action does."""
        return {"reader": self.ask}

    def ask(self) -> None:
        """Ask who reads."""
        name = self._commands.dialogs.reader(self.name)
        if name is not None:
            self.name = name
            self._commands.said.emit(f"Reader {name}." if name else "No reader is named.")

    def _follow(self) -> None:
        current = self._session.current
        if current is None or current.entry.blinding is not None or current.document.read_only:
            return
        document = current.document
        self._before = document.case.interactions
        document.edited.connect(lambda: self._sign(document))

    def _sign(self, document: Document) -> None:
        """Sign once this reader has done something; what the models propose is not signed."""
        current, case = self._session.current, document.case
        if current is None or current.document is not document:
            return
        done, self._before = case.interactions > self._before, case.interactions
        if self.name and done:
            names = [each for each in case.reader.split("+") if each]
            if self.name not in names:
                case.reader = "+".join((*names, self.name))
