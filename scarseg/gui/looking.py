"""What helps the eye: histogram, magnifier and the hand that the keyboard moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QEvent, QObject, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QApplication, QVBoxLayout, QWidget

from scarseg.gui import theme
from scarseg.gui.histogram import Histogram
from scarseg.gui.keyboard_hand import KeyboardHand
from scarseg.gui.magnifier import Magnifier
from scarseg.gui.session import Session
from scarseg.gui.studies import StudiesPanel
from scarseg.gui.viewrow import ViewRow
from scarseg.gui.views import Views

NARROW = 212
"""Width of the list of studies in a small window."""


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
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._fit_letters)
        self.magnifier = Magnifier(window)
        self.keyboard = KeyboardHand(session, lambda: views.active, window)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions do."""
        return dict.fromkeys(("histogram", "magnifier", "keyboard"), lambda: None)

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the actions that switch things on and off."""
        self.histogram.take(actions["histogram"], self._window)
        self.keyboard.take(actions)
        self._window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and watched is self._window:
            self._soon.start()
        return False

    def _fit_letters(self) -> None:
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.fit(application, self._window.size())
            studies = self._window.findChild(StudiesPanel)
            if studies is not None:
                studies.setFixedWidth(theme.px(NARROW))
