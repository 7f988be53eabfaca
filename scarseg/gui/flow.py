"""Giving up what is under way: one answer with Esc, everything with the button in the foot."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

from scarseg.gui.chrome import Foot
from scarseg.gui.session import Session
from scarseg.gui.views import Views


class Flow(QObject):
    """Stop jobs when a reader says so; prompts always stay.

    Signals:
        said: a sentence for the reader that does not need an answer.
    """

    said = pyqtSignal(str)

    def __init__(self, session: Session, views: Views, foot: Foot, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._views = session, views
        self.said.connect(foot.say)
        foot.cancelled.connect(self.cancel)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what Esc does."""
        return {"let_go": self.let_go}

    def let_go(self) -> None:
        """Give up the gesture in hand; with an empty hand, the answer this slice waits for."""
        held = self._views.active.busy
        self._views.let_go()
        current = self._session.current
        if held or current is None:
            return
        if current.inference.give_up(current.document.current):
            self.said.emit("Not waiting for the answer any more; Space asks again.")

    def cancel(self) -> None:
        """Stop looking, opening, writing, proposing and answering."""
        current = self._session.current
        pending = current is not None and bool(current.inference.pending)
        self._session.cancel()
        self.said.emit("Cancelled. Space asks again." if pending else "Cancelled.")
