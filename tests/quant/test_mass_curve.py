"""The curve of mass against threshold, by hand and against the measure of masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, wall_mask
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import Stack
from scarseg.quant.mass import measure
from scarseg.quant.method_comparison import mass_curve
from scarseg.quant.thresholds import ThresholdMethod, ThresholdRules, threshold_scar


@pytest.mark.parametrize("convention", list(MassConvention))
def test_every_point_is_the_mass_of_its_mask(
    phantom_stack: Stack, phantom_truth: LabelArray, convention: MassConvention
) -> None:
    rng = np.random.default_rng(4)
    noisy = phantom_stack.pixels + rng.normal(0, 40, phantom_stack.pixels.shape)
    origins = tuple((0.0, 0.0, z) for z in (0.0, 9.0, 20.0, 30.0, 38.0))
    stack = replace(phantom_stack, pixels=noisy.astype(np.float32), origins_mm=origins)
    wall = wall_mask(phantom_truth)
    curve = mass_curve(stack, wall, convention=convention, n_points=7)
    assert curve is not None
    assert curve.thresholds[0] == stack.pixels[wall].min()
    assert curve.mass_g[-1] == 0
    assert (np.diff(curve.mass_g) <= 0).all()
    rules = ThresholdRules(island_mm2=0.0, dark_cores=False)
    for threshold, mass in zip(curve.thresholds, curve.mass_g, strict=True):
        found = threshold_scar(
            ThresholdMethod.MANUAL,
            stack.pixels,
            wall,
            stack.pixel_spacing_mm,
            manual=float(threshold),
            rules=rules,
        )
        labels = found.apply_to(phantom_truth)
        assert np.array_equal(wall_mask(labels), wall)
        weighed = measure(labels, stack, [SliceStatus.PROPOSED] * 5, convention)
        assert weighed.scar_mass_g == pytest.approx(mass, abs=1e-12)
        assert curve.mass_at(float(threshold)) == mass


def test_region_and_density(phantom_stack: Stack, phantom_truth: LabelArray) -> None:
    wall = wall_mask(phantom_truth)
    scar = phantom_truth == Label.SCAR
    curve = mass_curve(phantom_stack, wall, scar, density_g_per_ml=2.1)
    assert curve is not None
    # A single signal: nothing lies above it, and one threshold below it has it all.
    assert (curve.mass_g == 0).all()
    level = float(phantom_stack.pixels[scar][0])
    assert curve.thresholds.tolist() == [level] * 101
    both = mass_curve(phantom_stack, wall, density_g_per_ml=2.1)
    assert both is not None
    assert both.mass_g[0] == pytest.approx(2.1e-3 * scar.sum() * 1.5 * 1.25 * 8)
    assert mass_curve(phantom_stack, wall, np.zeros_like(wall)) is None
