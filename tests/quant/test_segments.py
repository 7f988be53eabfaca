"""AHA segments worked out by hand, on stacks stored in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import cos, radians, sin

import numpy as np
import pytest

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, infarct_mask, wall_mask
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import InsertionPoint
from scarseg.errors import InputError
from scarseg.quant.mass import measure
from scarseg.quant.segments import (
    SEGMENTS,
    Level,
    SegmentMeasurements,
    Territory,
    insertion_angles,
    measure_segments,
    propose_levels,
    segment_map,
)
from scarseg.quant.wall_geometry import is_apical_cap, is_closed_ring, ring_centre
from scarseg.simulate.phantom import PhantomGrid, sector
from tests.quant.heart_views import View, from_apex, mirrored, polar, quarter_turned, ring_labels
from tests.quant.test_mass import oblique

INSERTION = (40 + 30 * cos(radians(120)), 40 - 30 * sin(radians(120)))
"""Ten to eleven o'clock on a picture of 80 x 80 mm."""


def clock(n_slices: int = 3) -> View:
    """A ring seen from the apex, the RV on the left, its anterior insertion at 120 degrees."""
    return from_apex(
        ring_labels(n_slices), [10.0 * k for k in range(n_slices)], insertion=INSERTION
    )


def with_scar(view: View, start: float, width: float, slices: list[int]) -> View:
    """Make scar of the wall between two angles, counter-clockwise on the usual picture."""
    _, angle = polar((80, 80))
    for k in slices:
        here = ((angle - start) % 360 < width) & (view.labels[k] == Label.MYOCARDIUM)
        view.labels[k][here] = Label.SCAR
    return view


def measured(view: View) -> SegmentMeasurements:
    angles = insertion_angles(view.labels, view.stack, [view.insertion])
    numbers = segment_map(view.labels, view.stack, angles)
    return measure_segments(view.labels, view.stack, numbers)


def test_names_and_territories_are_the_american_heart_associations() -> None:
    names = [one.name for one in SEGMENTS]
    assert names[:6] == [
        "basal anterior",
        "basal anteroseptal",
        "basal inferoseptal",
        "basal inferior",
        "basal inferolateral",
        "basal anterolateral",
    ]
    assert names[6] == "mid anterior"
    assert names[12:] == [
        "apical anterior",
        "apical septal",
        "apical inferior",
        "apical lateral",
        "apex",
    ]
    fed = {
        artery: [one.number for one in SEGMENTS if one.territory is artery] for artery in Territory
    }
    assert fed[Territory.LAD] == [1, 2, 7, 8, 13, 14, 17]
    assert fed[Territory.RCA] == [3, 4, 9, 10, 15]
    assert fed[Territory.LCX] == [5, 6, 11, 12, 16]


@pytest.mark.parametrize(
    ("start", "base", "mid"),
    [
        (60, 1, 7),  # up
        (120, 2, 8),  # up and left, beside the insertion
        (180, 3, 9),
        (240, 4, 10),  # down
        (300, 5, 11),
        (0, 6, 12),  # up and right
    ],
)
@pytest.mark.parametrize("stored", [lambda v: v, mirrored, quarter_turned])
def test_a_sixth_is_the_segment_a_reader_names(
    start: float, base: int, mid: int, stored: Callable[[View], View]
) -> None:
    found = measured(stored(with_scar(clock(), start, 60, [0, 1])))
    percents = {one.number: amount.scar_percent() for one, amount in found.segments}
    assert percents[base] == pytest.approx(100, abs=0.5)
    assert percents[mid] == pytest.approx(100, abs=0.5)
    others = [v for number, v in percents.items() if number not in (base, mid)]
    assert max(v for v in others if v is not None) < 0.5


@pytest.mark.parametrize(("start", "number"), [(45, 13), (135, 14), (225, 15), (315, 16)])
def test_apical_quarters_are_up_left_down_and_right(start: float, number: int) -> None:
    found = measured(with_scar(clock(), start, 90, [2]))
    for one, amount in found.segments[12:]:
        percent = amount.scar_percent()
        assert percent == pytest.approx(100 if one.number == number else 0, abs=0.5)


