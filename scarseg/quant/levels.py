"""Where the threshold between remote myocardium and scar lies, by every method in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from skimage.filters import threshold_otsu

from scarseg.labels import MaskArray
from scarseg.quant.remote import RemoteSignal, remote_signals, stack_remote_signal
from scarseg.stack import FloatArray


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
        """Give how many standard deviations above remote, None for the other methods."""
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
    """Give the threshold of every slice, in source units.

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
    """Give the threshold from the values of the wall and of the area in it."""
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
