"""A reader who does anything at all: clicks, drags, keys, wheel, drops, closing, any dialog."""

from __future__ import annotations

import gc
import random
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import (
    QCoreApplication,
    QEvent,
    QMimeData,
    QObject,
    QPoint,
    QPointF,
    QSettings,
    Qt,
    QTimer,
    QtMsgType,
    QUrl,
    qInstallMessageHandler,
)
from PyQt6.QtGui import QDropEvent, QKeySequence, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QMenu, QWidget

from scarseg.case.stack import LgeSequence, Stack
from scarseg.gui import actions, app
from scarseg.gui.main_window import MainWindow
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.session.session import ModelsLoader
from scarseg.simulate.write_dicom import write_series
from tests.conftest import make_phantom_stack
from tests.fakes import fake_models
from tests.reliability.invariants import Watched, differences_on_disk

HARMLESS = ("propagateSizeHints", "This plugin does not support", "occurs outside target window")
OPENING = ("open_folder", "open_files", "demo", "next_study")
"""Chosen less often, so that a reading lasts a while."""
PATIENCE_S = 30.0
NONE = Qt.KeyboardModifier.NoModifier
MODIFIERS = (
    NONE,
    NONE,
    NONE,
    NONE,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
)
LEFT, RIGHT, MIDDLE = (
    Qt.MouseButton.LeftButton,
    Qt.MouseButton.RightButton,
    Qt.MouseButton.MiddleButton,
)


def make_studies(folder: Path, n: int = 4) -> list[Path]:
    """Write phantoms that differ in size and kind, and a folder without any image."""
    made = []
    for k in range(n):
        stack = make_phantom_stack()
        keep = (5, 3, 1, 4)[k % 4]
        pixels = stack.pixels[:keep] - (60 if k == 3 else 0)
        sources = tuple(
            replace(each, sop_instance_uid=f"1.2.5.{k}.{m}")
            for m, each in enumerate(stack.sources[:keep])
        )
        study: Stack = replace(
            stack, pixels=np.array(pixels), origins_mm=stack.origins_mm[:keep], sources=sources,
            series_uid=f"1.2.7.{k}", study_uid=f"1.2.6.{k}", patient_id=f"P{k}",
            sequence=LgeSequence.PSIR if k == 3 else LgeSequence.MAGNITUDE,
        )  # fmt: skip
        write_series(folder / str(k), study)
        made.append(folder / str(k))
    (folder / "none").mkdir()
    (folder / "none" / "notes.txt").write_text("nothing to see")
    return [*made, folder / "none"]


