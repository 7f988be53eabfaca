"""The servers of ``servers.toml``: add, change, remove, test."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.errors import PacsError
from scarseg.gui.theme import label
from scarseg.pacs import addresses
from scarseg.pacs.addresses import Server


class ServersDialog(QDialog):
    """A list of servers and the fields of one. Certificates and passwords stay in the file.

    Signals:
        test_wanted: try this server.
        changed: the servers are to be written.
    """

    test_wanted = pyqtSignal(object)
    changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None, servers: Mapping[str, Server]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Servers")
        self.setMinimumWidth(640)
        self.servers = dict(servers)
        self.list = QListWidget()
        self.list.setAccessibleName("Servers")
        self.list.currentTextChanged.connect(self._show)
        self.name, self.address = QLineEdit(), QLineEdit()
        self.address.setPlaceholderText("dicom://CALLED@HOST:PORT or https://.../dicom-web")
        self.ae_title, self.port = QLineEdit(), QLineEdit()
        self.retrieve = QComboBox()
        self.retrieve.addItems(["get", "move"])
        fields = QFormLayout()
        for text, widget, tip in (
            ("Name", self.name, "What it is called here"),
            ("Address", self.address, "dicom://, dicoms:// (TLS), http:// or https://"),
            ("Own AE title", self.ae_title, "As the archive knows this workstation"),
            ("Retrieve", self.retrieve, "C-GET, or C-MOVE to the port"),
            ("Own port", self.port, "Port that C-MOVE sends to"),
        ):
            widget.setAccessibleName(text)
            widget.setToolTip(tip)
            fields.addRow(text, widget)
        buttons = QHBoxLayout()
        self.add, self.keep = QPushButton("New"), QPushButton("Keep")
        self.remove, self.test = QPushButton("Remove"), QPushButton("Test")
        for button, slot, tip in (
            (self.add, self._add, "Empty the fields for another server"),
            (self.keep, self._keep, "Write the server to the file"),
            (self.remove, self._remove, "Remove the server from the file"),
            (self.test, self._test, "Try whether the server answers"),
        ):
            button.setToolTip(tip)
            button.setAutoDefault(False)
            button.clicked.connect(slot)
            buttons.addWidget(button)
        self.message = label("", "quiet", "Answer of the server")
        self.message.setWordWrap(True)
        right = QVBoxLayout()
        right.addLayout(fields)
        right.addLayout(buttons)
        right.addWidget(self.message)
        right.addWidget(label(f"Certificates, users: {addresses.servers_file()}", "quiet"))
        layout = QHBoxLayout(self)
        layout.addWidget(self.list)
        layout.addLayout(right, 1)
        self._fill()

    def server(self) -> Server | None:
        """Return the server of the fields; what is wrong with it is shown, and None returned."""
        name = self.name.text().strip()
        try:
            if not name:
                raise PacsError("E_PACS_CONFIG", "A server needs a name.")
            known = self.servers.get(name)
            made = addresses.parse_address(self.address.text(), name)
            if known is not None:
                made = addresses.with_certificates(made, known)
            port = self.port.text().strip()
            return addresses.changed(
                made,
                retrieve=self.retrieve.currentText(),
                ae_title=self.ae_title.text().strip() or None,
                storage_port=int(port) if port.isdecimal() else None,
            )
        except PacsError as error:
            self.message.setText(error.message)
            return None

    def show_answer(self, text: str) -> None:
        """Show what a test found."""
        self.message.setText(text)
        self.test.setEnabled(True)

    def _fill(self, chosen: str = "") -> None:
        self.list.clear()
        self.list.addItems(list(self.servers))
        names = list(self.servers)
        if names:
            self.list.setCurrentRow(names.index(chosen) if chosen in names else 0)
        else:
            self._add()

    def _show(self, name: str) -> None:
        server = self.servers.get(name)
        if server is None:
            return
        self.name.setText(name)
        self.address.setText(server.address)
        self.ae_title.setText(server.ae_title)
        self.port.setText(str(server.storage_port))
        self.retrieve.setCurrentText(server.retrieve)
        self.message.clear()

    def _add(self) -> None:
        for field in (self.name, self.address):
            field.clear()
        self.ae_title.setText(addresses.DEFAULT_AE_TITLE)
        self.port.setText(str(addresses.DEFAULT_STORAGE_PORT))
        self.name.setFocus()

    def _keep(self) -> None:
        server = self.server()
        if server is not None:
            self.servers[server.name] = server
            self.changed.emit(dict(self.servers))
            self._fill(server.name)
            self.message.setText("Kept.")

    def _remove(self) -> None:
        if self.servers.pop(self.name.text().strip(), None) is not None:
            self.changed.emit(dict(self.servers))
            self._fill()

    def _test(self) -> None:
        server = self.server()
        if server is not None:
            self.test.setEnabled(False)
            self.message.setText("Trying …")
            self.test_wanted.emit(server)
