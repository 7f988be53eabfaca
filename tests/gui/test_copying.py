"""Boxes go to the next slice and are answered there; a slice drawn by hand is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from scarseg.case.labels import Label
from scarseg.case.prompts import Origin


@pytest.mark.parametrize(
    ("source", "key", "target"), [(2, Qt.Key.Key_Down, 3), (2, Qt.Key.Key_Up, 1)]
)
def test_a_key_carries_the_boxes_and_segments_there_as_one_step(reading, source, key, target):
    reading.window.activateWindow()
    reading.go_to(source)
    reading.drag_box(44, 28, 49, 32)
    reading.wait_answer()
    before = reading.case.labels.tobytes(), list(reading.case.readings)
    boxes = reading.prompts.boxes
    reading.press_key(key, Qt.KeyboardModifier.AltModifier)
    assert reading.document.current == target
    reading.wait_answer()
    carried = reading.prompts.boxes
    assert [(b.column0, b.row1) for b in carried] == [(b.column0, b.row1) for b in boxes]
    assert all(box.origin is Origin.READER and box.score is None for box in carried)
    assert (reading.document.labels == Label.SCAR).any()
    steps = reading.document.undo_stack
    assert steps.undoText() == f"carry boxes of slice {source + 1} to slice {target + 1}"
    reading.undo()
    assert (reading.case.labels.tobytes(), list(reading.case.readings)) == before


def test_points_stay_where_they_were(reading):
    reading.go_to(3)
    reading.click(45, 30)
    reading.wait_answer()
    points = reading.prompts.points
    reading.go_to(2)
    reading.act("carry_down")
    reading.wait_answer()
    assert reading.prompts.points == points


def test_without_a_box_or_a_slice_beyond_nothing_is_carried(reading):
    reading.go_to(0)
    reading.act("carry_down")
    assert reading.document.current == 0
    assert "no box" in reading.window.status_bar.message.text()
    reading.drag_box(44, 28, 49, 32)
    reading.wait_answer()
    n = reading.document.undo_stack.count()
    reading.act("carry_up")
    assert reading.document.current == 0 and reading.document.undo_stack.count() == n


def test_carried_to_a_slice_drawn_by_hand_the_boxes_wait_for_space(reading):
    reading.go_to(3)
    reading.paint((20, 20), (24, 20))
    drawn = reading.document.labels.copy()
    reading.go_to(2)
    reading.act("carry_down")
    reading.settle()
    np.testing.assert_array_equal(reading.document.labels, drawn)
    assert "drawn by hand" in reading.window.status_bar.message.text()
    reading.act("segment")
    reading.wait_answer()
    assert reading.document.labels[20, 22] != Label.SCAR
