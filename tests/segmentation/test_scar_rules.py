"""Rules on logits: scar over pool, obeyed and local clicks, what a network is fed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.models import Logits
from scarseg.segmentation.proposal import RULES, ProposalRules, split_heart
from scarseg.segmentation.scar_rules import (
    as_shown,
    change_near_clicks,
    keep_clicked_out,
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
    prompts = SlicePrompts(points=(Point(50.5, 30.5, True, Label.MYOCARDIUM),))
    one = answer(NO_SCAR > 0)
    assert obey_points(one, prompts, SPACING, 0.0, 2.5) is one


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


BOXES = (Box(0, 0, 60, 60),)
AROUND = np.degrees(np.arctan2((ROWS - 30) * SPACING[0], (COLUMNS - 30) * SPACING[1]))
"""Direction of pixels: 0 to the right (columns), 90 down (rows)."""


def scar_between(first: float, last: float) -> np.ndarray:
    turned = AROUND - first
    return WALL & (turned >= 0) & (turned < last - first)


def clicked(
    before: np.ndarray, after: np.ndarray, *clicks: tuple[int, int, bool], rules: object = RULES
) -> tuple[np.ndarray, Logits, Logits]:
    """Return scar in the wall after clicks (row, column, positive), with both answers.

    ``after`` is what the network finds with the clicks.
    """
    assert isinstance(rules, ProposalRules)
    earlier = replace(answer(before), prompts=SlicePrompts(BOXES))
    points = tuple(Point(column + 0.5, row + 0.5, yes) for row, column, yes in clicks)
    prompts = SlicePrompts(BOXES, points)
    new = obey_points(answer(after), prompts, SPACING, 0.0, rules.click_radius_mm)
    kept = change_near_clicks(new, earlier, prompts, SPACING, 0.0, rules)
    return (kept.scar > 0) & split_heart(kept)[0], earlier, kept


@pytest.mark.parametrize("found", ["nothing", "everything", "the other half"])
def test_a_negative_click_only_removes_and_only_near(found: str) -> None:
    before = scar_between(-90, 90)
    after = {"nothing": before & False, "everything": WALL, "the other half": WALL & ~before}[found]
    rules = replace(RULES, negative_far_share_per_mm=0.0)
    scar, _, kept = clicked(before, after, (30, 50, False), rules=rules)  # 10 mm to the right
    away = np.hypot((ROWS - 30) * SPACING[0], (COLUMNS - 50) * SPACING[1])
    assert not scar[30, 50]
    assert not (scar & ~before).any()
    assert np.array_equal(scar[away > 6.0], before[away > 6.0])
    assert np.array_equal(split_heart(kept)[0], WALL), "wall and pool are those before"


def test_a_negative_click_at_the_border_takes_the_layer_and_leaves_what_lies_deeper() -> None:
    before = scar_between(-60, 60)
    outermost = [c for c in range(60) if before[30, c]][-1]
    scar, *_ = clicked(before, before & False, (30, outermost, False))
    depth = ndimage.distance_transform_edt(before, sampling=SPACING)
    gone = before & ~scar
    assert gone.sum() > 1
    assert depth[gone].max() <= depth[30, outermost]
    assert scar[depth > depth[30, outermost]].all()


def test_a_negative_click_takes_nothing_that_the_click_is_not_connected_with() -> None:
    near, beside = scar_between(-8, 8), scar_between(22, 40)
    scar, *_ = clicked(near | beside, near & False, (30, 50, False))
    assert not scar[30, 50]
    assert np.array_equal(scar & beside, beside)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 1.0])
def test_a_negative_click_removes_elsewhere_the_clearest_and_only_so_much(share: float) -> None:
    before, elsewhere = scar_between(-90, 90), scar_between(150, 180)
    shown, (row, column) = before | elsewhere, (30, 50)
    earlier = replace(answer(shown), prompts=SlicePrompts(BOXES))
    new = answer(before)
    new.scar[elsewhere] = -1 - AROUND[elsewhere] / 100
    prompts = SlicePrompts(BOXES, (Point(column + 0.5, row + 0.5, False),))
    rules = replace(RULES, negative_far_share_per_mm=share)
    scar = change_near_clicks(new, earlier, prompts, SPACING, 0.0, rules).scar > 0
    depth = ndimage.distance_transform_edt(shown, sampling=SPACING)[row, column]
    gone = elsewhere & ~scar
    most = int(share * depth * shown.sum())
    assert gone.sum() == min(most, elsewhere.sum())
    assert not gone.any() or AROUND[gone].min() >= AROUND[elsewhere & scar].max(initial=-180)


@pytest.mark.parametrize("found", ["nothing", "everything", "here and elsewhere"])
def test_a_positive_click_only_adds_and_only_what_it_is_connected_with(found: str) -> None:
    before, here, elsewhere = scar_between(60, 90), scar_between(-20, 20), scar_between(-120, -90)
    after = {"nothing": here & False, "everything": WALL, "here and elsewhere": here | elsewhere}
    scar, *_ = clicked(before, after[found], (30, 50, True))
    assert scar[30, 50]
    assert scar[before].all()
    if found == "here and elsewhere":
        disc = np.hypot((ROWS - 30) * SPACING[0], (COLUMNS - 50) * SPACING[1]) <= 2.5
        assert np.array_equal(scar, before | here | (disc & (WALL | POOL)))


def test_two_clicks_at_once_are_both_obeyed() -> None:
    before = scar_between(-90, 0)
    scar, *_ = clicked(before, before & False, (40, 30, True), (20, 30, False))
    assert scar[40, 30]
    assert not scar[20, 30]


def test_other_prompts_are_answered_anew() -> None:
    before = replace(answer(scar_between(-90, 0)), prompts=SlicePrompts(BOXES))
    new, click = answer(scar_between(0, 90)), (Point(50.5, 30.5, True),)
    detected = (Box(0, 0, 60, 60, Origin.DETECTOR, 0.5),)
    for prompts, same in (
        (SlicePrompts(BOXES, click), False),
        (SlicePrompts((*BOXES, *detected), click), False),
        (SlicePrompts((Box(1, 0, 60, 60),), click), True),
        (SlicePrompts((), click), True),
        (SlicePrompts(BOXES), True),
    ):
        assert (change_near_clicks(new, before, prompts, SPACING, 0.0, RULES) is new) is same
    assert change_near_clicks(new, None, SlicePrompts(BOXES, click), SPACING, 0.0, RULES) is new


def test_a_core_that_was_clicked_out_of_the_scar_does_not_come_back_as_mvo() -> None:
    before = np.zeros(SHAPE, dtype=np.uint8)
    before[POOL], before[WALL] = Label.BLOOD_POOL, Label.MYOCARDIUM
    before[scar_between(-90, 90)] = Label.SCAR
    before[29:32, 48:52] = before[9:12, 29:31] = Label.MYOCARDIUM
    labels = before.copy()
    labels[29:32, 48:52] = labels[20:22, 31:33] = Label.MVO
    expected = labels.copy()
    expected[29:32, 48:52] = Label.MYOCARDIUM
    clicks = (Point(49.5, 30.5, False), Point(31.5, 20.5, True), Point(70.5, 30.5, False))
    keep_clicked_out(labels, before, SlicePrompts(BOXES, clicks))
    assert np.array_equal(labels, expected)


def test_an_answer_is_changed_as_its_labels_show_it() -> None:
    """Islands that were dropped stay away, and scar that was painted stays."""
    logits = answer(scar_between(-90, 0))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[POOL], labels[WALL] = Label.BLOOD_POOL, Label.MYOCARDIUM
    painted = scar_between(-30, 30)
    labels[painted] = Label.SCAR
    for level in (0.0, -0.5):
        shown = as_shown(logits, labels, level).scar > level
        assert np.array_equal(shown & WALL, painted)
