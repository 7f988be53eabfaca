"""``scarseg compare``: overlap, distances and grams of two folders of masks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from scarseg.agreement.mask_files import (
    PairedFiles,
    compare_files,
    pair_by_stack,
    pair_files,
)
from scarseg.agreement.mask_overlap import STRUCTURES, MaskPair, StructureOverlap
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
    MAX_NAMED,
    NOT_EQUIVALENCE,
    ComparisonOutput,
    check_output,
    statistics_table,
)
from scarseg.case.measurements import MassConvention
from scarseg.errors import ScarsegError
from scarseg.io import dicom
from scarseg.progress import Progress

SPREAD = "spread or 95 % interval"
_MEASURES: tuple[tuple[str, str, int], ...] = (
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
"""Published overlaps, to compare with."""


def compare(options: argparse.Namespace, progress: Progress) -> ComparisonOutput:
    """Run ``scarseg compare`` with parsed options.

    Raises:
        InputError: E_MASK, E_PAIRS, and what DICOM is refused for; OutputError: E_EXISTS,
            E_WRITE, E_OUTPUT_NAME.
    """
    check_output(options, [options.a, options.b])
    values_a = dict(options.values) or None
    values_b = dict(options.values_b) or values_a
    if options.dicom is None:
        files = pair_files(options.a, options.b)
    else:
        stacks = dicom.scan([options.dicom], progress).stacks
        files = pair_by_stack(options.a, options.b, stacks, values_a, values_b)
    results: list[MaskPair] = []
    refused = list(files.refused)
    for n, one in enumerate(files.pairs):
        progress(n / len(files.pairs), one.name)
        try:
            results.append(
                compare_files(
                    one, MassConvention(options.mass), options.density, values_a, values_b
                )
            )
        except ScarsegError as error:
            refused.append((one.name, error))
    if not results:
        raise refused[0][1]
    failed = [f"{name} could not be compared: {error.code}." for name, error in refused]
    notes = [*_unpaired(options, files), *_notes(results, options)]
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


def _notes(results: Sequence[MaskPair], options: argparse.Namespace) -> list[str]:
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
    """Return the statistics of one structure over all stacks; none where no mask has it."""
    overlaps: list[StructureOverlap] = [getattr(one, structure) for one in results]
    seen = [one for one in overlaps if not one.both_empty]
    if not seen:
        return []
    lines = [
        StatisticLine("stacks", str(len(overlaps))),
        StatisticLine("empty in both", str(len(overlaps) - len(seen))),
        StatisticLine("only in A", str(sum(one.n_voxels_b == 0 for one in seen))),
        StatisticLine("only in B", str(sum(one.n_voxels_a == 0 for one in seen))),
    ]
    voxels = sum(one.n_voxels_a + one.n_voxels_b for one in seen)
    shared = 2 * sum(one.n_voxels_both for one in seen) / voxels
    lines.append(StatisticLine("Dice of all voxels together", f"{shared:.3f}"))
    for what, name, decimals in _MEASURES:
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
    """Return all numbers of two sets of masks, for JSON."""
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
    """Return the grams of a structure where either mask has it: two empty masks do not count."""
    overlaps: list[StructureOverlap] = [getattr(one, structure) for one in results]
    return [
        Pair((one.name,), one.name, mine.mass_a_g, mine.mass_b_g)
        for one, mine in zip(results, overlaps, strict=True)
        if not mine.both_empty
    ]


def mask_tables(results: Sequence[MaskPair]) -> list[Any]:
    """Return overlap, distances and grams as blocks of a page: pooled, then stack by stack."""
    from scarseg.report.layout import TableBlock

    blocks = []
    for name in STRUCTURES:
        rows = tuple((one.what, one.value, one.interval) for one in _pooled(results, name))
        if rows:
            title = name.upper() if name == "mvo" else name.capitalize()
            blocks.append(TableBlock(title, ("", "value", SPREAD), rows))
    blocks.append(TableBlock("Scar, stack by stack", _PATIENT_COLUMNS, _patient_rows(results)))
    return blocks


def mask_page(
    names: tuple[str, str],
    results: Sequence[MaskPair],
    notes: Sequence[str],
    numbers: dict[str, Any],
) -> AgreementPage:
    """Return the page of two sets of masks: plot, statistics, stack by stack."""
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
