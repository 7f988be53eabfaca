"""Tables of an evaluation: on the console, as CSV and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.table import Table

import scarseg
from scarseg.evaluation.metrics import PatientFigures, SliceFigures
from scarseg.evaluation.patient import PatientResult, off_centre_case
from scarseg.evaluation.prompts import PromptKind
from scarseg.evaluation.summary import (
    Column,
    Figures,
    dice_gain,
    group_columns,
    strata,
    summarise,
    to_plain,
)
from scarseg.io.files import write_files
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import render_csv
from scarseg.training.cases import TrainingCase

_WIDEST = 6
"""Columns side by side, before the table is split."""

# Title, path into the summary, decimals.
_ROWS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("patients", ("patients",), 0),
    ("patients with scar", ("patients_with_scar",), 0),
    ("failed", ("failed",), 0),
    ("", (), 0),
    ("scar: Dice, patients with scar", ("scar", "dice", "mean"), 3),
    ("  95 % interval", ("scar", "dice", "mean_ci"), 3),
    ("  median", ("scar", "dice", "median"), 3),
    ("  lowest", ("scar", "dice", "minimum"), 3),
    ("scar: Dice, challenge's rule", ("challenge_dice",), 3),
    ("scar: pooled Dice", ("scar", "pooled_dice"), 3),
    ("scar: slice Dice, mean", ("scar", "slice_dice", "mean"), 3),
    ("scar: precision", ("scar", "precision"), 3),
    ("scar: recall", ("scar", "recall"), 3),
    ("scar: HD in-plane, mm", ("scar", "hd_mm", "mean"), 1),
    ("scar: HD95 in-plane, mm", ("scar", "hd95_mm", "mean"), 1),
    ("scar: HD 3D, mm", ("scar", "hd_3d_mm", "mean"), 1),
    ("scar: HD95 3D, mm", ("scar", "hd95_3d_mm", "mean"), 1),
    ("", (), 0),
    ("scar mass: true mean, g", ("scar", "true_scar_mass_g", "mean"), 1),
    ("scar mass: MAE, g", ("scar", "mass_absolute_error_g", "mean"), 2),
    ("  median absolute error, g", ("scar", "mass_absolute_error_g", "median"), 2),
    ("  quartiles, g", ("scar", "mass_absolute_error_g", "quartiles"), 2),
    ("scar mass: signed error, median, g", ("scar", "mass_error_g", "median"), 2),
    ("scar mass: bias, g", ("scar", "mass_agreement", "bland_altman", "bias"), 2),
    ("  limits of agreement, g", ("scar", "mass_agreement", "bland_altman", "limits"), 2),
    ("scar mass: CCC", ("scar", "mass_agreement", "concordance", "ccc"), 3),
    ("scar mass: R2", ("scar", "mass_agreement", "correlation", "r_squared"), 3),
    ("scar mass: Wilcoxon p", ("scar", "mass_agreement", "wilcoxon", "p_value"), 3),
    ("scar mass: error, % of LV mass", ("scar", "mass_error_percent_lv", "mean"), 2),
    ("scar % of LV: CCC", ("scar", "percent_lv_agreement", "concordance", "ccc"), 3),
    ("false scar, patients without, g", ("false_scar", "on_patients_without_scar_g", "mean"), 2),
    ("  left empty, %", ("false_scar", "patients_left_empty_percent"), 0),
    ("false scar, slices without, g", ("false_scar", "on_slices_without_scar_g", "mean"), 3),
    ("", (), 0),
    ("gain in Dice over FWHM", ("over_fwhm", "dice_difference", "mean"), 3),
    ("  Wilcoxon p", ("over_fwhm", "wilcoxon", "p_value"), 3),
    ("redrawn prompts: CCC of grams", ("repeatability", "ccc"), 3),
    ("redrawn prompts: Dice", ("repeatability", "dice", "mean"), 3),
    ("clicks to patient Dice 0.75", ("clicks", "to_dice_0.75_per_patient", "said"), 1),
    ("clicks to patient Dice 0.80", ("clicks", "to_dice_0.80_per_patient", "said"), 1),
    ("clicks to slice Dice 0.75", ("clicks", "to_dice_0.75_per_slice", "said"), 1),
    ("clicks to slice Dice 0.80", ("clicks", "to_dice_0.80_per_slice", "said"), 1),
    ("", (), 0),
    ("wall Dice", ("heart", "wall_dice", "mean"), 3),
    ("blood pool Dice", ("heart", "pool_dice", "mean"), 3),
    ("LV mass: bias, g", ("heart", "lv_mass_agreement", "bland_altman", "bias"), 1),
    ("LV mass: MAE, g", ("heart", "lv_mass_agreement", "absolute_error", "mae"), 1),
    ("left ventricle: IoU", ("heart", "lv_iou", "mean"), 3),
    ("left ventricle: found, %", ("heart", "lv_found_percent"), 1),
    ("slices: sensitivity", ("slices", "sensitivity"), 3),
    ("slices: specificity", ("slices", "specificity"), 3),
    ("slices: sensitivity at specificity 0.9", ("slices", "sensitivity_at_specificity_0.9"), 3),
    ("slices: area under ROC", ("slices", "roc_area"), 3),
    ("boxes: recall at IoU 0.1", ("boxes", "recall_iou10"), 3),
    ("boxes: recall at IoU 0.3", ("boxes", "recall_iou30"), 3),
    ("boxes: recall at IoU 0.5", ("boxes", "recall_iou50"), 3),
    ("boxes: precision at IoU 0.1", ("boxes", "precision_iou10"), 3),
    ("boxes: precision at IoU 0.3", ("boxes", "precision_iou30"), 3),
    ("boxes: precision at IoU 0.5", ("boxes", "precision_iou50"), 3),
    ("", (), 0),
    ("time: proposal of a stack, s", ("time", "seconds_per_stack"), 2),
    ("time: one answer, s", ("time", "seconds_per_answer"), 3),
)


def build_tables(summaries: Sequence[Figures]) -> Iterator[Table]:
    """Build the tables to print: figures down, strategies across; strata last.

    With several segmenters a table that compares them comes first.
    """
    segmenters = list(dict.fromkeys(one["segmenter"] for one in summaries))
    if len(segmenters) > 1:
        yield _comparison(summaries, segmenters)
    for name in segmenters:
        own = [one for one in summaries if one["segmenter"] == name]
        for start in range(0, len(own), _WIDEST):
            yield _main_table(name, own[start : start + _WIDEST])
    for one in summaries:
        table = _strata_table(one)
        if table.row_count:
            yield table


def _main_table(segmenter: str, summaries: Sequence[Figures]) -> Table:
    table = Table(title=segmenter, title_justify="left")
    table.add_column("")
    for one in summaries:
        table.add_column(one["prompts"], justify="right", no_wrap=True)
    for title, path, decimals in _ROWS:
        if not path:
            table.add_section()
            continue
        cells = [format_figure(one, path, decimals) for one in summaries]
        if any(cells):
            table.add_row(title, *cells)
    return table


def _comparison(summaries: Sequence[Figures], segmenters: Sequence[str]) -> Table:
    """Compare models: strategies down, models across; mean patient Dice and MAE."""
    table = Table(title="Scar: mean patient Dice (MAE in g)", title_justify="left")
    table.add_column("")
    for name in segmenters:
        table.add_column(name, justify="right", no_wrap=True)
    by_place = {(one["prompts"], one["segmenter"]): one for one in summaries}
    for prompts in dict.fromkeys(one["prompts"] for one in summaries):
        cells = []
        for name in segmenters:
            one = by_place.get((prompts, name), {})
            dice = format_figure(one, ("scar", "dice", "mean"), 3)
            error = format_figure(one, ("scar", "mass_absolute_error_g", "mean"), 2)
            cells.append(f"{dice} ({error})" if dice else "")
        table.add_row(prompts, *cells)
    return table


def _strata_table(summary: Figures) -> Table:
    title = f"{summary['segmenter']}, {summary['prompts']}: strata"
    table = Table(title=title, title_justify="left")
    for name in ("", "patients", "Dice", "HD95, mm", "MAE, g", "bias, g", "CCC"):
        table.add_column(name, justify="right" if name else "left")
    keys = (("dice", 3), ("hd95_mm", 1), ("mass_mae_g", 2), ("mass_bias_g", 2), ("mass_ccc", 3))
    for by, groups in summary.get("strata", {}).items():
        for name, figures in groups.items():
            cells = [format_figure(figures, (key,), decimals) for key, decimals in keys]
            title = f"{by.replace('_', ' ')}: {name}"
            table.add_row(title, str(figures["patients"]), *cells)
    return table


def format_figure(figures: Figures, path: Sequence[str], decimals: int) -> str:
    """Return a figure of a summary as text, empty where it is missing."""
    value: Any = figures
    for name in path:
        if not isinstance(value, dict):
            return ""
        if name == "quartiles":
            value = [value.get("lower_quartile"), value.get("upper_quartile")]
        elif name == "limits":
            value = [value.get("lower_limit"), value.get("upper_limit")]
        elif name == "said":
            return _clicks(value, decimals)
        else:
            value = value.get(name)
    if isinstance(value, (list, tuple)):
        if any(one is None for one in value):
            return ""
        return " to ".join(f"{one:.{decimals}f}" for one in value)
    return "" if value is None else f"{value:.{decimals}f}"


def _clicks(value: Figures, decimals: int) -> str:
    reached, median = value.get("reached_percent"), value.get("median_where_reached")
    if reached is None:
        return ""
    return f"{reached:.0f} %" + ("" if median is None else f", median {median:.{decimals}f}")


PATIENTS, SLICES, SUMMARY = "patients.csv", "slices.csv", "summary.json"

PATIENT_COLUMNS = tuple(field.name for field in fields(PatientFigures))
SLICE_COLUMNS = tuple(field.name for field in fields(SliceFigures))


def result_files(folder: Path) -> list[Path]:
    """Return the files of an evaluation besides its figures, the last one written last."""
    return [folder / PATIENTS, folder / SLICES, folder / SUMMARY]


def draw_figures(
    results: Sequence[PatientResult], cases: Iterable[TrainingCase], seed: int
) -> dict[str, bytes]:
    """Draw charts and example slices; file name to PNG."""
    from scarseg.evaluation import plots

    moved = {
        case.name: off_centre_case(case, seed)
        for case in cases
        if any(one.patient == case.name for result in results for one in result.slices)
    }
    return {
        **plots.draw_charts(result_columns(results)),
        **plots.draw_example_slices(results, moved),
    }


def result_columns(results: Sequence[PatientResult]) -> tuple[Column, ...]:
    """Group the rows of all patients into columns: one per segmenter and strategy."""
    return group_columns(
        [row for result in results for row in result.patients],
        [row for result in results for row in result.slices],
    )


def summarise_results(results: Sequence[PatientResult]) -> list[Figures]:
    """Summarise every column, each with its strata; boxes also against FWHM."""
    everything = result_columns(results)
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
        name = PromptKind.FWHM.value
        others = {one.prompts: one for one in everything if one.segmenter == column.segmenter}
        if name in others and column.prompts != name:
            figures["over_fwhm"] = dice_gain(column, others[name])
        summaries.append(figures)
    return summaries


def _nested(summaries: Sequence[Figures]) -> dict[str, dict[str, Any]]:
    """Arrange summaries by segmenter, then by strategy."""
    nested: dict[str, dict[str, Any]] = {}
    for one in summaries:
        figures = {k: v for k, v in to_plain(one).items() if k not in ("segmenter", "prompts")}
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
        render_csv(PATIENT_COLUMNS, patients),
        render_csv(SLICE_COLUMNS, slices),
        text.encode(),
    )
    files = {folder / name: data for name, data in drawn.items()}
    write_files(files | dict(zip(result_files(folder), contents, strict=True)), force)
