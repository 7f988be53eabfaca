"""Masses known on paper: voxel-exact against counting, unbiased against the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention
from scarseg.segmentation import pipeline
from scarseg.simulate.phantom import Phantom, PhantomGrid, cylinder, ring, sector


def measured_g(
    phantom: Phantom,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = 1.05,
) -> float:
    case = Case.new(phantom.stack)
    case.labels[:] = phantom.labels
    return pipeline.measure(case, convention, density_g_per_ml).scar_mass_g


def draw_grid(rng: np.random.Generator) -> PhantomGrid:
    row, column = rng.uniform(0.8, 2.2, 2)
    return PhantomGrid(
        pixel_spacing_mm=(float(row), float(column)),
        offset_pixels=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        n_slices=int(rng.integers(2, 9)),
        slice_spacing_mm=float(rng.uniform(5, 13)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_mass_is_voxels_times_lengths_times_density(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, column = rng.uniform(0.8, 2.2, 2)
    grid = PhantomGrid((float(row), float(column)), (0.3, -0.4), 6, 10.0, 7.5)
    phantom = sector(20, 30, 0.5, 1.3, grid)
    n = sum(1 for value in phantom.labels.ravel().tolist() if value == Label.SCAR)
    assert n > 0
    for convention, depth in ((MassConvention.THICKNESS, 7.5), (MassConvention.SPACING, 10.0)):
        on_paper = n * float(row) * float(column) * depth / 1000 * 1.06
        assert measured_g(phantom, convention, 1.06) == pytest.approx(on_paper, rel=1e-9)


def test_bias_of_300_placements_is_under_three_per_mille() -> None:
    rng = np.random.default_rng(20240102)
    ratios = []
    for i in range(300):
        grid = draw_grid(rng)
        height_mm = grid.n_slices * grid.slice_spacing_mm
        inner, outer = float(rng.uniform(15, 25)), float(rng.uniform(28, 38))
        start, width = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.6, 2.5))
        if i % 3 == 0:
            phantom, area = cylinder(outer, grid), math.pi * outer * outer
        elif i % 3 == 1:
            phantom = ring(inner, outer, grid)
            area = math.pi * (outer * outer - inner * inner)
        else:
            phantom = sector(inner, outer, start, width, grid)
            area = width / 2 * (outer * outer - inner * inner)
        on_paper = area * height_mm * 1.05e-3
        assert phantom.infarct_mass_g() == pytest.approx(on_paper, rel=1e-12)
        ratios.append(measured_g(phantom) / on_paper)
    ratios_array = np.array(ratios)
    assert abs(ratios_array.mean() - 1) < 0.003
    for kind in range(3):
        assert abs(ratios_array[kind::3].mean() - 1) < 0.005


def test_the_wall_of_a_sector_weighs_the_whole_ring() -> None:
    phantom = sector(20, 30, 0.0, 1.0, PhantomGrid((0.5, 0.6)))
    case = Case.new(phantom.stack)
    case.labels[:] = phantom.labels
    lv_mass = pipeline.measure(case).lv_mass_g
    assert lv_mass == pytest.approx(math.pi * 500 * 80 * 1.05e-3, rel=0.003)
    assert lv_mass == pytest.approx(phantom.wall_mass_g(), rel=0.003)


def test_doubling_a_spacing_doubles_the_mass() -> None:
    phantom = ring(20, 30, PhantomGrid((1.5, 1.25), slice_spacing_mm=10))
    taller = ring(20, 30, PhantomGrid((1.5, 1.25), slice_spacing_mm=20))
    assert measured_g(taller) == pytest.approx(2 * measured_g(phantom), rel=1e-12)


def test_a_sub_pixel_offset_moves_the_solid() -> None:
    here, there = cylinder(20, PhantomGrid()), cylinder(20, PhantomGrid(offset_pixels=(3.0, -2.0)))
    rows, columns = np.nonzero(here.labels[0])
    moved_rows, moved_columns = np.nonzero(there.labels[0])
    assert moved_rows.mean() - rows.mean() == pytest.approx(3.0, abs=0.05)
    assert moved_columns.mean() - columns.mean() == pytest.approx(-2.0, abs=0.05)
