"""Scar in the 17 segments of the American Heart Association (AHA).

Cerqueira et al. 2002 (doi:10.1161/hc0402.102975): slices whose wall closes are divided in thirds
along the long axis; basal and mid thirds in six sectors of 60 degrees, the apical third in four
of 90. Numbers run counter-clockwise as seen from the apex; the anterior insertion of the right
ventricle separates segment 1 from 2, and 7 from 8. The apical sectors are centred on the same
anterior wall. Segment 17 is wall without a cavity beyond the last ring; short-axis stacks seldom
show it. Every voxel is in one segment or outside all of them, so that sums are those of the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.quant import wall_geometry
from scarseg.quant.long_axis import long_axis
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm

SegmentArray = npt.NDArray[np.uint8]
"""0 outside, else the number of the segment."""


class Level(StrEnum):
    """Position of a slice along the long axis."""

    BASAL = "basal"
    MID = "mid"
    APICAL = "apical"
    APEX = "apex"


class Territory(StrEnum):
    """The coronary artery that most often feeds a segment."""

    LAD = "LAD"
    RCA = "RCA"
    LCX = "LCX"


@dataclass(frozen=True)
class Segment:
    """One of the 17: ``name`` as the AHA has it."""

    number: int
    name: str
    level: Level
    territory: Territory


_SIX = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_FOUR = ("anterior", "septal", "inferior", "lateral")
_FED_BY = {
    Territory.LAD: (1, 2, 7, 8, 13, 14, 17),
    Territory.RCA: (3, 4, 9, 10, 15),
    Territory.LCX: (5, 6, 11, 12, 16),
}
_NAMED = (
    *((Level.BASAL, name) for name in _SIX),
    *((Level.MID, name) for name in _SIX),
    *((Level.APICAL, name) for name in _FOUR),
    (Level.APEX, ""),
)
SEGMENTS = tuple(
    Segment(
        number,
        f"{level} {name}".strip(),
        level,
        next(artery for artery, fed in _FED_BY.items() if number in fed),
    )
    for number, (level, name) in enumerate(_NAMED, start=1)
)
"""All 17 in order."""

# From the anterior insertion on: which segment each sector of 60 degrees is at the base.
_FROM_INSERTION = np.array([2, 3, 4, 5, 6, 1], dtype=np.uint8)
_SECTOR_6, _SECTOR_4 = 60.0, 90.0
_APICAL_START = 75.0
"""The anterior quarter begins this far before the insertion: 30 to the middle of segment 1 + 45."""


@dataclass(frozen=True)
class TissueAmount:
    """Wall, infarct (scar and MVO) and MVO in voxels and, by both conventions, in grams."""

    n_wall_voxels: int
    n_infarct_voxels: int
    n_mvo_voxels: int
    lv_mass_thickness_g: float
    lv_mass_spacing_g: float
    scar_mass_thickness_g: float
    scar_mass_spacing_g: float
    mvo_mass_thickness_g: float
    mvo_mass_spacing_g: float

    def scar_mass_g(self, convention: MassConvention = MassConvention.THICKNESS) -> float:
        thick = convention is MassConvention.THICKNESS
        return self.scar_mass_thickness_g if thick else self.scar_mass_spacing_g

    def lv_mass_g(self, convention: MassConvention = MassConvention.THICKNESS) -> float:
        thick = convention is MassConvention.THICKNESS
        return self.lv_mass_thickness_g if thick else self.lv_mass_spacing_g

    def scar_percent(self, convention: MassConvention = MassConvention.THICKNESS) -> float | None:
        """Compute scar in percent of this wall's mass; None where there is no wall."""
        if self.n_wall_voxels == 0:
            return None
        return 100 * self.scar_mass_g(convention) / self.lv_mass_g(convention)


