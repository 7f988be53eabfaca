"""The window: creates the panels and controllers, arranges them and connects their signals."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, QSettings, Qt
from PyQt6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QUndoGroup,
)
from PyQt6.QtWidgets import (
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui.actions import Actions
from scarseg.gui.archive.controller import ArchiveController
from scarseg.gui.commands import Commands
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.follow_up.controller import FollowUpController
from scarseg.gui.panels import status_bar, toolbar, welcome
from scarseg.gui.panels.bullseye.panel import BullseyeController
from scarseg.gui.panels.docks import LEFT, PanelDocks
from scarseg.gui.panels.gestures import GestureGuard
from scarseg.gui.panels.histogram.panel import Histogram
from scarseg.gui.panels.history import HistoryPanel
from scarseg.gui.panels.notices import Notices
from scarseg.gui.panels.patient_header import PatientHeader
from scarseg.gui.panels.pictures import PictureExport
from scarseg.gui.panels.rereading import RereadingController
from scarseg.gui.panels.results import IntervalLabel, ResultsPanel
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.panels.thresholds.comparison import ThresholdComparison
from scarseg.gui.panels.tool_selection import ToolSelection
from scarseg.gui.panels.window_layout import WindowLayout
from scarseg.gui.presenter.levels import WindowLevelPresenter
from scarseg.gui.presenter.slices import Presenter
from scarseg.gui.presenter.status import StatusPresenter
from scarseg.gui.reading_time import ReadingTime
from scarseg.gui.session.session import Session
from scarseg.gui.tool_buttons import configure_button
from scarseg.gui.viewer import window_level
from scarseg.gui.viewer.filmstrip import Filmstrip
from scarseg.gui.viewer.keyboard_cursor import KeyboardCursor
from scarseg.gui.viewer.magnifier import Magnifier
from scarseg.gui.viewer.montage import Views
from scarseg.gui.viewer.view_options import ViewOptionsBar


class MainWindow(QMainWindow):
    """The reading window.

    The actions are created first; each controller connects its own in its constructor, and is
    complete then. Controllers follow ``session.opened`` in the order of their creation.
    """

    def __init__(self, session: Session, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle("scarseg")
        self.setAcceptDrops(True)
        self.session = session
        self.steps = QUndoGroup(self)
        self.dialogs = Dialogs(self)
        self.actions_by_name = Actions(self)
        session.opened.connect(self._enable_actions)
        self.commands = Commands(session, self.dialogs, self.actions_by_name, settings, self)
        self._create_widgets(settings)
        self._create_controllers(settings)
        self._arrange()
        self._connect_actions()
        self._connect_session()
        self._connect_widgets()
        self._enable_actions()
        self._show_open()
        self.window_layout = WindowLayout(
            self, session, self.docks, self.results, self.actions_by_name, settings
        )
        self.actions_by_name["open_last"].setEnabled(False)

    def _create_widgets(self, settings: QSettings) -> None:
        actions = self.actions_by_name
        self.views, self.strip = Views(self.commands, settings, self), Filmstrip()
        self.canvas = self.views.canvas
        self.results, self.studies = ResultsPanel(), StudiesPanel()
        self.history = HistoryPanel()
        self.banner, self.status_bar = status_bar.Banner(), status_bar.StatusBar()
        self.view_row, self.tool_bar = ViewOptionsBar(), toolbar.ToolBar(actions)
        self.magnifier = Magnifier(self)
        self.docks = PanelDocks(self, settings)
        self.docks.add("studies", "Studies", self.studies, LEFT)
        self.docks.add("results", "Results", self.results)
        for name, text, button in (
            ("report", "Page F9", self.results.report),
            ("export", "CSV Ctrl+E", self.results.export),
            ("history", "History Y", self.results.history),
            ("next_study", "Next unread   Tab", self.studies.next),
        ):
            configure_button(actions[name], text, button)

    def _create_controllers(self, settings: QSettings) -> None:
        session, commands, views, actions = (
            self.session, self.commands, self.views, self.actions_by_name
        )  # fmt: skip
        self.notices = Notices(session, commands, self.banner, self)
        self.subject = PatientHeader(session, self.studies, settings, actions, self)
        # Before the tools, which discard what is theirs on Esc.
        self.gestures = GestureGuard(session, commands, views, actions, self)
        self.tools = ToolSelection(session, views, self.view_row, actions, self)
        self.histogram = Histogram(session, views, self.view_row, self.docks, actions["histogram"])
        self.keyboard = KeyboardCursor(session, lambda: views.active, actions, self)
        self.pictures = PictureExport(
            commands, views, self.strip, lambda: self.presenter.measured, self
        )
        self.reading_time = ReadingTime(
            session, commands, self.results, self.history, self.docks, views, actions,
            self.status_bar.clock, self,
        )  # fmt: skip
        self.comparison = ThresholdComparison(
            session, views, self.view_row, self.tools.choose_tool, actions, self
        )
        self.interval_line = IntervalLabel(session, self.results, self)
        self.bullseye = BullseyeController(
            session, views, self.docks, commands.slices.go_to, actions, self
        )
        self.status = StatusPresenter(session, self.status_bar, self)
        self.levels = WindowLevelPresenter(session, settings, self.canvas, self.view_row, self)
        actions["lock_levels"].setChecked(self.levels.locked)
        actions["lock_levels"].toggled.connect(self.levels.set_locked)
        self.presenter = Presenter(
            session, views, self.strip, self.results, self.tool_bar, self.levels, self.status, self
        )
        session.opened.connect(self._show_open)
        # Last: what it has to tell about the opened case replaces the notices cleared before.
        self.rereadings = RereadingController(session, commands, self.banner, actions, self)
        self.archive = ArchiveController(
            session, commands.export, settings, actions, self.status_bar, self.banner, self
        )
        self.follow_up = FollowUpController(session, commands, actions, self.banner, self)
        self.dialogs.send_to_archive = self.archive.open_sending
        self.dialogs.may_send = self.archive.may_send

    def _arrange(self) -> None:
        centre = QVBoxLayout()
        centre.setContentsMargins(0, 0, 0, 0)
        centre.setSpacing(0)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.views)
        self.middle.addWidget(welcome.Welcome(self.actions_by_name))
        for widget in (self.subject, self.middle, self.view_row, self.comparison.strip, self.strip):
            centre.addWidget(widget, 1 if widget is self.middle else 0)
        page = QWidget()
        page.setLayout(centre)
        self.pages = QStackedWidget()
        self.pages.addWidget(welcome.Welcome(self.actions_by_name))
        self.pages.addWidget(page)
        self.setCentralWidget(self.pages)
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.setSpacing(0)
        for part in (self.tool_bar, self.rereadings.strip, self.banner):
            head.addWidget(part)
        whole = QWidget()
        whole.setLayout(head)
        self.setMenuWidget(whole)
        self.setStatusBar(self.status_bar)

    def _connect_actions(self) -> None:
        pictures = self.pictures
        self.actions_by_name.connect(
            {
                "quit": self.close,
                "fit": lambda: self.views.active.fit(),
                "montage": self.views.toggle,
                "auto_window": lambda: self.levels.choose_preset(window_level.AUTOMATIC),
                "find_study": self.studies.find_study,
                "keys": self.dialogs.keys,
                "about": self._about,
                "desktop": self._add_to_desktop,
                "copy_slice": pictures.copy_slice,
                "copy_montage": pictures.copy_montage,
                "save_slice": pictures.save_slice,
                "save_montage": pictures.save_montage,
            }
        )

    def _connect_session(self) -> None:
        session = self.session
        session.study_list_changed.connect(self._show_study_list)
        session.said.connect(self.status_bar.show_message)
        session.scanner.remembered.connect(self._offer_last_folder)
        session.scanner.recent_known.connect(self._offer_recent)
        session.working.connect(self._show_work)
        session.models_ready.connect(self.status.models_changed)

    def _connect_widgets(self) -> None:
        views, commands = self.views, self.commands
        for message in (
            commands.said, self.tools.said, self.bullseye.insertion.said, self.comparison.said,
            self.keyboard.said, views.refused, views.hinted,
        ):  # fmt: skip
            message.connect(self.status_bar.show_message)
        self.status_bar.cancelled.connect(self._cancel_jobs)
        self.comparison.fitted.connect(self._show_parts)
        self.reading_time.stopwatch.ticked.connect(self.status.show_clock)
        views.hovered.connect(self.view_row.hover.setText)
        views.levels_changed.connect(
            lambda: self.view_row.presets.setCurrentText(window_level.BY_HAND)
        )
        views.levels_settled.connect(lambda: self.levels.levels_settled())
        views.switched.connect(self._show_parts)
        self.strip.chosen.connect(commands.slices.go_to)
        self.results.slice_chosen.connect(commands.slices.go_to)
        self.studies.entry_chosen.connect(self.session.open)
        self.studies.open_row_hidden.connect(self._enable_actions)
        self.studies.sorted.connect(self.session.study_list_changed)
        self.studies.left.connect(lambda: views.active.setFocus())
        self.view_row.preset_chosen.connect(self.levels.choose_preset)
        # A group outlives its stacks: a document that goes does not rename the next one's steps.
        self.steps.canUndoChanged.connect(self._enable_actions)
        self.steps.canRedoChanged.connect(self._enable_actions)
        self.steps.undoTextChanged.connect(self._name_steps)
        self.steps.redoTextChanged.connect(self._name_steps)

    # Open case

    def _enable_actions(self) -> None:
        current = self.session.current
        usable = current is not None and not self.studies.hides_open
        read_only = current is not None and current.document.read_only
        self.actions_by_name.enable_for_case(usable, read_only)
        for name, able in (("undo", self.steps.canUndo()), ("redo", self.steps.canRedo())):
            self.actions_by_name[name].setEnabled(usable and able)
        self.results.setEnabled(usable or current is None)
        self.rereadings.update_actions()
        if self.studies.hides_open:
            self.keyboard.lower()

    def _show_open(self) -> None:
        current = self.session.current
        self.pages.setCurrentIndex(0 if current is None else 1)
        self.status.models_changed()
        self._show_parts()
        if current is None:
            return
        self.banner.clear()
        self.presenter.show_document()
        self._show_study_list()
        self.steps.addStack(current.document.undo_stack)
        self.steps.setActiveStack(current.document.undo_stack)
        self.views.active.setFocus()

    def _show_parts(self) -> None:
        """Show what belongs to an open stack; the montage does the strip's work."""
        shown = self.session.current is not None
        for part in (self.view_row, self.views):
            part.setVisible(shown)
        self.docks.set_usable(shown, "results", "histogram", "bullseye", "history")
        self.comparison.strip.setVisible(shown and self.comparison.wanted)
        instead = self.views.montage or self.comparison.replaces_strip
        self.strip.setVisible(shown and not instead)
        self.actions_by_name["montage"].setChecked(self.views.montage)

    def _name_steps(self, _text: str) -> None:
        for name, step in (("undo", self.steps.undoText()), ("redo", self.steps.redoText())):
            self.actions_by_name[name].setText(f"{name.capitalize()} {step}".strip())

    def _show_study_list(self) -> None:
        current = self.session.current
        self.studies.show_study_list(self.session.study_list, current.entry if current else None)
        library = self.session.study_list
        filled = bool(library.studies or library.refused)
        self.docks.set_usable(filled, "studies")
        if filled:
            self.pages.setCurrentIndex(1)
        openable = any(not entry.code for study in library.studies for entry in study.entries)
        self.middle.setCurrentIndex(0 if current is not None or openable else 1)

    def _show_work(self, fraction: float, what: str) -> None:
        self.status_bar.show_progress(fraction, what)
        if not what:
            self.status.models_changed()

    def _offer_last_folder(self, folder: Path) -> None:
        name = folder.name if len(folder.parts) < 3 else f"… / {folder.parent.name} / {folder.name}"
        self.actions_by_name["open_last"].setText(f"Continue: {name}")
        self.actions_by_name["open_last"].setEnabled(True)

    def _offer_recent(self, folders: list[Path]) -> None:
        self.tool_bar.show_recent(folders, lambda folder: self.session.scan([folder]))

    # Cancelling

    def _cancel_jobs(self) -> None:
        """Stop scanning, opening, writing, proposing and answering; prompts stay."""
        current = self.session.current
        pending = current is not None and bool(current.inference.pending)
        self.session.cancel()
        self.status_bar.show_message("Cancelled. Space asks again." if pending else "Cancelled.")

    def _add_to_desktop(self) -> None:
        """Add the program to the applications menu of this user."""
        from scarseg.gui import desktop_entry

        try:
            files = desktop_entry.install()
        except OSError as error:
            self.banner.show_notice(f"Not added to the applications menu: {error}.")
        else:
            self.status_bar.show_message(f"Added to the applications menu: {files[0]}")

    def _about(self) -> None:
        self.dialogs.about(self.session.models, self.session.models_problem)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in (
            QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel,
            QEvent.Type.KeyPress,
        ):  # fmt: skip
            self.reading_time.stopwatch.note_activity()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        self.reading_time.stopwatch.note_activity()
        if event is not None and event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.views.shared.set("hidden", True)
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.views.shared.set("hidden", False)
        super().keyReleaseEvent(event)

    # Drag and drop, closing

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        mime = None if event is None else event.mimeData()
        if event is not None and mime is not None and mime.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        mime = None if event is None else event.mimeData()
        if event is None or mime is None:
            return
        paths = [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
        event.acceptProposedAction()
        if paths:
            self.session.scan(paths)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        if not self.session.shut_down(force=self.notices.close_anyway) and event is not None:
            self.notices.refuse_to_close()
            event.ignore()
            return
        self.archive.close()
        self.follow_up.end()
        self.follow_up.close()
        self.docks.save()
        super().closeEvent(event)
