"""What helps the eye: histogram, magnifier and the hand that the keyboard moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QObject
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from scarseg.gui.histogram import Histogram
from scarseg.gui.keyboard_hand import KeyboardHand
from scarseg.gui.magnifier import Magnifier
from scarseg.gui.session import Session
from scarseg.gui.viewrow import ViewRow
from scarseg.gui.views import Views


class Looking(QObject):
    """Make them, and connect them with the window.

    Args:
        views: of the open stack.
        room: where the histogram stands.
    """

    def __init__(
        self,
        session: Session,
        views: Views,
        view_row: ViewRow,
        room: QVBoxLayout,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._window = window
        self.histogram = Histogram(session, views, view_row, room)
        self.magnifier = Magnifier(window)
        self.keyboard = KeyboardHand(session, lambda: views.active, window)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions do."""
        return dict.fromkeys(("histogram", "magnifier", "keyboard"), lambda: None)

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the actions that switch things on and off."""
        self.histogram.take(actions["histogram"], self._window)
        self.keyboard.take(actions)
