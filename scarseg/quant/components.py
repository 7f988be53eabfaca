"""Connected pieces of masks in a slice: islands too small to count, dark cores inside scar."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from scarseg.labels import MaskArray

EIGHT = np.ones((3, 3), dtype=bool)
"""Neighbours across edges and corners."""


def without_islands(
    mask: MaskArray, pixel_spacing_mm: tuple[float, float], smallest_mm2: float
) -> MaskArray:
    """Drop the components (four neighbours, in their slice) smaller than this.

    Args:
        mask: (slice, row, column) or (row, column).
        pixel_spacing_mm: (row, column).
        smallest_mm2: a component of just this area stays.
    """
    if mask.ndim == 3:
        slices = [without_islands(one, pixel_spacing_mm, smallest_mm2) for one in mask]
        return np.stack(slices) if slices else mask
    pieces, n = ndimage.label(mask)
    if n == 0:
        return mask
    areas = np.bincount(pieces.ravel()) * (pixel_spacing_mm[0] * pixel_spacing_mm[1])
    # 4 pixels of 2.5 mm2 are 10 mm2, whatever the rounding.
    kept = areas >= smallest_mm2 * (1 - 1e-9)
    kept[0] = False
    return np.asarray(kept[pieces], dtype=np.bool_)


def grown_from(mask: MaskArray, seeds: MaskArray) -> MaskArray:
    """Keep the components (eight neighbours) of a mask (row, column) that hold a seed."""
    pieces, n = ndimage.label(mask, EIGHT)
    kept = np.zeros(n + 1, dtype=bool)
    kept[pieces[seeds & mask]] = True
    kept[0] = False
    return np.asarray(kept[pieces], dtype=np.bool_)


def dark_cores(scar: MaskArray, wall: MaskArray) -> MaskArray:
    """Propose what no threshold finds: wall without enhancement, shut in by scar (MVO).

    A piece (four neighbours) of the wall outside scar is a core when it does not reach the
    epicardium or the image border, touches more scar than blood pool, and is not larger than
    the scar of its slice: it lies within scar, or between scar and blood pool.

    Args:
        scar, wall: (slice, row, column) or (row, column). What a ring of wall encloses is the
            blood pool; where the wall is open, pool and outside are one, and only cores within
            scar are found.
    """
    if scar.ndim == 3:
        slices = [dark_cores(one, ring) for one, ring in zip(scar, wall, strict=True)]
        return np.stack(slices) if slices else scar
    cores = np.zeros_like(scar)
    pieces, n = ndimage.label(wall & ~scar)
    if n == 0 or not scar.any():
        return cores
    padded = np.pad(wall | scar, 1)
    outside = ~ndimage.binary_fill_holes(padded)
    pool = ~padded & ~outside
    for piece in range(1, n + 1):
        core = np.pad(pieces == piece, 1)
        rim = ndimage.binary_dilation(core) & ~core
        touched = np.count_nonzero(rim & np.pad(scar, 1))
        shut_in = not (rim & outside).any()
        if (
            shut_in
            and touched > np.count_nonzero(rim & pool)
            and np.count_nonzero(core) <= np.count_nonzero(scar)
        ):
            cores |= pieces == piece
    return cores
