"""RV insertion point: proposed, set with one click, undone, saved, deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from scarseg.case.prompts import InsertionPoint
from scarseg.gui.panels.bullseye.summary import summarize

POINT = InsertionPoint(2, 36.0, 10.0)


def test_setting_the_point_can_be_undone_and_is_saved(reading, make_reader, phantom_stack):
    document = reading.document
    labels, versions = reading.case.labels.copy(), list(document.versions)
    placed = []
    document.insertion_changed.connect(lambda: placed.append(reading.case.insertion))
    document.set_insertion_point(POINT)
    document.set_insertion_point(POINT)
    assert reading.case.insertion == POINT and document.undo_stack.count() == 1
    assert document.undo_stack.undoText() == "set the insertion point, slice 3"
    reading.undo()
    assert reading.case.insertion is None
    reading.redo()
    assert placed == [POINT, None, POINT]
    assert (reading.case.labels == labels).all() and document.versions == versions
    reading.wait_saved()
    reading.window.close()
    again = make_reader()
    again.open(phantom_stack)
    assert again.case.insertion == POINT
    again.document.set_insertion_point(None)
    assert again.case.insertion is None


@pytest.fixture
def insertion(reading):
    reading.settle()
    reading.act("bullseye")
    panel = reading.window.bullseye.panel
    reading.wait(lambda: panel.shown is not None)
    return reading.window.bullseye.insertion


def _layer(reading, canvas=None):
    return reading.window.bullseye.insertion._layers[canvas or reading.window.canvas]


def test_the_proposed_point_is_shown_while_the_bulls_eye_is_open(reading, insertion):
    panel = reading.window.bullseye.panel
    reading.go_to(panel.shown.point.slice_index)
    layer = _layer(reading)
    assert layer.mark == pytest.approx((panel.shown.point.column, panel.shown.point.row))
    assert (
        not layer.own and "proposed" in panel.words.text()
    ) or "orientation" in panel.words.text()
    assert not panel.reset.isVisible()
    reading.act("bullseye")
    assert layer.mark is None


def test_one_click_sets_the_point_and_turns_the_segments(reading, insertion):
    panel = reading.window.bullseye.panel
    before = panel.shown.found.angles
    reading.go_to(2)
    reading.act("insertion")
    reading.drag((36.0, 14.0))
    reading.wait(lambda: panel.shown.found.source is None)
    assert reading.case.insertion is not None and reading.case.insertion.slice_index == 2
    assert reading.case.insertion.column == pytest.approx(36.0, abs=0.2)
    assert panel.shown.found.angles != before
    assert _layer(reading).own and "yours, slice 3" in panel.words.text()
    assert not insertion.armed
    assert not reading.prompts.points and len(reading.prompts.boxes) <= 1  # no box was drawn
    reading.undo()
    reading.wait(lambda: panel.shown.found.source is not None)
    assert panel.shown.found.angles == before


def test_a_click_on_the_point_deletes_it_and_so_does_the_panel(reading, insertion):
    panel = reading.window.bullseye.panel
    for delete in (lambda: (reading.act("insertion"), reading.drag((36.0, 14.0))),
                   panel.reset.click):  # fmt: skip
        reading.go_to(2)
        reading.act("insertion")
        reading.drag((36.0, 14.0))
        reading.wait(lambda: panel.shown.found.source is None)
        assert panel.reset.isVisible()
        delete()
        assert reading.case.insertion is None
        reading.wait(lambda: panel.shown.found.source is not None)


def test_escape_or_another_tool_cancels(reading, insertion):
    for give_up in ("cancel_gesture", "brush", "insertion"):
        reading.act("insertion")
        assert insertion.armed
        reading.act(give_up)
        assert not insertion.armed
    reading.act("box")
    assert reading.case.insertion is None


def test_a_click_in_the_montage_sets_it_on_its_slice(reading, insertion):
    reading.act("montage")
    canvas = reading.window.views.grid.cells[3].canvas
    reading.act("insertion")
    at = canvas.from_source(36.0, 14.0)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at.toPoint())
    assert reading.case.insertion.slice_index == 3 and reading.document.current == 3
    reading.wait(lambda: _layer(reading, canvas).own)
    reading.settle()


def test_without_wall_the_point_cannot_be_set(reading, insertion):
    reading.go_to(2)
    reading.dialogs.why = "Artefact"
    reading.document.set_insertion_point(POINT)
    reading.act("not_assessable")
    panel = reading.window.bullseye.panel
    # The point stays, but without a wall it has no direction: as proposed.
    reading.wait(lambda: panel.shown is not None and panel.shown.found.source is not None)
    assert reading.case.insertion == POINT
    reading.go_to(2)
    reading.act("insertion")
    reading.drag((40.0, 14.0))
    assert reading.case.insertion == POINT
    assert "no wall" in reading.window.status_bar.message.text()
    reading.settle()


def test_setting_the_point_opens_the_bulls_eye(reading):
    assert not reading.window.bullseye.panel.isVisible()
    reading.act("insertion")
    assert reading.window.bullseye.panel.isVisible()
    assert reading.window.bullseye.insertion.armed
    reading.act("cancel_gesture")
    reading.settle()


def test_enter_accepts_nothing_while_the_point_is_waited_for(reading):
    reading.go_to(2)
    reading.act("insertion")
    reading.act("accept")
    assert not reading.document.reading.status.read
    assert "Esc discards" in reading.window.status_bar.message.text()
    reading.act("cancel_gesture")
    reading.act("accept")
    assert reading.case.readings[2].status.read
    reading.settle()


def test_grams_of_the_segments_follow_the_headline_under_overlap(phantom_stack, phantom_truth):
    points = ()
    assert summarize(phantom_truth, phantom_stack, points, 1.05).convention == "thickness"
    thick = replace(phantom_stack, slice_thickness_mm=20.0)  # 10 mm apart
    assert summarize(phantom_truth, thick, points, 1.05).convention == "spacing"
