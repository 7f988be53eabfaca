"""Grams from a label map: voxels times lengths times density, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite
from typing import NamedTuple

import numpy as np

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, infarct_mask, wall_mask
from scarseg.case.measurements import (
    DENSITY_G_PER_ML,
    MassConvention,
    Measurements,
    SliceMeasurement,
)
from scarseg.case.positions import OVERLAP, spacing_depths_mm
from scarseg.case.stack import Stack
from scarseg.errors import InputError

CONVENTION_TOLERANCE = 0.01
"""Conventions that differ by more than this share are warned about."""

MM3_PER_ML = 1000.0


class ProposedInfarct(NamedTuple):
    """Infarct the models proposed on a slice, and whether any label has changed since."""

    n_infarct_voxels: int
    changed: bool


def slice_depths_mm(stack: Stack, convention: MassConvention) -> tuple[float, ...]:
    """Return the depth in mm that each slice stands for.

    ``thickness``: SliceThickness. ``spacing``: half the distance between the two neighbours
    along the slice normal, a hole counted as the typical distance; at the two ends the distance
    to the one neighbour; a single slice falls back to SpacingBetweenSlices, then to the
    thickness.
    """
    if convention is MassConvention.THICKNESS:
        return (stack.slice_thickness_mm,) * stack.n_slices
    if stack.n_slices == 1:
        header = stack.spacing_between_slices_mm
        known = header is not None and isfinite(header) and header > 0
        return (header if known and header is not None else stack.slice_thickness_mm,)
    return spacing_depths_mm(stack.slice_positions_mm, stack.slice_thickness_mm)


def headline_convention(stack: Stack, asked: MassConvention) -> MassConvention:
    """Return the convention of the headline: spacing where slices overlap, else as asked.

    Slices thicker than their distance would count the tissue between them twice.
    """
    spacing = stack.slice_spacing_mm
    overlap = spacing is not None and spacing < OVERLAP * stack.slice_thickness_mm
    return MassConvention.SPACING if overlap else asked


def measure(
    labels: LabelArray,
    stack: Stack,
    statuses: Sequence[SliceStatus],
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    proposed: Sequence[ProposedInfarct | None] = (),
    mvo_sought: Sequence[bool] = (),
) -> Measurements:
    """Measure a label map on the source grid in both conventions.

    mass_g = density / 1000 * sum over slices of voxels * row spacing * column spacing * depth.
    Infarct is scar and MVO; LV mass is the whole wall, and blank where no myocardium was drawn.

    Args:
        labels: uint8 (slice, row, column).
        stack: gives the lengths, in mm.
        statuses: one per slice.
        convention: which depth the headline numbers follow, unless slices overlap: then
            they follow the spacing.
        density_g_per_ml: density of myocardium.
        proposed: the models' proposal for each slice; empty where it is not known.
        mvo_sought: whether MVO was looked for on each slice; without it, on all if any is labelled.

    Raises:
        InputError: E_DENSITY, the density is not a positive number.
    """
    if not (isfinite(density_g_per_ml) and density_g_per_ml > 0):
        raise InputError("E_DENSITY", f"The density must be positive, not {density_g_per_ml}.")
    if labels.shape != stack.pixels.shape or len(statuses) != stack.n_slices:
        raise ValueError("labels and statuses must fit the stack")
    proposed = proposed or (None,) * stack.n_slices
    sought = mvo_sought or (bool((labels == np.uint8(Label.MVO)).any()),) * stack.n_slices
    slices = _measure_slices(labels, stack, statuses, density_g_per_ml, proposed, sought)
    has_wall = bool((labels == np.uint8(Label.MYOCARDIUM)).any())
    scar = _total(slices, "scar_mass")
    mvo = _total_mvo(slices)
    lv = _total(slices, "lv_mass")
    known = [one for one, of in zip(slices, proposed, strict=True) if of is not None]
    before = _total(known, "scar_mass_proposed") if known else (None, None)
    convention = headline_convention(stack, convention)
    chosen = 0 if convention is MassConvention.THICKNESS else 1
    return Measurements(
        slices=slices,
        convention=convention,
        density_g_per_ml=density_g_per_ml,
        scar_mass_thickness_g=scar[0],
        scar_mass_spacing_g=scar[1],
        mvo_mass_thickness_g=None if mvo is None else mvo[0],
        mvo_mass_spacing_g=None if mvo is None else mvo[1],
        lv_mass_thickness_g=lv[0] if has_wall else None,
        lv_mass_spacing_g=lv[1] if has_wall else None,
        scar_volume_ml=scar[chosen] / density_g_per_ml,
        scar_percent_lv=100 * scar[chosen] / lv[chosen] if has_wall else None,
        n_slices=stack.n_slices,
        n_slices_reviewed=sum(status.read for status in statuses),
        complete=stack.complete,
        warnings=_warnings(stack, [one for one in (scar, mvo, lv) if one is not None]),
        scar_mass_proposed_thickness_g=before[0],
        scar_mass_proposed_spacing_g=before[1],
    )


def _measure_slices(
    labels: LabelArray,
    stack: Stack,
    statuses: Sequence[SliceStatus],
    density: float,
    proposed: Sequence[ProposedInfarct | None],
    sought: Sequence[bool],
) -> tuple[SliceMeasurement, ...]:
    row_mm, column_mm = stack.pixel_spacing_mm
    area_mm2 = row_mm * column_mm
    # Slice by slice: this runs after every stroke, and counting along axes is ten times slower.
    infarct = [np.count_nonzero(infarct_mask(one)) for one in labels]
    mvo = [np.count_nonzero(one == np.uint8(Label.MVO)) for one in labels]
    wall = [np.count_nonzero(wall_mask(one)) for one in labels]
    thick = slice_depths_mm(stack, MassConvention.THICKNESS)
    spaced = slice_depths_mm(stack, MassConvention.SPACING)
    positions = stack.slice_positions_mm

    def grams(count: int, depth_mm: float) -> float:
        return density / MM3_PER_ML * (count * area_mm2 * depth_mm)

    measured = []
    for k, status in enumerate(statuses):
        n_infarct, n_mvo, n_wall = int(infarct[k]), int(mvo[k]), int(wall[k])
        of = proposed[k]
        seen = status is not SliceStatus.UNSEEN or n_infarct > 0
        mvo_known = seen and (sought[k] or n_mvo > 0 or n_infarct == 0)
        measured.append(
            SliceMeasurement(
                slice_index=k,
                sop_instance_uid=stack.sources[k].sop_instance_uid,
                frame=stack.sources[k].frame,
                status=status,
                position_mm=positions[k],
                depth_thickness_mm=thick[k],
                depth_spacing_mm=spaced[k],
                n_infarct_voxels=n_infarct,
                n_mvo_voxels=n_mvo if mvo_known else None,
                n_wall_voxels=n_wall,
                scar_area_mm2=n_infarct * area_mm2,
                scar_mass_thickness_g=grams(n_infarct, thick[k]),
                scar_mass_spacing_g=grams(n_infarct, spaced[k]),
                mvo_mass_thickness_g=grams(n_mvo, thick[k]) if mvo_known else None,
                mvo_mass_spacing_g=grams(n_mvo, spaced[k]) if mvo_known else None,
                lv_mass_thickness_g=grams(n_wall, thick[k]),
                lv_mass_spacing_g=grams(n_wall, spaced[k]),
                scar_mass_proposed_thickness_g=of and grams(of.n_infarct_voxels, thick[k]),
                scar_mass_proposed_spacing_g=of and grams(of.n_infarct_voxels, spaced[k]),
                changed=of and of.changed,
            )
        )
    return tuple(measured)


def _total(slices: Sequence[SliceMeasurement], mass: str) -> tuple[float, float]:
    """Sum one mass over the slices, exactly rounded: (thickness, spacing)."""
    return (
        fsum(getattr(one, f"{mass}_thickness_g") for one in slices),
        fsum(getattr(one, f"{mass}_spacing_g") for one in slices),
    )


def _total_mvo(slices: Sequence[SliceMeasurement]) -> tuple[float, float] | None:
    """Sum the MVO mass; None where it is unknown on a slice with scar, or on all slices."""
    known = [one for one in slices if one.n_mvo_voxels is not None]
    if not known or any(one.n_infarct_voxels and one.n_mvo_voxels is None for one in slices):
        return None
    return _total(known, "mvo_mass")


def _warnings(stack: Stack, masses: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """Return the codes: the warnings of the loader, then those of the mass."""
    codes = list(dict.fromkeys(warning.code for warning in stack.warnings))
    differs = any(
        abs(thick - spaced) > CONVENTION_TOLERANCE * max(thick, spaced) for thick, spaced in masses
    )
    # The loader's own warning states the same with the lengths that explain it.
    if differs and not {"W_GAP", "W_OVERLAP"} & set(codes):
        codes.append("W_CONVENTION")
    if stack.n_slices == 1:
        codes.append("W_SINGLE_SLICE")
    if not stack.complete:
        codes.append("W_INCOMPLETE")
    return tuple(dict.fromkeys(codes))
