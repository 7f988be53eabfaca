"""Change the thickness of the left ventricular wall by a radial warp of image and labels.

A network trained on walls of one thickness finds that thickness everywhere. Scaling a crop
changes heart and wall together; this warp moves the endocardium alone. Along each ray from the
centre of the ventricle, with endocardial radius e and epicardial radius p in the source, the
warped slice has its endocardium at ``factor * e`` and its epicardium still at p:

    r <= factor * e        ->  r / factor
    factor * e < r < p     ->  e + (r - factor * e) * (p - e) / (p - factor * e)
    r >= p                 ->  r

gives, for a radius r of the warped slice, the radius in the source to sample from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.labels import INFARCT, Label, LabelArray
from scarseg.quant.wall_geometry import ring_centre
from scarseg.training.cases import TrainingCase

Radii = npt.NDArray[np.float64]

N_RAYS = 72
RAY_STEP_MM = 0.25
SMOOTHING_RAYS = 1.5
"""Standard deviation, in rays of 5 degrees, by which radii and scar are smoothed round the ring."""
THINNEST_WALL_MM = 2.0
"""No factor leaves a wall thinner than this, or than it was where it is thinner already."""
FACTORS = (0.55, 1.25)
SCAR_SHARE = 0.35
"""The endocardium moves in by up to this share more where scar is: scarred walls are what the
blood pool swallows."""


@dataclass(frozen=True, eq=False)
class WallProfile:
    """Radii of one slice's wall, in mm along :data:`N_RAYS` rays from ``centre``.

    ``centre`` (column, row) in continuous source pixels; rays run from the direction of
    increasing columns towards increasing rows; ``scar`` the share of infarct in the wall, 0 to 1.
    """

    centre: tuple[float, float]
    endocardium: Radii
    epicardium: Radii
    scar: Radii


@dataclass(frozen=True)
class WarpFactors:
    """How far the endocardium moves: a factor on its radius, and a further share at scar."""

    factor: float
    scar_share: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> WarpFactors:
        """Draw thick and thin walls in balance, further in at scar for three in five of them."""
        low, high = FACTORS
        factor = rng.uniform(low, 1.0) if rng.random() < 0.5 else rng.uniform(1.0, high)
        scar_share = rng.uniform(0, SCAR_SHARE) if rng.random() < 0.6 else 0.0
        return cls(float(factor), float(scar_share))


def wall_profile(labels: LabelArray, pixel_spacing_mm: tuple[float, float]) -> WallProfile | None:
    """Return the radii of a slice's wall, or None where there is no blood pool inside a wall.

    Args:
        labels: (row, column); the pool is label 1, the wall labels 2 to 4.
        pixel_spacing_mm: (row, column).
    """
    labels = np.where(labels > Label.MVO, np.uint8(0), labels)  # the right ventricle of cine
    pool = labels == Label.BLOOD_POOL
    heart = (labels >= Label.BLOOD_POOL) & (labels <= Label.MVO)
    centre = ring_centre(labels)
    if centre is None or not pool.any():
        return None
    angles = np.arange(N_RAYS) * 2 * np.pi / N_RAYS
    rows, columns = labels.shape
    reach = max(rows * pixel_spacing_mm[0], columns * pixel_spacing_mm[1])
    radii = np.arange(RAY_STEP_MM / 2, reach, RAY_STEP_MM)
    x = centre[0] + np.cos(angles)[:, None] * radii / pixel_spacing_mm[1]
    y = centre[1] + np.sin(angles)[:, None] * radii / pixel_spacing_mm[0]
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    at = np.where(inside, y, 0).astype(int), np.where(inside, x, 0).astype(int)
    endocardium = _outermost(pool[at] & inside)
    epicardium = _outermost(heart[at] & inside)
    if not (endocardium.all() and (epicardium > endocardium).all()):
        return None
    wall = (labels >= Label.MYOCARDIUM) & (labels <= Label.MVO)
    infarct = np.isin(labels, INFARCT)
    share = (infarct[at] & inside).sum(1) / np.maximum((wall[at] & inside).sum(1), 1)
    smooth = [
        ndimage.gaussian_filter1d(one, SMOOTHING_RAYS, mode="wrap")
        for one in (endocardium, epicardium, share.astype(np.float64))
    ]
    return WallProfile(centre, *smooth)


def _outermost(along_rays: npt.NDArray[np.bool_]) -> Radii:
    """Return the radius (ray,) in mm of the last sample (ray, radius) that is set, 0 for none."""
    last = along_rays.shape[1] - along_rays[:, ::-1].argmax(axis=1)
    return np.where(along_rays.any(axis=1), last * RAY_STEP_MM, 0.0)


def new_endocardium(profile: WallProfile, factors: WarpFactors) -> Radii:
    """Return the endocardial radii (ray,) in mm that the warp leads to."""
    wanted = profile.endocardium * factors.factor * (1 - factors.scar_share * profile.scar)
    thinnest = np.minimum(THINNEST_WALL_MM, profile.epicardium - profile.endocardium)
    return np.minimum(wanted, profile.epicardium - thinnest)


def warp_grid(
    grid: Tensor,
    profile: WallProfile,
    factors: WarpFactors,
    shape: tuple[int, int],
    pixel_spacing_mm: tuple[float, float],
) -> Tensor:
    """Return a grid_sample grid (1, row, column, 2) that samples the slice with its wall changed.

    Args:
        grid: where the unchanged slice would be sampled, in grid_sample's units.
        shape, pixel_spacing_mm: of the source, (row, column).
    """
    size = np.array([shape[1] * pixel_spacing_mm[1], shape[0] * pixel_spacing_mm[0]])
    spacing = np.array([pixel_spacing_mm[1], pixel_spacing_mm[0]])
    offset = (grid[0].numpy().astype(np.float64) + 1) / 2 * size - profile.centre * spacing
    radius = np.hypot(offset[..., 0], offset[..., 1])
    ray = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi) / (2 * np.pi) * N_RAYS
    moved = new_endocardium(profile, factors)
    before, after, outer = (
        np.interp(ray, np.arange(N_RAYS), one, period=N_RAYS)
        for one in (profile.endocardium, moved, profile.epicardium)
    )
    in_wall = before + (radius - after) * (outer - before) / np.maximum(outer - after, 1e-6)
    source = np.where(radius <= after, radius * before / np.maximum(after, 1e-6), in_wall)
    source = np.where(radius >= outer, radius, source)
    scale = source / np.maximum(radius, 1e-6)
    warped = (offset * scale[..., None] + profile.centre * spacing) / size * 2 - 1
    return torch.from_numpy(warped.astype(np.float32))[None]


def warp_case(case: TrainingCase, factors: WarpFactors) -> TrainingCase:
    """Return a case with the wall of every slice changed, pixels and reference alike.

    Slices without a blood pool inside a wall stay as they are. Pixels are sampled bilinearly,
    labels by the nearest.
    """
    pixels, labels = case.pixels.copy(), case.labels.copy()
    rows, columns = int(labels.shape[1]), int(labels.shape[2])
    still = F.affine_grid(torch.eye(2, 3)[None], [1, 1, rows, columns], align_corners=False)
    for k in range(len(labels)):
        profile = wall_profile(labels[k], case.pixel_spacing_mm)
        if profile is None:
            continue
        grid = warp_grid(still, profile, factors, (rows, columns), case.pixel_spacing_mm)
        pixels[k] = _sample(pixels[k].astype(np.float32), grid, "bilinear")
        labels[k] = _sample(labels[k].astype(np.float32), grid, "nearest").astype(labels.dtype)
    return replace(case, pixels=pixels, labels=labels)


def _sample(image: npt.NDArray[np.float32], grid: Tensor, mode: str) -> npt.NDArray[np.float32]:
    source = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    sampled = F.grid_sample(source, grid, mode=mode, padding_mode="border", align_corners=False)
    return np.asarray(sampled[0, 0].numpy())
