"""Ask why a slice cannot be read: one key for the common reasons, or words of one's own."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QDialog, QLineEdit, QPushButton, QVBoxLayout, QWidget

from scarseg.gui.panels import label

REASONS = (
    "Breathing or motion artefact",
    "Myocardium not nulled",
    "Scar and blood not told apart",
    "Outside the ventricle (base or apex)",
    "Other artefact (metal, wrap, gating)",
)


class ReasonDialog(QDialog):
    """Five reasons with the keys 1 to 5, and a line for another.

    ``reason`` is the one that was given, empty until then.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Not assessable")
        self.reason = ""
        layout = QVBoxLayout(self)
        layout.setSpacing(4)
        layout.addWidget(label("Why can this slice not be read?"))
        layout.addSpacing(4)
        self.buttons: list[QPushButton] = []
        for number, reason in enumerate(REASONS, start=1):
            button = QPushButton(f"{number}   {reason}")
            button.setAccessibleName(f"{reason}, key {number}")
            button.setStyleSheet("text-align: left")
            button.setAutoDefault(False)
            button.clicked.connect(partial(self._give, reason))
            self.buttons.append(button)
            layout.addWidget(button)
        self.line = QLineEdit()
        self.line.setPlaceholderText("or another reason, and Enter")
        self.line.setAccessibleName("Another reason")
        self.line.returnPressed.connect(lambda: self._give(self.line.text()))
        layout.addSpacing(4)
        layout.addWidget(self.line)
        layout.addWidget(label("Nothing on it then counts, neither scar nor wall.", "quiet"))
        self.setMinimumWidth(330)
        self.buttons[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take a number for its reason; while one's own words are typed it is a part of them."""
        number = "" if event is None else event.text()
        if number.isdecimal() and 1 <= int(number) <= len(REASONS):
            self._give(REASONS[int(number) - 1])
        else:
            super().keyPressEvent(event)

    def _give(self, reason: str, _checked: bool = False) -> None:
        if reason.strip():
            self.reason = reason.strip()
            self.accept()


def ask_reason(parent: QWidget) -> str | None:
    """Ask why a slice cannot be read; None where the reader thinks better of it."""
    dialog = ReasonDialog(parent)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.reason if given else None
