"""Send to archive: what, where to, and under whose name."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.case.patient import date_text
from scarseg.case.stack import Stack
from scarseg.gui.archive.jobs import Parts
from scarseg.gui.theme import label
from scarseg.pacs.addresses import Server

UNFINISHED = "Not read to the end: send all the same"


class SendDialog(QDialog):
    """Parts of a reading, the server, and the patient and study they will be filed under.

    A reading that is not finished needs a second click on the button, whose text says why.

    Signals:
        send_wanted: (server, parts).
    """

    send_wanted = pyqtSignal(object, object)

    def __init__(
        self,
        parent: QWidget | None,
        servers: Mapping[str, Server],
        chosen: str,
        stack: Stack,
        is_read: bool,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Send to archive")
        self.setMinimumWidth(460)
        self._servers, self._confirmed = dict(servers), is_read
        layout = QVBoxLayout(self)
        self.subject = label(subject_text(stack), "subject", "Patient and study it is filed under")
        self.subject.setWordWrap(True)
        layout.addWidget(self.subject)
        self.server = QComboBox()
        self.server.setAccessibleName("Server")
        self.server.setToolTip("The archive to send to")
        self.server.addItems(list(servers))
        if chosen in servers:
            self.server.setCurrentText(chosen)
        layout.addWidget(self.server)
        self.boxes: dict[str, QCheckBox] = {}
        start = Parts()
        for name, text, tip in (
            ("segmentation", "DICOM SEG", "Segmentation that refers to its images"),
            ("report", "Structured report (DICOM SR)", "Masses in g"),
            ("page", "Report page (PDF)", "The page, as Encapsulated PDF"),
            ("contours", "DICOM RTSTRUCT", "Contours, for planning systems"),
            ("montage", "Picture of all slices", "For viewers that show none of these"),
        ):
            box = QCheckBox(text)
            box.setToolTip(tip)
            box.setChecked(getattr(start, name))
            box.toggled.connect(self._update)
            self.boxes[name] = box
            layout.addWidget(box)
        note = "Sent under the patient's own name and ID; nothing is sent if the archive has\n"
        layout.addWidget(label(note + "another patient, or no such study.", "quiet"))
        self.message = label("", "quiet", "Answer of the archive")
        self.message.setWordWrap(True)
        layout.addWidget(self.message)
        row = QHBoxLayout()
        self.send = QPushButton("Send")
        self.send.setToolTip("Send to the archive")
        self.send.clicked.connect(self._send)
        close = QPushButton("Close")
        close.setToolTip("Close the dialog")
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        row.addStretch(1)
        row.addWidget(self.send)
        row.addWidget(close)
        layout.addLayout(row)
        if not servers:
            self.message.setText("No server is known yet: add one in File, Servers …")
        self._update()

    @property
    def parts(self) -> Parts:
        """What is ticked."""
        return Parts(**{name: box.isChecked() for name, box in self.boxes.items()})

    def show_answer(self, text: str) -> None:
        """Show how sending went; it can be tried again."""
        self.message.setText(text)
        self._update()

    def _send(self) -> None:
        if not self._confirmed:
            self._confirmed = True
            self.send.setText(UNFINISHED)
            return
        self.send.setEnabled(False)
        self.message.setText("Sending …")
        self.send_wanted.emit(self._servers[self.server.currentText()], self.parts)

    def _update(self) -> None:
        if hasattr(self, "send"):
            ticked = any(box.isChecked() for box in self.boxes.values())
            self.send.setEnabled(ticked and bool(self._servers))


def subject_text(stack: Stack) -> str:
    """Return whom and what a result will be filed under."""
    name = stack.patient_name.replace("^", " ").strip()
    patient = " · ".join(part for part in (stack.patient_id, name) if part) or "no patient ID"
    date = date_text(stack.study_date) or "unknown date"
    return f"Filed under patient {patient}\nstudy of {date}, {stack.study_uid}"
