"""The rules between logits and a proposal, each by a case worked out by hand."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case.labels import Label, MaskArray
from scarseg.case.prompts import Box, Origin
from scarseg.case.stack import FloatArray
from scarseg.models import Detection, Logits, Structure
from scarseg.quant.components import inside_boxes
from scarseg.segmentation.proposal import (
    RULES,
    ScarSource,
    best_lv_box,
    compose_labels,
    expanded_box,
    heart_box,
    largest_component,
    reconcile_lv_boxes,
    scar_boxes,
    split_heart,
)

SHAPE = (20, 24)


def logits_of(mask: MaskArray, strength: float = 4.0) -> FloatArray:
    return np.where(mask, np.float32(strength), np.float32(-strength))


def block(row0: int, row1: int, column0: int, column1: int) -> MaskArray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[row0:row1, column0:column1] = True
    return mask


def lv(column: float, row: float, size: float = 10, score: float = 0.9) -> Detection:
    half = size / 2
    box = Box(column - half, row - half, column + half, row + half, Origin.DETECTOR)
    return Detection(box, Structure.LEFT_VENTRICLE, score)


def test_best_lv_box_is_the_surest_ventricle() -> None:
    scar = Detection(Box(0, 0, 2, 2), Structure.SCAR, 0.99)
    assert best_lv_box([lv(5, 5, score=0.3), scar, lv(9, 9, score=0.6)]) == lv(9, 9, score=0.6)
    assert best_lv_box([scar]) is None


def test_a_heart_has_no_waist() -> None:
    sizes = ((40, 24), (40, 12), (42, 22), (42, 15))
    settled = reconcile_lv_boxes([[lv(column, 30, size)] for column, size in sizes])
    widths = [box.width for box in settled if box is not None]
    assert widths[1] == pytest.approx((widths[0] + widths[2]) / 2)
    assert widths[3] < widths[2], "it may taper towards an end"
    assert settled[1] is not None and settled[1].score is None


def test_missing_boxes_are_interpolated_inside_and_copied_outside() -> None:
    settled = reconcile_lv_boxes([[], [lv(40, 30, 20)], [], [], [lv(46, 30, 14)], []])
    assert [box and box.centre for box in settled] == [
        (40, 30),
        (40, 30),
        (42, 30),
        (44, 30),
        (46, 30),
        (46, 30),
    ]
    assert [box and box.width for box in settled] == [20, 20, 18, 16, 14, 14]


def test_box_far_from_all_others_is_replaced() -> None:
    settled = reconcile_lv_boxes([[lv(40, 30, 20)], [lv(90, 80, 20, score=0.99)], [lv(42, 30, 20)]])
    assert settled[1] is not None
    assert settled[1].centre == (41, 30)


def test_no_ventricle_anywhere_is_none_everywhere() -> None:
    scar = Detection(Box(0, 0, 9, 9), Structure.SCAR, 0.99)
    assert reconcile_lv_boxes([[], [scar]]) == [None, None]


def test_slices_vote_for_the_heart_against_a_kidney() -> None:
    kidney = [lv(90, 80, 24, score=0.7)]
    both = [lv(90, 80, 24, score=0.8), lv(40, 30, 20, score=0.6)]
    settled = reconcile_lv_boxes([[lv(40, 30, 20)], both, kidney, both, [lv(40, 31, 20)]])
    assert all(box is not None and abs(box.centre[0] - 40) < 1 for box in settled)
    assert settled[1] is not None and settled[1].score == 0.6
    assert settled[2] is not None and settled[2].score is None, "between its neighbours'"


@given(
    st.lists(
        st.lists(
            st.builds(
                lv, st.floats(10, 200), st.floats(10, 200), st.floats(4, 80), st.floats(0, 1)
            ),
            max_size=3,
        ),
        min_size=1,
        max_size=14,
    )
)
def test_every_slice_gets_a_box_once_one_has(found: list[list[Detection]]) -> None:
    settled = reconcile_lv_boxes(found)
    assert len(settled) == len(found)
    assert all(box is not None for box in settled) is any(found)


def test_scar_is_clipped_to_the_wall_and_small_islands_are_wall() -> None:
    pool, wall = block(8, 12, 8, 12), block(4, 16, 4, 16) & ~block(8, 12, 8, 12)
    scar = block(2, 8, 5, 9) | block(14, 15, 14, 15)
    logits = Logits(logits_of(scar), logits_of(pool), logits_of(wall))
    labels = compose_labels(logits, (2.0, 1.5), 0.0, replace(RULES, island_mm2=4.0))
    np.testing.assert_array_equal(labels == Label.BLOOD_POOL, pool)
    np.testing.assert_array_equal(labels == Label.SCAR, block(4, 8, 5, 9))  # not rows 2 and 3
    np.testing.assert_array_equal(labels >= Label.MYOCARDIUM, wall)


def test_scar_threshold_is_a_logit() -> None:
    wall = block(4, 16, 4, 16)
    logits = Logits(np.where(wall, np.float32(0.5), np.float32(-5)), None, logits_of(wall))
    assert (compose_labels(logits, (1, 1), 0.4) == Label.SCAR).sum() == wall.sum()
    assert not (compose_labels(logits, (1, 1), 0.6) == Label.SCAR).any()


def test_only_the_largest_heart_stays() -> None:
    heart, stray = block(4, 16, 4, 14), block(4, 8, 18, 22)
    logits = Logits(logits_of(stray), logits_of(block(8, 12, 8, 10)), logits_of(heart | stray))
    labels = compose_labels(logits, (1, 1), 0.0)
    assert not labels[:, 16:].any()
    assert heart_box(logits) == Box(4, 4, 14, 16, Origin.DETECTOR)


def test_stronger_logit_has_the_pixel_both_claim() -> None:
    wall, pool = logits_of(block(4, 16, 4, 16)), logits_of(block(6, 14, 6, 14), 2.0)
    pool[8:12, 8:12] = 9
    split_wall, split_pool = split_heart(Logits(wall, pool, wall))
    np.testing.assert_array_equal(split_pool, block(8, 12, 8, 12))
    np.testing.assert_array_equal(split_wall, block(4, 16, 4, 16) & ~block(8, 12, 8, 12))


def test_hole_between_pool_and_wall_goes_to_the_stronger_logit() -> None:
    pool, wall = block(7, 13, 7, 13), block(4, 16, 4, 16) & ~block(7, 13, 7, 13)
    holes = block(6, 7, 8, 9) | block(12, 13, 10, 11)
    wall_logits, pool_logits = logits_of(wall & ~holes), logits_of(pool & ~holes)
    wall_logits[holes], pool_logits[holes] = -1, -2
    pool_logits[12, 10] = -0.5
    split_wall, split_pool = split_heart(Logits(wall_logits, pool_logits, wall_logits))
    np.testing.assert_array_equal(split_wall, wall)
    np.testing.assert_array_equal(split_pool, pool)


def test_scar_only_answer_is_not_clipped() -> None:
    scar = block(2, 8, 5, 9)
    labels = compose_labels(Logits(logits_of(scar)), (1.2, 1.2), 0.0)
    np.testing.assert_array_equal(labels == Label.SCAR, scar)
    assert heart_box(Logits(logits_of(scar))) is None


def test_island_rule_is_in_mm2() -> None:
    scar = block(0, 2, 0, 2) | block(10, 13, 10, 13)  # 4 and 9 pixels
    rules = replace(RULES, island_mm2=5)
    for spacing, kept in (((1, 1), block(10, 13, 10, 13)), ((1, 1.25), scar)):
        labels = compose_labels(Logits(logits_of(scar)), spacing, 0.0, rules)
        np.testing.assert_array_equal(labels == Label.SCAR, kept)


def test_boxes_are_the_union_of_detector_and_components_best_first() -> None:
    large, small = block(2, 8, 2, 8), block(14, 15, 2, 5)  # 52 and 4 mm2
    scar = large | small
    seen = Detection(Box(16, 10, 22, 18), Structure.SCAR, 0.5)
    boxes = scar_boxes(logits_of(scar), scar, [seen, lv(10, 10)], (1.2, 1.2))
    assert [(b.column0, b.row0, b.column1, b.row1) for b in boxes] == [
        (1, 1, 9, 9),
        (16, 10, 22, 18),
    ]
    assert boxes[0].score == pytest.approx(1 / (1 + np.exp(-4)))
    assert boxes[1].score == 0.5
    assert {box.origin for box in boxes} == {Origin.DETECTOR}


def test_a_box_is_drawn_round_the_scar_that_stands_in_it() -> None:
    scar, seen = block(2, 8, 2, 8), Detection(Box(4, 4, 20, 18), Structure.SCAR, 0.99)
    [tight] = scar_boxes(logits_of(scar), scar, [seen], (1.2, 1.2))
    assert (tight.column0, tight.row0, tight.column1, tight.row1) == (1, 1, 9, 9)
    assert tight.score == 0.99 and tight.origin is Origin.DETECTOR
    wide = replace(RULES, tight_boxes=False)
    [union] = scar_boxes(logits_of(scar), scar, [seen], (1.2, 1.2), wide)
    assert (union.column0, union.row0, union.column1, union.row1) == (1, 1, 20, 18)


def test_a_small_scar_has_a_box_where_the_detector_sees_it_too() -> None:
    small, seen = block(14, 15, 2, 5), Detection(Box(1, 10, 9, 18), Structure.SCAR, 0.5)
    assert scar_boxes(logits_of(small), small, [], (1.2, 1.2)) == ()
    [box] = scar_boxes(logits_of(small), small, [seen], (1.2, 1.2))
    assert (box.column0, box.row0, box.column1, box.row1) == (1, 13, 6, 16)


def test_a_box_without_scar_stays_where_the_detector_is_sure() -> None:
    nothing, place = block(0, 0, 0, 0), Box(10, 10, 18, 18)
    for score, kept in ((0.49, 0), (0.5, 1)):
        seen = [Detection(place, Structure.SCAR, score)]
        automatic = logits_of(block(2, 4, 2, 4), 1.0)
        boxes = scar_boxes(automatic, nothing, seen, (1.2, 1.2))
        assert boxes == (replace(place, origin=Origin.DETECTOR, score=score),) * kept


def test_a_segmenter_of_prompts_alone_gets_every_box() -> None:
    nothing, seen = block(0, 0, 0, 0), Detection(Box(1, 1, 9, 9), Structure.SCAR, 0.1)
    assert len(scar_boxes(logits_of(nothing), nothing, [seen], (1.2, 1.2))) == 1


def test_boxes_of_one_scar_become_one() -> None:
    scar = block(2, 8, 2, 8) | block(9, 14, 3, 9)
    apart = scar_boxes(logits_of(scar), scar, [], (1.2, 1.2), replace(RULES, merge_overlap=0.5))
    assert len(apart) == 2
    [box] = scar_boxes(logits_of(scar), scar, [], (1.2, 1.2), replace(RULES, merge_overlap=0.1))
    assert (box.column0, box.row0, box.column1, box.row1) == (1, 1, 10, 15)


@given(
    st.lists(
        st.tuples(st.floats(0, 15), st.floats(0, 15), st.floats(1, 8), st.floats(1, 8)), max_size=6
    )
)
def test_shown_boxes_never_cover_each_other(corners: list[tuple[float, ...]]) -> None:
    seen = [Detection(Box(c, r, c + w, r + h), Structure.SCAR, 0.5) for c, r, w, h in corners]
    nothing = np.zeros(SHAPE, dtype=bool)
    boxes = scar_boxes(logits_of(nothing), nothing, seen, (1, 1))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            width = min(a.column1, b.column1) - max(a.column0, b.column0)
            height = min(a.row1, b.row1) - max(a.row0, b.row0)
            shared = max(width, 0) * max(height, 0)
            assert shared <= RULES.merge_overlap * min(a.width * a.height, b.width * b.height)
    covered = inside_boxes(boxes, SHAPE)
    assert (covered >= inside_boxes([one.box for one in seen], SHAPE)).all()


def test_grown_box_stays_in_the_image() -> None:
    box = expanded_box(block(0, 20, 10, 24), 0.5, 0.1)
    assert (box.column0, box.row0, box.column1, box.row1) == (8.6, 0, 24, 20)


def test_inside_counts_pixel_centres() -> None:
    mask = inside_boxes([Box(2.4, 3.6, 5.5, 6.0)], SHAPE)
    np.testing.assert_array_equal(mask, block(4, 6, 2, 5))


def lv_box(column: float, row: float, width: float, height: float, score: float) -> Detection:
    half, tall = width / 2, height / 2
    box = Box(column - half, row - tall, column + half, row + tall, Origin.DETECTOR)
    return Detection(box, Structure.LEFT_VENTRICLE, score)


def scars(*corners: tuple[float, float, float, float], score: float = 0.5) -> list[Detection]:
    return [Detection(Box(*one), Structure.SCAR, score) for one in corners]


def corners_of(boxes: tuple[Box, ...]) -> list[tuple[float, ...]]:
    return [(box.column0, box.row0, box.column1, box.row1) for box in boxes]


def test_rules_in_use_are_those_that_replays_and_weights_were_made_with() -> None:
    """A change of one moves every mass: it is made on purpose, here and in the benchmark."""
    chosen = {
        "scar": ScarSource.RESTRICTED,
        "automatic_logit": -0.5,
        "prompted_logit": 0.0,
        "given_wall_logit": -0.5,
        "previous_with_points": True,
        "endocardium_offset_mm": 0.0,
        "pool_reach_mm": 2.0,
        "click_radius_mm": 2.5,
        "local_clicks": True,
        "negative_reach_mm": 6.0,
        "negative_far_share_per_mm": 0.03,
        "gate_evidence_mm2": 75.0,
        "gate_slices": 3,
        "island_mm2": 30.0,
        "box_island_mm2": 40.0,
        "tight_boxes": True,
        "empty_box_score": 0.5,
        "box_growth": 0.08,
        "detector_scar_score": 0.0,
        "detector_lv_score": 0.0,
        "merge_overlap": 0.3,
        "recrops": 2,
        "recrop_overlap": 0.85,
        "lv_outlier": 0.5,
        "lv_dip": 1.25,
    }
    assert asdict(RULES) == chosen


def test_a_detection_at_the_least_score_counts() -> None:
    rules = replace(RULES, detector_lv_score=0.3, detector_scar_score=0.3, empty_box_score=0.0)
    for score, counts in ((0.3, True), (0.29, False)):
        assert (best_lv_box([lv(5, 5, score=score)], rules) is not None) is counts
        assert (reconcile_lv_boxes([[lv(5, 5, score=score)]], rules) != [None]) is counts
        seen, nothing = scars((1, 1, 9, 9), score=score), block(0, 0, 0, 0)
        boxes = scar_boxes(logits_of(nothing), nothing, seen, (1.2, 1.2), rules)
        assert bool(boxes) is counts


def test_a_heart_may_be_half_its_size_away_from_its_neighbours() -> None:
    """The box is 24 wide and 16 high: its size is 20, and 10 is the reach."""
    first = lv_box(60, 20, 24, 16, 0.9)
    for column, row, counts in ((68, 26, True), (68.4, 26.3, False)):  # 10 and 10.5 away
        second = lv_box(column, row, 24, 16, 0.5)
        reconciled = reconcile_lv_boxes([[first], [second]])
        assert reconciled[1] is not None
        assert (reconciled[1].score == 0.5) is counts


@pytest.mark.parametrize("size", [12, 15.9, 16, 25, 25.1, 30])
def test_one_heart_of_another_size_is_replaced_beyond_a_quarter(size: float) -> None:
    reconciled = reconcile_lv_boxes([[lv(60, 20, 20)], [lv(60, 20, size)], [lv(60, 20, 20)]])
    scores = [box.score for box in reconciled if box is not None]
    kept = 16 <= size <= 25  # 20 / 1.25 and 20 x 1.25
    assert scores == [0.9, 0.9 if kept else None, 0.9]
    assert reconciled[1] is not None and reconciled[1].width == (size if kept else 20)


def test_the_size_of_a_heart_is_the_mean_of_width_and_height() -> None:
    found = [[lv_box(60, 20, *size, 0.9)] for size in ((20, 20), (30, 10), (20, 20))]
    assert [box and box.score for box in reconcile_lv_boxes(found)] == [0.9, 0.9, 0.9]


def test_what_is_inside_begins_above_a_logit_of_zero() -> None:
    """A column of the heart each of 0.5, 0 and -0.5: only the first belongs to it."""
    wall, pool = np.full(SHAPE, -4.0, np.float32), np.full(SHAPE, -4.0, np.float32)
    for column, value in ((5, -0.5), (6, 0.0), (7, 0.5)):
        wall[4:16, column] = value
    for column, value in ((10, 0.5), (11, 0.0), (12, -0.5)):
        pool[4:16, column] = value
    wall[4:16, 8], pool[4:16, 9] = 0.5, 0.5
    logits = Logits(wall, pool, wall)
    assert heart_box(logits) == Box(7, 4, 11, 16, Origin.DETECTOR)
    for exact in (False, True):
        split_wall, split_pool = split_heart(replace(logits, exact=exact))
        np.testing.assert_array_equal(split_wall, block(4, 16, 7, 9))
        np.testing.assert_array_equal(split_pool, block(4, 16, 9, 11))
    only_wall, no_pool = split_heart(Logits(wall, None, wall))
    np.testing.assert_array_equal(only_wall, block(4, 16, 7, 9))
    assert not no_pool.any()


def test_scar_begins_above_its_logit() -> None:
    scar = np.where(block(4, 16, 4, 16), np.float32(0.5), np.float32(-4))
    assert not compose_labels(Logits(scar), (1, 1), 0.5).any()
    assert (compose_labels(Logits(scar), (1, 1), 0.25) == Label.SCAR).sum() == 144


def test_wall_has_the_pixel_that_both_claim_alike() -> None:
    both = logits_of(block(4, 16, 4, 16))
    split_wall, split_pool = split_heart(Logits(both, both, both))
    np.testing.assert_array_equal(split_wall, block(4, 16, 4, 16))
    assert not split_pool.any()


def test_contours_of_a_reader_keep_their_parts_and_holes() -> None:
    wall = (block(2, 8, 12, 22) & ~block(4, 5, 14, 15)) | block(12, 16, 2, 4)
    pool = block(9, 11, 14, 16)
    split_wall, split_pool = split_heart(
        Logits(logits_of(wall), logits_of(pool), logits_of(wall), exact=True)
    )
    np.testing.assert_array_equal(split_wall, wall)
    np.testing.assert_array_equal(split_pool, pool)


def test_a_hole_is_filled_wherever_the_heart_lies() -> None:
    hole = block(4, 5, 14, 15)
    wall = logits_of(block(2, 8, 12, 22) & ~hole)
    pool = np.full(SHAPE, -9, np.float32)
    split_wall, _ = split_heart(Logits(wall, pool, wall))
    np.testing.assert_array_equal(split_wall, block(2, 8, 12, 22))


def test_nothing_predicted_is_no_heart() -> None:
    nothing = np.full(SHAPE, -4, np.float32)
    logits = Logits(nothing, nothing, nothing)
    assert not np.any(split_heart(logits))
    assert heart_box(logits) is None


def test_of_two_single_pixels_the_first_stays() -> None:
    mask = block(3, 4, 3, 4) | block(9, 10, 9, 10)
    np.testing.assert_array_equal(largest_component(mask), block(3, 4, 3, 4))


def test_the_least_size_of_a_box_is_in_mm2() -> None:
    """Pixels of 1 x 2 mm: 20 of them are the 40 mm2 that get a box, 18 are not."""
    scar = block(2, 6, 2, 7) | block(10, 16, 12, 15)  # 20 and 18 pixels
    boxes = scar_boxes(logits_of(scar), scar, [], (1.0, 2.0))
    assert corners_of(boxes) == [(1, 1, 8, 7)]


def test_a_detected_scar_gives_no_box_to_another_component() -> None:
    large, small = block(2, 8, 2, 8), block(14, 15, 14, 17)
    seen = scars((3, 3, 7, 7))
    boxes = scar_boxes(logits_of(large | small), large | small, seen, (1.2, 1.2))
    assert corners_of(boxes) == [(1, 1, 9, 9)]


def test_a_segmenter_of_prompts_alone_gets_boxes_of_any_score() -> None:
    nothing = block(0, 0, 0, 0)
    for score in (0.0, 0.05):
        seen = scars((1, 1, 9, 9), score=score)
        [box] = scar_boxes(logits_of(nothing), nothing, seen, (1.2, 1.2))
        assert box.score == score


def test_a_box_grows_by_a_share_of_its_size_within_the_image() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:30, 10:40] = True  # 20 rows, 30 columns
    assert corners_of((expanded_box(mask, 0.5, 0.1),)) == [(7, 8, 43, 32)]
    assert corners_of((expanded_box(mask, 0.5, 0.01),)) == [(9, 9, 41, 31)], "one pixel at least"
    assert corners_of((expanded_box(np.ones((40, 60), dtype=bool), 0.5, 0.1),)) == [(0, 0, 60, 40)]


@pytest.mark.parametrize(
    ("first", "second", "overlap", "merged"),
    [
        ((0, 0, 4, 4), (2, 0, 6, 4), 0.5, False),  # half of each is exactly the limit
        ((0, 0, 4, 4), (2, 0, 6, 4), 0.49, True),
        ((0, 0, 2, 4), (1, 0, 3, 4), 0.3, True),  # one column of two
        ((0, 0, 4, 2), (0, 1, 4, 3), 0.3, True),  # one row of two
        ((0, 0, 4, 4), (6, 0, 10, 4), 0.3, False),  # side by side
        ((0, 0, 4, 4), (0, 6, 4, 10), 0.3, False),  # one above the other
        ((0, 0, 4, 4), (6, 0, 10, 4), 0.0, False),
        ((0, 0, 4, 4), (0, 6, 4, 10), 0.0, False),
        ((0, 0, 4, 4), (6, 6, 10, 10), 0.0, False),  # across a corner
        ((0, 0, 8, 8), (1, 1, 3, 3), 0.99, True),  # a small one inside
        ((1, 1, 3, 3), (0, 0, 8, 8), 0.99, True),
    ],
)
def test_boxes_become_one_where_they_share_more_of_the_smaller_than_the_limit(
    first: tuple[float, float, float, float],
    second: tuple[float, float, float, float],
    overlap: float,
    merged: bool,
) -> None:
    nothing = block(0, 0, 0, 0)
    rules = replace(RULES, merge_overlap=overlap)
    seen = scars(first, second, score=0.0)
    boxes = scar_boxes(logits_of(nothing), nothing, seen, (1, 1), rules)
    assert len(boxes) == (1 if merged else 2)
    assert [box.score for box in boxes] == [0.0] * len(boxes)
