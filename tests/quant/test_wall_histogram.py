"""Counts of the wall by its signal, and the thresholds marked in it."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.labels import Label
from scarseg.quant.remote import propose_remote
from scarseg.quant.thresholds import Scope, ThresholdMethod, ThresholdRules, threshold_levels
from scarseg.quant.wall_histogram import signal_range, wall_histogram
from scarseg.simulate.phantom import sector


def _ring():
    phantom = sector(20.0, 30.0, 0.0, np.pi / 2)
    stack, labels = phantom.stack, phantom.labels
    rng = np.random.default_rng(1)
    pixels = np.where(
        labels == Label.SCAR, 200.0, np.where(labels == Label.BLOOD_POOL, 120.0, 40.0)
    )
    pixels = (pixels + rng.normal(0, 4, labels.shape)).astype(np.float32)
    return pixels, labels, stack.pixel_spacing_mm


def test_every_voxel_of_wall_and_pool_is_counted_once():
    pixels, labels, spacing = _ring()
    found = wall_histogram(pixels, labels, spacing, (60.0, 150.0))
    assert found.wall.sum() == np.sum(labels == Label.MYOCARDIUM)
    assert found.scar.sum() == np.sum(labels == Label.SCAR)
    assert found.pool.sum() == np.sum(labels == Label.BLOOD_POOL)
    assert found.n_wall == np.sum(labels >= Label.MYOCARDIUM)
    # What lies beyond the span stands in its outermost bins.
    assert found.wall[0] == found.wall.sum() and found.scar[-1] == found.scar.sum()


def test_the_marks_are_those_of_the_engine():
    pixels, labels, spacing = _ring()
    one, drawn = pixels[:1], labels[:1]
    found = wall_histogram(one, drawn, spacing, signal_range(pixels, labels))
    wall, scar = drawn >= Label.MYOCARDIUM, drawn >= Label.SCAR
    remote = propose_remote(wall, spacing, scar)
    signal = remote.signals(one)[0]
    assert signal is not None
    assert found.remote_mean == pytest.approx(signal.mean)
    assert found.thresholds[ThresholdMethod.SD_5] == pytest.approx(signal.mean + 5 * signal.sd)
    half = threshold_levels(ThresholdMethod.FWHM_REMOTE, one, wall, wall, remote)[0]
    assert found.thresholds[ThresholdMethod.FWHM_REMOTE] == half
    assert 35 < found.remote_mean < 45 < half < 130


def test_a_region_bounds_the_half_maximum_and_a_stack_has_one_for_all():
    pixels, labels, spacing = _ring()
    region = np.zeros(labels.shape, dtype=bool)
    region[labels == Label.MYOCARDIUM] = True
    span = signal_range(pixels, labels)
    whole = wall_histogram(pixels, labels, spacing, span)
    bounded = wall_histogram(pixels, labels, spacing, span, region)
    half = ThresholdMethod.FWHM_REMOTE
    assert bounded.thresholds[half] < whole.thresholds[half] - 20
    wall = labels >= Label.MYOCARDIUM
    remote = propose_remote(wall, spacing, labels >= Label.SCAR)
    rules = ThresholdRules(scope=Scope.STACK)
    assert whole.thresholds[half] == threshold_levels(half, pixels, wall, wall, remote, rules)[0]


def test_nothing_drawn_has_no_marks():
    pixels, labels, spacing = _ring()
    nothing = np.zeros_like(labels)
    found = wall_histogram(pixels, nothing, spacing, signal_range(pixels, nothing))
    assert found.n_wall == 0 and not found.thresholds and found.remote_mean is None
    assert found.above(0.0) is None


def test_the_share_above_a_value():
    pixels, labels, spacing = _ring()
    found = wall_histogram(pixels, labels, spacing, signal_range(pixels, labels))
    share = np.sum(labels == Label.SCAR) / found.n_wall
    assert found.above(120.0) == pytest.approx(share, abs=0.02)
