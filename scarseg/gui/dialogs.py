"""Every question the window asks and every sheet it shows; tests put their own answers here."""

from __future__ import annotations

import platform
from pathlib import Path

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, QStandardPaths, Qt
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QInputDialog,
    QLabel,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import scarseg
from scarseg.gui.actions import ACTIONS, key_text
from scarseg.models import Models

NOTICE = "For research use only. Not a medical device."
REASONS = ("Artefact", "No contrast of scar and blood", "Slice misplaced", "Other")
HAND = (
    ("Wheel", "Slice before or after"),
    ("Ctrl + wheel", "Zoom"),
    ("Shift + wheel", "Size of brush and eraser"),
    ("Alt + wheel", "Threshold of the threshold brush"),
    ("Shift drag, middle drag", "Move the image"),
    ("Right drag", "Window width and level"),
    ("Drag a box's border", "Move the box"),
    ("Drag a box's handle", "Resize the box"),
    ("Ctrl drag", "New box, wherever it begins"),
    ("Alt click, right click", "Point where there is no scar"),
    ("Click a point", "Delete the point"),
)


class Dialogs:
    """Ask with Qt's own dialogs."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent
        documents = QStandardPaths.StandardLocation.DocumentsLocation
        self._folder = Path(QStandardPaths.writableLocation(documents))

    def folder(self) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._parent, "Open folder")
        return Path(chosen) if chosen else None

    def files(self) -> list[Path]:
        chosen, _ = QFileDialog.getOpenFileNames(self._parent, "Open files, DICOMDIR or zip")
        return [Path(name) for name in chosen]

    def save_as(self, title: str, name: str, kind: str) -> Path | None:
        """Ask for a new file, beside the last one; whether to replace one is asked afterwards."""
        chosen, _ = QFileDialog.getSaveFileName(
            self._parent,
            title,
            str(self._folder / name),
            kind,
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if chosen:
            self._folder = Path(chosen).parent
        return Path(chosen) if chosen else None

    def confirm(self, text: str, yes: str) -> bool:
        """Ask one question; the careful answer is the default."""
        box = QMessageBox(self._parent)
        box.setText(text)
        accept = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        return box.clickedButton() is accept

    def reason(self) -> str | None:
        """Ask why a slice cannot be read."""
        text, given = QInputDialog.getItem(
            self._parent, "Not assessable", "Why can this slice not be read?", REASONS, 0, True
        )
        return text if given else None

    def thickness_mm(self, title: str) -> float | None:
        """Ask for a slice thickness that the header does not give."""
        value, given = QInputDialog.getDouble(
            self._parent,
            "Slice thickness",
            f"{title}\nThe header gives no slice thickness. Without it there is no mass.\n"
            "Slice thickness in mm:",
            8.0, 0.5, 30.0, 2,
        )  # fmt: skip
        return value if given else None

    def keys(self) -> None:
        _show(KeySheet(self._parent))

    def about(self, models: Models | None, problem: str) -> None:
        _show(About(self._parent, models, problem))


def _show(dialog: QDialog) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()


class KeySheet(QDialog):
    """The sheet of keys, made from the table of actions."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(3)
        columns = (("File", "Edit", "Help"), ("Tools", ""), ("Slice", "View", "Hand"))
        for column, menus in enumerate(columns):
            row = 0
            for menu in menus:
                row = self._add_menu(grid, menu, row, column * 2)
        content = QWidget()
        content.setLayout(grid)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        layout = QVBoxLayout(self)
        layout.addWidget(area)
        layout.addWidget(_close(self))
        self.resize(1060, 680)

    def _add_menu(self, grid: QGridLayout, menu: str, row: int, column: int) -> int:
        lines = [
            (
                " or ".join(dict.fromkeys(_shown(key) for key in entry.keys)),
                entry.text.replace(" …", ""),
            )
            for entry in ACTIONS
            if entry.menu == menu and entry.keys
        ]
        if menu == "Hand":
            lines = list(HAND)
        elif menu == "":
            lines = [(key_text(e), e.text) for e in ACTIONS if e.menu == ""]
        else:
            row = _heading(grid, menu, row, column)
        if menu == "Hand":
            row = _heading(grid, "Mouse", row, column)
        for keys, text in lines:
            key = QLabel(keys)
            key.setObjectName("figure")
            key.setStyleSheet("font-size: 12px")
            grid.addWidget(key, row, column)
            grid.addWidget(QLabel(text), row, column + 1)
            row += 1
        return row


def _shown(key: str) -> str:
    return {"Return": "Enter", "Up": "↑", "Down": "↓"}.get(key, key)


def _heading(grid: QGridLayout, text: str, row: int, column: int) -> int:
    heading = QLabel(text.upper())
    heading.setObjectName("heading")
    heading.setContentsMargins(0, 8 if row else 0, 0, 2)
    grid.addWidget(heading, row, column, 1, 2)
    return row + 1


class About(QDialog):
    """Versions, weights, licences, and what the program is not."""

    def __init__(self, parent: QWidget, models: Models | None, problem: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("About scarseg")
        text = QLabel(about_text(models, problem))
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        text.setMinimumWidth(460)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(_close(self))


def _close(dialog: QDialog) -> QDialogButtonBox:
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    return buttons


def about_text(models: Models | None, problem: str = "") -> str:
    """Say what runs here, as rich text."""
    rows = [f"<h3>scarseg {scarseg.__version__}</h3>", f"<p><b>{NOTICE}</b></p>"]
    rows.append("<p>Measures myocardial scar on late-gadolinium-enhancement cardiac MR.</p>")
    if models is None:
        rows.append(f"<p>Weights: {problem or 'loading …'}</p>")
    else:
        parts = [models.segmenter.identity]
        if models.detector is not None:
            parts.append(models.detector.identity)
        for identity in parts:
            state = "verified" if identity.verified else "unverified"
            rows.append(f"<p>Weights: {identity.name} ({state})<br>sha256 {identity.sha256}</p>")
    rows.append(
        "<p>Program: AGPL-3.0-or-later. Default weights: CC BY-NC-SA 4.0, since they were"
        " trained on data under that licence.</p>"
        f"<p>Python {platform.python_version()}, Qt {QT_VERSION_STR}, PyQt {PYQT_VERSION_STR}</p>"
    )
    return "".join(rows)
