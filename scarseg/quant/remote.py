"""Remote myocardium: a region of the wall that serves as normal, proposed or drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.case import Case
from scarseg.case.labels import MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray

SECTOR_DEGREES = 60.0
STEP_DEGREES = 10.0
SCAR_MARGIN_MM = 3.0
"""A sector keeps this far from scar that is known."""
MINIMUM_VOXELS = 8
"""Fewer voxels give no usable standard deviation."""


@dataclass(frozen=True)
class RemoteSignal:
    """Signal of remote myocardium, in source units; ``sd`` is the sample SD (1/(n - 1))."""

    mean: float
    sd: float
    peak: float
    n_voxels: int


def propose_remote(
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    scar: MaskArray | None = None,
) -> MaskArray:
    """Propose the remote region of every slice: the dimmest and evenest sector of the wall.

    That is the lowest mean + 2 SD: by the mean alone, a dark core (MVO) with its bright rim is
    taken for muscle in large infarcts. The deeper half of the wall is cut in sectors of 60
    degrees every 10 degrees, in mm, round the middle of what the wall encloses; a sector with
    fewer than 8 voxels, or nearer than 3 mm to scar, is not considered. A slice without such a
    sector proposes nothing.

    Args:
        pixels: float32 (slice, row, column).
        wall: of the same shape.
        pixel_spacing_mm: (row, column).
        scar: what is known of it, MVO included, of the same shape.
    """
    remote = np.zeros(wall.shape, dtype=bool)
    for k in range(len(wall)):
        known = None if scar is None else scar[k]
        remote[k] = _propose_in_slice(pixels[k], wall[k], pixel_spacing_mm, known)
    return remote


def propose_remote_outside(
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    region: MaskArray | None,
) -> MaskArray:
    """Propose the remote region outside a reader's boxes, as :func:`propose_remote`.

    A box holds healthy wall too: on a slice where the boxes leave no sector, the dimmest sector
    serves all the same.
    """
    remote = propose_remote(pixels, wall, pixel_spacing_mm, region)
    for k in np.flatnonzero(~remote.any(axis=(1, 2))):
        remote[k] = _propose_in_slice(pixels[k], wall[k], pixel_spacing_mm, None)
    return remote


def remote_sector(
    wall: MaskArray, pixel_spacing_mm: tuple[float, float], at: tuple[float, float]
) -> MaskArray:
    """Return the sector of the deeper half of a wall (row, column) that looks towards a place.

    As wide as a proposed one. ``at`` (column, row) in continuous pixels, pixel i is [i, i + 1).
    """
    if not wall.any():
        return np.zeros_like(wall)
    row, column = ndimage.center_of_mass(ndimage.binary_fill_holes(wall))
    y = (at[1] - 0.5 - row) * pixel_spacing_mm[0]
    x = (at[0] - 0.5 - column) * pixel_spacing_mm[1]
    centre = np.degrees(np.arctan2(y, x))
    off = np.abs((ring_angles(wall, pixel_spacing_mm) - centre + 180.0) % 360.0 - 180.0)
    middle = mid_wall(wall, pixel_spacing_mm)
    return np.asarray(middle & (off <= SECTOR_DEGREES / 2 + 1e-9), dtype=np.bool_)


def remote_signals(pixels: FloatArray, remote: MaskArray) -> tuple[RemoteSignal | None, ...]:
    """Measure the remote region of every slice.

    A slice with fewer than 8 voxels takes the signal of all slices together; when those are
    too few as well, there is none.
    """
    together = _signal(pixels[remote])
    return tuple(
        _signal(image[region]) or together for image, region in zip(pixels, remote, strict=True)
    )


def stack_remote_signal(pixels: FloatArray, remote: MaskArray) -> RemoteSignal | None:
    """Measure the remote regions of all slices together; None with fewer than 8 voxels."""
    return _signal(pixels[remote])


def mid_wall(wall: MaskArray, pixel_spacing_mm: tuple[float, float]) -> MaskArray:
    """Keep the deeper half of a wall (row, column): as far from both borders as it gets."""
    if not wall.any():
        return wall
    depth = ndimage.distance_transform_edt(np.pad(wall, 1), sampling=pixel_spacing_mm)
    depth = np.asarray(depth)[1:-1, 1:-1]
    return np.asarray(wall & (depth >= np.median(depth[wall])), dtype=np.bool_)


def ring_angles(wall: MaskArray, pixel_spacing_mm: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return the angle of every pixel (row, column) round the middle of the ring, in degrees.

    From the image's right, clockwise on the screen, measured in mm.
    """
    row, column = ndimage.center_of_mass(ndimage.binary_fill_holes(wall))
    y = (np.arange(wall.shape[0]) - row) * pixel_spacing_mm[0]
    x = (np.arange(wall.shape[1]) - column) * pixel_spacing_mm[1]
    return np.asarray(np.degrees(np.arctan2(y[:, None], x[None, :])), dtype=np.float64)


