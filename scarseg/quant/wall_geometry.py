"""Geometry of the wall in a short-axis slice: centre, closed ring, angles round the centre.

Angles are in degrees, measured in mm from the direction of increasing columns, and turn
right-handed about the axis from base to apex: counter-clockwise as seen from the apex, the view
in which short-axis images are shown and the AHA numbers its segments. A mirrored image of the
same heart has the same order of angles.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray, MaskArray, wall_mask
from scarseg.case.stack import Stack
from scarseg.quant.components import fill_holes

Angles = npt.NDArray[np.float64]

TOWARDS_APEX = np.array([1.0, -1.0, -1.0])
"""Left, anterior and down, in LPS: assumed direction of the apex for a single slice."""
FULL_TURN = 360.0
_ROUNDING_DEGREES = 9


def apex_normal(stack: Stack) -> npt.NDArray[np.float64]:
    """Return the unit normal from base to apex, LPS; for a single slice by ``TOWARDS_APEX``."""
    normal = np.asarray(stack.normal)
    if stack.n_slices == 1 and float(normal @ TOWARDS_APEX) < 0:
        return -normal
    return normal


def angle_direction(stack: Stack) -> int:
    """Return the direction of angles on the screen: 1 clockwise, -1 counter-clockwise."""
    rows_by_columns = np.cross(stack.orientation[:3], stack.orientation[3:])
    return 1 if float(rows_by_columns @ apex_normal(stack)) > 0 else -1


def ring_centre(labels: LabelArray) -> tuple[float, float] | None:
    """Return the centre (column, row) of the wall of a slice (row, column), in continuous pixels.

    The centre of mass of all that a closed wall encloses, itself included; of the blood pool
    where the wall is open, and of the wall where no pool is drawn. None without wall.
    """
    wall = wall_mask(labels)
    if not wall.any():
        return None
    column, row, is_closed = _filled_centre(wall)
    if not is_closed:
        pool = labels == Label.BLOOD_POOL
        if pool.any():
            return _mass_centre(pool)
    return column, row


def _filled_centre(wall: MaskArray) -> tuple[float, float, bool]:
    """Return the centre (column, row) of a wall and all that it encloses, and if that is a cavity.

    Remembered for the last slices: levels, segments, rays and insertion all ask for it.
    """
    return _centre_of_packed(wall.shape, np.packbits(wall).tobytes())


@lru_cache(maxsize=256)
def _centre_of_packed(shape: tuple[int, int], packed: bytes) -> tuple[float, float, bool]:
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=shape[0] * shape[1])
    wall = bits.reshape(shape).astype(bool)
    filled = fill_holes(wall)
    column, row = _mass_centre(filled)
    return column, row, bool((filled & ~wall)[int(row), int(column)])


def _mass_centre(mask: MaskArray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def is_closed_ring(labels: LabelArray) -> bool:
    """Return whether the wall of a slice (row, column) closes round its centre.

    Walls that touch by a corner close; a disc without a cavity is no ring.
    """
    wall = wall_mask(labels)
    if not wall.any():
        return False
    return _filled_centre(wall)[2]


def is_apical_cap(labels: LabelArray) -> bool:
    """Return whether a slice shows wall without any cavity: the tip of the apex."""
    wall = wall_mask(labels)
    if not wall.any() or (labels == Label.BLOOD_POOL).any():
        return False
    centre = ring_centre(labels)
    return centre is not None and bool(wall[int(centre[1]), int(centre[0])])


def angle_of(stack: Stack, centre: tuple[float, float], column: float, row: float) -> float:
    """Return the angle of a point, 0 to 360 degrees; everything in continuous pixels."""
    row_mm, column_mm = stack.pixel_spacing_mm
    x, y = (column - centre[0]) * column_mm, (row - centre[1]) * row_mm
    return float(
        normalize_degrees(np.asarray(angle_direction(stack) * np.degrees(np.arctan2(y, x))))
    )


def pixel_angles(stack: Stack, centre: tuple[float, float], mask: MaskArray) -> Angles:
    """Return the angles (voxel,) of the pixels of a mask (row, column), 0 to 360 degrees."""
    row_mm, column_mm = stack.pixel_spacing_mm
    rows, columns = np.nonzero(mask)
    y, x = (rows + 0.5 - centre[1]) * row_mm, (columns + 0.5 - centre[0]) * column_mm
    return normalize_degrees(angle_direction(stack) * np.degrees(np.arctan2(y, x)))


def normalize_degrees(angles: Angles) -> Angles:
    """Normalise angles to [0, 360), rounded to 1e-9 degrees, so that borders are the same."""
    return np.asarray(np.round(angles, _ROUNDING_DEGREES) % FULL_TURN, dtype=np.float64)


def direction_angle(stack: Stack, direction: npt.ArrayLike) -> float:
    """Return the angle, in the plane of the slices, of a direction in patient space (LPS)."""
    d = np.asarray(direction, dtype=np.float64)
    x = float(d @ np.asarray(stack.orientation[:3]))
    y = float(d @ np.asarray(stack.orientation[3:]))
    return float(
        normalize_degrees(np.asarray(angle_direction(stack) * np.degrees(np.arctan2(y, x))))
    )
