"""A whole reading over the real window."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from scarseg.case.case import CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.prompts import Origin
from scarseg.gui.panels.tool_selection import TOOLS


def test_every_slice_is_proposed_before_the_reader_asks(reading, phantom_truth):
    assert [r.status for r in reading.case.readings] == [SliceStatus.PROPOSED] * 5
    np.testing.assert_array_equal(reading.case.labels > 1, phantom_truth > 1)
    assert not reading.window.actions_by_name["undo"].isEnabled()


def test_the_running_total_names_its_convention(reading):
    measured = reading.window.presenter.measured
    results = reading.window.results
    assert results.headline.text() == f"{measured.scar_mass_thickness_g:.1f} g"
    assert results.convention.text() == "by slice thickness 8 mm"
    assert results.figures["other"].text() == f"{measured.scar_mass_spacing_g:.1f} g"
    assert results.figures["to_read"].text() == "5 of 5"


def test_a_box_segments_at_once_and_one_undo_takes_both_back(reading):
    reading.go_to(2)
    before = reading.case.labels.copy()
    prompts = reading.prompts
    reading.drag_box(46, 12, 56, 30)
    assert len(reading.prompts.boxes) == 2
    assert reading.prompts.boxes[-1].origin is Origin.READER
    np.testing.assert_allclose(
        [reading.prompts.boxes[-1].column0, reading.prompts.boxes[-1].row1], [46, 30], atol=0.3
    )
    reading.wait_answer()
    assert reading.document.reading.edited
    reading.undo()
    assert reading.prompts == prompts
    assert reading.case.labels.tobytes() == before.tobytes()


def test_without_boxes_a_click_finds_scar_and_an_alt_click_takes_it_away(reading):
    reading.go_to(2)
    reading.window.canvas.chosen = ("box", 0)
    reading.act("delete")
    reading.wait_answer()
    assert not reading.prompts.boxes
    reading.click(45, 30)
    reading.wait_answer()
    found = (reading.document.labels == Label.SCAR).sum()
    assert found > 0
    reading.click(45, 26, positive=False)
    reading.wait_answer()
    assert [p.positive for p in reading.prompts.points] == [True, False]
    assert 0 < (reading.document.labels == Label.SCAR).sum() < found


def test_a_detector_box_is_resized_by_its_handle(reading):
    reading.go_to(1)
    box = reading.prompts.boxes[0]
    reading.act("box")
    reading.drag((box.column1, box.row1), (box.column1 + 6, box.row1 + 4))
    after = reading.prompts.boxes[0]
    assert len(reading.prompts.boxes) == 1
    assert after.origin is Origin.READER and after.score is None
    np.testing.assert_allclose([after.column0, after.row0], [box.column0, box.row0])
    np.testing.assert_allclose(
        [after.column1 - box.column1, after.row1 - box.row1], [6, 4], atol=0.4
    )


def test_a_box_is_moved_by_its_border(reading):
    reading.go_to(1)
    box = reading.prompts.boxes[0]
    at = (box.column0, box.row0 + box.height / 4)
    reading.act("box")
    reading.drag(at, (at[0] - 5, at[1] + 2))
    after = reading.prompts.boxes[0]
    np.testing.assert_allclose([after.width, after.height], [box.width, box.height])
    np.testing.assert_allclose(after.column0, box.column0 - 5, atol=0.4)
    assert reading.document.undo_stack.undoText() == "move box, slice 2"


def test_a_drag_inside_a_box_draws_another(reading):
    reading.go_to(1)
    reading.drag_box(10, 10, 30, 30)
    reading.wait_answer()
    box = reading.prompts.boxes[-1]
    (column, row) = box.centre
    reading.drag((column, row), (column + 3, row + 4))
    assert reading.prompts.boxes[-2] == box
    np.testing.assert_allclose(
        [reading.prompts.boxes[-1].width, reading.prompts.boxes[-1].height], [3, 4], atol=0.5
    )
    assert reading.document.undo_stack.undoText() == "add box, slice 2"


def test_a_drag_inside_a_proposed_box_draws_it_anew(reading):
    reading.go_to(1)
    [box] = reading.prompts.boxes
    (column, row) = box.centre
    reading.drag_box(column, row, column + 3, row + 4)
    [drawn] = reading.prompts.boxes
    np.testing.assert_allclose([drawn.width, drawn.height], [3, 4], atol=0.5)
    assert reading.document.undo_stack.undoText() == "correct box, slice 2"


def test_with_the_last_box_goes_its_scar_and_one_undo_brings_both_back(reading):
    reading.go_to(1)
    labels, prompts = reading.document.labels.copy(), reading.prompts
    assert (labels == Label.SCAR).any() and len(prompts.boxes) == 1
    reading.act("delete")
    reading.wait_answer()
    assert not reading.prompts.boxes
    np.testing.assert_array_equal(
        reading.document.labels, np.where(labels == Label.SCAR, Label.MYOCARDIUM, labels)
    )
    assert not reading.document.reading.status.read
    reading.act("segment")
    reading.wait_answer()
    assert not (reading.document.labels == Label.SCAR).any()
    reading.undo()
    np.testing.assert_array_equal(reading.document.labels, labels)
    assert reading.prompts == prompts


def test_the_cursor_tells_what_a_press_would_do(reading):
    from PyQt6.QtGui import QMouseEvent

    reading.go_to(1)
    box = reading.prompts.boxes[0]
    corner, side, inside = (
        (box.column1, box.row1), (box.column0, box.row0 + box.height / 4), box.centre,
    )  # fmt: skip
    shapes = []
    for tool, at in (("box", corner), ("box", side), ("box", inside), ("brush", corner)):
        reading.act(tool)
        reading.mouse(QMouseEvent.Type.MouseMove, at)
        shapes.append(reading.window.canvas.cursor().shape())
    assert shapes == [
        Qt.CursorShape.SizeFDiagCursor,
        Qt.CursorShape.SizeAllCursor,
        Qt.CursorShape.CrossCursor,
        Qt.CursorShape.CrossCursor,
    ]


def test_a_clicked_box_is_the_one_deleted(reading):
    reading.go_to(1)
    first = reading.prompts.boxes[0]
    reading.drag_box(10, 10, 20, 20)
    reading.wait_answer()
    reading.drag(first.centre)
    reading.act("delete")
    assert [box.origin for box in reading.prompts.boxes] == [Origin.READER]
    assert reading.document.undo_stack.undoText() == "delete box, slice 2"


def test_a_click_on_a_point_deletes_it_and_undo_brings_it_back(reading):
    reading.go_to(2)
    reading.click(45, 30)
    reading.wait_answer()
    reading.click(47, 24, positive=False)
    reading.wait_answer()
    points = reading.prompts.points
    reading.click(45, 30)
    reading.wait_answer()
    assert reading.prompts.points == points[1:]
    assert reading.document.undo_stack.undoText() == "delete point, slice 3"
    reading.undo()
    assert reading.prompts.points == points


def test_a_click_that_moves_nothing_is_no_step(reading):
    reading.go_to(1)
    reading.act("box")
    reading.drag(reading.prompts.boxes[0].centre)
    reading.drag((5, 5))
    assert reading.document.undo_stack.count() == 0


def test_accept_goes_to_the_next_doubtful_slice(reading):
    reading.go_to(4)
    doubtful = reading.session.current.doubts.unread()
    reading.accept()
    assert reading.document.current == next((k for k in doubtful if k != 4), 0)
    assert reading.case.readings[4].status is SliceStatus.ACCEPTED
    assert reading.window.results.figures["to_read"].text() == "4 of 5"
    assert reading.window.strip.tiles[4].word == "accepted"


def test_no_scar_leaves_the_wall_and_takes_the_grams(reading):
    reading.go_to(2)
    wall = reading.document.labels >= 2
    reading.act("no_scar")
    labels = reading.case.labels[2]
    assert not (labels >= 3).any()
    np.testing.assert_array_equal(labels >= 2, wall)
    assert reading.case.readings[2].prompts.no_scar
    reading.undo()
    assert (reading.case.labels[2] == Label.SCAR).any()


def test_not_assessable_asks_why(reading):
    reading.go_to(0)
    reading.dialogs.why = "Artefact"
    reading.act("not_assessable")
    assert reading.case.readings[0].status is SliceStatus.NOT_ASSESSABLE
    assert reading.case.readings[0].reason == "Artefact"
    reading.go_to(1)
    reading.dialogs.why = None
    reading.act("not_assessable")
    assert reading.case.readings[1].status is SliceStatus.PROPOSED


def test_what_is_not_assessable_adds_no_gram_and_is_not_accepted_empty(reading):
    reading.go_to(2)
    labels, total = reading.case.labels.copy(), reading.window.presenter.measured.scar_mass_g
    reading.act("not_assessable")
    measured = reading.window.presenter.measured
    assert not reading.case.labels[2].any()
    assert 0 < measured.scar_mass_g < total
    assert "1 of 5 not assessable" in reading.window.results.incomplete.text()
    assert reading.window.strip.tiles[2].grams == ""
    reading.go_to(2)
    reading.accept()
    assert reading.case.readings[2].status is SliceStatus.NOT_ASSESSABLE
    reading.undo()
    np.testing.assert_array_equal(reading.case.labels, labels)


def test_a_slice_taken_for_not_assessable_can_be_proposed_again(reading):
    reading.go_to(2)
    labels = reading.document.labels.copy()
    reading.act("not_assessable")
    reading.go_to(2)
    reading.act("propose_again")
    reading.wait(lambda: reading.case.readings[2].status is SliceStatus.PROPOSED)
    np.testing.assert_array_equal(reading.document.labels, labels)


def test_brush_and_eraser_draw_the_chosen_label(reading):
    reading.go_to(0)
    reading.act("label_4")
    reading.paint((30, 30), (34, 30))
    assert reading.document.labels[30, 32] == Label.MVO
    assert reading.document.reading.edited
    reading.erase((30, 30), (34, 30))
    assert reading.document.labels[30, 32] == Label.SCAR
    reading.act("label_3")
    reading.erase((30, 30), (34, 30))
    assert not (reading.document.labels >= 3).any()


def test_erased_scar_uncovers_what_was_there_before(reading):
    reading.go_to(0)
    before = reading.document.labels.copy()
    reading.paint((3, 3), (50, 40))
    assert reading.document.labels[3, 3] == Label.SCAR
    reading.erase((3, 3), (50, 40))
    np.testing.assert_array_equal(reading.document.labels, before)


def test_undo_as_often_as_there_are_steps_restores_the_bytes(reading):
    before = reading.case.labels.tobytes(), list(reading.case.readings)
    reading.go_to(1)
    reading.drag_box(30, 20, 50, 40)
    reading.wait_answer()
    reading.paint((20, 20), (30, 25), (40, 22))
    reading.erase((30, 20), (35, 25))
    reading.accept()
    reading.act("copy_up")
    reading.act("no_scar")
    reading.go_to(3)
    reading.click(45, 30)
    reading.wait_answer()
    after = reading.case.labels.tobytes(), list(reading.case.readings)
    n = reading.document.undo_stack.index()
    assert n == 7
    for _ in range(n):
        reading.undo()
    assert (reading.case.labels.tobytes(), list(reading.case.readings)) == before
    for _ in range(n):
        reading.redo()
    assert (reading.case.labels.tobytes(), list(reading.case.readings)) == after


def test_undo_shows_the_slice_it_changes(reading):
    reading.go_to(1)
    reading.paint((20, 20))
    reading.go_to(4)
    reading.undo()
    assert reading.document.current == 1


def test_copy_takes_labels_and_prompts_along(reading):
    reading.go_to(3)
    reading.act("copy_down")
    assert reading.document.current == 4
    np.testing.assert_array_equal(reading.case.labels[4], reading.case.labels[3])
    assert reading.case.readings[4].status is SliceStatus.PROPOSED


def test_a_polygon_is_filled_on_double_click(reading):
    from PyQt6.QtGui import QMouseEvent

    reading.go_to(0)
    reading.act("polygon")
    for at in ((20.0, 20.0), (40.0, 20.0), (40.0, 40.0)):
        reading.drag(at)
    reading.mouse(QMouseEvent.Type.MouseButtonDblClick, (40, 40))
    assert reading.document.labels[25, 38] == Label.SCAR
    assert reading.document.labels[38, 22] != Label.SCAR


def test_drawn_by_hand_is_not_segmented_over_until_space_is_pressed(reading):
    reading.go_to(0)
    reading.paint((10, 10), (14, 10))
    drawn = reading.document.labels.copy()
    reading.drag_box(30, 20, 50, 40)
    reading.settle()
    np.testing.assert_array_equal(reading.document.labels, drawn)
    reading.act("segment")
    reading.wait_answer()
    assert reading.document.labels[10, 10] != Label.SCAR


def test_a_whole_reading_by_keys_ends_as_read(reading):
    reading.window.activateWindow()
    reading.go_to(0)
    for key in (Qt.Key.Key_N, Qt.Key.Key_Return, Qt.Key.Key_Return, Qt.Key.Key_Return):
        reading.press_key(key)
    reading.press_key(Qt.Key.Key_X)
    assert reading.case.status is CaseStatus.READ
    assert reading.session.study_list.studies[0].entries[0].reading_summary.startswith("read")


@pytest.mark.parametrize("tool", TOOLS)
def test_gestures_outside_the_image_do_no_harm(reading, tool):
    reading.act(tool)
    reading.drag((-8, -8), (-4, -5))
    reading.drag((100, 90), (104, 95))
    reading.settle()
    assert (reading.case.labels.shape) == (5, 60, 72)


def test_escape_gives_up_what_is_in_hand(reading):
    from PyQt6.QtGui import QMouseEvent

    reading.act("polygon")
    for at in ((20.0, 20.0), (40.0, 20.0)):
        reading.drag(at)
    reading.act("cancel_gesture")
    reading.mouse(QMouseEvent.Type.MouseButtonDblClick, (40, 40))
    reading.act("brush")
    reading.mouse(QMouseEvent.Type.MouseButtonPress, (10, 10))
    reading.mouse(QMouseEvent.Type.MouseMove, (15, 10))
    reading.act("cancel_gesture")
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, (15, 10))
    assert reading.document.undo_stack.count() == 0
    assert reading.document.labels[10, 12] != Label.SCAR


def test_scrolling_away_with_a_stroke_in_hand_draws_nothing_elsewhere(reading):
    from PyQt6.QtGui import QMouseEvent

    before = reading.case.labels.copy()
    reading.act("brush")
    reading.mouse(QMouseEvent.Type.MouseButtonPress, (10, 10))
    reading.act("next_slice")
    reading.mouse(QMouseEvent.Type.MouseMove, (15, 10))
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, (15, 10))
    np.testing.assert_array_equal(reading.case.labels, before)


def test_every_step_is_kept_by_name_in_order(reading):
    reading.go_to(1)
    reading.paint((20, 20))
    painted = reading.case.history[-1]
    reading.undo()
    reading.redo()
    reading.accept()
    assert reading.case.history[-4:-1] == [painted, f"Undo {painted}", painted]
    assert "ccept" in reading.case.history[-1]
