"""The contours of the wall: pulled by the mouse, nudged by keys; labels and scar follow."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QMouseEvent

from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import Label, infarct_mask
from scarseg.gui.tools.contours import Border, ContourCache, HeartContours, move_wall
from scarseg.io.casefile import store
from scarseg.segmentation.moved_wall import scar_in_moved_wall

POOL, WALL, SCAR = Label.BLOOD_POOL, Label.MYOCARDIUM, Label.SCAR


def ring(inner: float, outer: float, size: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] + 0.5
    away = np.hypot(rows - size / 2, columns - size / 2)
    return np.where(away < inner, POOL, np.where(away < outer, WALL, 0)).astype(np.uint8)


# Numbers


def test_contours_that_nobody_moved_make_the_labels_they_were_traced_from():
    labels = ring(20, 30)
    labels[48, 30] = WALL  # a voxel that no smooth contour goes round
    contours = HeartContours.trace(labels)
    np.testing.assert_array_equal(contours.under_scar > 0, labels > 0)
    outline = np.hypot(*(contours.endocardium.points - 48).T)
    assert outline == pytest.approx(20, abs=0.7)


def test_nudges_of_half_a_pixel_add_up_and_go_back_to_the_same_labels():
    before = ring(20, 30)
    cache = ContourCache()
    labels, areas = before, [np.count_nonzero(before == POOL)]
    for direction in (1, 1, 1, 1, -1, -1, -1, -1):
        contours = cache.of(labels)
        after = contours.nudged(Border.ENDOCARDIUM, 0.5 * direction)
        moved = move_wall("nudge", labels, labels, contours, after)
        labels = moved.under_scar
        cache.store(labels, after)
        areas.append(np.count_nonzero(labels == POOL))
    # Each half pixel is worth half a ring of the circumference.
    assert areas[4] == pytest.approx(np.pi * 22**2, rel=0.02)
    assert areas[2] == pytest.approx(np.pi * 21**2, rel=0.02)
    np.testing.assert_array_equal(labels, before)


def test_a_pull_is_local_and_reaches_where_the_mouse_went():
    before = ring(20, 30)
    contours = HeartContours.trace(before)
    index, away = contours.endocardium.nearest((68.0, 48.0))
    assert away < 0.7
    pulled = contours.endocardium.pulled(index, (4.0, 0.0), (1.5, 1.5))
    after = contours.replaced(Border.ENDOCARDIUM, pulled).under_scar
    assert after[48, 71] == POOL and before[48, 71] == WALL
    rows, columns = np.nonzero(after != before)
    assert columns.min() > 58 and abs(rows - 48).max() < 16


def test_the_pool_never_leaves_the_heart():
    before = ring(20, 24)
    contours = HeartContours.trace(before)
    index, _ = contours.endocardium.nearest((68.0, 48.0))
    pulled = contours.endocardium.pulled(index, (12.0, 0.0), (1.5, 1.5))
    after = contours.replaced(Border.ENDOCARDIUM, pulled).under_scar
    np.testing.assert_array_equal(after > 0, before > 0)


def test_a_contour_does_not_shrink_to_nothing():
    contours = HeartContours.trace(ring(2, 30))
    for _ in range(10):
        smaller = contours.nudged(Border.ENDOCARDIUM, -0.5)
        if smaller is None:
            break
        contours = smaller
    assert smaller is None and contours.endocardium.mask.any()
    assert HeartContours.trace(np.zeros((9, 9), np.uint8)) is None
    assert HeartContours.trace(ring(0, 30)).nudged(Border.ENDOCARDIUM, 0.5) is None


def test_scar_follows_into_new_wall_where_it_is_as_bright():
    before = ring(20, 30)
    scar = (before == WALL) & (np.arange(96) > 60)
    before[scar] = SCAR
    pixels = np.where(scar, 200.0, 50.0).astype(np.float32)
    pixels[44:48, 65:68] = 190.0  # scar that was taken for blood
    pixels[44:52, 28:30] = 190.0  # as bright, but far from any scar
    new_wall = np.zeros_like(scar)
    new_wall[44:52, 65:68] = new_wall[44:52, 28:30] = True
    after = np.where(new_wall, WALL, before).astype(np.uint8)
    found = infarct_mask(scar_in_moved_wall(pixels, before, after, new_wall))
    assert found[44:48, 65:68].all() and not found[48:52, 65:68].any()
    assert not found[:, :40].any()
    np.testing.assert_array_equal(found & ~new_wall, scar)


# In the window


@pytest.fixture
def at_slice(reading):
    reading.go_to(2)
    return reading


def edge_of_pool(reader) -> tuple[float, float]:
    """Return a place on the endocardium, on the left where there is no scar."""
    contours = HeartContours.trace(reader.document.labels_under_scar[2])
    index, _ = contours.endocardium.nearest((0.0, 30.0))
    column, row = contours.endocardium.points[index]
    return float(column), float(row)


@pytest.mark.parametrize("tool", ["box", "point", "contour"])
def test_a_drag_of_the_endocardium_moves_wall_and_pool_in_one_step(at_slice, tool):
    at_slice.act(tool)
    before, under = at_slice.document.labels.copy(), at_slice.document.labels_under_scar[2].copy()
    n, steps = at_slice.case.interactions, at_slice.document.undo_stack.count()
    column, row = edge_of_pool(at_slice)
    at_slice.drag((column, row), (column - 1.5, row), (column - 3, row))
    labels = at_slice.document.labels
    place = int(row), int(column - 2)
    assert before[place] == WALL and labels[place] == POOL
    np.testing.assert_array_equal(infarct_mask(labels), infarct_mask(before))
    np.testing.assert_array_equal(labels > 0, before > 0)
    assert at_slice.document.undo_stack.count() == steps + 1
    assert at_slice.case.interactions == n + 1
    assert at_slice.document.undo_stack.undoText() == "move the endocardium, slice 3"
    assert at_slice.prompts.points == () and at_slice.document.reading.edited
    at_slice.undo()
    np.testing.assert_array_equal(at_slice.document.labels, before)
    np.testing.assert_array_equal(at_slice.document.labels_under_scar[2], under)
    at_slice.redo()
    np.testing.assert_array_equal(at_slice.document.labels, labels)


def test_over_a_contour_the_mouse_says_that_it_can_be_dragged(at_slice):
    at_slice.act("box")
    canvas, hints = at_slice.window.canvas, []
    at_slice.window.views.hinted.connect(hints.append)
    at_slice.mouse(QMouseEvent.Type.MouseMove, edge_of_pool(at_slice), Qt.MouseButton.NoButton)
    assert canvas.cursor().shape() == Qt.CursorShape.OpenHandCursor
    assert canvas.contour_layer.shown and "Home" in hints[-1]
    at_slice.mouse(QMouseEvent.Type.MouseMove, (3.0, 3.0), Qt.MouseButton.NoButton)
    assert canvas.cursor().shape() == Qt.CursorShape.CrossCursor
    assert not canvas.contour_layer.shown


def test_a_click_on_a_contour_and_a_drag_with_ctrl_go_to_the_tool(at_slice):
    at = edge_of_pool(at_slice)
    at_slice.click(*at)
    at_slice.wait_answer()
    [point] = at_slice.prompts.points
    assert (point.column, point.row) == pytest.approx(at, abs=0.5)
    at_slice.undo()
    n = len(at_slice.prompts.boxes)
    at_slice.act("box")
    control = Qt.KeyboardModifier.ControlModifier
    at_slice.drag(at, (at[0] - 10, at[1] - 10), modifiers=control)
    at_slice.wait_answer()
    assert len(at_slice.prompts.boxes) == n + 1


def test_a_box_is_still_answered_after_the_wall_was_moved_and_keeps_it(at_slice):
    column, row = edge_of_pool(at_slice)
    at_slice.act("contour")
    at_slice.drag((column, row), (column - 3, row))
    pool = at_slice.document.labels == POOL
    assert not at_slice.inference.is_drawn_manually(2)
    at_slice.drag_box(44.0, 20.0, 56.0, 40.0)
    at_slice.wait_answer()
    np.testing.assert_array_equal(at_slice.document.labels == POOL, pool)
    assert infarct_mask(at_slice.document.labels).any()


def test_keys_nudge_a_contour_of_this_slice(at_slice):
    before = at_slice.document.labels.copy()
    at_slice.act("epicardium_out")
    assert np.count_nonzero(at_slice.document.labels) > np.count_nonzero(before)
    at_slice.act("epicardium_in")
    np.testing.assert_array_equal(at_slice.document.labels, before)
    at_slice.act("endocardium_in")
    assert np.count_nonzero(at_slice.document.labels == POOL) < np.count_nonzero(before == POOL)
    assert at_slice.document.undo_stack.undoText() == "nudge the endocardium in, slice 3"
    assert [step.cause for step in at_slice.case.record.steps][-3:] == [Cause.CONTOUR] * 3


def test_with_shift_keys_nudge_the_stack_as_one_step(at_slice):
    before = at_slice.case.labels.copy()
    n, steps = at_slice.case.interactions, at_slice.document.undo_stack.count()
    at_slice.accept()
    at_slice.go_to(2)
    at_slice.act("endocardium_out_all")
    pools = (at_slice.case.labels == POOL).sum(axis=(1, 2))
    assert (pools > (before == POOL).sum(axis=(1, 2))).all()
    assert at_slice.document.undo_stack.count() == steps + 2
    assert at_slice.case.interactions == n + 2
    assert at_slice.case.readings[2].status is SliceStatus.ACCEPTED
    at_slice.undo()
    np.testing.assert_array_equal(at_slice.case.labels, before)
    assert at_slice.document.current == 2
    at_slice.redo()
    np.testing.assert_array_equal((at_slice.case.labels == POOL).sum(axis=(1, 2)), pools)
    at_slice.act("history")
    model = at_slice.window.history.steps
    assert model.index(model.rowCount() - 1, 0).data() == "nudge the endocardium out on all slices"


def test_a_moved_wall_is_saved_with_its_steps(at_slice, tmp_path):
    column, row = edge_of_pool(at_slice)
    at_slice.act("contour")
    at_slice.drag((column, row), (column - 3, row))
    at_slice.act("epicardium_out")
    at_slice.wait_saved()
    [path] = (tmp_path / "cases").glob("*.scarseg")
    saved = store.load_case(path, at_slice.case.stack)
    np.testing.assert_array_equal(saved.labels, at_slice.case.labels)
    assert [step.name for step in saved.record.steps][-2:] == [
        "move the endocardium, slice 3", "nudge the epicardium out, slice 3",
    ]  # fmt: skip
