"""Write an evaluation: two tables and a summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import scarseg
from scarseg.evaluation.figures import PatientFigures, SliceFigures
from scarseg.evaluation.patient import PatientResult, moved_case
from scarseg.evaluation.strategies import Asking
from scarseg.evaluation.summary import Column, Figures, columns_of, gain, plain, strata, summarise
from scarseg.io.outputs import write_all
from scarseg.io.provenance import RESEARCH_USE
from scarseg.io.table import render_rows
from scarseg.training.cases import TrainingCase

PATIENTS, SLICES, SUMMARY = "patients.csv", "slices.csv", "summary.json"

PATIENT_COLUMNS = tuple(field.name for field in fields(PatientFigures))
SLICE_COLUMNS = tuple(field.name for field in fields(SliceFigures))


def result_files(folder: Path) -> list[Path]:
    """Name the files of an evaluation besides its pictures, the last one written last."""
    return [folder / PATIENTS, folder / SLICES, folder / SUMMARY]


def pictures(
    results: Sequence[PatientResult], cases: Iterable[TrainingCase], seed: int
) -> dict[str, bytes]:
    """Draw charts and example slices; file name to PNG."""
    from scarseg.evaluation import charts, examples

    moved = {
        case.name: moved_case(case, seed)
        for case in cases
        if any(one.patient == case.name for result in results for one in result.slices)
    }
    return {**charts.charts(columns(results)), **examples.examples(results, moved)}


def columns(results: Sequence[PatientResult]) -> tuple[Column, ...]:
    """Sort the rows of all patients into columns: one per segmenter and way of asking."""
    return columns_of(
        [row for result in results for row in result.patients],
        [row for result in results for row in result.slices],
    )


def summary_of(results: Sequence[PatientResult]) -> list[Figures]:
    """Summarise every column, each with its strata; boxes also against FWHM."""
    everything = columns(results)
    failed = [row for result in results for row in result.patients if row.error_code]
    summaries = []
    for column in everything:
        figures = {
            "segmenter": column.segmenter,
            "prompts": column.prompts,
            "failed": sum(row.column == (column.segmenter, column.prompts) for row in failed),
            **summarise(column),
            "strata": strata(column),
        }
        name = Asking.FWHM.value
        others = {one.prompts: one for one in everything if one.segmenter == column.segmenter}
        if name in others and column.prompts != name:
            figures["over_fwhm"] = gain(column, others[name])
        summaries.append(figures)
    return summaries


def _nested(summaries: Sequence[Figures]) -> dict[str, dict[str, Any]]:
    """Arrange summaries by segmenter, then by way of asking."""
    nested: dict[str, dict[str, Any]] = {}
    for one in summaries:
        figures = {k: v for k, v in plain(one).items() if k not in ("segmenter", "prompts")}
        nested.setdefault(one["segmenter"], {})[one["prompts"]] = figures
    return nested


def write_results(
    folder: Path,
    results: Sequence[PatientResult],
    summaries: Sequence[Figures],
    settings: Mapping[str, Any],
    drawn: Mapping[str, bytes] = MappingProxyType({}),
    force: bool = False,
) -> None:
    """Write pictures, ``patients.csv``, ``slices.csv`` and ``summary.json``, all or none.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    patients = [asdict(row) for result in results for row in result.patients]
    slices = [asdict(row) for result in results for row in result.slices]
    about = {
        "software": "scarseg",
        "software_version": scarseg.__version__,
        "statement": RESEARCH_USE,
        "settings": dict(settings),
        "segmenters": _nested(summaries),
    }
    text = json.dumps(about, indent=1, allow_nan=False) + "\n"
    contents = (
        render_rows(PATIENT_COLUMNS, patients),
        render_rows(SLICE_COLUMNS, slices),
        text.encode(),
    )
    files = {folder / name: data for name, data in drawn.items()}
    write_all(files | dict(zip(result_files(folder), contents, strict=True)), force)
