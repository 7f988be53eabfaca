"""The archive's actions: open from, send to, receive, servers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QSettings
from PyQt6.QtWidgets import QDialog, QFileDialog, QLabel, QWidget

from scarseg.case.case import SentInstance
from scarseg.case.stack import Stack
from scarseg.errors import Cancelled, ScarsegError
from scarseg.gui.actions import Actions
from scarseg.gui.archive import jobs
from scarseg.gui.archive.receive import START_KEY, ReceiveDialog, ReceiveSwitch, received_folder
from scarseg.gui.archive.search_dialog import SearchDialog
from scarseg.gui.archive.send_dialog import SendDialog
from scarseg.gui.archive.servers_dialog import ServersDialog
from scarseg.gui.commands.export import ExportCommands
from scarseg.gui.panels.status_bar import Banner, StatusBar
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.theme import label
from scarseg.gui.workers import Worker
from scarseg.io.files import data_folder
from scarseg.io.tables.table import export_status
from scarseg.pacs import addresses
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import Query

if TYPE_CHECKING:
    from scarseg.io.dicom.types import StackSummary
    from scarseg.pacs.fetching import Fetched
    from scarseg.pacs.sending import SendReport

FOLDER_KEY, SERVER_KEY = "archive/folder", "archive/server"


class ArchiveController(QObject):
    """Connect the actions of archives; jobs run on a worker of their own."""

    def __init__(
        self,
        session: Session,
        export: ExportCommands,
        settings: QSettings,
        actions: Actions,
        status_bar: StatusBar,
        banner: Banner,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._session, self._settings, self._window = session, settings, parent
        self._export = export
        self._status_bar, self._banner = status_bar, banner
        self.worker = Worker("archive", self)
        self.worker.progressed.connect(self._show_progress)
        self.search: SearchDialog | None = None
        self.servers: ServersDialog | None = None
        self.sending: SendDialog | None = None
        self.receiving = ReceiveSwitch(settings, self)
        self.state: QLabel = label("", "quiet", "Receiving")
        self.state.hide()
        status_bar.insertWidget(0, self.state)
        self._receive_action = actions["archive_receive"]
        self.receiving.changed.connect(self._show_state)
        self.receiving.arrived.connect(self._arrived)
        self.receiving.failed.connect(status_bar.show_message)
        session.opened.connect(self._note_origin)
        actions.connect(
            {
                "open_archive": self.open_archive,
                "send_archive": self.open_sending,
                "archive_servers": self.open_servers,
                "archive_receive": self.toggle_receiving,
            }
        )
        if bool(settings.value(START_KEY, False, type=bool)):
            self._receive_action.setChecked(self.receiving.start())

    def close(self) -> None:
        """Stop receiving and what runs; a fetch goes on from there next time."""
        for dialog in (self.search, self.servers, self.sending):
            if dialog is not None:
                dialog.close()
        self.worker.forget("")
        self.receiving.stop()
        self.worker.close()

    # Servers

    def known_servers(self) -> Mapping[str, Server]:
        """Return the servers of the file; what is wrong with it is shown."""
        try:
            return addresses.read_servers()
        except ScarsegError as error:
            self._banner.show_notice(error.message)
            return {}

    def open_servers(self) -> None:
        """Show the servers."""
        self.servers = ServersDialog(self._window, self.known_servers())
        self.servers.test_wanted.connect(self._test)
        self.servers.changed.connect(self._keep_servers)
        self.servers.finished.connect(self._offer_servers)
        self.servers.open()

    def _test(self, server: Server) -> None:
        dialog = self.servers
        if dialog is not None:
            self.worker.run(
                "test",
                jobs.test_server,
                server,
                done=dialog.show_answer,
                failed=lambda error: dialog.show_answer(_sentence(error)),
            )

    def _keep_servers(self, servers: Mapping[str, Server]) -> None:
        try:
            addresses.write_servers(servers)
        except ScarsegError as error:
            if self.servers is not None:
                self.servers.show_answer(error.message)

    def _offer_servers(self) -> None:
        if self.search is not None:
            self.search.set_servers(self.known_servers(), self._last_server())

    def _last_server(self) -> str:
        return str(self._settings.value(SERVER_KEY, ""))

    # Open from archive

    def open_archive(self) -> None:
        """Show the search."""
        if self.search is None:
            folder = Path(str(self._settings.value(FOLDER_KEY, data_folder() / "fetched")))
            self.search = SearchDialog(self._window, folder, self._choose_folder)
            self.search.searched.connect(self._search)
            self.search.fetch_wanted.connect(self._fetch)
            self.search.cancelled.connect(self._cancel)
            self.search.servers_wanted.connect(self.open_servers)
        self._offer_servers()
        self.search.show()
        self.search.patient.setFocus()

    def _choose_folder(self) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._window, "Folder for the images")
        return Path(chosen) if chosen else None

    def _search(self, server: Server, query: Query) -> None:
        self._begin(server)
        self.worker.run(
            "search",
            jobs.search,
            server,
            query,
            done=self._found,
            failed=self._failed,
            reports=True,
        )

    def _fetch(self, server: Server, study_uid: str, series: list[str], folder: Path) -> None:
        self._begin(server)
        self._settings.setValue(FOLDER_KEY, str(folder))
        arguments = (server, study_uid, series, folder)
        self.worker.run(
            "fetch", jobs.fetch, *arguments, done=self._fetched, failed=self._failed, reports=True
        )

    def _begin(self, server: Server) -> None:
        self._settings.setValue(SERVER_KEY, server.name)
        if self.search is not None:
            self.search.set_busy(True)

    def _cancel(self) -> None:
        self.worker.forget("")
        if self.search is not None:
            self.search.set_busy(False)
            self.search.show_message("Cancelled; the next fetch goes on from here.")

    def _found(self, studies: list[jobs.ListedStudy]) -> None:
        if self.search is not None:
            self.search.set_busy(False)
            self.search.show_studies(studies)

    def _fetched(self, fetched: Fetched) -> None:
        sentences = [error.message for _, error in fetched.failed]
        if self.search is not None:
            self.search.set_busy(False)
            self.search.show_message(" ".join(sentences))
            if not fetched.failed:
                self.search.close()
        for sentence in sentences:
            self._banner.show_notice(sentence)
        if fetched.series:
            self._session.scan([one.path for one in fetched.series])

    def _failed(self, error: BaseException) -> None:
        if self.search is not None:
            self.search.set_busy(False)
            self.search.show_message(_sentence(error))

    def _show_progress(self, _name: str, fraction: float, what: str) -> None:
        if self.search is not None and self.search.isVisible():
            self.search.show_progress(fraction, what)
        else:
            self._status_bar.show_message(f"Archive: {what}" if what else "")

    # Send to archive

    def may_send(self) -> bool:
        """Return whether the open reading is one of DICOM files, under its patient's name."""
        current = self._session.current
        is_dicom = current is not None and not isinstance(current.entry.source, Stack)
        return is_dicom and not self._session.blinded

    def open_sending(self) -> None:
        """Show whom the open reading would be filed under, and the servers."""
        current = self._session.current
        if current is None:
            return
        if self._session.blinded:
            self._status_bar.show_message(
                "A blinded re-reading is not sent: its patient is hidden."
            )
            return
        source = current.entry.source
        if isinstance(source, Stack):
            self._status_bar.show_message("Only readings of DICOM files can be sent.")
            return
        case = current.document.case
        chosen = case.archive or self._last_server()
        is_read = export_status(case) == "read"
        self.sending = SendDialog(self._window, self.known_servers(), chosen, case.stack, is_read)
        self.sending.send_wanted.connect(partial(self._send, source))
        self.sending.open()

    def _send(self, source: StackSummary, server: Server, parts: jobs.Parts) -> None:
        current, dialog = self._session.current, self.sending
        if current is None or dialog is None or current.entry.source is not source:
            return
        self._settings.setValue(SERVER_KEY, server.name)
        case = current.document.case.copy()  # the reader may go on
        self.worker.run(
            "send",
            jobs.send,
            server,
            source,
            case,
            parts,
            self._export.interval_of(case),
            done=partial(self._sent, current.document, dialog),
            failed=lambda error: dialog.show_answer(_sentence(error)),
            reports=True,
        )

    def _sent(self, document: Document, dialog: SendDialog, report: SendReport) -> None:
        """Show how sending went, and keep in the case what is in the archive now."""
        dialog.show_answer(report_text(report))
        at = datetime.now(UTC).isoformat(timespec="seconds")
        known = {(one.server, one.sop_instance_uid) for one in document.case.sent}
        document.case.sent += tuple(
            SentInstance(report.server, at, one.kind, one.sop_uid)
            for one in report.sent
            if (report.server, one.sop_uid) not in known
        )
        document.mark_edited()

    def _note_origin(self) -> None:
        """Keep in the opened case which server its images came from."""
        from scarseg.pacs.origins import server_of

        if (current := self._session.current) is not None:
            case = current.document.case
            case.archive = case.archive or server_of(case.stack.study_uid)

    # Receive

    def toggle_receiving(self) -> None:
        """Switch receiving on, after its settings, or off."""
        if self.receiving.is_on:
            self.receiving.stop()
            return
        accepted = ReceiveDialog(self._window, self._settings).exec() == QDialog.DialogCode.Accepted
        self._receive_action.setChecked(accepted and self.receiving.start())

    def _show_state(self, text: str) -> None:
        self.state.setText(text)
        self.state.setVisible(bool(text))
        self._receive_action.setChecked(bool(text))

    def _arrived(self, path: Path) -> None:
        """Open what arrived if nothing is open; otherwise add it to the list alone.

        In a blinded re-reading it waits: the list would show other patients.
        """
        if self._session.current is None:
            self._session.scan([path])
        elif self._session.blinded:
            self._banner.show_notice(
                "A series has arrived.",
                retry=lambda: self._session.scan([received_folder()]),
                verb="Show all received",
            )
        else:
            self._session.add([path])
            self._banner.show_notice("A series has arrived; it is in the list.")


def report_text(report: SendReport) -> str:
    """Return how sending went as a sentence or two."""
    parts = [f"{len(report.sent)} sent to {report.server} and found there."]
    if report.present:
        parts.append(f"{len(report.present)} were there already.")
    parts += [f"{one.kind} was refused: {reason}." for one, reason in report.refused]
    return " ".join(parts)


def _sentence(error: BaseException) -> str:
    if isinstance(error, Cancelled):
        return "Cancelled."
    if isinstance(error, ScarsegError):
        return f"{error.code}: {error.message}"
    return f"A fault of the program ({type(error).__name__})."
