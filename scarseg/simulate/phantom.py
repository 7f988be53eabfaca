"""Digital phantoms of analytically known mass, and the rendered scene of a simulated stack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.case.stack import FloatArray, SliceSource, Stack
from scarseg.io.dicom.uids import derived_uid
from scarseg.simulate.anatomy import HeartShape
from scarseg.simulate.heart import render_heart
from scarseg.simulate.signal import Geometry, TissueSignals
from scarseg.simulate.thorax import Thorax, render_thorax

LEVELS = np.array([0.0, 150.0, 50.0, 220.0, 40.0], dtype=np.float32)
"""Grey level of each label."""
MARGIN_MM = 6.0


@dataclass(frozen=True, eq=False)
class Phantom:
    """A solid as a stack with labels, and its exact volumes.

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
class PhantomGrid:
    """Voxel grid of a phantom: spacing in mm, (row, column), and a sub-pixel offset.

    ``offset_pixels`` (row, column) moves the axis of the solid off the middle of the picture.
    ``slice_spacing_mm`` is the distance between slices; the thickness is the same unless given.
    """

    pixel_spacing_mm: tuple[float, float] = (1.5, 1.25)
    offset_pixels: tuple[float, float] = (0.0, 0.0)
    n_slices: int = 8
    slice_spacing_mm: float = 10.0
    slice_thickness_mm: float | None = None


def cylinder(radius_mm: float, grid: PhantomGrid | None = None) -> Phantom:
    """Return a cylinder of scar: volume pi r^2 h."""
    area = np.pi * radius_mm**2
    return _phantom("cylinder", (0.0, radius_mm), (0.0, 2 * np.pi), grid, area, area)


def ring(inner_mm: float, outer_mm: float, grid: PhantomGrid | None = None) -> Phantom:
    """Return a ring of scar around a blood pool: volume pi (R^2 - r^2) h."""
    area = np.pi * (outer_mm**2 - inner_mm**2)
    return _phantom("ring", (inner_mm, outer_mm), (0.0, 2 * np.pi), grid, area, area)


