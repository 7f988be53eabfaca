"""Microvascular obstruction (MVO): dark cores inside the infarct or between it and the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.quant.components import fill_holes
from scarseg.quant.remote import N_SD, RemoteSignal, propose_remote

OUTSIDE_SHARE = 0.1
"""A dark core has at most this share of its pixel faces on the outside of the heart."""


@dataclass(frozen=True)
class MvoRule:
    """Thresholds of a dark core.

    Args:
        n_sd: a core is at most this many SD of remote wall brighter than its mean,
        scar_share: or at most this share of the way from there to the bright infarct of its slice
            (90th percentile), whichever is more: blood and scar beside a core brighten its edge.
        smallest_mm2: a smaller core is noise.
    """

    n_sd: float = N_SD
    scar_share: float = 0.0
    smallest_mm2: float = 10.0


MVO_RULE = MvoRule()


def dark_cores(scar: MaskArray, wall: MaskArray) -> MaskArray:
    """Find wall without enhancement that scar encloses (MVO): thresholds miss it.

    A component (four neighbours) of the wall outside scar is a core when it hardly touches the
    epicardium or the image border (at most a tenth of its pixel faces, for a core under an
    epicardial rim too thin for the pixels), touches scar more than blood pool, and is not
    larger than the scar of its slice: it lies within scar, or between scar and blood pool.

    Args:
        scar, wall: (slice, row, column) or (row, column). What a ring of wall encloses is the
            blood pool; where the wall is open, pool and outside are one, and only cores within
            scar are found.

    Returns:
        Mask of the shape of ``scar``.
    """
    if scar.ndim == 3:
        slices = [dark_cores(one, ring) for one, ring in zip(scar, wall, strict=True)]
        return np.stack(slices) if slices else scar
    cores = np.zeros_like(scar)
    if not scar.any():
        return cores
    box = ndimage.find_objects((wall | scar).astype(np.uint8))[0]
    ring, bright = np.pad(wall[box], 1), np.pad(scar[box], 1)
    labelled, n = ndimage.label(ring & ~bright)
    components = np.asarray(labelled, dtype=np.intp)
    outside = ~fill_holes(ring | bright)
    pool = ~(ring | bright | outside)
    on_scar, on_pool, on_outside = (
        _component_faces(components, n, side) for side in (bright, pool, outside)
    )
    sizes = np.bincount(components.ravel(), minlength=n + 1)
    little_outside = on_outside <= OUTSIDE_SHARE * (on_scar + on_pool + on_outside)
    enclosed = little_outside & (on_scar > on_pool) & (sizes <= np.count_nonzero(scar))
    enclosed[0] = False
    cores[box] = enclosed[components][1:-1, 1:-1]
    return cores


def _component_faces(
    components: npt.NDArray[np.intp], n: int, side: MaskArray
) -> npt.NDArray[np.intp]:
    """Count the faces each component shares with a mask of the same shape (row, column)."""
    counts = np.zeros(n + 1, dtype=np.intp)
    for axis in (0, 1):
        for step in (-1, 1):
            counts += np.bincount(components[np.roll(side, step, axis=axis)], minlength=n + 1)
    return counts


def label_mvo(
    pixels: FloatArray,
    labels: LabelArray,
    signal: RemoteSignal,
    spacing: tuple[float, float],
    rule: MvoRule = MVO_RULE,
) -> LabelArray:
    """Label the dark cores of one slice (row, column) as MVO.

    A core is a component (four neighbours) of infarct, or of wall enclosed by it, that is not
    enhanced (see :class:`MvoRule`) and lies within enhanced infarct or between it
    and the blood pool: more of its pixel faces touch enhanced infarct than other wall and
    background, and at least as many as touch the pool. Smaller cores are left as they are.

    Args:
        pixels, labels: (row, column).
        signal: of remote wall.
        spacing: pixel spacing (row, column) in mm.
    """

    infarct = infarct_mask(labels)
    level = signal.mean + rule.n_sd * signal.sd
    if rule.scar_share and infarct.any():
        bright = float(np.percentile(pixels[infarct], 90))
        level = max(level, signal.mean + rule.scar_share * (bright - signal.mean))
    enhanced = infarct & (pixels > level)
    dark = (infarct | dark_cores(infarct, wall_mask(labels))) & ~enhanced
    components, _ = ndimage.label(dark)
    sizes = np.bincount(components.ravel()) * (spacing[0] * spacing[1])
    pool = labels == Label.BLOOD_POOL
    out = labels.copy()
    for number in np.flatnonzero(sizes[1:] >= rule.smallest_mm2) + 1:
        core: MaskArray = components == number
        on_scar, on_pool = _faces(core, enhanced), _faces(core, pool)
        if on_scar > _faces(core, ~(core | enhanced | pool)) and on_scar >= on_pool:
            out[core] = Label.MVO
    return out


def _faces(core: MaskArray, other: MaskArray) -> int:
    """Count the pixel faces that two masks (row, column) share."""
    down = (core[1:] & other[:-1]) | (core[:-1] & other[1:])
    across = (core[:, 1:] & other[:, :-1]) | (core[:, :-1] & other[:, 1:])
    return int(np.count_nonzero(down) + np.count_nonzero(across))


def propose_mvo(
    pixels: FloatArray,
    labels: LabelArray,
    spacing: tuple[float, float],
    rule: MvoRule = MVO_RULE,
) -> LabelArray | None:
    """Label the dark cores of a stack (slice, row, column) as MVO; None without remote wall.

    Cores are found by :func:`label_mvo` with the remote signal of the whole stack.
    """
    signal = propose_remote(wall_mask(labels), spacing, infarct_mask(labels)).stack_signal(pixels)
    if signal is None:
        return None
    return np.stack(
        [
            label_mvo(image, one, signal, spacing, rule) if infarct_mask(one).any() else one
            for image, one in zip(pixels, labels, strict=True)
        ]
    )
