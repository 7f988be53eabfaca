"""What the banner over the window shows: notices, questions, and readings that are not saved."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

from scarseg.gui.commands import Commands
from scarseg.gui.panels.status_bar import Banner
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.session import Session


class Notices(QObject):
    """Show the session's notices and questions in the banner, and failed saves until saved.

    ``close_anyway``: the reader was told that the reading is not saved; closing the window again
    leaves without it.
    """

    def __init__(
        self, session: Session, commands: Commands, banner: Banner, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._commands, self._banner = session, commands, banner
        self.close_anyway = False
        session.notice.connect(banner.show_notice)
        session.asked.connect(self._ask)
        session.front.save_state_changed.connect(self._show_save)
        session.front.failed.connect(banner.show_notice)
        session.images_needed.connect(self._ask_for_images)

    def refuse_to_close(self) -> None:
        """Show that the reading is not saved, before the window closes."""
        self.close_anyway = True
        self._banner.show_notice(
            "Your reading is not saved. Close again to leave without it.", True
        )

    def _ask(self, text: str, verb: str, act: Callable[[], object] | None, lasts: bool) -> None:
        self._banner.show_notice(text, retry=act, verb=verb, lasts=lasts)

    def _ask_for_images(self, text: str) -> None:
        self._ask(text, "Show the folder …", self._commands.studies.open_folder, False)

    def _show_save(self) -> None:
        current = self._session.current
        if current is None:
            return
        if current.saver.state is SaveState.FAILED:
            problem = f"Not saved. {current.saver.problem}"
            self._banner.show_notice(problem, severe=True, retry=current.saver.save_now)
        elif self._banner.lasting and current.saver.state is SaveState.SAVED:
            self.close_anyway = False
            self._banner.clear()
