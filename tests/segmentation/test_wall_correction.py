"""Clicks on wall and blood pool, and a box round the pool, on rings with truth known on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.history import SliceReading
from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.models import Embedding, Logits, Models
from scarseg.segmentation import pipeline, wall_correction
from scarseg.segmentation import predict as segmentation_predict
from scarseg.segmentation.wall_correction import (
    SIGMA_MM,
    THINNEST_WALL_MM,
    HeartMasks,
    correct_heart_masks,
    correct_logits,
    is_heart_from,
)
from tests.conftest import COLUMN_SPACING, ROW_SPACING, phantom_labels
from tests.fakes import FakeSegmenter

SPACING = (ROW_SPACING, COLUMN_SPACING)
RING = HeartMasks.of_labels(phantom_labels()[0])
CENTRE = (36.0, 30.0)


def at(angle: float, radius_mm: float) -> tuple[float, float]:
    """Return (column, row) this far from the phantom's centre; 0 degrees is to the right."""
    across, down = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return (
        CENTRE[0] + radius_mm * float(across) / COLUMN_SPACING,
        CENTRE[1] + radius_mm * float(down) / ROW_SPACING,
    )


def wall(angle: float, radius_mm: float, positive: bool = True) -> Point:
    return Point(*at(angle, radius_mm), positive, Label.MYOCARDIUM)


def pool(angle: float, radius_mm: float, positive: bool = True) -> Point:
    return Point(*at(angle, radius_mm), positive, Label.BLOOD_POOL)


def asked(*points: Point, heart: HeartMasks = RING) -> HeartMasks:
    return correct_heart_masks(heart, SlicePrompts(points=points), SPACING)


def hit(mask: MaskArray, point: Point) -> bool:
    column, row = point.pixel
    return bool(mask[row, column])


def same(one: HeartMasks, other: HeartMasks) -> bool:
    return np.array_equal(one.wall, other.wall) and np.array_equal(one.pool, other.pool)


@pytest.mark.parametrize("angle", [0, 70, 160, 290])
def test_a_click_beyond_the_wall_takes_the_border_along(angle: float) -> None:
    """From 15 mm to the click at 19 mm and 0.4 of the way further; nothing on the far side."""
    heart = asked(wall(angle, 19))
    for radius_mm, inside in ((17, True), (19, True), (23.5, False)):
        assert hit(heart.wall, wall(angle, radius_mm)) is inside
    assert np.array_equal(heart.pool, RING.pool)
    rows, columns = np.mgrid[:60, :72] + 0.5
    away = np.hypot((columns - at(angle, 19)[0]) * 1.25, (rows - at(angle, 19)[1]) * 1.5)
    far = away > 2.2 * SIGMA_MM
    assert np.array_equal(heart.wall[far], RING.wall[far])


def test_a_click_on_the_pool_as_wall_thickens_the_wall_inwards() -> None:
    heart = asked(wall(0, 5))
    assert hit(heart.wall, wall(0, 7)) and hit(heart.wall, wall(0, 5))
    assert hit(heart.pool, pool(180, 8))
    assert np.array_equal(heart.wall | heart.pool, RING.wall | RING.pool)


@pytest.mark.parametrize(("radius_mm", "becomes"), [(10, "pool"), (13.8, "background")])
def test_what_is_not_wall_is_what_is_nearer(radius_mm: float, becomes: str) -> None:
    point = wall(90, radius_mm, False)
    heart = asked(point)
    assert not hit(heart.wall, point)
    assert hit(heart.pool, point) is (becomes == "pool")


def test_new_pool_keeps_a_wall_round_it() -> None:
    point = pool(45, 16)
    heart = asked(point)
    assert hit(heart.pool, point)
    rim = ndimage.distance_transform_edt(~heart.pool, SPACING) < THINNEST_WALL_MM - 1.5
    assert (heart.wall | heart.pool)[rim].all()
    assert hit(heart.wall, wall(45, 20))


def test_what_is_not_pool_is_wall() -> None:
    heart = asked(pool(200, 6, False))
    assert hit(heart.wall, wall(200, 6)) and hit(heart.pool, pool(20, 6))


@pytest.mark.parametrize(
    "point", [wall(30, 12), pool(30, 2), wall(30, 3, False), pool(30, 12, False)]
)
def test_a_click_that_agrees_changes_nothing(point: Point) -> None:
    assert same(asked(point), RING)


def test_clicks_for_scar_and_off_the_image_change_nothing() -> None:
    off = Point(-3, 400, True, Label.MYOCARDIUM)
    assert same(asked(Point(*at(0, 19)), off), RING)


POINTS = st.builds(
    lambda angle, radius, positive, label: Point(*at(angle, radius), positive, label),
    st.floats(0, 360),
    st.floats(0, 24),
    st.booleans(),
    st.sampled_from([Label.MYOCARDIUM, Label.BLOOD_POOL]),
)


