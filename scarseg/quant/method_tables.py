"""Rows of tables from a comparison of methods: per stack, per slice, and the mass curve."""

from __future__ import annotations

import numpy as np

from scarseg.case.labels import Label, LabelArray, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import Stack
from scarseg.quant.mass import headline_convention
from scarseg.quant.method_comparison import MethodComparison, MethodResult, mass_curve
from scarseg.quant.thresholds import Scope

Cell = str | int | float | None

METHOD_COLUMNS = (
    "method",
    "rule",
    "threshold_scope",
    "sequence",
    "threshold_lowest_au",
    "threshold_median_au",
    "threshold_highest_au",
    "n_voxels",
    "scar_mass_g",
    "mass_convention",
    "scar_mass_thickness_g",
    "scar_mass_spacing_g",
    "mvo_mass_thickness_g",
    "mvo_mass_spacing_g",
    "scar_percent_lv",
    "maximum_rule",
    "maximum_percentile",
    "reference_region",
    "reference_mean_au",
    "reference_sd_au",
    "reference_n_voxels",
    "search_region",
    "smallest_island_mm2",
    "mvo_rule",
    "density_g_per_ml",
    "warnings",
)
"""One row per method, scope and maximum; signals are in the images' own units (``_au``)."""

METHOD_SLICE_COLUMNS = (
    "slice_index",
    "sop_instance_uid",
    "frame",
    "method",
    "threshold_scope",
    "maximum_percentile",
    "threshold_au",
    "n_voxels",
    "scar_mass_thickness_g",
    "scar_mass_spacing_g",
    "reference_mean_au",
    "reference_sd_au",
    "reference_n_voxels",
)
"""The same slice by slice."""

CURVE_COLUMNS = ("threshold_au", "scar_mass_thickness_g", "scar_mass_spacing_g")
"""Grams of wall above each threshold, the same on all slices."""


def method_rows(
    found: MethodComparison,
    stack: Stack,
    convention: MassConvention = MassConvention.THICKNESS,
) -> list[dict[str, Cell]]:
    """Return a row per method; ``scar_mass_g`` and ``scar_percent_lv`` follow ``convention``.

    Masses are blank where a method does not apply; ``warnings`` says why.
    """
    convention = headline_convention(stack, convention)
    rows = []
    for one in found.results:
        levels = [level for level in one.thresholds if level is not None]
        signal = found.remote_stack if one.needs_remote else None
        row: dict[str, Cell] = {
            "method": one.name,
            "rule": one.rule,
            "threshold_scope": _scope(one),
            "sequence": str(stack.sequence),
            "threshold_lowest_au": min(levels, default=None),
            "threshold_median_au": float(np.median(levels)) if levels else None,
            "threshold_highest_au": max(levels, default=None),
            "n_voxels": None if one.scar is None else sum(one.n_voxels),
            "scar_mass_g": None if one.scar is None else one.scar.total(convention),
            "mass_convention": str(convention),
            **_masses(one),
            "scar_percent_lv": found.percent(one, convention),
            "maximum_rule": maximum_rule(one),
            "maximum_percentile": one.maximum_percentile,
            "reference_region": found.remote_region.origin if one.needs_remote else None,
            "reference_mean_au": None if signal is None else signal.mean,
            "reference_sd_au": None if signal is None else signal.sd,
            "reference_n_voxels": None if signal is None else signal.n_voxels,
            "search_region": one.search_region,
            "smallest_island_mm2": one.island_mm2,
            "mvo_rule": one.mvo_rule,
            "density_g_per_ml": found.density_g_per_ml,
            "warnings": str(one.reason or ""),
        }
        rows.append(row)
    return rows


def method_slice_rows(found: MethodComparison, stack: Stack) -> list[dict[str, Cell]]:
    """Return a row per method and slice; methods that do not apply have none."""
    rows: list[dict[str, Cell]] = []
    for one in found.results:
        if one.scar is None:
            continue
        for k, source in enumerate(stack.sources):
            together = one.scope is Scope.STACK
            signal = found.remote_stack if together else found.remote_slices[k]
            if not one.needs_remote:
                signal = None
            rows.append(
                {
                    "slice_index": k,
                    "sop_instance_uid": source.sop_instance_uid,
                    "frame": source.frame,
                    "method": one.name,
                    "threshold_scope": _scope(one),
                    "maximum_percentile": one.maximum_percentile,
                    "threshold_au": one.thresholds[k],
                    "n_voxels": one.n_voxels[k],
                    "scar_mass_thickness_g": one.scar.thickness[k],
                    "scar_mass_spacing_g": one.scar.spacing[k],
                    "reference_mean_au": None if signal is None else signal.mean,
                    "reference_sd_au": None if signal is None else signal.sd,
                    "reference_n_voxels": None if signal is None else signal.n_voxels,
                }
            )
    return rows


def curve_rows(
    stack: Stack, labels: LabelArray, density_g_per_ml: float = DENSITY_G_PER_ML
) -> list[dict[str, Cell]]:
    """Return the curve of grams against threshold; nothing without a wall.

    Args:
        labels: uint8 (slice, row, column).
    """
    if not (labels == Label.MYOCARDIUM).any():
        return []
    wall = wall_mask(labels)
    thick, spaced = (
        mass_curve(stack, wall, convention=one, density_g_per_ml=density_g_per_ml)
        for one in MassConvention
    )
    if thick is None or spaced is None:
        return []
    return [
        {
            "threshold_au": float(level),
            "scar_mass_thickness_g": float(by_thickness),
            "scar_mass_spacing_g": float(by_spacing),
        }
        for level, by_thickness, by_spacing in zip(
            thick.thresholds, thick.mass_g, spaced.mass_g, strict=True
        )
    ]


def maximum_rule(one: MethodResult) -> str | None:
    """Return what a method takes for the maximum, None where it takes none."""
    if one.maximum_percentile is None:
        return None
    where = "stack" if one.scope is Scope.STACK else "slice"
    if one.maximum_percentile == 100:
        return f"brightest voxel of the {where}"
    return f"percentile {one.maximum_percentile:g} of the {where}"


def _scope(one: MethodResult) -> str | None:
    return None if one.scope is None else str(one.scope)


def _masses(one: MethodResult) -> dict[str, Cell]:
    return {
        f"{what}_mass_{convention}_g": None if grams is None else grams.total(convention)
        for what, grams in (("scar", one.scar), ("mvo", one.mvo))
        for convention in MassConvention
    }
