"""Put heart and chest together, slice by slice, on ground that is nowhere quite even."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scarseg.labels import LabelArray
from scarseg.simulate.acquisition import Geometry
from scarseg.simulate.anatomy import Heart
from scarseg.simulate.heart import render_heart
from scarseg.simulate.thorax import Thorax, render_thorax
from scarseg.simulate.tissue import Tissues
from scarseg.stack import FloatArray

SAMPLES_PER_SLICE = 5
NODE_MM = 26.0


@dataclass(frozen=True, eq=False)
class Unevenness:
    """What no formula of the anatomy gives; two fields each, mixed from slice to slice.

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
        """Give the field of slice ``k``: near slices are alike."""
        turn = np.float32(self.turn * k)
        return np.asarray(np.cos(turn) * fields[0] + np.sin(turn) * fields[1], dtype=np.float32)


def draw_unevenness(rng: np.random.Generator, geometry: Geometry) -> Unevenness:
    """Draw textures and warp for a matrix."""
    row_mm, column_mm = geometry.pixel_spacing_mm
    fine = rng.standard_normal((2, geometry.rows, geometry.columns), dtype=np.float32)
    fine = ndimage.gaussian_filter(fine, (0, 1.4 / row_mm, 1.4 / column_mm)) * 0.3
    size = float(np.exp(rng.normal(np.log(1.3), 0.3)))
    return Unevenness(
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
    """Give the cubic B-spline weights (pixel, node) of nodes ``step`` pixels apart."""
    distance = np.abs(np.arange(n)[:, None] / step + 1 - np.arange(nodes)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def render_scene(
    heart: Heart,
    thorax: Thorax,
    tissues: list[Tissues],
    geometry: Geometry,
    uneven: Unevenness,
) -> tuple[FloatArray, LabelArray]:
    """Give signed signal float32 and truth uint8, both (slice, row, column).

    ``tissues`` one per slice.
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


def heart_reach(heart: Heart) -> tuple[float, float, float, float]:
    """Give how far (mm) the heart and its fat reach left, right, up and down of the LV's base."""
    ring = heart.radius * 1.1 + heart.wall * 1.3 + 12 + 12
    drift_x = abs(heart.tilt[0]) + abs(heart.bend[0])
    drift_y = abs(heart.tilt[1]) + abs(heart.bend[1])
    return ring + heart.rv_width + drift_x, ring + drift_x, ring + 10 + drift_y, ring + 10 + drift_y
