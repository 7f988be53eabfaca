"""A wall that a reader gives by contours is kept exactly, and scar is predicted inside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import scarseg
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.io.casefile.file_format import build_case, encode_case, parse_case
from scarseg.models import Models
from scarseg.segmentation import pipeline
from scarseg.segmentation.refill import refill_wall
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter, fake_models


def ring(column, row, radius, n=64):
    """Return a polygon near a circle: its corners lie on no centre of a pixel."""
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False) + 0.01
    return tuple(
        (float(column + radius * np.cos(a)), float(row + radius * np.sin(a))) for a in angles
    )


def inside(column, row, radius, n=64):
    """Return the centres within the polygon of :func:`ring`, from its edges' half planes."""
    rows, columns = np.mgrid[:60, :72] + 0.5
    corners = np.array(ring(column, row, radius, n))
    ahead = np.roll(corners, -1, axis=0) - corners
    mask = np.ones(rows.shape, dtype=bool)
    for (x, y), (dx, dy) in zip(corners, ahead, strict=True):
        mask &= dx * (rows - y) - dy * (columns - x) > 0
    return mask


ENDO, EPI = (36.0, 30.0, 7.3), (36.5, 30.2, 16.1)


@pytest.fixture(params=["plain", "trained with walls"])
def models(request):
    segmenter = FakeSegmenter()
    segmenter.takes_walls = request.param != "plain"
    return Models(segmenter, FakeDetector())


@pytest.mark.parametrize("boxed", [False, True])
def test_wall_and_pool_are_exactly_the_contours(models, boxed):
    stack = make_phantom_stack()
    boxes = (Box(40, 24, 52, 36),) if boxed else ()
    given = SlicePrompts(boxes=boxes, endocardium=ring(*ENDO), epicardium=ring(*EPI))
    case = pipeline.propose_case(stack, models, prompts={2: given})
    pool, heart = inside(*ENDO), inside(*EPI)
    np.testing.assert_array_equal(case.labels[2] == Label.BLOOD_POOL, pool)
    np.testing.assert_array_equal(case.labels[2] >= Label.MYOCARDIUM, heart & ~pool)
    bright = (np.abs(stack.pixels[2] - 200) < 20) & heart & ~pool
    if boxed:
        bright[:, :40] = False
        bright[:, 52:] = False
        bright[:24] = bright[36:] = False
    assert bright.any()
    np.testing.assert_array_equal(case.labels[2] >= Label.SCAR, bright)
    assert not (case.labels[1] >= Label.SCAR).any(), "the file says nothing of this slice"
    assert case.readings[2].status is SliceStatus.PROPOSED


def test_one_contour_leaves_the_other_side_to_the_segmenter(models):
    stack = make_phantom_stack()
    plain = pipeline.propose_case(stack, models).labels[2]
    given = SlicePrompts(endocardium=ring(*ENDO))
    labels = pipeline.propose_case(stack, models, prompts={2: given}).labels[2]
    np.testing.assert_array_equal(labels == Label.BLOOD_POOL, inside(*ENDO))
    np.testing.assert_array_equal(labels > 0, (plain > 0) | inside(*ENDO))
    given = SlicePrompts(epicardium=ring(*EPI))
    labels = pipeline.propose_case(stack, models, prompts={2: given}).labels[2]
    np.testing.assert_array_equal(labels > 0, inside(*EPI))
    np.testing.assert_array_equal(
        labels == Label.BLOOD_POOL, (plain == Label.BLOOD_POOL) & inside(*EPI)
    )


def test_a_later_click_for_scar_keeps_the_contours(models):
    stack = make_phantom_stack()
    given = SlicePrompts(endocardium=ring(*ENDO), epicardium=ring(*EPI))
    case, embeddings = pipeline.propose_case_with_embeddings(stack, models, prompts={2: given})
    asked = replace(case.readings[2].prompts, boxes=(Box(40, 24, 46, 36),))
    labels, _ = pipeline.segment(models, embeddings[2], asked, case.labels[2])
    np.testing.assert_array_equal(labels == Label.BLOOD_POOL, inside(*ENDO))
    np.testing.assert_array_equal(labels > 0, inside(*EPI) | inside(*ENDO))


def test_contours_survive_the_case_file():
    stack = make_phantom_stack()
    given = SlicePrompts(endocardium=ring(*ENDO), epicardium=ring(*EPI))
    case = pipeline.propose_case(stack, fake_models(), prompts={2: given})
    again = build_case(parse_case(encode_case(case)), stack)
    assert again.readings == case.readings


def test_dragged_contours_give_labels_with_scar_anew(models):
    case = pipeline.propose_case(make_phantom_stack(), models)
    before = case.labels.copy()
    embedding = models.segmenter.embed(case.stack.image(2), case.readings[2].prompts.lv_box)
    prompts = case.readings[2].prompts.with_contours(ring(*ENDO), ring(*EPI))
    under = case.labels[2] if case.labels_under_scar is None else case.labels_under_scar[2]
    found = refill_wall(models, embedding, prompts, case.labels[2], under, None)
    pool, heart = inside(*ENDO), inside(*EPI)
    np.testing.assert_array_equal(found.labels == Label.BLOOD_POOL, pool)
    bright = (np.abs(case.stack.pixels[2] - 200) < 20) & heart & ~pool
    np.testing.assert_array_equal(found.labels == Label.SCAR, bright)
    np.testing.assert_array_equal(case.labels, before)


def test_scar_is_asked_for_inside_a_drawn_wall_as_the_prompts_say(models):
    stack = make_phantom_stack()
    case = pipeline.propose_case(stack, models)
    under = np.where(case.labels[2] >= Label.SCAR, np.uint8(Label.MYOCARDIUM), case.labels[2])
    drawn = under.copy()
    drawn[inside(*EPI) & (drawn == 0)] = Label.MYOCARDIUM
    embedding = models.segmenter.embed(stack.image(2), None)
    bright = np.abs(stack.pixels[2] - 200) < 20
    for prompts, where in (
        (SlicePrompts(), np.ones_like(bright)),
        (SlicePrompts(boxes=(Box(40, 24, 46, 36),)), (np.mgrid[:60, :72][1] + 0.5) < 46),
        (SlicePrompts(no_scar=True), np.zeros_like(bright)),
    ):
        found = refill_wall(models, embedding, prompts, drawn, drawn, None)
        expected = np.where(bright & (drawn == 2) & where, np.uint8(Label.SCAR), drawn)
        if prompts.boxes:
            rows, columns = np.mgrid[:60, :72] + 0.5
            boxed = (columns > 40) & (columns < 46) & (rows > 24) & (rows < 36)
            expected = np.where(bright & (drawn == 2) & boxed, np.uint8(Label.SCAR), drawn)
        np.testing.assert_array_equal(found.labels, expected)
        assert found.logits is None, "the drawn wall is no prediction"


def test_the_function_for_scripts_takes_contours():
    case = scarseg.propose(make_phantom_stack(), fake_models())
    assert isinstance(case, Case)
    found = scarseg.segment(
        case, 2, models=fake_models(), endocardium=ring(*ENDO), epicardium=ring(*EPI)
    )
    np.testing.assert_array_equal(found.labels[2] == Label.BLOOD_POOL, inside(*ENDO))
    assert (found.labels[2] >= Label.SCAR).any()
    with pytest.raises(scarseg.errors.InputError, match="encloses no pixel"):
        scarseg.segment(case, 2, models=fake_models(), epicardium=[(1, 1), (1.2, 1), (1.1, 1.2)])
