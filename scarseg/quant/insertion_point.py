"""Propose the anterior insertion point of the right ventricle, for a reader to correct.

Two sources. The image: outside the septum lies blood as bright as the cavity's, for centimetres;
outside the free wall lie lung, fat and liver. The orientation of the slices: the septum faces
right and forward, at 45 degrees in the axial plane (the left anterior oblique view looks along
it), and the septum takes a third of the ring (Cerqueira et al. 2002). Where the image shows no
such arc the orientation alone proposes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, wall_mask
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import FloatArray, Stack
from scarseg.quant import wall_geometry
from scarseg.quant.components import fill_holes
from scarseg.quant.segments import Level, propose_levels

SEPTUM_FACES = (-1.0, -1.0, 0.0)
"""From the left ventricle through the septum: right and anterior, LPS."""
SEPTUM_DEGREES = 120.0
WIDTHS = np.arange(80.0, 161.0, 5.0)
"""Widths in degrees of the arcs tried for the contact of the RV with the ring."""
DEPTHS_MM = np.arange(3.0, 10.0, 1.0)
"""Depths outside the wall where blood is sampled; the border of the septum blurs the first."""
LIKE_BLOOD = (0.4, 1.6)
"""Range of blood, as a share of the way from muscle to the cavity's blood."""
FAINTEST_ARC = 0.3
"""An arc must hold this much more blood than the rest of the ring."""
MOST_BEYOND = 20.0
"""Degrees by which an end may lie outside the best arc."""
ORIENTATION_WEIGHT = 0.15
"""Weight of the expected direction of the septum against shares of blood."""

Profile = npt.NDArray[np.float64]


class InsertionSource(StrEnum):
    """Source of a proposal."""

    IMAGE = "image"
    ORIENTATION = "orientation"


@dataclass(frozen=True)
class InsertionProposal:
    """A proposed anterior insertion: on the epicardium of the middle slice.

    ``angle`` in degrees, as in :mod:`scarseg.quant.wall_geometry`; ``septum_degrees`` the width of
    the septum found; ``contrast`` how much more blood lies outside it than elsewhere, -1 to 1.
    """

    point: InsertionPoint
    angle: float
    septum_degrees: float
    contrast: float
    source: InsertionSource


