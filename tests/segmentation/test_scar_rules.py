"""Rules on logits: scar over pool, obeyed clicks, local negative clicks, what a network is fed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.models import Logits
from scarseg.segmentation.proposal import split_heart
from scarseg.segmentation.scar_rules import (
    follow_direction,
    keep_far_from_negative,
    obey_points,
    previous_answer,
    widen_wall,
)

SHAPE = (60, 60)
SPACING = (1.0, 0.5)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]
RADIUS_MM = np.hypot((ROWS - 30) * SPACING[0], (COLUMNS - 30) * SPACING[1])
POOL, WALL = RADIUS_MM < 8, (RADIUS_MM >= 8) & (RADIUS_MM < 12)
NO_SCAR = np.full(SHAPE, -5.0, dtype=np.float32)


def logits_of(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 4.0, -4.0).astype(np.float32)


def answer(scar: np.ndarray) -> Logits:
    return Logits(logits_of(scar), logits_of(POOL), logits_of(WALL))


def test_scar_wins_over_the_pool_up_to_its_reach() -> None:
    beside = COLUMNS > 30
    wall, pool = split_heart(widen_wall(answer(beside), SPACING, 0.0, 2.0))
    gained = wall & ~WALL
    assert gained.any()
    assert not (wall & pool).any()
    assert np.array_equal(wall | pool, WALL | POOL)
    assert not gained[~beside].any()
    assert RADIUS_MM[gained].min() > 8 - 2.0 - 0.6
    assert (wall & beside)[(RADIUS_MM > 6.6) & (RADIUS_MM < 8) & beside].all()


@pytest.mark.parametrize("reach", [0.0, -1.0])
def test_without_reach_nothing_changes(reach: float) -> None:
    one = answer(COLUMNS > 30)
    assert widen_wall(one, SPACING, 0.0, reach) is one


def test_scar_below_the_level_does_not_win() -> None:
    weak = Logits(np.full(SHAPE, 0.4, np.float32), logits_of(POOL), logits_of(WALL))
    assert split_heart(widen_wall(weak, SPACING, 0.5, 2.0))[0].sum() == WALL.sum()
    assert split_heart(widen_wall(weak, SPACING, 0.3, 2.0))[0].sum() > WALL.sum()


def test_every_click_is_obeyed() -> None:
    for row, column in ((30, 30), (30, 50), (30, 8), (2, 2), (59, 59)):
        for positive in (True, False):
            start = Logits(
                logits_of(np.full(SHAPE, not positive)), logits_of(POOL), logits_of(WALL)
            )
            prompts = SlicePrompts(points=(Point(column + 0.5, row + 0.5, positive),))
            after = obey_points(start, prompts, SPACING, -0.5, 2.5)
            assert (after.scar[row, column] > -0.5) is np.bool_(positive)
            wall, _ = split_heart(after)
            if positive and WALL[row, column]:
                assert wall[row, column]
            changed = after.scar != start.scar
            away = np.hypot((ROWS - row) * SPACING[0], (COLUMNS - column) * SPACING[1])
            assert away[changed].max() <= 2.5


def test_a_positive_click_into_the_pool_makes_wall_of_it() -> None:
    prompts = SlicePrompts(points=(Point(44.5, 30.5, True),))
    assert POOL[30, 44]
    wall, pool = split_heart(obey_points(answer(NO_SCAR > 0), prompts, SPACING, 0.0, 2.5))
    assert wall[30, 44]
    assert not pool[30, 44]
    assert np.array_equal(wall | pool, WALL | POOL)


def test_a_click_in_the_heart_leaves_the_background() -> None:
    prompts = SlicePrompts(points=(Point(53.5, 30.5, True),))
    after = obey_points(answer(NO_SCAR > 0), prompts, SPACING, 0.0, 2.5)
    assert not (after.scar > 0)[~(WALL | POOL)].any()


def test_the_later_click_wins() -> None:
    here = Point(50.5, 30.5, True)
    prompts = SlicePrompts(points=(here, Point(50.5, 30.5, False)))
    assert obey_points(answer(NO_SCAR > 0), prompts, SPACING, 0.0, 2.5).scar[30, 50] < 0


def test_clicks_for_the_wall_are_no_clicks_for_scar() -> None:
    from scarseg.case.labels import Label

    prompts = SlicePrompts(points=(Point(50.5, 30.5, True, Label.MYOCARDIUM),))
    one = answer(NO_SCAR > 0)
    assert obey_points(one, prompts, SPACING, 0.0, 2.5) is one


def test_a_negative_click_changes_nothing_far_away() -> None:
    boxes = (Box(0, 0, 60, 60),)
    before = Logits(logits_of(WALL), logits_of(POOL), logits_of(WALL), prompts=SlicePrompts(boxes))
    after = answer(NO_SCAR > 0)
    click = SlicePrompts(boxes, (Point(50.5, 30.5, False),))
    kept = keep_far_from_negative(after, before, click, SPACING, 5.0)
    away = np.hypot((ROWS - 30) * SPACING[0], (COLUMNS - 50) * SPACING[1])
    assert np.array_equal(kept.scar[away > 5], before.scar[away > 5])
    assert np.array_equal(kept.scar[away <= 5], after.scar[away <= 5])


def test_other_prompts_are_answered_anew() -> None:
    boxes = (Box(0, 0, 60, 60),)
    before = Logits(logits_of(WALL), prompts=SlicePrompts(boxes))
    after = Logits(logits_of(NO_SCAR > 0))
    negative = Point(50.5, 30.5, False)
    positive = Point(50.5, 30.5, True)
    for prompts in (
        SlicePrompts(boxes, (positive,)),
        SlicePrompts((), (negative,)),
        SlicePrompts(boxes, (positive, negative)),
    ):
        assert keep_far_from_negative(after, before, prompts, SPACING, 5.0) is after
    prompts = SlicePrompts(boxes, (negative,))
    assert keep_far_from_negative(after, None, prompts, SPACING, 5.0) is after


def test_a_network_is_fed_what_a_reader_set_and_nothing_else() -> None:
    fed = previous_answer(logits_of(WALL), None, None, SHAPE)
    assert fed.blood_pool is not None and fed.wall is not None
    assert (fed.scar > 0).sum() == WALL.sum()
    assert not (fed.blood_pool > 0).any()
    assert not (fed.wall > 0).any()
    fed = previous_answer(None, POOL, WALL, SHAPE)
    assert fed.blood_pool is not None and fed.wall is not None
    assert not (fed.scar > 0).any()
    assert np.array_equal(fed.blood_pool > 0, POOL)
    assert np.array_equal(fed.wall > 0, WALL)


def test_a_negative_click_adds_no_scar_and_a_positive_one_removes_none() -> None:
    boxes = (Box(10, 10, 50, 50),)
    before = replace(answer(COLUMNS > 30), prompts=SlicePrompts(boxes))
    other = answer(ROWS > 30)
    negative = SlicePrompts(boxes, (Point(40.5, 20.5, False),))
    positive = SlicePrompts(boxes, (Point(40.5, 20.5, True),))
    removed = follow_direction(other, before, negative).scar > 0
    assert np.array_equal(removed, (COLUMNS > 30) & (ROWS > 30))
    added = follow_direction(other, before, positive).scar > 0
    assert np.array_equal(added, (COLUMNS > 30) | (ROWS > 30))
    assert follow_direction(other, before, positive, positive=False) is other
    assert follow_direction(other, before, negative, negative=False) is other
    moved = replace(negative, boxes=(Box(11, 10, 50, 50),))
    assert follow_direction(other, before, moved) is other, "another box was drawn too"
