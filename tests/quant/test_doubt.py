"""Reasons to doubt the scar of a slice, on rings drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.quant.doubt import DoubtKind, case_doubt, describe, slice_doubts
from tests.conftest import make_phantom_stack

ROW_MM, COLUMN_MM = 1.5, 1.25
"""Of the phantom; 8 mm thick: a voxel is 1.875 mm2 and 0.01575 g."""


def ring(radius: float = 20.0) -> LabelArray:
    """Return a wall of 6 mm round a pool, its middle at row 30, column 36."""
    y, x = np.meshgrid(
        (np.arange(60) - 29.5) * ROW_MM, (np.arange(72) - 35.5) * COLUMN_MM, indexing="ij"
    )
    distance = np.hypot(x, y)
    labels = np.zeros((60, 72), dtype=np.uint8)
    labels[distance < radius] = Label.MYOCARDIUM
    labels[distance < radius - 6] = Label.BLOOD_POOL
    return labels


def case_of(*scars: LabelArray | None) -> Case:
    """Return a case of rings; a mask marks the scar of its slice, in the wall or outside it."""
    case = Case.new(make_phantom_stack())
    for k, scar in enumerate(scars):
        case.labels[k] = ring()
        if scar is not None:
            case.labels[k][scar] = Label.SCAR
    return case


def patch(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((60, 72), dtype=bool)
    mask[rows, columns] = True
    return mask


IN_WALL = patch(slice(27, 33), slice(48, 51))
"""18 voxels at 15.6 to 18.1 mm to the right of the middle."""
FAT = patch(slice(24, 36), slice(53, 57))
"""48 voxels of 90 mm2, 21.9 mm and more from the middle: the wall ends at 20."""


INNER = (ring() == Label.MYOCARDIUM) & (ring(17.0) != Label.BACKGROUND)
"""The inner 3 of the 6 mm of the wall, all round."""


def kinds(case: Case, k: int, **more: tuple[float, float]) -> list[DoubtKind]:
    return [one.kind for one in slice_doubts(case, k, **more)]


def test_scar_in_the_wall_of_three_slices_is_not_doubted() -> None:
    case = case_of(None, IN_WALL, IN_WALL, IN_WALL, None)
    assert [kinds(case, k) for k in range(5)] == [[], [], [], [], []]


def test_scar_outside_the_epicardium_is_doubted_where_it_lies() -> None:
    case = case_of(None, IN_WALL, FAT | IN_WALL, IN_WALL, None)
    outside, off = slice_doubts(case, 2)
    assert (outside.kind, off.kind) == (DoubtKind.OUTSIDE, DoubtKind.OFF_NEIGHBOURS)
    assert outside.mask is not None
    assert not (outside.mask & ~FAT).any()
    # Columns 53 to 56 begin 22.2 mm from the middle; all lie beyond 20 + 1.5 mm.
    assert outside.mask.sum() == FAT.sum()
    assert outside.sentence.startswith("90 mm²")
    # Beyond 20 + 4 mm lie the outer two or three columns alone.
    assert off.mask is not None and 0 < off.mask.sum() < FAT.sum()


def test_a_small_area_outside_is_not_reported() -> None:
    """15 voxels are 28 mm2, 16 are 30."""
    for n, expected in ((15, []), (16, [DoubtKind.OUTSIDE])):
        bit = np.zeros((60, 72), dtype=bool)
        bit[22 : 22 + n, 53] = True
        assert kinds(case_of(None, IN_WALL, IN_WALL | bit, IN_WALL, None), 2) == expected


def test_scar_that_is_most_of_the_wall_is_doubted() -> None:
    everything = ring() == Label.MYOCARDIUM
    half = everything & (np.arange(72)[None, :] >= 36)
    most = everything & (np.arange(72)[None, :] >= 30)
    assert DoubtKind.LARGE not in kinds(case_of(half, half, half, half, half), 2)
    found = slice_doubts(case_of(most, most, most, most, most), 2)
    assert DoubtKind.LARGE in [one.kind for one in found]
    assert "% of the wall" in describe(found)


def test_scar_on_one_slice_alone_is_doubted() -> None:
    assert kinds(case_of(None, None, IN_WALL, None, None), 2) == [DoubtKind.LONELY]
    assert kinds(case_of(None, IN_WALL, IN_WALL, None, None), 2) == []


@pytest.mark.parametrize(("k", "kind"), [(0, DoubtKind.BASE), (4, DoubtKind.APEX)])
def test_scar_at_either_end_is_doubted_from_one_gram(k: int, kind: DoubtKind) -> None:
    """64 voxels are 1.008 g, 63 are 0.992 g."""
    inner = np.argwhere(INNER)
    for n, expected in ((63, []), (64, [kind])):
        some = np.zeros((60, 72), dtype=bool)
        some[tuple(inner[:n].T)] = True
        assert kinds(case_of(some, some, some, some, some), k) == expected


def test_an_interval_wider_than_two_grams_and_its_own_mass_is_doubted() -> None:
    """The scar is 18 voxels, 0.28 g."""
    case = case_of(None, IN_WALL, IN_WALL, IN_WALL, None)
    assert kinds(case, 2, interval_g=(0.0, 2.0)) == []
    assert kinds(case, 2, interval_g=(0.0, 2.1)) == [DoubtKind.WIDE]
    grams = INNER.sum() * 0.01575
    assert grams > 2
    heavy = case_of(INNER, INNER, INNER, INNER, INNER)
    assert kinds(heavy, 2, interval_g=(0.0, grams - 0.01)) == []
    assert kinds(heavy, 2, interval_g=(0.0, grams + 0.01)) == [DoubtKind.WIDE]


def test_a_slice_without_scar_or_without_a_heart_has_no_doubt_but_loneliness() -> None:
    case = case_of(None, None, None, None, None)
    assert kinds(case, 2, interval_g=(0.0, 9.0)) == []
    bare = Case.new(make_phantom_stack())
    bare.labels[2][FAT] = Label.SCAR
    for k in (1, 3):
        bare.readings[k] = SliceReading(status=SliceStatus.PROPOSED)
    assert kinds(bare, 2) == [DoubtKind.LONELY]


@pytest.mark.parametrize("unseen", [1, 3])
def test_scar_is_not_alone_while_a_neighbour_is_unseen(unseen: int) -> None:
    case = case_of(None, None, IN_WALL, None, None)
    case.labels[unseen] = Label.BACKGROUND
    assert kinds(case, 2) == []
    case.readings[unseen] = SliceReading(status=SliceStatus.NO_SCAR)
    assert kinds(case, 2) == [DoubtKind.LONELY]


def test_a_box_of_the_detector_without_scar_is_doubted_even_on_a_slice_without_any() -> None:
    case = case_of(None, IN_WALL, IN_WALL, None, None)
    on_scar = Box(48, 27, 51, 33, Origin.DETECTOR, 0.9)
    beside = Box(20, 27, 24, 33, Origin.DETECTOR, 0.9)
    for k in (2, 3):
        case.readings[k] = SliceReading(SlicePrompts(boxes=(on_scar, beside)), SliceStatus.PROPOSED)
    [found] = slice_doubts(case, 2)
    assert found.kind is DoubtKind.DETECTOR and found.mask is not None
    np.testing.assert_array_equal(found.mask, patch(slice(27, 33), slice(20, 24)))
    assert kinds(case, 3) == [DoubtKind.DETECTOR], "both boxes are empty there"
    case.readings[3] = SliceReading(SlicePrompts(boxes=(Box(20, 27, 24, 33),)))
    assert kinds(case, 3) == [], "a reader's box is no detector's"


def test_a_noisy_image_is_doubted_where_it_has_scar() -> None:
    case = case_of(None, IN_WALL, IN_WALL, None, None)
    labels, rng = case.labels[3], np.random.default_rng(5)
    # Blood 100 above remote, noise of SD 10 and 50: contrasts of 10 and 2, poor below 3.
    signal = np.where(labels == Label.BLOOD_POOL, 150.0, np.where(labels > 0, 50.0, 0.0))
    pixels = case.stack.pixels.copy()
    for k, sd in ((1, 10.0), (2, 50.0), (3, 50.0)):
        pixels[k] = signal + rng.normal(0, sd, signal.shape)
    case.stack = replace(case.stack, pixels=pixels)
    assert DoubtKind.IMAGE not in kinds(case, 1)
    assert DoubtKind.IMAGE in kinds(case, 2)
    assert kinds(case, 3) == [], "there is no scar to doubt"


def test_the_doubt_about_a_case_is_the_share_that_its_mass_in_doubt_has() -> None:
    """Lonely scar of 18 voxels is 0.2835 g; half of the interval 2 to 8 g is 3 g."""
    case = case_of(None, None, IN_WALL, None, None)
    assert case_doubt(case_of(None, None, None, None, None)).score == 0
    doubtful = case_doubt(case)
    assert doubtful.score == pytest.approx(0.2835 / 10.2835)
    assert doubtful.reasons == "lonely: 3"
    with_interval = case_doubt(case, (2.0, 8.0), [(0.0, 0.0)] * 5)
    assert with_interval.score == pytest.approx(3.2835 / 13.2835)
    case.readings[2] = SliceReading(status=SliceStatus.ACCEPTED)
    assert case_doubt(case).score == 0 and case_doubt(case).reasons == ""


def test_of_the_doubts_about_a_slice_the_largest_counts_once() -> None:
    """48 voxels of fat are 0.756 g, and 66 voxels alone on a slice 1.0395 g."""
    case = case_of(None, None, FAT | IN_WALL, None, None)
    found = {one.kind: one.grams for one in slice_doubts(case, 2)}
    assert found[DoubtKind.OUTSIDE] == pytest.approx(0.756)
    assert found[DoubtKind.LONELY] == pytest.approx(1.0395)
    assert case_doubt(case).score == pytest.approx(1.0395 / 11.0395)
