"""Remote myocardium: the part of the wall that serves as normal, proposed or drawn by a reader.

The proposal is the deeper half of the wall outside known scar, all round. It is measured by its
median and 1.4826 times the median absolute deviation, the standard deviation of a normal
distribution: scar that is not known, up to a third of the wall, then moves it little. A sector
chosen for its low signal would have too small a standard deviation by selection, and call a third
of a healthy wall scar. A drawn region is measured by mean and sample standard deviation, as its
sources do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.labels import MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.quant.components import fill_holes, window_around

SECTOR_DEGREES = 60.0
"""Width of the sector a reader picks with one click."""
SCAR_MARGIN_MM = 3.0
"""The proposed region keeps this far from known scar."""
MINIMUM_VOXELS = 8
"""Fewer voxels give no usable standard deviation."""
MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
N_SD = 2.0
"""Standard deviations above remote from which signal counts as enhanced (Kim 1999)."""


@dataclass(frozen=True)
class RemoteSignal:
    """Signal of remote myocardium in source units.

    ``mean`` and ``sd`` of a drawn region are the mean and the sample SD (1/(n - 1)); of a
    proposed one the median and the scaled median absolute deviation. ``peak`` is the maximum.
    """

    mean: float
    sd: float
    peak: float
    n_voxels: int


@dataclass(frozen=True, eq=False)
class RemoteRegion:
    """Remote region of a stack: ``mask`` (slice, row, column), and the slices a reader drew."""

    mask: MaskArray
    drawn_slices: frozenset[int] = frozenset()

    @classmethod
    def drawn(cls, mask: MaskArray) -> RemoteRegion:
        """Return a region that a reader drew on every slice where it has voxels."""
        return cls(mask, frozenset(int(k) for k in np.flatnonzero(mask.any(axis=(1, 2)))))

    def with_drawn(self, regions: Mapping[int, MaskArray]) -> RemoteRegion:
        """Return the region with those (row, column) of a reader in place of proposed ones."""
        mask = self.mask.copy()
        for k, region in regions.items():
            mask[k] = region
        return RemoteRegion(mask, self.drawn_slices | frozenset(regions))

    @property
    def origin(self) -> str:
        """How the region came about and is measured, as written in tables."""
        return "drawn (mean and SD)" if self.drawn_slices else "proposed (median and MAD)"

    def signals(self, pixels: FloatArray) -> tuple[RemoteSignal | None, ...]:
        """Measure every slice.

        A slice with fewer than 8 voxels takes the signal of the stack; None where that has too
        few as well.
        """
        stack = self.stack_signal(pixels)
        return tuple(
            _signal(image[region], k in self.drawn_slices) or stack
            for k, (image, region) in enumerate(zip(pixels, self.mask, strict=True))
        )

    def stack_signal(self, pixels: FloatArray) -> RemoteSignal | None:
        """Measure all slices together: those that were drawn, where any was."""
        slices = sorted(self.drawn_slices) or range(len(pixels))
        values = pixels[slices][self.mask[slices]]
        return _signal(values, bool(self.drawn_slices))


def propose_remote(
    wall: MaskArray, pixel_spacing_mm: tuple[float, float], scar: MaskArray | None = None
) -> RemoteRegion:
    """Propose the remote region: the deeper half of the wall, at least 3 mm from known scar.

    A slice with fewer than 8 such voxels has none.

    Args:
        wall: (slice, row, column).
        pixel_spacing_mm: (row, column).
        scar: known scar with MVO, of the shape of ``wall``.
    """
    mask = np.zeros(wall.shape, dtype=bool)
    for k in range(len(wall)):
        known = None if scar is None else scar[k]
        mask[k] = _scar_free_wall(wall[k], pixel_spacing_mm, known)
    return RemoteRegion(mask)


def propose_remote_outside(
    wall: MaskArray, pixel_spacing_mm: tuple[float, float], region: MaskArray | None
) -> RemoteRegion:
    """Propose the remote region outside scar or a reader's boxes, as :func:`propose_remote`.

    Boxes hold healthy wall too: where they leave no region on any slice, the deeper half of the
    whole wall serves.
    """
    remote = propose_remote(wall, pixel_spacing_mm, region)
    return remote if remote.mask.any() else propose_remote(wall, pixel_spacing_mm)


def drawn_remote(case: Case, wall: MaskArray | None = None) -> dict[int, MaskArray]:
    """Return the remote regions (row, column) that a reader drew, by slice, on today's labels.

    What is no wall or became scar since is left out; a region of fewer than 8 voxels is none.

    Args:
        case: whose regions.
        wall: (slice, row, column), that of the labels by default.
    """
    wall = wall_mask(case.labels) if wall is None else wall
    regions = {}
    for k, patch in case.remote_regions.items():
        region = np.zeros(wall.shape[1:], dtype=np.uint8)
        patch.apply(region)
        kept = (region > 0) & wall[k] & ~infarct_mask(case.labels[k])
        if np.count_nonzero(kept) >= MINIMUM_VOXELS:
            regions[k] = kept
    return regions


def drawn_mask(case: Case) -> MaskArray:
    """Return the mask (slice, row, column) of the remote regions that a reader drew."""
    mask = np.zeros(case.labels.shape, dtype=np.bool_)
    for k, region in drawn_remote(case).items():
        mask[k] = region
    return mask


def case_remote(case: Case, wall: MaskArray, region: MaskArray | None) -> RemoteRegion:
    """Return the remote region of a case: drawn by its reader where he did, else proposed.

    Args:
        case: whose.
        wall: (slice, row, column), that is searched.
        region: scar or boxes to stay away from, as :func:`propose_remote_outside`.
    """
    proposed = propose_remote_outside(wall, case.stack.pixel_spacing_mm, region)
    return proposed.with_drawn(drawn_remote(case, wall))


def remote_sector(
    wall: MaskArray, pixel_spacing_mm: tuple[float, float], at: tuple[float, float]
) -> MaskArray:
    """Return the sector of 60 degrees of the deeper half of a wall (row, column) towards a point.

    ``at`` (column, row) in continuous pixels, pixel i is [i, i + 1).
    """
    if not wall.any():
        return np.zeros_like(wall)
    row, column = ndimage.center_of_mass(fill_holes(wall))
    y = (at[1] - 0.5 - row) * pixel_spacing_mm[0]
    x = (at[0] - 0.5 - column) * pixel_spacing_mm[1]
    centre = np.degrees(np.arctan2(y, x))
    off = np.abs((ring_angles(wall, pixel_spacing_mm) - centre + 180.0) % 360.0 - 180.0)
    middle = mid_wall(wall, pixel_spacing_mm)
    return np.asarray(middle & (off <= SECTOR_DEGREES / 2 + 1e-9), dtype=np.bool_)


def mid_wall(wall: MaskArray, pixel_spacing_mm: tuple[float, float]) -> MaskArray:
    """Return the deeper half of a wall (row, column): the voxels furthest from both borders."""
    if not wall.any():
        return wall
    box = window_around(wall, pixel_spacing_mm)  # distances cost by area
    near, middle = wall[box], np.zeros_like(wall)
    depth = ndimage.distance_transform_edt(np.pad(near, 1), sampling=pixel_spacing_mm)
    depth = np.asarray(depth)[1:-1, 1:-1]
    middle[box] = near & (depth >= np.median(depth[near]))
    return middle


def ring_angles(wall: MaskArray, pixel_spacing_mm: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return the angle of every pixel (row, column) round the centre of the ring, in degrees.

    From the image's right, clockwise on the screen, measured in mm.
    """
    row, column = ndimage.center_of_mass(fill_holes(wall))
    y = (np.arange(wall.shape[0]) - row) * pixel_spacing_mm[0]
    x = (np.arange(wall.shape[1]) - column) * pixel_spacing_mm[1]
    return np.asarray(np.degrees(np.arctan2(y[:, None], x[None, :])), dtype=np.float64)


