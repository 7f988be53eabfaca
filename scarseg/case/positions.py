"""Judge slice positions along the normal: repeats, typical gap, regularity, depth of a slice.

All positions are in mm along the slice normal. Two images nearer than a fraction of the usual gap
show the same tissue twice: they are repeats of one slice, never two slices.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SAME_POSITION_MM = 0.05
"""Positions this near are one, whatever the gaps."""
OVERLAP = 0.99
"""Slices overlap where the typical gap is below this share of their thickness."""
HOLE = 1.5
"""A gap of this many typical gaps or more is a hole: a slice is missing."""
_REPEAT_SHARE = 0.25
_UNUSUAL = 1.1
_CLUSTERED_SHARE = 0.75
_RESIDUAL_MM = 0.1
_RESIDUAL_SHARE = 0.01
_LONE_PAIR = 3.0
_SAME_LENGTH = 1e-6

FloatVector = npt.NDArray[np.float64]


def typical_gap_mm(positions: Sequence[float] | FloatVector) -> float | None:
    """Return the median distance between neighbours, None for a single position.

    Where the two middle gaps differ (10 and 150 mm) it is the smaller one: a hole is not typical.
    """
    gaps = np.diff(np.sort(np.asarray(positions, dtype=np.float64)))
    if gaps.size == 0:
        return None
    lower = float(np.percentile(gaps, 50, method="lower"))
    median = float(np.median(gaps))
    return median if median <= _UNUSUAL * lower else lower


def repeat_limit_mm(
    positions: Sequence[float] | FloatVector, thickness_mm: float | None = None
) -> float:
    """Return the distance up to which neighbours are one position acquired again.

    A quarter of the upper quartile of the gaps. With four and more averages most gaps are those
    between repeats and the quartile fails: then the positions form narrow clusters, and the limit
    is a quarter of the gap between clusters. Where slices do not overlap as a rule, one nearer
    than half the typical gap to another, and overlapping it, is a repeat as well.

    Args:
        positions: of all images of one group, in any order.
        thickness_mm: SliceThickness, None where it is not known.
    """
    z = np.sort(np.asarray(positions, dtype=np.float64))
    if z.size < 2:
        return SAME_POSITION_MM
    extent = float(z[-1] - z[0])
    if thickness_mm is not None and extent < _REPEAT_SHARE * thickness_mm:
        return extent + SAME_POSITION_MM
    gaps = np.diff(z)
    gaps = gaps[gaps > SAME_POSITION_MM]
    if gaps.size == 0:
        return SAME_POSITION_MM
    limit = max(SAME_POSITION_MM, _REPEAT_SHARE * float(np.percentile(gaps, 75)))
    limit = max(limit, _cluster_limit_mm(z, gaps))
    typical = typical_gap_mm(_first_of_each(z, limit))
    if thickness_mm is not None and typical is not None and typical >= OVERLAP * thickness_mm:
        limit = max(limit, min(0.5 * typical, OVERLAP * thickness_mm))
    return limit


def _cluster_limit_mm(z: FloatVector, gaps: FloatVector) -> float:
    """Return a quarter of the gap between clusters of repeats, 0 where there are no clusters."""
    ordered = np.sort(gaps)
    best = 0.0
    for within, between in itertools.pairwise(ordered):
        if between * _REPEAT_SHARE < within:
            continue
        clusters = np.split(z, np.flatnonzero(np.diff(z) > within) + 1)
        widest = max(float(cluster[-1] - cluster[0]) for cluster in clusters)
        repeated = sum(len(cluster) > 1 for cluster in clusters) / len(clusters)
        if (
            len(clusters) >= 3
            and widest <= _REPEAT_SHARE * between
            and repeated >= _CLUSTERED_SHARE
        ):
            best = max(best, _REPEAT_SHARE * float(between))
    return best


def _first_of_each(z: FloatVector, limit: float) -> FloatVector:
    first: FloatVector = z[np.concatenate([[True], np.diff(z) > limit])]
    return first


def is_regular(positions: Sequence[float] | FloatVector, rounding_mm: float = 0.0) -> bool:
    """Return whether positions lie on a line of equal steps, without a hole.

    Args:
        positions: without repeats, increasing.
        rounding_mm: how far the rounding of the header's numbers can move a position.
    """
    z = np.asarray(positions, dtype=np.float64)
    if z.size < 3:
        return True
    k = np.arange(z.size) - (z.size - 1) / 2
    pitch = float(k @ z / (k @ k))
    residual = float(np.abs(z - z.mean() - pitch * k).max())
    allowed = max(_RESIDUAL_MM, _RESIDUAL_SHARE * pitch, rounding_mm)
    typical = typical_gap_mm(z)
    assert typical is not None
    return residual <= allowed and float(np.diff(z).max()) < HOLE * typical


def spacing_depths_mm(
    positions: Sequence[float] | FloatVector, thickness_mm: float
) -> tuple[float, ...]:
    """Return the depth of each of two or more slices from the distances to its neighbours.

    Half of both distances; at an end the one distance, its outer half never more than half the
    typical distance. A hole counts as the typical distance, so that missing slices never add
    tissue. Two slices alone that lie far apart have no typical distance and are as deep as they
    are thick.
    """
    z = [float(value) for value in positions]
    typical = typical_gap_mm(z)
    assert typical is not None
    if len(z) == 2 and typical > _LONE_PAIR * thickness_mm:
        return (thickness_mm, thickness_mm)
    gaps = [after - before for before, after in pairwise(z)]
    if max(gaps) < HOLE * typical:
        inside = [(z[k + 1] - z[k - 1]) / 2 for k in range(1, len(z) - 1)]
    else:
        gaps = [gap if gap < HOLE * typical else typical for gap in gaps]
        inside = [(a + b) / 2 for a, b in pairwise(gaps)]
    return (_end_depth(gaps[0], typical), *inside, _end_depth(gaps[-1], typical))


def _end_depth(gap: float, typical: float) -> float:
    return gap if gap <= typical * (1 + _SAME_LENGTH) else (gap + typical) / 2
