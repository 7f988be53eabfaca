"""Scar is predicted anew inside a wall that a reader set, where it is the models' and not read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import Label, infarct_mask
from scarseg.gui.tools.contours import Border
from scarseg.models import Models
from scarseg.replay.replay import replay_case
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter

FIRST_UNSEEN = 46
"""The network takes the wall from this column on for background."""


class ThinWalled(FakeSegmenter):
    """Sees no wall on the right, and takes the walls that readers set."""

    takes_walls = True

    def predict(self, embedding, prompts, previous=None, quick=False):
        found = super().predict(embedding, prompts, previous, quick)
        wall = found.wall.copy()
        wall[:, FIRST_UNSEEN:] = -5
        return replace(found, wall=wall)


class Weights:
    """Stand in for the weights of a replay."""

    def models_of(self, recorded):
        return Models(ThinWalled(), FakeDetector())


@pytest.fixture
def reader(make_reader):
    found = make_reader(loader=lambda: Models(ThinWalled(), FakeDetector()))
    found.open(make_phantom_stack())
    found.wait_ready()
    found.go_to(2)
    return found


BRIGHT = make_phantom_stack().pixels[2] == 200


def paint_wall(reader) -> np.ndarray:
    """Paint wall over the part that the network does not see; return where it was painted."""
    before = reader.case.labels[2].copy()
    assert not infarct_mask(before)[:, FIRST_UNSEEN:].any()
    reader.act("label_2")
    reader.paint((49.0, 28.5), (49.0, 32.5))
    reader.wait_answer()
    new = (reader.case.labels[2] > 0) & (before == 0)
    assert new.any()
    return new


def test_scar_follows_a_wall_that_is_painted(reader):
    before = reader.case.labels[2].copy()
    new = paint_wall(reader)
    labels = reader.case.labels[2].copy()
    np.testing.assert_array_equal(infarct_mask(labels), infarct_mask(before) | (new & BRIGHT))
    assert (new & BRIGHT).any() and (new & ~BRIGHT).any()
    assert (labels[new & ~BRIGHT] == Label.MYOCARDIUM).all()
    assert reader.document.undo_stack.count() == 1, "the stroke and its scar are one step"
    reader.undo()
    np.testing.assert_array_equal(reader.case.labels[2], before)
    reader.redo()
    np.testing.assert_array_equal(reader.case.labels[2], labels)


def test_a_replay_predicts_the_scar_again(reader):
    paint_wall(reader)
    steps = reader.case.record.steps
    assert [step.cause for step in steps].count(Cause.REFILLED) == 1
    found = replay_case(reader.case, Weights())
    assert found.identical, found.findings
    np.testing.assert_array_equal(found.labels, reader.case.labels)


def test_scar_that_a_reader_drew_or_accepted_stays(reader):
    reader.erase((45.5, 26.5), (45.5, 28.5))
    drawn = infarct_mask(reader.case.labels[2]).copy()
    paint_wall(reader)
    np.testing.assert_array_equal(infarct_mask(reader.case.labels[2]), drawn)
    reader.go_to(1)
    reader.accept()
    reader.go_to(1)
    accepted = infarct_mask(reader.case.labels[1]).copy()
    reader.act("label_2")
    reader.paint((49.0, 28.5), (49.0, 32.5))
    reader.wait_answer()
    np.testing.assert_array_equal(infarct_mask(reader.case.labels[1]), accepted)
    assert reader.case.readings[1].status is SliceStatus.ACCEPTED


def test_a_click_for_the_wall_asks_for_scar_too_as_one_step(reader):
    before = reader.case.labels[2].copy()
    reader.act("label_2")
    reader.click(47.5, 30.5)
    reader.wait_answer()
    labels = reader.case.labels[2]
    new = (labels > 0) & (before == 0)
    assert (new & BRIGHT).any()
    np.testing.assert_array_equal(infarct_mask(labels), BRIGHT & (labels >= Label.MYOCARDIUM))
    reader.undo()
    np.testing.assert_array_equal(reader.case.labels[2], before)


def test_a_nudged_contour_asks_for_scar_too(reader):
    for _ in range(4):
        reader.window.commands.wall.nudge(Border.EPICARDIUM, 1)
        reader.wait_answer()
    labels = reader.case.labels[2]
    assert (labels[:, FIRST_UNSEEN:] > 0).any()
    np.testing.assert_array_equal(infarct_mask(labels), BRIGHT & (labels >= Label.MYOCARDIUM))
    assert Cause.REFILLED in [step.cause for step in reader.case.record.steps]
    assert replay_case(reader.case, Weights()).identical


def test_a_contour_moved_after_an_undo_asks_for_scar_too(reader):
    def n_refilled():
        return [step.cause for step in reader.case.record.steps].count(Cause.REFILLED)

    nudge = reader.window.commands.wall.nudge
    for _ in range(4):
        nudge(Border.EPICARDIUM, -1)
        reader.wait_answer()
    reader.document.go_to_step(0)
    before = n_refilled()
    nudge(Border.EPICARDIUM, -1)
    reader.wait_answer()
    assert n_refilled() == before + 1
