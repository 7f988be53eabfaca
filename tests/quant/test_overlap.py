"""Overlap and surface distances against hand-made cases and independent computations."""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff
from skimage.metrics import hausdorff_distance

from scarseg.case.labels import MaskArray
from scarseg.quant.overlap import (
    compare_masks,
    dice,
    hausdorff_mm,
    jaccard,
    precision,
    recall,
    slice_dice,
    slice_hausdorff_mm,
    surface_distances_mm,
    surface_voxels,
    volume_difference_ml,
)


def block(shape: tuple[int, ...], *sides: slice) -> MaskArray:
    mask = np.zeros(shape, dtype=bool)
    mask[sides] = True
    return mask


def random_masks(seed: int, shape: tuple[int, ...], share: float = 0.3) -> list[MaskArray]:
    """Draw two blobby masks that are not empty."""
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
        masks.append(smooth > np.quantile(smooth, 1 - share))
    return masks


def test_overlap_by_hand() -> None:
    """6 voxels against 4, of which 2 are shared."""
    found = block((5, 6), slice(1, 3), slice(0, 3))
    reference = block((5, 6), slice(1, 3), slice(2, 4))
    assert dice(found, reference) == pytest.approx(2 * 2 / 10)
    assert jaccard(found, reference) == pytest.approx(2 / 8)
    assert precision(found, reference) == pytest.approx(2 / 6)
    assert recall(found, reference) == pytest.approx(2 / 4)


def test_identical_masks_are_perfect() -> None:
    mask = block((3, 5, 6), slice(0, 2), slice(1, 4), slice(2, 5))
    result = compare_masks(mask, mask, (10.0, 1.5, 1.25))
    assert (result.dice, result.jaccard, result.precision, result.recall) == (1, 1, 1, 1)
    assert result.hausdorff_mm == result.hd95_mm == result.mean_surface_distance_mm == 0
    assert result.volume_difference_ml == 0
    assert not result.both_empty


def test_what_an_empty_mask_leaves_undefined_is_none() -> None:
    empty, full = np.zeros((2, 4, 4), dtype=bool), np.ones((2, 4, 4), dtype=bool)
    spacing = (8.0, 1.0, 1.0)
    both = compare_masks(empty, empty, spacing)
    assert both.both_empty
    assert both.dice is both.jaccard is both.precision is both.recall is None
    assert both.hausdorff_mm is both.hd95_mm is both.mean_surface_distance_mm is None
    missed = compare_masks(empty, full, spacing)
    assert (missed.dice, missed.jaccard, missed.recall) == (0, 0, 0)
    assert missed.precision is None
    assert missed.hausdorff_mm is None
    assert missed.volume_difference_ml == pytest.approx(-32 * 8 / 1000)
    invented = compare_masks(full, empty, spacing)
    assert invented.recall is None
    assert invented.precision == 0


def test_distance_of_two_voxels_uses_each_axis_own_spacing() -> None:
    a, b = np.zeros((4, 9, 9), dtype=bool), np.zeros((4, 9, 9), dtype=bool)
    a[0, 1, 2] = b[2, 5, 3] = True
    expected = sqrt((2 * 10) ** 2 + (4 * 1.5) ** 2 + (1 * 0.5) ** 2)
    assert hausdorff_mm(a, b, (10.0, 1.5, 0.5)) == pytest.approx(expected)
    assert hausdorff_mm(a[0], b[2], (1.5, 0.5)) == pytest.approx(hypot(6, 0.5))


