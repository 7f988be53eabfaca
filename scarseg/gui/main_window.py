"""The window: creates the panels and controllers, arranges them and connects their signals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, QSettings, Qt, QTimer
from PyQt6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QResizeEvent,
    QUndoGroup,
)
from PyQt6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui import theme
from scarseg.gui.actions import Actions
from scarseg.gui.commands import Commands
from scarseg.gui.dialogs import Dialogs
from scarseg.gui.panels import status_bar, toolbar, welcome
from scarseg.gui.panels.bullseye import BullseyeController
from scarseg.gui.panels.histogram import Histogram
from scarseg.gui.panels.history import HistoryPanel
from scarseg.gui.panels.pictures import PictureExport
from scarseg.gui.panels.rereading import RereadingController
from scarseg.gui.panels.results import IntervalLabel, ResultsPanel
from scarseg.gui.panels.studies import StudiesPanel
from scarseg.gui.panels.thresholds.comparison import ThresholdComparison
from scarseg.gui.panels.tool_selection import ToolSelection
from scarseg.gui.presenter import Presenter
from scarseg.gui.reading_time import ReadingTime
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.session import Session
from scarseg.gui.session.study_list import PatientLabel
from scarseg.gui.viewer import window_level
from scarseg.gui.viewer.filmstrip import Filmstrip
from scarseg.gui.viewer.keyboard_cursor import KeyboardHand
from scarseg.gui.viewer.magnifier import Magnifier
from scarseg.gui.viewer.montage import Views

PATIENT_KEY = "view/patient"
STUDIES_WIDTH = 212
"""Width of the study list in a small window, in pixels."""


class MainWindow(QMainWindow):
    """The reading window.

    The actions are created first; each controller connects its own in its constructor, and is
    complete then. Controllers follow ``session.opened`` in the order of their creation.
    """

    def __init__(self, session: Session, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle("scarseg")
        self.setAcceptDrops(True)
        self.session, self._settings = session, settings
        self._asked_to_close = False
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
        self._font_timer = QTimer(self)
        self._font_timer.setSingleShot(True)
        self._font_timer.timeout.connect(self._fit_fonts)
        self._enable_actions()
        self._show_open()
        self.actions_by_name["open_last"].setEnabled(False)

    def _create_widgets(self, settings: QSettings) -> None:
        actions = self.actions_by_name
        self.views, self.strip = Views(self.commands, settings, self), Filmstrip()
        self.canvas = self.views.canvas
        self.results, self.studies = ResultsPanel(), StudiesPanel()
        self.history = HistoryPanel()
        self.banner, self.status_bar = status_bar.Banner(), status_bar.StatusBar()
        self.view_row, self.tool_bar = toolbar.ViewOptionsBar(), toolbar.ToolBar(actions)
        self.subject = theme.label("", "subject", "Open patient, date and series")
        self.subject.setContentsMargins(10, 4, 10, 4)
        # A long name must not widen the window; the whole is in the tool tip.
        self.subject.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.magnifier = Magnifier(self)
        for name, text, button in (
            ("export", "Export   Ctrl+E", self.results.export),
            ("history", "History   Y", self.results.history),
            ("next_study", "Next unread   Tab", self.studies.next),
        ):
            toolbar.configure_button(actions[name], text, button)

    def _create_controllers(self, settings: QSettings) -> None:
        session, commands, views, actions = (
            self.session, self.commands, self.views, self.actions_by_name
        )  # fmt: skip
        actions.connect({"cancel_gesture": self._cancel_gesture})  # before the tools' own Esc
        self.tools = ToolSelection(session, views, self.view_row, actions, self)
        self.histogram = Histogram(session, views, self.view_row, self.results.room)
        self.histogram.bind(actions["histogram"], self)
        self.keyboard = KeyboardHand(session, lambda: views.active, self)
        self.keyboard.take(actions)
        self.pictures = PictureExport(
            commands, views, self.strip, lambda: self.presenter.measured, self
        )
        self.reading_time = ReadingTime(
            session, commands, self.results, self.history, views, actions, self.status_bar.clock,
            self,
        )  # fmt: skip
        self.comparison = ThresholdComparison(
            session, views, self.view_row, self.tools.choose_tool, actions, self
        )
        self.interval_line = IntervalLabel(session, self.results, self)
        self.bullseye = BullseyeController(
            session, views, self.results, commands.slices.go_to, actions, self
        )
        self.presenter = Presenter(
            session, settings, views, self.strip, self.results, self.tool_bar, self.view_row,
            self.status_bar, self,
        )  # fmt: skip
        session.opened.connect(self._show_open)
        # Last: what it has to tell about the opened case replaces the notices cleared before.
        self.rereadings = RereadingController(session, commands, self.banner, actions, self)

    def _arrange(self) -> None:
        centre = QVBoxLayout()
        centre.setContentsMargins(0, 0, 0, 0)
        centre.setSpacing(0)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.views)
        self.middle.addWidget(welcome.Welcome(self.actions_by_name))
        for widget in (self.subject, self.middle, self.view_row, self.comparison.strip, self.strip):
            centre.addWidget(widget, 1 if widget is self.middle else 0)
        columns = QHBoxLayout()
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(0)
        columns.addWidget(self.studies)
        columns.addLayout(centre, 1)
        columns.addWidget(self.results)
        page = QWidget()
        page.setLayout(columns)
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

    def _connect_actions(self) -> None:
        pictures = self.pictures
        self.actions_by_name.connect(
            {
                "quit": self.close,
                "fit": lambda: self.views.active.fit(),
                "montage": self.views.toggle,
                "auto_window": lambda: self.presenter.choose_preset(window_level.AUTOMATIC),
                "accept": partial(self._accept, self.commands.slices.accept),
                "accept_seen": partial(self._accept, self.commands.slices.accept_seen),
                "find_study": self.studies.find_study,
                "keys": self.dialogs.keys,
                "about": self._about,
                "copy_slice": pictures.copy_slice,
                "copy_montage": pictures.copy_montage,
                "save_slice": pictures.save_slice,
                "save_montage": pictures.save_montage,
            }
        )
        for style in PatientLabel:
            self.actions_by_name[f"patient_{style}"].triggered.connect(
                partial(self._name_patients, style)
            )
        stored = str(self._settings.value(PATIENT_KEY, PatientLabel.ID))
        self._name_patients(
            PatientLabel(stored) if stored in list(PatientLabel) else PatientLabel.ID
        )

    def _name_patients(self, style: PatientLabel, _checked: bool = False) -> None:
        """Choose what patients are called in title, list and dialogs, and remember it."""
        self.actions_by_name[f"patient_{style}"].setChecked(True)
        self._settings.setValue(PATIENT_KEY, str(style))
        self.session.set_patient_label(style)

    def _accept(self, accept: Callable[[], None]) -> None:
        """Close an open polygon or lasso; accept only where no gesture is half made."""
        canvas = self.views.gesture_canvas
        if canvas is None:
            accept()
        elif not canvas.close_outline():
            self.status_bar.show_message("Finish what you draw before you accept; Esc discards it.")

    def _connect_session(self) -> None:
        session = self.session
        session.study_list_changed.connect(self._show_study_list)
        session.notice.connect(self.banner.show_notice)
        session.said.connect(self.status_bar.show_message)
        session.scanner.remembered.connect(self._offer_last_folder)
        session.asked.connect(self._ask)
        session.images_needed.connect(
            lambda text: self._ask(
                text, "Show the folder …", self.commands.studies.open_folder, False
            )
        )
        session.working.connect(self._show_work)
        session.models_ready.connect(self.presenter.models_changed)

    def _connect_widgets(self) -> None:
        views, commands = self.views, self.commands
        for message in (
            commands.said, self.tools.said, self.bullseye.insertion.said, self.comparison.said,
            self.keyboard.said, views.refused,
        ):  # fmt: skip
            message.connect(self.status_bar.show_message)
        self.status_bar.cancelled.connect(self._cancel_jobs)
        self.comparison.fitted.connect(self._show_parts)
        self.reading_time.stopwatch.ticked.connect(self.presenter.show_clock)
        views.hovered.connect(self.view_row.hover.setText)
        views.levels_changed.connect(
            lambda: self.view_row.presets.setCurrentText(window_level.BY_HAND)
        )
        views.levels_settled.connect(lambda: self.presenter.levels_settled())
        views.switched.connect(self._show_parts)
        self.strip.chosen.connect(commands.slices.go_to)
        self.results.slice_chosen.connect(commands.slices.go_to)
        self.studies.entry_chosen.connect(self.session.open)
        self.studies.open_row_hidden.connect(self._enable_actions)
        self.studies.open_row_hidden.connect(self._show_subject)
        self.studies.left.connect(lambda: views.active.setFocus())
        self.view_row.preset_chosen.connect(self.presenter.choose_preset)
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
        self.presenter.models_changed()
        self._show_parts()
        self._show_subject()
        if current is None:
            return
        self.banner.clear()
        self.presenter.attach()
        self._show_study_list()
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

    def _show_subject(self) -> None:
        """Show patient, date and series of the open case in the title and over the picture."""
        subject = self.session.open_title
        self.setWindowTitle(f"{subject} — scarseg" if subject else "scarseg")
        hidden = self.studies.hides_open
        note = "  (hidden by the filter of the list: keys are off; Esc in Find shows it)"
        self.subject.setText(subject + note if hidden else subject)
        self.subject.setToolTip(subject)
        self.subject.setVisible(bool(subject))

    def _show_study_list(self) -> None:
        current = self.session.current
        self.studies.show_study_list(self.session.study_list, current.entry if current else None)
        library = self.session.study_list
        if library.studies or library.refused:
            self.pages.setCurrentIndex(1)
        openable = any(not entry.code for study in library.studies for entry in study.entries)
        self.middle.setCurrentIndex(0 if current is not None or openable else 1)
        self._show_subject()

    def _show_work(self, fraction: float, what: str) -> None:
        self.status_bar.show_progress(fraction, what)
        if not what:
            self.presenter.models_changed()

    def _ask(self, text: str, verb: str, act: Callable[[], object] | None, lasts: bool) -> None:
        self.banner.show_notice(text, retry=act, verb=verb, lasts=lasts)

    def _offer_last_folder(self, folder: Path) -> None:
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

    # Cancelling

    def _cancel_gesture(self) -> None:
        """Discard the gesture under way; where there is none, stop waiting for the answer."""
        gesture = self.views.active.busy
        self.views.let_go()
        current = self.session.current
        if gesture or current is None:
            return
        if current.inference.cancel_answer(current.document.current):
            self.status_bar.show_message("Not waiting for the answer any more; Space asks again.")

    def _cancel_jobs(self) -> None:
        """Stop scanning, opening, writing, proposing and answering; prompts stay."""
        current = self.session.current
        pending = current is not None and bool(current.inference.pending)
        self.session.cancel()
        self.status_bar.show_message("Cancelled. Space asks again." if pending else "Cancelled.")

    def _about(self) -> None:
        self.dialogs.about(self.session.models, self.session.models_problem)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in (
            QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel,
            QEvent.Type.KeyPress,
        ):  # fmt: skip
            self.reading_time.stopwatch.note_activity()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._font_timer.start()

    def _fit_fonts(self) -> None:
        """Choose the font size for the size of the window."""
        application = QApplication.instance()
        if isinstance(application, QApplication):
            theme.fit_fonts(application, self.size())
            self.studies.setFixedWidth(theme.px(STUDIES_WIDTH))

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
        if not self.session.shut_down(force=self._asked_to_close) and event is not None:
            self._asked_to_close = True
            self.banner.show_notice(
                "Your reading is not saved. Close again to leave without it.", True
            )
            event.ignore()
            return
        super().closeEvent(event)
