"""Find the two masks of every stack and bring them onto one grid.

With images, masks find their stack as in ``scarseg measure``, whatever their orientation and
format. Without, NIfTI files pair by name, and the first of a pair is turned onto the grid of the
second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, log
from pathlib import Path

import numpy as np

from scarseg.agreement.mask_overlap import MaskPair, compare_grids, compare_labels
from scarseg.case.labels import Label
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import InputError, ScarsegError
from scarseg.io import dicom
from scarseg.io.dicom.types import StackSummary
from scarseg.io.masks.match import (
    MaskFile,
    MaskMatch,
    MaskSource,
    UnmatchedMask,
    find_masks,
    match_masks,
)
from scarseg.io.masks.nifti import LPS_TO_RAS, REMOTE_SUFFIX, LabelMap, read_label_map
from scarseg.io.masks.read import read_mask

SUFFIXES = (".nii.gz", ".nii")
GRID_TOLERANCE_MM = 0.1
_CLEARLY_ODD = 0.1
Meaning = Mapping[int, Label] | None
"""What values of a label map, or numbers of segments, stand for; None: 0 to 4, or their codes."""


@dataclass(frozen=True)
class MaskFiles:
    """The two masks of one stack; ``stack`` where the images are given."""

    name: str
    a: Path
    b: Path
    stack: StackSummary | None = None


@dataclass(frozen=True)
class PairedFiles:
    """The masks of two folders in pairs, the names without a partner, and what was refused."""

    pairs: tuple[MaskFiles, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    refused: tuple[tuple[str, ScarsegError], ...] = field(default=())


def pair_files(a: Path, b: Path) -> PairedFiles:
    """Pair the NIfTI files of two folders by name, or two files whatever their names.

    Raises:
        InputError: E_MASK, a path is neither, or one is a file and the other a folder; E_PAIRS,
            no name is in both folders.
    """
    if a.is_file() and b.is_file():
        return PairedFiles((MaskFiles(stem(b), a, b),))
    for folder in (a, b):
        if not folder.is_dir():
            raise InputError("E_MASK", f"{folder} is not a folder of masks.", str(folder))
    files_a, files_b = _nifti_files(a), _nifti_files(b)
    common = sorted(files_a.keys() & files_b.keys())
    if not common:
        raise InputError("E_PAIRS", f"No NIfTI file of {a} has its name in {b} too.")
    return PairedFiles(
        tuple(MaskFiles(name, files_a[name], files_b[name]) for name in common),
        tuple(sorted(files_a.keys() - files_b.keys())),
        tuple(sorted(files_b.keys() - files_a.keys())),
    )


def stem(path: Path) -> str:
    """Return the name of a file without its suffix; .nii.gz is one suffix."""
    suffix = next((one for one in SUFFIXES if path.name.lower().endswith(one)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def _nifti_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        mask = path.name.lower().endswith(SUFFIXES) and not path.name.endswith(REMOTE_SUFFIX)
        if mask and path.is_file():
            if stem(path) in found:
                message = f"{folder} holds {stem(path)} as .nii and .nii.gz."
                raise InputError("E_MASK", message, str(folder))
            found[stem(path)] = path
    return found


def pair_by_stack(
    a: Path,
    b: Path,
    stacks: Sequence[StackSummary],
    meaning_a: Meaning = None,
    meaning_b: Meaning = None,
) -> PairedFiles:
    """Pair the masks, NIfTI or DICOM SEG, that belong to the same stack.

    Raises:
        InputError: E_MASK, E_INPUT_MISSING, E_INPUT_EMPTY, no masks; E_PAIRS, no stack has two.
    """
    matches_a, refused_a = _match(a, stacks, meaning_a)
    matches_b, refused_b = _match(b, stacks, meaning_b)
    pairs = tuple(
        MaskFiles(
            stem(matches_b[key].mask.path), one.mask.path, matches_b[key].mask.path, one.summary
        )
        for key, one in matches_a.items()
        if key in matches_b
    )
    refused = (*refused_a, *refused_b)
    if not pairs:
        if refused:
            raise refused[0][1]
        raise InputError("E_PAIRS", f"No series has a mask in {a} and in {b}.")
    return PairedFiles(
        tuple(sorted(pairs, key=lambda one: one.name)),
        tuple(one.mask.stem for key, one in matches_a.items() if key not in matches_b),
        tuple(one.mask.stem for key, one in matches_b.items() if key not in matches_a),
        refused,
    )


def _match(
    path: Path, stacks: Sequence[StackSummary], meaning: Meaning
) -> tuple[dict[int, MaskMatch], list[tuple[str, ScarsegError]]]:
    """Return the masks below a path by the identity of their stack, and the refused ones.

    A run can write a mask as NIfTI and as SEG: the NIfTI is compared then.
    """
    masks = find_masks([path])
    found: dict[int, MaskMatch] = {}
    refused: list[tuple[str, ScarsegError]] = []
    for kind in MaskSource:
        some: list[MaskFile] = [one for one in masks if one.kind is kind]
        if not some:
            continue
        matching = match_masks(some, stacks, meaning)
        for one in matching.matches:
            found.setdefault(id(one.summary), one)
        refused += [_refusal(one) for one in matching.unmatched if id(one.summary) not in found]
    return found, refused


def _refusal(one: UnmatchedMask) -> tuple[str, ScarsegError]:
    return one.mask.stem, one.error


def compare_files(
    files: MaskFiles,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    meaning_a: Meaning = None,
    meaning_b: Meaning = None,
) -> MaskPair:
    """Read and compare the two masks of one stack.

    Grams follow ``convention`` where the stack is known. Without, lengths are those of the header
    of B, and the depth of a slice is the distance to the next: the convention is ``spacing``.

    Raises:
        InputError: E_MASK, a file is no label map; E_MASK_GRID, the two lie on different grids;
            E_MASK_GEOMETRY, E_MASK_STUDY, E_MASK_SEGMENTS: as in ``scarseg measure``.
    """
    name = files.name
    if files.stack is not None:
        stack = dicom.read_stack(files.stack)
        a = read_mask(files.a, stack, meaning_a).labels
        b = read_mask(files.b, stack, meaning_b).labels
        return compare_labels(name, a, b, stack, convention, density_g_per_ml)
    for path in (files.a, files.b):
        _require_nifti(path)
    one, other = read_label_map(files.a, meaning_a), read_label_map(files.b, meaning_b)
    for grid in (one, other):
        if not all(isfinite(v) and v > 0 for v in grid.spacing_mm):
            raise InputError("E_MASK_GRID", f"{name}: a voxel size is not positive.")
    if _on_one_grid(one, other):
        turn = _slices_first(other)
        spacing = tuple(other.spacing_mm[axis] for axis in turn)
        a, b = (np.ascontiguousarray(each.labels.transpose(turn)) for each in (one, other))
        return compare_grids(name, a, b, (spacing[0], spacing[1], spacing[2]), density_g_per_ml)
    stack = _stack_of(name, other)
    b = np.ascontiguousarray(other.labels.transpose(_slices_first(other)))
    try:
        a = read_mask(files.a, stack, meaning_a).labels
    except InputError as error:
        if error.code != "E_MASK_GEOMETRY":
            raise
        why = error.message.rpartition("does not fit the images: ")[2].rstrip(".")
        message = f"{name}: the two masks are not on one grid: in A, {why}."
        raise InputError("E_MASK_GRID", message) from error
    between = stack.slice_spacing_mm or stack.slice_thickness_mm
    return compare_grids(name, a, b, (between, *stack.pixel_spacing_mm), density_g_per_ml)


def _require_nifti(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(132)[128:] == b"DICM":
            message = f"{path} is DICOM: with --dicom, a segmentation is compared on its images."
            raise InputError("E_MASK", message, str(path))


def _on_one_grid(a: LabelMap, b: LabelMap) -> bool:
    """Return whether every voxel of two masks has the same place and size, to 0.1 mm."""
    if a.labels.shape != b.labels.shape:
        return False
    slices, rows, columns = a.labels.shape
    corners = np.array(
        [[c, r, s, 1.0] for c in (0, columns) for r in (0, rows) for s in (0, slices)]
    )
    apart = float(np.abs(corners @ (a.affine - b.affine).T).max())
    lengths = [
        abs(x - y) * n for x, y, n in zip(a.spacing_mm, b.spacing_mm, a.labels.shape, strict=True)
    ]
    return bool(max(apart, *lengths) <= GRID_TOLERANCE_MM)


def _slices_first(grid: LabelMap) -> tuple[int, int, int]:
    """Return the axes of a label map with the axis through the slices first.

    That is the last axis of the file, unless the voxel size of another one stands out clearly
    more: a file written sagittally keeps its short-axis slices along another axis.
    """
    sizes = [log(v) for v in grid.spacing_mm]
    odd = [abs(sizes[k] - (sum(sizes) - sizes[k]) / 2) for k in range(3)]
    first = max(range(3), key=lambda k: odd[k])
    if odd[first] - odd[0] < _CLEARLY_ODD:
        first = 0
    second, third = (k for k in range(3) if k != first)
    return first, second, third


def _stack_of(name: str, grid: LabelMap) -> Stack:
    """Return the geometry of a label map as a stack without images."""
    turn = _slices_first(grid)
    affine = LPS_TO_RAS @ grid.affine
    # Axis k of ``labels`` (slice, row, column) is column 2 - k of the affine.
    through, down, across = (affine[:3, 2 - axis] for axis in turn)
    shape = tuple(grid.labels.shape[axis] for axis in turn)
    lengths = [float(np.linalg.norm(step)) for step in (through, down, across)]
    if not all(isfinite(v) and v > 0 for v in lengths):
        raise InputError("E_MASK_GRID", f"{name}: B does not say where in the patient it lies.")
    cosines = np.concatenate([across / lengths[2], down / lengths[1]]).tolist()
    origins = [affine[:3, 3] + k * through for k in range(shape[0])]
    return Stack(
        pixels=np.zeros(shape, dtype=np.float32),
        pixel_spacing_mm=(lengths[1], lengths[2]),
        slice_thickness_mm=lengths[0],
        orientation=(cosines[0], cosines[1], cosines[2], cosines[3], cosines[4], cosines[5]),
        origins_mm=tuple((float(x), float(y), float(z)) for x, y, z in origins),
        sources=tuple(SliceSource(str(k)) for k in range(shape[0])),
        series_uid="",
        study_uid="",
    )
