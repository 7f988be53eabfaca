"""Digital phantoms whose mass is known on paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scarseg.io.uids import derived_uid
from scarseg.labels import Label, LabelArray
from scarseg.measurements import DENSITY_G_PER_ML
from scarseg.stack import SliceSource, Stack

LEVELS = np.array([0.0, 150.0, 50.0, 220.0, 40.0], dtype=np.float32)
"""Grey level of each label."""
MARGIN_MM = 6.0


@dataclass(frozen=True, eq=False)
class Phantom:
    """A solid as a stack with labels, and what it weighs on paper.

    ``labels`` uint8 (slice, row, column): a voxel belongs to the solid when its centre does.
    ``infarct_volume_ml`` and ``wall_volume_ml`` are those of the solid itself, whose height is
    the number of slices times the distance between them.
    """

    stack: Stack
    labels: LabelArray
    infarct_volume_ml: float
    wall_volume_ml: float

    def infarct_mass_g(self, density_g_per_ml: float = DENSITY_G_PER_ML) -> float:
        return self.infarct_volume_ml * density_g_per_ml

    def wall_mass_g(self, density_g_per_ml: float = DENSITY_G_PER_ML) -> float:
        return self.wall_volume_ml * density_g_per_ml


@dataclass(frozen=True)
class Grid:
    """Where voxels lie: spacing in mm, (row, column), and a sub-pixel offset.

    ``offset_pixels`` (row, column) moves the axis of the solid off the middle of the picture.
    ``slice_spacing_mm`` is the distance between slices; the thickness is the same unless given.
    """

    pixel_spacing_mm: tuple[float, float] = (1.5, 1.25)
    offset_pixels: tuple[float, float] = (0.0, 0.0)
    n_slices: int = 8
    slice_spacing_mm: float = 10.0
    slice_thickness_mm: float | None = None


def cylinder(radius_mm: float, grid: Grid | None = None) -> Phantom:
    """Make a cylinder of scar: volume pi r^2 h."""
    area = np.pi * radius_mm**2
    return _phantom("cylinder", (0.0, radius_mm), (0.0, 2 * np.pi), grid, area, area)


def ring(inner_mm: float, outer_mm: float, grid: Grid | None = None) -> Phantom:
    """Make a ring of scar round a blood pool: volume pi (R^2 - r^2) h."""
    area = np.pi * (outer_mm**2 - inner_mm**2)
    return _phantom("ring", (inner_mm, outer_mm), (0.0, 2 * np.pi), grid, area, area)


def sector(
    inner_mm: float,
    outer_mm: float,
    start_rad: float,
    width_rad: float,
    grid: Grid | None = None,
) -> Phantom:
    """Make a ring of muscle with a sector of scar: volume (w / 2) (R^2 - r^2) h.

    Angles run clockwise on the screen from the image's right.
    """
    wall = np.pi * (outer_mm**2 - inner_mm**2)
    angles = (start_rad, width_rad)
    infarct = wall * width_rad / (2 * np.pi)
    return _phantom("sector", (inner_mm, outer_mm), angles, grid, infarct, wall)


def _phantom(
    name: str,
    radii_mm: tuple[float, float],
    angles: tuple[float, float],
    grid: Grid | None,
    infarct_mm2: float,
    wall_mm2: float,
) -> Phantom:
    grid = grid or Grid()
    one = _slice_labels(radii_mm, angles, grid)
    labels = np.repeat(one[None], grid.n_slices, axis=0)
    height_ml = grid.n_slices * grid.slice_spacing_mm / 1000
    return Phantom(
        _stack(name, labels, grid),
        labels,
        float(infarct_mm2 * height_ml),
        float(wall_mm2 * height_ml),
    )


def _slice_labels(
    radii_mm: tuple[float, float], angles: tuple[float, float], grid: Grid
) -> npt.NDArray[np.uint8]:
    inner, outer = radii_mm
    spacing = np.asarray(grid.pixel_spacing_mm)
    shape = 2 * np.ceil((outer + MARGIN_MM) / spacing).astype(int)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    y = (rows + 0.5 - shape[0] / 2 - grid.offset_pixels[0]) * spacing[0]
    x = (columns + 0.5 - shape[1] / 2 - grid.offset_pixels[1]) * spacing[1]
    radius = np.hypot(x, y)
    turn = np.remainder(np.arctan2(y, x) - angles[0], 2 * np.pi)
    labels = np.zeros(radius.shape, dtype=np.uint8)
    wall = (radius >= inner) & (radius < outer)
    labels[radius < inner] = Label.BLOOD_POOL
    labels[wall] = Label.MYOCARDIUM
    labels[wall & (turn < angles[1])] = Label.SCAR
    return labels


def _stack(name: str, labels: LabelArray, grid: Grid) -> Stack:
    series = derived_uid("phantom", name, grid)
    thickness = grid.slice_thickness_mm or grid.slice_spacing_mm
    return Stack(
        pixels=LEVELS[labels],
        pixel_spacing_mm=grid.pixel_spacing_mm,
        slice_thickness_mm=thickness,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=tuple((0.0, 0.0, k * grid.slice_spacing_mm) for k in range(grid.n_slices)),
        sources=tuple(SliceSource(derived_uid(series, k)) for k in range(grid.n_slices)),
        series_uid=series,
        study_uid=derived_uid("phantom", name),
        description=f"LGE phantom {name}",
        patient_id="PHANTOM",
        study_date="20240102",
        spacing_between_slices_mm=grid.slice_spacing_mm,
    )
