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
from tests.conftest import make_phantom_stack

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
