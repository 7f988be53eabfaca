"""Borders of masks, against contours that scikit-image traces and areas counted by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import find_contours

from scarseg.case.borders import trace_borders


def every_crossing(border):
    """Return the points of a border with those on straight lines, which it leaves out."""
    points = []
    for start, end in pairwise(border):
        step = 0.5 if (start != end).all() else 1.0
        n = round(float(np.abs(end - start).max() / step))
        points += [tuple(start + (end - start) * i / n) for i in range(n)]
    return frozenset(points)


def crossings_of(mask):
    """Return the same by scikit-image, whose pixel centres are whole numbers."""
    found = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    return [frozenset(map(tuple, one[:, ::-1] - 0.5)) for one in found]


@pytest.mark.parametrize("seed", range(60))
def test_borders_of_random_masks_are_those_of_marching_squares(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14, 2))
    mask = rng.random(shape) < rng.random()
    if seed % 3 == 0:
        mask = ndimage.gaussian_filter(rng.normal(size=(40, 50)), 2) > 0.05
    found = [every_crossing(border) for border in trace_borders(mask)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, crossings_of(mask)))


def test_the_border_of_one_pixel_is_a_closed_diamond_round_its_centre():
    mask = np.zeros((4, 5), dtype=bool)
    mask[1, 3] = True
    (border,) = trace_borders(mask)
    assert border[0].tolist() == border[-1].tolist()
    corners = {tuple(point) for point in border[:-1].tolist()}
    assert corners == {(3.5, 1.0), (4.0, 1.5), (3.5, 2.0), (3.0, 1.5)}


def test_points_on_straight_lines_are_left_out():
    (border,) = trace_borders(np.ones((20, 30), dtype=bool))
    assert len(border) <= 8 + 2  # its start may lie on a straight line


def test_pixels_that_touch_at_a_corner_have_borders_of_their_own():
    assert len(trace_borders(np.eye(3, dtype=bool))) == 3


def test_a_hole_has_a_border_and_no_mask_has_none():
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    assert len(trace_borders(mask)) == 2
    assert trace_borders(np.zeros((5, 5), dtype=bool)) == []
