"""Tools as selected: fill, lasso and the threshold brush."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QMouseEvent

from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.gui.tools import drawing
from scarseg.quant.suggested_threshold import suggest_threshold
from tests.conftest import SCAR_LEVEL, WALL_LEVEL, make_phantom_stack, phantom_labels

HALFWAY = (SCAR_LEVEL + WALL_LEVEL) / 2


def _case(labels=None, noise=0.0):
    stack = make_phantom_stack()
    pixels = stack.pixels + np.random.default_rng(1).normal(0, noise, stack.pixels.shape)
    case = Case.new(replace(stack, pixels=pixels.astype(np.float32)))
    case.labels[:] = phantom_labels() if labels is None else labels
    return case


def test_a_closed_region_is_filled_and_no_corner_leaks():
    labels = np.zeros((8, 9), dtype=np.uint8)
    labels[2:6, 2:6] = Label.SCAR
    labels[3:5, 3:5] = Label.BACKGROUND
    labels[2, 2] = Label.BACKGROUND
    filled = drawing.flood(labels, (3.5, 4.2), Label.MVO)
    assert filled.verb == "fill"
    expected = labels.copy()
    expected[3:5, 3:5] = Label.MVO
    np.testing.assert_array_equal(filled.labels, expected)


def test_a_region_that_reaches_the_border_is_refused_and_off_the_slice_is_nothing():
    labels = np.zeros((8, 9), dtype=np.uint8)
    assert isinstance(drawing.flood(labels, (3, 3), Label.SCAR), drawing.Refused)
    assert drawing.flood(labels, (3, 3), Label.BACKGROUND) is None
    assert drawing.flood(labels, (-1, 3), Label.SCAR) is None
    assert drawing.flood(labels, (3, 8), Label.SCAR) is None


def test_the_fill_tool_fills_what_is_clicked_as_one_step(reading):
    reading.go_to(2)
    pool = reading.document.labels == Label.BLOOD_POOL
    before = reading.case.labels.tobytes()
    reading.act("flood")
    reading.act("label_4")
    reading.drag((36, 30))
    assert (reading.document.labels[pool] == Label.MVO).all()
    assert reading.document.undo_stack.undoText() == "fill, slice 3"
    reading.undo()
    assert reading.case.labels.tobytes() == before
    reading.drag((3, 3))
    assert reading.case.labels.tobytes() == before
    assert "not closed" in reading.window.status_bar.message.text()


def test_the_lasso_fills_its_outline_on_release(reading):
    reading.go_to(0)
    before = reading.document.labels.copy()
    reading.act("lasso")
    outline = ((20.0, 20.0), (40.0, 20.0), (40.0, 40.0), (20.0, 40.0))
    reading.mouse(QMouseEvent.Type.MouseButtonPress, outline[0])
    for at in outline[1:]:
        reading.mouse(QMouseEvent.Type.MouseMove, at)
    np.testing.assert_array_equal(reading.document.labels, before)
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, outline[-1])
    scar = reading.document.labels == Label.SCAR
    assert 19**2 <= scar.sum() <= 21**2
    assert scar[22:38, 22:38].all()
    assert reading.document.undo_stack.undoText() == "lasso, slice 1"


def test_a_cancelled_or_merely_clicked_lasso_draws_nothing(reading):
    reading.act("lasso")
    reading.drag((20, 20))
    reading.mouse(QMouseEvent.Type.MouseButtonPress, (20, 20))
    reading.mouse(QMouseEvent.Type.MouseMove, (40, 20))
    reading.mouse(QMouseEvent.Type.MouseMove, (40, 40))
    reading.act("cancel_gesture")
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, (20, 40))
    assert reading.document.undo_stack.count() == 0


def test_the_threshold_brush_paints_only_what_is_brighter(reading):
    reading.go_to(2)
    reading.act("label_4")
    reading.act("threshold")
    bright = reading.case.stack.pixels[2] > HALFWAY
    path = ((20, 30), (56, 30))
    under = drawing.disc(bright.shape, *path, reading.window.canvas.radius_mm, (1.5, 1.25))
    assert (under & bright).any() and (under & ~bright).any()
    reading.drag(*path)
    np.testing.assert_array_equal(reading.document.labels == Label.MVO, under & bright)
    assert reading.document.undo_stack.undoText() == "paint above 125, slice 3"


def test_the_threshold_is_shown_and_set_by_wheel_slider_and_key(reading):
    canvas, row = reading.window.canvas, reading.window.view_row
    assert not row.threshold.isVisible()
    reading.act("threshold")
    assert row.threshold.isVisible()
    assert float(row.threshold_text.text()) == canvas.threshold == HALFWAY
    assert "halfway" in row.threshold_text.toolTip()
    k = reading.document.current
    reading.wheel(240, Qt.KeyboardModifier.AltModifier)
    higher = canvas.threshold
    assert higher > HALFWAY and reading.document.current == k
    assert row.threshold_text.text() == f"{higher:.4g}"
    reading.act("lower_threshold")
    assert canvas.threshold < higher
    reading.act("higher_threshold")
    assert canvas.threshold == higher
    row.threshold.setValue(0)
    assert canvas.threshold == WALL_LEVEL
    reading.act("brush")
    reading.act("higher_threshold")
    assert not row.threshold.isVisible()
    reading.act("threshold")
    assert canvas.threshold == WALL_LEVEL
    reading.act("automatic_threshold")
    assert canvas.threshold == HALFWAY


def test_the_threshold_belongs_to_its_stack(reading):
    reading.act("threshold")
    reading.window.view_row.threshold.setValue(0)
    stack = make_phantom_stack()
    brighter = np.where(stack.pixels == WALL_LEVEL, WALL_LEVEL + 10, stack.pixels)
    reading.open(replace(stack, pixels=brighter, series_uid="1.2.3.9"))
    reading.wait_ready()
    assert reading.window.canvas.threshold == pytest.approx(HALFWAY + 5)


def test_the_hint_of_a_tool_is_shown(reading):
    message = reading.window.status_bar.message
    reading.act("brush")
    reading.act("label_2")
    assert message.text() == ""
    reading.act("point")
    assert "Click what is wall" in message.text()
    message.clear()
    reading.act("label_3")
    assert message.text() == ""
    reading.act("label_1")
    assert "Click what is blood pool" in message.text()
    reading.act("label_4")
    assert "O proposes it" in message.text()


def test_without_scar_the_threshold_is_two_sd_above_remote_wall():
    labels = phantom_labels()
    labels[labels == Label.SCAR] = Label.MYOCARDIUM
    stack = make_phantom_stack()
    levels = np.array([10.0, 150.0, 50.0])
    case = _case(labels)
    noise = np.random.default_rng(2).normal(0, 5, labels.shape)
    case.stack = replace(stack, pixels=(levels[labels] + noise).astype(np.float32))
    found = suggest_threshold(case)
    assert "2 SD" in found.rule
    assert found.value == pytest.approx(60, abs=4)
    assert found.low < found.value < found.high


def test_without_a_wall_a_threshold_is_suggested_too():
    found = suggest_threshold(_case(np.zeros_like(phantom_labels())))
    assert found.low <= found.value <= found.high


def test_hovering_previews_the_pixels_that_the_brush_would_paint(reading):
    reading.go_to(2)
    reading.act("threshold")
    reading.mouse(QMouseEvent.Type.MouseMove, (45, 30))
    hand = reading.window.canvas.tool_layer
    assert not hand._caught.isEmpty()
    reading.mouse(QMouseEvent.Type.MouseMove, (23, 30))
    assert hand._caught.isEmpty()
