"""Compute how far scar extends through the wall of each segment.

By area: scar area / wall area of the segment. By ray: from the centre of the ring a ray every
degree, the share of its way through the wall, from endocardium to epicardium, that is scar; the
mean over the rays that meet scar, and the largest. A thin subendocardial rim all along a segment
and a full-thickness scar in a quarter of it have the same area; the rays tell them apart. Both
count scar and MVO. Classes are those of viability reading: none, 1-25, 26-50, 51-75 and 76-100 %
(Kim et al. 2000, doi:10.1056/NEJM200011163432003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import LabelArray, infarct_mask, wall_mask
from scarseg.case.stack import Stack
from scarseg.quant import wall_geometry
from scarseg.quant.segments import (
    SEGMENTS,
    Level,
    Segment,
    SegmentArray,
    count_voxels,
    propose_levels,
    segment_at,
)

RAYS = 360
STEP_SHARE = 0.05
"""Rays are sampled this often per pixel (of its shorter side)."""


class TransmuralityClass(StrEnum):
    """Class of the scarred share of the wall's thickness; edges belong to the lower class.

    Written with "to": spreadsheets read 1-25 as a day in January.
    """

    NONE = "0"
    TO_25 = "1 to 25"
    TO_50 = "26 to 50"
    TO_75 = "51 to 75"
    TO_100 = "76 to 100"


@dataclass(frozen=True)
class Transmurality:
    """Transmurality of one segment in percent; None where there is no wall, or no ray with scar.

    ``area_percent`` is over all slices of the segment, ``largest_area_percent`` that of its worst
    slice. ``ray_mean_percent`` and ``ray_maximum_percent`` are over the rays that meet scar, 0
    where none does; ``extent_percent`` is the share of rays that do. Segment 17 has no rays.
    """

    segment: Segment
    area_percent: float | None
    largest_area_percent: float | None
    ray_mean_percent: float | None
    ray_maximum_percent: float | None
    extent_percent: float | None
    n_rays: int

    @property
    def area_class(self) -> TransmuralityClass | None:
        return None if self.area_percent is None else transmurality_class(self.area_percent)

    @property
    def ray_class(self) -> TransmuralityClass | None:
        return None if self.ray_mean_percent is None else transmurality_class(self.ray_mean_percent)


def transmurality_class(percent: float) -> TransmuralityClass:
    """Return the class of a share in percent; any scar at all is at least 1-25."""
    edges = (0.0, 25.0, 50.0, 75.0)
    return list(TransmuralityClass)[sum(percent > edge for edge in edges)]


def measure_transmurality(
    labels: LabelArray,
    stack: Stack,
    segments: SegmentArray,
    angles: Sequence[float],
    levels: Sequence[Level | None] | None = None,
) -> tuple[Transmurality, ...]:
    """Measure every segment, by area and by ray; 16 entries, or 17 where the map has segment 17.

    Args:
        labels: uint8 (slice, row, column).
        stack: orientation and spacing.
        segments, angles, levels: as for :func:`scarseg.quant.segments.segment_map`.
    """
    levels = propose_levels(labels, stack) if levels is None else levels
    rays = [
        _slice_rays(labels[k], stack, angles[k], level)
        for k, level in enumerate(levels)
        if level not in (None, Level.APEX) and wall_mask(labels[k]).any()
    ]
    numbers = np.concatenate([one[0] for one in rays]) if rays else np.zeros(0, np.uint8)
    shares = np.concatenate([one[1] for one in rays]) if rays else np.zeros(0)
    shown = SEGMENTS if (segments == 17).any() else SEGMENTS[:16]
    wall = count_voxels(segments > 0, segments)
    scar = count_voxels(infarct_mask(labels), segments)
    return tuple(
        _of_segment(one, wall[:, one.number], scar[:, one.number], shares[numbers == one.number])
        for one in shown
    )


def ray_shares(
    labels: LabelArray, stack: Stack, start: float = 0.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cast a ray every degree through one slice (row, column).

    Each is sampled 20 times per pixel, so that a share is good to about a hundredth; the grid of
    the labels itself moves it more.

    Args:
        labels: uint8 (row, column) with some wall.
        stack: orientation and spacing.
        start: the first ray runs half a degree after this angle.

    Returns:
        Angles in degrees, and the share (0 to 1) of each ray's way through the wall that is scar;
        NaN where it meets no wall.
    """
    centre = wall_geometry.ring_centre(labels)
    if centre is None:
        raise ValueError("a slice without wall has no rays")
    angles = wall_geometry.normalize_degrees(
        start + (np.arange(RAYS) + 0.5) * wall_geometry.FULL_TURN / RAYS
    )
    row_mm, column_mm = stack.pixel_spacing_mm
    step = STEP_SHARE * min(row_mm, column_mm)
    wall, infarct = wall_mask(labels), infarct_mask(labels)
    rows, columns = np.nonzero(wall)
    down, right = np.abs(rows + 0.5 - centre[1]), np.abs(columns + 0.5 - centre[0])
    reach = np.hypot((down + 1) * row_mm, (right + 1) * column_mm).max()
    nearest = np.hypot(np.maximum(down - 1, 0) * row_mm, np.maximum(right - 1, 0) * column_mm).min()
    distance = np.arange(step / 2, reach, step)
    distance = distance[distance >= nearest]  # the cavity has nothing to count
    turn = np.radians(wall_geometry.angle_direction(stack) * angles)[:, None]
    row = np.floor(centre[1] + np.sin(turn) * distance / row_mm).astype(np.intp)
    column = np.floor(centre[0] + np.cos(turn) * distance / column_mm).astype(np.intp)
    inside = (row >= 0) & (row < labels.shape[0]) & (column >= 0) & (column < labels.shape[1])
    place = np.where(inside, row * labels.shape[1] + column, 0)
    met = np.take(wall.astype(np.uint8) + infarct, place) * inside  # 1 wall, 2 scar
    through = np.count_nonzero(met, axis=1)
    scarred = np.count_nonzero(met == 2, axis=1)
    shares = np.full(RAYS, np.nan)
    np.divide(scarred, through, out=shares, where=through > 0)
    return angles, shares


def _slice_rays(
    labels: LabelArray, stack: Stack, insertion: float, level: Level | None
) -> tuple[SegmentArray, npt.NDArray[np.float64]]:
    """Return segment and share of every ray of a slice that meets wall."""
    if level is None:
        raise ValueError("rays need a level")
    angles, shares = ray_shares(labels, stack, insertion)
    met = ~np.isnan(shares)
    return segment_at(angles[met], insertion, level), shares[met]


def _of_segment(
    segment: Segment,
    wall: npt.NDArray[np.int64],
    scar: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
) -> Transmurality:
    """Return the transmurality of a segment from its voxels (slice,) and the shares of its rays."""
    shown = wall > 0
    scarred = shares[shares > 0]
    mean = largest = extent = None
    if len(shares):
        mean = 100 * float(scarred.mean()) if len(scarred) else 0.0
        largest = 100 * float(shares.max())
        extent = 100 * len(scarred) / len(shares)
    return Transmurality(
        segment,
        100 * int(scar.sum()) / int(wall.sum()) if shown.any() else None,
        float((100 * scar[shown] / wall[shown]).max()) if shown.any() else None,
        mean,
        largest,
        extent,
        len(shares),
    )
