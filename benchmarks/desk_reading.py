"""What one reader does in the window while benchmarks/desk.py holds the stopwatch."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtWidgets import QApplication

from scarseg.case.labels import Label
from scarseg.gui.session.autosave import SaveState
from scarseg.gui.tools.contours import HeartContours

FRAME_S = 0.016
PRESS, MOVE = QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove
RELEASE = QEvent.Type.MouseButtonRelease
ALT, CONTROL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def read(driver: Any) -> None:
    """Open studies, move about, click, draw and take back; leave the rows in the figures."""
    rows: dict[str, tuple[list[float], float | None]] = {}
    driver.figures["rows"] = rows
    driver.until(lambda: driver.session.models is not None)
    driver.quiet()
    driver.heart.begin("opening")
    driver.drop(Path(os.environ["FOLDER"]))
    n_studies = 4
    driver.until(lambda: driver.window.studies.studies.count() == n_studies)
    driver.until(lambda: driver.session.current is not None)
    all_ready(driver)
    open_studies(driver, rows, n_studies)
    driver.heart.begin("looking")
    look(driver, rows)
    driver.heart.begin("clicking")
    click(driver, rows)
    driver.heart.begin("drawing")
    draw(driver, rows)
    driver.heart.begin("moving the wall")
    move_wall(driver, rows)
    save(driver, rows)


def all_ready(driver: Any) -> float:
    """Wait until every slice is proposed; give the moment."""
    n = driver.document.case.stack.n_slices
    moment = driver.until(lambda: driver.inference.n_ready == n)
    driver.quiet()
    return moment


def open_studies(driver: Any, rows: Any, n_studies: int) -> None:
    """Click on the studies of the list, the one with 512 x 512 pixels last."""
    drawn, first, proposed = [], [], []
    studies = driver.window.studies.studies
    order = []
    for row in range(n_studies):
        item = studies.item(row)
        study = item.data(Qt.ItemDataRole.UserRole)
        order.append((study.proposed.source.rows == 512, row))
    opened = driver.session.current.entry
    for _, row in sorted(order):
        study = studies.item(row).data(Qt.ItemDataRole.UserRole)
        if study.proposed is opened:
            continue
        driver.heart.begin("opening and proposing")
        before = driver.session.current
        begin = time.monotonic()
        driver.choose_study(row)
        driver.until(lambda before=before: driver.session.current is not before)
        painted = driver.painted.n
        drawn.append(driver.until(lambda painted=painted: driver.painted.n > painted) - begin)
        k = driver.document.current
        first.append(driver.until(lambda k=k: driver.inference.readiness[k] == "ready") - begin)
        proposed.append(all_ready(driver) - begin)
    rows["open a stack to the first slice drawn"] = (drawn, 0.3)
    rows["  ... to a proposal on that slice"] = (first, None)
    rows["12 slices opened to all proposed"] = (proposed, 3.0)
    rows["  ... of 512 x 512 pixels"] = (proposed[-1:], 3.0)


def look(driver: Any, rows: Any) -> None:
    """Move between slices, window, zoom."""
    go_to(driver, driver.document.case.stack.n_slices // 2)
    moves = ([Qt.Key.Key_Up] * 3 + [Qt.Key.Key_Down] * 3) * 4
    rows["slice change"] = ([driver.painting(partial(driver.key, key)) for key in moves], FRAME_S)
    turns = ([120] * 3 + [-120] * 3) * 4
    rows["slice change by the wheel"] = (
        [driver.painting(partial(driver.wheel, turn)) for turn in turns], FRAME_S,
    )  # fmt: skip
    middle = QPointF(driver.window.canvas.rect().center())
    right = Qt.MouseButton.RightButton
    driver.mouse(PRESS, middle, right)
    rows["window level, one step of a drag"] = (
        [
            driver.painting(partial(driver.mouse, MOVE, middle + QPointF(3 * n, -2 * n), right))
            for n in range(1, 25)
        ],
        FRAME_S,
    )
    driver.mouse(RELEASE, middle + QPointF(72, -48), right)
    QApplication.processEvents()
    zooms = [120] * 8 + [-120] * 8
    rows["zoom, one step of the wheel"] = (
        [driver.painting(partial(driver.wheel, turn, CONTROL)) for turn in zooms], FRAME_S,
    )  # fmt: skip
    driver.key(Qt.Key.Key_F)


def scarred(driver: Any) -> int:
    """Return the slice with the most scar proposed."""
    return int((driver.document.case.labels == Label.SCAR).sum(axis=(1, 2)).argmax())


def go_to(driver: Any, k: int) -> None:
    while driver.document.current != k:
        down = driver.document.current < k
        driver.key(Qt.Key.Key_Down if down else Qt.Key.Key_Up)
    QApplication.processEvents()


def click(driver: Any, rows: Any) -> None:
    """Click into wall and scar, from the release of the button to the mask painted."""
    go_to(driver, scarred(driver))
    driver.key(Qt.Key.Key_P)
    wall = np.argwhere(driver.document.labels >= Label.MYOCARDIUM)
    waits, undos = [], []
    answers = _Answers(driver)
    rng = np.random.default_rng(7)
    for n in range(24):
        row, column = wall[rng.integers(len(wall))]
        at = driver.window.canvas.from_source(column + 0.5, row + 0.5)
        alt = ALT if n % 4 == 3 else Qt.KeyboardModifier.NoModifier
        driver.mouse(PRESS, at, modifier=alt)
        QApplication.processEvents()
        answers.forget()
        begin = time.monotonic()
        driver.mouse(RELEASE, at, modifier=alt)
        if not driver.inference.pending:
            raise RuntimeError("the click was not asked of the model")
        waits.append(driver.until(answers.painted) - begin)
        if n % 3 == 2:
            undos.append(driver.painting(partial(driver.key, Qt.Key.Key_Z, CONTROL)))
    rows["click to mask, slice embedded"] = (waits, 0.050)
    rows["undo of a click and its mask"] = (undos, FRAME_S)


class _Answers:
    """Notice when the slice was painted after the answer to a click had come."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._painted_before: int | None = None
        driver.inference.pending_changed.connect(self._changed)

    def forget(self) -> None:
        """Wait for the answer to the next click."""
        self._painted_before = None

    def _changed(self, _slice: int) -> None:
        # Later changes, as when MVO was looked for, are painted only where they show anything.
        if self._painted_before is None and not self._driver.inference.pending:
            self._painted_before = self._driver.painted.n

    def painted(self) -> bool:
        """Return whether the answer has come and been painted."""
        before = self._painted_before
        return before is not None and self._driver.painted.n > before