def test_every_storage_gives_the_same_grams() -> None:
    view = with_scar(clock(6), 100, 77, [0, 2, 3, 5])
    plain = measured(view)
    turned_in_space = from_apex(
        view.labels, [10.0 * k for k in range(6)], insertion=INSERTION, axes=oblique()
    )
    for other in (mirrored(view), quarter_turned(view), mirrored(quarter_turned(view))):
        assert measured(other) == plain
    for number in range(1, 17):
        turned, straight = measured(turned_in_space).amount(number), plain.amount(number)
        assert turned.n_infarct_voxels == straight.n_infarct_voxels
        assert turned.n_wall_voxels == straight.n_wall_voxels


def test_sectors_are_cut_in_millimetres() -> None:
    spacing = (2.0, 0.8)
    labels = ring_labels(1, (40, 100), (20, 30), spacing)
    point = (50 + 30 * cos(radians(120)) / 0.8, 20 - 30 * sin(radians(120)) / 2)
    # One slice looks where hearts point: left, anterior and down.
    down = np.array([[1, 0, 0], [0, 0, -1.0], [0, 1, 0]])
    view = from_apex(labels, [0.0], spacing, point, down)
    _, angle = polar((40, 100), spacing)
    labels[0][(labels[0] == Label.MYOCARDIUM) & (angle >= 120) & (angle < 180)] = Label.SCAR
    found = measured(view)
    assert found.amount(8).scar_percent() == pytest.approx(100, abs=1)
    sixth = [found.amount(number).n_wall_voxels for number in range(7, 13)]
    assert sixth == pytest.approx([np.mean(sixth)] * 6, rel=0.06)


def test_a_sector_on_paper_lands_in_its_segments_from_the_base_too() -> None:
    # On the phantom, angles run clockwise on the screen and the apex is behind it.
    grid = PhantomGrid((0.5, 0.4), n_slices=6)
    phantom = sector(20, 30, radians(200), radians(60), grid)
    rows, columns = phantom.labels.shape[1:]
    point = InsertionPoint(
        2,
        columns / 2 + 25 * cos(radians(200)) / 0.4,
        rows / 2 + 25 * sin(radians(200)) / 0.5,
    )
    angles = insertion_angles(phantom.labels, phantom.stack, [point])
    assert angles == pytest.approx([200] * 6)
    numbers = segment_map(phantom.labels, phantom.stack, angles)
    found = measure_segments(phantom.labels, phantom.stack, numbers)
    percents = [amount.scar_percent() for _, amount in found.segments]
    # Segments 2 and 8 whole; of the apex 15 of the anterior 90 degrees, 45 of the septal.
    expected = [0.0] * 16
    expected[1] = expected[7] = 100
    expected[12], expected[13] = 100 * 15 / 90, 50
    assert percents == pytest.approx(expected, abs=0.3)
    third = phantom.infarct_mass_g() / 3
    assert found.amount(2).scar_mass_thickness_g == pytest.approx(third, rel=0.01)
    assert dict(found.territories)[Territory.LAD].scar_mass_spacing_g == pytest.approx(
        phantom.infarct_mass_g(), rel=0.01
    )
    assert dict(found.territories)[Territory.LCX].n_infarct_voxels == 0


def test_segments_and_the_rest_add_up_to_the_stack() -> None:
    rng = np.random.default_rng(3)
    labels = ring_labels(7)
    scarred = (labels == Label.MYOCARDIUM) & (rng.random(labels.shape) < 0.3)
    labels[scarred] = rng.choice([Label.SCAR, Label.MVO], int(scarred.sum()))
    labels[0, :, 40:] = 0  # an open ring at the base
    view = from_apex(labels, [0, 10, 21, 29, 38, 50, 61], (1.3, 0.7), insertion=(10, 10))
    found = measured(view)
    whole = measure(labels, view.stack, [SliceStatus.ACCEPTED] * 7, density_g_per_ml=1.05)
    parts = [amount for _, amount in found.segments] + [found.outside]
    assert found.outside.n_wall_voxels > 0
    for name in ("n_wall_voxels", "n_infarct_voxels", "n_mvo_voxels"):
        total = sum(getattr(one, name) for one in parts)
        assert total == getattr(found.total, name)
    assert found.total.n_wall_voxels == np.count_nonzero(wall_mask(labels))
    assert found.total.n_infarct_voxels == np.count_nonzero(infarct_mask(labels))
    for name in ("scar_mass", "mvo_mass", "lv_mass"):
        for convention in MassConvention:
            key = f"{name}_{convention}_g"
            assert getattr(found.total, key) == getattr(whole, key)
            total = sum(getattr(one, key) for one in parts)
            assert total == pytest.approx(getattr(whole, key), rel=1e-14)
            fed = sum(getattr(one, key) for _, one in found.territories)
            assert fed + getattr(found.outside, key) == pytest.approx(total, rel=1e-14)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, "m"), (2, "ba"), (3, "bma"), (4, "bmma"), (5, "bbmaa"), (8, "bbbmmaaa")],
)
def test_thirds_of_even_slices(n: int, expected: str) -> None:
    levels = propose_levels(ring_labels(n), clock(n).stack)
    assert "".join(one.value[0] for one in levels if one) == expected


