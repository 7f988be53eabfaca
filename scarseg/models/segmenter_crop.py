"""Crop a slice round the heart for the compact segmenter, the same in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from scarseg.case.prompts import Box

CROP_PIXELS = 80
CROP_SPACING_MM = 1.43
LARGEST_HEART = 0.84
"""Share of the crop a left_ventricle box may fill; for larger hearts the crop is coarser."""

OUTSIDE_LOGIT = -12.0


@dataclass(frozen=True)
class CropGeometry:
    """Position of a crop on the source grid.

    ``centre`` (column, row) in continuous source pixels; ``step`` (column, row) in source pixels
    per crop pixel.
    """

    centre: tuple[float, float]
    step: tuple[float, float]

    @classmethod
    def around(
        cls,
        box: Box | None,
        shape: tuple[int, int],
        pixel_spacing_mm: tuple[float, float],
    ) -> CropGeometry:
        """Centre a crop on a left_ventricle box, or on the slice (row, column) without one."""
        spacing = CROP_SPACING_MM
        centre = (shape[1] / 2, shape[0] / 2)
        if box is not None:
            centre = box.centre
            extent = max(box.width * pixel_spacing_mm[1], box.height * pixel_spacing_mm[0])
            spacing = max(spacing, extent / (LARGEST_HEART * CROP_PIXELS))
        return cls(centre, (spacing / pixel_spacing_mm[1], spacing / pixel_spacing_mm[0]))

    def to_crop(self, column: float, row: float) -> tuple[float, float]:
        """Map continuous source (column, row) to continuous crop (column, row)."""
        return (
            (column - self.centre[0]) / self.step[0] + CROP_PIXELS / 2,
            (row - self.centre[1]) / self.step[1] + CROP_PIXELS / 2,
        )

    def box_to_crop(self, box: Box) -> tuple[float, float, float, float]:
        """Map a box to crop pixels: column0, row0, column1, row1."""
        return (*self.to_crop(box.column0, box.row0), *self.to_crop(box.column1, box.row1))

    def sampling_grid(self, shape: tuple[int, int]) -> Tensor:
        """Return the grid_sample grid (1, crop row, crop column, 2) over a source (row, column)."""
        offset = torch.arange(CROP_PIXELS, dtype=torch.float32) + 0.5 - CROP_PIXELS / 2
        columns = (self.centre[0] + offset * self.step[0]) * 2 / shape[1] - 1
        rows = (self.centre[1] + offset * self.step[1]) * 2 / shape[0] - 1
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)
        return grid[None]

    def inverse_grid(self, shape: tuple[int, int]) -> Tensor:
        """Return the grid_sample grid (1, row, column, 2) that resamples a crop to the source."""
        rows = (torch.arange(shape[0], dtype=torch.float32) + 0.5 - self.centre[1]) / self.step[1]
        columns = (torch.arange(shape[1], dtype=torch.float32) + 0.5 - self.centre[0]) / (
            self.step[0]
        )
        scale = 2 / CROP_PIXELS
        grid = torch.stack(
            torch.meshgrid(rows * scale, columns * scale, indexing="ij")[::-1], dim=-1
        )
        return grid[None]


def antialias(pixels: Tensor, step: tuple[float, float]) -> Tensor:
    """Blur (1, 1, row, column) before sampling more coarsely than the source, against aliasing."""
    for axis, ratio in ((3, step[0]), (2, step[1])):
        if ratio < 1.5:
            continue
        sigma = 0.4 * ratio
        radius = int(3 * sigma) + 1
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = kernel / kernel.sum()
        shape = (1, 1, 1, -1) if axis == 3 else (1, 1, -1, 1)
        padding = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
        pixels = F.conv2d(F.pad(pixels, padding, mode="replicate"), kernel.reshape(shape))
    return pixels


def normalise(crop: Tensor) -> Tensor:
    """Map the 1st and 99th percentile of each crop's centre to -1 and 1.

    Args:
        crop: float32 (image, channel, row, column), any units.

    Returns:
        float32, same shape, cut at -2 and 3. Every channel of every image on its own.
    """
    edge = CROP_PIXELS // 8
    middle = crop[:, :, edge:-edge, edge:-edge].flatten(2)
    levels = torch.quantile(middle, torch.tensor([0.01, 0.99]), dim=2)
    low, high = levels[0][:, :, None, None], levels[1][:, :, None, None]
    return ((crop - low) / (high - low).clamp_min(1e-6) * 2 - 1).clamp(-2, 3)


def crop_slice(pixels: Tensor, geometry: CropGeometry) -> Tensor:
    """Sample and normalise one slice (row, column) float32 to (1, 1, crop row, crop column)."""
    rows, columns = int(pixels.shape[0]), int(pixels.shape[1])
    shifted = pixels - torch.quantile(pixels[::2, ::2].flatten(), 0.01)
    source = antialias(shifted[None, None], geometry.step)
    grid = geometry.sampling_grid((rows, columns))
    return normalise(F.grid_sample(source, grid, align_corners=False))


def uncrop(logits: Tensor, geometry: CropGeometry, shape: tuple[int, int]) -> Tensor:
    """Resample crop logits (1, mask, row, column) to the source grid (mask, row, column).

    Outside the crop they are :data:`OUTSIDE_LOGIT`.
    """
    grid = geometry.inverse_grid(shape)
    back = F.grid_sample(logits - OUTSIDE_LOGIT, grid, align_corners=False)
    return (back + OUTSIDE_LOGIT)[0]