def test_shifted_square_by_hand() -> None:
    """A 4 x 4 square moved two columns of 0.5 mm: only the leading edge is 1 mm away."""
    a = block((10, 12), slice(3, 7), slice(2, 6))
    b = block((10, 12), slice(3, 7), slice(4, 8))
    assert hausdorff_mm(a, b, (2.0, 0.5)) == pytest.approx(1.0)
    forth, back = surface_distances_mm(a, b, (2.0, 0.5)) or ((), ())
    # Rims of 12 voxels; columns 2 and 3 of a lie 1.0 and 0.5 mm off b's left edge (column 4),
    # and columns 4 and 5 lie on b's rim in rows 3 and 6, while (4..5, 5) lies one column off.
    assert sorted(forth) == pytest.approx([0] * 4 + [0.5] * 4 + [1.0] * 4)
    assert sorted(back) == pytest.approx([0] * 4 + [0.5] * 4 + [1.0] * 4)
    assert compare_masks(a, b, (2.0, 0.5)).mean_surface_distance_mm == pytest.approx(0.5)


def test_outlier_counts_in_full_but_not_at_95_percent() -> None:
    a = block((40, 40), slice(5, 25), slice(5, 25))
    b = a.copy()
    b[35, 35] = True
    assert hausdorff_mm(a, b, (1.0, 1.0)) == pytest.approx(hypot(11, 11))
    assert hausdorff_mm(a, b, (1.0, 1.0), 95) == 0


def test_larger_direction_counts_at_95_percent() -> None:
    """A small mask within reach of a large one is not close to it: the large one is far."""
    large = block((60, 60), slice(2, 58), slice(2, 58))
    small = block((60, 60), slice(2, 4), slice(2, 4))
    there = surface_distances_mm(small, large, (1.0, 1.0))
    assert there is not None
    assert max(there[0]) <= 1
    assert hausdorff_mm(small, large, (1.0, 1.0), 95) == pytest.approx(np.percentile(there[1], 95))
    assert hausdorff_mm(small, large, (1.0, 1.0), 95) == hausdorff_mm(large, small, (1.0, 1.0), 95)


def test_surface_of_a_solid_is_its_rim_also_at_the_image_border() -> None:
    solid = np.ones((5, 6), dtype=bool)
    assert len(surface_voxels(solid)) == 5 * 6 - 3 * 4
    hole = solid.copy()
    hole[2, 3] = False
    assert len(surface_voxels(hole)) == 5 * 6 - 3 * 4 + 4
    assert len(surface_voxels(np.ones((2, 6, 6), dtype=bool))) == 72
    assert len(surface_voxels(np.zeros((3, 3), dtype=bool))) == 0


def rim_by_definition(mask: MaskArray) -> npt.NDArray[np.int64]:
    """Find surface voxels one at a time."""
    found = []
    for index in np.argwhere(mask):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = index.copy()
                other[axis] += step
                outside = (other < 0).any() or (other >= mask.shape).any()
                if outside or not mask[tuple(other)]:
                    found.append(tuple(int(v) for v in index))
    return np.array(sorted(set(found)), dtype=np.int64)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), flat=st.booleans())
def test_against_brute_force_and_libraries(seed: int, flat: bool) -> None:
    shape = (11, 13) if flat else (4, 9, 8)
    spacing = (1.7, 0.6) if flat else (9.0, 1.7, 0.6)
    a, b = random_masks(seed, shape)
    here, there = rim_by_definition(a), rim_by_definition(b)
    assert np.array_equal(surface_voxels(a), here)
    apart = np.linalg.norm((here[:, None] - there[None]) * np.array(spacing), axis=-1)
    forth, back = apart.min(axis=1), apart.min(axis=0)
    assert hausdorff_mm(a, b, spacing) == pytest.approx(max(forth.max(), back.max()))
    assert hausdorff_mm(a, b, spacing) == pytest.approx(
        max(
            directed_hausdorff(here * spacing, there * spacing)[0],
            directed_hausdorff(there * spacing, here * spacing)[0],
        )
    )
    assert hausdorff_mm(a, b, spacing, 95) == pytest.approx(
        max(np.percentile(forth, 95), np.percentile(back, 95))
    )
    pooled = np.concatenate((forth, back))
    assert compare_masks(a, b, spacing).mean_surface_distance_mm == pytest.approx(pooled.mean())
    # The distance map, as MedPy measures, is a third way.
    rim = np.zeros(shape, dtype=bool)
    rim[tuple(there.T)] = True
    field = ndimage.distance_transform_edt(~rim, sampling=spacing)
    assert sorted(field[tuple(here.T)]) == pytest.approx(sorted(forth))


