"""The real window on the offscreen platform, driven by a reader's verbs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QPointF, QSettings, Qt, QtMsgType, qInstallMessageHandler
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from scarseg.case.stack import Stack
from scarseg.gui import app
from scarseg.gui.dialogs.earlier_study import EarlierStudy
from scarseg.gui.dialogs.weights import WeightsChoice
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.export import ExportFormat, ExportRequest
from scarseg.gui.session.inference_state import Readiness
from scarseg.models import Models
from scarseg.segmentation.pipeline import awaits_mvo
from tests.fakes import fake_models

HARMLESS = ("propagateSizeHints",)


class FakeDialogs:
    """Answer the window's questions as the test said beforehand."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.why: str | None = "Artefact"
        self.thickness: float | None = 8.0
        self.yes = False
        self.asked: list[str] = []
        self.title = self.subject = ""
        self.request: ExportRequest | None = None
        self.earlier: EarlierStudy | None = EarlierStudy(0)
        self.file: Path | None = None
        self.choice: WeightsChoice | None = None
        self.offered_studies: list[str] = []

    def folder(self, title: str = "") -> Path | None:
        return self.path

    def earlier_study(self, subject: str, studies: Sequence[str]) -> EarlierStudy | None:
        self.subject, self.offered_studies = subject, list(studies)
        return self.earlier

    def weights(self, in_use: str, path: Path | None) -> WeightsChoice | None:
        self.weights_in_use = in_use, path
        return self.choice

    def case_file(self) -> Path | None:
        return self.file

    def files(self) -> list[Path]:
        return [self.path] if self.path else []

    def save_as(self, title: str, name: str, kind: str) -> Path | None:
        self.title = title
        return self.path

    def export_request(
        self,
        subjects: tuple[str, str],
        formats: frozenset[ExportFormat],
        n_series: int,
        dicom: bool,
    ) -> ExportRequest | None:
        self.offered = (formats, n_series, dicom)
        self.subject, self.everybody = subjects
        return self.request

    def open_file(self, path: Path) -> bool:
        self.shown = path
        return True

    def confirm(self, text: str, yes: str) -> bool:
        self.asked.append(text)
        return self.yes

    def reason(self) -> str | None:
        return self.why

    def thickness_mm(self, title: str) -> float | None:
        return self.thickness


