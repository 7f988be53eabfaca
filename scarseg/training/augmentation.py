"""Augmentation: what varies between hearts, breath holds and scanners, drawn for every sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.models.segmenter_crop import CROP_PIXELS, CropGeometry


def random_grid(
    geometry: CropGeometry,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Tensor:
    """Draw a random affine and elastic sampling grid (1, row, column, 2) over a source slice.

    Args:
        geometry: the crop to be turned, flipped, scaled, shifted and bent.
        shape, pixel_spacing_mm: of the source, (row, column); turning is done in mm.
    """
    crop_spacing = geometry.step[0] * pixel_spacing_mm[1]
    angle = rng.uniform(0, 2 * np.pi)
    flip = rng.choice((-1.0, 1.0))
    scale = rng.uniform(0.75, 1.3) * crop_spacing
    aspect = np.exp(rng.uniform(-0.1, 0.1))
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = matrix @ np.diag([flip * scale * aspect, scale / aspect])
    offset = torch.arange(CROP_PIXELS, dtype=torch.float32) + 0.5 - CROP_PIXELS / 2
    rows, columns = torch.meshgrid(offset, offset, indexing="ij")
    grid = torch.stack((columns, rows), dim=-1)
    if rng.random() < 0.5:
        coarse = torch.from_numpy(rng.normal(0, 1.2, (1, 2, 5, 5)).astype(np.float32))
        bend = F.interpolate(coarse, (CROP_PIXELS, CROP_PIXELS), mode="bicubic")
        grid = grid + bend[0].permute(1, 2, 0)
    shift = rng.uniform(-6, 6, 2) * (1 if rng.random() < 0.85 else 2)
    grid = (grid + torch.from_numpy(shift.astype(np.float32))) @ torch.from_numpy(
        matrix.T.astype(np.float32)
    )
    millimetres = torch.tensor([pixel_spacing_mm[1], pixel_spacing_mm[0]], dtype=torch.float32)
    size = torch.tensor([shape[1], shape[0]], dtype=torch.float32) * millimetres
    middle = torch.tensor(geometry.centre, dtype=torch.float32) * millimetres
    return ((grid + middle) * 2 / size - 1)[None]


def shift_for_breath_hold(
    grid: Tensor,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Tensor:
    """Shift a grid by a millimetre or two, as another breath hold does."""
    size = np.array([shape[1] * pixel_spacing_mm[1], shape[0] * pixel_spacing_mm[0]])
    return grid + torch.from_numpy((rng.normal(0, 1.5, 2) * 2 / size).astype(np.float32))


def vary_appearance(
    image: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Vary gamma, bias field, sharpness and noise of images (n, row, column) in 0..1.

    What lies below 0 or above 1, up to where the network's input is cut, keeps doing so.
    """
    x = torch.from_numpy(image).float()[:, None].clamp(-0.5, 2)
    if rng.random() < 0.7:
        power = float(np.exp(rng.uniform(-0.45, 0.45)))
        x = torch.where(x > 0, x.clamp_min(0) ** power, x)
    if rng.random() < 0.5:
        coarse = torch.from_numpy(rng.normal(0, 0.15, (1, 1, 3, 3)).astype(np.float32))
        x = x * torch.exp(F.interpolate(coarse, (CROP_PIXELS, CROP_PIXELS), mode="bicubic"))
    sharpness = rng.random()
    if sharpness < 0.5:
        k = [_gaussian(rng.uniform(0.3, 1.1)) for _ in range(2)]
        smooth = F.conv2d(
            F.pad(x, (3, 3, 3, 3), mode="replicate"), (k[0][:, None] * k[1])[None, None]
        )
        # Finer scanners, sampled more coarsely, look sharper than ours: teach both.
        x = smooth if sharpness < 0.3 else x + rng.uniform(0.2, 1.0) * (x - smooth)
    out = x[:, 0].numpy().astype(np.float32)
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(0.01, 0.07), (2, *out.shape))
        out = np.hypot(out + noise[0], noise[1]) if rng.random() < 0.5 else out + noise[0]
    return np.asarray(out, dtype=np.float32)