def remote_signal(case: Case) -> RemoteSignal | None:
    """Measure the proposed remote region of a case, all slices together; None without one."""
    scar = infarct_mask(case.labels)
    region = propose_remote(wall_mask(case.labels), case.stack.pixel_spacing_mm, scar)
    return region.stack_signal(case.stack.pixels)


def slice_remote_signal(
    pixels: FloatArray, wall: MaskArray, scar: MaskArray, pixel_spacing_mm: tuple[float, float]
) -> RemoteSignal | None:
    """Measure the proposed remote region of one slice; all arrays (row, column)."""
    return _signal(pixels[_scar_free_wall(wall, pixel_spacing_mm, scar)], drawn=False)


def _scar_free_wall(
    wall: MaskArray, pixel_spacing_mm: tuple[float, float], scar: MaskArray | None
) -> MaskArray:
    """Return the deeper half of a wall (row, column) away from scar; empty below 8 voxels."""
    region = np.zeros_like(wall)
    if np.count_nonzero(wall) < MINIMUM_VOXELS:
        return region
    # Distances cost by area: only the wall's rectangle, with scar this near outside it.
    box = window_around(wall, pixel_spacing_mm, SCAR_MARGIN_MM)
    found = mid_wall(wall[box], pixel_spacing_mm)
    if scar is not None and scar[box].any():
        away = ndimage.distance_transform_edt(~scar[box], sampling=pixel_spacing_mm)
        found = found & (np.asarray(away) >= SCAR_MARGIN_MM)
    if np.count_nonzero(found) >= MINIMUM_VOXELS:
        region[box] = found
    return region


def _signal(values: FloatArray, drawn: bool) -> RemoteSignal | None:
    if values.size < MINIMUM_VOXELS:
        return None
    v = values.astype(np.float64)
    if drawn:
        return RemoteSignal(float(v.mean()), float(v.std(ddof=1)), float(v.max()), int(v.size))
    median = float(np.median(v))
    sd = MAD_TO_SD * float(np.median(np.abs(v - median)))
    return RemoteSignal(median, sd, float(v.max()), int(v.size))
