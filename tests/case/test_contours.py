"""Contours become pixels by their centres, and pixels become contours again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scarseg.case.contours import contour_mask, contours_of, heart_in_contours


def by_crossings(contour, shape):
    """Count, for every centre, the edges that a ray to the right crosses."""
    inside = np.zeros(shape, dtype=bool)
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y = column + 0.5, row + 0.5
            crossings = 0
            for (x0, y0), (x1, y1) in zip(contour, (*contour[1:], contour[0]), strict=True):
                if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
                    crossings += 1
            inside[row, column] = crossings % 2 == 1
    return inside


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 12)), min_size=3, max_size=9, unique=True)
)
def test_a_pixel_belongs_to_a_contour_by_its_centre(corners):
    contour = tuple((column + 0.0137, row + 0.0071) for column, row in corners)
    np.testing.assert_array_equal(contour_mask(contour, (9, 12)), by_crossings(contour, (9, 12)))


def test_a_rectangle_holds_the_centres_within():
    # Columns 1.5 to 4.5 and rows 2.4 to 3.6: centres 2.5, 3.5 (1.5 and 4.5 lie on its sides).
    mask = contour_mask(((1.6, 2.4), (4.4, 2.4), (4.4, 3.6), (1.6, 3.6)), (6, 6))
    expected = np.zeros((6, 6), dtype=bool)
    expected[2:4, 2:4] = True
    expected[3, 2:4] = True
    np.testing.assert_array_equal(mask, expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_contours_of_labels_give_their_pixels_again(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:40, :44]
    away = np.hypot((rows - 19) * rng.uniform(0.7, 1.3), columns - 21)
    inner, outer = rng.uniform(4, 9), rng.uniform(11, 16)
    labels = np.where(away < inner, 1, np.where(away < outer, 2, 0)).astype(np.uint8)
    labels[(away >= inner) & (away < outer) & (columns > 25)] = 3
    endocardium, epicardium = contours_of(labels)
    np.testing.assert_array_equal(contour_mask(endocardium, labels.shape), labels == 1)
    np.testing.assert_array_equal(contour_mask(epicardium, labels.shape), labels > 0)


def test_no_labels_no_contours():
    assert contours_of(np.zeros((5, 5), dtype=np.uint8)) == (None, None)


@pytest.mark.parametrize("given_contours", ["both", "endocardium", "epicardium"])
def test_the_side_without_a_contour_stays(given_contours):
    wall, pool = np.zeros((12, 12), dtype=bool), np.zeros((12, 12), dtype=bool)
    wall[2:10, 2:10], pool[4:8, 4:8] = True, True
    wall &= ~pool
    square = lambda a, b: ((a, a), (b, a), (b, b), (a, b))  # noqa: E731
    endocardium = square(5.0, 7.0) if given_contours != "epicardium" else None
    epicardium = square(3.0, 11.0) if given_contours != "endocardium" else None
    new_wall, new_pool = heart_in_contours(wall, pool, endocardium, epicardium)
    expected_pool, whole = np.zeros_like(pool), np.zeros_like(pool)
    if endocardium is None:
        expected_pool[4:8, 4:8] = True
    else:
        expected_pool[5:7, 5:7] = True
    if epicardium is None:
        whole[2:10, 2:10] = True
    else:
        whole[3:11, 3:11] = True
    np.testing.assert_array_equal(new_pool, expected_pool)
    np.testing.assert_array_equal(new_wall, whole & ~expected_pool)
