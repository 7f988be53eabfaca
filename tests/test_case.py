"""The record of a case: every step in it, and the case again out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case import history
from scarseg.case.case import Case
from scarseg.case.history import Cause, SliceReading, SliceStatus
from scarseg.case.labels import Label, Patch
from scarseg.case.stack import Stack
from tests.conftest import make_phantom_stack, phantom_labels

STACK = make_phantom_stack()
squares = st.tuples(
    st.integers(0, 4), st.integers(0, 59), st.integers(0, 71), st.integers(1, 12), st.integers(0, 4)
)


def draw(case: Case, k: int, row: int, column: int, size: int, value: int) -> None:
    labels = case.labels[k].copy()
    labels[row : row + size, column : column + size] = value
    reading = replace(case.readings[k], edited=True, reason=f"{size}")
    case.apply(case.change("draw", k, reading, labels))


def assert_told_by_its_record(case: Case) -> None:
    labels, readings = case.record.final_state()
    np.testing.assert_array_equal(labels, case.labels)
    assert readings == case.readings


@given(st.lists(squares, max_size=12), st.integers(1, 12))
def test_the_record_gives_the_case_again_however_little_it_may_keep(drawn, most):
    before = history.MAX_STEPS
    history.MAX_STEPS = most
    try:
        case = Case.new(STACK)
        for k, row, column, size, value in drawn:
            draw(case, k, row, column, size, value)
    finally:
        history.MAX_STEPS = before
    assert len(case.record.steps) == min(len(drawn), most)
    assert case.record.n_forgotten == max(len(drawn) - most, 0)
    assert_told_by_its_record(case)
    assert_told_by_its_record(replace(case, record=case.record.copy()))


def test_a_record_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "MAX_RECORD_BYTES", 5_000)
    case, rng = Case.new(STACK), np.random.default_rng(1)
    for n in range(20):
        labels = rng.integers(0, 5, (60, 72), np.uint8)
        case.apply(case.change("noise", n % 5, None, labels))
        assert case.record.n_bytes <= 5_000
    assert case.record.n_forgotten > 15
    assert_told_by_its_record(case)


def test_undone_steps_stay_in_the_record_with_their_cause():
    case = Case.new(STACK)
    change = case.change("accept, slice 2", 1, SliceReading(status=SliceStatus.ACCEPTED))
    case.apply(change)
    case.apply(change.inverse(), Cause.UNDO)
    case.apply(change, Cause.REDO)
    assert case.history == ["accept, slice 2", "Undo accept, slice 2", "accept, slice 2"]
    assert [step.cause for step in case.record.steps] == [Cause.READER, Cause.UNDO, Cause.REDO]
    assert_told_by_its_record(case)


def test_the_first_proposal_is_remembered_until_the_models_start_over(phantom_stack: Stack):
    case, truth = Case.new(phantom_stack), phantom_labels()
    assert not case.differs_from_proposal(1)
    case.apply(case.change("Propose", 1, None, truth[1]), Cause.PROPOSAL)
    assert case.proposed[1] is not None
    assert case.proposed[1].n_infarct_voxels == np.count_nonzero(truth[1] == Label.SCAR)
    assert not case.differs_from_proposal(1)
    draw(case, 1, 0, 0, 3, Label.SCAR)
    case.apply(case.change("segment", 1, None, truth[2] * 0), Cause.ANSWER)
    assert case.differs_from_proposal(1)
    case.apply(case.change("ventricle box", 1, None, truth[2]), Cause.RELOCATED)
    assert not case.differs_from_proposal(1), "slices 1 and 2 of the phantom are alike"
    case.apply(case.change("propose again", 1, None, truth[0]), Cause.PROPOSAL)
    assert case.proposed[1].n_infarct_voxels == 0
    assert not case.differs_from_proposal(1)


def test_time_and_interactions_are_counted_by_slice():
    case = Case.new(STACK)
    case.count_interaction(2)
    case.count_interaction(0)
    case.add_reading_time(2, 1.5)
    assert (case.interactions, case.slice_interactions) == (2, [1, 0, 1, 0, 0])
    assert (case.seconds, case.slice_seconds) == (1.5, [0.0, 0.0, 1.5, 0.0, 0.0])


@given(st.integers(0, 2**32), st.booleans())
def test_a_patch_gives_back_its_slice(seed: int, sparse: bool):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, (9, 13), np.uint8)
    if sparse:
        labels[rng.random(labels.shape) < 0.97] = 0
    patch, again = Patch.of(labels), np.zeros_like(labels)
    patch.apply(again)
    np.testing.assert_array_equal(again, labels)
    assert patch.matches(labels)
    labels[4, 5] ^= 1
    assert not patch.matches(labels)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (8, 0), (0, 12)])
def test_a_patch_must_lie_within_its_slice(place: tuple[int, int]):
    patch = Patch.at(*place, np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match="within its slice"):
        patch.apply(np.zeros((9, 13), np.uint8))