def sector(
    inner_mm: float,
    outer_mm: float,
    start_rad: float,
    width_rad: float,
    grid: PhantomGrid | None = None,
) -> Phantom:
    """Return a ring of muscle with a sector of scar: volume (w / 2) (R^2 - r^2) h.

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
    grid: PhantomGrid | None,
    infarct_mm2: float,
    wall_mm2: float,
) -> Phantom:
    grid = grid or PhantomGrid()
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
    radii_mm: tuple[float, float], angles: tuple[float, float], grid: PhantomGrid
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


def _stack(name: str, labels: LabelArray, grid: PhantomGrid) -> Stack:
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


SAMPLES_PER_SLICE = 5
NODE_MM = 26.0


@dataclass(frozen=True, eq=False)
class SignalDrift:
    """Random texture and displacement; two fields each, mixed from slice to slice.

    ``grain`` (2, row, column) relative signal; ``patches`` (2, row, column) added signal, sd 1;
    ``warp_mm`` (2, 2, row, column) displacement, x then y.
    """

    grain: FloatArray
    patches: FloatArray
    warp_mm: FloatArray
    patch_size: float
    blood_size: float
    turn: float

    def mix(self, fields: FloatArray, k: int) -> FloatArray:
        """Return the field of slice ``k``; neighbouring slices are similar."""
        turn = np.float32(self.turn * k)
        return np.asarray(np.cos(turn) * fields[0] + np.sin(turn) * fields[1], dtype=np.float32)


def draw_drift(rng: np.random.Generator, geometry: Geometry) -> SignalDrift:
    """Draw texture and displacement for a matrix."""
    row_mm, column_mm = geometry.pixel_spacing_mm
    fine = rng.standard_normal((2, geometry.rows, geometry.columns), dtype=np.float32)
    fine = ndimage.gaussian_filter(fine, (0, 1.4 / row_mm, 1.4 / column_mm)) * 0.3
    size = float(np.exp(rng.normal(np.log(1.3), 0.3)))
    return SignalDrift(
        grain=fine + 0.11 * _smooth(rng, (2,), geometry, 12.0),
        patches=_smooth(rng, (2,), geometry, 14.0),
        warp_mm=np.float32(size) * _smooth(rng, (2, 2), geometry, NODE_MM),
        patch_size=float(rng.gamma(2.5, 0.011)),
        blood_size=float(rng.uniform(0.0, 0.12)),
        turn=float(rng.uniform(0.2, 0.6)),
    )


def _smooth(
    rng: np.random.Generator, stacked: tuple[int, ...], geometry: Geometry, node_mm: float
) -> FloatArray:
    """Draw smooth fields (*stacked, row, column), sd about 1, from a grid of nodes."""
    row_step = node_mm / geometry.pixel_spacing_mm[0]
    column_step = node_mm / geometry.pixel_spacing_mm[1]
    shape = (int(geometry.rows / row_step) + 4, int(geometry.columns / column_step) + 4)
    nodes = rng.standard_normal((*stacked, *shape)).astype(np.float32)
    rows = _spline_weights(geometry.rows, row_step, shape[0])
    columns = _spline_weights(geometry.columns, column_step, shape[1])
    return np.asarray(1.9 * (rows @ nodes @ columns.T), dtype=np.float32)


def _spline_weights(n: int, step: float, nodes: int) -> FloatArray:
    """Return the cubic B-spline weights (pixel, node) of nodes ``step`` pixels apart."""
    distance = np.abs(np.arange(n)[:, None] / step + 1 - np.arange(nodes)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def render_scene(
    heart: HeartShape,
    thorax: Thorax,
    tissues: list[TissueSignals],
    geometry: Geometry,
    uneven: SignalDrift,
) -> tuple[FloatArray, LabelArray]:
    """Return signed signal float32 and truth uint8, both (slice, row, column).

    ``tissues`` has one entry per slice.
    """
    row_mm, column_mm = geometry.pixel_spacing_mm
    pixel_mm = (row_mm + column_mm) / 2
    shape = (len(geometry.z_mm), geometry.rows, geometry.columns)
    signal = np.empty(shape, dtype=np.float32)
    truth = np.zeros(shape, dtype=np.uint8)
    offsets = (np.arange(SAMPLES_PER_SLICE) + 0.5) / SAMPLES_PER_SLICE - 0.5
    x = (np.arange(geometry.columns) + 0.5) * column_mm - geometry.heart_position_mm[0]
    y = (np.arange(geometry.rows) + 0.5) * row_mm - geometry.heart_position_mm[1]
    left, right, high, low = heart_reach(heart)
    for k, middle in enumerate(geometry.z_mm):
        warp = uneven.mix(uneven.warp_mm, k)
        grid_x = x.astype(np.float32)[None, :] + warp[0]
        grid_y = y.astype(np.float32)[:, None] + warp[1]
        grain = 1 + uneven.mix(uneven.grain, k)
        signal[k] = render_thorax(thorax, tissues[k], grid_x, grid_y, float(middle), pixel_mm)
        signal[k] *= grain
        shift_x, shift_y = geometry.shifts_mm[k]
        c0, c1 = np.searchsorted(x - shift_x, [-left, right])
        r0, r1 = np.searchsorted(y - shift_y, [-high, low])
        part = np.s_[r0:r1, c0:c1]
        z = (middle + offsets * geometry.thickness_mm).astype(np.float32)
        here_x, here_y = grid_x[part] - np.float32(shift_x), grid_y[part] - np.float32(shift_y)
        beat = render_heart(heart, tissues[k], here_x, here_y, z, pixel_mm)
        rough = uneven.mix(uneven.patches, k)[part]
        inside = beat.signal * (1 + np.float32(uneven.blood_size) * rough)
        inside += beat.share * np.float32(uneven.patch_size) * rough
        signal[k][part] = signal[k][part] * (1 - beat.share) + inside
        truth[k][part] = beat.labels
    return signal, truth


def heart_reach(heart: HeartShape) -> tuple[float, float, float, float]:
    """Return how far (mm) heart and fat reach left, right, up and down of the base of the LV."""
    ring = heart.radius * 1.1 + heart.wall * 1.3 + 12 + 12
    drift_x = abs(heart.tilt[0]) + abs(heart.bend[0])
    drift_y = abs(heart.tilt[1]) + abs(heart.bend[1])
    return ring + heart.rv_width + drift_x, ring + drift_x, ring + 10 + drift_y, ring + 10 + drift_y
