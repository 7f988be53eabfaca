"""Render the heart of one slice: label shares and signal, averaged through the slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, MaskArray, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.simulate.anatomy import ANGLES, Directions, HeartShape
from scarseg.simulate.signal import TissueSignals

SMALLEST_RING_MM2 = 60.0
"""Below this area the tip of the apex is not outlined, as readers do not."""


def coverage(distance: FloatArray, pixel_mm: float) -> FloatArray:
    """Return the share of a pixel inside a border, from its signed distance (negative inside)."""
    return np.asarray(np.clip(0.5 - distance / np.float32(pixel_mm), 0, 1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HeartSlice:
    """One rendered slice of the region around the heart.

    ``labels`` uint8 (row, column); ``signal`` float32 (row, column), relative to full
    magnetisation and signed; ``share`` float32 (row, column), the part of each pixel that is heart
    or its fat. What remains of a pixel is 0 in ``signal``.
    """

    labels: LabelArray
    signal: FloatArray
    share: FloatArray


class _Compositor:
    """Signal and share of tissues drawn over each other, later ones on top."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.signal = np.zeros(shape, dtype=np.float32)
        self.share = np.zeros(shape, dtype=np.float32)

    def draw(self, cover: FloatArray, signal: float | FloatArray) -> None:
        keep = 1 - cover
        self.signal *= keep
        self.signal += cover * signal
        self.share *= keep
        self.share += cover


def render_heart(
    heart: HeartShape,
    tissues: TissueSignals,
    x: FloatArray,
    y: FloatArray,
    z: FloatArray,
    pixel_mm: float,
) -> HeartSlice:
    """Render one slice.

    Args:
        x, y: float32 (row, column), heart coordinates of the pixel centres, mm.
        z: float32 (sample), where the slice is sampled through its thickness, mm.
        pixel_mm: in-plane width of a pixel, for its partial volume.
    """
    z3 = z.astype(np.float32).reshape(-1, 1, 1)
    centre_x, centre_y = heart.axis(z3)
    dx, dy = x[None] - centre_x, y[None] - centre_y
    radius = np.hypot(dx, dy)
    wall_map = _WallMap(heart, np.arctan2(dy, dx) - np.float32(heart.rotation), z3[:, :, 0])
    endo, width, reach = wall_map.endo, wall_map.width, wall_map.reach
    above = z3 < 0
    painter = _Compositor(radius.shape)
    _draw_right_ventricle(
        painter, heart, tissues, dx, dy, radius - endo - width, wall_map.fat, z3, pixel_mm
    )
    wall = coverage(radius - endo - width, pixel_mm)
    pool = np.minimum(coverage(radius - endo, pixel_mm), wall)
    depth = (radius - endo) / width
    scar = coverage((depth - reach) * width, max(pixel_mm, tissues.rim_mm)) * (reach > 0)
    scar = np.where((depth < 1.1) & (depth > -0.2), scar, 0).astype(np.float32)
    mvo = wall_map.mvo_share(depth, pixel_mm) * (scar > 0.5)
    atrium = np.where(above, np.float32(0.35), np.float32(1.0))
    muscle = tissues.myocardium + (tissues.scar - tissues.myocardium) * scar * atrium
    muscle = muscle + (tissues.mvo - muscle) * mvo * atrium
    painter.draw(np.where(above, coverage(radius - endo - 2.5, pixel_mm), wall), muscle)
    painter.draw(pool, tissues.blood)
    _draw_papillary_muscles(
        painter, heart, tissues, wall_map.angle, radius, endo, pool, z3, pixel_mm
    )
    sharp = (depth < reach) & (reach > 0)
    labels = _labels(wall, pool, sharp, mvo > 0.5, z < 0, pixel_mm)
    return HeartSlice(labels, painter.signal.mean(axis=0), painter.share.mean(axis=0))


class _WallMap:
    """Values that depend on direction and z alone, for every pixel (sample, row, column).

    ``endo`` and ``width`` in mm, ``reach`` the share of the wall that is scar, ``fat`` the
    thickness of the fat outside in mm.
    """

    def __init__(self, heart: HeartShape, angle: FloatArray, z: FloatArray) -> None:
        directions = Directions(angle)
        fat = np.clip(heart.fat + 2.5 * heart.fat_waves(ANGLES, z), 0, 9)
        self.angle = angle
        self.endo = directions.look_up(heart.endo_radius(ANGLES, z))
        self.width = directions.look_up(heart.wall_width(ANGLES, z))
        self.reach = directions.look_up(heart.scar_reach(ANGLES, z))
        self.fat = directions.look_up(np.asarray(fat, dtype=np.float32))
        self._cores = []
        for scar in heart.scars:
            if scar.mvo:
                inner, start = scar.core(ANGLES, z)
                self._cores.append((directions.look_up(inner), directions.look_up(start)))

    def mvo_share(self, depth: FloatArray, pixel_mm: float) -> FloatArray:
        """Return the share of no-reflow; ``depth`` runs from 0 at the endocardium to 1."""
        share = np.zeros(depth.shape, dtype=np.float32)
        for inner, start in self._cores:
            outside = np.maximum(depth - inner, start - depth)
            np.maximum(share, coverage(outside * self.width, pixel_mm) * (inner > 0.05), out=share)
        return share


