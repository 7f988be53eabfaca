"""Draw walls as a reader or another program would give them, for the network to be prompted with.

The network has maps of pool and wall among its prompts. They hold what was set from outside and
nothing else: fed with its own wall it would only believe itself more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Maps = npt.NDArray[np.float32]

GIVEN_SHARE = 1 / 3
"""Share of the samples whose wall is given."""
BOTH, ENDOCARDIUM = 0.65, 0.85
"""Cumulative shares of the contours that are given: both, the endocardium, the epicardium."""
ERROR_MM = (0.2, 1.6)
"""Range of the standard deviation of a contour from the true one, in mm."""
SMOOTH_MM = 10.0
"""Standard deviation of the Gaussian that smooths the errors along a contour, in mm."""


def draw_given_wall(pool: Mask, wall: Mask, spacing_mm: float, rng: np.random.Generator) -> Maps:
    """Draw the maps of pool and wall (2, row, column) that a reader's contours would give.

    Each contour is off by a smooth error. Of the endocardium alone the pool is known and no
    wall; of the epicardium alone all of the heart is in the map of the wall and no pool.
    """
    kind = rng.random()
    spacing = (spacing_mm, spacing_mm)
    heart = move_border(
        ndimage.binary_fill_holes(pool | wall), spacing, rng.uniform(*ERROR_MM), rng
    )
    inside = move_border(pool, spacing, rng.uniform(*ERROR_MM), rng)
    maps = np.zeros((2, *pool.shape), dtype=np.float32)
    if kind < ENDOCARDIUM:
        maps[0] = inside
    if kind < BOTH:
        maps[0] *= heart
        maps[1] = heart & ~inside
    elif kind >= ENDOCARDIUM:
        maps[1] = heart
    return maps


def move_border(
    mask: Mask, spacing_mm: tuple[float, float], rms_mm: float, rng: np.random.Generator
) -> Mask:
    """Return a mask whose border is moved in or out by a smooth random distance.

    Args:
        mask: (row, column), neither empty nor full.
        spacing_mm: (row, column).
        rms_mm: root mean square of the distance along the border.
    """
    smooth = [SMOOTH_MM / one for one in spacing_mm]
    error = ndimage.gaussian_filter(rng.normal(0, 1, mask.shape), smooth)
    inside = ndimage.distance_transform_edt(mask, spacing_mm)
    depth = inside - ndimage.distance_transform_edt(~mask, spacing_mm)
    depth -= np.sign(depth) * min(spacing_mm) / 2  # the border lies between two pixels
    border = np.abs(depth) <= max(spacing_mm)
    error *= rms_mm / max(float(np.sqrt(np.mean(error[border] ** 2))), 1e-9)
    return np.asarray(depth + error > 0)
