"""The bar of a blinded re-reading: whose it is, how far it is, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QToolButton,
)

from scarseg.gui.theme import label
from scarseg.gui.tool_buttons import configure_button

if TYPE_CHECKING:
    pass

REREADING_ACTIONS = ("reread_finish", "reread_leave")
"""Actions that end a re-reading, or leave it."""


class RereadingBar(QFrame):
    """Bar above the window: the reading and its progress, and the buttons of a re-reading."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("banner")
        self.setAccessibleName("Blinded re-reading")
        self.words = label("", "", "How far the re-reading is")
        self.images = QPushButton("Show the folder …")
        self.images.setToolTip("Show the folder with the images that are wanted; no name is shown")
        self.buttons = {name: QToolButton() for name in ("next_study", *REREADING_ACTIONS)}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 3, 8, 3)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.images)
        for button in self.buttons.values():
            layout.addWidget(button)
        self.hide()

    def bind(self, actions: Mapping[str, QAction]) -> None:
        """Bind the buttons to their actions."""
        texts = {"next_study": "Next   Tab", "reread_finish": "Finish …", "reread_leave": "Leave"}
        for name, button in self.buttons.items():
            configure_button(actions[name], texts[name], button)

    def show_state(self, name: str, n_done: int, n: int, n_missing: int) -> None:
        """Show the progress of the re-reading."""
        said = f"<b>Blinded re-reading</b>, {name}: {n_done} of {n} done"
        if n_missing:
            said += f" · the images of {n_missing} are wanted"
        elif n_done == n:
            said += " · Finish tells how the readings agree"
        self.words.setText(said)
        self.images.setVisible(bool(n_missing))
        self.show()
