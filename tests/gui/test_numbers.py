"""A changed slice is painted first; its numbers follow a moment later and are never left behind."""

from __future__ import annotations

import pytest
from PyQt6.QtGui import QMouseEvent

from scarseg.case.labels import infarct_mask
from scarseg.gui.session.studies.study_list import state_text


@pytest.fixture
def stroke(reading):
    """Draw scar with the brush on a slice that is drawn on already; show no numbers yet."""

    def draw(at):
        for kind in (QMouseEvent.Type.MouseButtonPress, QMouseEvent.Type.MouseButtonRelease):
            reading.mouse(kind, at)

    reading.go_to(0)
    reading.paint((36, 50))
    return draw


def grams(reading):
    case = reading.case
    voxel_mm2 = case.stack.pixel_spacing_mm[0] * case.stack.pixel_spacing_mm[1]
    depth_mm = case.stack.slice_thickness_mm
    return infarct_mask(case.labels).sum() * voxel_mm2 * depth_mm * 1.05 / 1000


def test_the_numbers_of_a_stroke_follow_its_outline(reading, stroke):
    headline, outlines = reading.window.results.headline, reading.window.canvas.outlines.traced
    before = headline.text()
    stroke((10, 30))
    assert reading.window.canvas.outlines.traced is not outlines
    assert headline.text() == before
    reading.wait(lambda: headline.text() == f"{grams(reading):.1f} g" != before)


def test_who_asks_for_the_measurements_never_gets_those_before(reading, stroke):
    stroke((10, 30))
    assert reading.window.presenter.measured.scar_mass_g == pytest.approx(grams(reading))


def test_a_case_that_is_left_at_once_leaves_its_last_numbers_in_the_list(reading, stroke):
    for k in range(reading.case.stack.n_slices):
        reading.go_to(k)
        reading.accept()
    entry = reading.session.current.entry
    stroke((10, 30))
    weighs = f"{grams(reading):.1f} g"
    assert weighs not in state_text(entry)
    reading.session.close()
    assert weighs in state_text(entry)
