"""Overlap, distances and grams of two label maps of one stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import Stack
from scarseg.quant.mass import MM3_PER_ML, headline_convention, measure
from scarseg.quant.overlap import (
    Overlap,
    compare_masks,
    precision,
    recall,
    slice_dice,
    slice_hausdorff_mm,
)

STRUCTURES = ("scar", "mvo", "wall")
"""Scar is the infarct with its MVO; the wall is the whole wall with its scar."""


@dataclass(frozen=True)
class StructureOverlap:
    """One structure in two masks of a stack; B is the reference.

    Dice and 3-D distances are of the whole stack; ``slice_`` values are means over the slices
    where either mask (Dice) or both masks (distances) have the structure. A value is None where
    it is not defined: Dice with two empty masks, distances with one.
    """

    n_voxels_a: int
    n_voxels_b: int
    n_voxels_both: int
    dice: float | None
    slice_dice: float | None
    precision: float | None
    recall: float | None
    hausdorff_mm: float | None
    hd95_mm: float | None
    slice_hausdorff_mm: float | None
    slice_hd95_mm: float | None
    mass_a_g: float
    mass_b_g: float

    @property
    def both_empty(self) -> bool:
        return self.n_voxels_a == 0 and self.n_voxels_b == 0


@dataclass(frozen=True)
class MaskPair:
    """Two label maps of one stack, compared; ``name`` is the file name without its suffix."""

    name: str
    convention: MassConvention
    scar: StructureOverlap
    mvo: StructureOverlap
    wall: StructureOverlap


def compare_labels(
    name: str,
    a: LabelArray,
    b: LabelArray,
    stack: Stack,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> MaskPair:
    """Compare two label maps (slice, row, column) of a stack with images."""
    convention = headline_convention(stack, convention)
    between = stack.slice_spacing_mm or stack.slice_thickness_mm
    spacing = (between, *stack.pixel_spacing_mm)
    return _compare(name, a, b, _VoxelScale(spacing, stack, convention, density_g_per_ml))


def compare_grids(
    name: str,
    a: LabelArray,
    b: LabelArray,
    spacing_mm: tuple[float, float, float],
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> MaskPair:
    """Compare two label maps (slice, row, column) whose images are not known.

    The depth of a slice is the distance between slices: the convention is ``spacing``.
    """
    scale = _VoxelScale(spacing_mm, None, MassConvention.SPACING, density_g_per_ml)
    return _compare(name, a, b, scale)


@dataclass(frozen=True)
class _VoxelScale:
    """The conversion of voxels to mm and grams; ``spacing_mm`` (slice, row, column)."""

    spacing_mm: tuple[float, float, float]
    stack: Stack | None
    convention: MassConvention
    density: float

    def grams(self, mask: MaskArray) -> float:
        if self.stack is None:
            volume = int(np.count_nonzero(mask)) * float(np.prod(self.spacing_mm))
            return self.density / MM3_PER_ML * volume
        labels = np.where(mask, Label.SCAR, Label.BACKGROUND).astype(np.uint8)
        statuses = (SliceStatus.ACCEPTED,) * self.stack.n_slices
        return measure(labels, self.stack, statuses, self.convention, self.density).scar_mass_g


def _compare(name: str, a: LabelArray, b: LabelArray, scale: _VoxelScale) -> MaskPair:
    overlaps = {
        structure: _overlap(_mask(a, structure), _mask(b, structure), scale)
        for structure in STRUCTURES
    }
    return MaskPair(name, scale.convention, **overlaps)


def _overlap(a: MaskArray, b: MaskArray, scale: _VoxelScale) -> StructureOverlap:
    whole: Overlap = compare_masks(a, b, scale.spacing_mm)
    plane = scale.spacing_mm[1:]
    return StructureOverlap(
        whole.n_found_voxels,
        whole.n_reference_voxels,
        int(np.count_nonzero(a & b)),
        whole.dice,
        _mean(slice_dice(a, b)),
        precision(a, b),
        recall(a, b),
        whole.hausdorff_mm,
        whole.hd95_mm,
        _mean(slice_hausdorff_mm(a, b, plane)),
        _mean(slice_hausdorff_mm(a, b, plane, 95.0)),
        scale.grams(a),
        scale.grams(b),
    )


def _mask(labels: LabelArray, structure: str) -> MaskArray:
    masks: Mapping[str, MaskArray] = {
        "scar": infarct_mask(labels),
        "mvo": labels == Label.MVO,
        "wall": wall_mask(labels),
    }
    return masks[structure]


def _mean(values: tuple[float | None, ...]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None
