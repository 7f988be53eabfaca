"""Surroundings of the heart on a short-axis slice: chest wall, lung, diaphragm, abdomen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scarseg.case.stack import FloatArray
from scarseg.simulate.anatomy import ANGLES, Directions, Waves
from scarseg.simulate.heart import coverage
from scarseg.simulate.signal import TissueSignals


@dataclass(frozen=True, eq=False)
class Thorax:
    """Parameters of one chest, drawn at random; lengths in mm, in heart coordinates."""

    centre: tuple[float, float]
    half_axes: tuple[float, float]
    turn: float
    outline: Waves
    skin_fat: float
    fat_waves: Waves
    muscle: float
    diaphragm: float
    diaphragm_step: float
    dome: tuple[float, float]
    stomach: tuple[float, float, float, float]
    spleen: tuple[float, float, float, float]
    kidney: tuple[float, float, float, float]
    spine: tuple[float, float, float]
    aorta: tuple[float, float, float]
    mediastinum: float
    abdomen_fat: float
    texture: Waves
    vessels: npt.NDArray[np.float64]
    ribs: npt.NDArray[np.float64]


def draw_thorax(rng: np.random.Generator, reach: float) -> Thorax:
    """Draw a chest around a heart whose epicardium ends ``reach`` mm from its axis."""
    left, up = rng.uniform(reach + 50, reach + 95), rng.uniform(reach + 35, reach + 75)
    half = (rng.uniform(150, 200), rng.uniform(130, 180))
    vessels = np.stack(
        [
            rng.uniform(-60, 150, 260),
            rng.uniform(-110, 110, 260),
            0.6 + rng.exponential(0.7, 260),
            rng.uniform(-20, 110, 260),
        ],
        axis=1,
    )
    ribs = np.stack([rng.uniform(-np.pi, np.pi, 9), rng.uniform(0.05, 0.12, 9)], axis=1)
    return Thorax(
        centre=(float(half[0] * 0.92 - left), float(half[1] * 0.92 - up)),
        half_axes=(float(half[0]), float(half[1])),
        turn=float(rng.normal(0.35, 0.25)),
        outline=Waves.draw(rng, 6, (2, 6)),
        skin_fat=float(rng.gamma(3.0, 5.0) + 3),
        fat_waves=Waves.draw(rng, 6, (1, 5)),
        muscle=float(rng.uniform(8, 18)),
        diaphragm=float(reach + rng.uniform(-6, 16)),
        diaphragm_step=float(rng.uniform(-0.45, 0.05)),
        dome=(float(rng.uniform(-50, 0)), float(rng.uniform(90, 220))),
        stomach=(
            float(rng.uniform(5, 55)),
            float(rng.uniform(22, 45)),
            float(rng.uniform(14, 34)),
            float(rng.uniform(0.7, 1.3)),
        ),
        spleen=(
            float(rng.uniform(60, 95)),
            float(rng.uniform(20, 50)),
            float(rng.uniform(16, 30)),
            float(rng.uniform(1.2, 1.8)),
        ),
        kidney=(
            float(rng.uniform(45, 90)),
            float(rng.uniform(60, 95)),
            float(rng.uniform(20, 28)),
            float(rng.uniform(0.75, 1.0)),
        ),
        spine=(float(rng.uniform(45, 95)), float(rng.uniform(45, 95)), float(rng.uniform(17, 24))),
        aorta=(float(rng.uniform(40, 70)), float(rng.uniform(15, 45)), float(rng.uniform(9, 13))),
        mediastinum=float(rng.uniform(5, 30)),
        abdomen_fat=float(rng.uniform(0, 1)),
        texture=Waves.draw(rng, 10, (1, 3)),
        vessels=vessels,
        ribs=ribs,
    )


def _texture(waves: Waves, x: FloatArray, y: FloatArray, z: float) -> FloatArray:
    """Return a smooth random texture over the plane, (row, column)."""
    down = waves(np.zeros(1, dtype=np.float32), y[:, 0] + np.float32(z))
    across = waves(x[0] * np.float32(0.05), np.zeros(1, dtype=np.float32))
    return np.asarray((down[:, None] + across[None]) * 0.7, dtype=np.float32)


def _ellipse_distance(
    x: FloatArray, y: FloatArray, centre: tuple[float, float], size: float, aspect: float
) -> FloatArray:
    """Return the approximate signed distance to an ellipse in mm, negative inside."""
    q = np.hypot((x - centre[0]) / size, (y - centre[1]) / (size * aspect))
    return np.asarray((q - 1) * size, dtype=np.float32)


def render_thorax(
    thorax: Thorax, tissues: TissueSignals, x: FloatArray, y: FloatArray, z: float, pixel_mm: float
) -> FloatArray:
    """Return the signed signal of one slice without the heart.

    ``x``, ``y`` float32 (row, column) in heart coordinates (mm); ``z`` from base to apex (mm).
    """
    cx, cy = thorax.centre
    cosine, sine = np.float32(np.cos(thorax.turn)), np.float32(np.sin(thorax.turn))
    u = ((x - cx) * cosine + (y - cy) * sine) / np.float32(thorax.half_axes[0])
    v = (-(x - cx) * sine + (y - cy) * cosine) / np.float32(thorax.half_axes[1])
    directions = Directions(np.arctan2(v, u))
    deep = np.full(1, z, dtype=np.float32)
    q = (np.abs(u) ** 2.4 + np.abs(v) ** 2.4) ** np.float32(1 / 2.4)
    q = q / directions.look_up(1 + np.float32(0.025) * thorax.outline(ANGLES, deep))
    skin = np.asarray((q - 1) * min(thorax.half_axes), dtype=np.float32)
    waves = 1 + 0.35 * thorax.fat_waves(ANGLES, deep)
    fat = directions.look_up(np.maximum(thorax.skin_fat * waves, 2.0).astype(np.float32))
    inner = skin + fat + np.float32(thorax.muscle)
    signal = np.zeros(x.shape, dtype=np.float32)

    def draw(where: FloatArray, level: float) -> None:
        signal[:] += where * (level - signal)

    body = coverage(skin, pixel_mm)
    draw(body, tissues.fat)
    draw(coverage(skin + fat, pixel_mm), tissues.muscle)
    turns = np.remainder(ANGLES[None] - thorax.ribs[:, :1] + np.pi, 2 * np.pi) - np.pi
    beside = np.maximum(np.abs(turns) - thorax.ribs[:, 1:], 0).min(axis=0).astype(np.float32)
    across = np.abs(skin + fat + np.float32(0.6 * thorax.muscle))
    rib = directions.look_up(beside * np.float32(120)) + across
    draw(coverage(rib - 3.0, pixel_mm), tissues.bone)
    draw(coverage(rib - 1.6, pixel_mm), tissues.fat * 0.8)
    chest = coverage(inner, pixel_mm)
    draw(chest, tissues.lung)
    _draw_vessels(signal, thorax, tissues, x, y, z, chest, pixel_mm)
    _draw_abdomen(draw, thorax, tissues, x, y, z, chest, pixel_mm)
    return signal


def _draw_vessels(
    signal: FloatArray,
    thorax: Thorax,
    tissues: TissueSignals,
    x: FloatArray,
    y: FloatArray,
    z: float,
    chest: FloatArray,
    pixel_mm: float,
) -> None:
    """Draw the lung vessels whose depth is near that of the slice."""
    column_step = float(x[0, -1] - x[0, 0]) / (x.shape[1] - 1)
    row_step = float(y[-1, 0] - y[0, 0]) / (x.shape[0] - 1)
    for vx, vy, size, depth in thorax.vessels:
        if abs(depth - z) > 14:
            continue
        column, row = (vx - x[0, 0]) / column_step, (vy - y[0, 0]) / row_step
        reach = int(9 / min(column_step, row_step)) + 2
        c0, r0 = int(column) - reach, int(row) - reach
        if c0 < 0 or r0 < 0 or c0 + 2 * reach > x.shape[1] or r0 + 2 * reach > x.shape[0]:
            continue
        part = np.s_[r0 : r0 + 2 * reach, c0 : c0 + 2 * reach]
        spot = coverage(np.hypot(x[part] - vx, y[part] - vy) - size, pixel_mm) * chest[part]
        signal[part] += spot * (tissues.vessel - signal[part])


def _draw_abdomen(
    draw: Callable[[FloatArray, float], None],
    thorax: Thorax,
    tissues: TissueSignals,
    x: FloatArray,
    y: FloatArray,
    z: float,
    chest: FloatArray,
    pixel_mm: float,
) -> None:
    """Draw mediastinum, spine, aorta, and below the diaphragm liver, stomach, spleen, kidney."""
    dome_x, dome_radius = thorax.dome
    level = thorax.diaphragm + thorax.diaphragm_step * (z - 40)
    fall = (x - dome_x) ** 2 / (2 * dome_radius)
    texture = _texture(thorax.texture, x, y, z)
    below = (level + 70 * fall / (70 + fall) - y).astype(np.float32)
    abdomen = coverage(below, pixel_mm) * chest
    septal = (
        coverage((x + thorax.mediastinum + 45 + 0.3 * y + 5 * texture).astype(np.float32), pixel_mm)
        * chest
    )
    draw(septal, tissues.fat * 0.8)
    draw(abdomen, tissues.muscle)
    inside = coverage(below + 2.5, pixel_mm) * chest
    draw(inside, tissues.liver)
    left_lobe = coverage((18 - x + 3 * texture).astype(np.float32), pixel_mm) * inside
    draw(left_lobe, tissues.fat * 0.85 if thorax.abdomen_fat > 0.5 else tissues.spleen * 0.8)
    sx, sy, size, aspect = thorax.kidney
    kidney = _ellipse_distance(x, y, (sx, level + sy), size, aspect)
    draw(coverage(kidney, pixel_mm) * inside, tissues.kidney)
    draw(coverage(kidney + 0.6 * size, pixel_mm) * inside, tissues.fat)
    sx, sy, size, aspect = thorax.spleen
    draw(
        coverage(_ellipse_distance(x, y, (sx, level + sy), size, aspect), pixel_mm) * inside,
        tissues.spleen,
    )
    sx, sy, size, aspect = thorax.stomach
    size = size * max(0.3, 1 - 0.006 * abs(z - 60))
    stomach = _ellipse_distance(x, y, (sx, level + sy), size, aspect) + 2 * texture.astype(
        np.float32
    )
    draw(coverage(stomach - 3, pixel_mm) * inside, tissues.stomach_wall)
    draw(coverage(stomach, pixel_mm) * inside, tissues.stomach)
    px, py, size = thorax.spine
    draw(
        coverage(_ellipse_distance(x, y, (px, level + py), size, 0.9), pixel_mm) * chest,
        tissues.bone,
    )
    ax, ay, size = thorax.aorta
    draw(
        coverage(_ellipse_distance(x, y, (ax, level + ay), size, 1.0), pixel_mm) * chest,
        tissues.blood,
    )
