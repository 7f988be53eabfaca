"""Overlap, distances and grams of two label maps, against values worked out by hand."""

from __future__ import annotations

import pytest

from scarseg.agreement.mask_overlap import compare_labels
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import Stack
from tests.agreement.label_maps import VOXEL_G, block


def test_a_shift_of_two_columns_halves_the_overlap(phantom_stack: Stack) -> None:
    found = compare_labels("x", block(10), block(12), phantom_stack, MassConvention.SPACING)
    scar = found.scar
    assert (scar.n_voxels_a, scar.n_voxels_b) == (40, 40)
    assert scar.dice == scar.slice_dice == scar.precision == scar.recall == 0.5
    assert scar.hausdorff_mm == scar.slice_hausdorff_mm == pytest.approx(2.5)
    assert scar.hd95_mm == pytest.approx(2.5)
    assert scar.mass_a_g == scar.mass_b_g == pytest.approx(40 * VOXEL_G)
    assert found.wall.dice == 1
    assert found.mvo.both_empty
    assert found.mvo.dice is None


def test_a_slice_more_is_far_in_three_dimensions_and_not_in_plane(phantom_stack: Stack) -> None:
    a, b = block(10, (1, 2, 3), Label.MVO), block(10, (1, 2), Label.MVO)
    found = compare_labels("x", a, b, phantom_stack, MassConvention.SPACING)
    for one in (found.scar, found.mvo):
        assert one.hausdorff_mm == pytest.approx(10)
        assert one.slice_hausdorff_mm == 0
        assert one.dice == pytest.approx(2 * 40 / 100)
        assert one.slice_dice == pytest.approx(2 / 3)
        assert one.mass_a_g - one.mass_b_g == pytest.approx(20 * VOXEL_G)


def test_grams_follow_the_convention(phantom_stack: Stack) -> None:
    labels = block(10)
    thick = compare_labels("x", labels, labels, phantom_stack)
    spaced = compare_labels("x", labels, labels, phantom_stack, MassConvention.SPACING)
    assert thick.scar.mass_a_g == pytest.approx(40 * VOXEL_G * 8 / 10)
    assert spaced.scar.mass_a_g == pytest.approx(40 * VOXEL_G)
