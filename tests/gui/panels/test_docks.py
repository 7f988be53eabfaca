"""Panels in tabs or side by side, in the place, the size and the text size of last time."""

from __future__ import annotations

import pytest
from PyQt6.QtWidgets import QApplication

from scarseg.gui import theme
from scarseg.gui.panels.window_layout import FRAME


@pytest.fixture(autouse=True)
def _usual_fonts(qapp):
    yield
    theme.fit_fonts(qapp, qapp.primaryScreen().size(), 1.0)


def _in_front(widget) -> bool:
    QApplication.processEvents()
    return widget.isVisible() and not widget.visibleRegion().isEmpty()


def _all_inside(window, names) -> bool:
    return all(_in_front(window.docks._panels[name].dock) for name in names)


def test_a_key_brings_a_panel_to_the_front_and_closes_it_there(reading):
    window = reading.window
    reading.act("bullseye")
    assert _in_front(window.bullseye.panel) and not _in_front(window.histogram)
    reading.act("histogram")  # it is open, behind the other tab
    assert _in_front(window.histogram) and not _in_front(window.bullseye.panel)
    assert window.actions_by_name["histogram"].isChecked()
    reading.act("histogram")
    assert not window.histogram.isVisible()
    assert _in_front(window.bullseye.panel)
    reading.settle()


def test_panels_stand_side_by_side_when_asked_for(reading):
    window = reading.window
    window.resize(1600, 900)
    for name in ("bullseye", "history", "side_by_side"):
        reading.act(name)
    reading.wait(lambda: _all_inside(window, ("histogram", "bullseye", "history")))
    reading.act("side_by_side")
    reading.wait(lambda: not _all_inside(window, ("histogram", "bullseye", "history")))
    reading.settle()


@pytest.mark.parametrize("size", [(1366, 768), (1280, 800), (1920, 1080)])
def test_the_results_are_in_view_with_every_panel_open(reading, size):
    window = reading.window
    window.resize(*size)
    for name in ("bullseye", "history", "compare"):
        reading.act(name)
    reading.settle()
    QApplication.processEvents()
    results = window.results
    assert (window.width(), window.height()) == size
    for part in (results.headline, *results.figures.values()):
        if part.isVisible():
            assert part.visibleRegion().boundingRect().height() >= part.height() - 1


def test_size_panels_and_text_come_back(make_reader, phantom_stack):
    first = make_reader()
    first.open(phantom_stack)
    first.wait_ready()
    first.act("bullseye")
    first.act("text_large")
    first.settle()
    first.window.close()
    again = make_reader().window
    assert again.docks.remembered
    assert again.actions_by_name["bullseye"].isChecked()
    assert not again.actions_by_name["history"].isChecked()
    assert again.actions_by_name["text_large"].isChecked()
    assert theme.px(12) == 16


def test_a_wide_window_has_larger_text_without_asking(reading):
    assert theme.px(12) == 12
    reading.window.resize(1920, 1040)  # maximised, beneath the bar of the desktop
    reading.wait(lambda: theme.px(12) == 14)
    reading.window.resize(1280, 800)
    reading.wait(lambda: theme.px(12) == 12)


def test_a_window_larger_than_its_screen_is_made_to_fit(reading):
    window = reading.window
    free = window.screen().availableSize() - FRAME
    window.resize(free.width() + 200, free.height() + 100)
    window.window_layout.fit_to_screen()
    least = window.minimumSize().expandedTo(window.minimumSizeHint())
    assert window.width() == max(free.width(), least.width())
    assert window.height() == max(free.height(), least.height())
    window.resize(least)
    smaller = window.size()
    window.window_layout.fit_to_screen()
    assert window.size() == smaller
    reading.settle()
