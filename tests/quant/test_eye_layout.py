"""Where segments stand in a bull's eye."""

from __future__ import annotations

from math import atan2, degrees, hypot

import pytest

from scarseg.quant import bullseye_layout
from scarseg.quant.segments import SEGMENTS, Territory


def test_a_place_belongs_to_the_segment_drawn_there() -> None:
    for segment in SEGMENTS:
        assert (
            bullseye_layout.segment_at_point(*bullseye_layout.segment_centre(segment))
            == segment.number
        )
    assert bullseye_layout.segment_at_point(0.9, 0.9) is None
    assert bullseye_layout.segment_at_point(0.0, 0.9) == 1  # basal anterior, above
    assert bullseye_layout.segment_at_point(0.9, 0.01) == 6  # lateral, right
    assert bullseye_layout.segment_at_point(0.0, -0.4) == 15


def test_borders_part_territories_and_nothing_else() -> None:
    by_number = {one.number: one.territory for one in SEGMENTS}
    lines = bullseye_layout.territory_borders()
    ends = [(x, y) for line in lines for x, y in line]
    assert max(hypot(x, y) for x, y in ends) == pytest.approx(1.0)
    for line in lines:
        x, y = (sum(pair) / 2 for pair in zip(line[0], line[1], strict=True))
        radius, turn = hypot(x, y), degrees(atan2(y, x))
        along = hypot(*line[0]) == pytest.approx(hypot(*line[1]))
        near = ((radius - 0.01, turn), (radius + 0.01, turn))
        sides = near if along else ((radius, turn - 1), (radius, turn + 1))
        one, other = (
            by_number[bullseye_layout.segment_at_point(*bullseye_layout.polar_point(*side)) or 0]
            for side in sides
        )
        assert one is not other
    # LAD meets RCA and LCX, and they each other: the rim is parted in three places.
    rim = [line for line in lines if any(hypot(x, y) == pytest.approx(1.0) for x, y in line)]
    assert len(rim) == len(Territory)
