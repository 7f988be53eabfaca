"""Choose the study to compare the open one with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDialog, QHBoxLayout, QListWidget, QPushButton, QVBoxLayout, QWidget

from scarseg.gui.theme import label

NONE_LISTED = (
    "The list has no other study of this patient. Open the folder that holds it, or choose its case"
    " file."
)


@dataclass(frozen=True)
class EarlierStudy:
    """What was chosen: the place of a study in the list, or None for a case file."""

    place: int | None


class EarlierStudyDialog(QDialog):
    """The patient's other studies, and a way to a case file."""

    def __init__(self, parent: QWidget, subject: str, studies: Sequence[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare with earlier study")
        self.from_file = False
        heading = label(subject, "subject")
        about = label(
            f"Other studies of this patient: {len(studies)}" if studies else NONE_LISTED, "quiet"
        )
        about.setWordWrap(True)
        self.studies = QListWidget()
        self.studies.setAccessibleName("Other studies of this patient")
        self.studies.addItems(list(studies))
        self.studies.setCurrentRow(0)
        self.studies.itemActivated.connect(self.accept)
        self.studies.setVisible(bool(studies))
        self.compare = QPushButton("Compare")
        self.compare.setEnabled(bool(studies))
        self.compare.clicked.connect(self.accept)
        self.case_file = QPushButton("Case file …")
        self.case_file.setToolTip("Compare with the reading in a case file (.scarseg)")
        self.case_file.clicked.connect(self._choose_file)
        cancel = QPushButton("Cancel")
        cancel.clicked.connect(self.reject)
        (self.compare if studies else self.case_file).setDefault(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.case_file)
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.compare)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        for part in (heading, about):
            layout.addWidget(part)
        layout.addWidget(self.studies, 1)
        layout.addLayout(buttons)
        self.setMinimumWidth(460)
        self.studies.setFocus(Qt.FocusReason.OtherFocusReason)

    def _choose_file(self) -> None:
        self.from_file = True
        self.accept()

    @property
    def chosen(self) -> EarlierStudy:
        """What was chosen."""
        return EarlierStudy(None if self.from_file else self.studies.currentRow())


def get_earlier_study(parent: QWidget, subject: str, studies: Sequence[str]) -> EarlierStudy | None:
    """Show the dialog; return what was chosen, or None where it was dismissed.

    Args:
        parent: the window.
        subject: patient and date of the open study.
        studies: the other studies, one line each, the nearest earlier one first.
    """
    dialog = EarlierStudyDialog(parent, subject, studies)
    given = dialog.exec() == QDialog.DialogCode.Accepted
    chosen = dialog.chosen
    dialog.deleteLater()
    return chosen if given else None
