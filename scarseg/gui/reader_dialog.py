"""Ask for a reader's initials."""

from __future__ import annotations

from PyQt6.QtCore import QRegularExpression
from PyQt6.QtGui import QRegularExpressionValidator
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from scarseg.gui.panels import label

INITIALS = "[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})?"
"""As :func:`scarseg.io.rereading.is_reader` has it."""


class InitialsLine(QLineEdit):
    """A line that takes initials, or a reader's code, and nothing that could be a full name."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setValidator(QRegularExpressionValidator(QRegularExpression(INITIALS), self))
        self.setPlaceholderText("such as AB or R2")
        self.setAccessibleName("Reader's initials")
        self.setToolTip("Letters and digits, up to eight, and a hyphen; they go into every export")


class ReaderDialog(QDialog):
    """Ask who reads; nothing in the line means nobody is named."""

    def __init__(self, parent: QWidget, current: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Reader")
        self.line = InitialsLine(current)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.line.textChanged.connect(self._check)
        layout = QVBoxLayout(self)
        layout.addWidget(label("Initials or code of who reads here"))
        layout.addWidget(self.line)
        words = label("Kept on this computer; written into each case you change.", "quiet")
        layout.addWidget(words)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(330)

    def _check(self) -> None:
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        assert ok is not None
        ok.setEnabled(not self.line.text() or self.line.hasAcceptableInput())


def ask_reader(parent: QWidget, current: str) -> str | None:
    """Ask who reads; None where the reader thinks better of it."""
    dialog = ReaderDialog(parent, current)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.line.text() if given else None
