"""Polygons are the mask again when filled, whatever its holes and corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.draw import polygon2mask

from scarseg.case.labels import MaskArray
from scarseg.io.dicom_export.rtstruct import pixel_outlines


def filled(mask: MaskArray) -> MaskArray:
    """Fill by the even-odd rule at the centres of pixels."""
    result = np.zeros_like(mask)
    for polygon in pixel_outlines(mask):
        corners = polygon[:, ::-1] - 0.5
        result ^= polygon2mask(mask.shape, corners)
    return result


@settings(max_examples=150, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filled_outlines_are_the_mask(mask: MaskArray) -> None:
    np.testing.assert_array_equal(filled(mask), mask)


def test_a_pixel_is_a_square_on_its_borders() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 3] = True
    [polygon] = pixel_outlines(mask)
    assert sorted(polygon.tolist()) == [[3, 2], [3, 3], [4, 2], [4, 3]]


def test_a_ring_is_one_polygon_with_the_area_of_its_pixels() -> None:
    mask = np.ones((7, 8), dtype=bool)
    mask[2:5, 3:6] = False
    [polygon] = pixel_outlines(mask)
    x, y = polygon.T.astype(float)
    area = 0.5 * float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    assert area == mask.sum() == 47
    assert len(polygon) == 10  # four corners each, and the cut's two ends on the left side


@pytest.mark.parametrize("n", [1, 2])
def test_pieces_are_apart(n: int) -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0:2, 0:2] = True
    if n == 2:
        mask[2:4, 2:4] = True  # touches at a corner
    assert len(pixel_outlines(mask)) == n
    assert pixel_outlines(np.zeros((3, 3), dtype=bool)) == []
