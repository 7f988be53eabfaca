"""Segment scar by a threshold on the signal inside the wall, by every method in use.

The literature disagrees on which method is best, so a mask always comes with its method, its
thresholds and its rules. Scar is signal above the threshold, never equal to it. It lies in the
wall, and in a region where one is given.

The methods that take a share of the maximum assume hyperenhancement: in a wall without scar the
maximum is noise, and half of it lies below healthy muscle. ``ThresholdMethod.needs_region`` names
them; they apply in a region of segmented or boxed scar only (Amado 2004 grows the infarct from a
region the reader chose).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask
from scarseg.case.stack import FloatArray, LgeSequence
from scarseg.errors import InputError
from scarseg.quant.components import EIGHT_NEIGHBOURS, connected_to_seeds, remove_islands
from scarseg.quant.mvo import dark_cores
from scarseg.quant.remote import (
    SCAR_MARGIN_MM,
    RemoteRegion,
    RemoteSignal,
    propose_remote_outside,
)


class ThresholdMethod(StrEnum):
    """Rule of the threshold; names as they appear in tables."""

    SD_2 = "sd2"
    SD_3 = "sd3"
    SD_4 = "sd4"
    SD_5 = "sd5"
    SD_6 = "sd6"
    FWHM_MAX = "fwhm_max"
    FWHM_REMOTE = "fwhm_remote"
    FWHM_MIN = "fwhm_min"
    OTSU = "otsu"
    MANUAL = "manual"

    @property
    def n_sd(self) -> int | None:
        """Number of standard deviations above remote, None for the other methods."""
        return int(self.value[2:]) if self.value.startswith("sd") else None

    @property
    def needs_remote(self) -> bool:
        """Return whether the threshold is computed from remote myocardium."""
        return self.n_sd is not None or self is ThresholdMethod.FWHM_REMOTE

    @property
    def needs_region(self) -> bool:
        """Return whether the threshold is a share of a maximum, valid only where there is scar."""
        return self in (
            ThresholdMethod.FWHM_MAX,
            ThresholdMethod.FWHM_REMOTE,
            ThresholdMethod.FWHM_MIN,
        )


class Scope(StrEnum):
    """Extent of one threshold; maximum, minimum and remote are taken from the same extent."""

    SLICE = "slice"
    STACK = "stack"


@dataclass(frozen=True)
class ThresholdRules:
    """Settings of a method.

    Args:
        scope: a threshold per slice, or one for the stack.
        maximum_percentile: 100 is the brightest voxel; less is a robust maximum.
        island_mm2: smaller components (four neighbours, in their slice) are dropped.
        dark_cores: whether wall enclosed by scar becomes MVO.
        grown: FWHM (max) keeps what is connected (eight neighbours) to the brightest voxel of
            each connected part of the region; without a region every component stays.
    """

    scope: Scope = Scope.SLICE
    maximum_percentile: float = 100.0
    island_mm2: float = 10.0
    dark_cores: bool = True
    grown: bool = True


RULES = ThresholdRules()


def threshold_levels(
    method: ThresholdMethod,
    pixels: FloatArray,
    wall: MaskArray,
    area: MaskArray,
    remote: RemoteRegion | None,
    rules: ThresholdRules = RULES,
) -> list[float | None]:
    """Compute the threshold of every slice, in source units.

    n-SD: mean of remote and n times its sample SD (Kim 1999). FWHM (max): half the maximum of
    the area (Amado 2004). FWHM (remote): halfway from the mean of remote to that maximum.
    FWHM (min): halfway from the minimum of the wall to that maximum. Otsu: of the wall, 256
    bins (Otsu 1979).

    Args:
        method: any but the manual one.
        pixels: float32 (slice, row, column).
        wall: of the same shape.
        area: the part of the wall where scar may be; a slice without has no threshold.
        remote: region of the same stack.
        rules: whether each slice or the stack has its threshold, and what a maximum is.
    """
    present = [bool(one.any()) for one in area]
    if rules.scope is Scope.STACK:
        signal = None if remote is None else remote.stack_signal(pixels)
        one = _level(method, pixels[wall], pixels[area], signal, rules) if any(present) else None
        return [one if there else None for there in present]
    signals: Sequence[RemoteSignal | None] = (None,) * len(wall)
    if remote is not None:
        signals = remote.signals(pixels)
    return [
        _level(method, pixels[k][wall[k]], pixels[k][area[k]], signals[k], rules)
        if present[k]
        else None
        for k in range(len(wall))
    ]


def _level(
    method: ThresholdMethod,
    wall: FloatArray,
    area: FloatArray,
    remote: RemoteSignal | None,
    rules: ThresholdRules,
) -> float | None:
    """Compute the threshold from the values of the wall and of the area in it."""
    if method.needs_remote and remote is None:
        return None
    maximum = float(np.percentile(area.astype(np.float64), rules.maximum_percentile))
    if remote is not None and method.n_sd is not None:
        return remote.mean + method.n_sd * remote.sd
    if remote is not None and method is ThresholdMethod.FWHM_REMOTE:
        return (remote.mean + maximum) / 2
    if method is ThresholdMethod.FWHM_MAX:
        return maximum / 2
    if method is ThresholdMethod.FWHM_MIN:
        return (float(wall.min()) + maximum) / 2
    if method is ThresholdMethod.OTSU:
        return float(threshold_otsu(wall.astype(np.float64)))
    raise ValueError(f"{method} has no threshold of its own")


class MethodUnfit(StrEnum):
    """Reason why a method has no result for a stack."""

    NO_WALL = "W_NO_WALL"
    NO_REMOTE = "W_NO_REMOTE"
    PSIR = "W_METHOD_PSIR"
    """Half of a signed maximum means nothing."""
    NO_REGION = "W_METHOD_REGION"
    """The method works in segmented or boxed scar, and there is none."""
    BELOW_REMOTE = "W_THRESHOLD_BELOW_REMOTE"
    """The threshold of a slice is not above its remote myocardium: muscle would be scar."""


def scar_region(
    wall: MaskArray,
    scar: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    boxes: MaskArray | None = None,
) -> MaskArray:
    """Return the region of the wall in which a share of the maximum is meaningful.

    Segmented scar and a reader's boxes, grown by 3 mm within the wall: scar that the region's
    edge cuts off is reached again, remote myocardium (:func:`scarseg.quant.remote.propose_remote`)
    is not.

    Args:
        wall, scar, boxes: masks (slice, row, column); scar with MVO.
        pixel_spacing_mm: (row, column).
    """
    region = np.zeros_like(wall)
    for k in range(len(wall)):
        seed = scar[k] if boxes is None else scar[k] | boxes[k]
        if (seed & wall[k]).any():
            away = ndimage.distance_transform_edt(~seed, sampling=pixel_spacing_mm)
            region[k] = wall[k] & (np.asarray(away) < SCAR_MARGIN_MM)
    return region


@dataclass(frozen=True, eq=False)
class ThresholdScar:
    """Scar by one method.

    ``scar`` and ``mvo`` (slice, row, column), disjoint; ``thresholds`` per slice in source units,
    None where there was nothing to measure. ``reason`` is the reason why a method does not
    apply; its masks are then empty and there is no mass.
    """

    method: ThresholdMethod
    rules: ThresholdRules
    scar: MaskArray
    mvo: MaskArray
    thresholds: tuple[float | None, ...]
    reason: MethodUnfit | None = None

    @property
    def infarct(self) -> MaskArray:
        return self.scar | self.mvo

    def apply_to(self, labels: LabelArray) -> LabelArray:
        """Return labels (slice, row, column) with this scar in place of the one they have."""
        applied = labels.copy()
        applied[infarct_mask(labels)] = Label.MYOCARDIUM
        applied[self.scar] = Label.SCAR
        applied[self.mvo] = Label.MVO
        return applied


def threshold_scar(
    method: ThresholdMethod,
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    *,
    region: MaskArray | None = None,
    remote: RemoteRegion | None = None,
    sequence: LgeSequence = LgeSequence.MAGNITUDE,
    manual: float | Sequence[float] | None = None,
    rules: ThresholdRules = RULES,
) -> ThresholdScar:
    """Segment scar by one method.

    A method whose threshold is not above the remote signal of every slice that has one is unfit:
    its reason is given instead of a mask.

    Args:
        method: see :func:`threshold_levels`.
        pixels: float32 (slice, row, column).
        wall: myocardium, scar and MVO, of the same shape.
        pixel_spacing_mm: (row, column).
        region: where scar may be, of the same shape; all of the wall without it.
        remote: for the methods that need it, see :func:`scarseg.quant.remote.propose_remote`.
        sequence: FWHM (max) is for magnitude images only.
        manual: threshold of the manual method, one, or one per slice.
        rules: everything else.

    Raises:
        InputError: E_THRESHOLD, the manual method without a finite threshold per slice.
    """
    area = wall if region is None else wall & region
    empty = np.zeros(wall.shape, dtype=bool)
    blank = ThresholdScar(method, rules, empty, empty, (None,) * len(wall))
    if method is ThresholdMethod.FWHM_MAX and sequence is LgeSequence.PSIR:
        return replace(blank, reason=MethodUnfit.PSIR)
    if not wall.any():
        return replace(blank, reason=MethodUnfit.NO_WALL)
    if region is not None and not area.any():
        return replace(blank, reason=MethodUnfit.NO_REGION)
    if method is ThresholdMethod.MANUAL:
        levels = _manual_levels(manual, len(wall))
    else:
        levels = threshold_levels(method, pixels, wall, area, remote, rules)
    if all(level is None for level in levels):
        return replace(blank, reason=MethodUnfit.NO_REMOTE)
    if method is not ThresholdMethod.MANUAL and below_remote(levels, pixels, remote):
        return replace(blank, thresholds=tuple(levels), reason=MethodUnfit.BELOW_REMOTE)
    scar = np.zeros(wall.shape, dtype=bool)
    for k, level in enumerate(levels):
        if level is not None:
            scar[k] = area[k] & (pixels[k] > level)
    if method is ThresholdMethod.FWHM_MAX and rules.grown and region is not None:
        scar = _grown_from_maxima(scar, area, pixels)
    scar = remove_islands(scar, pixel_spacing_mm, rules.island_mm2)
    mvo = dark_cores(scar, wall) & area if rules.dark_cores else empty
    return ThresholdScar(method, rules, scar, mvo, tuple(levels))


def fwhm_mask(
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    region: MaskArray | None = None,
    *,
    method: ThresholdMethod = ThresholdMethod.FWHM_REMOTE,
    rules: ThresholdRules = RULES,
) -> MaskArray:
    """Segment the infarct by full width at half maximum in the wall and a region.

    Remote is proposed outside the region, where that leaves any. FWHM (remote) is the default
    since it means the same on every grey scale: half of a raw maximum lies below remote
    myocardium wherever nulled tissue is not stored near zero (PSIR, exports to 8 bits).

    Arguments as :func:`threshold_scar`; also of a single slice (row, column).
    """
    if pixels.ndim == 2:
        here = None if region is None else region[np.newaxis]
        stack = fwhm_mask(
            pixels[np.newaxis],
            wall[np.newaxis],
            pixel_spacing_mm,
            here,
            method=method,
            rules=rules,
        )
        return np.asarray(stack[0], dtype=np.bool_)
    remote = propose_remote_outside(wall, pixel_spacing_mm, region)
    return threshold_scar(
        method, pixels, wall, pixel_spacing_mm, region=region, remote=remote, rules=rules
    ).infarct


def _manual_levels(manual: float | Sequence[float] | None, n_slices: int) -> list[float | None]:
    given: list[float] = []
    if manual is not None:
        given = [float(level) for level in np.asarray(manual, dtype=np.float64).ravel()]
    if len(given) == 1:
        given *= n_slices
    if len(given) != n_slices or not np.isfinite(given).all():
        raise InputError("E_THRESHOLD", "A manual threshold is a number, or one per slice.")
    return list(given)


def _grown_from_maxima(scar: MaskArray, area: MaskArray, pixels: FloatArray) -> MaskArray:
    """Keep what hangs together with the brightest voxel of each connected part of the area."""
    grown = list(scar)
    for k, image in enumerate(pixels):
        parts, n = ndimage.label(area[k], EIGHT_NEIGHBOURS)
        seeds = np.zeros_like(grown[k])
        for part in range(1, n + 1):
            here = parts == part
            seeds |= here & (image == image[here].max())
        grown[k] = connected_to_seeds(grown[k], seeds)
    return np.stack(grown)


def below_remote(
    levels: Sequence[float | None], pixels: FloatArray, remote: RemoteRegion | None
) -> bool:
    """Return whether the threshold of any slice is below its remote signal."""
    if remote is None:
        return False
    return any(
        level is not None and signal is not None and level < signal.mean
        for level, signal in zip(levels, remote.signals(pixels), strict=True)
    )
