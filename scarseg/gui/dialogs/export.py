"""Export dialog: formats, which readings, and the folder."""

from __future__ import annotations

from collections.abc import Callable
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

from scarseg.gui.session.export import DICOM_FORMATS, ExportFormat, ExportRequest
from scarseg.gui.theme import label

SECTIONS: tuple[tuple[str, tuple[tuple[ExportFormat, str, str], ...]], ...] = (
    (
        "TABLES",
        (
            (
                ExportFormat.CSV,
                "CSV",
                "scar.csv: a row for each stack, a per-slice file, a sidecar",
            ),
            (ExportFormat.WORKBOOK, "Workbook (XLSX)", "scar.xlsx: the same tables in one file"),
        ),
    ),
    (
        "REPORT",
        (
            (
                ExportFormat.REPORT,
                "Report (PDF)",
                "One page: slices, bull's eye, numbers, provenance",
            ),
            (ExportFormat.SR, "Structured report (DICOM SR)", "Masses in g, for the archive"),
        ),
    ),
    (
        "MASKS",
        (
            (ExportFormat.NIFTI, "NIfTI", "Label map: 1 blood pool, 2 wall, 3 scar, 4 MVO"),
            (ExportFormat.SEG, "DICOM SEG", "Segmentation that refers to its images"),
            (ExportFormat.RTSTRUCT, "DICOM RTSTRUCT", "Contours, for planning systems"),
        ),
    ),
)
NOTE = (
    "Names and IDs of patients are left out: each has a pseudonym. Files are named by series\n"
    "UID, and the UIDs of the images stay, so that masks find them."
)
NO_FILES = "Needs the DICOM files of the images"


class ExportDialog(QDialog):
    """Formats, of which readings, into which folder; ``request`` is the result.

    Args:
        subjects: patient, date and series of the open reading; whose the whole list is.
        start: how the boxes are ticked at first, and the folder.
        n_series: how many series the list has.
        dicom: whether there are DICOM files to refer to.
        browse: asks for a folder.
        send: opens sending to an archive instead, for one reading of DICOM files; None where
            that is not possible.
    """

    def __init__(
        self,
        parent: QWidget,
        subjects: tuple[str, str],
        start: ExportRequest,
        n_series: int,
        dicom: bool,
        browse: Callable[[], Path | None],
        send: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self._browse, self._subjects, self._send = browse, subjects, send
        layout = QVBoxLayout(self)
        layout.setContentsMargins(22, 18, 22, 16)
        layout.setSpacing(5)
        self.subject = label(subjects[0], "subject", "Whose readings are exported")
        self.subject.setWordWrap(True)
        layout.addWidget(self.subject)
        layout.addSpacing(6)
        self.one, self.all = QRadioButton("This patient"), QRadioButton(_every(n_series))
        self.one.setToolTip("The open reading")
        self.all.setToolTip("Series without a reading are left out, and counted")
        which = QHBoxLayout()
        for button in (self.one, self.all):
            which.addWidget(button)
        which.addStretch(1)
        (self.all if start.whole_list and n_series > 1 else self.one).setChecked(True)
        self.all.setVisible(n_series > 1)
        self.one.setVisible(n_series > 1)
        self.all.toggled.connect(self._name_patients)
        self._name_patients(self.all.isChecked())
        layout.addLayout(which)
        layout.addSpacing(8 if n_series > 1 else 0)
        self.boxes: dict[ExportFormat, QCheckBox] = {}
        columns = QHBoxLayout()
        columns.setSpacing(30)
        for heading, rows in SECTIONS:
            columns.addLayout(self._section(heading, rows, start, dicom))
        layout.addLayout(columns)
        layout.addSpacing(8)
        layout.addWidget(label("FOLDER", "heading"))
        layout.addLayout(self._folder_row(start.folder))
        layout.addSpacing(4)
        layout.addWidget(label(NOTE, "quiet"))
        layout.addSpacing(6)
        self._buttons(layout)
        self._look()

    @property
    def request(self) -> ExportRequest:
        """What is ticked."""
        parts = {part for part, box in self.boxes.items() if box.isChecked() and box.isEnabled()}
        return ExportRequest(
            Path(self.folder.text()).expanduser(), frozenset(parts), self.all.isChecked()
        )

    def _section(
        self,
        heading: str,
        rows: tuple[tuple[ExportFormat, str, str], ...],
        start: ExportRequest,
        dicom: bool,
    ) -> QVBoxLayout:
        made = QVBoxLayout()
        made.setSpacing(3)
        made.addWidget(label(heading, "heading"))
        for part, text, tip in rows:
            box = QCheckBox(text)
            able = dicom or part not in DICOM_FORMATS
            box.setEnabled(able)
            box.setChecked(able and part in start.formats)
            box.setToolTip(tip if able else NO_FILES)
            box.toggled.connect(self._look)
            self.boxes[part] = box
            made.addWidget(box)
        made.addStretch(1)
        return made

    def _folder_row(self, folder: Path) -> QHBoxLayout:
        row = QHBoxLayout()
        self.folder = QLineEdit(str(folder))
        self.folder.setAccessibleName("Folder to export into")
        self.folder.setToolTip("It is made where it is not there")
        self.folder.setMinimumWidth(360)
        self.folder.textChanged.connect(self._look)
        self.browse = QPushButton("Choose …")
        self.browse.setAccessibleName("Choose the folder")
        self.browse.setToolTip("Choose the folder")
        self.browse.setAutoDefault(False)
        self.browse.clicked.connect(self._choose_folder)
        row.addWidget(self.folder, 1)
        row.addWidget(self.browse)
        return row

    def _buttons(self, layout: QVBoxLayout) -> None:
        box = QDialogButtonBox()
        accept = box.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        assert accept is not None
        accept.setDefault(True)
        self.accept_button = accept
        self.send_button = box.addButton(
            "Send to archive …", QDialogButtonBox.ButtonRole.ActionRole
        )
        if self.send_button is not None:
            self.send_button.setToolTip(
                "To the patient's study in a PACS, under the real name and ID"
                if self._send
                else f"{NO_FILES}; not for pseudonyms"
            )
            self.send_button.setEnabled(self._send is not None)
            self.send_button.clicked.connect(self._send_instead)
        box.addButton(QDialogButtonBox.StandardButton.Cancel)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        layout.addWidget(box)

    def _name_patients(self, whole_list: bool) -> None:
        self.subject.setText(self._subjects[whole_list])

    def _send_instead(self) -> None:
        self.reject()
        if self._send is not None:
            self._send()

    def _choose_folder(self) -> None:
        chosen = self._browse()
        if chosen is not None:
            self.folder.setText(str(chosen))

    def _look(self, *_what: object) -> None:
        """Enable the button where there is something to write and a folder."""
        if hasattr(self, "accept_button"):
            ticked = any(box.isChecked() for box in self.boxes.values())
            self.accept_button.setEnabled(ticked and bool(self.folder.text().strip()))


def _every(n: int) -> str:
    return f"Every reading of the list ({n} series)"
