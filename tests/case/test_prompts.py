"""What is asked of a slice, told apart by structure."""

from __future__ import annotations

import pytest

from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts

BOX = Box(1, 1, 5, 5)
WALL, POOL = Point(1, 2, True, Label.MYOCARDIUM), Point(3, 4, False, Label.BLOOD_POOL)


def test_a_click_means_scar_unless_it_says_otherwise() -> None:
    assert Point(1, 2).structure is Label.SCAR
    assert SlicePrompts(points=(Point(1, 2),)).has_scar_prompts


@pytest.mark.parametrize("prompts", [SlicePrompts(points=(WALL, POOL)), SlicePrompts(pool_box=BOX)])
def test_wall_and_pool_do_not_ask_for_scar(prompts: SlicePrompts) -> None:
    assert prompts.has_heart_prompts and not prompts.has_scar_prompts
    assert prompts.scar_only == SlicePrompts()


def test_the_ventricle_box_alone_corrects_nothing() -> None:
    assert not SlicePrompts(lv_box=BOX).has_heart_prompts


def test_a_mixture_is_taken_apart() -> None:
    scar = Point(9, 9)
    mixed = SlicePrompts((BOX,), (WALL, scar, POOL), BOX, pool_box=BOX)
    assert mixed.scar_only == SlicePrompts((BOX,), (scar,), BOX)
    assert mixed.heart_points == (WALL, POOL)


@pytest.mark.parametrize("label", [Label.MVO, Label.BACKGROUND])
def test_nobody_asks_for_mvo_or_background(label: Label) -> None:
    with pytest.raises(ValueError, match="asks for"):
        Point(1, 2, True, label)


PROPOSED = Box(20, 20, 30, 30, Origin.DETECTOR, 0.8)


def test_a_click_into_scar_beyond_every_box_takes_the_proposed_ones_away() -> None:
    both = SlicePrompts((PROPOSED, BOX))
    assert both.with_point(Point(40, 40)) == SlicePrompts((BOX,), (Point(40, 40),))
    for inside in (Point(25, 25), Point(2, 2)):
        assert both.with_point(inside) == SlicePrompts((PROPOSED, BOX), (inside,))


@pytest.mark.parametrize("point", [Point(40, 40, False), Point(40, 40, True, Label.BLOOD_POOL)])
def test_other_clicks_leave_the_boxes_alone(point: Point) -> None:
    assert SlicePrompts((PROPOSED,)).with_point(point).boxes == (PROPOSED,)
