"""Turn cine contrast into LGE's and paint infarcts into real walls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def to_lge_contrast(
    image: Image, weights: npt.NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Null the wall of a cine crop and vary blood against it.

    Args:
        image: (row, column) in 0..1.
        weights: (4, row, column) shares of pool, wall, scar and RV per voxel.
    """
    pool, wall, _, right = weights
    out = image.copy()
    inside = wall > 0.5
    if inside.any():
        level = float(image[inside].mean())
        texture = rng.uniform(0.2, 0.9)
        nulled = rng.uniform(0.0, 0.25) + texture * (image - level)
        out += wall * (nulled - image)
    blood = np.clip(pool + right, 0, 1)
    if (blood > 0.5).any():
        level = float(image[blood > 0.5].mean())
        wanted = rng.uniform(0.35, 0.8)
        flattened = wanted + rng.uniform(0.3, 0.9) * (image - level)
        out += blood * (flattened - image)
    return np.asarray(out, dtype=np.float32)


def vary_contrast(
    image: Image, weights: npt.NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Move blood and healthy wall of an LGE crop as other doses, delays and nullings would.

    Args:
        image: (row, column) in 0..1.
        weights: (4, row, column) shares of pool, wall, scar and RV per voxel.
    """
    pool, wall, scar, _ = weights
    healthy = np.clip(wall - scar, 0, 1)
    if not ((pool > 0.5).any() and (healthy > 0.5).any()):
        return image
    contrast = float(image[pool > 0.5].mean() - image[healthy > 0.5].mean())
    moves = rng.uniform((-0.35, -0.25, -0.25), (0.35, 0.3, 0.3)) * abs(contrast)
    out = image + pool * moves[0] + healthy * moves[1] + scar * moves[2]
    return np.asarray(out, dtype=np.float32)


def _depth(pool: Mask, wall: Mask) -> Image:
    """Give the relative depth in the wall: 0 at the endocardium, 1 at the epicardium."""
    inner = ndimage.distance_transform_edt(~pool)
    outer = ndimage.distance_transform_edt(pool | wall)
    return np.asarray(inner / np.maximum(inner + outer, 1e-6), dtype=np.float32)


def paint_scar(
    image: Image, pool: Mask, wall: Mask, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Paint an infarct that grows from the endocardium outward; give image and its mask."""
    rows, columns = np.nonzero(pool)
    grid_rows, grid_columns = np.mgrid[: pool.shape[0], : pool.shape[1]]
    angle = np.arctan2(grid_rows - rows.mean(), grid_columns - columns.mean())
    depth = _depth(pool, wall)
    scar = np.zeros(pool.shape, dtype=bool)
    for _ in range(2 if rng.random() < 0.2 else 1):
        half = rng.uniform(0.15, 1.2)
        away = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(-np.pi, np.pi)))))
        ragged = ndimage.gaussian_filter(rng.normal(0, 1, pool.shape), rng.uniform(1.5, 4))
        ragged *= rng.uniform(0.05, 0.25) / max(float(ragged.std()), 1e-6)
        reach = rng.uniform(0.3, 1.3) * np.cos(np.clip(away / half, 0, 1) * np.pi / 2) ** 0.5
        floor = -1.0 if rng.random() < 0.85 else rng.uniform(0.1, 0.4)
        scar |= wall & (depth < reach + ragged) & (away < half) & (depth > floor)
    scar = ndimage.binary_opening(scar, structure=np.ones((2, 2), dtype=bool)) & wall
    if not scar.any():
        return image, scar
    blood = float(image[pool].mean()) if pool.any() else 0.6
    bright = blood * rng.uniform(0.75, 1.6) + rng.uniform(0, 0.15)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, pool.shape), 1.0)
    level = bright * (1 + rng.uniform(0.05, 0.25) * texture / max(float(texture.std()), 1e-6))
    if rng.random() < 0.25:
        core = ndimage.binary_erosion(scar, iterations=2) & (depth < rng.uniform(0.4, 0.8))
        soft = ndimage.gaussian_filter(core.astype(np.float32), 0.7)
        level = level * (1 - soft) + soft * rng.uniform(0.0, 0.3) * bright
    share = ndimage.gaussian_filter(scar.astype(np.float32), rng.uniform(0.4, 0.9))
    share *= ndimage.gaussian_filter((wall | pool).astype(np.float32), 0.5)
    return np.asarray(image + share * (level - image), dtype=np.float32), scar
