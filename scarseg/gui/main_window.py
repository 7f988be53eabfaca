"""The window: arranges panels and actions; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QUndoGroup
from PyQt6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui import actions, theme
from scarseg.gui.commands import Commands, ExportCommands, ReaderName
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.panels import toolbar, welcome
from scarseg.gui.panels.bullseye import BullseyeController
from scarseg.gui.panels.histogram import Histogram
from scarseg.gui.panels.pictures import PictureExport
from scarseg.gui.panels.rereading import RereadingController
from scarseg.gui.panels.results import IntervalLabel, ResultsPanel
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.panels.threshold_methods import ThresholdComparison
from scarseg.gui.panels.tool_selection import ToolSelection
from scarseg.gui.panels.toolbar import StatusBar, ViewOptionsBar
from scarseg.gui.presenter import Presenter
from scarseg.gui.reading_time import ReadingTime
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.session import Session
from scarseg.gui.viewer import window_level
from scarseg.gui.viewer.filmstrip import Filmstrip
from scarseg.gui.viewer.keyboard_cursor import KeyboardHand
from scarseg.gui.viewer.magnifier import Magnifier
from scarseg.gui.viewer.montage import Views


class Cancellation(QObject):
    """Stop jobs when a reader says so; prompts always stay.

    Signals:
        said: a sentence for the reader that does not need an answer.
    """

    said = pyqtSignal(str)

    def __init__(self, session: Session, views: Views, foot: StatusBar, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._views = session, views
        self.said.connect(foot.show_message)
        foot.cancelled.connect(self.cancel)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what Esc does."""
        return {"let_go": self.let_go}

    def let_go(self) -> None:
        """Give up the gesture in hand; with an empty hand, the answer this slice waits for."""
        held = self._views.active.busy
        self._views.let_go()
        current = self._session.current
        if held or current is None:
            return
        if current.inference.cancel_answer(current.document.current):
            self.said.emit("Not waiting for the answer any more; Space asks again.")

    def cancel(self) -> None:
        """Stop looking, opening, writing, proposing and answering."""
        current = self._session.current
        pending = current is not None and bool(current.inference.pending)
        self._session.cancel()
        self.said.emit("Cancelled. Space asks again." if pending else "Cancelled.")


STUDIES_WIDTH = 212
"""Width of the list of studies in a small window."""


class ViewAids(QObject):
    """Make them, and connect them with the window.

    Args:
        views: of the open stack.
        room: where the histogram stands.
    """

    def __init__(
        self,
        session: Session,
        views: Views,
        view_row: ViewOptionsBar,
        room: QVBoxLayout,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._window = window
        self.histogram = Histogram(session, views, view_row, room)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._fit_letters)
        self.magnifier = Magnifier(window)
        self.keyboard = KeyboardHand(session, lambda: views.active, window)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions do."""
        return dict.fromkeys(("histogram", "magnifier", "keyboard"), lambda: None)

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the actions that switch things on and off."""
        self.histogram.bind(actions["histogram"], self._window)
        self.keyboard.take(actions)
        self._window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and watched is self._window:
            self._soon.start()
        return False

    def _fit_letters(self) -> None:
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.fit_fonts(application, self._window.size())
            studies = self._window.findChild(StudiesPanel)
            if studies is not None:
                studies.setFixedWidth(theme.px(STUDIES_WIDTH))