@dataclass(frozen=True)
class SegmentMeasurements:
    """Scar by segment and territory.

    ``segments`` has 16 or 17 entries in order; ``outside`` is wall on slices that belong to no
    level (an open ring at the base); ``total`` is all the wall.
    """

    segments: tuple[tuple[Segment, TissueAmount], ...]
    territories: tuple[tuple[Territory, TissueAmount], ...]
    outside: TissueAmount
    total: TissueAmount

    def amount(self, number: int) -> TissueAmount:
        """Return the amount of segment ``number``, from 1."""
        return self.segments[number - 1][1]


def propose_levels(labels: LabelArray, stack: Stack) -> tuple[Level | None, ...]:
    """Propose the level of every slice: from the first closed ring to the last, in thirds.

    A slice is as deep as the distance to its neighbours and belongs to the third that holds its
    centre: eight even slices are 3, 2 and 3; four are 1, 2 and 1; one is mid. A slice between
    two closed rings counts although its own is open. Wall without a cavity below the last ring
    is the apex; all other slices have no level.

    Args:
        labels: uint8 (slice, row, column).
    """
    levels: list[Level | None] = [None] * stack.n_slices
    axis = long_axis(labels, stack)
    if axis is None:
        return tuple(levels)
    names = (Level.BASAL, Level.MID, Level.APICAL)
    for k in range(axis.first, axis.last + 1):
        if wall_mask(labels[k]).any():
            share = axis.share(stack.slice_positions_mm[k])
            levels[k] = names[int(np.floor(np.round(3 * share, 9)))]
    for k in range(axis.last + 1, stack.n_slices):
        if wall_geometry.is_apical_cap(labels[k]):
            levels[k] = Level.APEX
    return tuple(levels)


def insertion_angles(
    labels: LabelArray, stack: Stack, points: Sequence[InsertionPoint]
) -> tuple[float, ...]:
    """Return the angle of the anterior insertion on every slice, in degrees.

    One point serves all slices, by its direction from the ring's middle; between several, the
    angle turns evenly along the axis, and beyond them it stays.

    Raises:
        InputError: E_INSERTION, no point, two on a slice, one off the stack, on a slice without
            wall, or at its very middle.
    """
    if not points:
        raise InputError("E_INSERTION", "No insertion of the right ventricle was given.")
    placed = sorted(points, key=lambda one: one.slice_index)
    known = [one.slice_index for one in placed]
    if len(set(known)) < len(known):
        raise InputError("E_INSERTION", "A slice has two anterior insertion points.")
    given = [_angle(labels, stack, one) for one in placed]
    z = np.asarray(stack.slice_positions_mm)
    angles = np.interp(z, z[known], np.unwrap(given, period=wall_geometry.FULL_TURN))
    return tuple(float(v) for v in wall_geometry.normalize_degrees(angles))


def _angle(labels: LabelArray, stack: Stack, point: InsertionPoint) -> float:
    k = point.slice_index
    if not 0 <= k < stack.n_slices:
        raise InputError("E_INSERTION", f"An insertion point is on slice {k + 1}: there is none.")
    centre = wall_geometry.ring_centre(labels[k])
    if centre is None:
        raise InputError("E_INSERTION", f"Slice {k + 1} has an insertion point but no wall.")
    if not np.isfinite((point.column, point.row)).all() or centre == (point.column, point.row):
        raise InputError(
            "E_INSERTION", f"The insertion point of slice {k + 1} has no direction from the middle."
        )
    return wall_geometry.angle_of(stack, centre, point.column, point.row)


def segment_map(
    labels: LabelArray,
    stack: Stack,
    angles: Sequence[float],
    levels: Sequence[Level | None] | None = None,
) -> SegmentArray:
    """Return the segment of every voxel of the wall, 0 elsewhere; (slice, row, column).

    Args:
        labels: uint8 (slice, row, column).
        stack: orientation and spacing.
        angles: of the anterior insertion, one per slice, from :func:`insertion_angles`.
        levels: one per slice; proposed from the labels when not given.
    """
    if labels.shape != stack.pixels.shape or len(angles) != stack.n_slices:
        raise ValueError("labels and angles must fit the stack")
    levels = propose_levels(labels, stack) if levels is None else levels
    numbers = np.zeros(labels.shape, dtype=np.uint8)
    for k, level in enumerate(levels):
        wall, centre = wall_mask(labels[k]), wall_geometry.ring_centre(labels[k])
        if level is None or centre is None:
            continue
        numbers[k][wall] = segment_at(
            wall_geometry.pixel_angles(stack, centre, wall), angles[k], level
        )
    return numbers


