"""Rules between a segmenter's logits and its answer: endocardium, scar over pool, clicks.

Every rule changes logits, never labels, so that wall, pool and scar of one answer agree wherever
they are read: in a proposal, after a click, in the interval of the mass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import MaskArray
from scarseg.case.prompts import Point, SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.models import Logits
from scarseg.quant.components import window_around
from scarseg.segmentation.proposal import split_heart
from scarseg.segmentation.wall_correction import THINNEST_WALL_MM

Spacing = tuple[float, float]

OBEYED_LOGIT = 6.0
"""How far beyond the threshold a click moves the logits round it."""
WEAK_LOGIT = 0.1
"""Smallest absolute logit of a pixel that a rule moved between wall and pool."""


def widen_wall(logits: Logits, spacing_mm: Spacing, level: float, reach_mm: float) -> Logits:
    """Make wall of the pool's pixels whose scar logit is above ``level``, near the wall.

    The network expects walls as thick as most it saw; where scar makes one thicker, it calls the
    scar's inner layer blood pool.

    Args:
        reach_mm: how far from the wall, between centres of pixels; 0 changes nothing.
    """
    if reach_mm <= 0 or logits.wall is None or logits.blood_pool is None:
        return logits
    wall, pool = split_heart(logits)
    scar = pool & (logits.scar > level)
    if not (scar.any() and wall.any()):
        return logits
    rows, columns = window_around(wall | pool, spacing_mm)
    distance = ndimage.distance_transform_edt(~wall[rows, columns], sampling=spacing_mm)
    scar[rows, columns] &= distance <= reach_mm
    return _as_wall(logits, scar)


def move_endocardium(logits: Logits, spacing_mm: Spacing, offset_mm: float) -> Logits:
    """Move the border between pool and wall inwards (positive) or outwards (negative).

    Inwards by at most half the pool's greatest depth, so that a small pool stays one; outwards
    only where a wall of :data:`THINNEST_WALL_MM` is left. Contours of a reader stay.

    Args:
        offset_mm: how far; less than half a pixel changes nothing.
    """
    if offset_mm == 0 or logits.exact or logits.wall is None or logits.blood_pool is None:
        return logits
    wall, pool = split_heart(logits)
    if not (pool.any() and wall.any()):
        return logits
    rows, columns = window_around(wall | pool, spacing_mm, 2 * max(spacing_mm))
    near, half = pool[rows, columns], min(spacing_mm) / 2
    moved = np.zeros_like(pool)
    if offset_mm > 0:
        depth = ndimage.distance_transform_edt(near, sampling=spacing_mm) - half
        moved[rows, columns] = near & (depth < min(offset_mm, depth.max() / 2))
        return _as_wall(logits, moved)
    away = ndimage.distance_transform_edt(~near, sampling=spacing_mm) - half
    inside = ndimage.distance_transform_edt((wall | pool)[rows, columns], sampling=spacing_mm)
    room = wall[rows, columns] & (inside - half >= THINNEST_WALL_MM)
    moved[rows, columns] = room & (away < -offset_mm)
    swapped = _as_wall(replace(logits, wall=logits.blood_pool, blood_pool=logits.wall), moved)
    return replace(swapped, wall=swapped.blood_pool, blood_pool=swapped.wall)


def obey_points(
    logits: Logits, prompts: SlicePrompts, spacing_mm: Spacing, level: float, radius_mm: float
) -> Logits:
    """Make scar round a reader's positive points and none round the negative ones, in order.

    Round a point within the heart only its wall and pool change; a positive point makes wall of
    pool. The pixel clicked always follows.
    """
    if not prompts.scar_points or radius_mm <= 0:
        return logits
    scar = logits.scar.copy()
    heart, made = None, np.zeros(scar.shape, dtype=bool)
    if logits.wall is not None:
        heart = np.logical_or(*split_heart(logits))
    for point in prompts.scar_points:
        column, row = point.pixel
        if not (0 <= row < scar.shape[0] and 0 <= column < scar.shape[1]):
            continue
        disc = distance_to_points(scar.shape, (point,), spacing_mm) <= radius_mm
        if heart is not None and heart[row, column]:
            disc &= heart
        disc[row, column] = True
        if point.positive:
            scar[disc] = np.maximum(scar[disc], np.float32(level + OBEYED_LOGIT))
        else:
            scar[disc] = np.minimum(scar[disc], np.float32(level - OBEYED_LOGIT))
        made = made | disc if point.positive else made & ~disc
    logits = replace(logits, scar=scar)
    return logits if logits.wall is None else _as_wall(logits, made)


def keep_far_from_negative(
    logits: Logits,
    previous: Logits | None,
    prompts: SlicePrompts,
    spacing_mm: Spacing,
    reach_mm: float,
) -> Logits:
    """Keep the answer before a negative click beyond ``reach_mm`` from it.

    Only where ``previous`` answered the same prompts without that click: it is the last point.
    """
    newest = _newest_point(logits, previous, prompts)
    if newest is None or previous is None or newest.positive or reach_mm <= 0:
        return logits
    far = distance_to_points(logits.scar.shape, (newest,), spacing_mm) > reach_mm

    def kept(now: FloatArray | None, before: FloatArray | None) -> FloatArray | None:
        return now if now is None or before is None else np.where(far, before, now)

    return replace(
        logits,
        scar=np.where(far, previous.scar, logits.scar),
        wall=kept(logits.wall, previous.wall),
        blood_pool=kept(logits.blood_pool, previous.blood_pool),
    )


def follow_direction(
    logits: Logits,
    previous: Logits | None,
    prompts: SlicePrompts,
    negative: bool = True,
    positive: bool = True,
) -> Logits:
    """Keep a negative click from adding scar, and a positive one from removing any.

    Only where ``previous`` answered the same prompts without that click: it is the last point.

    Args:
        negative, positive: the clicks for which this holds.
    """
    newest = _newest_point(logits, previous, prompts)
    if newest is None or previous is None:
        return logits
    if newest.positive and positive:
        return replace(logits, scar=np.maximum(logits.scar, previous.scar))
    if not newest.positive and negative:
        return replace(logits, scar=np.minimum(logits.scar, previous.scar))
    return logits


def _newest_point(logits: Logits, previous: Logits | None, prompts: SlicePrompts) -> Point | None:
    """Return the last point for scar where ``previous`` answered all prompts but it."""
    points = prompts.scar_points
    if previous is None or previous.prompts is None or not points:
        return None
    earlier = previous.prompts
    same = earlier.scar_points == points[:-1] and earlier.boxes == prompts.boxes
    return points[-1] if same and logits.scar.shape == previous.scar.shape else None


def previous_answer(
    scar: FloatArray | None, pool: MaskArray | None, wall: MaskArray | None, shape: tuple[int, int]
) -> Logits:
    """Return what a segmenter trained with given walls takes as the answer before.

    Args:
        scar: logits of the answer before, None without any.
        pool, wall: as a reader set them; None where they are the network's own, which must not be
            fed to it.
    """

    from scarseg.models.segmenter_crop import OUTSIDE_LOGIT  # torch must not delay the window

    def certain(mask: MaskArray | None) -> FloatArray:
        if mask is None:
            return np.full(shape, OUTSIDE_LOGIT, dtype=np.float32)
        return np.where(mask, -OUTSIDE_LOGIT, OUTSIDE_LOGIT).astype(np.float32)

    return Logits(certain(None) if scar is None else scar, certain(pool), certain(wall))


def distance_to_points(
    shape: tuple[int, ...], points: tuple[Point, ...], spacing_mm: Spacing
) -> npt.NDArray[np.float64]:
    """Return the distance (row, column) in mm of pixel centres to the nearest clicked pixel."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    each = [
        np.hypot((rows - one.pixel[1]) * spacing_mm[0], (columns - one.pixel[0]) * spacing_mm[1])
        for one in points
    ]
    nearest: npt.NDArray[np.float64] = np.minimum.reduce(each)
    return nearest


def _as_wall(logits: Logits, mask: MaskArray) -> Logits:
    """Return logits whose wall holds a mask and whose pool does not."""
    if logits.wall is None or not mask.any():
        return logits
    wall = np.where(mask, np.maximum(np.abs(logits.wall), np.float32(WEAK_LOGIT)), logits.wall)
    if logits.blood_pool is None:
        return replace(logits, wall=wall)
    no_pool = -np.maximum(np.abs(logits.blood_pool), np.float32(WEAK_LOGIT))
    return replace(logits, wall=wall, blood_pool=np.where(mask, no_pool, logits.blood_pool))
