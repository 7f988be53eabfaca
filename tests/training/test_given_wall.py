"""Walls that a reader or another program gives: near the true contours, in known combinations."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from scarseg.training.given_wall import Maps, Mask, draw_given_wall

SPACING_MM = 1.43


def heart() -> tuple[Mask, Mask]:
    rows, columns = np.mgrid[:80, :80]
    radius = np.hypot(rows - 40, columns - 38) * SPACING_MM
    return radius < 22, (radius >= 22) & (radius < 31)


def drawn(n: int = 200) -> list[Maps]:
    rng = np.random.default_rng(0)
    return [draw_given_wall(*heart(), SPACING_MM, rng) for _ in range(n)]


def test_both_contours_or_one_are_given() -> None:
    kinds = [(bool(one[0].any()), bool(one[1].any())) for one in drawn()]
    assert 0.5 < np.mean([kind == (True, True) for kind in kinds]) < 0.8
    assert 0.1 < np.mean([kind == (True, False) for kind in kinds]) < 0.3
    assert 0.05 < np.mean([kind == (False, True) for kind in kinds]) < 0.25


def test_pool_and_wall_never_overlap() -> None:
    for one in drawn():
        assert set(np.unique(one)) <= {0.0, 1.0}
        assert not (one[0] * one[1]).any()


def test_contours_are_off_by_a_smooth_millimetre() -> None:
    pool, wall = heart()
    errors = []
    for one in drawn():
        if one[0].any() and one[1].any():
            there = one[0] + one[1] > 0
            border = there ^ ndimage.binary_erosion(there)
            true = pool | wall
            depth = np.where(
                true, ndimage.distance_transform_edt(true), ndimage.distance_transform_edt(~true)
            )
            errors.append(float(np.sqrt(np.mean(depth[border] ** 2))) * SPACING_MM)
            assert ndimage.label(one[0])[1] == 1
    assert 0.5 < np.median(errors) < 2.5
    assert max(errors) < 5


def test_the_epicardium_alone_is_all_of_the_heart() -> None:
    pool, wall = heart()
    alone = next(one for one in drawn() if not one[0].any())
    assert 0.8 < alone[1].sum() / (pool | wall).sum() < 1.2
    assert alone[1][pool].mean() > 0.9