def draw(driver: Any, rows: Any) -> None:
    """Dab with the brush on a slice of 512 x 512, take back, choose the threshold brush."""
    driver.key(Qt.Key.Key_D)
    middle = QPointF(driver.window.canvas.rect().center())
    dabs, strokes, undos = [], [], []
    for n in range(12):
        at = middle + QPointF(9 * n - 60, 0)
        dabs.append(driver.painting(partial(driver.mouse, PRESS, at)))
        dabs.append(driver.painting(partial(driver.mouse, MOVE, at + QPointF(4, 5))))
        dabs.append(driver.painting(partial(driver.mouse, MOVE, at + QPointF(6, 12))))
        strokes.append(driver.painting(partial(driver.mouse, RELEASE, at + QPointF(6, 12))))
    undos += [driver.painting(partial(driver.key, Qt.Key.Key_Z, CONTROL)) for _ in range(12)]
    stack = driver.document.case.stack
    rows[f"brush dab, {stack.rows} x {stack.columns}"] = (dabs, FRAME_S)
    rows["brush stroke finished"] = (strokes, FRAME_S)
    rows["undo of a brush stroke"] = (undos, FRAME_S)
    begin = time.perf_counter()
    driver.key(Qt.Key.Key_T)
    QApplication.processEvents()
    rows["threshold brush chosen"] = ([time.perf_counter() - begin], FRAME_S)


def move_wall(driver: Any, rows: Any) -> None:
    """Drag the endocardium of a slice of 512 x 512 there and back, nudge it and the stack."""
    driver.key(Qt.Key.Key_W, SHIFT)
    canvas, k = driver.window.canvas, driver.document.current
    moves, releases, nudges, stacks, undos = [], [], [], [], []
    for n in range(6):
        contours = HeartContours.trace(driver.document.labels_under_scar[k])
        column, row = contours.endocardium.points[0]
        at, by = canvas.from_source(column, row), QPointF(4 if n % 2 else -4, 3)
        driver.mouse(MOVE, at)
        driver.mouse(PRESS, at)
        for share in (1.5, 2, 2.5, 3):
            moves.append(driver.painting(partial(driver.mouse, MOVE, at + share * by)))
        releases.append(driver.painting(partial(driver.mouse, RELEASE, at + 3 * by)))
        undos.append(driver.painting(partial(driver.key, Qt.Key.Key_Z, CONTROL)))
    for n in range(6):
        key = Qt.Key.Key_End if n % 2 else Qt.Key.Key_Home
        nudges.append(driver.painting(partial(driver.key, key)))
        stacks.append(driver.painting(partial(driver.key, key, SHIFT)))
    rows["contour dragged, each move"] = (moves, FRAME_S)
    rows["contour released, scar followed"] = (releases, 0.1)
    rows["contour nudged"] = (nudges, 0.1)
    rows["contours of 12 slices nudged"] = (stacks, 0.1)
    rows["undo of a contour"] = (undos, FRAME_S)


def save(driver: Any, rows: Any) -> None:
    """Time a save on the GUI thread, and until the disk has confirmed it."""
    driver.heart.begin("saving")
    here, off = [], []
    for _ in range(5):
        driver.key(Qt.Key.Key_D)
        at = QPointF(driver.window.canvas.rect().center())
        driver.mouse(PRESS, at)
        driver.mouse(RELEASE, at)
        QApplication.processEvents()
        saver = driver.session.current.saver
        begin = time.perf_counter()
        saver.save_now()
        here.append(time.perf_counter() - begin)
        driver.until(lambda saver=saver: saver.state is SaveState.SAVED)
        off.append(time.perf_counter() - begin)
        driver.key(Qt.Key.Key_Z, CONTROL)
    rows["autosave, on the GUI thread"] = (here, FRAME_S)
    rows["autosave, until the disk has it"] = (off, 0.050)
