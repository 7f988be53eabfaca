"""The radial warp moves the endocardium to where it is asked, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.training.cases import TrainingCase
from scarseg.training.wall_warp import (
    THINNEST_WALL_MM,
    WarpFactors,
    wall_profile,
    warp_case,
)

SPACING = (1.0, 1.25)
SHAPE = (120, 104)
CENTRE = (61.0, 56.0)
"""Column and row of the middle of the ring."""
POOL_MM, OUTER_MM = 20.0, 29.0


def ring(scar_from: float = 0.0, scar_to: float = 0.0) -> np.ndarray:
    """Return labels of a ring round CENTRE; degrees of scar from increasing columns to rows."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    x, y = (columns - CENTRE[0]) * SPACING[1], (rows - CENTRE[1]) * SPACING[0]
    radius, angle = np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[radius < OUTER_MM] = 2
    labels[(radius < OUTER_MM) & (angle >= scar_from) & (angle < scar_to)] = 3
    labels[radius < POOL_MM] = 1
    return labels


def case_of(labels: np.ndarray, pixels: np.ndarray | None = None) -> TrainingCase:
    image = labels.astype(np.float32) * 100 if pixels is None else pixels
    return TrainingCase("P1", "lge", image[None], labels[None], SPACING, 10.0)


def area_mm2(mask: np.ndarray) -> float:
    return float(mask.sum()) * SPACING[0] * SPACING[1]


@pytest.mark.parametrize("factor", [0.55, 0.8, 1.0, 1.2])
def test_the_pool_shrinks_or_grows_by_the_square_of_the_factor(factor: float) -> None:
    warped = warp_case(case_of(ring()), WarpFactors(factor)).labels[0]
    pool = np.pi * (POOL_MM * factor) ** 2
    assert area_mm2(warped == 1) == pytest.approx(pool, rel=0.05)
    assert area_mm2(warped > 0) == pytest.approx(np.pi * OUTER_MM**2, rel=0.01)


def test_a_right_ventricle_beside_the_wall_is_no_wall() -> None:
    labels = ring()
    labels[50:62, 90:104] = np.where(labels[50:62, 90:104] == 0, 5, labels[50:62, 90:104])
    with_rv, without = wall_profile(labels, SPACING), wall_profile(ring(), SPACING)
    assert with_rv is not None and without is not None
    assert with_rv.centre == without.centre
    assert np.array_equal(with_rv.epicardium, without.epicardium)


def test_no_wall_gets_thinner_than_the_limit() -> None:
    warped = warp_case(case_of(ring()), WarpFactors(2.0)).labels[0]
    pool = np.pi * (OUTER_MM - THINNEST_WALL_MM) ** 2
    assert area_mm2(warped == 1) == pytest.approx(pool, rel=0.03)


def test_the_endocardium_moves_further_in_at_scar_only() -> None:
    labels = ring(60, 120)
    before = wall_profile(labels, SPACING)
    warped = warp_case(case_of(labels), WarpFactors(0.8, 0.35)).labels[0]
    after = wall_profile(warped, SPACING)
    assert before is not None and after is not None
    at_scar, opposite = 18, 54
    assert after.endocardium[at_scar] == pytest.approx(POOL_MM * 0.8 * 0.65, abs=1.0)
    assert after.endocardium[opposite] == pytest.approx(POOL_MM * 0.8, abs=0.7)
    assert after.epicardium == pytest.approx(before.epicardium, abs=0.7)


def test_image_and_labels_stay_together() -> None:
    labels = ring(60, 120)
    warped = warp_case(case_of(labels), WarpFactors(0.6, 0.2))
    drawn = np.rint(warped.pixels[0] / 100)
    edge = np.zeros(SHAPE, dtype=bool)
    for axis in (0, 1):
        step = np.diff(warped.labels[0].astype(int), axis=axis) != 0
        edge |= np.pad(step, [(1, 0) if k == axis else (0, 0) for k in (0, 1)])
        edge |= np.pad(step, [(0, 1) if k == axis else (0, 0) for k in (0, 1)])
    assert (drawn == warped.labels[0])[~edge].all()


def test_outside_the_epicardium_nothing_changes() -> None:
    labels = ring()
    pixels = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.float32)
    warped = warp_case(case_of(labels, pixels), WarpFactors(0.7)).pixels[0]
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    x, y = (columns - CENTRE[0]) * SPACING[1], (rows - CENTRE[1]) * SPACING[0]
    far = np.hypot(x, y) > OUTER_MM + 3
    assert np.abs(warped - pixels)[far].max() < 0.1


@pytest.mark.parametrize("labels", [np.zeros(SHAPE, np.uint8), np.where(ring() == 1, 2, ring())])
def test_a_slice_without_pool_stays_as_it_is(labels: np.ndarray) -> None:
    case = case_of(labels.astype(np.uint8))
    assert wall_profile(case.labels[0], SPACING) is None
    warped = warp_case(case, WarpFactors(0.6))
    assert np.array_equal(warped.labels, case.labels)
    assert np.array_equal(warped.pixels, case.pixels)


def test_drawn_factors_are_thick_and_thin_in_balance() -> None:
    rng = np.random.default_rng(1)
    drawn = [WarpFactors.draw(rng) for _ in range(2000)]
    factors = np.array([one.factor for one in drawn])
    assert factors.min() >= 0.55 and factors.max() <= 1.25
    assert 0.45 < (factors < 1).mean() < 0.55
    assert 0.3 < np.mean([one.scar_share == 0 for one in drawn]) < 0.5
