"""Who reads: initials, asked for once, kept, and written into what this reader changes."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QSettings

from scarseg.gui.desk import Desk
from scarseg.gui.document import Document
from scarseg.gui.session import Session

KEY = "reader"


class ReaderName(QObject):
    """Keep the reader's initials, and sign each case with them at its first change.

    A case that somebody else signed bears both: "AB+CD". A blinded re-reading has its own reader.
    """

    def __init__(self, session: Session, desk: Desk, settings: QSettings, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._desk, self._settings = session, desk, settings
        self._before = 0
        session.opened.connect(self._follow)

    @property
    def name(self) -> str:
        return str(self._settings.value(KEY, "", type=str))

    @name.setter
    def name(self, name: str) -> None:
        self._settings.setValue(KEY, name)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the action does."""
        return {"reader": self.ask}

    def ask(self) -> None:
        """Ask who reads."""
        name = self._desk.dialogs.reader(self.name)
        if name is not None:
            self.name = name
            self._desk.said.emit(f"Reader {name}." if name else "No reader is named.")

    def _follow(self) -> None:
        current = self._session.current
        if current is None or current.entry.cover is not None or current.document.read_only:
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
