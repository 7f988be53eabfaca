"""Core and grey zone of an infarct by the published schemes, each under its own name.

The schemes differ threefold on the same image: a grey zone is meaningless without its scheme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scarseg.case.labels import MaskArray
from scarseg.case.stack import FloatArray, LgeSequence
from scarseg.quant.components import remove_islands
from scarseg.quant.remote import RemoteRegion
from scarseg.quant.thresholds import (
    RULES,
    MethodUnfit,
    Scope,
    ThresholdMethod,
    ThresholdRules,
    below_remote,
    threshold_levels,
)

ROES_GREY = 0.35
"""Share of the maximum where Roes' grey zone begins."""


class GreyZoneScheme(StrEnum):
    """Published scheme; names as they appear in tables."""

    SCHMIDT = "schmidt"
    """Core over 50 % of the maximum, grey from the peak of remote (Schmidt 2007)."""
    ROES = "roes"
    """Core over 50 % of the maximum, grey from 35 % (Roes 2009)."""
    YAN = "yan"
    """Core over remote and 3 SD, grey from 2 SD (Yan 2006)."""


@dataclass(frozen=True, eq=False)
class GreyZones:
    """Core and grey zone (slice, row, column), apart from each other, with their thresholds.

    Thresholds are per slice, in source units. ``reason`` is the reason why a scheme does not
    apply; its masks are then empty and there is no mass.
    """

    scheme: GreyZoneScheme
    core: MaskArray
    grey: MaskArray
    core_thresholds: tuple[float | None, ...]
    grey_thresholds: tuple[float | None, ...]
    reason: MethodUnfit | None = None


def grey_zone(
    scheme: GreyZoneScheme,
    pixels: FloatArray,
    wall: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    *,
    region: MaskArray | None = None,
    remote: RemoteRegion | None = None,
    sequence: LgeSequence = LgeSequence.MAGNITUDE,
    rules: ThresholdRules = RULES,
) -> GreyZones:
    """Split an infarct into core and grey zone; arguments as for a threshold method.

    Islands are removed from core and grey zone together. Shares of the maximum need a magnitude
    image and a region of scar, as for FWHM. Where the peak of remote is above the core's
    threshold there is no grey zone; a threshold below the mean of remote makes a scheme unfit.
    """
    area = wall if region is None else wall & region
    empty = np.zeros(wall.shape, dtype=bool)
    blank: tuple[float | None, ...] = (None,) * len(wall)
    reason = _unfit_reason(scheme, wall, remote, pixels, sequence)
    if reason is None and region is not None and not area.any():
        reason = MethodUnfit.NO_REGION
    if reason is not None:
        return GreyZones(scheme, empty, empty, blank, blank, reason)
    above = ThresholdMethod.SD_3 if scheme is GreyZoneScheme.YAN else ThresholdMethod.FWHM_MAX
    cores = threshold_levels(above, pixels, wall, area, remote, rules)
    greys = _grey_levels(scheme, pixels, wall, area, remote, rules, cores)
    if below_remote(cores, pixels, remote) or below_remote(greys, pixels, remote):
        reason = MethodUnfit.BELOW_REMOTE
        return GreyZones(scheme, empty, empty, tuple(cores), tuple(greys), reason)
    core, either = empty.copy(), empty.copy()
    for k, (high, low) in enumerate(zip(cores, greys, strict=True)):
        if high is not None and low is not None:
            core[k] = area[k] & (pixels[k] > high)
            either[k] = area[k] & (pixels[k] > min(low, high))
    either = remove_islands(either, pixel_spacing_mm, rules.island_mm2)
    core &= either
    return GreyZones(scheme, core, either & ~core, tuple(cores), tuple(greys))


def _unfit_reason(
    scheme: GreyZoneScheme,
    wall: MaskArray,
    remote: RemoteRegion | None,
    pixels: FloatArray,
    sequence: LgeSequence,
) -> MethodUnfit | None:
    if not wall.any():
        return MethodUnfit.NO_WALL
    if scheme is not GreyZoneScheme.YAN and sequence is LgeSequence.PSIR:
        return MethodUnfit.PSIR
    if scheme is GreyZoneScheme.ROES:
        return None
    known = remote is not None and remote.stack_signal(pixels) is not None
    return None if known else MethodUnfit.NO_REMOTE


def _grey_levels(
    scheme: GreyZoneScheme,
    pixels: FloatArray,
    wall: MaskArray,
    area: MaskArray,
    remote: RemoteRegion | None,
    rules: ThresholdRules,
    cores: Sequence[float | None],
) -> list[float | None]:
    if scheme is GreyZoneScheme.YAN:
        return threshold_levels(ThresholdMethod.SD_2, pixels, wall, area, remote, rules)
    if scheme is GreyZoneScheme.ROES or remote is None:
        return [None if half is None else 2 * ROES_GREY * half for half in cores]
    if rules.scope is Scope.STACK:
        signals = (remote.stack_signal(pixels),) * len(wall)
    else:
        signals = remote.signals(pixels)
    return [
        None if half is None or signal is None else signal.peak
        for half, signal in zip(cores, signals, strict=True)
    ]
