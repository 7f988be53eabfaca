"""Asking for wall and blood pool with box and point, as for scar."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, infarct_mask
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.gui import theme
from scarseg.gui.viewer import painting
from scarseg.io.casefile import store
from scarseg.models import Models
from scarseg.quant import scar_checks
from scarseg.segmentation.wall_correction import HeartMasks
from tests.conftest import phantom_labels
from tests.fakes import FakeDetector, FakeSegmenter

BEYOND = (36.0, 43.5)
"""A place 20 mm below the middle; the wall ends at 15 mm."""
IN_POOL = (31.0, 30.0)


@pytest.fixture
def at_slice(reading):
    reading.go_to(2)
    return reading


def ask(reader, label: str, column: float, row: float, positive: bool = True) -> None:
    reader.act(label)
    reader.click(column, row, positive)
    reader.wait_answer()


def label_at(reader, at: tuple[float, float]) -> int:
    return int(reader.document.labels[int(at[1]), int(at[0])])


def test_a_click_on_missing_wall_makes_it_wall_in_one_step(at_slice):
    before = at_slice.document.labels.copy()
    steps = at_slice.document.undo_stack.count()
    ask(at_slice, "label_2", *BEYOND)
    assert label_at(at_slice, BEYOND) == Label.MYOCARDIUM
    scar = infarct_mask(before)
    np.testing.assert_array_equal(infarct_mask(at_slice.document.labels), scar)
    [point] = at_slice.prompts.points
    assert point.structure is Label.MYOCARDIUM and point.positive
    assert at_slice.document.undo_stack.count() == steps + 1
    assert at_slice.document.undo_stack.undoText() == "add wall point, slice 3"
    assert at_slice.document.reading.edited
    at_slice.undo()
    np.testing.assert_array_equal(at_slice.document.labels, before)
    assert at_slice.prompts.points == ()
    at_slice.redo()
    assert label_at(at_slice, BEYOND) == Label.MYOCARDIUM


def test_alt_and_pool_take_wall_away_and_give_it_back(at_slice):
    before = at_slice.document.labels.copy()
    ask(at_slice, "label_1", *IN_POOL, positive=False)
    assert label_at(at_slice, IN_POOL) == Label.MYOCARDIUM
    assert at_slice.document.undo_stack.undoText() == "add negative blood pool point, slice 3"
    at_slice.click(*IN_POOL)  # a click on a point takes it away, and all it did
    at_slice.wait_answer()
    assert at_slice.prompts.points == ()
    assert at_slice.document.undo_stack.undoText() == "delete blood pool point, slice 3"
    np.testing.assert_array_equal(at_slice.document.labels, before)


def test_scar_off_the_wall_stays_and_is_pointed_out(at_slice):
    before = at_slice.document.labels.copy()
    ask(at_slice, "label_2", 47.2, 30.5, positive=False)
    document = at_slice.document
    np.testing.assert_array_equal(infarct_mask(document.labels), infarct_mask(before))
    found = scar_checks.find_scar_outside_wall(
        document.labels, document.labels_under_scar[2], at_slice.prompts, (1.5, 1.25)
    )
    assert "outside the wall" in found.description
    at_slice.act("clip")
    assert infarct_mask(document.labels).sum() < infarct_mask(before).sum()


def test_a_click_on_scar_afterwards_keeps_the_corrected_wall(at_slice):
    ask(at_slice, "label_2", *BEYOND)
    wall = HeartMasks.of_labels(at_slice.document.labels).wall.copy()
    ask(at_slice, "label_3", 44.5, 30.5)
    # Within 2.5 mm of the click its pixels are scar, and so wall: pixels are 1.5 by 1.25 mm.
    rows, columns = np.mgrid[: wall.shape[0], : wall.shape[1]]
    beyond = np.hypot((rows - 30) * 1.5, (columns - 44) * 1.25) > 2.5
    after = HeartMasks.of_labels(at_slice.document.labels).wall
    np.testing.assert_array_equal(after[beyond], wall[beyond])
    assert [p.structure for p in at_slice.prompts.points] == [Label.MYOCARDIUM, Label.SCAR]


def test_a_box_round_the_pool_bounds_it_and_can_be_pulled_and_deleted(at_slice):
    before = at_slice.document.labels.copy()
    at_slice.act("label_1")
    at_slice.act("box")
    # With Ctrl, since it begins at the endocardium, which would be dragged.
    at_slice.drag((31, 26), (41, 34), modifiers=Qt.KeyboardModifier.ControlModifier)
    at_slice.wait_answer()
    rows, columns = np.nonzero(at_slice.document.labels == Label.BLOOD_POOL)
    extent = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert extent == pytest.approx((31, 26, 41, 34), abs=1)
    assert at_slice.prompts.boxes and at_slice.prompts.boxes[0].origin is Origin.DETECTOR
    assert at_slice.document.undo_stack.undoText() == "blood pool box, slice 3"
    at_slice.drag((31, 26), (30, 25))
    at_slice.wait_answer()
    assert at_slice.prompts.pool_box.column0 == pytest.approx(30, abs=0.3)
    at_slice.drag((36, 31), (36, 31))
    at_slice.act("delete")
    at_slice.wait_answer()
    assert at_slice.prompts.pool_box is None
    np.testing.assert_array_equal(at_slice.document.labels, before)


def test_a_box_round_the_wall_is_the_ventricles_box(at_slice):
    at_slice.act("label_2")
    at_slice.drag_box(16, 12, 56, 48)
    at_slice.wait_answer()
    assert at_slice.prompts.lv_box.origin is Origin.READER
    assert at_slice.prompts.lv_box.column0 == pytest.approx(16, abs=0.3)
    assert "ventricle box" in at_slice.document.undo_stack.undoText()


@pytest.mark.parametrize(
    ("label", "word"), [("label_4", "O proposes it"), ("label_5", "1, 2 or 3")]
)
def test_what_cannot_be_asked_for_is_refused_with_a_word(label, word, at_slice):
    before = at_slice.document.reading
    said = at_slice.window.status_bar.message
    at_slice.act(label)
    at_slice.click(*BEYOND)
    assert word in said.text()
    said.clear()
    at_slice.drag_box(5, 5, 20, 20)
    assert word in said.text() and at_slice.document.reading == before


def test_a_drawing_is_corrected_round_the_click_alone(at_slice):
    at_slice.act("label_2")
    at_slice.paint((36, 13), (36, 17))
    drawn = at_slice.document.labels.copy()
    assert (drawn != phantom_labels()[2]).any()
    ask(at_slice, "label_2", *BEYOND)
    assert label_at(at_slice, BEYOND) == Label.MYOCARDIUM
    np.testing.assert_array_equal(at_slice.document.labels[:20], drawn[:20])
    ask(at_slice, "label_3", 44.5, 30.5)
    assert "drawn by hand" in at_slice.window.status_bar.message.text()
    at_slice.undo()
    at_slice.undo()
    np.testing.assert_array_equal(at_slice.document.labels, drawn)


@pytest.mark.parametrize(
    ("verdict", "status"), [("accept", SliceStatus.ACCEPTED), ("no_scar", SliceStatus.NO_SCAR)]
)
def test_a_verdict_on_the_scar_outlives_a_click_on_the_wall(verdict, status, at_slice):
    at_slice.act(verdict)
    at_slice.go_to(2)
    ask(at_slice, "label_2", *BEYOND)
    assert at_slice.document.reading.status is status
    assert at_slice.prompts.no_scar is (verdict == "no_scar")
    assert infarct_mask(at_slice.document.labels).any() is np.bool_(verdict == "accept")
    at_slice.act("no_scar")
    assert [p.structure for p in at_slice.document.case.readings[2].prompts.points] == [2]


@pytest.mark.parametrize("label", ["label_2", "label_3"])
def test_after_an_undo_the_wall_is_still_not_taken_for_drawn(label, at_slice):
    ask(at_slice, "label_2", *BEYOND)
    once = at_slice.document.labels.copy()
    ask(at_slice, label, 44.5, 30.5, positive=False)
    at_slice.undo()
    np.testing.assert_array_equal(at_slice.document.labels, once)
    ask(at_slice, "label_3", 46.5, 27.5, positive=False)
    assert label_at(at_slice, (46.5, 27.5)) == Label.MYOCARDIUM
    assert label_at(at_slice, BEYOND) == Label.MYOCARDIUM
    at_slice.act("label_2")
    at_slice.click(*BEYOND)
    at_slice.wait_answer()
    assert label_at(at_slice, BEYOND) == Label.BACKGROUND


def test_a_quick_click_on_the_wall_does_not_drop_the_one_on_scar(at_slice):
    """Two clicks before the first answer: both are answered."""
    at_slice.act("label_3")
    at_slice.click(44.5, 30.5, positive=False)
    at_slice.act("label_2")
    at_slice.click(*BEYOND)
    at_slice.wait_answer()
    assert label_at(at_slice, (44.5, 30.5)) == Label.MYOCARDIUM
    assert label_at(at_slice, BEYOND) == Label.MYOCARDIUM


def test_clicks_before_the_slice_is_ready_wait_their_turn(make_reader, phantom_stack):
    reader = make_reader()
    reader.open(phantom_stack)
    reader.document.go_to(2)
    reader.act("label_2")
    reader.click(*BEYOND)
    reader.wait_ready()
    reader.wait_answer()
    assert label_at(reader, BEYOND) == Label.MYOCARDIUM


class ScarAlone(FakeSegmenter):
    def predict(self, *args, **kwargs):
        told = super().predict(*args, **kwargs)
        return type(told)(told.scar)


def test_weights_that_know_scar_alone_leave_a_drawn_wall_to_be_corrected(
    make_reader, phantom_stack
):
    reader = make_reader(Models(ScarAlone(), FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    reader.go_to(2)
    reader.act("label_2")
    reader.paint((28, 40), (44, 40))
    ask(reader, "label_2", 36, 46)
    assert label_at(reader, (36, 46)) == Label.MYOCARDIUM


def test_wall_again_takes_the_clicks_back(at_slice):
    before = at_slice.document.labels.copy()
    ask(at_slice, "label_2", *BEYOND)
    at_slice.act("propose_wall")
    at_slice.wait(lambda: at_slice.prompts.points == ())
    np.testing.assert_array_equal(at_slice.document.labels, before)


def test_prompts_for_wall_and_pool_are_kept_with_the_case(at_slice, tmp_path):
    ask(at_slice, "label_2", *BEYOND)
    ask(at_slice, "label_1", *IN_POOL, positive=False)
    at_slice.act("save")
    at_slice.wait_saved()
    stack = at_slice.case.stack
    kept = store.load_case(store.case_path(tmp_path / "cases", stack), stack)
    assert kept.readings[2].prompts == at_slice.prompts
    assert [p.structure for p in kept.readings[2].prompts.points] == [2, 1]


def test_the_hand_says_what_it_asks_for(at_slice):
    canvas = at_slice.window.canvas
    at_slice.act("point")
    at_slice.act("label_2")
    at_slice.mouse(QMouseEvent.Type.MouseMove, BEYOND, Qt.MouseButton.NoButton)
    assert canvas.tool_layer.word == "wall"
    at_slice.act("label_3")
    assert canvas.tool_layer.word == ""
    at_slice.act("label_4")
    assert canvas.tool_layer.word == "nothing to ask for"
    at_slice.act("brush")
    assert canvas.tool_layer.word == ""


def test_points_of_wall_and_pool_have_their_structures_colours(at_slice):
    points = (
        Point(10, 10, True, Label.MYOCARDIUM),
        Point(30, 10, True, Label.BLOOD_POOL),
        Point(50, 10),
    )
    image = QImage(60, 20, QImage.Format.Format_RGB32)
    image.fill(0)
    painter = QPainter(image)
    painting.paint_prompts(painter, SlicePrompts(points=points, pool_box=Box(22, 2, 38, 18)))
    painter.end()
    found = [image.pixelColor(x - 2, 8) for x in (10, 30, 50)]
    assert found == [QColor(name) for name in (theme.TEAL, theme.SLATE, theme.GREEN)]
