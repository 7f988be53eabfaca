"""Choose the segmenter: the program's own weights, or a checkpoint of the reader's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui.theme import label

ABOUT = (
    "A checkpoint of segment-anything (SAM ViT-B, L or H) or MedSAM (.pth), or weights that scarseg"
    " train segmenter made. SAM and MedSAM mark scar alone, and only in boxes: wall, blood pool and"
    " the proposed boxes come from the program's own weights, and scar stays in box and wall."
)
COST = "A slice takes 15 to 45 s on a processor (ViT-B), once, in the background; it is kept."
SIZE = "This file: {size} MB."


@dataclass(frozen=True)
class WeightsChoice:
    """The chosen file, None for the program's own; whether unread slices are proposed again."""

    path: Path | None
    propose_again: bool


class WeightsDialog(QDialog):
    """Which weights segment, and whether the open study is proposed again with them."""

    def __init__(
        self, parent: QWidget, in_use: str, path: Path | None, browse: Callable[[], Path | None]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Weights of the segmenter")
        self._browse = browse
        now = label(f"In use: {in_use}", "subject")
        now.setWordWrap(True)
        self.own = QRadioButton("The program's own weights")
        self.checkpoint = QRadioButton("A checkpoint:")
        (self.own if path is None else self.checkpoint).setChecked(True)
        self.path = QLineEdit("" if path is None else str(path))
        self.path.setAccessibleName("Checkpoint file")
        self.path.setPlaceholderText("sam_vit_b.pth, medsam_vit_b.pth, ours.safetensors")
        self.path.textChanged.connect(self._update)
        self.choose = QPushButton("Choose …")
        self.choose.setAutoDefault(False)
        self.choose.clicked.connect(self._choose)
        about, self.cost = label(ABOUT, "quiet"), label(COST, "quiet", "Time and size")
        for text in (about, self.cost):
            text.setWordWrap(True)
        self.again = QCheckBox("Propose the slices of the open study that are not read again")
        self.again.setToolTip("One step of undo per slice; what a reader read or edited stays")
        self.again.setChecked(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use = QPushButton("Use")
        self.use.setDefault(True)
        self.buttons.addButton(self.use, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.own.toggled.connect(self._update)
        row = QHBoxLayout()
        row.addWidget(self.path, 1)
        row.addWidget(self.choose)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        above: list[QWidget] = [now, self.own, self.checkpoint]
        below: list[QWidget] = [about, self.cost, self.again, self.buttons]
        for part in above:
            layout.addWidget(part)
        layout.addLayout(row)
        for part in below:
            layout.addWidget(part)
        self.setMinimumWidth(560)
        self._update()

    @property
    def choice(self) -> WeightsChoice:
        """What was chosen."""
        text = self.path.text().strip()
        path = Path(text).expanduser() if self.checkpoint.isChecked() and text else None
        return WeightsChoice(path, self.again.isChecked())

    def _choose(self) -> None:
        chosen = self._browse()
        if chosen is not None:
            self.checkpoint.setChecked(True)
            self.path.setText(str(chosen))

    def _update(self, *_what: object) -> None:
        """Show the size of the file, and allow only a file that is there."""
        path = self.choice.path
        found = path is not None and path.is_file()
        self.use.setEnabled(self.own.isChecked() or found)
        size = f" {SIZE.format(size=path.stat().st_size // 1_000_000)}" if found and path else ""
        self.cost.setText(COST + size)


def get_weights(
    parent: QWidget, in_use: str, path: Path | None, browse: Callable[[], Path | None]
) -> WeightsChoice | None:
    """Show the dialog; return what was chosen, or None where it was dismissed.

    Args:
        parent: the window.
        in_use: name of the segmenter in use.
        path: the checkpoint chosen before, None for the program's own weights.
        browse: shows a dialog for a file.
    """
    dialog = WeightsDialog(parent, in_use, path, browse)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    choice = dialog.choice
    dialog.deleteLater()
    return choice if given else None