class Reader:
    """Somebody at the desk. Positions are source pixels (column, row)."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        self.dialogs = FakeDialogs()
        window.commands.dialogs = self.dialogs  # type: ignore[assignment]

    @property
    def session(self):
        return self.window.session

    @property
    def document(self):
        return self.session.current.document

    @property
    def case(self):
        return self.document.case

    @property
    def inference(self):
        return self.session.current.inference

    @property
    def prompts(self):
        return self.document.reading.prompts

    def open(self, stack: Stack) -> None:
        self.session.open_stack(stack)
        self.wait(
            lambda: self.session.current and self.session.current.entry.stack_id == stack.stack_id
        )

    def wait(self, until: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(until()), timeout=60_000)

    def see_numbers(self) -> None:
        """Show now the numbers that follow the picture a moment later, as their timer does."""
        self.window.presenter._numbers.timeout.emit()

    def wait_ready(self) -> None:
        self.wait(lambda: all(r is Readiness.READY for r in self.inference.readiness))
        self.wait(self.knows_mvo)

    def wait_answer(self) -> None:
        self.wait(lambda: not self.inference.pending and self.knows_mvo())
        self.see_numbers()

    def knows_mvo(self) -> bool:
        """Return whether MVO was looked for wherever the models drew scar, or cannot be."""
        inference = self.inference
        return inference._jobs._without_remote == self.document.revision or not any(
            awaits_mvo(self.case, k)
            and inference.embeddings[k]
            and not inference.is_drawn_manually(k)
            for k in range(self.case.stack.n_slices)
        )

    def wait_saved(self) -> None:
        self.wait(lambda: self.session.current.saver.state is SaveState.SAVED)

    def go_to(self, k: int) -> None:
        self.window.strip.tiles[k].clicked.emit(k)
        self.see_numbers()
        assert self.document.current == k

    def act(self, name: str) -> None:
        """Do what a menu or key does; a greyed-out action cannot be done."""
        action = self.window.actions_by_name[name]
        assert action.isEnabled(), name
        action.trigger()
        self.see_numbers()

    def press_key(self, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
        self.qtbot.keyClick(self.window.canvas, key, modifier)

    def mouse(
        self,
        kind: QMouseEvent.Type,
        at: tuple[float, float],
        button=Qt.MouseButton.LeftButton,
        modifiers=Qt.KeyboardModifier.NoModifier,
    ) -> None:
        position = self.window.canvas.from_source(*at)
        held = Qt.MouseButton.NoButton if kind == QMouseEvent.Type.MouseButtonRelease else button
        pressed = button if kind != QMouseEvent.Type.MouseMove else Qt.MouseButton.NoButton
        event = QMouseEvent(kind, QPointF(position), QPointF(position), pressed, held, modifiers)
        QApplication.sendEvent(self.window.canvas.viewport(), event)

    def drag(self, *path: tuple[float, float], button=Qt.MouseButton.LeftButton, modifiers=None):
        modifiers = modifiers or Qt.KeyboardModifier.NoModifier
        self.mouse(QMouseEvent.Type.MouseButtonPress, path[0], button, modifiers)
        for at in path[1:]:
            self.mouse(QMouseEvent.Type.MouseMove, at, button, modifiers)
        self.mouse(QMouseEvent.Type.MouseButtonRelease, path[-1], button, modifiers)
        self.see_numbers()

    def wheel(self, turned: int, modifiers=Qt.KeyboardModifier.NoModifier, sideways=False) -> None:
        """Turn the wheel over the middle of the slice; away from the reader is positive."""
        canvas = self.window.canvas
        at = QPointF(canvas.rect().center())
        by = QPoint(turned, 0) if sideways else QPoint(0, turned)
        phase, nothing = Qt.ScrollPhase.NoScrollPhase, Qt.MouseButton.NoButton
        event = QWheelEvent(at, at, QPoint(), by, nothing, modifiers, phase, False)
        QApplication.sendEvent(canvas.viewport(), event)

    def drag_box(self, column0: float, row0: float, column1: float, row1: float) -> None:
        self.act("box")
        self.drag((column0, row0), (column1, row1))

    def click(self, column: float, row: float, positive: bool = True) -> None:
        self.act("point")
        modifier = Qt.KeyboardModifier.NoModifier if positive else Qt.KeyboardModifier.AltModifier
        self.drag((column, row), modifiers=modifier)

    def paint(self, *path: tuple[float, float]) -> None:
        self.act("brush")
        self.drag(*path)

    def erase(self, *path: tuple[float, float]) -> None:
        self.act("eraser")
        self.drag(*path)

    def accept(self) -> None:
        self.act("accept")

    def undo(self) -> None:
        self.act("undo")

    def redo(self) -> None:
        self.act("redo")

    def export(self, path: Path, what: str = "export") -> None:
        self.dialogs.path = path
        self.act(what)
        self.wait(lambda: not self.session.disk_worker.busy and not self.session.export_worker.busy)

    def settle(self) -> None:
        """Wait for everything that was begun."""
        session = self.session
        lanes = (session.disk_worker, session.export_worker, session.inference_worker)
        self.wait(lambda: not any(lane.busy for lane in lanes))
        self.see_numbers()


@pytest.fixture
def qt_words() -> Iterator[list[str]]:
    """Fail a test to which Qt had something to say."""
    said: list[str] = []

    def hear(kind: QtMsgType, context: object, text: str | None) -> None:
        if not any(word in (text or "") for word in HARMLESS):
            said.append(f"{kind}: {text}")

    before = qInstallMessageHandler(hear)
    yield said
    qInstallMessageHandler(before)
    assert not said, f"Qt said: {said}"


@pytest.fixture
def log_words(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Fail a test that logs what it did not expect; clear the list where it does."""
    expected: list[str] = []
    yield expected
    lines = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING
        and not any(word in record.getMessage() for word in expected)
    ]
    assert not lines, f"unexpected log lines: {lines}"


@pytest.fixture
def no_leaks(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a window behind."""
    yield
    QApplication.sendPostedEvents()
    qapp.processEvents()
    left = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    assert not left, f"left behind: {left}"


@pytest.fixture
def no_late_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the doubts that a worker finds some time later: only what is at once is tested.

    When they come decides which slice is the next doubtful one, and what is marked and remarked.
    """
    monkeypatch.setattr("scarseg.gui.session.doubts.DELAY_MS", 10_000_000)


@pytest.fixture
def make_reader(
    qtbot: QtBot, qt_words: list[str], log_words: list[str], no_leaks: None, tmp_path: Path
) -> Iterator[Callable[..., Reader]]:
    """Seat a reader at a new window; windows of one test share the folder of cases."""
    seated: list[Reader] = []
    app.application()

    def make(models: Models | None = None, loader: Callable[[], Models] | None = None) -> Reader:
        settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
        chosen = models or fake_models()
        window = app.make_window(loader or (lambda: chosen), tmp_path / "cases", settings)
        reader = Reader(window, qtbot)
        seated.append(reader)
        window.show()
        qtbot.waitExposed(window)
        window.session.start()
        return reader

    yield make
    for reader in seated:
        reader.session.shut_down(force=True)
        reader.window.close()
        reader.window.hide()
        reader.window.deleteLater()
    QApplication.sendPostedEvents()


@pytest.fixture
def reader(make_reader: Callable[..., Reader]) -> Reader:
    return make_reader()


@pytest.fixture
def reading(reader: Reader, phantom_stack: Stack) -> Reader:
    """A reader with the phantom open and every slice proposed."""
    reader.open(phantom_stack)
    reader.wait_ready()
    return reader
