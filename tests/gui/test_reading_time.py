"""Slices that were looked at, verdicts taken back, and the stopwatch."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication

from scarseg.case.history import SliceStatus
from scarseg.gui import reading_time
from scarseg.gui.dialogs import reading as dialogs_reading

pytestmark = pytest.mark.usefixtures("no_late_doubts")


@pytest.fixture
def large(reading):
    """A reading in the large view, where one slice is on the screen."""
    reading.window.views.show_montage(False)
    reading.wait(lambda: not reading.window.reading_time.viewed._dwell.isActive())
    reading.document.viewed.clear()
    reading.window.reading_time.viewed.restart()
    return reading


def look(reader, *slices: int) -> None:
    for k in slices:
        if reader.document.current != k:
            reader.go_to(k)
        reader.wait(lambda k=k: k in reader.document.viewed)


def statuses(reader) -> list[SliceStatus]:
    return [each.status for each in reader.case.readings]


def test_only_slices_that_were_on_the_screen_are_accepted_together(large):
    look(large, 1, 3)
    large.press_key(Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    accepted = {k for k, status in enumerate(statuses(large)) if status is SliceStatus.ACCEPTED}
    assert {1, 3} <= accepted < set(range(5))
    assert large.case.status.value == "in_progress"
    assert large.case.interactions == 1
    assert "to look at" in large.window.status_bar.message.text()
    assert not large.document.reading.status.read, "it goes on to what was not read"
    assert large.document.undo_stack.count() == 1, "one step takes them all back"
    large.undo()
    assert set(statuses(large)) == {SliceStatus.PROPOSED}


def test_a_slice_flown_past_or_changed_out_of_sight_was_not_seen(large):
    look(large, 1)
    large.go_to(2)
    large.go_to(3)
    look(large, 3)
    assert 2 not in large.document.viewed
    large.go_to(0)
    large.act("copy_down")
    assert large.document.current == 1 and 1 not in large.document.viewed
    look(large, 1)


def test_in_the_montage_all_slices_are_seen(reading):
    reading.window.views.show_montage(True)
    reading.wait(lambda: len(reading.document.viewed) == 5)
    reading.act("accept_seen")
    assert set(statuses(reading)) == {SliceStatus.ACCEPTED}
    assert "Every slice is read" in reading.window.status_bar.message.text()


def test_verdicts_that_a_reader_gave_stay_when_the_others_are_accepted(reading):
    reading.window.views.show_montage(True)
    reading.go_to(0)
    reading.act("no_scar")
    reading.wait(lambda: len(reading.document.viewed) == 5)
    reading.act("accept_seen")
    assert statuses(reading) == [SliceStatus.NO_SCAR, *[SliceStatus.ACCEPTED] * 4]


def test_a_verdict_can_be_taken_back_and_a_second_enter_goes_on(reading):
    reading.go_to(2)
    labels = reading.document.labels.copy()
    reading.accept()
    reading.go_to(2)
    steps = reading.document.undo_stack.count()
    reading.accept()
    assert reading.document.undo_stack.count() == steps and reading.document.current != 2
    reading.go_to(2)
    reading.press_key(Qt.Key.Key_U)
    assert reading.document.reading.status is SliceStatus.PROPOSED
    assert (reading.document.labels == labels).all()
    reading.undo()
    assert reading.document.reading.status is SliceStatus.ACCEPTED
    reading.go_to(3)
    reading.press_key(Qt.Key.Key_U)
    assert "not read yet" in reading.window.status_bar.message.text()


def test_the_stopwatch_counts_on_the_slice_in_sight_and_pauses(reading, monkeypatch):
    watch = reading.window.reading_time.stopwatch
    watch._clock.stop()
    reading.go_to(1)
    before = list(reading.case.slice_seconds)
    for _ in range(reading_time.IDLE_S + 5):
        watch.tick()
    assert reading.case.slice_seconds[1] - before[1] == reading_time.IDLE_S
    reading.press_key(Qt.Key.Key_Down)
    watch.tick()
    assert reading.case.slice_seconds[2] - before[2] == 1
    assert reading.case.seconds == sum(reading.case.slice_seconds)
    monkeypatch.setattr(QApplication, "activeWindow", staticmethod(lambda: None))
    watch.tick()
    assert reading.case.slice_seconds[2] - before[2] == 1
    spent = list(reading.case.slice_seconds)
    reading.paint((5, 5), (9, 5))
    reading.undo()
    assert reading.case.slice_seconds == spent, "undo does not turn the clock back"


def test_time_is_on_the_disk_once_the_reader_rests(reading, phantom_stack):
    from scarseg.io.casefile import store

    watch = reading.window.reading_time.stopwatch
    watch._clock.stop()
    reading.wait_saved()
    for _ in range(reading_time.IDLE_S + 1):
        watch.tick()
    seconds = reading.case.seconds
    reading.wait_saved()
    reading.wait(
        lambda: (
            store.load_case(reading.session.current.saver.path, phantom_stack).seconds == seconds
        )
    )


def test_a_slice_that_cannot_be_read_gets_its_reason_by_one_key(reading, qtbot):
    dialog = dialogs_reading.ReasonDialog(reading.window)
    dialog.open()
    qtbot.keyClick(dialog.buttons[0], Qt.Key.Key_2)
    assert dialog.result() == dialog.DialogCode.Accepted
    assert dialog.reason == dialogs_reading.REASONS[1]
    reading.dialogs.why = dialog.reason
    dialog.deleteLater()
    reading.go_to(2)
    reading.act("not_assessable")
    assert reading.case.readings[2].reason == dialogs_reading.REASONS[1]
    assert not reading.case.labels[2].any()


def test_another_reason_is_typed_numbers_and_all(reading, qtbot):
    dialog = dialogs_reading.ReasonDialog(reading.window)
    dialog.open()
    dialog.line.setFocus()
    qtbot.keyClicks(dialog.line, "coil ")
    qtbot.keyClick(dialog.line, Qt.Key.Key_3)
    qtbot.keyClick(dialog.line, Qt.Key.Key_Return)
    assert dialog.reason == "coil 3"
    dialog.deleteLater()
    silent = dialogs_reading.ReasonDialog(reading.window)
    silent.open()
    silent.line.setFocus()
    qtbot.keyClick(silent.line, Qt.Key.Key_Return)
    assert silent.isVisible() and silent.reason == ""
    qtbot.keyClick(silent, Qt.Key.Key_Escape)
    assert not silent.isVisible()
    silent.deleteLater()
