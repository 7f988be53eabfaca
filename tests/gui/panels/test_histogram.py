"""The histogram of the wall: follows edits, shows and moves the threshold."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest

from scarseg.case.labels import Label
from scarseg.errors import WeightsError
from scarseg.gui import theme


@pytest.fixture
def plot(reading):
    found = reading.window.histogram.plot
    reading.go_to(2)
    reading.wait(lambda: found.shown is not None)
    reading.wait(lambda: found.shown.scar.sum() == np.sum(reading.document.labels == Label.SCAR))
    return found


def _colours(plot) -> set[str]:
    image = plot.grab().toImage()
    return {
        image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())
    }


def test_the_scars_bins_are_lit_and_follow_an_edit(reading, plot):
    assert plot.shown.scar.sum() > 0
    assert theme.ORANGE in _colours(plot)
    before = plot.shown.scar.sum()
    column, row = np.argwhere(reading.document.labels == Label.SCAR)[0][::-1] + 0.5
    reading.erase((column, row), (column + 3, row))
    reading.wait(lambda: plot.shown.scar.sum() < before)
    assert plot.shown.scar.sum() == np.sum(reading.document.labels == Label.SCAR)
    reading.undo()
    reading.wait(lambda: plot.shown.scar.sum() == before)
    assert "voxels of wall" in plot.accessibleDescription()


def test_it_is_not_counted_while_a_stroke_goes_on(reading, plot, monkeypatch):
    counted, was = [], plot.show_histogram
    reading.act("brush")
    reading.qtbot.wait(300)
    monkeypatch.setattr(plot, "show_histogram", lambda found: (counted.append(1), was(found)))
    reading.mouse(QMouseEvent.Type.MouseButtonPress, (30, 30))
    for step in range(20):
        reading.mouse(QMouseEvent.Type.MouseMove, (30 + step / 2, 30))
    reading.qtbot.wait(150)
    assert not counted
    reading.mouse(QMouseEvent.Type.MouseButtonRelease, (40, 30))
    reading.wait(lambda: counted)


def test_the_threshold_is_a_line_that_one_drags(reading, plot):
    assert plot.threshold is None
    reading.act("threshold")
    canvas = reading.window.canvas
    assert plot.threshold == canvas.threshold
    start = QPoint(round(plot.x_of(plot.threshold)), plot.height() // 2)
    QTest.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(plot.viewport(), start + QPoint(20, 0))
    QTest.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=start + QPoint(20, 0))
    assert canvas.threshold == plot.threshold
    assert canvas.threshold == pytest.approx(plot.value_at(start.x() + 20), rel=0.02)
    plot.setFocus()
    before = canvas.threshold
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert canvas.threshold < before
    reading.act("box")
    assert plot.threshold is None


def test_of_a_slice_or_of_the_stack(reading, plot):
    histogram = reading.window.histogram
    histogram.scope.click()
    whole = np.sum(reading.case.labels == Label.SCAR)
    reading.wait(lambda: plot.shown.scar.sum() == whole)
    assert histogram.scope.text() == "Stack"


def test_it_is_put_away_by_its_action(reading, plot):
    histogram = reading.window.histogram
    assert histogram.isVisible()
    reading.act("histogram")
    assert not histogram.isVisible()
    reading.act("histogram")
    assert histogram.isVisible()


def test_a_slice_without_a_wall_says_so(make_reader, phantom_stack):
    reader = make_reader(loader=lambda: (_ for _ in ()).throw(WeightsError("E_W", "none")))
    reader.open(phantom_stack)
    plot = reader.window.histogram.plot
    reader.wait(lambda: plot.shown is not None)
    assert plot.shown.n_wall == 0
    assert "No wall" in plot.accessibleDescription()
    assert theme.ORANGE not in _colours(plot)
    reader.settle()


def test_the_grey_window_is_dragged_in_its_strip(reading, plot):
    views = reading.window.views
    low, high = plot.shown.edges[0], plot.shown.edges[-1]
    views.shared.set("levels", (low + 0.2 * (high - low), low + 0.6 * (high - low)))
    before = views.shared.levels
    end = QPoint(round(plot.x_of(before[1])), plot.height() - 4)
    QTest.mousePress(plot.viewport(), Qt.MouseButton.LeftButton, pos=end)
    QTest.mouseMove(plot.viewport(), end + QPoint(20, 0))
    QTest.mouseRelease(plot.viewport(), Qt.MouseButton.LeftButton, pos=end + QPoint(20, 0))
    after = reading.window.canvas.levels
    assert after[0] == pytest.approx(before[0]) and after[1] > before[1]
    assert reading.window.view_row.presets.currentText() == "By hand"


def test_the_grams_above_the_threshold_follow_its_line(reading, plot):
    reading.act("threshold")
    wall = reading.case.labels[2] != Label.BACKGROUND
    wall &= reading.case.labels[2] != Label.BLOOD_POOL
    above = reading.case.stack.pixels[2][wall] > plot.threshold
    grams = 1.05e-3 * np.prod(reading.case.stack.pixel_spacing_mm) * above.sum()
    grams *= reading.case.stack.slice_thickness_mm
    assert float(plot.above.split()[0]) == pytest.approx(grams, abs=0.3)
    reading.act("box")
    assert plot.above == ""
