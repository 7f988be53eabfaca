"""``scarseg inspect``: list the stacks of a folder, without models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, counted, progress_bar
from scarseg.cli.options import INPUT
from scarseg.cli.parser import Commands, examples
from scarseg.errors import InputError

if TYPE_CHECKING:
    from scarseg.io.dicom.types import LoadReport, StackSummary


def add_inspect(commands: Commands) -> None:
    """Add ``scarseg inspect``."""
    inspect = commands.add_parser(
        "inspect",
        help="list what is in a folder, without models",
        epilog=examples("scarseg inspect STUDIES", "scarseg inspect study.zip --json"),
    )
    inspect.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=INPUT)
    inspect.add_argument("--json", action="store_true", help="for programs, on stdout")
    inspect.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from scarseg.batch import selection
    from scarseg.io import dicom

    if options.json:
        try:
            report = dicom.scan(options.inputs)
        except InputError as error:
            print(json.dumps(_refusal_document(error), indent=1))
            raise
        print(json.dumps(_report_document(report), indent=1))
    else:
        with progress_bar("Reading headers") as progress:
            report = dicom.scan(options.inputs, progress)
        _print_report(report)
    selection.require_mr(report)
    return DONE


def _report_document(report: LoadReport) -> dict[str, object]:
    return {
        "stacks": [_stack_document(one) for one in report.stacks],
        "refused": [
            {"path": one.path, "code": one.code, "message": one.message} for one in report.refused
        ],
        "skipped": report.skipped,
        "skipped_by_class": dict(report.skipped_by_class),
    }


def _refusal_document(error: InputError) -> dict[str, object]:
    refused = {"path": error.path or "", "code": error.code, "message": error.message}
    return {"stacks": [], "refused": [refused], "skipped": 0}


def _stack_document(one: StackSummary) -> dict[str, object]:
    return {
        "series_uid": one.series_uid,
        "description": one.description,
        "sequence": str(one.sequence),
        "n_slices": one.n_slices,
        "rows": one.rows,
        "columns": one.columns,
        "pixel_spacing_mm": list(one.pixel_spacing_mm),
        "slice_thickness_mm": one.slice_thickness_mm,
        "slice_spacing_mm": one.slice_spacing_mm,
        "complete": one.complete,
        "warnings": [warning.code for warning in one.warnings],
        "proposed": one.proposed,
    }


def _print_report(report: LoadReport) -> None:
    for one in report.stacks:
        thickness = "?" if one.slice_thickness_mm is None else f"{one.slice_thickness_mm:g}"
        spacing = "-" if one.slice_spacing_mm is None else f"{one.slice_spacing_mm:g}"
        row_mm, column_mm = one.pixel_spacing_mm
        print(f"{'*' if one.proposed else ' '} {one.stack_id}  {one.description}")
        print(
            f"    {one.sequence}, {counted(one.n_slices, 'slice')} of {one.rows} x {one.columns},"
            f" pixels {row_mm:g} x {column_mm:g} mm, thickness {thickness} mm,"
            f" spacing {spacing} mm"
        )
        print(f"    {one.reason}")
        for warning in one.warnings:
            print(f"    {warning.code}: {warning.message}")
    for refusal in report.refused:
        print(f"! {refusal.code}: {refusal.message} [{refusal.path}]")
    for note in report.notes:
        print(note)
    print(
        f"{counted(len(report.stacks), 'stack')} (* proposed), {len(report.refused)} refused,"
        f" {counted(report.skipped, 'other file')} skipped"
    )
