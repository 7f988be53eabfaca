"""No tissue counts twice: overlapping slices, repeated slices, holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.case.positions import repeat_limit_mm
from scarseg.quant.mass import measure
from tests.quant.test_mass import make_stack

GRAMS_PER_MM = 1.05e-3 * 6 * 2.0 * 0.5
"""Six voxels of 2 x 0.5 mm on every slice, in g for each mm of depth."""


def weighed(positions: Sequence[float], thickness: float) -> Measurements:
    shape = (len(positions), 4, 5)
    stack = replace(make_stack(shape, list(positions)), slice_thickness_mm=thickness)
    labels = np.zeros(shape, np.uint8)
    labels[:, 1:3, 1:4] = Label.SCAR
    return measure(labels, stack, [SliceStatus.ACCEPTED] * shape[0])


def headline_g(measured: Measurements) -> float:
    thick = measured.convention is MassConvention.THICKNESS
    return measured.scar_mass_thickness_g if thick else measured.scar_mass_spacing_g


def covered_mm(positions: Sequence[float], thickness: float) -> float:
    """Length of the union of all slices, by a sweep over their ends."""
    total, end = 0.0, float("-inf")
    for z in sorted(positions):
        low, high = z - thickness / 2, z + thickness / 2
        total += max(0.0, high - max(low, end))
        end = max(end, high)
    return total


def test_slices_twice_as_thick_as_their_distance_weigh_by_distance() -> None:
    measured = weighed([5.0 * k for k in range(18)], 10.0)
    assert measured.convention is MassConvention.SPACING
    assert headline_g(measured) == pytest.approx(GRAMS_PER_MM * 18 * 5)
    assert measured.scar_mass_thickness_g == pytest.approx(GRAMS_PER_MM * 18 * 10)
    assert measured.scar_volume_ml == pytest.approx(headline_g(measured) / 1.05)


def test_slices_that_touch_follow_the_convention_asked_for() -> None:
    assert weighed([8.0 * k for k in range(6)], 8.0).convention is MassConvention.THICKNESS
    assert weighed([10.0 * k for k in range(6)], 8.0).convention is MassConvention.THICKNESS


def test_hole_weighs_nothing() -> None:
    whole = weighed([10.0 * k for k in range(10)], 8.0)
    apart = weighed([10.0 * k + (140 if k > 4 else 0) for k in range(10)], 8.0)
    assert apart.scar_mass_spacing_g == pytest.approx(whole.scar_mass_spacing_g)
    assert apart.scar_mass_spacing_g == pytest.approx(GRAMS_PER_MM * 100)


@given(
    n=st.integers(4, 24),
    thickness=st.floats(2, 12),
    share=st.sampled_from([0.5, 0.6, 0.9, 1.0, 1.1, 1.25, 1.6]),
    k=st.integers(0, 23),
    offset=st.floats(-0.24, 0.24),
)
def test_repeating_a_slice_adds_no_more_than_the_tissue_newly_covered(
    n: int, thickness: float, share: float, k: int, offset: float
) -> None:
    pitch = thickness * share
    before = [pitch * i for i in range(n)]
    again = before[k % n] + offset * pitch
    assume(abs(offset) * pitch > 1e-3)
    both = sorted([*before, again])
    limit = repeat_limit_mm(both, thickness)
    # As the reader of DICOM does: repeats are one position, and the newest of them stays.
    after = [z for z in before if abs(z - again) > limit]
    after = sorted([*after, again])
    assert len(after) == n
    risen = headline_g(weighed(after, thickness)) - headline_g(weighed(before, thickness))
    newly = covered_mm(both, thickness) - covered_mm(before, thickness)
    assert risen <= GRAMS_PER_MM * newly + 1e-9