def _propose_in_slice(
    image: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    scar: MaskArray | None,
) -> MaskArray:
    remote = np.zeros_like(wall)
    if np.count_nonzero(wall) < MINIMUM_VOXELS:
        return remote
    sides = ndimage.find_objects(wall.astype(np.uint8))[0]
    # Scar this far outside the wall's rectangle still counts.
    margins = [int(np.ceil(SCAR_MARGIN_MM / spacing)) + 1 for spacing in pixel_spacing_mm]
    box = tuple(
        slice(max(0, side.start - margin), side.stop + margin)
        for side, margin in zip(sides, margins, strict=True)
    )
    known = None if scar is None else scar[box]
    remote[box] = _dimmest_sector(image[box], wall[box], pixel_spacing_mm, known)
    return remote


def _dimmest_sector(
    image: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    scar: MaskArray | None,
) -> MaskArray:
    middle = mid_wall(wall, pixel_spacing_mm)
    values = image[middle].astype(np.float64)
    angles = ring_angles(wall, pixel_spacing_mm)[middle]
    near = np.zeros(values.shape, dtype=bool)
    if scar is not None and scar.any():
        away = np.asarray(ndimage.distance_transform_edt(~scar, sampling=pixel_spacing_mm))
        near = away[middle] < SCAR_MARGIN_MM
    best, lowest = np.zeros_like(near), np.inf
    for centre in np.arange(0.0, 360.0, STEP_DEGREES):
        off = np.abs((angles - centre + 180.0) % 360.0 - 180.0)
        # Closed on both sides, so that a mirrored image has mirrored sectors.
        sector = off <= SECTOR_DEGREES / 2 + 1e-9
        if np.count_nonzero(sector) < MINIMUM_VOXELS or (sector & near).any():
            continue
        height = float(values[sector].mean() + 2 * values[sector].std())
        if height < lowest:
            best, lowest = sector, height
    remote = np.zeros_like(wall)
    remote[middle] = best
    return remote


def _signal(values: FloatArray) -> RemoteSignal | None:
    if values.size < MINIMUM_VOXELS:
        return None
    v = values.astype(np.float64)
    return RemoteSignal(float(v.mean()), float(v.std(ddof=1)), float(v.max()), int(v.size))


N_SD = 2.0
SEARCH_MARGIN_PIXELS = 2
"""Pixels kept round the wall where the remote region is looked for."""


def remote_signal(case: Case) -> RemoteSignal | None:
    """Measure the remote wall that :func:`scarseg.quant.remote.propose_remote` finds beside scar.

    None with too little wall.
    """
    pixels, labels = case.stack.pixels, case.labels
    rows, columns = np.nonzero(wall_mask(labels).any(axis=0))
    if rows.size == 0:
        return None
    # The search costs by area: only round the wall.
    window = (
        slice(None),
        slice(max(rows.min() - SEARCH_MARGIN_PIXELS, 0), rows.max() + SEARCH_MARGIN_PIXELS + 1),
        slice(
            max(columns.min() - SEARCH_MARGIN_PIXELS, 0), columns.max() + SEARCH_MARGIN_PIXELS + 1
        ),
    )
    pixels, labels = pixels[window], labels[window]
    scar = infarct_mask(labels)
    region = propose_remote(
        pixels, wall_mask(labels), case.stack.pixel_spacing_mm, scar if scar.any() else None
    )
    return stack_remote_signal(pixels, region)
