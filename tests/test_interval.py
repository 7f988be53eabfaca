"""The interval beside the gram: what widens it, what it always holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case import Case, SliceReading, SliceStatus
from scarseg.interval import (
    RULE,
    SliceSpread,
    case_interval,
    drawn_spread,
    mass_interval,
    prompted_spread,
    proposed_spread,
)
from scarseg.labels import Label, LabelArray, infarct_mask
from scarseg.measurements import MassConvention
from scarseg.models import Embedding, Logits, Models
from scarseg.pipeline import measure, propose_case, propose_stack
from scarseg.prompts import Box, Origin, Point, SlicePrompts
from scarseg.stack import Stack
from tests.fakes import FakeSegmenter

SPACING = (1.0, 1.0)


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
    embedding = Embedding((40, 40), None, None)
    return Models(Sloped(), None), embedding, SlicePrompts((Box(0, rows[0], 40, rows[1]),))


def test_levels_move_the_contour_by_what_the_logits_say() -> None:
    models, embedding, prompts = sloped()
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:20, :20] = Label.SCAR
    rule = replace(RULE, n_draws=0, level_sd=1.0)
    spread = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    middle = spread.voxels.shape[1] // 2
    assert spread.voxels[0, middle] == 200
    # Three standard deviations up are three columns of ten pixels less.
    assert spread.voxels[0, -1] == 170
    assert spread.voxels[0, 0] == 230


def test_a_redrawn_box_counts() -> None:
    models, embedding, prompts = sloped((4, 36))
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[4:36, :20] = Label.SCAR
    rule = replace(RULE, n_draws=8, level_sd=0.0, box_edge=0.1)
    spread = prompted_spread(models, embedding, prompts, labels, SPACING, 0, rule)
    assert len(set(spread.voxels[:, 0])) > 3
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
    assert spread.voxels[0, spread.voxels.shape[1] // 2] == 250


def test_a_proposal_without_scar_may_hold_some_at_a_lower_level() -> None:
    scar = np.full((30, 30), -9.0, dtype=np.float32)
    scar[5:15, 5:15] = -1.0
    labels = np.zeros((30, 30), dtype=np.uint8)
    rule = replace(RULE, automatic_level_sd=1.0)
    spread = proposed_spread(Logits(scar), labels, SPACING, rule)
    assert spread.voxels.max() == 100
    assert spread.voxels[0, spread.voxels.shape[1] // 2] == 0


def test_islands_count_no_more_in_the_interval_than_in_the_proposal() -> None:
    scar = np.full((30, 30), -9.0, dtype=np.float32)
    scar[5:8, 5:8] = -1.0
    spread = proposed_spread(Logits(scar), np.zeros((30, 30), dtype=np.uint8), SPACING)
    assert spread.voxels.max() == 0


def test_a_drawn_contour_moves_in_and_out_but_not_beyond_the_wall() -> None:
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[10:30, 10:30] = Label.MYOCARDIUM
    labels[10:20, 10:30] = Label.SCAR
    rule = replace(RULE, contour_sd_mm=1.0)
    spread = drawn_spread(labels, SPACING, rule).voxels[0]
    assert spread[len(spread) // 2] == 200
    assert spread[0] == 260  # three rows more, and nothing outside the wall
    assert 0 < spread[-1] < 200


def test_a_drawn_contour_moves_by_millimetres() -> None:
    labels = np.zeros((60, 60), dtype=np.uint8)
    labels[20:40, 20:40] = Label.SCAR
    fine = drawn_spread(labels, (0.5, 0.5)).voxels[0]
    coarse = drawn_spread(labels, (2.0, 2.0)).voxels[0]
    assert fine[0] - 400 > coarse[0] - 400 > 0


def test_the_interval_of_known_spreads_is_their_percentiles() -> None:
    steps = np.linspace(-3, 3, 25)
    spread = SliceSpread((1000 - 100 * steps)[np.newaxis])
    found = mass_interval([spread], [1000], [0.01], replace(RULE, nominal=0.9))
    # One slice: the level is one standard normal, 5 % and 95 % at 1.645.
    assert found.low_g == pytest.approx(10 - 1.645, abs=0.08)
    assert found.high_g == pytest.approx(10 + 1.645, abs=0.08)


def test_slices_share_half_the_variance_of_the_level() -> None:
    steps = np.linspace(-3, 3, 25)
    spread = SliceSpread((1000 - 100 * steps)[np.newaxis])
    found = mass_interval([spread] * 4, [1000] * 4, [0.01] * 4)
    # Variance 4 * 0.5 + 16 * 0.5 = 10 slices' worth of one.
    assert found.high_g - 40 == pytest.approx(1.645 * 10**0.5, abs=0.25)


def test_the_interval_always_holds_the_mass_and_certain_slices_add_nothing() -> None:
    above = SliceSpread(np.full((1, 25), 500.0))
    found = mass_interval([above, None], [100, 50], [0.01, 0.01])
    assert (found.low_g, found.high_g) == (pytest.approx(1.5), pytest.approx(5.5))
    assert found.slices_g[1] == (0.5, 0.5)


@pytest.mark.parametrize("convention", list(MassConvention))
def test_a_case_has_an_interval_round_its_mass(
    phantom_stack: Stack, models: Models, convention: MassConvention
) -> None:
    case = propose_case(phantom_stack, models)
    seen = [(p.embedding, p.logits) for _, p in propose_stack(phantom_stack, models)]
    found = case_interval(case, models, seen, convention)
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
