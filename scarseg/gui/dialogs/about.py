"""About dialog: versions, weights with their checksums, licences, the notice."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, Qt
from PyQt6.QtWidgets import QApplication, QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

import scarseg
from scarseg.gui import theme
from scarseg.models import Models

NOTICE = "For research use only. Not a medical device."
LIBRARIES = ("torch", "numpy", "scikit-image", "pydicom")
"""Libraries whose version can matter to a number."""


class AboutDialog(QDialog):
    """Versions, weights, licences, and what the program is not."""

    def __init__(self, parent: QWidget, models: Models | None, problem: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("About scarseg")
        text = QLabel(about_text(models, problem))
        text.setAccessibleName("About scarseg")
        text.setWordWrap(True)
        text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        text.setFixedWidth(520)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        assert copy is not None
        copy.setToolTip("Copy versions and checksums, for a report of a problem or a methods part")
        copy.clicked.connect(lambda: _copy(text))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 16, 22, 14)
        layout.setSpacing(12)
        layout.addWidget(text)
        layout.addWidget(buttons)
        close = buttons.button(QDialogButtonBox.StandardButton.Close)
        if close is not None:
            close.setDefault(True)
            close.setFocus()


def _copy(text: QLabel) -> None:
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        from PyQt6.QtGui import QTextDocumentFragment

        clipboard.setText(QTextDocumentFragment.fromHtml(text.text()).toPlainText())


def about_text(models: Models | None, problem: str = "") -> str:
    """Return versions, weights and licences as rich text."""
    rows = [
        f'<p style="font-size:20px; font-weight:600">scarseg {scarseg.__version__}</p>',
        "<p>Measures myocardial scar on late-gadolinium-enhancement cardiac MR.</p>",
        f'<p style="color:{theme.YELLOW}"><b>{NOTICE}</b></p>',
        _heading("Weights"),
    ]
    if models is None:
        rows.append(f"<p>{problem or 'loading …'}</p>")
    else:
        parts = [models.segmenter.identity]
        if models.detector is not None:
            parts.append(models.detector.identity)
        for identity in parts:
            state = "verified" if identity.verified else "unverified"
            rows.append(
                f"<p><b>{identity.name}</b> ({state})<br>"
                f'<span style="color:{theme.QUIET}; font-size:10px">'
                f"sha256 {identity.sha256}</span></p>"
            )
    if models is not None and models.calibration is not None:
        learned = models.calibration
        rows += [
            _heading("Calibration"),
            f"<p>Logits {learned.automatic_logit:g} automatic, {learned.prompted_logit:g} by boxes,"
            f" {learned.given_wall_logit:g} with the wall given; endocardium"
            f" {learned.endocardium_offset_mm:+g} mm; scar withheld below"
            f" {learned.gate_evidence_mm2:g} mm2<br>"
            f'<span style="color:{theme.QUIET}; font-size:10px">sha256 {learned.sha256}</span></p>',
        ]
    beneath = [f"Python {platform.python_version()}", f"Qt {QT_VERSION_STR}",
               f"PyQt {PYQT_VERSION_STR}", *_beneath(), platform.platform(terse=True)]  # fmt: skip
    rows += [
        _heading("Licences"),
        "<p>Program: AGPL-3.0-or-later. Default weights: CC BY-NC-SA 4.0, since they were"
        " trained on data under that licence.</p>",
        _heading("Runs on"),
        f"<p>{' · '.join(beneath)}</p>",
    ]
    return "".join(rows)


def _heading(text: str) -> str:
    return f'<p style="color:{theme.QUIET}; font-size:11px; font-weight:600">{text.upper()}</p>'


def _beneath() -> list[str]:
    """Return the versions of libraries, without importing any."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
