"""Crop a slice for the detector: the same resampling and grey scale in training and in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, hypot
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.stack import FloatArray

FAR_MM_PER_PIXEL = 2.5
"""Sampling of the far crop, the whole slice, in which the heart is found."""
NEAR_MM_PER_PIXEL = 1.0
"""Sampling of the near crop, centred on the heart, in which its outline and scars are found."""
DETECTOR_CROP_PIXELS = 128
"""Edge of both crops in network pixels; the far one may be larger for a large slice."""
_STRIDE = 32
_MOST_PIXELS = 256
_PERCENTILES = (1.0, 99.0)

Distortion = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class DetectorCrop:
    """A rectangular window on a slice, possibly turned, sheared or scaled.

    ``matrix`` (2, 3) maps continuous crop pixels (column, row) to continuous source pixels
    (column, row); ``shape`` (row, column) of the crop. Pixel i covers [i, i + 1) in both.
    """

    matrix: npt.NDArray[np.float64]
    shape: tuple[int, int]

    @classmethod
    def around(
        cls,
        centre: tuple[float, float],
        pixel_spacing_mm: tuple[float, float],
        mm_per_pixel: float,
        shape: tuple[int, int] = (DETECTOR_CROP_PIXELS, DETECTOR_CROP_PIXELS),
        turn: npt.NDArray[np.float64] | None = None,
    ) -> DetectorCrop:
        """Return the crop whose centre lies on source pixel ``centre`` (column, row).

        Args:
            centre: continuous source pixels.
            pixel_spacing_mm: of the source (row, column).
            mm_per_pixel: of the crop, the same along both axes.
            shape: of the crop (row, column).
            turn: (2, 2) applied to millimetres (column, row); None leaves the slice upright.
        """
        spacing_row, spacing_column = pixel_spacing_mm
        linear = np.eye(2) if turn is None else np.asarray(turn, dtype=np.float64)
        linear = np.diag([1 / spacing_column, 1 / spacing_row]) @ linear * mm_per_pixel
        centre_px = np.array([shape[1] / 2, shape[0] / 2])
        offset = np.asarray(centre, dtype=np.float64) - linear @ centre_px
        return cls(np.column_stack([linear, offset]), shape)

    @classmethod
    def whole(cls, shape: tuple[int, int], pixel_spacing_mm: tuple[float, float]) -> DetectorCrop:
        """Return the upright crop of a whole slice of ``shape`` (row, column).

        Its sides are multiples of 32 pixels; a slice wider than 640 mm is sampled more coarsely.
        """
        extent = [n * s for n, s in zip(shape, pixel_spacing_mm, strict=True)]
        mm = max(FAR_MM_PER_PIXEL, max(extent) / _MOST_PIXELS)
        rows, columns = (
            max(DETECTOR_CROP_PIXELS, _STRIDE * ceil(length / mm / _STRIDE - 1e-9))
            for length in extent
        )
        centre = (shape[1] / 2, shape[0] / 2)
        return cls.around(centre, pixel_spacing_mm, mm, (rows, columns))

    def to_source(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map (n, 2) points (column, row) of the crop to source pixels."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_crop(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map (n, 2) points (column, row) of the source to crop pixels."""
        return (points - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T

    def scaled(self, factor: float) -> DetectorCrop:
        """Return the crop of the same window with ``factor`` times as many pixels per edge."""
        matrix = np.column_stack([self.matrix[:, :2] / factor, self.matrix[:, 2]])
        return DetectorCrop(matrix, (round(self.shape[0] * factor), round(self.shape[1] * factor)))


def resample(pixels: npt.NDArray, crop: DetectorCrop, order: Literal[0, 1] = 1) -> npt.NDArray:
    """Sample source ``pixels`` (row, column) on the crop's grid, the border repeated outside.

    Linear sampling (``order`` 1) blurs first where the crop is coarser than the source.
    """
    linear = crop.matrix[:, :2]
    if order:
        steps = [hypot(*linear[1]), hypot(*linear[0])]  # source pixels per crop pixel (row, col)
        sigma = [max(0.0, (step - 1) / 2) for step in steps]
        if max(sigma) > 0:
            pixels = ndimage.gaussian_filter(pixels, sigma, mode="nearest", truncate=3)
    swapped = linear[::-1, ::-1]  # scipy uses (row, column) and pixel centres at integers
    offset = crop.matrix[::-1, 2] + swapped @ np.array([0.5, 0.5]) - 0.5
    return ndimage.affine_transform(
        pixels, swapped, offset, output_shape=crop.shape, order=order, mode="nearest"
    )


def inside_slice(crop: DetectorCrop, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the mask of crop pixels (row, column) whose centre lies on a source of ``shape``."""
    rows = np.arange(crop.shape[0])[:, None] + 0.5
    columns = np.arange(crop.shape[1])[None, :] + 0.5
    (a, b, c), (d, e, f) = crop.matrix
    column, row = a * columns + b * rows + c, d * columns + e * rows + f
    return (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])


def crop_image(
    pixels: FloatArray, crop: DetectorCrop, distort: Distortion | None = None
) -> FloatArray:
    """Return the input of the network: float32 (row, column), 0 to 1, 0 outside the slice.

    Grey values run from the 1st to the 99th percentile of what the crop shows of the slice.

    Args:
        pixels: source slice (row, column), any unit.
        crop: the window.
        distort: training's change of grey values, applied before they are scaled.
    """
    sampled = resample(np.asarray(pixels, dtype=np.float32), crop).astype(np.float32)
    sampled = np.nan_to_num(sampled, nan=0.0, posinf=0.0, neginf=0.0)
    if distort is not None:
        sampled = distort(sampled)
    valid = inside_slice(crop, (pixels.shape[0], pixels.shape[1]))
    if not valid.any():
        return np.zeros(crop.shape, dtype=np.float32)
    low, high = np.percentile(sampled[valid], _PERCENTILES)
    scaled = np.clip((sampled - low) / max(float(high - low), 1e-6), 0, 1)
    return np.where(valid, scaled, 0).astype(np.float32)
