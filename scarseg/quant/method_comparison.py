"""Compute every threshold method beside the segmentation, and the mass above any threshold.

The n-SD methods and Yan's grey zone apply to the whole wall. Shares of a maximum (FWHM, Schmidt,
Roes) apply to the region of segmented or boxed scar (:func:`scarseg.quant.thresholds.scar_region`):
on a healthy wall they would call all of it scar. Otsu's threshold splits any wall in two, so it
applies to slices with segmented or boxed scar. A threshold is one per slice or one for the stack
(scope); FWHM also comes with a robust maximum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import fsum

import numpy as np
import numpy.typing as npt

from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.prompts import Origin
from scarseg.case.stack import Stack
from scarseg.quant.components import inside_boxes
from scarseg.quant.grey_zone import ROES_GREY, GreyZones, GreyZoneScheme, grey_zone
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm
from scarseg.quant.remote import (
    SCAR_MARGIN_MM,
    RemoteRegion,
    RemoteSignal,
    case_remote,
    propose_remote_outside,
)
from scarseg.quant.thresholds import (
    RULES,
    MethodUnfit,
    Scope,
    ThresholdMethod,
    ThresholdRules,
    ThresholdScar,
    scar_region,
    threshold_scar,
)

SEGMENTATION = "segmentation"
ROBUST_PERCENTILE = 98.0
"""Percentile of the robust maximum of FWHM."""
METHOD_CHOICES = (
    *(str(method) for method in ThresholdMethod if method is not ThresholdMethod.MANUAL),
    *(str(scheme) for scheme in GreyZoneScheme),
)
"""Methods to choose from; the segmentation is always included."""

WALL = "wall"
WALL_OF_SCAR_SLICES = "wall of slices with scar"
SCAR_REGION = f"scar + {SCAR_MARGIN_MM:g} mm"
"""Values of the column ``search_region``."""

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
    """Result of one method on a stack.

    ``rule`` describes the threshold, ``search_region`` where it is applied. ``scar`` is the
    infarct (scar and MVO; core or grey zone of a scheme), ``mvo`` the part of it that is MVO;
    both None where ``reason`` explains why the method does not apply. ``thresholds`` per slice
    in source units, the lower end of a grey zone.
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
    search_region: str | None = None


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """The segmentation and every chosen method, with what they share.

    ``remote_region`` is the reference region; ``remote_slices`` and ``remote_stack`` its signal.
    ``wall`` is the mass of the wall.
    """

    results: tuple[MethodResult, ...]
    remote_region: RemoteRegion
    remote_slices: tuple[RemoteSignal | None, ...]
    remote_stack: RemoteSignal | None
    wall: SliceMasses
    density_g_per_ml: float

    @property
    def remote(self) -> MaskArray:
        """Mask (slice, row, column) of the remote region."""
        return self.remote_region.mask

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
    remote: RemoteRegion | None = None,
    boxes: MaskArray | None = None,
) -> MethodComparison:
    """Compute the mass of every method beside that of the labels.

    Args:
        stack: pixels and lengths.
        labels: uint8 (slice, row, column): the wall that is searched and the segmentation.
        chosen: of ``METHOD_CHOICES``; the segmentation always comes first.
        density_g_per_ml: of myocardium.
        remote: drawn by a reader; proposed otherwise.
        boxes: mask (slice, row, column) of a reader's boxes, which may hold scar that is not
            segmented.
    """
    infarct = infarct_mask(labels)
    searched = searched_wall(labels)
    spacing = stack.pixel_spacing_mm
    if remote is None:
        remote = propose_remote_outside(searched, spacing, infarct)
    region = scar_region(searched, infarct, spacing, boxes)
    scale = _MaskScale(stack, density_g_per_ml)
    results = [scale.segmentation(labels)]
    for method, rules in _variants(chosen):
        found = threshold_scar(
            method,
            stack.pixels,
            searched,
            spacing,
            region=method_region(method, searched, region),
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
            spacing,
            region=None if scheme is GreyZoneScheme.YAN else region,
            remote=remote,
            sequence=stack.sequence,
            rules=rules,
        )
        results += scale.zones(zones, rules)
    return MethodComparison(
        tuple(results),
        remote,
        remote.signals(stack.pixels),
        remote.stack_signal(stack.pixels),
        scale.grams(searched),
        density_g_per_ml,
    )


def compare_case_methods(
    case: Case,
    chosen: Sequence[str] = METHOD_CHOICES,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> MethodComparison:
    """Compute every method on a case, with the remote region and the boxes of its reader."""
    remote = case_remote(case, searched_wall(case.labels), infarct_mask(case.labels))
    return compare_methods(
        case.stack, case.labels, chosen, density_g_per_ml, remote, reader_boxes(case)
    )


def reader_boxes(case: Case) -> MaskArray:
    """Return the mask (slice, row, column) of the scar boxes that a reader drew."""
    shape = (case.stack.rows, case.stack.columns)
    return np.stack(
        [
            inside_boxes((b for b in one.prompts.boxes if b.origin is Origin.READER), shape)
            for one in case.readings
        ]
    )


def searched_wall(labels: LabelArray) -> MaskArray:
    """Return the wall of labels (slice, row, column); scar without any muscle is no wall."""
    wall = wall_mask(labels)
    return wall if (labels == Label.MYOCARDIUM).any() else np.zeros_like(wall)


def method_region(method: ThresholdMethod, wall: MaskArray, region: MaskArray) -> MaskArray | None:
    """Return where a method applies: None for the whole wall.

    Args:
        method: any.
        wall: the searched wall (slice, row, column).
        region: of :func:`scarseg.quant.thresholds.scar_region`.
    """
    if method is ThresholdMethod.OTSU:
        return wall & region.any(axis=(1, 2), keepdims=True)
    return region if method.needs_region else None


def _variants(chosen: Sequence[str]) -> Iterator[tuple[ThresholdMethod, ThresholdRules]]:
    for method in ThresholdMethod:
        if method is ThresholdMethod.MANUAL or str(method) not in chosen:
            continue
        for scope in Scope:
            yield method, replace(RULES, scope=scope)
        if method.needs_region:
            yield method, replace(RULES, maximum_percentile=ROBUST_PERCENTILE)


def _schemes(chosen: Sequence[str]) -> Iterator[tuple[GreyZoneScheme, ThresholdRules]]:
    for scheme in GreyZoneScheme:
        if str(scheme) in chosen:
            for scope in Scope:
                yield scheme, replace(RULES, scope=scope)


class _MaskScale:
    """Masses of masks on the grid of one stack."""

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
            _search_region(method),
        )

    def zones(self, zones: GreyZones, rules: ThresholdRules) -> Iterator[MethodResult]:
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
                WALL if scheme is GreyZoneScheme.YAN else SCAR_REGION,
            )


def _search_region(method: ThresholdMethod) -> str:
    if method is ThresholdMethod.OTSU:
        return WALL_OF_SCAR_SLICES
    return SCAR_REGION if method.needs_region else WALL


def threshold_rule(method: ThresholdMethod) -> str:
    """Return the threshold of a method in words."""
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
    """Compute the mass of the wall above every threshold, the same on all slices.

    No island is dropped and no dark core added, so that the curve only falls.

    Args:
        stack: signals and lengths.
        wall: (slice, row, column).
        region: where scar may be, of the same shape; all of the wall without it.
        convention: depth of a slice.
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
