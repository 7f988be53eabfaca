"""Dialogs for why a slice is not assessable, and for the reader's initials."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import QRegularExpression, Qt
from PyQt6.QtGui import QKeyEvent, QRegularExpressionValidator
from PyQt6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QPushButton, QVBoxLayout, QWidget

from scarseg.gui.theme import label

REASONS = (
    "Breathing or motion artefact",
    "Myocardium not nulled",
    "Scar and blood not told apart",
    "Outside the ventricle (base or apex)",
    "Other artefact (metal, wrap, gating)",
)


class ReasonDialog(QDialog):
    """Five reasons with the keys 1 to 5, and a line for another.

    ``reason`` is the chosen one, empty until then.
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
        """Accept the reason of a number key, unless another reason is being typed."""
        number = "" if event is None else event.text()
        if number.isdecimal() and 1 <= int(number) <= len(REASONS):
            self._give(REASONS[int(number) - 1])
        else:
            super().keyPressEvent(event)

    def _give(self, reason: str, _checked: bool = False) -> None:
        if reason.strip():
            self.reason = reason.strip()
            self.accept()


def get_reason(parent: QWidget) -> str | None:
    """Show the dialog; return the reason, or None where it was dismissed."""
    dialog = ReasonDialog(parent)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.reason if given else None


INITIALS = "[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})?"
"""As :func:`scarseg.io.casefile.rereading.is_reader_code` has it."""


class InitialsLine(QLineEdit):
    """A line that takes initials, or a reader's code, and nothing that could be a full name."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setValidator(QRegularExpressionValidator(QRegularExpression(INITIALS), self))
        self.setPlaceholderText("such as AB or R2")
        self.setAccessibleName("Reader's initials")
        self.setToolTip("Letters and digits, up to eight, and a hyphen; they go into every export")


class ReaderDialog(QDialog):
    """Dialog for the reader's initials; an empty line names nobody."""

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


def get_reader(parent: QWidget, current: str) -> str | None:
    """Show the dialog; return the initials, or None where it was dismissed."""
    dialog = ReaderDialog(parent, current)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return dialog.line.text() if given else None
