"""``scarseg compare``: from two folders of masks to overlap, grams, a page and JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from scarseg.agreement.command import NOT_EQUIVALENCE, Done, check_output, statement_table
from scarseg.agreement.masks import (
    STRUCTURES,
    MaskPair,
    PairedFiles,
    StructureFigures,
    compare_files,
    pair_files,
)
from scarseg.agreement.output import Written, numbers_json, plain, write
from scarseg.agreement.pairing import Pair
from scarseg.agreement.statements import Statement, agreement_of, shown, statements
from scarseg.errors import InputError, ScarsegError
from scarseg.io import dicom
from scarseg.io.dicom_report import StackSummary
from scarseg.io.outputs import safe_name
from scarseg.measurements import MassConvention
from scarseg.progress import Progress
from scarseg.stack import Stack

MOST_NAMED = 20
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


def compare(options: argparse.Namespace, progress: Progress) -> Done:
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
        written = write(options.output, page, options.force)
    errors = [f"{error.code}: {error.message}" for _, error in refused]
    tables = [_patients_table(results)]
    tables += [
        statement_table(f"{name}: A {options.a.name}, B {options.b.name}", lines, SPREAD)
        for name, lines in pooled.items()
        if lines
    ]
    return Done(
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
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            listed = ", ".join(names[:MOST_NAMED])
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


def _pooled(results: Sequence[MaskPair], structure: str) -> list[Statement]:
    """Give the statistics of one structure over all stacks; nothing where no mask has it."""
    figures: list[StructureFigures] = [getattr(one, structure) for one in results]
    seen = [one for one in figures if not one.both_empty]
    if not seen:
        return []
    lines = [
        Statement("stacks", str(len(figures))),
        Statement("empty in both", str(len(figures) - len(seen))),
        Statement("only in A", str(sum(one.n_voxels_b == 0 for one in seen))),
        Statement("only in B", str(sum(one.n_voxels_a == 0 for one in seen))),
    ]
    voxels = sum(one.n_voxels_a + one.n_voxels_b for one in seen)
    shared = 2 * sum(one.n_voxels_both for one in seen) / voxels
    lines.append(Statement("Dice of all voxels together", f"{shared:.3f}"))
    for what, name, decimals in _FIGURES:
        known = [v for one in seen if (v := getattr(one, name)) is not None]
        if known:
            lines.append(_spread(what, known, decimals))
    masses = agreement_of(_mass_pairs(results, structure))
    return [*lines, *statements(masses, "g")[1:]]


def _spread(what: str, values: Sequence[float], decimals: int) -> Statement:
    v = np.asarray(values, dtype=np.float64)
    low, middle, high = (float(one) for one in np.percentile(v, (25, 50, 75)))
    sd = f" ± {v.std(ddof=1):.{decimals}f}" if len(v) > 1 else ""
    return Statement(
        what,
        f"{v.mean():.{decimals}f}{sd}",
        f"median {middle:.{decimals}f}, IQR {low:.{decimals}f} to {high:.{decimals}f}",
    )


def _patient_rows(results: Sequence[MaskPair]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            one.name,
            "both empty" if one.scar.both_empty else shown(one.scar.dice, 3),
            shown(one.scar.hd95_mm, 1),
            shown(one.scar.slice_hd95_mm, 1),
            shown(one.scar.mass_a_g),
            shown(one.scar.mass_b_g),
            shown(one.scar.mass_a_g - one.scar.mass_b_g),
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
        "stacks": [plain(one) for one in results],
        "agreement": {
            name: plain(agreement_of(pairs))
            for name in STRUCTURES
            if (pairs := _mass_pairs(results, name))
        },
    }


def _mass_pairs(results: Sequence[MaskPair], structure: str) -> list[Pair]:
    """Give the grams of a structure where either mask has it: two empty masks are no reading."""
    figures: list[StructureFigures] = [getattr(one, structure) for one in results]
    return [
        Pair((one.name,), one.name, mine.mass_a_g, mine.mass_b_g)
        for one, mine in zip(results, figures, strict=True)
        if not mine.both_empty
    ]


def mask_tables(results: Sequence[MaskPair]) -> list[Any]:
    """Give what a page tells of overlap, distances and grams: pooled, then stack by stack."""
    from scarseg.figures.page import TableBlock

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
) -> Written:
    """Give what a page says of two sets of masks: figure, statistics, stack by stack."""
    from scarseg.figures.agreement import agreement_figure
    from scarseg.figures.page import FigureBlock, TableBlock

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
    keys = ("name", *(f"{s}_{f}" for s in STRUCTURES for f in plain(results[0].scar)))
    rows: tuple[dict[str, Any], ...] = tuple(
        {
            "name": one.name,
            **{f"{s}_{f}": v for s in STRUCTURES for f, v in plain(getattr(one, s)).items()},
        }
        for one in results
    )
    return Written(
        "Two sets of masks", (about, *notes, NOT_EQUIVALENCE), tuple(blocks), numbers, keys, rows
    )
