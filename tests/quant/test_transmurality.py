"""Transmurality worked out by hand, by area and by ray."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from scarseg.case.labels import Label
from scarseg.quant.segments import Level, segment_map
from scarseg.quant.transmurality import (
    Transmurality,
    TransmuralityClass,
    measure_transmurality,
    ray_shares,
    transmurality_class,
)
from scarseg.simulate.phantom import PhantomGrid, sector
from tests.quant.heart_views import View, from_apex, mirrored, polar, quarter_turned, ring_labels

SPACING = (0.5, 0.4)
SHAPE = (140, 180)


def fine(n_slices: int = 3) -> View:
    labels = ring_labels(n_slices, SHAPE, (20, 30), SPACING)
    return from_apex(labels, [10.0 * k for k in range(n_slices)], SPACING)


def measured(view: View, insertion: float = 120.0) -> dict[int, Transmurality]:
    angles = [insertion] * view.stack.n_slices
    numbers = segment_map(view.labels, view.stack, angles)
    found = measure_transmurality(view.labels, view.stack, numbers, angles)
    return {one.segment.number: one for one in found}


def test_a_rim_through_half_the_wall() -> None:
    view = fine()
    radius, _ = polar(SHAPE, SPACING)
    view.labels[:, (radius >= 20) & (radius < 25)] = Label.SCAR
    for one in measured(view).values():
        # Half of every ray; of the area (25^2 - 20^2) / (30^2 - 20^2).
        assert one.ray_mean_percent == pytest.approx(50, abs=1)
        assert one.ray_maximum_percent == pytest.approx(50, abs=5)
        assert one.area_percent == pytest.approx(45, abs=1)
        assert one.extent_percent == 100
        assert one.ray_class is not None
        assert one.area_class is TransmuralityClass.TO_50


@pytest.mark.parametrize("inner", [20.0, 26.0])
def test_rays_do_not_mind_on_which_side_scar_lies(inner: float) -> None:
    view = fine(1)
    radius, _ = polar(SHAPE, SPACING)
    view.labels[:, (radius >= inner) & (radius < inner + 4)] = Label.MVO
    assert measured(view)[7].ray_mean_percent == pytest.approx(40, abs=1)


def test_full_thickness_in_half_a_segment() -> None:
    view = fine()
    radius, angle = polar(SHAPE, SPACING)
    here = (radius >= 20) & (radius < 30) & (angle >= 150) & (angle < 180)
    view.labels[0, here] = Label.SCAR
    found = measured(view)
    two = found[2]
    assert two.ray_mean_percent == pytest.approx(100, abs=4)  # border rays are cut by pixels
    assert two.ray_maximum_percent == 100
    assert two.extent_percent == pytest.approx(50, abs=2)
    assert two.area_percent == pytest.approx(50, abs=1)
    assert two.n_rays == 60
    three = found[3]
    assert (three.area_percent, three.ray_mean_percent, three.extent_percent) == (0, 0, 0)
    assert three.area_class is three.ray_class is TransmuralityClass.NONE


def test_the_worst_slice_of_a_segment_is_told() -> None:
    view = fine(6)  # two slices per third
    _, angle = polar(SHAPE, SPACING)
    here = (view.labels[0] == Label.MYOCARDIUM) & (angle >= 120) & (angle < 180)
    view.labels[0, here] = Label.SCAR
    two = measured(view)[2]
    assert two.area_percent == pytest.approx(50, abs=0.5)
    assert two.largest_area_percent == pytest.approx(100, abs=0.5)
    assert two.n_rays == 120


def test_flipped_and_turned_stacks_have_the_same_transmurality() -> None:
    view = fine()
    rng = np.random.default_rng(5)
    view.labels[(view.labels == Label.MYOCARDIUM) & (rng.random(view.labels.shape) < 0.4)] = 3
    plain = measured(view)
    # The direction of image right is another one: 120 becomes 300 and 210.
    for other, insertion in ((mirrored(view), 300.0), (quarter_turned(view), 210.0)):
        again = measured(other, insertion)
        for number, one in plain.items():
            assert again[number].area_percent == pytest.approx(one.area_percent, abs=0.5)
            assert again[number].ray_mean_percent == pytest.approx(one.ray_mean_percent, abs=0.5)


def test_a_phantom_off_the_grid() -> None:
    grid = PhantomGrid((1.5, 1.25), offset_pixels=(0.3, -0.4), n_slices=3)
    phantom = sector(18, 28, radians(10), radians(120), grid)
    angles, shares = ray_shares(phantom.labels[0], phantom.stack)
    inside = (angles > 13) & (angles < 127)
    outside = (angles > 133) | (angles < 7)
    assert shares[inside].mean() == pytest.approx(1, abs=0.01)
    assert shares[outside].max() < 0.05
    assert len(angles) == 360


def test_without_wall_there_is_nothing_to_say() -> None:
    view = fine(3)
    view.labels[:2] = 0
    found = measured(view)
    assert found[1].area_percent is None
    assert found[1].area_class is None
    assert found[1].ray_mean_percent is None
    assert found[7].area_percent == 0  # a single ring is mid


def test_an_open_ring_has_rays_only_where_there_is_wall() -> None:
    view = fine(1)
    _, angle = polar(SHAPE, SPACING)
    view.labels[0, (angle >= 180) & (angle < 240) & (view.labels[0] == 2)] = 0
    angles = [120.0]
    levels = [Level.MID]
    numbers = segment_map(view.labels, view.stack, angles, levels)
    found = measure_transmurality(view.labels, view.stack, numbers, angles, levels)
    assert sum(one.n_rays for one in found) == pytest.approx(300, abs=4)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (0, "0"),
        (0.1, "1 to 25"),
        (25, "1 to 25"),
        (25.1, "26 to 50"),
        (50, "26 to 50"),
        (75, "51 to 75"),
        (75.5, "76 to 100"),
        (100, "76 to 100"),
    ],
)
def test_classes(percent: float, expected: str) -> None:
    assert transmurality_class(percent) == expected
