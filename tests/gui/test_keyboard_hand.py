"""The hand that the keyboard moves, and a whole reading with key events alone."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QLineEdit

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.prompts import Origin
from scarseg.gui.dialogs import Dialogs
from scarseg.simulate.write_dicom import write_series

pytestmark = pytest.mark.usefixtures("no_late_doubts")

Key, Held = Qt.Key, Qt.KeyboardModifier
ARROWS = (Key.Key_Left, Key.Key_Right, Key.Key_Up, Key.Key_Down)


class Keys:
    """A reader who has no mouse."""

    def __init__(self, reader):
        self.reader = reader
        self.hand = reader.window.keyboard

    def _back(self):
        """Return the window the focus after a dialog, as a window manager would."""
        if QApplication.activeWindow() is not self.reader.window:
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            self.reader.window.activateWindow()
            return False
        return True

    def press(self, key, held=Held.NoModifier, times=1):
        window = self.reader.window
        self.reader.wait(self._back)
        for _ in range(times):
            QTest.keyClick(window.focusWidget() or window, key, held)

    def go(self, column, row):
        """Walk the cursor to a pixel, by strides and steps."""
        for axis, (back, on) in enumerate((ARROWS[:2], ARROWS[2:])):
            away = (column, row)[axis] - int(self.hand.at[axis])
            key = on if away > 0 else back
            self.press(key, Held.ShiftModifier, abs(away) // 8)
            self.press(key, times=abs(away) % 8)


@pytest.fixture
def keys(reading):
    made = Keys(reading)
    reading.go_to(0)
    made.press(Key.Key_R)
    assert made.hand.raised
    return made


def test_arrows_move_the_cursor_and_not_the_slice(reading, keys):
    assert "Space presses" in reading.window.status_bar.message.text()
    column, row = keys.hand.at
    keys.press(Key.Key_Right)
    keys.press(Key.Key_Down, Held.ShiftModifier)
    assert keys.hand.at == (column + 1, row + 8)
    assert reading.document.current == 0
    keys.press(Key.Key_PageDown)
    assert reading.document.current == 1
    keys.press(Key.Key_R)
    assert not keys.hand.raised and not keys.hand.cross.isVisible()
    keys.press(Key.Key_Down)
    assert reading.document.current == 2


def test_the_cross_stands_where_the_hand_is(reading, keys):
    canvas, cross = reading.window.canvas, keys.hand.cross
    keys.go(40, 28)
    for verb in ("fit", "fit"):
        place = canvas.mapTo(reading.window, canvas.from_source(*keys.hand.at).toPoint())
        middle = cross.geometry().center()
        assert abs(middle.x() - place.x()) <= 1 and abs(middle.y() - place.y()) <= 1
        reading.act(verb)
    assert cross.isVisible()


def test_the_cursor_stays_on_the_slice_and_in_sight(reading, keys):
    keys.press(Key.Key_Left, Held.ShiftModifier, times=30)
    assert keys.hand.at[0] == 0.0
    canvas = reading.window.canvas
    assert canvas.rect().contains(canvas.from_source(*keys.hand.at).toPoint())


def test_a_box_is_drawn_resized_moved_and_deleted(reading, keys):
    keys.press(Key.Key_B)
    boxes = len(reading.prompts.boxes)
    keys.go(30, 20)
    keys.press(Key.Key_Space)
    keys.go(42, 30)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    assert len(reading.prompts.boxes) == boxes + 1
    box = reading.prompts.boxes[-1]
    assert box.origin is Origin.READER
    assert (box.width, box.height) == pytest.approx((12, 10), abs=0.6)
    keys.press(Key.Key_Comma, times=3)  # the border, then back to its lower right corner
    assert reading.window.canvas.chosen == ("box", boxes)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Right, times=5)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    wider = reading.prompts.boxes[-1]
    assert wider.width == pytest.approx(box.width + 5, abs=0.6)
    assert wider.column0 == pytest.approx(box.column0)
    keys.press(Key.Key_Comma)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Down, times=4)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    assert [c.text() for c in _steps(reading)][-3:] == [
        "add box, slice 1", "resize box, slice 1", "move box, slice 1"
    ] or "move box" in reading.document.undo_stack.undoText()  # fmt: skip
    keys.press(Key.Key_Comma)
    keys.press(Key.Key_Delete)
    reading.wait_answer()
    assert len(reading.prompts.boxes) == boxes


def _steps(reading):
    stack = reading.document.undo_stack
    return [stack.command(index) for index in range(stack.count())]


def test_points_of_both_kinds_are_set_and_chosen(reading, keys):
    keys.press(Key.Key_P)
    keys.go(30, 30)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    keys.go(44, 30)
    keys.press(Key.Key_Space, Held.ShiftModifier)
    reading.wait_answer()
    one, other = reading.prompts.points
    assert one.positive and not other.positive
    assert one.pixel == (30, 30) and other.pixel == (44, 30)
    keys.press(Key.Key_Comma)
    assert reading.window.canvas.chosen == ("point", 1)
    keys.press(Key.Key_Delete)
    reading.wait_answer()
    assert len(reading.prompts.points) == 1


def test_the_ventricles_box_is_moved_while_it_is_in_hand(reading, keys):
    keys.press(Key.Key_L)
    before = reading.prompts.lv_box
    assert before is not None
    keys.press(Key.Key_Period)
    assert keys.hand.at == pytest.approx((before.column1, before.row1), abs=0.01)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Right, times=4)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    after = reading.prompts.lv_box
    assert after.column1 == pytest.approx(before.column1 + 4, abs=0.1)
    assert after.column0 == before.column0


def test_strokes_and_polygons_are_drawn(reading, keys):
    keys.press(Key.Key_D)
    before = np.sum(reading.document.labels == Label.SCAR)
    keys.go(30, 24)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Right, times=6)
    keys.press(Key.Key_Space)
    brushed = np.sum(reading.document.labels == Label.SCAR)
    assert brushed > before
    keys.press(Key.Key_G)
    for corner in ((50, 40), (58, 40), (58, 48)):
        keys.go(*corner)
        keys.press(Key.Key_Space)
    status = reading.document.reading.status
    keys.press(Key.Key_Return)
    assert np.sum(reading.document.labels == Label.SCAR) > brushed + 20
    assert reading.document.reading.status is status
    assert reading.document.current == 0


def test_escape_gives_up_the_gesture_first_and_the_hand_next(reading, keys):
    keys.press(Key.Key_B)
    count = reading.document.undo_stack.count()
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Right, Held.ShiftModifier, times=2)
    keys.press(Key.Key_Escape)
    assert keys.hand.raised
    keys.press(Key.Key_Escape)
    assert not keys.hand.raised
    assert reading.document.undo_stack.count() == count


def test_a_mouse_takes_over(reading, keys):
    reading.drag_box(30, 20, 40, 30)
    reading.wait_answer()
    assert not keys.hand.raised


def test_a_held_stroke_ends_with_the_slice(reading, keys):
    keys.press(Key.Key_D)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_PageDown)
    count = reading.document.undo_stack.count()
    keys.press(Key.Key_Right, times=3)
    assert reading.document.undo_stack.count() == count
    assert not keys.hand.cross.pressed


def test_it_works_in_the_montage_and_goes_along_with_the_slice(reading, keys):
    reading.act("montage")
    assert not keys.hand.raised
    keys.press(Key.Key_R)
    keys.press(Key.Key_PageDown)
    assert keys.hand.raised and reading.document.current == 1
    keys.press(Key.Key_P)
    keys.go(30, 30)
    keys.press(Key.Key_Space)
    reading.wait_answer()
    assert reading.document.current == 1
    assert [point.pixel for point in reading.case.readings[1].prompts.points] == [(30, 30)]
    canvas, cross = reading.window.views.active, keys.hand.cross
    place = canvas.mapTo(reading.window, canvas.from_source(*keys.hand.at).toPoint())
    assert (cross.geometry().center() - place).manhattanLength() <= 2


def _in_dialog(act):
    """Do something once a dialog is up."""

    def wait(tries=200):
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QDialog) and dialog.isVisible():
            act(dialog)
        elif tries:
            QTimer.singleShot(10, lambda: wait(tries - 1))

    QTimer.singleShot(0, wait)


def _type(text):
    def act(dialog):
        line = dialog.findChild(QLineEdit)
        line.setCompleter(None)  # the list it drops down needs a platform with windows
        line.selectAll()
        clipboard = QApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(text)
        QTest.keyClick(line, Key.Key_V, Held.ControlModifier)
        QTest.keyClick(line, Key.Key_Return)
        if dialog.isVisible():  # the line completed a path first
            QTest.keyClick(line, Key.Key_Return)

    return act


def test_a_whole_study_is_read_by_keys_alone(reader, phantom_stack, tmp_path):
    folder = tmp_path / "study"
    write_series(folder, phantom_stack)
    reader.window.commands.dialogs = Dialogs(reader.window)
    keys, out = Keys(reader), tmp_path / "scar.csv"

    _in_dialog(_type(str(folder)))
    keys.press(Key.Key_O, Held.ControlModifier)
    reader.wait(lambda: reader.session.current)
    reader.wait_ready()

    keys.press(Key.Key_Up, times=5)
    assert reader.document.current == 0
    keys.press(Key.Key_R)
    keys.press(Key.Key_P)
    keys.go(30, 30)
    keys.press(Key.Key_Space)
    reader.wait_answer()
    keys.press(Key.Key_B)
    keys.go(28, 18)
    keys.press(Key.Key_Space)
    keys.go(44, 34)
    keys.press(Key.Key_Space)
    reader.wait_answer()
    keys.press(Key.Key_Period)
    keys.press(Key.Key_Space)
    keys.press(Key.Key_Right, times=3)
    keys.press(Key.Key_Space)
    reader.wait_answer()
    assert reader.prompts.points and reader.prompts.boxes
    keys.press(Key.Key_R)

    keys.press(Key.Key_Return)
    assert reader.document.current == 1
    keys.press(Key.Key_N)
    _in_dialog(_type("Spoiled by breathing"))
    keys.press(Key.Key_X)
    assert reader.document.current == 3
    keys.press(Key.Key_Return)
    keys.press(Key.Key_N)
    statuses = [reading.status for reading in reader.case.readings]
    assert statuses == [
        SliceStatus.ACCEPTED, SliceStatus.NO_SCAR, SliceStatus.NOT_ASSESSABLE,
        SliceStatus.ACCEPTED, SliceStatus.NO_SCAR,
    ]  # fmt: skip
    assert reader.case.readings[2].reason == "Spoiled by breathing"

    _in_dialog(_type(str(out)))
    keys.press(Key.Key_E, Held.ControlModifier)
    reader.settle()
    with out.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 1
    assert not QApplication.activeModalWidget()
