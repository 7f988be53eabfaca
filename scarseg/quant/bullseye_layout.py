"""Arrange the 17 segments on a bull's-eye plot: rings, sectors and borders on the unit disc."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from math import atan2, cos, degrees, hypot, radians, sin

from scarseg.quant.segments import SEGMENTS, Level, Segment, Territory

PlanePoint = tuple[float, float]

RADII = {
    Level.BASAL: (0.76, 1.0),
    Level.MID: (0.52, 0.76),
    Level.APICAL: (0.26, 0.52),
    Level.APEX: (0.0, 0.26),
}
"""Inner and outer radius of each level's ring."""

WALL_NAMES = (("anterior", 90.0), ("septal", 180.0), ("inferior", 270.0), ("lateral", 0.0))
"""Names of the walls round the rim, with their angles in degrees."""


class ChangeClass(StrEnum):
    """What the change of a segment's scar between two studies says."""

    LESS = "less scar"
    WITHIN = "within repeatability"
    MORE = "more scar"
    UNKNOWN = "no interval"


def change_class(change_g: float, beyond: bool | None) -> ChangeClass:
    """Return the class of a change; ``beyond``: whether it exceeds repeatability, if known."""
    if beyond is None:
        return ChangeClass.UNKNOWN
    if not beyond:
        return ChangeClass.WITHIN
    return ChangeClass.MORE if change_g > 0 else ChangeClass.LESS


def signed_grams(grams: float) -> str:
    """Return a change in grams with one decimal and its sign; what rounds to 0.0 has none."""
    text = f"{grams:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if text[1:] == "0.0" else text


def sector_degrees(segment: Segment) -> tuple[float, float]:
    """Return the first and last angle of a segment in degrees."""
    if segment.level is Level.APEX:
        return 0.0, 360.0
    if segment.level is Level.APICAL:
        start = 45.0 + 90.0 * (segment.number - 13)
        return start, start + 90.0
    start = 60.0 + 60.0 * ((segment.number - 1) % 6)
    return start, start + 60.0


def segment_centre(segment: Segment) -> PlanePoint:
    """Return the centre of a segment, where its number is written."""
    if segment.level is Level.APEX:
        return 0.0, 0.0
    start, end = sector_degrees(segment)
    return polar_point(sum(RADII[segment.level]) / 2, (start + end) / 2)


def segment_at_point(x: float, y: float) -> int | None:
    """Return the number of the segment at a point of the disc; None beyond the rim."""
    radius = hypot(x, y)
    for level, (inner, outer) in RADII.items():
        if inner <= radius < outer:
            return _at(level, degrees(atan2(y, x))).number
    return None


@cache
def territory_borders() -> tuple[tuple[PlanePoint, ...], ...]:
    """Return the borders between the coronary territories, each as a line of points."""
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
    """Convert a radius and degrees to (x, y)."""
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