@pytest.mark.parametrize("seed", range(4))
def test_thin_masks_against_scikit_image(seed: int) -> None:
    """scikit-image measures between all voxels, in pixels: the same where all are surface."""
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 20, 20)) < 0.03
    assert hausdorff_mm(a, b, (1.0, 1.0)) == pytest.approx(hausdorff_distance(a, b))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_flips_and_order_change_nothing_and_millimetres_scale(seed: int) -> None:
    a, b = random_masks(seed, (4, 8, 9))
    spacing = (10.0, 1.4, 0.9)
    here = compare_masks(a, b, spacing)
    for turn in (np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1]):
        there = compare_masks(a[turn], b[turn], spacing)
        assert there.hausdorff_mm == pytest.approx(here.hausdorff_mm)
        assert there.hd95_mm == pytest.approx(here.hd95_mm)
        assert there.mean_surface_distance_mm == pytest.approx(here.mean_surface_distance_mm)
    swapped = compare_masks(b, a, spacing)
    assert swapped.hd95_mm == pytest.approx(here.hd95_mm)
    assert swapped.precision == here.recall
    wide = compare_masks(a, b, (20.0, 2.8, 1.8))
    assert wide.hd95_mm == pytest.approx(2 * (here.hd95_mm or 0))
    assert wide.volume_difference_ml == pytest.approx(8 * (here.volume_difference_ml or 0))
    turned = compare_masks(a.transpose(2, 0, 1), b.transpose(2, 0, 1), (0.9, 10.0, 1.4))
    assert turned.hausdorff_mm == pytest.approx(here.hausdorff_mm)


def test_position_in_the_image_changes_nothing() -> None:
    a, b = random_masks(3, (4, 8, 9))
    spacing = (10.0, 1.4, 0.9)
    pad = [(1, 2), (30, 3), (5, 40)]
    near, far = compare_masks(a, b, spacing), compare_masks(np.pad(a, pad), np.pad(b, pad), spacing)
    assert near == far


def test_slices_are_measured_in_their_plane() -> None:
    a, b = np.zeros((3, 9, 9), dtype=bool), np.zeros((3, 9, 9), dtype=bool)
    a[0, 2, 2] = b[0, 2, 6] = True
    a[1, 4, 4] = True
    assert slice_hausdorff_mm(a, b, (1.5, 0.5)) == (pytest.approx(2.0), None, None)
    assert slice_dice(a, b) == (0.0, 0.0, None)


def test_volume_difference_is_signed() -> None:
    a = block((3, 10, 10), slice(0, 3), slice(0, 10), slice(0, 10))
    b = block((3, 10, 10), slice(0, 1), slice(0, 10), slice(0, 10))
    assert volume_difference_ml(a, b, (10.0, 2.0, 0.5)) == pytest.approx(2.0)
    assert volume_difference_ml(b, a, (10.0, 2.0, 0.5)) == pytest.approx(-2.0)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 1.0, 1.0), (0.0, 1.0), (float("nan"), 1.0)])
def test_impossible_spacing_is_a_bug_of_the_caller(spacing: tuple[float, ...]) -> None:
    mask = np.ones((3, 3), dtype=bool)
    with pytest.raises(ValueError, match="spacing"):
        hausdorff_mm(mask, mask, spacing)


def test_masks_must_be_masks_of_one_shape() -> None:
    with pytest.raises(ValueError, match="shapes"):
        dice(np.ones((2, 2), dtype=bool), np.ones((2, 3), dtype=bool))
    labels = np.full((2, 2), 3, dtype=np.uint8)
    with pytest.raises(ValueError, match="boolean"):
        dice(labels, labels)  # type: ignore[arg-type]
