"""Banner for notices that stay, and the status bar: saved state, models, messages, stopwatch."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStatusBar,
    QToolButton,
)

from scarseg.gui import theme
from scarseg.gui.dialogs.about import NOTICE
from scarseg.gui.theme import label

MESSAGE_MS = 9000
"""How long a message of the status bar is shown."""


class Banner(QFrame):
    """A notice above the slices that stays until it is resolved or dismissed.

    States: hidden; dismissible; lasting (severe, or as long as a condition holds), which only
    :meth:`clear` removes. A dismissible notice that comes while a lasting one is shown is added to
    its text.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        self.setAccessibleName("Notice")
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.retry = QPushButton("Try again")
        self.dismiss = QToolButton()
        self.dismiss.setText("✕")
        self.dismiss.setAccessibleName("Dismiss the notice")
        self.dismiss.setToolTip("Dismiss the notice")
        self.retry.setToolTip("Try again what failed")
        self.dismiss.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 6, 8, 6)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.retry)
        layout.addWidget(self.dismiss)
        self._retry: Callable[[], object] | None = None
        self.lasting, self._lasting_text = False, ""
        self.retry.clicked.connect(self._run_retry)
        self.hide()

    def show_notice(
        self,
        text: str,
        severe: bool = False,
        retry: Callable[[], object] | None = None,
        verb: str = "Try again",
        lasts: bool = False,
    ) -> None:
        """Show a notice, with a button for ``retry``.

        A severe or lasting one cannot be dismissed by the user.
        """
        if self.lasting and not (severe or lasts):
            self.text.setText(f"{self._lasting_text}\n{text}")
            return
        self._retry, self.lasting, self._lasting_text = retry, severe or lasts, text
        self.text.setText(text)
        self.retry.setText(verb)
        self.retry.setVisible(retry is not None)
        self.dismiss.setVisible(not self.lasting)
        theme.set_style_property(self, "severe", "true" if severe else "false")
        self.show()

    def _run_retry(self) -> None:
        """Run the callback of the button; a dismissible notice is resolved by it."""
        if not self.lasting:
            self.hide()
        if self._retry is not None:
            self._retry()

    def clear(self) -> None:
        """Remove the notice: its reason is gone."""
        self.lasting = False
        self.hide()


class StatusBar(QStatusBar):
    """Status bar: saved state, progress of a job with a cancel button, messages, stopwatch.

    Signals:
        cancelled: the user cancels the running job.
    """

    cancelled = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setSizeGripEnabled(False)
        self.saved, self.models = label("", "", "Saved"), label("", "quiet", "Models")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(120)
        self.progress.setAccessibleName("Progress")
        self.cancel = QToolButton()
        self.cancel.setText("Cancel")
        self.cancel.setAccessibleName("Cancel the running job")
        self.cancel.setToolTip("Cancel the running job")
        self.cancel.clicked.connect(self.cancelled)
        self.clock = label("", "quiet", "Reading time and corrections")
        self.message = label("", "message", "Message")
        self._message_timer = QTimer(self)
        self._message_timer.setSingleShot(True)
        self._message_timer.timeout.connect(self.message.clear)
        # A long message must not widen the window; the tool tip has all of it.
        self.message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        for widget in (self.saved, self.models, self.progress, self.cancel):
            self.addWidget(widget)
        self.addWidget(self.message, 1)
        for widget in (self.clock, label("?  keys", "quiet"), label("Research use only", "quiet")):
            self.addPermanentWidget(widget)
            widget.setContentsMargins(10, 0, 6, 0)
        self.setContentsMargins(8, 0, 4, 0)
        self.setToolTip(NOTICE)
        self.show_progress(1.0, "")

    def show_progress(self, fraction: float, what: str) -> None:
        """Show the progress of a job, 0 to 1; below 0 it is unknown; an empty ``what`` ends it."""
        running = bool(what)
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.progress.setRange(0, 0 if fraction < 0 else 1000)
        self.progress.setValue(round(max(fraction, 0) * 1000))
        if running:
            self.models.setText(what)

    def show_message(self, text: str) -> None:
        """Show a message for some seconds, beside the permanent parts."""
        self.message.setText(text)
        self.message.setToolTip(text)
        self._message_timer.start(MESSAGE_MS)

    def show_saved(self, word: str, colour: str) -> None:
        self.saved.setText(f'<span style="color:{colour}">●</span> {word}' if word else "")
