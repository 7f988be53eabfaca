"""Masks of every threshold method on a stack, their outlines, and the adoption of one.

The masses are those of :func:`scarseg.quant.method_comparison.compare_methods`, which ``batch
--methods`` writes; here with masks, and with a manual threshold as another method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtGui import QPainterPath

from scarseg.case.case import Case, Change
from scarseg.case.changes import step_name
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask
from scarseg.case.measurements import Measurements
from scarseg.gui.viewer import painting
from scarseg.quant import scar_checks, suggested_threshold

if TYPE_CHECKING:
    from scarseg.quant.method_comparison import MassCurve
    from scarseg.quant.remote import RemoteSignal
    from scarseg.quant.thresholds import ThresholdScar


SEGMENTED, MANUAL = "segmentation", "manual"
TITLES = {
    SEGMENTED: "Segmented",
    "sd2": "2 SD",
    "sd3": "3 SD",
    "sd4": "4 SD",
    "sd5": "5 SD",
    "sd6": "6 SD",
    "fwhm_max": "FWHM max",
    "fwhm_remote": "FWHM remote",
    "fwhm_min": "FWHM min",
    "otsu": "Otsu",
    MANUAL: "Manual",
}
"""Names of the methods on the screen, in their order."""
REASONS = {
    "W_NO_WALL": "No wall: Shift+L proposes, 2 draws one.",
    "W_NO_REMOTE": "There is no remote wall in this stack: Shift+J draws it.",
    "W_METHOD_PSIR": "Not for PSIR: half of a signed maximum means nothing there.",
    "W_METHOD_REGION": "This method works in segmented or boxed scar: there is none.",
    "W_THRESHOLD_BELOW_REMOTE": "On some slice the threshold is not above remote wall: unfit here.",
}
SHORT_REASONS = {
    "W_NO_WALL": "no wall",
    "W_NO_REMOTE": "no remote",
    "W_METHOD_PSIR": "not for PSIR",
    "W_METHOD_REGION": "no scar",
    "W_THRESHOLD_BELOW_REMOTE": "below remote",
}


@dataclass(frozen=True, eq=False)
class MethodRequest:
    """Input of a comparison: a snapshot of the case and the settings.

    ``whole_stack``: maximum, minimum and remote are those of the stack instead of each slice.
    ``manual`` is in source units, None for the suggested threshold. ``labels_under_scar`` (slice,
    row, column): scar whose underlying label is not wall is not searched.
    """

    case: Case
    whole_stack: bool = False
    manual: float | None = None
    labels_under_scar: LabelArray | None = None


@dataclass(frozen=True, eq=False)
class MethodMask:
    """Masks and masses of one method, in the convention of the headline.

    ``scar`` and ``mvo`` (slice, row, column), apart from each other; ``levels`` per slice in
    source units. ``percent`` of LV mass, None without wall. ``reason`` is the code of the reason
    why the method does not apply; there are no masses then.
    """

    name: str
    rule: str
    scar: MaskArray
    mvo: MaskArray
    levels: tuple[float | None, ...]
    slices_g: tuple[float, ...]
    total_g: float
    percent: float | None
    reason: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def why_not(self) -> str:
        """The reason why the method does not apply, in words; empty where it does."""
        return REASONS.get(self.reason, "")

    @property
    def infarct(self) -> MaskArray:
        return self.scar | self.mvo


@dataclass(frozen=True, eq=False)
class MethodMasks:
    """Masks of all methods, and their common input.

    ``wall`` is the wall that was searched, ``remote`` the reference region, (slice, row, column);
    ``curves`` per slice, the grams above each threshold, None without wall.
    """

    methods: tuple[MethodMask, ...]
    wall: MaskArray
    remote: MaskArray
    signals: tuple[RemoteSignal | None, ...]
    curves: tuple[MassCurve | None, ...]
    measured: Measurements

    def method(self, name: str) -> MethodMask:
        return next(each for each in self.methods if each.name == name)


def compute_masks(request: MethodRequest) -> MethodMasks:
    """Compute every method; scar outside the wall counts for the segmentation alone."""
    from scarseg.quant import method_comparison
    from scarseg.quant.mass import measure
    from scarseg.quant.method_comparison import mass_curve
    from scarseg.quant.remote import case_remote
    from scarseg.quant.thresholds import RULES, Scope, ThresholdMethod, scar_region, threshold_scar

    case, stack = request.case, request.case.stack
    labels = (
        case.labels
        if request.labels_under_scar is None
        else clip_stack_to_wall(case.labels, request.labels_under_scar)
    )
    wall, infarct = method_comparison.searched_wall(labels), infarct_mask(labels)
    spacing = stack.pixel_spacing_mm
    remote = case_remote(case, wall, infarct)
    searched = scar_region(wall, infarct, spacing, method_comparison.reader_boxes(case))
    statuses = [reading.status for reading in case.readings]
    measured = measure(case.labels, stack, statuses)
    lv_g = measure(labels, stack, statuses).lv_mass_g  # a method may leave no muscle beside scar
    methods = [_segmentation(case.labels, measured)]
    rules = replace(RULES, scope=Scope.STACK if request.whole_stack else Scope.SLICE)
    for method in ThresholdMethod:
        manual = _manual(request) if method is ThresholdMethod.MANUAL else None
        region = method_comparison.method_region(method, wall, searched)
        found = threshold_scar(
            method, stack.pixels, wall, spacing,
            region=region, remote=remote, sequence=stack.sequence, manual=manual, rules=rules,
        )  # fmt: skip
        total = measure(found.apply_to(labels), stack, statuses)
        methods.append(_method(found, method_comparison.threshold_rule(method), total, lv_g))
    curves = tuple(
        mass_curve(stack, wall, _only(k, wall), convention=measured.convention)
        for k in range(stack.n_slices)
    )
    signals = remote.signals(stack.pixels)
    return MethodMasks(tuple(methods), wall, remote.mask, signals, curves, measured)


def clip_stack_to_wall(labels: LabelArray, under: LabelArray) -> LabelArray:
    """Return labels (slice, row, column) without the scar outside the wall."""
    return np.stack([scar_checks.clip_to_wall(*each) for each in zip(labels, under, strict=True)])


def labels_with_method(
    labels: LabelArray, under: LabelArray, method: MethodMask, k: int
) -> LabelArray:
    """Return the labels of slice ``k`` (row, column) with the infarct of a method as scar.

    Wall and blood pool stay as they are; scar comes only where there is wall. The dark cores of
    the method are scar too, since no threshold knows MVO; what was labelled MVO stays so in it.
    """
    infarct = infarct_mask(labels)
    out = np.where(infarct, under, labels).astype(np.uint8)
    taken = method.infarct[k] & (out == Label.MYOCARDIUM)
    out[taken] = np.where(labels[taken] == Label.MVO, Label.MVO, Label.SCAR)
    return out


def adopt(case: Case, under: LabelArray, method: MethodMask, k: int) -> Change:
    """Return the change that replaces the scar of slice ``k`` by that of a method, as proposal."""
    before = case.readings[k]
    prompts = replace(before.prompts, no_scar=False)
    after = replace(before, prompts=prompts, status=SliceStatus.PROPOSED, edited=True, reason="")
    labels = labels_with_method(case.labels[k], under, method, k)
    return case.change(step_name(f"adopt {method.title}", k), k, after, labels)


def _only(k: int, wall: MaskArray) -> MaskArray:
    one = np.zeros_like(wall)
    one[k] = wall[k]
    return one


def _manual(request: MethodRequest) -> float:
    if request.manual is not None:
        return request.manual
    return suggested_threshold.suggest_threshold(request.case).value


def _segmentation(labels: LabelArray, measured: Measurements) -> MethodMask:
    return MethodMask(
        SEGMENTED,
        "the labels that are measured",
        labels == Label.SCAR,
        labels == Label.MVO,
        (None,) * len(labels),
        _grams(measured),
        measured.scar_mass_g,
        measured.scar_percent_lv,
    )


def _method(
    found: ThresholdScar, rule: str, measured_method: Measurements, lv_g: float | None
) -> MethodMask:
    return MethodMask(
        str(found.method),
        rule,
        found.scar,
        found.mvo,
        found.thresholds,
        _grams(measured_method),
        measured_method.scar_mass_g,
        100 * measured_method.scar_mass_g / lv_g if lv_g else None,
        "" if found.reason is None else str(found.reason),
    )


def _grams(measured: Measurements) -> tuple[float, ...]:
    return tuple(
        getattr(row, f"scar_mass_{measured.convention.value}_g") for row in measured.slices
    )


Paths = tuple[QPainterPath, ...]
"""One per slice, in source pixels."""


@dataclass(frozen=True, eq=False)
class MethodOutlines:
    """Masks with their outlines; those of ``infarct`` and ``mvo`` by the name of the method."""

    answer: MethodMasks
    wall: Paths
    remote: Paths
    infarct: Mapping[str, Paths]
    mvo: Mapping[str, Paths]


def compute_methods(request: MethodRequest) -> MethodOutlines:
    """Compute all methods and trace their outlines; runs on a worker thread."""
    answer = compute_masks(request)
    return MethodOutlines(
        answer,
        _trace(answer.wall),
        _trace(answer.remote),
        {method.name: _trace(method.infarct) for method in answer.methods},
        {method.name: _trace(method.mvo) for method in answer.methods},
    )


def _trace(masks: MaskArray) -> Paths:
    return tuple(painting.outline(mask) for mask in masks)
