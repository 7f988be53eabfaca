"""The bull's eye shows every segment where the reader expects it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from scarseg.quant.bullseye_layout import sector_degrees
from scarseg.quant.segments import SEGMENTS, Level, Segment, Territory, segment_at
from scarseg.report.bullseye import COLOURS, bullseye_figure
from scarseg.report.layout import render_pdf, render_png

ANTERIOR_INSERTION = 120.0
"""On a picture seen from the apex with the anterior wall up."""


def words(percents: dict[int, float | None]) -> list[str]:
    (panel,) = bullseye_figure(percents).axes
    return [text.get_text() for text in panel.texts]


@pytest.mark.parametrize("segment", SEGMENTS[:16], ids=lambda one: one.name)
def test_segments_are_placed_as_on_a_short_axis_image(segment: Segment) -> None:
    start, end = sector_degrees(segment)
    inside = np.linspace(start + 0.5, end - 0.5, 30)
    assert set(segment_at(inside, ANTERIOR_INSERTION, segment.level)) == {segment.number}


def test_every_segment_has_its_number_and_its_percent() -> None:
    shown = words({n: float(n) for n in range(1, 17)} | {17: None})
    for n in range(1, 17):
        assert shown.count(str(n)) == 2
    assert shown.count("17") == 1


def test_a_trace_of_scar_is_not_rounded_to_zero() -> None:
    shown = words({1: 0.2, 2: 99.7, 3: 0.0, 4: 100.0})
    assert "<1" in shown
    assert ">99" in shown
    assert shown.count("0") == 1
    assert shown.count("100") == 1


def test_territories_are_written_with_their_percents() -> None:
    territories = {Territory.LAD: 42.4, Territory.RCA: None}
    (panel,) = bullseye_figure({1: 3.0}, territories=territories).axes
    shown = [text.get_text() for text in panel.texts]
    assert "LAD\n42 %" in shown
    assert "RCA" in shown
    assert "LCX" in shown


def test_colours_only_darken() -> None:
    light = [float(np.dot(to_rgb(c), (0.2126, 0.7152, 0.0722))) for c in COLOURS.values()]
    assert all(a - b > 0.05 for a, b in pairwise(light))


def test_the_apex_fills_the_middle() -> None:
    assert sector_degrees(SEGMENTS[16]) == (0, 360)
    assert SEGMENTS[16].level is Level.APEX


def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = (bullseye_figure({1: 30.0, 2: None}) for _ in range(2))
    assert render_png(first) == render_png(second)
    first, second = (bullseye_figure({1: 30.0, 2: None}) for _ in range(2))
    assert render_pdf([first], "x") == render_pdf([second], "x")
