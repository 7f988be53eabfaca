"""Change of scar mass between two studies of a patient, against the program's own repeatability.

Each mass has an interval of its own errors (:mod:`scarseg.segmentation.interval`). The interval of
the difference follows from both by the method of variance estimates recovery (Zou and Donner 2008,
doi:10.1002/sim.3095), which keeps their asymmetry. The smallest change that is beyond
repeatability is 1.96 times the standard deviation of a difference of two masses (Bland and Altman
1986): were the intervals exact, 95 % of the differences of an unchanged heart would lie below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot, sqrt
from statistics import NormalDist

from scarseg.case.patient import Patient
from scarseg.segmentation.uncertainty import RULE

CONFIDENCE = 0.95
"""Share of pairs without change that the smallest change lies above."""
REGION_FACTOR = 0.5
"""Standard deviation of a region's errors, as a part of what its share of the variance of the whole
would be: errors at the ends of scars, which are common to neighbours, are left to the whole. From
``benchmarks/follow_up.py --seed 11``, which found 0.44; figures are reported of other seeds."""


@dataclass(frozen=True)
class MassWithInterval:
    """A scar mass in g and the ends of its interval; None where it has none."""

    mass_g: float
    low_g: float | None = None
    high_g: float | None = None

    @property
    def sd_g(self) -> float | None:
        """Standard deviation of a normal distribution with an interval of this width."""
        if self.low_g is None or self.high_g is None:
            return None
        return (self.high_g - self.low_g) / (2 * NormalDist().inv_cdf(0.5 + RULE.nominal / 2))


@dataclass(frozen=True)
class MassChange:
    """Later minus earlier, in g; what needs the intervals is None without them.

    ``beyond`` is whether the change exceeds the smallest change beyond repeatability.
    """

    change_g: float
    low_g: float | None = None
    high_g: float | None = None
    smallest_change_g: float | None = None

    @property
    def beyond(self) -> bool | None:
        if self.smallest_change_g is None:
            return None
        return abs(self.change_g) > self.smallest_change_g


@dataclass(frozen=True)
class SegmentMass:
    """Scar and wall of one region of a study, in g."""

    scar_g: float
    wall_g: float


def mass_change(earlier: MassWithInterval, later: MassWithInterval) -> MassChange:
    """Return the change from one study to the next."""
    change = later.mass_g - earlier.mass_g
    spread = _difference_sd(earlier, later)
    if spread is None:
        return MassChange(change)
    assert earlier.low_g is not None and earlier.high_g is not None
    assert later.low_g is not None and later.high_g is not None
    below = hypot(later.mass_g - later.low_g, earlier.high_g - earlier.mass_g)
    above = hypot(later.high_g - later.mass_g, earlier.mass_g - earlier.low_g)
    return MassChange(change, change - below, change + above, smallest_change(spread))


def smallest_change(difference_sd_g: float) -> float:
    """Return the change beyond repeatability for a standard deviation of differences, in g."""
    return NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * difference_sd_g


def segment_changes(
    earlier: Mapping[str, SegmentMass],
    later: Mapping[str, SegmentMass],
    whole: tuple[MassWithInterval, MassWithInterval],
) -> dict[str, MassChange]:
    """Return the change of every region that both studies have.

    The errors of a region are taken for a part of those of the whole: their variance is shared
    out by scar, and by wall where a region has little, since missed scar leaves none; a part of
    it (``REGION_FACTOR``) shows in the region alone.
    """
    spread = _difference_sd(*whole)
    scar, wall = _totals(earlier, later)
    changes = {}
    for region in earlier:
        if region not in later:
            continue
        pair = (earlier[region], later[region])
        change = pair[1].scar_g - pair[0].scar_g
        if spread is None:
            changes[region] = MassChange(change)
            continue
        share = max(
            sum(one.scar_g for one in pair) / scar if scar else 0.0,
            sum(one.wall_g for one in pair) / wall if wall else 0.0,
        )
        part = REGION_FACTOR * spread * sqrt(min(1.0, share))
        half = NormalDist().inv_cdf(0.5 + RULE.nominal / 2) * part
        changes[region] = MassChange(change, change - half, change + half, smallest_change(part))
    return changes


def _totals(*studies: Mapping[str, SegmentMass]) -> tuple[float, float]:
    """Return scar and wall of all segments of the studies, in g."""
    parts = [one for study in studies for name, one in study.items() if name.isdecimal()]
    return sum(one.scar_g for one in parts), sum(one.wall_g for one in parts)


def _difference_sd(earlier: MassWithInterval, later: MassWithInterval) -> float | None:
    if earlier.sd_g is None or later.sd_g is None:
        return None
    return hypot(earlier.sd_g, later.sd_g)


@dataclass(frozen=True)
class DatedStudy:
    """One study in a folder: its patient, date and identifiers, and the place of its case.

    ``patient`` tells patients apart who share an ID by mistake.
    """

    patient_id: str
    study_date: str
    stack_id: str
    place: int
    patient: Patient = field(default=Patient())

    @property
    def owner(self) -> tuple[str, Patient]:
        """Patient that the study is of."""
        return self.patient_id, self.patient


def pair_studies(
    earlier: Sequence[DatedStudy], later: Sequence[DatedStudy]
) -> tuple[list[tuple[DatedStudy, DatedStudy]], list[str]]:
    """Pair the studies of each patient: the first of the earlier ones, the last of the later ones.

    Returns:
        The pairs in the order of the patients, and the stack ids without a partner.
    """
    pairs, alone = [], []
    for owner in sorted({one.owner for one in (*earlier, *later)}):
        before = sorted((one for one in earlier if one.owner == owner), key=_when)
        after = sorted((one for one in later if one.owner == owner), key=_when)
        if not owner[0] or not before or not after or before[0].stack_id == after[-1].stack_id:
            alone += [one.stack_id for one in (*before, *after)]
        else:
            pairs.append((before[0], after[-1]))
    return pairs, sorted(set(alone))


def _when(one: DatedStudy) -> tuple[str, str]:
    return one.study_date, one.stack_id
