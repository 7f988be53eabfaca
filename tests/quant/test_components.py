"""Masks within a slice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scarseg.quant.components import fill_holes


@pytest.mark.parametrize("density", [0.2, 0.5, 0.6, 0.8])
def test_holes_are_those_of_scipy(density: float) -> None:
    rng = np.random.default_rng(int(100 * density))
    for shape in ((1, 1), (1, 9), (2, 3), (17, 30)):
        mask = rng.random(shape) < density
        before = mask.copy()
        assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
        assert np.array_equal(mask, before)


def test_a_gap_at_a_corner_closes_and_one_at_an_edge_opens() -> None:
    ring = np.zeros((9, 9), dtype=bool)
    ring[2:7, 2:7] = True
    ring[3:6, 3:6] = False
    ring[2, 2] = False  # the corner: four neighbours do not pass it
    assert np.count_nonzero(fill_holes(ring)) == 24
    ring[2, 4] = False
    assert np.array_equal(fill_holes(ring), ring)


def test_an_empty_mask_stays_empty() -> None:
    assert not fill_holes(np.zeros((4, 5), dtype=bool)).any()
