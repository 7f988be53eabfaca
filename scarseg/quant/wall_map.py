"""Everything about where the scar lies, from labels and an insertion in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import atan2, cos, degrees, hypot, radians, sin

from scarseg.case.case import Case
from scarseg.case.labels import LabelArray
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.quant.insertion_point import InsertionSource, propose_insertion
from scarseg.quant.segments import (
    SEGMENTS,
    Level,
    Segment,
    SegmentArray,
    SegmentMeasurements,
    Territory,
    insertion_angles,
    measure_segments,
    propose_levels,
    segment_map,
)
from scarseg.quant.transmurality import Transmurality, measure_transmurality


@dataclass(frozen=True, eq=False)
class WallMap:
    """Scar by segment.

    ``points`` is the anterior insertion as it was used; ``source`` is None where a reader gave
    it. ``angles`` (degrees) and ``levels`` have one entry per slice; ``segments`` is the number
    of every voxel.
    """

    points: tuple[InsertionPoint, ...]
    source: InsertionSource | None
    angles: tuple[float, ...]
    levels: tuple[Level | None, ...]
    segments: SegmentArray
    measured: SegmentMeasurements
    transmurality: tuple[Transmurality, ...]

    @property
    def area_percents(self) -> dict[int, float | None]:
        """Give scar in percent of each segment's wall, for a bull's eye."""
        return {one.segment.number: one.area_percent for one in self.transmurality}

    @property
    def ray_percents(self) -> dict[int, float | None]:
        """Give the mean transmurality of the rays with scar, for a bull's eye."""
        return {one.segment.number: one.ray_mean_percent for one in self.transmurality}


def map_wall(
    labels: LabelArray,
    stack: Stack,
    points: Sequence[InsertionPoint] = (),
    density_g_per_ml: float = DENSITY_G_PER_ML,
    levels: Sequence[Level | None] | None = None,
) -> WallMap | None:
    """Divide the wall of a stack in segments and measure each.

    Args:
        labels: uint8 (slice, row, column).
        stack: gives pixels, lengths and orientation.
        points: the anterior RV insertion, on one slice or several; proposed when empty.
        density_g_per_ml: density of myocardium.
        levels: one per slice, where a reader chose base and apex; proposed otherwise.

    Returns:
        None where no point is given and none can be proposed: no slice has a closed ring.

    Raises:
        InputError: E_INSERTION, a point without a direction.
    """
    source = None
    if not points:
        proposal = propose_insertion(stack, labels)
        if proposal is None:
            return None
        points, source = (proposal.point,), proposal.source
    used = propose_levels(labels, stack) if levels is None else tuple(levels)
    angles = insertion_angles(labels, stack, points)
    segments = segment_map(labels, stack, angles, used)
    return WallMap(
        tuple(points),
        source,
        angles,
        used,
        segments,
        measure_segments(labels, stack, segments, density_g_per_ml),
        measure_transmurality(labels, stack, segments, angles, used),
    )


def reader_insertion(case: Case) -> tuple[InsertionPoint, ...]:
    """Give the reader's insertion point for :func:`map_wall`; none where it is to be proposed.

    It stays with the case although its slice has lost its wall: it then has no direction.
    """
    if case.insertion is None:
        return ()
    try:
        insertion_angles(case.labels, case.stack, (case.insertion,))
    except InputError:
        return ()
    return (case.insertion,)


PlanePoint = tuple[float, float]

RADII = {
    Level.BASAL: (0.76, 1.0),
    Level.MID: (0.52, 0.76),
    Level.APICAL: (0.26, 0.52),
    Level.APEX: (0.0, 0.26),
}
"""Inner and outer radius of each level's ring."""
WALL_NAMES = (("anterior", 90.0), ("septal", 180.0), ("inferior", 270.0), ("lateral", 0.0))
"""What lies beyond the rim, and at which degree."""


def sector_degrees(segment: Segment) -> tuple[float, float]:
    """Give where a segment begins and ends, in degrees."""
    if segment.level is Level.APEX:
        return 0.0, 360.0
    if segment.level is Level.APICAL:
        start = 45.0 + 90.0 * (segment.number - 13)
        return start, start + 90.0
    start = 60.0 + 60.0 * ((segment.number - 1) % 6)
    return start, start + 60.0


def segment_centre(segment: Segment) -> PlanePoint:
    """Give the middle of a segment, where its figure stands."""
    if segment.level is Level.APEX:
        return 0.0, 0.0
    start, end = sector_degrees(segment)
    return polar_point(sum(RADII[segment.level]) / 2, (start + end) / 2)


def segment_at_point(x: float, y: float) -> int | None:
    """Give the number of the segment at a place; None beyond the rim."""
    radius = hypot(x, y)
    for level, (inner, outer) in RADII.items():
        if inner <= radius < outer:
            return _at(level, degrees(atan2(y, x))).number
    return None


@cache
def territory_borders() -> tuple[tuple[PlanePoint, ...], ...]:
    """Give the lines between the territories of the coronary arteries, each as places."""
    lines: list[tuple[PlanePoint, ...]] = []
    for level, (inner, outer) in RADII.items():
        ring = [one for one in SEGMENTS if one.level is level]
        for one, following in zip(ring, [*ring[1:], ring[0]], strict=True):
            if one.territory is not following.territory:
                end = sector_degrees(one)[1]
                lines.append((polar_point(inner, end), polar_point(outer, end)))
    # Where rings of four and of six meet, a border may run along the ring too.
    for level, below in ((Level.APICAL, Level.MID), (Level.APEX, Level.APICAL)):
        radius = RADII[level][1]
        parted = [_territory(level, d) is not _territory(below, d) for d in range(360)]
        for start in (d for d in range(360) if parted[d] and not parted[d - 1]):
            end = start
            while parted[end % 360] and end < start + 360:
                end += 1
            lines.append(tuple(polar_point(radius, d) for d in range(start, end + 1)))
    return tuple(lines)


def polar_point(radius: float, at_degrees: float) -> PlanePoint:
    """Turn a radius and degrees into (x, y)."""
    return radius * cos(radians(at_degrees)), radius * sin(radians(at_degrees))


def whole_percent(percent: float) -> str:
    """Round to whole percents, but never scar to 0 nor healthy wall to 100."""
    if 0 < percent < 1:
        return "<1"
    if 99 < percent < 100:
        return ">99"
    return f"{percent:.0f}"


def _territory(level: Level, degree: int) -> Territory:
    return _at(level, degree + 0.5).territory


def _at(level: Level, degree: float) -> Segment:
    for one in SEGMENTS:
        start, end = sector_degrees(one)
        if one.level is level and (degree - start) % 360 < end - start:
            return one
    raise ValueError(f"no segment at {degree}")
