"""Open from archive: search, choose, fetch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from scarseg.case.patient import date_text
from scarseg.gui.archive.jobs import ListedStudy, is_lge
from scarseg.gui.theme import label
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import Query

COLUMNS = ("", "Patient", "Name", "Date", "Description", "Images")
_UIDS = Qt.ItemDataRole.UserRole
Chosen = tuple[str, list[str]]
"""A study UID and series UIDs; no series: all MR series."""


class SearchDialog(QDialog):
    """A line of what to search for, the studies found with their series, and the folder.

    Studies with a series whose description says LGE are starred and come with that series alone;
    others come with all MR series. The dialog stays while a fetch runs in the background.

    Signals:
        searched: (server, query).
        fetch_wanted: (server, study UID, series UIDs, folder).
        cancelled: what runs is to stop.
        servers_wanted: edit the servers.
    """

    searched = pyqtSignal(object, object)
    fetch_wanted = pyqtSignal(object, str, object, object)
    cancelled = pyqtSignal()
    servers_wanted = pyqtSignal()

    def __init__(
        self, parent: QWidget | None, folder: Path, browse: Callable[[], Path | None]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open from archive")
        self.setMinimumSize(760, 460)
        self._servers: dict[str, Server] = {}
        self._browse = browse
        layout = QVBoxLayout(self)
        layout.addLayout(self._search_row())
        self.tree = QTreeWidget()
        self.tree.setColumnCount(len(COLUMNS))
        self.tree.setHeaderLabels(COLUMNS)
        self.tree.setAccessibleName("Studies found")
        self.tree.setUniformRowHeights(True)
        header = self.tree.header()
        if header is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.tree.itemSelectionChanged.connect(self._update)
        self.tree.itemActivated.connect(lambda *_: self._fetch())
        layout.addWidget(self.tree, 1)
        layout.addLayout(self._folder_row(folder))
        self.message = label("", "quiet", "Message of the archive")
        self.message.setWordWrap(True)
        layout.addWidget(self.message)
        layout.addLayout(self._button_row())
        self.set_busy(False)
        self.patient.setFocus()

    def set_servers(self, servers: Mapping[str, Server], chosen: str) -> None:
        """Offer these servers."""
        self._servers = dict(servers)
        self.server.clear()
        self.server.addItems(list(servers))
        if chosen in servers:
            self.server.setCurrentText(chosen)
        if not servers:
            self.message.setText("No server is known yet: add one with Servers …")
        self._update()

    def show_studies(self, studies: Sequence[ListedStudy]) -> None:
        """List the answer of a search; the first study with LGE is selected."""
        self.tree.clear()
        first: QTreeWidgetItem | None = None
        for listed in studies:
            item = self._study_item(listed)
            self.tree.addTopLevelItem(item)
            if listed.lge_series:
                first = first or item
        first = first or self.tree.topLevelItem(0)
        if first is not None:
            self.tree.setCurrentItem(first)
            self.tree.setFocus()  # Enter searches first, then fetches
        n_lge = sum(bool(one.lge_series) for one in studies)
        self.message.setText(
            f"{len(studies)} found, {n_lge} with LGE (★)" if studies else "Nothing found."
        )

    def show_message(self, text: str) -> None:
        """Show a sentence beneath the list."""
        self.message.setText(text)

    def show_progress(self, fraction: float, what: str) -> None:
        """Show how far a search or fetch is."""
        self.progress.setValue(round(100 * fraction))
        if what:
            self.message.setText(what)

    def set_busy(self, busy: bool) -> None:
        """Show that a job runs, with a button to cancel it."""
        self._busy = busy
        self.progress.setVisible(busy)
        self.cancel.setVisible(busy)
        self._update()

    @property
    def query(self) -> Query:
        """What is to be searched for."""
        patient = self.patient.text().strip()
        is_name = "^" in patient or (bool(patient) and not any(map(str.isdigit, patient)))
        pattern = patient if not patient or "*" in patient else f"{patient}*"
        return Query(
            patient_id="" if is_name else pattern,
            patient_name=pattern if is_name else "",
            dates=self.dates.text().strip().replace(" ", ""),
            modality="MR",
        )

    @property
    def chosen(self) -> Chosen | None:
        """What is selected, None for nothing."""
        item = self.tree.currentItem()
        found = None if item is None else item.data(0, _UIDS)
        return found if isinstance(found, tuple) else None

    def _search_row(self) -> QGridLayout:
        grid = QGridLayout()
        self.server = QComboBox()
        self.patient, self.dates = QLineEdit(), QLineEdit()
        self.patient.setPlaceholderText("ID or name; * for any text")
        hint = "20240131 or 20240101-20240131"
        self.dates.setPlaceholderText(hint)
        self.dates.setMinimumWidth(self.dates.fontMetrics().horizontalAdvance(hint) + 24)
        self.search = QPushButton("Search")
        self.search.setDefault(True)
        self.search.clicked.connect(self._search)
        self.edit_servers = QPushButton("Servers …")
        self.edit_servers.setAutoDefault(False)
        self.edit_servers.clicked.connect(self.servers_wanted)
        widgets = (
            ("Server", self.server),
            ("Patient", self.patient),
            ("Date", self.dates),
        )
        for column, (name, widget) in enumerate(widgets):
            widget.setAccessibleName(name)
            widget.setToolTip(f"{name} to search for" if column else "The archive to search")
            grid.addWidget(label(name, "quiet"), 0, column)
            grid.addWidget(widget, 1, column)
        grid.addWidget(self.search, 1, 3)
        grid.addWidget(self.edit_servers, 1, 4)
        grid.setColumnStretch(1, 1)
        self.search.setToolTip("Search the archive")
        self.edit_servers.setToolTip("Add, change and test servers")
        return grid

    def _folder_row(self, folder: Path) -> QHBoxLayout:
        row = QHBoxLayout()
        self.folder = QLineEdit(str(folder))
        self.folder.setAccessibleName("Folder for the images")
        self.folder.setToolTip("Images are kept here, by UID, readable by you alone")
        self.folder.textChanged.connect(self._update)
        choose = QPushButton("Choose …")
        choose.setAutoDefault(False)
        choose.setToolTip("Choose the folder")
        choose.clicked.connect(self._choose_folder)
        row.addWidget(label("Folder", "quiet"))
        row.addWidget(self.folder, 1)
        row.addWidget(choose)
        return row

    def _button_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the archive")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop; what has arrived is gone on with next time")
        self.cancel.clicked.connect(self.cancelled)
        self.fetch_button = QPushButton("Fetch and open")
        self.fetch_button.setToolTip("Fetch the series and open them; Enter in the list does too")
        self.fetch_button.clicked.connect(self._fetch)
        close = QPushButton("Close")
        close.setToolTip("Close; a fetch goes on")
        close.clicked.connect(self.close)
        for button in (self.cancel, self.fetch_button, close):
            button.setAutoDefault(False)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cancel)
        row.addStretch(1)
        row.addWidget(self.fetch_button)
        row.addWidget(close)
        return row

    def _study_item(self, listed: ListedStudy) -> QTreeWidgetItem:
        study = listed.study
        n = "" if study.n_images is None else str(study.n_images)
        star = "★" if listed.lge_series else ""
        texts = [star, study.patient_id, study.patient_name.replace("^", " ").strip()]
        texts += [date_text(study.study_date), study.study_description, n]
        item = QTreeWidgetItem(texts)
        wanted = [one.series_uid for one in listed.lge_series]
        item.setData(0, _UIDS, (study.study_uid, wanted))
        for one in listed.series:
            count = "" if one.n_images is None else str(one.n_images)
            row = ["★" if is_lge(one) else "", "", "", "", one.series_description, count]
            child = QTreeWidgetItem(row)
            child.setData(0, _UIDS, (study.study_uid, [one.series_uid]))
            item.addChild(child)
        return item

    def _search(self) -> None:
        server = self._servers.get(self.server.currentText())
        if server is not None:
            self.searched.emit(server, self.query)

    def _fetch(self) -> None:
        chosen = self.chosen
        server = self._servers.get(self.server.currentText())
        if chosen is None or server is None or not self.fetch_button.isEnabled():
            return
        folder = Path(self.folder.text()).expanduser()
        self.fetch_wanted.emit(server, chosen[0], chosen[1], folder)

    def _choose_folder(self) -> None:
        if (found := self._browse()) is not None:
            self.folder.setText(str(found))

    def _update(self) -> None:
        if hasattr(self, "fetch_button"):
            ready = bool(self._servers) and not getattr(self, "_busy", False)
            self.search.setEnabled(ready)
            self.fetch_button.setEnabled(
                ready and self.chosen is not None and bool(self.folder.text().strip())
            )
