"""Enter and Esc while something is being drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject

from scarseg.gui.actions import Actions
from scarseg.gui.commands import Commands
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.montage import Views


class GestureGuard(QObject):
    """Keep Enter from accepting a slice over a half-made gesture; discard gestures on Esc."""

    def __init__(
        self,
        session: Session,
        commands: Commands,
        views: Views,
        actions: Actions,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session, self._commands, self._views = session, commands, views
        actions.connect(
            {
                "accept": partial(self._accept, commands.slices.accept),
                "accept_seen": partial(self._accept, commands.slices.accept_seen),
                "cancel_gesture": self._cancel,
            }
        )

    def _accept(self, accept: Callable[[], None]) -> None:
        """Close an open polygon or lasso; accept only where no gesture is half made."""
        canvas = self._views.gesture_canvas
        if canvas is None and not self._views.other_gesture_open:
            accept()
        elif canvas is None or not canvas.close_outline():
            message = "Finish what you draw before you accept; Esc discards it."
            self._commands.said.emit(message)

    def _cancel(self) -> None:
        """Discard the gesture under way; where there is none, stop waiting for the answer."""
        gesture = self._views.active.busy
        self._views.cancel_gestures()
        current = self._session.current
        if gesture or current is None:
            return
        if current.inference.cancel_answer(current.document.current):
            self._commands.said.emit("Not waiting for the answer any more; Space asks again.")