def propose_insertion(stack: Stack, labels: LabelArray) -> InsertionProposal | None:
    """Propose the anterior insertion of a stack; None where no slice has a closed ring.

    Args:
        stack: pixels, spacing and orientation.
        labels: uint8 (slice, row, column) with the wall.
    """
    levels = propose_levels(labels, stack)
    upper = [k for k, level in enumerate(levels) if level in (Level.BASAL, Level.MID)]
    upper = [k for k in upper if wall_geometry.is_closed_ring(labels[k])]
    if not upper:
        return None
    faces = wall_geometry.direction_angle(stack, SEPTUM_FACES)
    profiles = [one for k in upper if (one := blood_share_outside(stack, labels, k)) is not None]
    middle = upper[len(upper) // 2]
    blood = np.mean(profiles, axis=0) if profiles else np.zeros(int(wall_geometry.FULL_TURN))
    found = _best_arc(blood, faces) if profiles else None
    if found is None or found[2] < FAINTEST_ARC:
        angle, width = faces - SEPTUM_DEGREES / 2, SEPTUM_DEGREES
        contrast, source = 0.0 if found is None else found[2], InsertionSource.ORIENTATION
    else:
        start, end = _ends(blood, found[0], found[1])
        angle, width, contrast = start, end - start, found[2]
        source = InsertionSource.IMAGE
    angle = float(wall_geometry.normalize_degrees(np.asarray(angle)))
    point = on_epicardium(stack, labels[middle], middle, angle)
    return InsertionProposal(point, angle, float(width), float(contrast), source)


def blood_share_outside(stack: Stack, labels: LabelArray, index: int) -> Profile | None:
    """Compute, for every degree of one slice, the share of samples outside the wall like blood.

    Element i belongs to angle i + 0.5. None where there is no cavity or muscle to compare with,
    or the cavity is not the brighter one.
    """
    one = labels[index]
    image = stack.pixels[index]
    cavity = fill_holes(wall_mask(one)) & ~wall_mask(one)
    centre = wall_geometry.ring_centre(one)
    muscle = image[one == Label.MYOCARDIUM]
    if centre is None or not cavity.any() or not muscle.size:
        return None
    dark, bright = float(np.median(muscle)), float(np.median(image[cavity]))
    if bright <= dark:
        return None
    epicardium = epicardial_radii_mm(stack, one, centre)
    level = (sample_rays(stack, image, centre, epicardium[:, None] + DEPTHS_MM) - dark) / (
        bright - dark
    )
    like = (level > LIKE_BLOOD[0]) & (level < LIKE_BLOOD[1])
    return np.asarray(like.mean(axis=1), dtype=np.float64)


def epicardial_radii_mm(
    stack: Stack, labels: LabelArray, centre: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Compute the radius of the epicardium along every degree; 0 where there is no wall.

    Element i belongs to angle i + 0.5; in mm, good to a quarter of a pixel.
    """
    wall = wall_mask(labels).astype(np.float32)
    row_mm, column_mm = stack.pixel_spacing_mm
    step = min(stack.pixel_spacing_mm) / 4
    rows, columns = np.nonzero(wall)
    if not rows.size:
        return np.zeros(int(wall_geometry.FULL_TURN))
    reach = np.hypot((rows + 0.5 - centre[1]) * row_mm, (columns + 0.5 - centre[0]) * column_mm)
    distance = np.arange(step, float(reach.max()) + max(stack.pixel_spacing_mm), step)
    nearest = float(reach.min()) - 2 * max(stack.pixel_spacing_mm)
    distance = distance[distance >= nearest]  # nearer to the centre there is no wall
    tiled = np.broadcast_to(distance, (int(wall_geometry.FULL_TURN), len(distance)))
    inside = sample_rays(stack, wall, centre, tiled) > 0.5
    last = len(distance) - 1 - np.argmax(inside[:, ::-1], axis=1)
    return np.where(inside.any(axis=1), distance[last], 0.0)


def sample_rays(
    stack: Stack,
    image: FloatArray,
    centre: tuple[float, float],
    radii_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Sample an image (row, column) along a ray every degree: ``radii_mm`` (360, samples).

    Row i runs at angle i + 0.5; what lies beyond the image is 0.
    """
    row_mm, column_mm = stack.pixel_spacing_mm
    turn = (
        wall_geometry.angle_direction(stack)
        * np.radians(np.arange(wall_geometry.FULL_TURN) + 0.5)[:, None]
    )
    rows = centre[1] + np.sin(turn) * radii_mm / row_mm - 0.5
    columns = centre[0] + np.cos(turn) * radii_mm / column_mm - 0.5
    sampled = ndimage.map_coordinates(image, (rows, columns), order=1, mode="constant")
    return np.asarray(sampled, dtype=np.float64)


def _best_arc(blood: Profile, faces: float) -> tuple[float, float, float]:
    """Return (centre, width, contrast) of the arc that parts blood from the rest best."""
    n = len(blood)
    centres = np.arange(0, n, 2)
    half = np.floor(WIDTHS / 2 + 0.5).astype(np.intp)[:, None]  # rays on either side of the centre
    sums = np.concatenate(([0.0], np.cumsum(np.tile(blood, 3))))
    inside = sums[n + centres + half] - sums[n + centres - half]
    contrast = inside / (2 * half) - (blood.sum() - inside) / (n - 2 * half)
    score = contrast + ORIENTATION_WEIGHT * np.cos(np.radians(centres - faces))
    width, centre = np.unravel_index(np.argmax(score), score.shape)
    return float(centres[centre]), float(WIDTHS[width]), float(contrast[width, centre])


def _ends(blood: Profile, centre: float, width: float) -> tuple[float, float]:
    """Return where blood falls to half of what it is inside an arc, at most 20 degrees beyond it.

    An RV is a crescent: its thin ends count less in the arc's contrast than lung beside them.
    """
    smooth = ndimage.uniform_filter1d(blood, 5, mode="wrap")
    degrees = np.arange(-width / 2, width / 2)
    half = float(np.median(smooth[_index(centre + degrees)])) / 2
    ends = []
    for way in (-1, 1):
        reach = width / 2
        while reach < width / 2 + MOST_BEYOND and smooth[_index(centre + way * reach)] > half:
            reach += 1
        ends.append(centre + way * reach)
    return ends[0], ends[1]


def _index(angle: npt.ArrayLike) -> npt.NDArray[np.intp]:
    return np.asarray(np.floor(angle) % wall_geometry.FULL_TURN, dtype=np.intp)


def on_epicardium(stack: Stack, labels: LabelArray, index: int, angle: float) -> InsertionPoint:
    """Return the point of slice ``index`` (labels: row, column) where the wall ends at an angle."""
    centre = wall_geometry.ring_centre(labels)
    if centre is None:
        raise ValueError("a closed ring has a middle")
    radius = epicardial_radii_mm(stack, labels, centre)[int(angle) % int(wall_geometry.FULL_TURN)]
    turn = np.radians(wall_geometry.angle_direction(stack) * angle)
    row_mm, column_mm = stack.pixel_spacing_mm
    return InsertionPoint(
        index,
        centre[0] + float(np.cos(turn)) * float(radius) / column_mm,
        centre[1] + float(np.sin(turn)) * float(radius) / row_mm,
    )
