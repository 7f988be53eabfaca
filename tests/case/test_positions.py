"""Slice positions: which are repeats, what is typical, what is regular, how deep a slice is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case.positions import (
    is_regular,
    repeat_limit_mm,
    spacing_depths_mm,
    typical_gap_mm,
)


def steps(n: int, pitch: float, offset: float = 0.0) -> list[float]:
    return [offset + pitch * k for k in range(n)]


def n_distinct(positions: list[float], thickness: float | None) -> int:
    """Count clusters that the limit leaves apart."""
    z = np.sort(positions)
    return 1 + int(np.sum(np.diff(z) > repeat_limit_mm(positions, thickness)))


@pytest.mark.parametrize(
    ("positions", "thickness", "expected"),
    [
        (steps(60, 1.0), 10.0, 60),
        (steps(18, 5.0), 10.0, 18),
        (steps(9, 10.0), None, 9),
        ([*steps(9, 10.0), 41.0], 8.0, 9),
        ([*steps(9, 10.0), 43.0], 8.0, 9),
        ([*steps(9, 10.0), 81.0], 8.0, 9),
        ([*steps(9, 10.0), *steps(9, 10.0, 0.1)], 8.0, 9),
        ([*steps(9, 10.0), *steps(9, 10.0, 0.1), *steps(9, 10.0, 0.2)], 8.0, 9),
        ([z for i in range(5) for z in steps(9, 10.0, 0.1 * i)], 8.0, 9),
        ([z for i in range(25) for z in steps(9, 10.0, 0.01 * i)], 8.0, 9),
        ([*steps(4, 10.0), *steps(4, 10.0, 50.0)], 8.0, 8),
        ([*steps(9, 10.0), 230.0, 240.0], 8.0, 11),
        ([0.0, 0.1, 0.2], 8.0, 1),
        ([0.0, 10.0], 8.0, 2),
        ([0.0, 9.0, 18.0, 27.6, 36.0, 45.0], 8.0, 6),
    ],
)
def test_positions_acquired_again_are_one(
    positions: list[float], thickness: float | None, expected: int
) -> None:
    assert n_distinct(positions, thickness) == expected


@pytest.mark.parametrize(
    ("positions", "expected"),
    [([5.0], None), ([0, 10, 160], 10.0), (steps(5, 8.0), 8.0), ([30, 0, 10, 20, 60], 10.0)],
)
def test_typical_gap_is_never_a_hole(positions: list[float], expected: float | None) -> None:
    assert typical_gap_mm(positions) == expected


@pytest.mark.parametrize(("decimals", "unit"), [(0, 1.0), (1, 0.1), (2, 0.01)])
def test_positions_rounded_as_headers_round_them_are_regular(decimals: int, unit: float) -> None:
    normal = np.array([0.62, -0.58, -0.53])
    normal /= np.linalg.norm(normal)
    written = np.round(np.outer(np.arange(22) * 6.5, normal), decimals)
    along = written @ normal
    assert is_regular(along.tolist(), 0.55 * unit * float(np.abs(normal).sum()))


def test_slice_off_its_place_is_irregular() -> None:
    assert not is_regular([0, 9, 18, 27.6, 36, 45], 0.01)
    assert not is_regular([0, 10, 20, 40, 50], 0.01)


@given(
    n=st.integers(3, 20),
    pitch=st.floats(1, 15),
    hole=st.integers(0, 18),
    times=st.floats(2, 20),
    thickness=st.floats(1, 12),
)
def test_hole_adds_no_depth(
    n: int, pitch: float, hole: int, times: float, thickness: float
) -> None:
    hole = 1 + hole % (n - 1)
    apart = [pitch * k + (pitch * (times - 1) if k >= hole else 0) for k in range(n)]
    if n == 3:  # two gaps: the smaller one is typical
        assert sum(spacing_depths_mm(apart, thickness)) == pytest.approx(3 * pitch)
    assert spacing_depths_mm(apart, thickness) == pytest.approx([pitch] * n)


def test_depths_of_an_irregular_stack_by_hand() -> None:
    assert spacing_depths_mm([0, 10, 19, 29], 8.0) == (10, 9.5, 9.5, 10)


def test_two_slices_far_apart_are_as_deep_as_thick() -> None:
    assert spacing_depths_mm([0, 150], 8.0) == (8, 8)
    assert spacing_depths_mm([0, 10], 8.0) == (10, 10)
