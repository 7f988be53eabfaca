"""The magnifier: while its key is held, over whatever slice the mouse is on."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtTest import QTest

from scarseg.case.labels import Label
from scarseg.gui.viewer import magnifier


@pytest.fixture
def glass(reading):
    reading.go_to(2)
    return reading.window.magnifier.glass


def _hold(reading):
    QTest.keyPress(reading.window, Qt.Key.Key_Z)


def _let_go(reading):
    QTest.keyRelease(reading.window, Qt.Key.Key_Z)


def test_it_is_there_while_the_key_is_held_and_follows_the_mouse(reading, glass):
    assert not glass.isVisible()
    _hold(reading)
    reading.mouse(QMouseEvent.Type.MouseMove, (30, 30))
    assert glass.isVisible()
    one = glass.pos()
    reading.mouse(QMouseEvent.Type.MouseMove, (40, 30))
    assert glass.pos().x() > one.x() and glass.pos().y() == one.y()
    _let_go(reading)
    assert not glass.isVisible()
    reading.mouse(QMouseEvent.Type.MouseMove, (20, 30))
    assert not glass.isVisible()


def test_it_shows_three_times_as_much_of_each_voxel_unsmoothed(reading, glass):
    canvas = reading.window.canvas
    place = canvas.from_source(36, 30)
    picture = magnifier.magnified(canvas, place, 1.0)
    assert picture.width() == magnifier.SIDE
    assert canvas.image.smooth
    # The middle of the picture is the place itself, an outer point a third as far away.
    canvas.shared.set("hidden", True)
    plain, half = magnifier.magnified(canvas, place, 1.0), magnifier.SIDE / 2
    low, high = canvas.levels
    for x, y in ((0, 0), (90, 0), (-60, 80)):
        at = canvas.to_source(place + QPointF(x / magnifier.TIMES, y / magnifier.TIMES))
        value = reading.case.stack.pixels[2][int(at[1]), int(at[0])]
        grey = 255 * min(max((value - low) / (high - low), 0), 1)
        assert plain.pixelColor(int(half + x), int(half + y)).red() == pytest.approx(grey, abs=3)
    canvas.shared.set("hidden", False)


def test_its_pixels_are_those_of_the_screen_at_high_density(reading, glass):
    place = reading.window.canvas.from_source(36, 30)
    picture = magnifier.magnified(reading.window.canvas, place, 2.0)
    assert picture.width() == 2 * magnifier.SIDE
    assert picture.devicePixelRatio() == 2.0


def test_it_follows_the_slice_beneath(reading, glass):
    _hold(reading)
    k = reading.document.current
    row, column = (reading.case.labels[k] == Label.SCAR).nonzero()
    reading.mouse(QMouseEvent.Type.MouseMove, (column.mean(), row.mean()))
    before = glass.picture.copy()
    reading.go_to(0)
    reading.wait(lambda: glass.picture != before)
    _let_go(reading)


def test_away_from_the_slice_it_is_gone_and_a_window_that_loses_the_focus_lets_go(reading, glass):
    _hold(reading)
    reading.mouse(QMouseEvent.Type.MouseMove, (30, 30))
    QTest.mouseMove(reading.window.results)
    assert not glass.isVisible() and reading.window.magnifier.held
    reading.window.close()
    assert not reading.window.magnifier.held


def test_it_comes_up_with_a_key_that_repeats_and_never_draws(reading, glass):
    count = reading.document.undo_stack.count()
    for _ in range(3):
        _hold(reading)
        reading.mouse(QMouseEvent.Type.MouseMove, (30, 30))
        _let_go(reading)
    assert reading.document.undo_stack.count() == count


def test_it_works_in_the_montage(reading, glass):
    reading.act("montage")
    canvas = reading.window.views.grid.cells[2].canvas
    _hold(reading)
    place = canvas.from_source(36, 30)
    QTest.mouseMove(canvas, place.toPoint())
    assert glass.isVisible()
    middle = canvas.mapTo(reading.window, place.toPoint())
    assert (glass.geometry().center() - middle).manhattanLength() <= 2
    _let_go(reading)