def test_thirds_are_of_millimetres_not_of_slices() -> None:
    view = from_apex(ring_labels(5), [0, 10, 20, 30, 55])
    levels = propose_levels(view.labels, view.stack)
    # The last slice stands for 25 mm: from -5 to 67.5, thirds end at 19.2 and 43.3.
    assert [one.value for one in levels if one] == ["basal", "basal", "mid", "mid", "apical"]


def test_open_rings_at_the_base_have_no_level_and_a_solid_tip_is_the_apex() -> None:
    view = clock(7)
    view.labels[0, 30:50, 40:] = 0
    view.labels[3, 39:41, 40:] = 0  # open, but between closed rings
    view.labels[5][view.labels[5] == Label.BLOOD_POOL] = Label.MYOCARDIUM
    view.labels[6] = 0
    assert not is_closed_ring(view.labels[0])
    assert is_apical_cap(view.labels[5])
    levels = propose_levels(view.labels, view.stack)
    assert levels == (
        None,
        Level.BASAL,
        Level.MID,
        Level.MID,
        Level.APICAL,
        Level.APEX,
        None,
    )
    found = measured(replace(view, insertion=replace(view.insertion, slice_index=2)))
    assert len(found.segments) == 17
    assert found.amount(17).n_wall_voxels == np.count_nonzero(view.labels[5])
    assert found.outside.n_wall_voxels == np.count_nonzero(wall_mask(view.labels[0]))


def test_a_wall_without_a_drawn_pool_is_a_ring_all_the_same() -> None:
    view = clock(1)
    view.labels[view.labels == Label.BLOOD_POOL] = 0
    assert is_closed_ring(view.labels[0])
    assert ring_centre(view.labels[0]) == (40, 40)


def test_the_readers_levels_are_taken() -> None:
    view = clock(3)
    levels = (None, Level.BASAL, Level.BASAL)
    numbers = segment_map(view.labels, view.stack, (120.0,) * 3, levels)
    assert not numbers[0].any()
    assert sorted(np.unique(numbers[1:])) == [0, 1, 2, 3, 4, 5, 6]


def test_between_two_insertions_the_angle_turns_the_short_way() -> None:
    view = from_apex(ring_labels(4), [0, 10, 20, 40])
    points = [
        InsertionPoint(3, 40 + 30 * cos(radians(-10)), 40 - 30 * sin(radians(-10))),
        InsertionPoint(1, 40 + 30 * cos(radians(20)), 40 - 30 * sin(radians(20))),
    ]
    assert insertion_angles(view.labels, view.stack, points) == pytest.approx([20, 20, 10, 350])


@pytest.mark.parametrize(
    "points",
    [
        [],
        [InsertionPoint(3, 10, 10)],
        [InsertionPoint(-1, 10, 10)],
        [InsertionPoint(0, 10, 10), InsertionPoint(0, 11, 10)],
        [InsertionPoint(0, 40, 40)],
        [InsertionPoint(0, float("nan"), 1)],
        [InsertionPoint(2, 10, 10)],
    ],
)
def test_an_insertion_without_a_direction_is_refused(points: list[InsertionPoint]) -> None:
    view = clock(3)
    view.labels[2] = 0
    with pytest.raises(InputError, match="E_INSERTION"):
        insertion_angles(view.labels, view.stack, points)


def test_a_stack_without_wall_has_blank_percents() -> None:
    view = clock(2)
    view.labels[:] = 0
    numbers = segment_map(view.labels, view.stack, (0.0, 0.0))
    found = measure_segments(view.labels, view.stack, numbers)
    assert {amount.scar_percent() for _, amount in found.segments} == {None}
