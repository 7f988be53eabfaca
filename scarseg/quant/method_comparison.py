"""Every threshold method beside the segmentation: what a number owes to the rule behind it.

Each method looks in the whole wall, with the remote region proposed away from the segmented scar.
Otsu's threshold parts any wall in two, scar or not, so it is applied only to slices where the
segmentation has scar. A threshold is one per slice or one for the stack (scope); FWHM also comes
with a robust maximum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import Stack
from scarseg.quant.grey_zone import ROES_GREY, GreyZones, GreyZoneScheme, grey_zone
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm
from scarseg.quant.remote import (
    RemoteSignal,
    propose_remote_outside,
    remote_signals,
    stack_remote_signal,
)
from scarseg.quant.thresholds import (
    BELOW_REMOTE,
    RULES,
    MethodUnfit,
    Scope,
    ThresholdMethod,
    ThresholdRules,
    ThresholdScar,
    threshold_scar,
)

SEGMENTATION = "segmentation"
ROBUST_PERCENTILE = 98.0
"""The labelled, robust maximum of FWHM."""
METHOD_CHOICES = (
    *(str(method) for method in ThresholdMethod if method is not ThresholdMethod.MANUAL),
    *(str(scheme) for scheme in GreyZoneScheme),
)
"""What can be asked for; the segmentation stands beside it always."""

_FWHM = (ThresholdMethod.FWHM_MAX, ThresholdMethod.FWHM_REMOTE, ThresholdMethod.FWHM_MIN)
_SCHEMES = {
    GreyZoneScheme.SCHMIDT: ("over 50 % of maximum", "from peak of remote to 50 % of maximum"),
    GreyZoneScheme.ROES: ("over 50 % of maximum", f"{100 * ROES_GREY:.0f} to 50 % of maximum"),
    GreyZoneScheme.YAN: ("over mean of remote + 3 SD", "mean of remote + 2 SD to + 3 SD"),
}


@dataclass(frozen=True)
class SliceMasses:
    """Mass of a mask per slice, in both conventions."""

    thickness: tuple[float, ...]
    spacing: tuple[float, ...]

    def total(self, convention: MassConvention) -> float:
        thick = convention is MassConvention.THICKNESS
        return fsum(self.thickness if thick else self.spacing)


@dataclass(frozen=True)
class MethodResult:
    """What one method makes of a stack.

    ``rule`` says in words where the line is drawn. ``scar`` is the infarct (scar and MVO; core or
    grey zone of a scheme), ``mvo`` what of it is MVO; both None where ``reason`` says why the
    method does not apply. ``thresholds`` per slice, source units, the lower end of a grey zone.
    """

    name: str
    rule: str
    scope: Scope | None
    maximum_percentile: float | None
    needs_remote: bool
    island_mm2: float | None
    mvo_rule: str
    thresholds: tuple[float | None, ...]
    n_voxels: tuple[int, ...]
    scar: SliceMasses | None
    mvo: SliceMasses | None
    reason: MethodUnfit | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """The segmentation and every method that was asked for, with what they share.

    ``remote`` (slice, row, column) is the proposed reference region; ``remote_slices`` and
    ``remote_stack`` its signal. ``wall`` is the mass of the wall.
    """

    results: tuple[MethodResult, ...]
    remote: MaskArray
    remote_slices: tuple[RemoteSignal | None, ...]
    remote_stack: RemoteSignal | None
    wall: SliceMasses
    density_g_per_ml: float

    def percent(self, result: MethodResult, convention: MassConvention) -> float | None:
        """Return a method's scar in percent of the wall's mass; None without either."""
        lv = self.wall.total(convention)
        if result.scar is None or lv == 0:
            return None
        return 100 * result.scar.total(convention) / lv

    def result(self, name: str, scope: Scope | None = Scope.SLICE) -> MethodResult | None:
        """Find a method by name and scope, with the brightest voxel as maximum."""
        for one in self.results:
            if one.name == name and one.scope is scope and one.maximum_percentile in (None, 100.0):
                return one
        return None


def compare_methods(
    stack: Stack,
    labels: LabelArray,
    chosen: Sequence[str] = METHOD_CHOICES,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    remote: MaskArray | None = None,
) -> MethodComparison:
    """Weigh the scar of every method beside that of the labels.

    Args:
        labels: uint8 (slice, row, column): the wall that is searched and the segmentation.
        chosen: of ``CHOICES``; the segmentation always comes first.
        density_g_per_ml: of myocardium.
        remote: drawn by a reader, of the same shape; proposed otherwise.
    """
    wall, infarct = wall_mask(labels), infarct_mask(labels)
    has_muscle = bool((labels == Label.MYOCARDIUM).any())
    searched = wall if has_muscle else np.zeros_like(wall)  # scar alone is no wall
    if remote is None:
        remote = propose_remote_outside(stack.pixels, searched, stack.pixel_spacing_mm, infarct)
    scale = _MaskScale(stack, density_g_per_ml)
    results = [scale.segmentation(labels)]
    for method, rules in _variants(chosen):
        region = None
        if method is ThresholdMethod.OTSU:
            region = searched & infarct.any(axis=(1, 2), keepdims=True)
        found = threshold_scar(
            method,
            stack.pixels,
            searched,
            stack.pixel_spacing_mm,
            region=region,
            remote=remote,
            sequence=stack.sequence,
            rules=rules,
        )
        results.append(scale.threshold(found))
    for scheme, rules in _schemes(chosen):
        zones = grey_zone(
            scheme,
            stack.pixels,
            searched,
            stack.pixel_spacing_mm,
            remote=remote,
            sequence=stack.sequence,
            rules=rules,
        )
        signals = remote_signals(stack.pixels, remote)
        results += scale.zones(zones, rules, _below_remote(zones, signals))
    return MethodComparison(
        tuple(results),
        remote,
        remote_signals(stack.pixels, remote),
        stack_remote_signal(stack.pixels, remote),
        scale.grams(searched),
        density_g_per_ml,
    )


def _variants(chosen: Sequence[str]) -> Iterator[tuple[ThresholdMethod, ThresholdRules]]:
    for method in ThresholdMethod:
        if method is ThresholdMethod.MANUAL or str(method) not in chosen:
            continue
        for scope in Scope:
            yield method, replace(RULES, scope=scope)
        if method in _FWHM:
            yield method, replace(RULES, maximum_percentile=ROBUST_PERCENTILE)


def _schemes(chosen: Sequence[str]) -> Iterator[tuple[GreyZoneScheme, ThresholdRules]]:
    for scheme in GreyZoneScheme:
        if str(scheme) in chosen:
            for scope in Scope:
                yield scheme, replace(RULES, scope=scope)


class _MaskScale:
    """Weigh masks on the grid of one stack."""

    def __init__(self, stack: Stack, density: float) -> None:
        self.area_mm2 = stack.pixel_spacing_mm[0] * stack.pixel_spacing_mm[1]
        self.thick, self.spaced = (slice_depths_mm(stack, one) for one in MassConvention)
        self.density = density

    def grams(self, mask: MaskArray) -> SliceMasses:
        counts = _counts(mask)
        return SliceMasses(self._weighed(counts, self.thick), self._weighed(counts, self.spaced))

    def _weighed(self, counts: Sequence[int], depths: Sequence[float]) -> tuple[float, ...]:
        return tuple(
            self.density / MM3_PER_ML * (n * self.area_mm2 * depth)
            for n, depth in zip(counts, depths, strict=True)
        )

    def segmentation(self, labels: LabelArray) -> MethodResult:
        infarct = infarct_mask(labels)
        return MethodResult(
            SEGMENTATION,
            "the labels that are measured",
            None,
            None,
            False,
            None,
            "as labelled",
            (None,) * len(labels),
            _counts(infarct),
            self.grams(infarct),
            self.grams(labels == Label.MVO),
        )

    def threshold(self, found: ThresholdScar) -> MethodResult:
        method, rules, there = found.method, found.rules, found.reason is None
        return MethodResult(
            str(method),
            threshold_rule(method),
            rules.scope,
            rules.maximum_percentile if str(method).startswith("fwhm") else None,
            method.needs_remote,
            rules.island_mm2,
            "dark cores shut in by scar" if rules.dark_cores else "none",
            found.thresholds,
            _counts(found.infarct),
            self.grams(found.infarct) if there else None,
            self.grams(found.mvo) if there else None,
            found.reason,
            found.warnings,
        )

    def zones(
        self, zones: GreyZones, rules: ThresholdRules, warnings: tuple[str, ...]
    ) -> Iterator[MethodResult]:
        scheme = zones.scheme
        for part, rule, mask, thresholds in (
            ("core", _SCHEMES[scheme][0], zones.core, zones.core_thresholds),
            ("grey", _SCHEMES[scheme][1], zones.grey, zones.grey_thresholds),
        ):
            yield MethodResult(
                f"{scheme}_{part}",
                rule,
                rules.scope,
                None if scheme is GreyZoneScheme.YAN else rules.maximum_percentile,
                scheme is GreyZoneScheme.YAN
                or (part == "grey" and scheme is GreyZoneScheme.SCHMIDT),
                rules.island_mm2,
                "none",
                thresholds,
                _counts(mask),
                self.grams(mask) if zones.reason is None else None,
                None,
                zones.reason,
                warnings,
            )


def _below_remote(zones: GreyZones, signals: Sequence[RemoteSignal | None]) -> tuple[str, ...]:
    """Warn where a core begins below the mean of remote: then all muscle is called core."""
    below = any(
        level is not None and signal is not None and level < signal.mean
        for level, signal in zip(zones.core_thresholds, signals, strict=True)
    )
    return (BELOW_REMOTE,) if below else ()


def threshold_rule(method: ThresholdMethod) -> str:
    """Say in words where a method draws the line."""
    if method.n_sd is not None:
        return f"mean of remote + {method.n_sd} SD"
    return {
        ThresholdMethod.FWHM_MAX: "half of maximum",
        ThresholdMethod.FWHM_REMOTE: "halfway from mean of remote to maximum",
        ThresholdMethod.FWHM_MIN: "halfway from minimum of wall to maximum",
        ThresholdMethod.OTSU: "Otsu, on slices with segmented scar",
        ThresholdMethod.MANUAL: "chosen by the reader",
    }[method]


def _counts(mask: MaskArray) -> tuple[int, ...]:
    return tuple(int(n) for n in np.count_nonzero(mask, axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class MassCurve:
    """Grams above each threshold; ``thresholds`` rise, in source units, ``mass_g`` falls."""

    thresholds: npt.NDArray[np.float64]
    mass_g: npt.NDArray[np.float64]
    convention: MassConvention

    def mass_at(self, threshold: float) -> float:
        """Return the grams above a threshold, interpolated linearly."""
        return float(np.interp(threshold, self.thresholds, self.mass_g))


def mass_curve(
    stack: Stack,
    wall: MaskArray,
    region: MaskArray | None = None,
    *,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    n_points: int = 101,
) -> MassCurve | None:
    """Weigh the wall above every threshold, the same on all slices.

    No island is dropped and no dark core added, so that the curve only falls.

    Args:
        stack: gives signals and lengths.
        wall: (slice, row, column).
        region: where scar may be, of the same shape; all of the wall without it.
        convention: the depth a slice stands for.
        density_g_per_ml: of myocardium.
        n_points: evenly from the lowest signal of the wall to the highest.

    Returns:
        None when there is no wall in the region.
    """
    area = wall if region is None else wall & region
    if not area.any():
        return None
    row_mm, column_mm = stack.pixel_spacing_mm
    depths = np.asarray(slice_depths_mm(stack, convention), dtype=np.float64)
    grams = density_g_per_ml / MM3_PER_ML * row_mm * column_mm * depths
    values = stack.pixels[area].astype(np.float64)
    order = np.argsort(values, kind="stable")
    values, weights = values[order], grams[np.nonzero(area)[0]][order]
    below = np.concatenate(([0.0], np.cumsum(weights)))
    thresholds = np.linspace(values[0], values[-1], n_points)
    reached = np.searchsorted(values, thresholds, side="right")
    mass = np.maximum(below[-1] - below[reached], 0.0)
    return MassCurve(thresholds, mass, convention)