class MainWindow(QMainWindow):
    """The reading desk."""

    def __init__(self, session: Session, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle("scarseg")
        self.setAcceptDrops(True)
        self.session = session
        self._asked_to_close = False
        self.steps = QUndoGroup(self)
        self.dialogs = Dialogs(self)
        self.commands = Commands(session, self.dialogs, self)
        self.views, self.strip = Views(self.commands, settings, self), Filmstrip()
        self.canvas = self.views.canvas
        self.results, self.studies = ResultsPanel(), StudiesPanel()
        self.banner, self.status_bar, self.view_row = (
            toolbar.Banner(),
            toolbar.StatusBar(),
            ViewOptionsBar(),
        )
        self.hand = ToolSelection(session, self.views, self.view_row, self)
        self.view_aids = ViewAids(session, self.views, self.view_row, self.results.room, self)
        self.pictures = PictureExport(
            self.commands, self.views, self.strip, lambda: self.presenter.measured, self
        )
        self.reading_time = ReadingTime(
            session,
            self.commands,
            self.results,
            self.studies,
            self.views,
            self.status_bar.clock,
            self,
        )
        self.comparison = ThresholdComparison(
            session, self.views, self.view_row, self.hand.choose_tool, self
        )
        self.interval_line = IntervalLabel(session, self.results, self)
        self.bullseye = BullseyeController(
            session, self.views, self.results, self.commands.go_to, self
        )
        self.export_commands = ExportCommands(session, self.commands, settings, self)
        self.reader = ReaderName(session, self.commands, settings, self)
        self.rereadings = RereadingController(
            session, self.commands, self.reader, self.banner, self
        )
        self.cancellation = Cancellation(session, self.views, self.status_bar, self)
        self.actions_by_name = actions.create_actions(self, self._handlers())
        self.tool_bar = toolbar.ToolBar(self.actions_by_name)
        self.presenter = Presenter(
            session, settings, self.views, self.strip, self.results, self.tool_bar, self.view_row,
            self.status_bar, self,
        )  # fmt: skip
        for name, text, button in (
            ("export", "Export   Ctrl+E", self.results.export),
            ("history", "History   Y", self.results.history),
            ("next_study", "Next unread   Tab", self.studies.next),
        ):
            toolbar.configure_button(self.actions_by_name[name], text, button)
        self._arrange()
        self._connect()
        self._show_open()
        for name in ("undo", "redo", "open_last"):
            self.actions_by_name[name].setEnabled(False)
        self.hand.bind(self.actions_by_name)
        self.reading_time.take(self.actions_by_name)
        self.view_aids.take(self.actions_by_name)
        self.bullseye.bind(self.actions_by_name)
        self.comparison.bind(self.actions_by_name)
        self.rereadings.bind(self.actions_by_name)

    def _arrange(self) -> None:
        centre = QVBoxLayout()
        centre.setContentsMargins(0, 0, 0, 0)
        centre.setSpacing(0)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.views)
        self.middle.addWidget(welcome.Welcome(self.actions_by_name))
        for widget in (self.middle, self.view_row, self.comparison.strip, self.strip):
            centre.addWidget(widget, 1 if widget is self.middle else 0)
        desk = QHBoxLayout()
        desk.setContentsMargins(0, 0, 0, 0)
        desk.setSpacing(0)
        desk.addWidget(self.studies)
        desk.addLayout(centre, 1)
        desk.addWidget(self.results)
        page = QWidget()
        page.setLayout(desk)
        self.pages = QStackedWidget()
        self.pages.addWidget(welcome.Welcome(self.actions_by_name))
        self.pages.addWidget(page)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for part in (self.tool_bar, self.rereadings.strip, self.banner):
            column.addWidget(part)
        column.addWidget(self.pages, 1)
        whole = QWidget()
        whole.setLayout(column)
        self.setCentralWidget(whole)
        self.setStatusBar(self.status_bar)

    def _handlers(self) -> dict[str, Callable[[], object]]:
        desk = self.commands
        handlers: dict[str, Callable[[], object]] = {
            name: getattr(desk, name)
            for name in (
                "open_folder", "open_files", "demo", "next_study", "export", "export_all",
                "save_prompts", "save", "undo", "redo", "segment", "accept", "no_scar",
                "not_assessable", "propose_again",
            )
        }  # fmt: skip
        handlers |= self.hand.handlers() | self.view_aids.handlers() | self.reading_time.handlers()
        handlers |= self.bullseye.handlers() | self.export_commands.handlers()
        handlers |= self.cancellation.handlers() | self.comparison.handlers()
        handlers |= self.reader.handlers() | self.rereadings.handlers()
        handlers |= {
            name: getattr(self.pictures, name)
            for name in ("copy_slice", "copy_montage", "save_slice", "save_montage")
        }
        handlers |= {
            "quit": self.close,
            "open_last": self.session.open_last,
            "clip": desk.clip,
            "propose_mvo": desk.propose_mvo,
            "carry_up": partial(desk.carry, -1),
            "carry_down": partial(desk.carry, 1),
            "propose_wall": desk.propose_wall,
            "copy_up": partial(desk.copy, -1),
            "copy_down": partial(desk.copy, 1),
            "previous_slice": partial(desk.step, -1),
            "next_slice": partial(desk.step, 1),
            "fit": lambda: self.views.active.fit(),
            "montage": self.views.toggle,
            "auto_window": lambda: self.presenter.choose_preset(window_level.AUTOMATIC),
            "hide": lambda: None,
            "keys": self.dialogs.keys,
            "about": self._about,
        }
        return handlers

    def _connect(self) -> None:
        session, desk, views = self.session, self.commands, self.views
        session.opened.connect(self._show_open)
        session.study_list_changed.connect(self._show_library)
        session.notice.connect(self.banner.show_notice)
        session.said.connect(self.status_bar.show_message)
        session.scanner.remembered.connect(self._offer_last)
        session.asked.connect(self._ask)
        session.images_needed.connect(
            lambda text: self._ask(text, "Show the folder …", desk.open_folder, False)
        )
        session.working.connect(self._show_work)
        session.models_ready.connect(self.presenter.models_changed)
        desk.said.connect(self.status_bar.show_message)
        self.hand.said.connect(self.status_bar.show_message)
        self.bullseye.insertion.said.connect(self.status_bar.show_message)
        self.comparison.said.connect(self.status_bar.show_message)
        self.comparison.fitted.connect(self._show_parts)
        self.view_aids.keyboard.said.connect(self.status_bar.show_message)
        self.reading_time.stopwatch.ticked.connect(self.presenter.show_clock)
        views.refused.connect(self.status_bar.show_message)
        views.hovered.connect(self.view_row.hover.setText)
        views.levels_changed.connect(
            lambda: self.view_row.presets.setCurrentText(window_level.BY_HAND)
        )
        views.levels_settled.connect(lambda: self.presenter.levels_settled())
        views.switched.connect(self._show_parts)
        self.strip.chosen.connect(desk.go_to)
        self.results.slice_chosen.connect(desk.go_to)
        self.studies.entry_chosen.connect(session.open)
        self.view_row.preset_chosen.connect(self.presenter.choose_preset)
        # A group outlives its stacks: a document that goes does not rename the next one's steps.
        self.steps.canUndoChanged.connect(self.actions_by_name["undo"].setEnabled)
        self.steps.canRedoChanged.connect(self.actions_by_name["redo"].setEnabled)
        self.steps.undoTextChanged.connect(self._name_steps)
        self.steps.redoTextChanged.connect(self._name_steps)

    # What is open

    def _show_open(self) -> None:
        current = self.session.current
        self.pages.setCurrentIndex(0 if current is None else 1)
        for row in actions.ACTIONS:
            if row.needs_case and row.name not in ("undo", "redo"):
                able = current is not None and (
                    row.name not in actions.EDITING_ACTIONS or not current.document.read_only
                )
                self.actions_by_name[row.name].setEnabled(able)
        self.presenter.models_changed()
        self._show_parts()
        if current is None:
            return
        self.banner.clear()
        self.presenter.attach()
        self._show_library()
        self.steps.addStack(current.document.undo_stack)
        self.steps.setActiveStack(current.document.undo_stack)
        current.saver.state_changed.connect(self._show_save)
        current.inference.failed.connect(self.banner.show_notice)
        self.views.active.setFocus()

    def _show_parts(self) -> None:
        """Show what belongs to an open stack; the montage does the strip's work."""
        shown = self.session.current is not None
        for part in (self.results, self.view_row, self.views):
            part.setVisible(shown)
        self.comparison.strip.setVisible(shown and self.comparison.wanted)
        instead = self.views.montage or self.comparison.replaces_strip
        self.strip.setVisible(shown and not instead)
        self.actions_by_name["montage"].setChecked(self.views.montage)

    def _name_steps(self, _text: str) -> None:
        for name, step in (("undo", self.steps.undoText()), ("redo", self.steps.redoText())):
            self.actions_by_name[name].setText(f"{name.capitalize()} {step}".strip())

    def _show_library(self) -> None:
        current = self.session.current
        self.studies.show_library(self.session.study_list, current.entry if current else None)
        library = self.session.study_list
        if library.studies or library.refused:
            self.pages.setCurrentIndex(1)
        openable = any(not entry.code for study in library.studies for entry in study.entries)
        self.middle.setCurrentIndex(0 if current is not None or openable else 1)

    def _show_work(self, fraction: float, what: str) -> None:
        self.status_bar.show_progress(fraction, what)
        if not what:
            self.presenter.models_changed()

    def _ask(self, text: str, verb: str, act: Callable[[], object] | None, lasts: bool) -> None:
        self.banner.show_notice(text, retry=act, verb=verb, lasts=lasts)

    def _offer_last(self, folder: Path) -> None:
        name = folder.name if len(folder.parts) < 3 else f"… / {folder.parent.name} / {folder.name}"
        self.actions_by_name["open_last"].setText(f"Continue: {name}")
        self.actions_by_name["open_last"].setEnabled(True)

    def _show_save(self) -> None:
        current = self.session.current
        if current is None:
            return
        if current.saver.state is SaveState.FAILED:
            self.banner.show_notice(
                f"Not saved. {current.saver.problem}", severe=True, retry=current.saver.save_now
            )
        elif self.banner.lasting and current.saver.state is SaveState.SAVED:
            self._asked_to_close = False
            self.banner.clear()

    # The hand and the eye

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

    # Coming and going

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
        if not self.session.shut_down(force=self._asked_to_close) and event is not None:
            self._asked_to_close = True
            self.banner.show_notice(
                "Your reading is not saved. Close again to leave without it.", True
            )
            event.ignore()
            return
        super().closeEvent(event)
