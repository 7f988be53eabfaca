"""The reader's initials: set, kept, and written into each case that the reader changes."""

from __future__ import annotations

from PyQt6.QtCore import QObject, QSettings, pyqtSignal

from scarseg.gui.commands.base import CommandContext

READER_KEY = "reader"


class ReaderName(QObject):
    """Keep the reader's initials, and sign each case with them at its first change.

    A case that somebody else signed bears both: "AB+CD". A blinded re-reading has its own reader.

    Signals:
        changed: a sentence with the new initials.
    """

    changed = pyqtSignal(str)

    def __init__(self, context: CommandContext, settings: QSettings, parent: QObject) -> None:
        super().__init__(parent)
        self._context, self._session, self._settings = context, context.session, settings
        self._n_interactions = 0
        self._session.opened.connect(self._follow)
        self._session.front.edited.connect(self._sign)

    @property
    def name(self) -> str:
        """Initials, empty where nobody is named."""
        return str(self._settings.value(READER_KEY, "", type=str))

    @name.setter
    def name(self, name: str) -> None:
        self._settings.setValue(READER_KEY, name)

    def set_reader(self) -> None:
        """Show the dialog for the initials."""
        name = self._context.dialogs.reader(self.name)
        if name is not None:
            self.name = name
            self.changed.emit(f"Reader {name}." if name else "No reader is named.")

    def _follow(self) -> None:
        current = self._session.current
        if current is not None:
            self._n_interactions = current.document.case.interactions

    def _sign(self) -> None:
        """Sign once this reader changed something; proposals of the models are not signed."""
        current = self._session.current
        if current is None or current.entry.blinding is not None or current.document.read_only:
            return
        case = current.document.case
        changed = case.interactions > self._n_interactions
        self._n_interactions = case.interactions
        if self.name and changed:
            names = [each for each in case.reader.split("+") if each]
            if self.name not in names:
                case.reader = "+".join((*names, self.name))
