"""Scar outside the wall is pointed out and clipped when asked; dark cores become MVO."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from scarseg.case import changes
from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.gui.session.document import Document
from scarseg.quant import scar_checks
from scarseg.quant.mvo import label_mvo
from scarseg.quant.remote import RemoteSignal
from tests.conftest import make_phantom_stack, phantom_labels

pytestmark = pytest.mark.usefixtures("no_late_doubts")

SPACING = (1.5, 1.25)
NO_PROMPTS = SlicePrompts()


def _marked(reading):
    return not reading.window.canvas.marks.path.isEmpty()


def test_a_proposal_leaves_nothing_to_point_out(reading):
    for k in range(5):
        reading.go_to(k)
        assert not _marked(reading)
        assert reading.window.strip.tiles[k].remark == ""
    assert not reading.window.results.remarks.isVisible()


def test_scar_outside_the_wall_is_pointed_out_and_left_alone(reading):
    reading.go_to(0)
    reading.paint((36, 50), (36, 54))
    outside = (reading.document.labels == Label.SCAR).sum() * 1.5 * 1.25
    tile, panel = reading.window.strip.tiles[0], reading.window.results.remarks
    assert tile.remark == f"scar {outside:.0f} mm² outside the wall"
    assert tile.remark in tile.accessibleName()
    assert panel.isVisible() and panel.text().startswith("Slice 1: scar")
    assert _marked(reading)
    QTest.keyPress(reading.window.canvas, Qt.Key.Key_H)
    assert not reading.window.canvas.marks.isVisible()
    QTest.keyRelease(reading.window.canvas, Qt.Key.Key_H)
    assert reading.window.canvas.marks.isVisible()
    reading.go_to(1)
    assert not _marked(reading)
    reading.undo()
    assert tile.remark == "" and not panel.isVisible()
    reading.redo()
    assert tile.remark


def test_scar_in_the_blood_pool_is_named_so(reading):
    reading.go_to(0)
    reading.paint((36, 30))
    assert "in the blood pool" in reading.window.strip.tiles[0].remark


def test_clip_gives_back_what_lay_beneath_as_one_step(reading):
    reading.go_to(2)
    before = reading.document.labels.copy()
    reading.paint((10, 30), (60, 30))
    painted = reading.document.labels.copy()
    reading.act("clip")
    after = reading.document.labels
    wall = before >= Label.MYOCARDIUM
    np.testing.assert_array_equal(after[~wall], before[~wall])
    np.testing.assert_array_equal(after[wall], painted[wall])
    assert reading.document.undo_stack.undoText() == "clip scar to the wall, slice 3"
    assert reading.window.strip.tiles[2].remark.endswith("far from its box")
    reading.undo()
    np.testing.assert_array_equal(reading.document.labels, painted)
    assert "outside the wall" in reading.window.strip.tiles[2].remark
    reading.undo()
    reading.act("clip")
    assert reading.document.undo_stack.index() == 0
    assert "within the wall" in reading.window.status_bar.message.text()


def test_without_a_wall_nothing_is_stray_and_nothing_is_clipped(reading):
    reading.go_to(0)
    reading.act("not_assessable")
    reading.go_to(0)
    reading.paint((30, 30), (34, 30))
    labels = reading.document.labels.copy()
    assert reading.window.strip.tiles[0].remark == ""
    reading.act("clip")
    np.testing.assert_array_equal(reading.document.labels, labels)
    assert "no wall" in reading.window.status_bar.message.text()


def test_an_answer_lies_on_wall_and_undo_brings_back_what_was_beneath(reading):
    reading.go_to(2)
    reading.paint((36, 50), (36, 54))
    assert reading.window.strip.tiles[2].remark
    reading.act("segment")
    reading.wait_answer()
    assert reading.window.strip.tiles[2].remark == ""
    reading.undo()
    assert "outside" in reading.window.strip.tiles[2].remark


def test_wall_and_pool_come_anew_and_the_scar_stays(reading):
    reading.go_to(2)
    before = reading.document.labels.copy()
    reading.act("label_2")
    reading.paint((5, 5), (20, 50), (60, 5))
    reading.act("label_4")
    reading.paint((36, 50), (36, 54))
    drawn = reading.document.labels.copy()
    reading.act("propose_wall")
    reading.wait(lambda: reading.document.undo_stack.undoText().startswith("propose wall"))
    after = reading.document.labels
    infarct = drawn >= Label.SCAR
    assert (after[infarct] == drawn[infarct]).all()
    healthy = np.where(before >= Label.SCAR, Label.MYOCARDIUM, before)
    np.testing.assert_array_equal(after[~infarct], healthy[~infarct])
    assert "outside the wall" in reading.window.strip.tiles[2].remark
    assert reading.inference.is_drawn_manually(2)
    reading.undo()
    np.testing.assert_array_equal(reading.document.labels, drawn)


def test_a_copied_slice_keeps_what_lay_beneath_its_scar(reading):
    reading.go_to(0)
    reading.act("label_1")
    reading.paint((26, 30))
    reading.act("label_3")
    reading.paint((26, 30))
    assert "in the blood pool" in reading.window.strip.tiles[0].remark
    reading.act("copy_down")
    assert reading.window.strip.tiles[1].remark == reading.window.strip.tiles[0].remark
    reading.undo()
    assert reading.window.strip.tiles[1].remark == ""


def test_scar_that_a_model_draws_where_pool_was_lies_on_wall():
    case = Case.new(make_phantom_stack())
    case.labels[:] = phantom_labels()
    document = Document(case)
    before = document.labels_under_scar[2].copy()
    labels = case.labels[2].copy()
    labels[28:33, 30:36] = Label.SCAR
    document.push(changes.apply_prediction(case, 2, labels), answers=True)
    assert (document.labels_under_scar[2][28:33, 30:36] == Label.MYOCARDIUM).all()
    document.undo_stack.undo()
    np.testing.assert_array_equal(document.labels_under_scar[2], before)
    document.undo_stack.redo()
    assert (document.labels_under_scar[2][28:33, 30:36] == Label.MYOCARDIUM).all()
    document.push(changes.paint(case, 2, "paint", phantom_labels()[2]))
    document.push(changes.paint(case, 2, "paint", labels))
    assert (document.labels_under_scar[2][28:33, 30:36] == Label.BLOOD_POOL).all()


def test_a_piece_far_from_every_box_is_found_and_a_near_one_is_not():
    labels = np.full((40, 40), Label.MYOCARDIUM, dtype=np.uint8)
    ground = labels.copy()
    labels[10:13, 10:13] = labels[30:33, 30:33] = Label.SCAR
    prompts = SlicePrompts(boxes=(Box(16, 10, 20, 13),))
    found = scar_checks.find_scar_outside_wall(labels, ground, prompts, SPACING)
    assert not found.far[10:13, 10:13].any()
    assert found.far[30:33, 30:33].all()
    assert found.description == "scar 17 mm² far from its box"
    further = SlicePrompts(boxes=(Box(18, 10, 20, 13),))
    assert (
        scar_checks.find_scar_outside_wall(labels, ground, further, SPACING).far[10:13, 10:13].all()
    )
    assert scar_checks.find_scar_outside_wall(labels, ground, NO_PROMPTS, SPACING).description == ""


def test_a_few_voxels_are_not_worth_a_word():
    labels = np.zeros((20, 20), dtype=np.uint8)
    labels[5:10, 5:10] = Label.MYOCARDIUM
    ground = labels.copy()
    labels[15, 15:18] = Label.SCAR
    assert scar_checks.find_scar_outside_wall(labels, ground, NO_PROMPTS, SPACING).description == ""
    assert not scar_checks.find_scar_outside_wall(labels, ground, NO_PROMPTS, SPACING).mask.any()
    assert (
        scar_checks.find_scar_outside_wall(labels, ground, NO_PROMPTS, (2.0, 2.0)).mask.sum() == 3
    )


def test_on_opening_scar_apart_from_the_wall_lies_on_what_is_round_it():
    labels = phantom_labels()[2]
    labels[2:6, 2:6] = Label.SCAR
    labels[29:31, 35:37] = Label.MVO
    ground = scar_checks.estimate_labels_under_scar(labels)
    assert (ground[2:6, 2:6] == Label.BACKGROUND).all()
    assert (ground[29:31, 35:37] == Label.BLOOD_POOL).all()
    assert (ground[phantom_labels()[2] == Label.SCAR] == Label.MYOCARDIUM).all()


@pytest.mark.parametrize("transmural", [False, True])
def test_a_ring_of_scar_is_wall_and_scar_without_a_heart_is_not(transmural):
    labels = phantom_labels()[2]
    labels[labels == Label.MYOCARDIUM] = Label.SCAR
    if not transmural:
        labels[labels == Label.BLOOD_POOL] = Label.BACKGROUND
    expected = Label.MYOCARDIUM if transmural else Label.BACKGROUND
    assert (scar_checks.estimate_labels_under_scar(labels)[labels == Label.SCAR] == expected).all()


REMOTE = RemoteSignal(mean=50.0, sd=10.0, peak=80.0, n_voxels=50)


def _with_core(size):
    labels = np.zeros((30, 30), dtype=np.uint8)
    labels[5:20, 5:25] = Label.MYOCARDIUM
    labels[7:18, 8:20] = Label.SCAR
    pixels = np.where(labels == Label.SCAR, 200.0, 50.0).astype(np.float32)
    pixels[10 : 10 + size, 10 : 10 + size] = 60.0
    return pixels, labels


def test_a_dark_core_within_scar_becomes_mvo_and_a_speck_does_not():
    pixels, labels = _with_core(3)
    after = label_mvo(pixels, labels, REMOTE, SPACING)
    expected = labels.copy()
    expected[10:13, 10:13] = Label.MVO
    np.testing.assert_array_equal(after, expected)
    dimmer = replace(REMOTE, sd=4.0)
    np.testing.assert_array_equal(label_mvo(pixels, labels, dimmer, SPACING), labels)
    pixels, labels = _with_core(2)
    np.testing.assert_array_equal(label_mvo(pixels, labels, REMOTE, SPACING), labels)


@pytest.mark.parametrize(
    ("rows", "beside", "found"),
    [
        ((8, 11), Label.BLOOD_POOL, True),
        ((8, 11), Label.MYOCARDIUM, True),
        ((7, 18), Label.BLOOD_POOL, True),
        ((7, 18), Label.MYOCARDIUM, False),
    ],
)
def test_a_core_may_lie_on_the_pool_but_the_dim_border_of_scar_is_none(rows, beside, found):
    pixels, labels = _with_core(0)
    labels[5:20, 5:8] = beside
    pixels[rows[0] : rows[1], 8:10] = 55.0
    dark = np.zeros(labels.shape, dtype=bool)
    dark[rows[0] : rows[1], 8:10] = True
    after = label_mvo(pixels, labels, REMOTE, SPACING)
    np.testing.assert_array_equal(after == Label.MVO, dark & found)


def test_dark_wall_shut_in_by_scar_becomes_mvo_too():
    pixels, labels = _with_core(3)
    labels[10:13, 10:13] = Label.MYOCARDIUM
    assert (label_mvo(pixels, labels, REMOTE, SPACING)[10:13, 10:13] == Label.MVO).all()


def test_mvo_is_proposed_in_one_step_or_nothing_is_said_to_be_there(make_reader):
    stack = make_phantom_stack()
    pixels = stack.pixels.copy()
    pixels[2, 28:32, 44:47] = 50.0
    reader = make_reader()
    reader.open(replace(stack, pixels=pixels))
    reader.wait_ready()
    reader.go_to(2)
    expected = np.zeros((60, 72), dtype=bool)
    expected[28:32, 44:47] = True
    np.testing.assert_array_equal(reader.document.labels == Label.MVO, expected)  # with the scar
    scar = np.where(
        reader.document.labels == Label.MVO, np.uint8(Label.SCAR), reader.document.labels
    )
    reader.document.push(changes.paint(reader.case, 2, "relabel", scar))
    before = reader.case.labels.tobytes()
    reader.act("propose_mvo")
    np.testing.assert_array_equal(reader.document.labels == Label.MVO, expected)
    assert reader.document.undo_stack.undoText() == "propose MVO, slice 3"
    reader.undo()
    assert reader.case.labels.tobytes() == before
    reader.go_to(3)
    reader.act("propose_mvo")
    assert reader.document.undo_stack.index() == 1
    assert "No dark core" in reader.window.status_bar.message.text()