@given(POINTS)
def test_every_single_click_is_obeyed_and_leaves_one_heart(point: Point) -> None:
    heart = asked(point)
    named = heart.wall if point.structure is Label.MYOCARDIUM else heart.pool
    assert hit(named, point) is point.positive
    whole = heart.wall | heart.pool
    assert ndimage.label(whole)[1] == 1 and not (heart.wall & heart.pool).any()
    assert np.array_equal(ndimage.binary_fill_holes(whole), whole)


def test_several_clicks_add_up() -> None:
    points = (wall(0, 19), wall(180, 19), pool(90, 11))
    heart = asked(*points)
    assert hit(heart.wall, points[0]) and hit(heart.wall, points[1])
    assert hit(heart.pool, points[2])


@pytest.mark.parametrize(
    "box",
    [
        *(Box(30, 26, 42, 34), Box(25, 20, 45, 38), Box(33, 22, 50, 36), Box(28, 24, 44, 36)),
        Box(40, 22, 54, 34),  # beside the middle of the pool
    ],
)
def test_the_pool_fills_its_box_within_a_wall(box: Box) -> None:
    heart = correct_heart_masks(RING, SlicePrompts(pool_box=box), SPACING)
    rows, columns = np.nonzero(heart.pool)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert found == pytest.approx((box.column0, box.row0, box.column1, box.row1), abs=1.01)
    rim = ndimage.binary_dilation(heart.pool)
    assert (heart.wall | heart.pool)[rim].all()


def test_a_side_that_agrees_with_the_box_is_left() -> None:
    rows, columns = np.nonzero(RING.pool)
    left, right = float(columns.min()), float(columns.max() + 1)
    up, down = float(rows.min()), float(rows.max() + 1)
    near = Box(left - 0.5, up + 0.5, right + 0.5, down - 0.5)
    assert same(correct_heart_masks(RING, SlicePrompts(pool_box=near), SPACING), RING)


def test_a_box_makes_a_pool_where_there_was_none() -> None:
    solid = HeartMasks(RING.wall | RING.pool, np.zeros_like(RING.pool))
    heart = correct_heart_masks(solid, SlicePrompts(pool_box=Box(30, 25, 42, 35)), SPACING)
    assert heart.pool.sum() == pytest.approx(np.pi * 6 * 5, rel=0.06)


def answer_of(heart: HeartMasks) -> Logits:
    def logits(mask: MaskArray) -> np.ndarray:
        return np.where(mask, 4.0, -4.0).astype(np.float32)

    return Logits(logits(np.zeros_like(heart.wall)), logits(heart.pool), logits(heart.wall))


def test_corrected_logits_tell_the_corrected_heart_and_keep_the_answer_before() -> None:
    answer, prompts = answer_of(RING), SlicePrompts(points=(wall(0, 19),))
    once = correct_logits(answer, prompts, SPACING)
    assert same(HeartMasks.of_logits(once), asked(wall(0, 19)))
    assert once.uncorrected is answer and once.scar is answer.scar
    assert correct_logits(once, SlicePrompts(), SPACING) is answer
    more = SlicePrompts(points=(wall(0, 19), wall(90, 19)))
    assert same(HeartMasks.of_logits(correct_logits(once, more, SPACING)), asked(*more.points))


@pytest.fixture
def scarred() -> LabelArray:
    return phantom_labels()[2]


class TakesNoOthers(FakeSegmenter):
    """A segmenter that must not hear of clicks on wall and pool."""

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        assert prompts == prompts.scar_only
        return super().predict(embedding, prompts, previous, quick)


@pytest.fixture
def proposal(phantom_stack: Stack) -> segmentation_predict.SliceProposal:
    return pipeline.propose_slice(phantom_stack.image(2), MODELS)


MODELS = Models(TakesNoOthers(), None)
WITHOUT_SCAR = np.minimum(phantom_labels()[2], Label.MYOCARDIUM)


def moved(
    proposal: segmentation_predict.SliceProposal,
    *points: Point,
    before: LabelArray | None = None,
    labels_under_scar: LabelArray = WITHOUT_SCAR,
    previous: Logits | None = None,
) -> wall_correction.CorrectedHeart:
    return segmentation_predict.correct_heart(
        MODELS,
        proposal.embedding,
        replace(proposal.prompts, points=points),
        proposal.labels if before is None else before,
        labels_under_scar,
        proposal.logits if previous is None else previous,
    )


def test_scar_stays_to_the_pixel_whatever_happens_to_the_wall(
    proposal: segmentation_predict.SliceProposal, scarred: LabelArray
) -> None:
    scarred[30, 43] = Label.MVO
    off = wall(0, 14, False)
    answer = moved(proposal, off, before=scarred)
    infarct = scarred >= Label.SCAR
    assert np.array_equal(answer.labels[infarct], scarred[infarct])
    assert not (answer.labels[~infarct] >= Label.SCAR).any()
    column, row = off.pixel
    assert (
        answer.labels_under_scar[row, column] == Label.BACKGROUND
        and answer.labels[row, column] == 3
    )


def test_a_click_taken_back_leaves_no_trace(
    proposal: segmentation_predict.SliceProposal,
) -> None:
    once = moved(proposal, wall(90, 19))
    assert not np.array_equal(once.labels, proposal.labels)
    again = moved(
        proposal, before=once.labels, labels_under_scar=once.labels_under_scar, previous=once.logits
    )
    assert np.array_equal(again.labels, proposal.labels) and again.logits is proposal.logits


