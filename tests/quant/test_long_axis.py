"""Slices of two stacks of one heart, linked at equal shares of the way from base to apex."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scarseg.case.labels import LabelArray
from scarseg.case.stack import SliceSource, Stack
from scarseg.quant.long_axis import LinkRule, link_slices, long_axis
from tests.conftest import make_phantom_stack, phantom_labels


def at_positions(*positions_mm: float) -> tuple[LabelArray, Stack]:
    """Return the phantom's middle slice at these positions along the normal."""
    n = len(positions_mm)
    first = make_phantom_stack()
    stack = replace(
        first,
        pixels=first.pixels[[2] * n],
        origins_mm=tuple((0.0, 0.0, z) for z in positions_mm),
        sources=tuple(SliceSource(f"1.2.3.4.{k + 1}") for k in range(n)),
    )
    return phantom_labels()[[2] * n], stack


def test_axis_reaches_half_a_slice_beyond_the_first_and_last_ring() -> None:
    labels, stack = at_positions(0, 10, 20, 30)
    labels[0] = 0
    axis = long_axis(labels, stack)
    assert axis is not None
    assert (axis.first, axis.last, axis.start_mm, axis.end_mm) == (1, 3, 5.0, 35.0)
    assert [axis.share(z) for z in (0, 10, 35)] == pytest.approx([-1 / 6, 1 / 6, 1.0])
    assert long_axis(labels * 0, stack) is None


def test_slices_are_linked_by_their_share_and_not_by_their_number() -> None:
    # Shares 1/8 to 7/8 of 40 mm, and 1/16 to 15/16 of the same heart in slices of 5 mm.
    earlier, later = at_positions(0, 10, 20, 30), at_positions(*range(100, 140, 5))
    linked = link_slices(earlier, later)
    assert linked.rule is LinkRule.LONG_AXIS
    assert [linked.earlier_of(k) for k in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_slices_above_the_base_are_linked_with_each_other() -> None:
    earlier, later = at_positions(0, 10, 20, 30), at_positions(0, 10, 20, 30, 40)
    later[0][0] = 0
    linked = link_slices(earlier, later)
    # The later stack has one slice more above the first ring: what is its number 2 was number 1.
    assert [linked.earlier_of(k) for k in range(5)] == [0, 0, 1, 2, 3]


def test_without_a_closed_wall_slices_are_linked_by_millimetres() -> None:
    earlier, later = at_positions(0, 10, 20), at_positions(50, 55, 60, 65)
    later[0][:] = 0
    linked = link_slices(earlier, later)
    assert linked.rule is LinkRule.DISTANCE
    assert linked.later == (0.0, 5.0, 10.0, 15.0)
    assert [linked.earlier_of(k) for k in range(4)] == [0, 0, 1, 1]
