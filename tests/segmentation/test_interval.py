"""The interval beside the gram: what widens it, what it always holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarseg.case.case import Case
from scarseg.case.changes import accept
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.models import Embedding, Logits, Models
from scarseg.segmentation.interval import (
    SliceMassSpread,
    case_interval,
    drawn_spread,
    embed_missing,
    mass_interval,
    prompted_spread,
    proposed_spread,
)
from scarseg.segmentation.pipeline import (
    measure,
    propose_case,
    propose_case_with_embeddings,
    propose_stack,
)
from scarseg.segmentation.proposal import RULES
from scarseg.segmentation.uncertainty import RULE
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter

SPACING = (1.0, 1.0)
LEVELS = 14.0 * np.linspace(-1.0, 1.0, 49) * np.abs(np.linspace(-1.0, 1.0, 49))


class Sloped(FakeSegmenter):
    """Scar logits that fall by one per pixel from column 20 on; all of it wall."""

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        columns = np.arange(embedding.shape[1]) + 0.5
        scar = np.broadcast_to(20.0 - columns, embedding.shape).astype(np.float32).copy()
        rows = np.arange(embedding.shape[0]) + 0.5
        box = prompts.boxes[0]
        scar[(rows < box.row0) | (rows >= box.row1)] = -20
        return Logits(scar)


def sloped(rows: tuple[float, float] = (10, 20)) -> tuple[Models, Embedding, SlicePrompts]:
    embedding = Embedding((40, 40), None, None, SPACING)
    return Models(Sloped(), None), embedding, SlicePrompts((Box(0, rows[0], 40, rows[1]),))


def test_levels_move_the_contour_by_what_the_logits_say() -> None:
    models, embedding, prompts = sloped()
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:20, :20] = Label.SCAR
    rule = replace(RULE, n_draws=0)
    spread = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    assert spread.voxels[0, 24] == 200
    # 14 logits up are 14 columns of ten pixels less.
    assert spread.voxels[0, -1] == 60
    assert spread.voxels[0, 0] == 340
    assert spread.level_sd == rule.boxed_level_sd
    clicked = replace(prompts, points=(Point(5, 15),))
    corrected = prompted_spread(models, embedding, clicked, labels, SPACING, 0, rule)
    assert corrected.level_sd == rule.corrected_level_sd


def test_a_redrawn_box_counts() -> None:
    models, embedding, prompts = sloped((4, 36))
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[4:36, :20] = Label.SCAR
    rule = replace(RULE, n_draws=8, box_edge=0.1)
    spread = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    assert len(set(spread.voxels[:, 24])) > 3
    again = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    np.testing.assert_array_equal(spread.voxels, again.voxels)
    other = prompted_spread(models, embedding, prompts, labels, SPACING, 1, rule)
    assert not np.array_equal(spread.voxels, other.voxels)


def test_what_a_hand_added_stays_as_a_difference() -> None:
    models, embedding, prompts = sloped()
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:20, :25] = Label.SCAR
    rule = replace(RULE, n_draws=0)
    spread = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    assert spread.voxels[0, 24] == 250


class Still(FakeSegmenter):
    """Return the same logits whatever is asked."""

    def __init__(self, scar: np.ndarray) -> None:
        self.scar = scar.astype(np.float32)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        return Logits(self.scar)


def proposed(square: slice) -> SliceMassSpread:
    scar = np.full((30, 30), -20.0)
    scar[square, square] = -1.0
    models, nothing = Models(Still(scar), None), np.zeros((30, 30), dtype=np.uint8)
    return proposed_spread(models, Embedding((30, 30), None, None, SPACING), nothing)


def test_a_proposal_without_scar_may_hold_some_at_a_lower_level() -> None:
    spread = proposed(slice(5, 15))
    assert spread.voxels.max() == 100
    assert spread.voxels[0, 24] == 0
    assert spread.level_shift == -RULE.automatic_level_shift


def test_islands_count_no_more_in_the_interval_than_in_the_proposal() -> None:
    assert proposed(slice(5, 8)).voxels.max() == 0


def test_a_drawn_contour_moves_in_and_out_but_not_beyond_the_wall() -> None:
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:30, 10:30] = Label.MYOCARDIUM
    labels[10:20, 10:30] = Label.SCAR
    spread = drawn_spread(labels, SPACING).voxels[0]
    level = {round(float(mm), 3): voxels for mm, voxels in zip(LEVELS, spread, strict=True)}
    assert level[0.0] == 200
    assert level[-14.0] == 400  # all the wall, and nothing outside it
    near = min(LEVELS, key=lambda mm: abs(mm + 3.0))
    assert level[round(float(near), 3)] == 260  # three rows more
    assert spread[-1] == 0


def test_a_drawn_contour_moves_by_millimetres() -> None:
    labels = np.zeros((60, 60), dtype=np.uint8)
    labels[20:40, 20:40] = Label.SCAR
    fine = drawn_spread(labels, (0.5, 0.5)).voxels[0]
    coarse = drawn_spread(labels, (2.0, 2.0)).voxels[0]
    assert fine[20] > coarse[20] >= 400


def test_the_interval_of_known_spreads_is_their_percentiles() -> None:
    spread = SliceMassSpread((1000 - 50 * LEVELS)[np.newaxis], level_sd=2.0)
    found = mass_interval([spread], [1000], [0.01], replace(RULE, nominal=0.9))
    # One slice: the level is one standard normal, 5 % and 95 % at 1.645.
    assert found.low_g == pytest.approx(10 - 1.645, abs=0.08)
    assert found.high_g == pytest.approx(10 + 1.645, abs=0.08)


def test_slices_share_half_the_variance_of_the_level() -> None:
    spread = SliceMassSpread((1000 - 50 * LEVELS)[np.newaxis], level_sd=2.0)
    found = mass_interval([spread] * 4, [1000] * 4, [0.01] * 4)
    # Variance 4 * 0.5 + 16 * 0.5 = 10 slices' worth of one.
    assert found.high_g - 40 == pytest.approx(1.645 * 10**0.5, abs=0.25)


def test_the_interval_always_holds_the_mass_and_certain_slices_add_nothing() -> None:
    above = SliceMassSpread(np.full((1, 49), 500.0), 1.0)
    found = mass_interval([above, None], [100, 50], [0.01, 0.01])
    assert (found.low_g, found.high_g) == (pytest.approx(1.5), pytest.approx(5.5))
    assert found.slices_g[1] == (0.5, 0.5)


@pytest.mark.parametrize("convention", list(MassConvention))
def test_a_case_has_an_interval_round_its_mass(
    phantom_stack: Stack, models: Models, convention: MassConvention
) -> None:
    case = propose_case(phantom_stack, models)
    embeddings = [proposal.embedding for _, proposal in propose_stack(phantom_stack, models)]
    found = case_interval(case, models, embeddings, convention)
    mass = measure(case, convention).scar_mass_g
    assert found.low_g <= mass <= found.high_g
    assert "90%" in found.method


def test_no_scar_is_certain_and_drawn_scar_is_not(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    case = Case.new(phantom_stack)
    scarred = [k for k in range(phantom_stack.n_slices) if infarct_mask(phantom_truth[k]).any()]
    nobody = [None] * phantom_stack.n_slices
    case.labels[scarred[0]] = phantom_truth[scarred[0]]
    case.readings[scarred[0]] = SliceReading(status=SliceStatus.ACCEPTED, edited=True)
    found = case_interval(case, models, nobody)
    assert found.low_g < found.high_g
    case.labels[:] = 0
    case.readings = [SliceReading(status=SliceStatus.NO_SCAR)] * phantom_stack.n_slices
    none = case_interval(case, models, nobody)
    assert (none.low_g, none.high_g) == (0.0, 0.0)


def test_clicks_are_redrawn_within_the_image(phantom_stack: Stack, models: Models) -> None:
    asked: list[SlicePrompts] = []

    class Listening(FakeSegmenter):
        def predict(
            self,
            embedding: Embedding,
            prompts: SlicePrompts,
            previous: Logits | None = None,
            quick: bool = False,
        ) -> Logits:
            asked.append(prompts)
            return super().predict(embedding, prompts, previous, quick)

    segmenter = Listening()
    embedding = segmenter.embed(phantom_stack.image(0), None)
    prompts = SlicePrompts((Box(2, 2, 9, 9, Origin.READER),), (Point(0.1, 0.1),))
    labels = np.zeros(embedding.shape, dtype=np.uint8)
    rule = replace(RULE, click_mm=50.0, box_edge=2.0)
    prompted_spread(Models(segmenter, None), embedding, prompts, labels, SPACING, 0, rule)
    assert len(asked) == 1 + rule.n_draws
    rows, columns = embedding.shape
    for one in asked:
        assert 0 <= one.points[0].column < columns
        assert 0 <= one.points[0].row < rows
    assert len({one.points[0] for one in asked}) > 3


def test_an_interval_is_the_same_when_slices_must_be_embedded_again(
    phantom_stack: Stack, models: Models
) -> None:
    case, embeddings = propose_case_with_embeddings(phantom_stack, models)
    scarred = [k for k in range(phantom_stack.n_slices) if infarct_mask(case.labels[k]).any()]
    case.readings[scarred[0]] = replace(case.readings[scarred[0]], status=SliceStatus.ACCEPTED)
    other = next(k for k in range(phantom_stack.n_slices) if k != scarred[0])
    case.readings[other] = replace(case.readings[other], status=SliceStatus.NO_SCAR)
    seen = [None] * phantom_stack.n_slices
    asked: list[str] = []
    again = embed_missing(case, models, seen, lambda _, what: asked.append(what))
    assert again[scarred[0]] is not None
    assert again[other] is None, "nothing is to be asked where a reader says that there is none"
    assert len(asked) == sum(one is not None for one in again)
    assert case_interval(case, models, again) == case_interval(case, models, embeddings)
    assert embed_missing(case, models, embeddings) == list(embeddings)


def test_slices_that_are_sure_add_nothing(phantom_stack: Stack, models: Models) -> None:
    case, embeddings = propose_case_with_embeddings(phantom_stack, models)
    case.readings = [replace(one, prompts=SlicePrompts(), edited=True) for one in case.readings]
    every = range(phantom_stack.n_slices)
    found = case_interval(case, models, embeddings, sure=every)
    assert all(low == high for low, high in found.slices_g)
    unsure = case_interval(case, models, embeddings)
    assert any(low < high for low, high in unsure.slices_g)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 2**32 - 1))
def test_the_interval_never_widens_by_agreeing(order: list[int], seed: int) -> None:
    stack = make_phantom_stack()
    noise = np.random.default_rng(seed).normal(0, 12, stack.pixels.shape).astype(np.float32)
    stack = replace(stack, pixels=stack.pixels + noise)
    models = Models(SoftSegmenter(), FakeDetector())
    case, embeddings = propose_case_with_embeddings(stack, models)
    before = case_interval(case, models, embeddings)
    assert before.high_g > before.low_g
    for k in order:
        case.apply(accept(case, k))
        after = case_interval(case, models, embeddings)
        assert after.high_g - after.low_g <= before.high_g - before.low_g + 1e-9
        if (case.labels[k] >= Label.SCAR).any():
            assert (after.low_g, after.high_g) == (before.low_g, before.high_g)
        before = after


class SoftSegmenter(FakeSegmenter):
    """Answer with logits that fall off gently from the level of scar, so that levels count."""

    def predict(self, embedding, prompts, previous=None, quick=False):  # type: ignore[no-untyped-def]
        found = super().predict(embedding, prompts, previous, quick)
        soft = (4 - np.abs(embedding.features - 200) / 15).astype(np.float32)
        return replace(found, scar=np.where(found.scar > 0, soft, np.minimum(soft, -0.5)))


def test_the_interval_of_withheld_scar_reaches_from_none_to_what_was_proposed(
    phantom_stack: Stack, models: Models
) -> None:
    """The labels hold no scar, but the mass that was withheld stays possible."""
    strict = replace(RULES, gate_evidence_mm2=1e6)
    withheld, embeddings = propose_case_with_embeddings(phantom_stack, models, rules=strict)
    proposed = propose_case(phantom_stack, models)
    found = case_interval(withheld, models, embeddings)
    assert measure(withheld).scar_mass_g == 0.0 == found.low_g
    assert found.high_g >= measure(proposed).scar_mass_g > 0
