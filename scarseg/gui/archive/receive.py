"""Receive images that scanners and archives send: the switch, its settings, its state."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject, QSettings, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from scarseg.errors import ScarsegError
from scarseg.io.files import data_folder
from scarseg.pacs.addresses import DEFAULT_AE_TITLE, DEFAULT_STORAGE_PORT

HOST_KEY, PORT_KEY, TITLE_KEY = "receive/host", "receive/port", "receive/ae_title"
ALLOWED_KEY, START_KEY = "receive/allowed", "receive/at_start"
HOSTS = (("127.0.0.1", "This machine alone"), ("0.0.0.0", "All addresses of this machine"))


def received_folder() -> Path:
    """Return the folder of what is received."""
    return data_folder() / "received"


class ReceiveDialog(QDialog):
    """Where to listen, and whom to; kept in the settings when accepted."""

    def __init__(self, parent: QWidget | None, settings: QSettings) -> None:
        super().__init__(parent)
        self.setWindowTitle("Receive")
        self._settings = settings
        self.host = QComboBox()
        for address, text in HOSTS:
            self.host.addItem(text, address)
        self.host.setCurrentIndex(
            [address for address, _ in HOSTS].index(str(settings.value(HOST_KEY, HOSTS[0][0])))
        )
        self.port = QLineEdit(str(settings.value(PORT_KEY, DEFAULT_STORAGE_PORT)))
        self.title = QLineEdit(str(settings.value(TITLE_KEY, DEFAULT_AE_TITLE)))
        self.allowed = QLineEdit(str(settings.value(ALLOWED_KEY, "")))
        self.allowed.setPlaceholderText("any")
        self.at_start = QCheckBox("Receive at every start")
        self.at_start.setChecked(bool(settings.value(START_KEY, False, type=bool)))
        form = QFormLayout()
        for text, widget, tip in (
            ("Listen on", self.host, "Others can send only to all addresses"),
            ("Port", self.port, "Port to send to"),
            ("AE title", self.title, "Title to send to"),
            ("From", self.allowed, "AE titles that may send, with spaces between"),
        ):
            widget.setAccessibleName(text)
            widget.setToolTip(tip)
            form.addRow(text, widget)
        self.at_start.setToolTip("Begin to receive when the window opens")
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.at_start)
        layout.addWidget(buttons)

    def accept(self) -> None:
        """Keep the settings."""
        port = self.port.text().strip()
        self._settings.setValue(HOST_KEY, self.host.currentData())
        if port.isdecimal() and 1 <= int(port) <= 65535:
            self._settings.setValue(PORT_KEY, int(port))
        self._settings.setValue(TITLE_KEY, self.title.text().strip() or DEFAULT_AE_TITLE)
        self._settings.setValue(ALLOWED_KEY, self.allowed.text().strip())
        self._settings.setValue(START_KEY, self.at_start.isChecked())
        super().accept()


class ReceiveSwitch(QObject):
    """A receiver that is on or off.

    Signals:
        changed: a sentence on its state, empty when off.
        arrived: the folder of a series that is whole.
        failed: a sentence.
    """

    changed = pyqtSignal(str)
    arrived = pyqtSignal(object)
    failed = pyqtSignal(str)

    def __init__(self, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._receiver: object = None

    @property
    def is_on(self) -> bool:
        """Return whether it listens."""
        return self._receiver is not None

    def start(self) -> bool:
        """Listen; return whether it does."""
        from scarseg.pacs.receiving import Receiver, ReceiveSettings

        settings = self._settings
        chosen = ReceiveSettings(
            folder=received_folder(),
            host=str(settings.value(HOST_KEY, HOSTS[0][0])),
            port=int(settings.value(PORT_KEY, DEFAULT_STORAGE_PORT)),
            ae_title=str(settings.value(TITLE_KEY, DEFAULT_AE_TITLE)),
            allowed=tuple(str(settings.value(ALLOWED_KEY, "")).split()),
        )
        # Signals may be emitted in the receiver's threads: Qt delivers them in this one.
        receiver = Receiver(
            chosen,
            lambda series: self.arrived.emit(series.path),
            lambda error: self.failed.emit(error.message),
        )
        try:
            receiver.start()
        except ScarsegError as error:
            self.failed.emit(error.message)
            return False
        self._receiver = receiver
        self.changed.emit(f"Receiving: {chosen.ae_title}, port {chosen.port}")
        return True

    def stop(self) -> None:
        """Stop listening; what has not arrived whole stays hidden for the next start."""
        from scarseg.pacs.receiving import Receiver

        receiver, self._receiver = self._receiver, None
        if isinstance(receiver, Receiver):
            receiver.stop()
            self.changed.emit("")
