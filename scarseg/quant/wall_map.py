"""Map the scar of a case onto segments: levels, angles, masses and transmurality in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scarseg.case.case import Case
from scarseg.case.labels import LabelArray
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.quant.insertion_point import InsertionSource, propose_insertion
from scarseg.quant.segments import (
    Level,
    SegmentArray,
    SegmentMeasurements,
    insertion_angles,
    measure_segments,
    propose_levels,
    segment_map,
)
from scarseg.quant.transmurality import Transmurality, measure_transmurality


@dataclass(frozen=True, eq=False)
class WallMap:
    """Scar by segment.

    ``points`` is the anterior insertion that was used; ``source`` is None where a reader set
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
        """Return scar in percent of each segment's wall, for a bull's eye."""
        return {one.segment.number: one.area_percent for one in self.transmurality}

    @property
    def ray_percents(self) -> dict[int, float | None]:
        """Return the mean transmurality of the rays with scar, for a bull's eye."""
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
        stack: pixels, lengths and orientation.
        points: the anterior RV insertion, on one slice or several; proposed when empty.
        density_g_per_ml: density of myocardium.
        levels: one per slice, where a reader chose base and apex; proposed otherwise.

    Returns:
        None where no point is passed and none can be proposed: no slice has a closed ring.

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
    """Return the reader's insertion point for :func:`map_wall`; empty where it is to be proposed.

    The point stays with the case after its slice has lost its wall: it then has no direction and
    is not used.
    """
    if case.insertion is None:
        return ()
    try:
        insertion_angles(case.labels, case.stack, (case.insertion,))
    except InputError:
        return ()
    return (case.insertion,)
