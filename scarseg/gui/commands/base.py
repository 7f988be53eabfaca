"""What every group of commands shares: the session, the dialogs and the message to the reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scarseg.gui.dialogs import Dialogs
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session


@dataclass(eq=False)
class CommandContext:
    """What the groups share.

    Args:
        session: what is open.
        dialogs: the questions to the reader.
        show_message: shows a sentence that needs no answer, in the status bar.
    """

    session: Session
    dialogs: Dialogs
    show_message: Callable[[str], None]


class CommandGroup:
    """A group of commands on one session."""

    def __init__(self, context: CommandContext) -> None:
        self._context, self._session = context, context.session
        self._show_message = context.show_message

    @property
    def _dialogs(self) -> Dialogs:
        return self._context.dialogs

    def _titled(self, text: str) -> str:
        """Return the title of a dialog that writes the open reading: what it does, and of whom."""
        subject = self._session.open_title
        return f"{text} · {subject}" if subject else text

    @property
    def document(self) -> Document | None:
        """The open document."""
        return None if self._session.current is None else self._session.current.document

    @property
    def editable(self) -> Document | None:
        """The open document, unless it is open for reading only."""
        document = self.document
        return None if document is None or document.read_only else document
