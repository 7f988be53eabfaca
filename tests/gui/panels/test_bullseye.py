"""Bull's-eye panel: scar by segment, updated after every edit."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest

from scarseg.case.labels import Label
from scarseg.errors import WeightsError
from scarseg.gui import theme
from scarseg.gui.panels.bullseye import faces
from scarseg.gui.panels.bullseye import panel as bullseye_panel
from scarseg.quant import segments
from scarseg.quant.segment_tables import segment_rows
from scarseg.quant.wall_map import map_wall
from tests.conftest import make_phantom_stack
from tests.gui.test_theme import APART, READABLE, VISION, _contrast, _distance


@pytest.fixture
def panel(reading):
    reading.settle()
    reading.act("bullseye")
    found = reading.window.bullseye.panel
    reading.wait(lambda: found.shown is not None)
    return found


def _settle(reading) -> None:
    """Wait until the map is that of the labels as they stand."""
    followed = reading.window.bullseye
    reading.wait(lambda: followed._n_shown == followed._n_changes)


def _hover(panel, number: int | None) -> None:
    at = panel.view.position_of(number).toPoint() if number else QPoint(1, 1)
    QTest.mouseMove(panel.view, at)


@pytest.mark.parametrize("vision", VISION)
def test_transmurality_classes_can_be_distinguished(vision):
    for one, other in combinations(faces.COLOURS.values(), 2):
        assert _distance(one, other, vision) >= APART, (one, other)


def test_numbers_are_readable_on_every_class():
    for kind, colour in faces.COLOURS.items():
        assert _contrast(faces.TEXT_COLOURS[kind], colour) >= READABLE, kind


def test_the_panel_is_closed_until_its_action(reading):
    assert not reading.window.bullseye.panel.isVisible()
    reading.act("bullseye")
    assert reading.window.bullseye.panel.isVisible()
    assert reading.window.results.headline.isVisible(), "the results stay in sight"
    reading.act("bullseye")
    assert not reading.window.bullseye.panel.isVisible()
    reading.settle()


def test_the_panel_shows_the_numbers_of_the_wall_map(reading, panel):
    found = map_wall(reading.case.labels, reading.case.stack)
    assert panel.shown.found.area_percents == found.area_percents
    for row in segment_rows(found)[:16]:
        number = int(row["region"])
        if number in panel.shown.slices:
            grams = f"scar {row['scar_mass_thickness_g']:.1f} g"
            assert grams in panel.view._words[number]
            assert str(row["region_name"]) in panel.view._words[number]
    assert any(percent for percent in found.area_percents.values())
    panel.scope.click()
    assert panel.view._percents == found.ray_percents


def test_the_panel_follows_an_edit_and_its_undo(reading, panel):
    number = next(n for n, p in panel.shown.found.area_percents.items() if p)
    k = panel.shown.fullest[number]
    before = panel.shown.found.area_percents[number]
    reading.go_to(k)
    reading.act("no_scar")
    _settle(reading)
    after = panel.shown.found.area_percents[number]
    assert after is None or after < before
    reading.undo()
    _settle(reading)
    assert panel.shown.found.area_percents[number] == before


def test_a_late_map_is_dropped(reading, panel, monkeypatch):
    lane, asked = reading.session.disk_worker, []
    monkeypatch.setattr(lane, "run", lambda *args, **rest: asked.append((args, rest)))
    followed, shown = reading.window.bullseye, panel.shown
    reading.act("no_scar")
    followed.map_now()
    reading.undo()
    _args, rest = next(one for one in asked if one[0][0] == "map the wall")
    assert not rest["current"]()  # the case went on: the lane drops such an answer
    assert panel.shown is shown
    monkeypatch.undo()
    followed.map_now()
    _settle(reading)


def test_hovering_a_segment_highlights_it_and_a_click_goes_to_its_slice(reading, panel):
    number = next(n for n, p in panel.shown.found.area_percents.items() if p)
    k = panel.shown.fullest[number]
    reading.go_to(k)
    layer = reading.window.bullseye.insertion._layers[reading.window.canvas]
    assert layer.highlighted.isEmpty()
    _hover(panel, number)
    assert panel.view.at == number
    assert not layer.highlighted.isEmpty()
    rows, columns = np.nonzero(panel.shown.mask(number, k))
    bounds = layer.highlighted.boundingRect()
    assert bounds.left() == columns.min() and bounds.bottom() == rows.max() + 1
    assert panel.words.text() == panel.shown.title(segments.SEGMENTS[number - 1])
    reading.go_to((k + 1) % 5)
    QTest.mouseClick(
        panel.view, Qt.MouseButton.LeftButton, pos=panel.view.position_of(number).toPoint()
    )
    assert reading.document.current == k
    _hover(panel, None)
    assert layer.highlighted.isEmpty()
    assert "RV insertion" in panel.words.text()


def test_segments_are_selected_by_the_keyboard(reading, panel):
    panel.view.setFocus()
    QTest.keyClick(panel.view, Qt.Key.Key_Right)
    first = panel.view.at
    QTest.keyClick(panel.view, Qt.Key.Key_Right)
    assert first is not None and panel.view.at != first
    number, k = panel.view.at, panel.shown.fullest[panel.view.at]
    QTest.keyClick(panel.view, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert reading.document.current == k
    assert f"{number}: " in panel.view.accessibleDescription()


def test_another_case_is_another_map(reading, panel):
    other = replace(make_phantom_stack(), series_uid="1.2.3.9")
    shown = panel.shown
    reading.open(other)
    assert panel.shown is not shown
    reading.wait_ready()
    _settle(reading)
    assert panel.shown is not None


def test_a_stack_without_a_wall_shows_the_reason(make_reader, phantom_stack):
    reader = make_reader(loader=lambda: (_ for _ in ()).throw(WeightsError("E_W", "none")))
    reader.open(phantom_stack)
    reader.act("bullseye")
    _settle(reader)
    panel = reader.window.bullseye.panel
    assert panel.shown is None
    assert panel.view.accessibleDescription() == bullseye_panel.NO_WALL
    assert theme.QUIET in {
        panel.view.grab().toImage().pixelColor(x, y).name()
        for x in range(panel.view.width())
        for y in range(panel.view.height())
    }
    reader.settle()


def test_the_colour_of_a_segment_is_drawn(reading, panel):
    _hover(panel, None)
    image = panel.view.grab().toImage()
    seen = {
        image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())
    }
    wanted = {panel.view.colour_of(n) for n in panel.shown.slices}
    assert len(wanted) > 1 and wanted <= seen
    assert (reading.case.labels == Label.SCAR).any()