def _gaussian(sigma: float) -> Tensor:
    kernel = torch.exp(-0.5 * (torch.arange(-3, 4) / sigma) ** 2)
    return (kernel / kernel.sum()).float()


Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
THIN_SHARE, THIN_REACH = 0.35, (0.2, 0.45)
"""Share of painted scars that are thin and subendocardial, and their depth in the wall."""


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
    moves = rng.uniform((-0.35, -0.25, -0.25), (0.6, 0.3, 0.3)) * abs(contrast)
    out = image + pool * moves[0] + healthy * moves[1] + scar * moves[2]
    return np.asarray(out, dtype=np.float32)


def _depth(pool: Mask, wall: Mask) -> Image:
    """Return the relative depth in the wall: 0 at the endocardium, 1 at the epicardium."""
    inner = ndimage.distance_transform_edt(~pool)
    outer = ndimage.distance_transform_edt(pool | wall)
    return np.asarray(inner / np.maximum(inner + outer, 1e-6), dtype=np.float32)


def paint_scar(
    image: Image, pool: Mask, wall: Mask, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Paint an infarct that grows from the endocardium outward; return image and mask."""
    rows, columns = np.nonzero(pool)
    grid_rows, grid_columns = np.mgrid[: pool.shape[0], : pool.shape[1]]
    angle = np.arctan2(grid_rows - rows.mean(), grid_columns - columns.mean())
    depth = _depth(pool, wall)
    scar = np.zeros(pool.shape, dtype=bool)
    thin = rng.random() < THIN_SHARE
    for _ in range(2 if rng.random() < 0.2 else 1):
        half = rng.uniform(0.15, 1.2)
        away = np.abs(np.angle(np.exp(1j * (angle - rng.uniform(-np.pi, np.pi)))))
        ragged = ndimage.gaussian_filter(rng.normal(0, 1, pool.shape), rng.uniform(1.5, 4))
        ragged *= rng.uniform(0.05, 0.25) / max(float(ragged.std()), 1e-6)
        reach = (
            rng.uniform(*(THIN_REACH if thin else (0.3, 1.3)))
            * np.cos(np.clip(away / half, 0, 1) * np.pi / 2) ** 0.5
        )
        floor = -1.0 if rng.random() < 0.85 else rng.uniform(0.1, 0.4)
        scar |= wall & (depth < reach + ragged) & (away < half) & (depth > floor)
    scar = ndimage.binary_opening(scar, structure=np.ones((2, 2), dtype=bool)) & wall
    if not scar.any():
        return image, scar
    blood = float(image[pool].mean()) if pool.any() else 0.6
    bright = blood * rng.uniform(0.75, 1.6) + rng.uniform(0, 0.15)
    if thin and rng.random() < 0.5:
        bright = blood * rng.uniform(0.9, 1.1)  # nothing but the shape tells it from the pool
    texture = ndimage.gaussian_filter(rng.normal(0, 1, pool.shape), 1.0)
    level = bright * (1 + rng.uniform(0.05, 0.25) * texture / max(float(texture.std()), 1e-6))
    if rng.random() < 0.25:
        core = ndimage.binary_erosion(scar, iterations=2) & (depth < rng.uniform(0.4, 0.8))
        soft = ndimage.gaussian_filter(core.astype(np.float32), 0.7)
        level = level * (1 - soft) + soft * rng.uniform(0.0, 0.3) * bright
    share = ndimage.gaussian_filter(scar.astype(np.float32), rng.uniform(0.4, 0.9))
    share *= ndimage.gaussian_filter((wall | pool).astype(np.float32), 0.5)
    return np.asarray(image + share * (level - image), dtype=np.float32), scar