def test_a_drawing_is_corrected_round_the_click_alone(
    proposal: segmentation_predict.SliceProposal,
) -> None:
    drawn = WITHOUT_SCAR.copy()
    drawn[28:33, 20:25] = Label.MYOCARDIUM  # a hand drew a bump on the left,
    drawn[30, 22] = Label.BACKGROUND  # with a hole,
    drawn[5, 5] = Label.MYOCARDIUM  # and a speck
    assert not is_heart_from(drawn, proposal.logits)
    answer = moved(proposal, wall(0, 19), before=drawn, labels_under_scar=drawn)
    assert answer.logits is None and answer.labels[30, 50] == Label.MYOCARDIUM
    assert np.array_equal(answer.labels[:, :30], drawn[:, :30])


class FollowsTheBox(FakeSegmenter):
    """Widen the wall by one pixel where the ventricle's box is wider than the phantom."""

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        told = super().predict(embedding, prompts, previous, quick)
        assert told.wall is not None and told.blood_pool is not None
        if prompts.lv_box is None or prompts.lv_box.width <= 24:
            return told
        heart = ndimage.binary_dilation((told.wall > 0) | (told.blood_pool > 0))
        return replace(told, wall=np.where(heart & (told.blood_pool < 0), 5, -5))


@pytest.mark.parametrize("drawn", [False, True])
def test_the_segmenter_is_asked_again_where_the_heart_now_is(
    drawn: bool, phantom_stack: Stack
) -> None:
    """A reader's own box of the ventricle stays what it is told."""
    models = Models(FollowsTheBox(), None)
    box = Box(24, 20, 48, 40, Origin.READER if drawn else Origin.DETECTOR)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models, box)
    asked_for = replace(proposal.prompts, points=(wall(0, 19),))
    answer = segmentation_predict.correct_heart(
        models, proposal.embedding, asked_for, proposal.labels, WITHOUT_SCAR, proposal.logits
    )
    assert bool(answer.labels[30, 23]) is not drawn
    assert answer.logits is not None and answer.logits.uncorrected is proposal.logits


ASKED = SlicePrompts(
    boxes=(Box(36, 20, 48, 40),), points=(wall(90, 19), Point(46, 30), pool(200, 10))
)


def test_an_answer_obeys_clicks_on_wall_and_pool_beside_those_on_scar(
    proposal: segmentation_predict.SliceProposal, scarred: LabelArray
) -> None:
    labels, logits = pipeline.segment(
        MODELS, proposal.embedding, ASKED, proposal.labels, proposal.logits
    )
    assert np.array_equal(labels == Label.SCAR, scarred == Label.SCAR)
    expected = correct_heart_masks(HeartMasks.of_labels(np.minimum(scarred, 2)), ASKED, SPACING)
    assert same(HeartMasks.of_labels(labels), expected)
    plain, _ = pipeline.segment(MODELS, proposal.embedding, ASKED.scar_only, labels, logits)
    assert np.array_equal(plain, scarred)


def test_scar_left_off_the_wall_does_not_pass_for_a_drawn_wall(
    proposal: segmentation_predict.SliceProposal,
) -> None:
    """A later click on scar is answered with the wall of all clicks, and clips scar to it."""
    off = wall(0, 13.8, False)
    once = moved(proposal, off)
    assert ((once.labels == Label.SCAR) & (once.labels_under_scar == Label.BACKGROUND)).any()
    more = replace(proposal.prompts, points=(off, Point(44, 30)))
    labels, _ = pipeline.segment(MODELS, proposal.embedding, more, once.labels, once.logits)
    assert np.array_equal(labels > 0, once.labels_under_scar > 0)
    assert (labels == Label.SCAR).any()


def test_a_prompts_file_corrects_wall_and_pool(phantom_stack: Stack, scarred: LabelArray) -> None:
    heart_alone = SlicePrompts(points=(wall(90, 19),), no_scar=True)
    case = pipeline.propose_case(
        phantom_stack, MODELS, prompts={2: ASKED, 3: heart_alone, 1: SlicePrompts(no_scar=True)}
    )
    assert same(HeartMasks.of_labels(case.labels[2]), correct_heart_masks(RING, ASKED, SPACING))
    assert same(HeartMasks.of_labels(case.labels[3]), asked(wall(90, 19)))
    assert same(HeartMasks.of_labels(case.labels[1]), RING)
    assert np.array_equal(case.labels[2] == Label.SCAR, scarred == Label.SCAR)
    assert not (case.labels[3] >= Label.SCAR).any()
    assert case.readings[2].prompts.points == ASKED.points


def test_a_proposal_does_not_take_away_the_pool_box(phantom_stack: Stack, models: Models) -> None:
    case = Case.new(phantom_stack)
    case.readings[2] = SliceReading(SlicePrompts(pool_box=Box(30, 26, 42, 34)))
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    assert pipeline.proposal_change(case, 2, proposal) is None
