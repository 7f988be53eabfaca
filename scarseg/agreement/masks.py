"""Hold label maps of the same stacks against each other: overlap, distances, grams."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from scarseg.agreement.pairing import Pair
from scarseg.agreement.summary import (
    AgreementPage,
    StatisticLine,
    agreement_of,
    format_number,
    numbers_json,
    statistic_lines,
    to_dict,
    write_agreement,
)
from scarseg.agreement.tables import (
    NOT_EQUIVALENCE,
    ComparisonOutput,
    check_output,
    statistics_table,
)
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.stack import Stack
from scarseg.errors import InputError, ScarsegError
from scarseg.io import dicom
from scarseg.io.dicom.types import StackSummary
from scarseg.io.files import safe_name
from scarseg.io.masks.nifti import LabelMap, read_label_map
from scarseg.progress import Progress
from scarseg.quant.mass import MM3_PER_ML, measure
from scarseg.quant.overlap import (
    Overlap,
    compare_masks,
    precision,
    recall,
    slice_dice,
    slice_hausdorff_mm,
)

ENDINGS = (".nii.gz", ".nii")
GRID_TOLERANCE_MM = 0.1
STRUCTURES = ("scar", "mvo", "wall")
"""Scar is the infarct, MVO included; the wall is all of it."""


@dataclass(frozen=True)
class StructureOverlap:
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
    scar: StructureOverlap
    mvo: StructureOverlap
    wall: StructureOverlap


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
        scale = _VoxelScale(other.spacing_mm, None, MassConvention.SPACING, density_g_per_ml)
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
    return _compared(name, a, b, _VoxelScale(spacing, stack, convention, density_g_per_ml))


def _compared(name: str, a: LabelArray, b: LabelArray, scale: _VoxelScale) -> MaskPair:
    figures = {
        structure: _figures(_mask(a, structure), _mask(b, structure), scale)
        for structure in STRUCTURES
    }
    return MaskPair(name, scale.convention, **figures)


@dataclass(frozen=True)
class _VoxelScale:
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


def _figures(a: MaskArray, b: MaskArray, scale: _VoxelScale) -> StructureOverlap:
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


MAX_NAMED = 20
SPREAD = "spread or 95 % interval"
_FIGURES: tuple[tuple[str, str, int], ...] = (
    ("Dice", "dice", 3),
    ("Dice, mean of slices", "slice_dice", 3),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("HD, mm", "hausdorff_mm", 1),
    ("HD95, mm", "hd95_mm", 1),
    ("HD in plane, mean of slices, mm", "slice_hausdorff_mm", 1),
    ("HD95 in plane, mean of slices, mm", "slice_hd95_mm", 1),
)
_PATIENT_COLUMNS = ("", "Dice", "HD95, mm", "in plane, mm", "A, g", "B, g", "A - B, g")
PUBLISHED = (
    ("Interactive tool, 53 test patients", "Dice 0.74 ± 0.10, HD 5.87 ± 6.79 mm"),
    ("EMIDEC challenge winner, automatic", "infarct Dice 0.712, MVO 0.785"),
)
"""Published overlaps, to stand beside."""


def compare(options: argparse.Namespace, progress: Progress) -> ComparisonOutput:
    """Run ``scarseg compare`` with parsed options.

    Raises:
        InputError: E_MASK, E_PAIRS, and what DICOM is refused for; OutputError: E_EXISTS,
            E_WRITE, E_OUTPUT_NAME.
    """
    check_output(options, [options.a, options.b])
    files = pair_files(options.a, options.b)
    stack_of = _stacks(options.dicom, progress)
    results: list[MaskPair] = []
    refused: list[tuple[str, ScarsegError]] = []
    for n, (name, a, b) in enumerate(files.pairs):
        progress(n / len(files.pairs), name)
        try:
            stack = stack_of(name)
            convention = MassConvention(options.mass)
            results.append(compare_files(name, a, b, stack, convention, options.density))
        except ScarsegError as error:
            refused.append((name, error))
    if not results:
        raise refused[0][1]
    failed = [f"{name} could not be compared: {error.code}." for name, error in refused]
    notes = [*_unpaired(options, files), *_said(results, options)]
    pooled = {one: _pooled(results, one) for one in STRUCTURES}
    names = (options.a.name, options.b.name)
    numbers = {
        **mask_numbers(names, results, options.density),
        "only_in_a": list(files.only_a),
        "only_in_b": list(files.only_b),
        "refused": [{"name": name, "error_code": error.code} for name, error in refused],
    }
    written: list[Path] = []
    if options.output is not None:
        page = mask_page(names, results, [*failed, *notes], numbers)
        written = write_agreement(options.output, page, options.force)
    errors = [f"{error.code}: {error.message}" for _, error in refused]
    tables = [_patients_table(results)]
    tables += [
        statistics_table(f"{name}: A {options.a.name}, B {options.b.name}", lines, SPREAD)
        for name, lines in pooled.items()
        if lines
    ]
    return ComparisonOutput(
        tuple(tables), numbers_json(numbers), (*errors, *notes), tuple(written), len(refused)
    )


def _stacks(folder: Path | None, progress: Progress) -> Callable[[str], Stack | None]:
    """Give a function that finds the stack of a mask by the name that masks are given."""
    if folder is None:
        return lambda name: None
    found: dict[str, StackSummary] = {}
    for one in dicom.scan([folder], progress).stacks:
        found[safe_name(one.stack_id)] = one

    def stack_of(name: str) -> Stack:
        if name not in found:
            raise InputError("E_MASK", f"{name}: no series of the DICOM folder has this name.")
        return dicom.read_stack(found[name])

    return stack_of


def _unpaired(options: argparse.Namespace, files: PairedFiles) -> list[str]:
    notes = []
    for mine, other, names in (
        (options.a, options.b, files.only_a),
        (options.b, options.a, files.only_b),
    ):
        if names:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            listed = ", ".join(names[:MAX_NAMED])
            notes.append(f"{len(names)} of {mine.name} not in {other.name}: {listed}{more}.")
    return notes


def _said(results: Sequence[MaskPair], options: argparse.Namespace) -> list[str]:
    empty = sum(one.scar.both_empty for one in results)
    notes = []
    if empty:
        notes.append(
            f"{empty} of {len(results)} pairs have no scar in either mask: counted apart, in"
            " no statistic."
        )
    if options.dicom is None:
        notes.append(
            "Without --dicom a slice is as deep as the distance to the next (mass convention"
            " spacing)."
        )
    return notes


def _pooled(results: Sequence[MaskPair], structure: str) -> list[StatisticLine]:
    """Give the statistics of one structure over all stacks; nothing where no mask has it."""
    figures: list[StructureOverlap] = [getattr(one, structure) for one in results]
    seen = [one for one in figures if not one.both_empty]
    if not seen:
        return []
    lines = [
        StatisticLine("stacks", str(len(figures))),
        StatisticLine("empty in both", str(len(figures) - len(seen))),
        StatisticLine("only in A", str(sum(one.n_voxels_b == 0 for one in seen))),
        StatisticLine("only in B", str(sum(one.n_voxels_a == 0 for one in seen))),
    ]
    voxels = sum(one.n_voxels_a + one.n_voxels_b for one in seen)
    shared = 2 * sum(one.n_voxels_both for one in seen) / voxels
    lines.append(StatisticLine("Dice of all voxels together", f"{shared:.3f}"))
    for what, name, decimals in _FIGURES:
        known = [v for one in seen if (v := getattr(one, name)) is not None]
        if known:
            lines.append(_spread(what, known, decimals))
    masses = agreement_of(_mass_pairs(results, structure))
    return [*lines, *statistic_lines(masses, "g")[1:]]


def _spread(what: str, values: Sequence[float], decimals: int) -> StatisticLine:
    v = np.asarray(values, dtype=np.float64)
    low, middle, high = (float(one) for one in np.percentile(v, (25, 50, 75)))
    sd = f" ± {v.std(ddof=1):.{decimals}f}" if len(v) > 1 else ""
    return StatisticLine(
        what,
        f"{v.mean():.{decimals}f}{sd}",
        f"median {middle:.{decimals}f}, IQR {low:.{decimals}f} to {high:.{decimals}f}",
    )


def _patient_rows(results: Sequence[MaskPair]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            one.name,
            "both empty" if one.scar.both_empty else format_number(one.scar.dice, 3),
            format_number(one.scar.hd95_mm, 1),
            format_number(one.scar.slice_hd95_mm, 1),
            format_number(one.scar.mass_a_g),
            format_number(one.scar.mass_b_g),
            format_number(one.scar.mass_a_g - one.scar.mass_b_g),
        )
        for one in results
    )


def _patients_table(results: Sequence[MaskPair]) -> Table:
    table = Table(title="Scar, stack by stack", title_justify="left")
    for name in _PATIENT_COLUMNS:
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for row in _patient_rows(results):
        table.add_row(*row)
    return table


def mask_numbers(
    names: tuple[str, str], results: Sequence[MaskPair], density_g_per_ml: float
) -> dict[str, Any]:
    """Give all figures of two sets of masks, for JSON."""
    return {
        "a": names[0],
        "b": names[1],
        "difference": "a - b",
        "mass_convention": str(results[0].convention),
        "density_g_per_ml": density_g_per_ml,
        "stacks": [to_dict(one) for one in results],
        "agreement": {
            name: to_dict(agreement_of(pairs))
            for name in STRUCTURES
            if (pairs := _mass_pairs(results, name))
        },
    }


def _mass_pairs(results: Sequence[MaskPair], structure: str) -> list[Pair]:
    """Give the grams of a structure where either mask has it: two empty masks are no reading."""
    figures: list[StructureOverlap] = [getattr(one, structure) for one in results]
    return [
        Pair((one.name,), one.name, mine.mass_a_g, mine.mass_b_g)
        for one, mine in zip(results, figures, strict=True)
        if not mine.both_empty
    ]


def mask_tables(results: Sequence[MaskPair]) -> list[Any]:
    """Give what a page tells of overlap, distances and grams: pooled, then stack by stack."""
    from scarseg.report.layout import TableBlock

    blocks = []
    for name in STRUCTURES:
        told = tuple((one.what, one.value, one.interval) for one in _pooled(results, name))
        if told:
            title = name.upper() if name == "mvo" else name.capitalize()
            blocks.append(TableBlock(title, ("", "value", SPREAD), told))
    blocks.append(TableBlock("Scar, stack by stack", _PATIENT_COLUMNS, _patient_rows(results)))
    return blocks


def mask_page(
    names: tuple[str, str],
    results: Sequence[MaskPair],
    notes: Sequence[str],
    numbers: dict[str, Any],
) -> AgreementPage:
    """Give what a page says of two sets of masks: figure, statistics, stack by stack."""
    from scarseg.report.layout import FigureBlock, TableBlock
    from scarseg.report.plots import agreement_figure

    convention = results[0].convention
    blocks: list[Any] = []
    if pairs := _mass_pairs(results, "scar"):
        a, b = np.array([one.a for one in pairs]), np.array([one.b for one in pairs])
        blocks.append(
            FigureBlock(
                "Scar mass: Bland-Altman with bias, limits of agreement and their 95 % intervals;"
                " scatter with the line of identity.",
                agreement_figure(a, b, names, "scar mass", "g"),
            )
        )
    blocks += mask_tables(results)
    blocks.append(TableBlock("Published figures, to stand beside", ("", ""), PUBLISHED))
    about = f"A = {names[0]}, B = {names[1]}; {len(results)} pairs; mass convention {convention}"
    keys = ("name", *(f"{s}_{f}" for s in STRUCTURES for f in to_dict(results[0].scar)))
    rows: tuple[dict[str, Any], ...] = tuple(
        {
            "name": one.name,
            **{f"{s}_{f}": v for s in STRUCTURES for f, v in to_dict(getattr(one, s)).items()},
        }
        for one in results
    )
    return AgreementPage(
        "Two sets of masks", (about, *notes, NOT_EQUIVALENCE), tuple(blocks), numbers, keys, rows
    )
