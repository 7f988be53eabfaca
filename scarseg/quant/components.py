"""Connected pieces of masks in a slice: islands too small to count, dark cores inside scar."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import MaskArray

OUTSIDE_SHARE = 0.1
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""Neighbours across edges and corners."""


def remove_islands(
    mask: MaskArray, pixel_spacing_mm: tuple[float, float], smallest_mm2: float
) -> MaskArray:
    """Drop the components (four neighbours, in their slice) smaller than this.

    Args:
        mask: (slice, row, column) or (row, column).
        pixel_spacing_mm: (row, column).
        smallest_mm2: a component of just this area stays.
    """
    if mask.ndim == 3:
        slices = [remove_islands(one, pixel_spacing_mm, smallest_mm2) for one in mask]
        return np.stack(slices) if slices else mask
    pieces, n = ndimage.label(mask)
    if n == 0:
        return mask
    areas = np.bincount(pieces.ravel()) * (pixel_spacing_mm[0] * pixel_spacing_mm[1])
    # 4 pixels of 2.5 mm2 are 10 mm2, whatever the rounding.
    kept = areas >= smallest_mm2 * (1 - 1e-9)
    kept[0] = False
    return np.asarray(kept[pieces], dtype=np.bool_)


def connected_to_seeds(mask: MaskArray, seeds: MaskArray) -> MaskArray:
    """Keep the components (eight neighbours) of a mask (row, column) that hold a seed."""
    pieces, n = ndimage.label(mask, EIGHT_NEIGHBOURS)
    kept = np.zeros(n + 1, dtype=bool)
    kept[pieces[seeds & mask]] = True
    kept[0] = False
    return np.asarray(kept[pieces], dtype=np.bool_)


def dark_cores(scar: MaskArray, wall: MaskArray) -> MaskArray:
    """Propose what no threshold finds: wall without enhancement, shut in by scar (MVO).

    A piece (four neighbours) of the wall outside scar is a core when it hardly reaches the
    epicardium or the image border (a tenth of its pixel faces at most, for a core under an
    epicardial rim too thin for the pixels), borders more on scar than on blood pool, and is not
    larger than the scar of its slice: it lies within scar, or between scar and blood pool.

    Args:
        scar, wall: (slice, row, column) or (row, column). What a ring of wall encloses is the
            blood pool; where the wall is open, pool and outside are one, and only cores within
            scar are found.
    """
    if scar.ndim == 3:
        slices = [dark_cores(one, ring) for one, ring in zip(scar, wall, strict=True)]
        return np.stack(slices) if slices else scar
    cores = np.zeros_like(scar)
    if not scar.any():
        return cores
    box = ndimage.find_objects((wall | scar).astype(np.uint8))[0]
    ring, bright = np.pad(wall[box], 1), np.pad(scar[box], 1)
    found, n = ndimage.label(ring & ~bright)
    pieces = np.asarray(found, dtype=np.intp)
    outside = ~ndimage.binary_fill_holes(ring | bright)
    pool = ~(ring | bright | outside)
    on_scar, on_pool, on_outside = (_faces(pieces, n, side) for side in (bright, pool, outside))
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    few = on_outside <= OUTSIDE_SHARE * (on_scar + on_pool + on_outside)
    shut_in = few & (on_scar > on_pool) & (sizes <= np.count_nonzero(scar))
    shut_in[0] = False
    cores[box] = shut_in[pieces][1:-1, 1:-1]
    return cores


def _faces(pieces: npt.NDArray[np.intp], n: int, side: MaskArray) -> npt.NDArray[np.intp]:
    """Count the faces each piece shares with a mask of the same shape (row, column)."""
    counts = np.zeros(n + 1, dtype=np.intp)
    for axis in (0, 1):
        for step in (-1, 1):
            counts += np.bincount(pieces[np.roll(side, step, axis=axis)], minlength=n + 1)
    return counts
