"""Everything that a reading leaves, asked for once: tables, report, masks into a folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject, QSettings

from scarseg.gui.desk import Desk
from scarseg.gui.parts import Part, export_parts
from scarseg.gui.session import Session
from scarseg.stack import Stack

KEY = "export/parts"
USUAL = frozenset((Part.CSV, Part.REPORT))
"""What is ticked before a reader ticked anything."""


class Leaving(QObject):
    """Ask what to write, remember the ticks, write on the disk lane."""

    def __init__(self, session: Session, desk: Desk, settings: QSettings, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._desk, self._settings = session, desk, settings

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the action does."""
        return {"export_parts": self.export}

    def export(self) -> None:
        """Ask, and write; over files that are there only after asking again."""
        current = self._session.current
        if current is None:
            return
        entries = [e for study in self._session.library.studies for e in study.entries]
        dicom = not all(isinstance(entry.source, Stack) for entry in entries)
        dialogs = self._desk.dialogs
        wish = dialogs.export_wish(self._usual(), len(entries), dicom)
        if wish is None or self._session.current is not current:
            return
        self._settings.setValue(KEY, ",".join(sorted(wish.parts)))
        chosen = entries if wish.whole_list else [current.entry]
        now = current.document.snapshot()
        export = partial(export_parts, wish, chosen, self._session.folder, now)
        write = partial(export, interval_of=self._desk.interval_maker(now))
        self._desk.write(write, wish.folder, reports=True)

    def _usual(self) -> frozenset[Part]:
        """Give what was ticked last time."""
        known = str(self._settings.value(KEY, "")).split(",")
        return frozenset(part for part in Part if part in known) or USUAL
