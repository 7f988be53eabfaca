"""Core and grey zone by hand, by each scheme."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.stack import LgeSequence
from scarseg.quant.grey_zone import GreyZoneScheme, grey_zone
from scarseg.quant.remote import RemoteRegion
from scarseg.quant.thresholds import MethodUnfit, Scope, ThresholdRules

SPACING = (2.0, 1.0)
PLAIN = ThresholdRules(island_mm2=0.0)
REMOTE = [10.0, 12, 14, 12, 10, 12, 14, 12]
"""Mean 12, sample SD 1.512, peak 14."""


def strip() -> tuple[np.ndarray, np.ndarray, RemoteRegion]:
    """Make 8 remote voxels, then 15, 16, 17, 34, 36, 50, 51 and 100."""
    pixels = np.array([[[*REMOTE, 15, 16, 17, 34, 36, 50, 51, 100]]], dtype=np.float32)
    remote = np.zeros(pixels.shape, dtype=bool)
    remote[..., :8] = True
    return pixels, np.ones(pixels.shape, dtype=bool), RemoteRegion.drawn(remote)


@pytest.mark.parametrize(
    ("scheme", "thresholds", "grey", "core"),
    [
        (GreyZoneScheme.SCHMIDT, (14.0, 50.0), [15, 16, 17, 34, 36, 50], [51, 100]),
        (GreyZoneScheme.ROES, (35.0, 50.0), [36, 50], [51, 100]),
        (GreyZoneScheme.YAN, (15.024, 16.536), [16], [17, 34, 36, 50, 51, 100]),
    ],
)
def test_zones_by_hand(
    scheme: GreyZoneScheme, thresholds: tuple[float, float], grey: list[int], core: list[int]
) -> None:
    pixels, wall, remote = strip()
    found = grey_zone(scheme, pixels, wall, SPACING, remote=remote, rules=PLAIN)
    assert found.grey_thresholds == (pytest.approx(thresholds[0], abs=1e-3),)
    assert found.core_thresholds == (pytest.approx(thresholds[1], abs=1e-3),)
    assert pixels[found.grey].tolist() == grey
    assert pixels[found.core].tolist() == core
    assert found.reason is None


def test_shares_of_the_maximum_need_magnitude() -> None:
    pixels, wall, remote = strip()
    for scheme in GreyZoneScheme:
        found = grey_zone(
            scheme, pixels, wall, SPACING, remote=remote, sequence=LgeSequence.PSIR, rules=PLAIN
        )
        expected = None if scheme is GreyZoneScheme.YAN else MethodUnfit.PSIR
        assert found.reason is expected
        assert (found.core | found.grey).any() == (expected is None)


def test_schemes_that_need_remote_say_so() -> None:
    pixels, wall, remote = strip()
    for scheme in (GreyZoneScheme.YAN, GreyZoneScheme.SCHMIDT):
        assert grey_zone(scheme, pixels, wall, SPACING).reason is MethodUnfit.NO_REMOTE
    few = RemoteRegion.drawn(remote.mask & (np.arange(16) < 7))
    found = grey_zone(GreyZoneScheme.SCHMIDT, pixels, wall, SPACING, remote=few)
    assert found.reason is MethodUnfit.NO_REMOTE
    assert grey_zone(GreyZoneScheme.ROES, pixels, wall, SPACING, rules=PLAIN).core.sum() == 2
    assert grey_zone(GreyZoneScheme.ROES, pixels, ~wall, SPACING).reason is MethodUnfit.NO_WALL


def test_no_grey_zone_where_remote_reaches_the_core() -> None:
    pixels, wall, remote = strip()
    pixels[0, 0, 0] = 60
    found = grey_zone(GreyZoneScheme.SCHMIDT, pixels, wall, SPACING, remote=remote, rules=PLAIN)
    assert not found.grey.any()
    assert sorted(pixels[found.core].tolist()) == [51, 60, 100]


def test_islands_are_judged_with_their_rim() -> None:
    """A core of two voxels with a rim of four is 12 mm2 and stays; two bare voxels go."""
    row = [*REMOTE, 40, 40, 90, 100, 40, 40, 10, 100, 100]
    pixels = np.array([[row]], dtype=np.float32)
    wall = np.ones(pixels.shape, dtype=bool)
    found = grey_zone(GreyZoneScheme.ROES, pixels, wall, SPACING)
    assert np.flatnonzero(found.core).tolist() == [10, 11]
    assert np.flatnonzero(found.grey).tolist() == [8, 9, 12, 13]


def test_one_maximum_for_the_stack() -> None:
    pixels, wall, remote = strip()
    pixels, wall = np.concatenate((pixels, pixels / 2)), np.concatenate((wall, wall))
    remote = RemoteRegion.drawn(np.concatenate((remote.mask, remote.mask)))
    whole = ThresholdRules(scope=Scope.STACK, island_mm2=0.0)
    found = grey_zone(GreyZoneScheme.SCHMIDT, pixels, wall, SPACING, remote=remote, rules=whole)
    assert found.core_thresholds == (50, 50)
    assert found.grey_thresholds == (14, 14)
    each = grey_zone(GreyZoneScheme.SCHMIDT, pixels, wall, SPACING, remote=remote, rules=PLAIN)
    assert each.core_thresholds == (50, 25)
    assert each.grey_thresholds == (14, 7)


def test_shares_of_the_maximum_work_in_a_region_of_scar_only() -> None:
    """The maximum of the region is 51: half of it is 25.5; without a region there is a reason."""
    pixels, wall, remote = strip()
    region = wall & (pixels < 60) & (pixels > 33)
    found = grey_zone(
        GreyZoneScheme.ROES, pixels, wall, SPACING, region=region, remote=remote, rules=PLAIN
    )
    assert found.core_thresholds == (25.5,)
    assert pixels[found.core].tolist() == [34, 36, 50, 51]
    for scheme in (GreyZoneScheme.ROES, GreyZoneScheme.SCHMIDT):
        nowhere = grey_zone(scheme, pixels, wall, SPACING, region=~wall, remote=remote)
        assert nowhere.reason is MethodUnfit.NO_REGION
        assert not nowhere.core.any() and not nowhere.grey.any()


def test_a_threshold_below_remote_leaves_a_scheme_blank() -> None:
    """With an offset of 100 half of the maximum, 100, is below remote muscle at 112."""
    pixels, wall, remote = strip()
    for scheme in (GreyZoneScheme.ROES, GreyZoneScheme.SCHMIDT):
        found = grey_zone(scheme, pixels + 100, wall, SPACING, remote=remote, rules=PLAIN)
        assert found.reason is MethodUnfit.BELOW_REMOTE
        assert not found.core.any() and not found.grey.any()
    yan = grey_zone(GreyZoneScheme.YAN, pixels + 100, wall, SPACING, remote=remote, rules=PLAIN)
    assert yan.reason is None
