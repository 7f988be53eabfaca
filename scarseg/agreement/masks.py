"""Hold label maps of the same stacks against each other: overlap, distances, grams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from scarseg.case import SliceStatus
from scarseg.errors import InputError
from scarseg.io.nifti import LabelMap, read_label_map
from scarseg.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.quant.mass import MM3_PER_ML, measure
from scarseg.quant.overlap import (
    Overlap,
    compare_masks,
    precision,
    recall,
    slice_dice,
    slice_hausdorff_mm,
)
from scarseg.stack import Stack

ENDINGS = (".nii.gz", ".nii")
GRID_TOLERANCE_MM = 0.1
STRUCTURES = ("scar", "mvo", "wall")
"""Scar is the infarct, MVO included; the wall is all of it."""


@dataclass(frozen=True)
class StructureFigures:
    """One structure in two masks of a stack; B is the reference.

    Dice and 3-D distances are pooled over the stack; ``slice_`` figures are means over the
    slices where either (Dice) or both (distances) have it. None where both or one are empty.
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
    """Two label maps of one stack: ``name`` is the file's without its ending."""

    name: str
    convention: MassConvention
    scar: StructureFigures
    mvo: StructureFigures
    wall: StructureFigures


@dataclass(frozen=True)
class PairedFiles:
    """Label maps of two folders by name, and the names without a partner."""

    pairs: tuple[tuple[str, Path, Path], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def pair_files(a: Path, b: Path) -> PairedFiles:
    """Pair the NIfTI files of two folders, or two files whatever their names.

    Raises:
        InputError: E_MASK, a path is neither, or one is a file and the other a folder; E_PAIRS,
            no name is in both.
    """
    if a.is_file() and b.is_file():
        return PairedFiles(((stem(b), a, b),), (), ())
    for folder in (a, b):
        if not folder.is_dir():
            raise InputError("E_MASK", f"{folder} is not a folder of masks.", str(folder))
    files_a, files_b = _files(a), _files(b)
    common = sorted(files_a.keys() & files_b.keys())
    if not common:
        raise InputError("E_PAIRS", f"No NIfTI file of {a} has its name in {b} too.")
    return PairedFiles(
        tuple((name, files_a[name], files_b[name]) for name in common),
        tuple(sorted(files_a.keys() - files_b.keys())),
        tuple(sorted(files_b.keys() - files_a.keys())),
    )


def stem(path: Path) -> str:
    """Give a file's name without its ending, .nii.gz as one."""
    ending = next((one for one in ENDINGS if path.name.lower().endswith(one)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def _files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name.lower().endswith(ENDINGS):
            if stem(path) in found:
                raise InputError(
                    "E_MASK", f"{folder} holds {stem(path)} as .nii and .nii.gz.", str(folder)
                )
            found[stem(path)] = path
    return found


def compare_files(
    name: str,
    a: Path,
    b: Path,
    stack: Stack | None = None,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> MaskPair:
    """Compare two label maps of one stack.

    Grams follow ``convention`` where the stack is known. Without it, the header of B gives the
    lengths and its distance between slices is their depth: the convention is ``spacing``.

    Raises:
        InputError: E_MASK, a file is no label map; E_MASK_GRID, the two do not lie on one grid,
            or not on the stack's.
    """
    one, other = read_label_map(a), read_label_map(b)
    _require_one_grid(name, one, other)
    if stack is None:
        scale = _Scale(other.spacing_mm, None, MassConvention.SPACING, density_g_per_ml)
        return _compared(name, one.labels, other.labels, scale)
    if stack.pixels.shape != one.labels.shape:
        raise InputError(
            "E_MASK_GRID",
            f"{name}: masks of {one.labels.shape} voxels do not fit images of "
            f"{stack.pixels.shape}.",
            str(a),
        )
    return compare_labels(name, one.labels, other.labels, stack, convention, density_g_per_ml)


def compare_labels(
    name: str,
    a: LabelArray,
    b: LabelArray,
    stack: Stack,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> MaskPair:
    """Compare two label maps (slice, row, column) of a stack that is at hand."""
    between = stack.slice_spacing_mm or stack.slice_thickness_mm
    spacing = (between, *stack.pixel_spacing_mm)
    return _compared(name, a, b, _Scale(spacing, stack, convention, density_g_per_ml))


def _compared(name: str, a: LabelArray, b: LabelArray, scale: _Scale) -> MaskPair:
    figures = {
        structure: _figures(_mask(a, structure), _mask(b, structure), scale)
        for structure in STRUCTURES
    }
    return MaskPair(name, scale.convention, **figures)


@dataclass(frozen=True)
class _Scale:
    """What turns voxels into mm and grams; ``spacing_mm`` (slice, row, column)."""

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


def _figures(a: MaskArray, b: MaskArray, scale: _Scale) -> StructureFigures:
    whole: Overlap = compare_masks(a, b, scale.spacing_mm)
    plane = scale.spacing_mm[1:]
    return StructureFigures(
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


def _require_one_grid(name: str, a: LabelMap, b: LabelMap) -> None:
    """Refuse masks of different shape, spacing or place."""
    if a.labels.shape != b.labels.shape:
        raise InputError(
            "E_MASK_GRID",
            f"{name}: {a.labels.shape} and {b.labels.shape} voxels (slice, row, "
            "column) are not the same grid.",
        )
    if not all(isfinite(v) and v > 0 for v in (*a.spacing_mm, *b.spacing_mm)):
        raise InputError("E_MASK_GRID", f"{name}: a voxel size is not positive.")
    slices, rows, columns = a.labels.shape
    corners = np.array(
        [[c, r, s, 1.0] for c in (0, columns) for r in (0, rows) for s in (0, slices)]
    )
    apart = float(np.abs(corners @ (a.affine - b.affine).T).max())
    lengths = [
        abs(x - y) * n for x, y, n in zip(a.spacing_mm, b.spacing_mm, a.labels.shape, strict=True)
    ]
    if max(apart, *lengths) > GRID_TOLERANCE_MM:
        raise InputError(
            "E_MASK_GRID",
            f"{name}: the two masks lie up to {max(apart, *lengths):.3g} mm apart; write both on"
            " the grid of the images.",
        )
