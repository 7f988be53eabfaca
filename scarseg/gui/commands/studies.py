"""Commands that open studies."""

from __future__ import annotations

from scarseg.gui.commands.base import CommandGroup
from scarseg.gui.session.studies.study import Entry


class StudyCommands(CommandGroup):
    """Open folders, files, the demo and the next study of the list."""

    def open_folder(self) -> None:
        """Scan a folder; where none is chosen, repeat which images case files wait for."""
        folder = self._dialogs.folder()
        if folder is None:
            self._session.scanner.remind()
        else:
            self._session.scan([folder])

    def open_files(self) -> None:
        """Scan files, a DICOMDIR or a zip."""
        files = self._dialogs.files()
        if files:
            self._session.scan(files)

    def open_last(self) -> None:
        """Scan the folder of last time."""
        self._session.scanner.scan_last()

    def demo(self) -> None:
        """Open a simulated study."""
        self._session.demo()

    def next_study(self) -> None:
        """Open the next study of the list that is not read yet."""
        current = self._session.current
        entry = self._session.study_list.next_unread(None if current is None else current.entry)
        if entry is None and self._session.study_list.filter:
            self._show_message("No other study that passes the filter is to be read.")
        elif entry is None:
            self._show_message("Every study of the list is read.")
        else:
            self._session.open(entry)

    def ask_thickness(self, entry: Entry) -> None:
        """Open a series whose header gives no slice thickness, with the one the reader enters."""
        value = self._dialogs.thickness_mm(entry.title)
        if value is not None:
            self._session.open(entry, value)

    def save(self) -> None:
        """Save the open case now."""
        if self._session.current is not None:
            self._session.current.saver.save_now()