def _draw_right_ventricle(
    painter: _Compositor,
    heart: HeartShape,
    tissues: TissueSignals,
    dx: FloatArray,
    dy: FloatArray,
    outside_left: FloatArray,
    fat: FloatArray,
    z: FloatArray,
    pixel_mm: float,
) -> None:
    """Draw epicardial fat, pericardium, RV wall and RV blood."""
    septum = heart.septum_angle + heart.rotation
    cosine, sine = np.float32(np.cos(septum)), np.float32(np.sin(septum))
    along = dx * cosine + dy * sine
    across = -dx * sine + dy * cosine
    share = np.clip(z / heart.rv_length, 0, 1.3)
    size = np.sign(1 - share) * np.sqrt(np.abs(1 - share**2.2))
    epicardium = heart.radius + heart.wall
    half_width = np.maximum(heart.rv_width * size, 0.1)
    half_height = np.maximum(epicardium * heart.rv_height * size, 0.1)
    start = epicardium * 0.4 * np.maximum(size, 0)
    q = np.hypot(
        (along - start) / half_width, (across - heart.rv_lift * size) / half_height
    ).astype(np.float32)
    outside_right = (q - 1) * np.minimum(half_width, half_height) + np.where(size <= 0.05, 50, 0)
    outside = np.minimum(outside_left, outside_right - heart.rv_wall).astype(np.float32)
    painter.draw(coverage(outside - fat - 1.8, pixel_mm), tissues.pericardium)
    painter.draw(coverage(outside - fat, pixel_mm) * (fat > 0.2), tissues.fat)
    painter.draw(coverage(outside_right - heart.rv_wall, pixel_mm), tissues.right_wall)
    painter.draw(coverage(outside_right, pixel_mm), tissues.blood * 0.97)


def _draw_papillary_muscles(
    painter: _Compositor,
    heart: HeartShape,
    tissues: TissueSignals,
    angle: FloatArray,
    radius: FloatArray,
    endo: FloatArray,
    pool: FloatArray,
    z: FloatArray,
    pixel_mm: float,
) -> None:
    """Draw the papillary muscles; they count as cavity."""
    for where, size, middle, half in heart.papillary:
        here = size * np.sqrt(np.clip(1 - ((z - middle) / half) ** 2, 0, 1))
        inward = endo - 0.9 * size - radius
        sideways = radius * np.sin(angle - np.float32(where))
        front = np.cos(angle - np.float32(where)) > 0.3
        distance = np.hypot(inward, sideways / 1.2) - here
        spot = coverage(distance.astype(np.float32), pixel_mm) * pool * front * (here > 0.8)
        painter.draw(spot.astype(np.float32), tissues.myocardium)


def _labels(
    wall: FloatArray,
    pool: FloatArray,
    scar: MaskArray,
    mvo: MaskArray,
    above: MaskArray,
    pixel_mm: float,
) -> LabelArray:
    """Return the label of the tissue that fills most of each pixel through the slice.

    ``wall`` is the share inside the epicardium, ``pool`` inside the endocardium. A slice that
    lies mostly above the base has no labels: the ring is not closed there.
    """
    if float(np.mean(above)) > 0.5:
        return np.zeros(wall.shape[1:], dtype=np.uint8)
    muscle = wall - pool
    within = wall.mean(axis=0)
    inside = pool.mean(axis=0)
    infarct = (muscle * scar).mean(axis=0)
    core = (muscle * (scar & mvo)).mean(axis=0)
    labels = np.where(within > 0.5, np.uint8(Label.MYOCARDIUM), np.uint8(Label.BACKGROUND))
    ring = within - inside
    labels[(within > 0.5) & (infarct > 0.5 * ring)] = Label.SCAR
    labels[(labels == Label.SCAR) & (core > 0.5 * infarct)] = Label.MVO
    labels[(within > 0.5) & (inside > 0.5 * within)] = Label.BLOOD_POOL
    labels = _closed(labels)
    if np.count_nonzero(labels) * pixel_mm**2 < SMALLEST_RING_MM2:
        labels[:] = Label.BACKGROUND
    return np.asarray(labels, dtype=np.uint8)


def _closed(labels: LabelArray) -> LabelArray:
    """Return labels with one closed ring: a thick slice through the apex can leave fragments.

    A reader draws two contours, so the epicardial outline is one component, and the cavity neither
    touches it nor contains fragments of wall.
    """
    if not labels.any():
        return labels
    labels = np.where(_largest(labels > 0), labels, np.uint8(Label.BACKGROUND))
    near_outside = ndimage.binary_dilation(
        labels == Label.BACKGROUND, np.ones((3, 3), dtype=np.bool_)
    )
    open_pool = (labels == Label.BLOOD_POOL) & near_outside
    labels = np.where(open_pool, np.uint8(Label.MYOCARDIUM), labels)
    wall = wall_mask(labels)
    crumbs = wall & ~_largest(wall) & ~near_outside if wall.any() else wall
    return np.where(crumbs, np.uint8(Label.BLOOD_POOL), labels)


def _largest(mask: MaskArray) -> MaskArray:
    """Return the largest connected component of a mask (row, column)."""
    parts, n = ndimage.label(mask)
    if n < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax(), dtype=np.bool_)
