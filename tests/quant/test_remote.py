"""Remote myocardium: the sector a reader picks, and the region that is proposed."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Label, Patch, infarct_mask, wall_mask
from scarseg.quant.components import remove_islands
from scarseg.quant.method_comparison import compare_case_methods
from scarseg.quant.remote import (
    MINIMUM_VOXELS,
    RemoteRegion,
    case_remote,
    drawn_mask,
    mid_wall,
    propose_remote,
    propose_remote_outside,
    remote_sector,
    ring_angles,
)
from tests.conftest import COLUMN_SPACING, ROW_SPACING, phantom_labels
from tests.quant.test_thresholds import ring_stack

SPACING = (ROW_SPACING, COLUMN_SPACING)
MIDDLE = (36.0, 30.0)


@pytest.fixture
def wall():
    return wall_mask(phantom_labels()[0])


@pytest.mark.parametrize(
    ("at", "angle"),
    [((60.0, 30.0), 0), ((36.0, 50.0), 90), ((10.0, 30.0), 180), ((36.0, 5.0), -90)],
)
def test_it_looks_towards_the_place_sixty_degrees_wide(wall, at, angle):
    sector = remote_sector(wall, SPACING, at)
    off = np.abs((ring_angles(wall, SPACING) - angle + 180) % 360 - 180)
    assert sector.any() and off[sector].max() <= 30 + 1e-6
    assert np.array_equal(sector, mid_wall(wall, SPACING) & (off <= 30 + 1e-6))


def test_the_angle_is_that_of_millimetres(wall):
    """45 degrees in the patient is another angle among pixels of 1.5 by 1.25 mm."""
    at = (MIDDLE[0] + 12 / COLUMN_SPACING, MIDDLE[1] + 12 / ROW_SPACING)
    sector = remote_sector(wall, SPACING, at)
    rows, columns = np.nonzero(sector)
    y = (rows + 0.5 - MIDDLE[1]) * ROW_SPACING
    x = (columns + 0.5 - MIDDLE[0]) * COLUMN_SPACING
    assert np.degrees(np.arctan2(y.mean(), x.mean())) == pytest.approx(45, abs=2)


def test_a_mirrored_wall_has_the_mirrored_sector(wall):
    sector = remote_sector(wall, SPACING, (50.0, 20.0))
    mirrored = remote_sector(wall[:, ::-1], SPACING, (wall.shape[1] - 50.0, 20.0))
    assert np.array_equal(mirrored[:, ::-1], sector)


def test_without_a_wall_there_is_none():
    assert not remote_sector(np.zeros((5, 6), dtype=bool), SPACING, (2.0, 2.0)).any()


def ring_radius() -> np.ndarray:
    """Return the radius in mm of every pixel of :func:`ring_stack`; its wall is 14 to 24 mm."""
    y, x = np.meshgrid((np.arange(44) - 20.3) * 1.5, np.arange(64) - 31.6, indexing="ij")
    return np.hypot(x, y)


def test_the_proposal_is_the_deeper_half_of_the_wall_all_round():
    _, labels = ring_stack()
    wall, radius = wall_mask(labels), ring_radius()
    remote = propose_remote(wall, (1.5, 1.0))
    assert remote.origin == "proposed (median and MAD)"
    for k in range(3):
        assert not (remote.mask[k] & ~wall[k]).any()
        # 10 mm of wall, neither border; half of it or a little more where depths are equal.
        assert radius[remote.mask[k]].min() > 15.5 and radius[remote.mask[k]].max() < 22.5
        assert 0.5 <= remote.mask[k].sum() / wall[k].sum() < 0.6
        angles = ring_angles(wall[k], (1.5, 1.0))[remote.mask[k]]
        counts, _ = np.histogram(angles, bins=12, range=(-180, 180))
        assert counts.min() > 0.5 * counts.max()


def test_the_proposal_keeps_three_millimetres_from_known_scar():
    _, labels = ring_stack()
    scar = infarct_mask(labels)
    remote = propose_remote(wall_mask(labels), (1.5, 1.0), scar).mask
    rows, columns = np.nonzero(scar[0])
    near = far = 0
    for row, column in np.argwhere(mid_wall(wall_mask(labels)[0], (1.5, 1.0))):
        away = np.hypot((rows - row) * 1.5, columns - column).min()
        assert remote[0, row, column] == (away >= 3.0)
        near, far = near + (away < 3.0), far + (away >= 3.0)
    assert near and far


def test_a_proposed_region_is_measured_by_median_and_scaled_mad():
    """Eight voxels 1 to 7 and 100: median 4.5, deviations 0.5 to 3.5 and 95.5, their median 2."""
    mask = np.zeros((1, 1, 10), dtype=bool)
    mask[0, 0, :8] = True
    pixels = np.array([[[1, 2, 3, 4, 5, 6, 7, 100, 900, 900]]], dtype=np.float32)
    signal = RemoteRegion(mask).stack_signal(pixels)
    assert signal is not None
    assert (signal.mean, signal.sd) == (4.5, pytest.approx(2 * 1.4826))
    assert (signal.peak, signal.n_voxels) == (100, 8)


def test_a_drawn_region_is_measured_by_mean_and_sample_sd():
    mask = np.zeros((2, 1, 10), dtype=bool)
    mask[0, 0, :8] = True
    drawn = RemoteRegion.drawn(mask)
    assert drawn.origin == "drawn (mean and SD)" and drawn.drawn_slices == {0}
    pixels = np.zeros((2, 1, 10), dtype=np.float32)
    pixels[0, 0, :8] = [1, 2, 3, 4, 5, 6, 7, 100]
    signal = drawn.stack_signal(pixels)
    assert signal is not None
    # Sum 128, mean 16; squared deviations 225+196+169+144+121+100+81+7056 = 8092.
    assert (signal.mean, signal.sd) == (16, pytest.approx((8092 / 7) ** 0.5))
    assert drawn.signals(pixels) == (signal, signal), "the other slice takes the stack's"


def test_drawn_slices_replace_proposed_ones_and_alone_make_the_signal_of_the_stack():
    pixels, labels = ring_stack()
    proposed = propose_remote(wall_mask(labels), (1.5, 1.0))
    region = np.zeros_like(proposed.mask[1])
    region[10:14, 10:14] = True
    both = proposed.with_drawn({1: region})
    assert np.array_equal(both.mask[1], region) and np.array_equal(both.mask[0], proposed.mask[0])
    assert both.drawn_slices == {1} and proposed.drawn_slices == set()
    values = pixels[1][region].astype(float)
    signal = both.stack_signal(pixels)
    assert signal is not None and signal.n_voxels == 16
    assert signal.mean == pytest.approx(values.mean())
    first = both.signals(pixels)[0]
    assert first is not None
    assert first.mean == np.median(pixels[0][proposed.mask[0]].astype(float))


def test_a_slice_without_region_takes_the_signal_of_the_stack():
    pixels, labels = ring_stack()
    mask = propose_remote(wall_mask(labels), (1.5, 1.0)).mask
    mask[1] = False
    signals = RemoteRegion(mask).signals(pixels)
    assert signals[1] is not None and signals[1].n_voxels == mask.sum()
    assert RemoteRegion(np.zeros_like(mask)).signals(pixels) == (None, None, None)


def test_fewer_than_eight_voxels_are_no_region():
    wall = np.zeros((2, 5, 12), dtype=bool)
    wall[0, 2, 1 : 1 + MINIMUM_VOXELS] = True
    wall[1, 2, 1:MINIMUM_VOXELS] = True
    remote = propose_remote(wall, (1.0, 1.0)).mask
    assert remote[0].sum() == MINIMUM_VOXELS, "a wall one pixel thick is as deep everywhere"
    assert not remote[1].any()
    assert not propose_remote(np.zeros_like(wall), (1.0, 1.0)).mask.any()


def test_boxes_round_the_whole_wall_leave_the_wall_as_remote():
    _, labels = ring_stack()
    wall, scar = wall_mask(labels), infarct_mask(labels)
    assert not propose_remote(wall, (1.5, 1.0), wall).mask.any()
    whole = propose_remote_outside(wall, (1.5, 1.0), wall).mask
    assert np.array_equal(whole, propose_remote(wall, (1.5, 1.0)).mask)
    outside = propose_remote_outside(wall, (1.5, 1.0), scar).mask
    assert np.array_equal(outside, propose_remote(wall, (1.5, 1.0), scar).mask)


def test_two_sd_of_an_even_wall_are_the_tail_of_the_normal_distribution():
    """Noise alone: 1 - Phi(2) = 2.3 % of a healthy wall, not the 40 % of a selected sector."""
    _, labels = ring_stack()
    wall = np.repeat(wall_mask(labels)[:1], 40, axis=0)
    pixels = np.random.default_rng(5).normal(50, 7, wall.shape).astype(np.float32)
    remote = propose_remote(wall, (1.5, 1.0))
    above = 0
    for k, signal in enumerate(remote.signals(pixels)):
        assert signal is not None
        above += np.count_nonzero(pixels[k][wall[k]] > signal.mean + 2 * signal.sd)
    assert above / wall.sum() == pytest.approx(0.0228, abs=0.006)


def test_unknown_scar_moves_the_proposed_signal_little():
    """A sixth of the wall is scar of 100 in muscle of 20 +/- 2 with a gradient of +/- 3."""
    pixels, labels = ring_stack()
    wall, scar = wall_mask(labels), infarct_mask(labels)
    known, unknown = propose_remote(wall, (1.5, 1.0), scar), propose_remote(wall, (1.5, 1.0))
    one, other = known.stack_signal(pixels), unknown.stack_signal(pixels)
    assert one is not None and other is not None
    assert abs(other.mean - one.mean) < 0.5 * one.sd
    assert other.sd < 1.5 * one.sd
    assert not remove_islands(wall & ~scar & (pixels > other.mean + 5 * other.sd), (1, 1), 3).any()


def drawn_case(stack, k=1):
    case = Case.new(stack)
    case.labels[:] = phantom_labels()
    rows, columns = np.nonzero(case.labels[k] == Label.MYOCARDIUM)
    region = np.zeros(case.labels[k].shape, dtype=np.uint8)
    region[rows[:40], columns[:40]] = 1
    region[0, 0] = 1  # no wall there
    case.remote_regions = {k: Patch.of(region)}
    return case, (region > 0) & (case.labels[k] == Label.MYOCARDIUM)


def test_a_drawn_region_follows_the_labels(phantom_stack):
    case, region = drawn_case(phantom_stack)
    assert np.array_equal(drawn_mask(case)[1], region) and region.sum() == 40
    rows, columns = np.nonzero(region)
    case.labels[1, rows[:10], columns[:10]] = Label.SCAR
    case.labels[1, rows[10:15], columns[10:15]] = Label.BACKGROUND
    assert drawn_mask(case)[1].sum() == 25 and drawn_mask(case).sum() == 25
    case.labels[1, rows[15:33], columns[15:33]] = Label.MVO
    assert not drawn_mask(case).any(), "7 voxels are too few"
    wall, scar = wall_mask(case.labels), infarct_mask(case.labels)
    assert case_remote(case, wall, scar).drawn_slices == set()


def test_the_methods_of_a_case_use_its_drawn_region(phantom_stack):
    case, region = drawn_case(phantom_stack)
    values = phantom_stack.pixels[1][region].astype(float)
    found = compare_case_methods(case, ["sd5"])
    expected = values.mean() + 5 * values.std(ddof=1)
    assert found.result("sd5").thresholds[1] == pytest.approx(expected)
    assert found.remote_region.origin == "drawn (mean and SD)"
    case.remote_regions = {}
    assert compare_case_methods(case, ["sd5"]).remote_region.drawn_slices == set()
