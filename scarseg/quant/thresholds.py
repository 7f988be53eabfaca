"""Scar by a threshold on the signal inside the wall, by every method in use.

The literature disagrees on which is best, so that a mask here always travels with its method,
its thresholds and its rules. Scar is signal above the threshold, never equal to it. Everything
lies in the wall, and in the region where one is given (a reader's boxes).
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
    RemoteSignal,
    propose_remote_outside,
    remote_signals,
    stack_remote_signal,
)


class ThresholdMethod(StrEnum):
    """Where the threshold lies; names as they appear in tables."""

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
        """Return how many standard deviations above remote, None for the other methods."""
        return int(self.value[2:]) if self.value.startswith("sd") else None

    @property
    def needs_remote(self) -> bool:
        return self.n_sd is not None or self is ThresholdMethod.FWHM_REMOTE


class Scope(StrEnum):
    """What one threshold is for; maximum, minimum and remote are taken from the same."""

    SLICE = "slice"
    STACK = "stack"


@dataclass(frozen=True)
class ThresholdRules:
    """Everything that moves the number beside the method itself.

    Args:
        scope: a threshold per slice, or one for the stack.
        maximum_percentile: 100 is the brightest voxel; less is a robust maximum.
        island_mm2: smaller components (four neighbours, in their slice) are dropped.
        dark_cores: whether wall shut in by scar is offered as MVO.
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
    remote: MaskArray | None,
    rules: ThresholdRules = RULES,
) -> list[float | None]:
    """Return the threshold of every slice, in source units.

    n-SD: mean of remote and n times its sample SD (Kim 1999). FWHM (max): half the maximum of
    the area (Amado 2004). FWHM (remote): halfway from the mean of remote to that maximum.
    FWHM (min): halfway from the minimum of the wall to that maximum. Otsu: of the wall, 256
    bins (Otsu 1979).

    Args:
        method: any but the manual one.
        pixels: float32 (slice, row, column).
        wall: of the same shape.
        area: the part of the wall where scar may be; a slice without has no threshold.
        remote: of the same shape.
        rules: whether each slice or the stack has its threshold, and what a maximum is.
    """
    present = [bool(one.any()) for one in area]
    if rules.scope is Scope.STACK:
        signal = None if remote is None else stack_remote_signal(pixels, remote)
        one = _level(method, pixels[wall], pixels[area], signal, rules) if any(present) else None
        return [one if there else None for there in present]
    signals: Sequence[RemoteSignal | None] = (None,) * len(wall)
    if remote is not None:
        signals = remote_signals(pixels, remote)
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
    """Return the threshold from the values of the wall and of the area in it."""
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
    """Why a method has nothing to say about a stack."""

    NO_WALL = "W_NO_WALL"
    NO_REMOTE = "W_NO_REMOTE"
    PSIR = "W_METHOD_PSIR"
    """Half of a signed maximum means nothing."""


BELOW_REMOTE = "W_THRESHOLD_BELOW_REMOTE"
"""The threshold of a slice is not above its remote myocardium: the method does not fit."""


@dataclass(frozen=True, eq=False)
class ThresholdScar:
    """What a method calls scar.

    ``scar`` and ``mvo`` (slice, row, column), apart from each other; ``thresholds`` per slice in
    source units, None where there was nothing to measure. ``reason`` says why a method does not
    apply; its masks are then empty and no mass is to be printed.
    """

    method: ThresholdMethod
    rules: ThresholdRules
    scar: MaskArray
    mvo: MaskArray
    thresholds: tuple[float | None, ...]
    reason: MethodUnfit | None = None
    warnings: tuple[str, ...] = ()

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
    remote: MaskArray | None = None,
    sequence: LgeSequence = LgeSequence.MAGNITUDE,
    manual: float | Sequence[float] | None = None,
    rules: ThresholdRules = RULES,
) -> ThresholdScar:
    """Find scar by one method.

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
    nothing = np.zeros(wall.shape, dtype=bool)
    blank = ThresholdScar(method, rules, nothing, nothing, (None,) * len(wall))
    if method is ThresholdMethod.FWHM_MAX and sequence is LgeSequence.PSIR:
        return replace(blank, reason=MethodUnfit.PSIR)
    if not wall.any():
        return replace(blank, reason=MethodUnfit.NO_WALL)
    if method is ThresholdMethod.MANUAL:
        levels = _manual_levels(manual, len(wall))
    else:
        levels = threshold_levels(method, pixels, wall, area, remote, rules)
    if all(level is None for level in levels) and area.any():
        return replace(blank, reason=MethodUnfit.NO_REMOTE)
    scar = np.zeros(wall.shape, dtype=bool)
    for k, level in enumerate(levels):
        if level is not None:
            scar[k] = area[k] & (pixels[k] > level)
    if method is ThresholdMethod.FWHM_MAX and rules.grown and region is not None:
        scar = _grown_from_maxima(scar, area, pixels)
    scar = remove_islands(scar, pixel_spacing_mm, rules.island_mm2)
    mvo = dark_cores(scar, wall) & area if rules.dark_cores else nothing
    warnings = _warnings(levels, pixels, remote)
    return ThresholdScar(method, rules, scar, mvo, tuple(levels), warnings=warnings)


def threshold_all_methods(
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    *,
    region: MaskArray | None = None,
    remote: MaskArray | None = None,
    sequence: LgeSequence = LgeSequence.MAGNITUDE,
    rules: ThresholdRules = RULES,
) -> dict[ThresholdMethod, ThresholdScar]:
    """Find scar by every method but the manual one; arguments as :func:`threshold_scar`."""
    return {
        method: threshold_scar(
            method,
            pixels,
            wall,
            pixel_spacing_mm,
            region=region,
            remote=remote,
            sequence=sequence,
            rules=rules,
        )
        for method in ThresholdMethod
        if method is not ThresholdMethod.MANUAL
    }


def fwhm_mask(
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    region: MaskArray | None = None,
    *,
    method: ThresholdMethod = ThresholdMethod.FWHM_REMOTE,
    rules: ThresholdRules = RULES,
) -> MaskArray:
    """Return the infarct by full width at half maximum in the wall and a region.

    Remote is proposed outside the region, where that leaves any. FWHM (remote) is the default
    since it means the same on every grey scale: half of a raw maximum lies below remote
    myocardium wherever nulled tissue is not stored near zero (PSIR, exports to 8 bits), and
    then calls the whole region scar.

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
    remote = propose_remote_outside(pixels, wall, pixel_spacing_mm, region)
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


def _warnings(
    levels: Sequence[float | None], pixels: FloatArray, remote: MaskArray | None
) -> tuple[str, ...]:
    if remote is None:
        return ()
    signals = remote_signals(pixels, remote)
    below = any(
        level is not None and signal is not None and level < signal.mean
        for level, signal in zip(levels, signals, strict=True)
    )
    return (BELOW_REMOTE,) if below else ()