class RandomReader:
    """Do random things at a real window; ``problems`` collects all that went wrong.

    Args:
        models_loader: loads what proposes and answers.
    """

    def __init__(self, folder: Path, seed: int, models_loader: ModelsLoader = fake_models) -> None:
        self.chance = random.Random(seed)
        self._models_loader = models_loader
        self.folder, self.problems = folder, list[str]()
        self.done: Counter[str] = Counter()
        self._last: deque[str] = deque(maxlen=12)
        self.studies = make_studies(folder / "studies")
        self._out = folder / "out"
        self._out.mkdir()
        self.qt = app.application()
        self._watched: Watched | None = None
        self._exporting = 0
        self._before = (sys.excepthook, sys.unraisablehook, qInstallMessageHandler(self._qt_said))
        sys.excepthook, sys.unraisablehook = self._caught, self._unraisable
        self._janitor = QTimer()
        self._janitor.timeout.connect(self._tidy)
        self._janitor.start(3)
        self.window = self.seat()

    # What went wrong

    def _note(self, text: str) -> None:
        where = " < ".join(reversed(self._last))
        self.problems.append(f"{text}\n   after: {where}")

    def _caught(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        self._note("".join(traceback.format_exception(kind, error, trace)))

    def _unraisable(self, found: Any) -> None:
        self._note(f"unraisable: {found.exc_value!r} in {found.object!r}")

    def _qt_said(self, kind: QtMsgType, _context: object, text: str | None) -> None:
        if not any(word in (text or "") for word in HARMLESS):
            self._note(f"Qt: {text}")

    def finish(self) -> None:
        """Leave, and put back what was hooked."""
        self.leave()
        self._janitor.stop()
        sys.excepthook, sys.unraisablehook = self._before[:2]
        qInstallMessageHandler(self._before[2])

    # Coming and going

    def seat(self) -> MainWindow:
        """Open a window whose questions are answered at random."""
        settings = QSettings(str(self.folder / "settings.ini"), QSettings.Format.IniFormat)
        window = app.make_window(self._models_loader, self.folder / "cases", settings)
        for name, answers in self._answers().items():
            if hasattr(window.dialogs, name):
                setattr(window.dialogs, name, answers)
        window.session.opened.connect(self._watch)
        window.show()
        window.session.start()
        return window

    def _answers(self) -> dict[str, Callable[..., Any]]:
        pick = self.chance.choice

        def path() -> Path:
            self._exporting += 1
            return self._out / pick((f"{self._exporting}.out", "same.csv", "missing/x.csv"))

        return {
            "folder": lambda *_: pick((None, *self.studies)),
            "files": lambda *_: pick(([], [pick(self.studies)])),
            "save_as": lambda *_: pick((None, path())),
            "confirm": lambda *_: pick((True, False)),
            "reason": lambda *_: pick((None, "Artefact", "")),
            "thickness_mm": lambda *_: pick((None, 8.0)),
        }

    def leave(self) -> None:
        """Close the window and let everything of it go."""
        self._let_popups_go()
        self._settle()
        self.check()
        self.window.close()
        if self.window.isVisible():
            self._note("the window did not close")
            self.window.session.shut_down(force=True)
        self.window.hide()
        self.window.deleteLater()
        self._watched = None
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        self.qt.processEvents()

    def _watch(self) -> None:
        self._broken()
        current = self.window.session.current
        self._watched = None if current is None else Watched(current.document)

    def _broken(self) -> None:
        if self._watched is not None:
            self.done["steps"] += self._watched.n_steps
            self._watched.n_steps = 0
            for each in self._watched.broken:
                self._note(each)
            self._watched.broken.clear()

    # Checking

    def check(self) -> None:
        """Wait for everything to end, then check the case."""
        self._settle()
        current = self.window.session.current
        if current is None or self._watched is None:
            return
        if self._watched.document is not current.document:
            self._watched = Watched(current.document)
        if current.document.read_only:
            words = self.window.banner.text.text()
            self._note(f"the case is open for reading only, and no other window has it: {words}")
        self._watched.check_labels()
        if not current.document.read_only:
            self._watched.check_steps()
            current.saver.save_now()
            self._settle()
            for each in differences_on_disk(current):
                self._note(f"the case file differs: {each}")
        self._broken()

    def _settle(self) -> None:
        end = time.monotonic() + PATIENCE_S
        session = self.window.session
        while time.monotonic() < end:
            self.qt.processEvents()
            saving = session.current is not None and session.current.saver.state in (
                SaveState.UNSAVED,
                SaveState.SAVING,
            )
            if saving and session.current is not None:
                session.current.saver.save_now()
            if not (
                session.disk_worker.busy
                or session.export_worker.busy
                or session.inference_worker.busy
                or saving
            ):
                return
            time.sleep(0.001)
        self._note("it does not come to rest")

    # Doing things

    def act(self) -> None:
        """Do one random thing and let the window answer."""
        names = ("action", "key", "drag", "click", "wheel", "open", "resize", "drop", "close")
        weights = (30, 16, 22, 22, 10, 2, 1, 1, 0.6)
        name = self.chance.choices(names, weights)[0]
        self.done[name] += 1
        self._last.append(name)
        getattr(self, f"_{name}")()
        for _ in range(self.chance.choice((1, 1, 2, 5))):
            self.qt.processEvents()

    def _choose_action(self) -> actions.ActionSpec:
        while True:
            row = self.chance.choice(actions.ACTIONS)
            if row.name == "quit" or (row.name in OPENING and self.chance.random() < 0.85):
                continue
            return row

    def _action(self) -> None:
        row = self._choose_action()
        self._last.append(row.name)
        self.window.actions_by_name[row.name].trigger()

    def _key(self) -> None:
        row = self._choose_action()
        if not row.keys:
            return
        self._last.append(f"key {row.keys[0]}")
        combination = QKeySequence(self.chance.choice(row.keys))[0]
        target = self._place()[0]
        if self.chance.random() < 0.9:
            target = self.window
        QTest.keyPress(target, combination.key(), combination.keyboardModifiers())
        QTest.keyRelease(target, combination.key(), combination.keyboardModifiers())

    def _place(self) -> tuple[QWidget, QPoint]:
        """Choose where the hand is: mostly in the middle of the window."""
        area = self.window.rect()
        if self.chance.random() < 0.6:
            area = area.adjusted(area.width() // 4, area.height() // 8, 0, 0)
            area = area.adjusted(0, 0, -area.width() // 4, -area.height() // 4)
        at = QPoint(
            self.chance.randint(area.left(), max(area.right(), area.left())),
            self.chance.randint(area.top(), max(area.bottom(), area.top())),
        )
        return self.window.childAt(at) or self.window, at

    def _click(self) -> None:
        _, at = self._place()
        handle = self.window.windowHandle()
        button = self.chance.choice((LEFT, LEFT, LEFT, RIGHT, MIDDLE))
        modifier = self.chance.choice(MODIFIERS)
        self._last.append(f"{button.name} {modifier.name} at {at.x()},{at.y()}")
        QTest.mouseMove(handle, at)
        twice = self.chance.random() < 0.15
        (QTest.mouseDClick if twice else QTest.mouseClick)(handle, button, modifier, at)

    def _drag(self) -> None:
        """Press, move, let go; sometimes something else happens on the way."""
        _, at = self._place()
        handle = self.window.windowHandle()
        button = self.chance.choice((LEFT, LEFT, LEFT, LEFT, RIGHT, MIDDLE))
        modifier = self.chance.choice(MODIFIERS)
        self._last.append(f"{button.name} {modifier.name} from {at.x()},{at.y()}")
        QTest.mouseMove(handle, at)
        QTest.mousePress(handle, button, modifier, at)
        for _ in range(self.chance.randint(1, 6)):
            at += QPoint(self.chance.randint(-40, 40), self.chance.randint(-40, 40))
            self._move(handle, at, button, modifier)
        if self.chance.random() < 0.15:
            self._last.append("amidst")
            self.chance.choice((self._action, self._key, self._wheel))()
            self._move(handle, at + QPoint(3, 3), button, modifier)
        QTest.mouseRelease(handle, button, modifier, at)

    def _move(self, handle: Any, at: QPoint, button: Any, modifier: Any) -> None:
        QTest.mouseMove(handle, at)
        self.qt.processEvents()

    def _wheel(self) -> None:
        target, at = self._place()
        turned = self.chance.choice((120, -120, 240, -360, 15, -40))
        modifier = self.chance.choice(MODIFIERS)
        self._last.append(f"wheel {turned} {modifier.name}")
        local = QPointF(target.mapFrom(self.window, at))
        event = QWheelEvent(
            local, QPointF(self.window.mapToGlobal(at)), QPoint(), QPoint(0, turned),
            Qt.MouseButton.NoButton, modifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(target, event)

    def _open(self) -> None:
        self._last.append("scan")
        self.window.session.scan([self.chance.choice(self.studies)])

    def _drop(self) -> None:
        mime = QMimeData()
        chosen = self.chance.sample(self.studies, 2)
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in chosen])
        where = QPointF(self._place()[1])
        self.window.dropEvent(QDropEvent(where, Qt.DropAction.CopyAction, mime, LEFT, NONE))

    def _resize(self) -> None:
        self.window.resize(self.chance.randint(400, 2560), self.chance.randint(300, 1440))

    def _close(self) -> None:
        self.leave()
        self.window = self.seat()

    def cycle(self, n_events: int = 3) -> None:
        """Open a study in a new window, do a little, close it."""
        self.window.session.scan([self.chance.choice(self.studies[:-1])])
        self._settle()
        for _ in range(n_events):
            self.act()
        self._close()

    def _let_popups_go(self) -> None:
        for _ in range(100):
            widget = QApplication.activePopupWidget() or QApplication.activeModalWidget()
            if widget is None:
                return
            widget.close()
            self.qt.processEvents()

    def _tidy(self) -> None:
        """Choose in or close what has popped up; runs within loops of menus and dialogs too."""
        widget = QApplication.activePopupWidget() or QApplication.activeModalWidget()
        if widget is None or self.chance.random() < 0.5:
            return
        if isinstance(widget, QMenu) and self.chance.random() < 0.5:
            offered = [each for each in widget.actions() if each.isEnabled()]
            chosen = self.chance.choice(offered) if offered else None
            if chosen is not None and chosen is not self.window.actions_by_name["quit"]:
                self._last.append(f"menu {chosen.text()}")
                widget.setActiveAction(chosen)
                if chosen.menu() is None:
                    widget.close()
                    chosen.trigger()
                    return
        widget.close()


def count_objects() -> tuple[int, int]:
    """Return how many widgets, and how many QObjects known to Python, there are."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    # By type: to ask some libraries' objects for their class makes them warn.
    n_objects = sum(issubclass(type(each), QObject) for each in gc.get_objects())
    return len(QApplication.allWidgets()), n_objects