def segment_at(angles: wall_geometry.Angles, insertion: float, level: Level) -> SegmentArray:
    """Return the segment at each angle; a sector holds its border towards the insertion.

    Args:
        angles: any shape, degrees.
        insertion: angle of the anterior insertion.
        level: of the slice.
    """
    if level is Level.APEX:
        return np.full(np.shape(angles), 17, dtype=np.uint8)
    if level is Level.APICAL:
        quarter = wall_geometry.normalize_degrees(angles - insertion + _APICAL_START) // _SECTOR_4
        return np.asarray(quarter + 13, dtype=np.uint8)
    sixth = _FROM_INSERTION[
        (wall_geometry.normalize_degrees(angles - insertion) // _SECTOR_6).astype(np.intp)
    ]
    return np.asarray(sixth + (6 if level is Level.MID else 0), dtype=np.uint8)


def measure_segments(
    labels: LabelArray,
    stack: Stack,
    segments: SegmentArray,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> SegmentMeasurements:
    """Compute wall, infarct and MVO of every segment and territory.

    Voxels add up exactly, grams to the rounding of the last digit: those of all segments and
    of what lies outside are the stack's own (:func:`scarseg.quant.mass.measure`). The list ends
    with segment 16 unless some wall is in 17.

    Args:
        labels: uint8 (slice, row, column).
        stack: lengths, in mm.
        segments: from :func:`segment_map`.
        density_g_per_ml: density of myocardium.
    """
    if labels.shape != stack.pixels.shape or segments.shape != labels.shape:
        raise ValueError("labels and segments must fit the stack")
    scale = _SegmentScale(labels, stack, segments, density_g_per_ml)
    shown = SEGMENTS if (segments == 17).any() else SEGMENTS[:16]
    return SegmentMeasurements(
        tuple((one, scale.amount((one.number,))) for one in shown),
        tuple((artery, scale.amount(fed)) for artery, fed in _FED_BY.items()),
        scale.amount((0,)),
        scale.amount(range(len(SEGMENTS) + 1)),
    )


class _SegmentScale:
    """Masses of any set of segments: voxels are counted once per slice and segment."""

    def __init__(
        self, labels: LabelArray, stack: Stack, segments: SegmentArray, density: float
    ) -> None:
        masks = (wall_mask(labels), infarct_mask(labels), labels == Label.MVO)
        self.counts = [count_voxels(mask, segments) for mask in masks]
        self.depths = [slice_depths_mm(stack, convention) for convention in MassConvention]
        self.area_mm2 = stack.pixel_spacing_mm[0] * stack.pixel_spacing_mm[1]
        self.density = density

    def amount(self, numbers: Iterable[int]) -> TissueAmount:
        columns = list(numbers)
        by_slice = [one[:, columns].sum(axis=1).tolist() for one in self.counts]
        grams = [self._grams(one, depths) for one in by_slice for depths in self.depths]
        return TissueAmount(*(sum(one) for one in by_slice), *grams)

    def _grams(self, counts: Sequence[int], depths: Sequence[float]) -> float:
        return fsum(
            self.density / MM3_PER_ML * (n * self.area_mm2 * depth)
            for n, depth in zip(counts, depths, strict=True)
        )


def count_voxels(mask: MaskArray, segments: SegmentArray) -> npt.NDArray[np.int64]:
    """Count the voxels of a mask by (slice, segment number)."""
    counted = [
        np.bincount(numbers[one], minlength=len(SEGMENTS) + 1)
        for one, numbers in zip(mask, segments, strict=True)
    ]
    return np.stack(counted).astype(np.int64)
