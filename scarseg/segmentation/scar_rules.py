"""Rules between a segmenter's logits and its answer: endocardium, scar over pool, clicks.

Every rule changes logits, never labels, so that wall, pool and scar of one answer agree wherever
they are read: in a proposal, after a click, in the interval of the mass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask
from scarseg.case.prompts import Origin, Point, SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.models import Logits
from scarseg.quant.components import window_around
from scarseg.segmentation.proposal import ProposalRules, split_heart
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


def change_near_clicks(
    logits: Logits,
    previous: Logits | None,
    prompts: SlicePrompts,
    spacing_mm: Spacing,
    level: float,
    rules: ProposalRules,
    heart_wall: MaskArray | None = None,
) -> Logits:
    """Return the answer before, changed by the new one only in the piece that each click names.

    A positive click adds the scar of the new answer that is connected with the clicked pixel. A
    negative one removes scar that the new answer leaves out: what is connected with the clicked
    pixel, within ``rules.negative_reach_mm``, and no deeper inside the scar than that pixel, since
    false scar is mostly a layer along the border of true scar; and anywhere on the slice what the
    new answer leaves out most clearly, more of it for a click deeper inside the scar, which names
    more than a thin layer.

    Only where ``previous`` answered the same prompts without these clicks; else ``logits``.

    Args:
        logits: the new answer, which obeys the clicks.
        level: scar is where its logit is above this, in both answers.
        heart_wall: the wall (row, column) where a reader drew it, else that of the answers.
    """
    clicks = _new_points(logits, previous, prompts)
    if previous is None or not clicks:
        return logits
    wall, new_wall = heart_wall, heart_wall
    if wall is None and logits.wall is not None and previous.wall is not None:
        wall, new_wall = split_heart(previous)[0], split_heart(logits)[0]
    scar, made = previous.scar.copy(), np.zeros(logits.scar.shape, dtype=bool)
    for click in clicks:
        column, row = click.pixel
        if not (0 <= row < scar.shape[0] and 0 <= column < scar.shape[1]):
            continue
        shown = scar > level
        if wall is not None:
            shown &= wall | made
        if click.positive:
            piece = (logits.scar > level) & ~shown
            piece = _connected(piece if new_wall is None else piece & new_wall, row, column)
            made |= piece
        else:
            piece = _removed(shown, logits.scar, level, click, spacing_mm, rules)
            made &= ~piece
        scar[piece] = logits.scar[piece]
    kept = replace(logits, scar=scar, wall=previous.wall, blood_pool=previous.blood_pool)
    return kept if logits.exact else _as_wall(kept, made)


def _removed(
    scar: MaskArray,
    logits: FloatArray,
    level: float,
    click: Point,
    spacing_mm: Spacing,
    rules: ProposalRules,
) -> MaskArray:
    """Return what a negative click removes of scar, by the logits of the new answer."""
    column, row = click.pixel
    near = distance_to_points(scar.shape, (click,), spacing_mm) <= rules.negative_reach_mm
    rows, columns = window_around(scar | near, spacing_mm, max(spacing_mm))
    depth = np.zeros(scar.shape)
    depth[rows, columns] = ndimage.distance_transform_edt(scar[rows, columns], sampling=spacing_mm)
    unwanted, at_click = scar & (logits <= level), depth[row, column]
    piece = _connected(unwanted & near & (depth <= at_click), row, column)
    most = int(rules.negative_far_share_per_mm * at_click * scar.sum())
    clearest = np.sort(logits[unwanted])
    if most < clearest.size:
        unwanted &= logits < clearest[most]
    return piece | unwanted


def _connected(mask: MaskArray, row: int, column: int) -> MaskArray:
    """Return the component of a mask at a pixel, which belongs to it in any case."""
    mask = mask.copy()
    mask[row, column] = True
    parts, _ = ndimage.label(mask)
    found: MaskArray = parts == parts[row, column]
    return found


def keep_clicked_out(labels: LabelArray, before: LabelArray, prompts: SlicePrompts) -> None:
    """Restore, in labels (row, column), what became infarct round a negative click for scar."""
    added = infarct_mask(labels) & ~infarct_mask(before)
    for point in prompts.scar_points:
        column, row = point.pixel
        inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
        if inside and not point.positive and added[row, column]:
            core = _connected(added, row, column)
            labels[core] = before[core]


def as_shown(logits: Logits, labels: LabelArray, level: float) -> Logits:
    """Return logits whose scar in the wall, above ``level``, is that of the labels (row, column).

    They differ where islands were dropped, scar was withheld or painted, or another level held.
    """
    shown = infarct_mask(labels)
    scar = np.where(shown, np.maximum(logits.scar, np.float32(level + WEAK_LOGIT)), logits.scar)
    hidden = labels == Label.MYOCARDIUM
    scar[hidden] = np.minimum(scar[hidden], np.float32(level - WEAK_LOGIT))
    return logits if np.array_equal(scar, logits.scar) else replace(logits, scar=scar)


def _new_points(
    logits: Logits, previous: Logits | None, prompts: SlicePrompts
) -> tuple[Point, ...]:
    """Return the last points for scar where ``previous`` answered all a reader's prompts but them.

    Boxes of a detector do not count: a click may have removed them.
    """
    if previous is None or previous.prompts is None or logits.scar.shape != previous.scar.shape:
        return ()
    earlier = previous.prompts
    before, drawn = (
        [b for b in one.boxes if b.origin is Origin.READER] for one in (earlier, prompts)
    )
    n = len(earlier.scar_points)
    same = prompts.scar_points[:n] == earlier.scar_points and before == drawn
    return prompts.scar_points[n:] if same else ()


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
