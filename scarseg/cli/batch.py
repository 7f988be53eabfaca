"""``scarseg batch`` and ``scarseg measure``: from options to tables, reports and masks."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scarseg import models
from scarseg.batch import masks as batch_masks
from scarseg.batch import models as batch_models
from scarseg.batch import selection
from scarseg.batch.results import METHOD_TABLES, MaskFormat, StackResult, method_tables
from scarseg.case.measurements import MassConvention
from scarseg.errors import InputError
from scarseg.io import dicom
from scarseg.io import files as io_files
from scarseg.io.masks import match
from scarseg.io.prompts_json import read_prompts
from scarseg.io.tables.export import export_files, write_export
from scarseg.io.tables.table import StackRecord
from scarseg.progress import Progress

ProgressBar = Callable[[str], AbstractContextManager[Progress]]
Print = Callable[[str], None]


@dataclass(frozen=True)
class BatchOutput:
    """What a run left: its main file, how many rows were measured and failed."""

    file: Path
    measured: int
    failed: int
    some_failed: bool


def run_batch(options: argparse.Namespace, bar: ProgressBar, say: Print) -> BatchOutput:
    """Measure the LGE stack of every study with models.

    Raises:
        InputError, OutputError, WeightsError: nothing could be done.
    """
    if options.sr and options.masks is None:
        raise InputError("E_USAGE", "--sr needs a folder: give --masks DIR.")
    files = _checked_files(options, [*options.inputs, *filter(None, [options.prompts])])
    prompts = None if options.prompts is None else read_prompts(options.prompts)
    settings = batch_models.BatchSettings(
        **_shared(options),
        masks=None if options.mask_format == "none" and not options.sr else options.masks,
        mask_format=MaskFormat(options.mask_format),
        sr=options.sr,
        prompts=prompts,
        interval=options.interval,
    )
    with bar("Reading headers") as progress:
        report = dicom.scan(options.inputs, progress)
    io_files.refuse_inputs(files, selection.input_files(report))
    chosen = selection.select_stacks(report, options.series, options.identify)
    for note in (*report.notes, *chosen.notes):
        say(note)
    load = partial(models.load, options.segmenter, options.detector, options.device)
    with bar("Measuring") as progress:
        result = batch_models.measure_jobs(chosen.jobs, settings, load, options.jobs, progress)
    told = {
        "device": options.device,
        "prompts_file": options.prompts is not None,
        "interval": options.interval,
    }
    records = (*chosen.records, *(one.record for one in result.outcomes))
    done = _write(options, records, result.outcomes, told)
    for note in result.notes:
        say(note)
    for uid, frame in result.unused_prompts:
        which = uid if frame is None else f"{uid}, frame {frame}"
        say(f"W_PROMPTS_UNUSED: no series that was read holds slice {which}.")
    return BatchOutput(
        done.file, done.measured, done.failed, bool(done.failed or result.unused_prompts)
    )


def run_measure(options: argparse.Namespace, bar: ProgressBar, say: Print) -> BatchOutput:
    """Measure labels made elsewhere on the stacks they belong to.

    Raises:
        InputError, OutputError: nothing could be done.
    """
    files = _checked_files(options, [*options.masks_in, *options.dicom])
    meaning = dict(options.values) or None
    settings = batch_masks.MaskSettings(**_shared(options), meaning=meaning)
    masks = match.find_masks(options.masks_in)
    with bar("Reading headers") as progress:
        report = dicom.scan(options.dicom, progress)
    selection.require_mr(report)
    io_files.refuse_inputs(files, [*selection.input_files(report), *(one.path for one in masks)])
    stacks = match.select_series(report.stacks, options.series)
    with bar("Matching") as progress:
        matching = match.match_masks(masks, stacks, meaning, progress)
    for note in (*report.notes, *batch_masks.matching_notes(matching)):
        say(note)
    with bar("Measuring") as progress:
        outcomes = batch_masks.measure_masks(matching, settings, progress)
    told = {"values": {str(value): label.name for value, label in (meaning or {}).items()}}
    done = _write(options, [one.record for one in outcomes], outcomes, told)
    for note in sorted(one.note for one in outcomes if one.note):
        say(note)
    return done


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "convention": MassConvention(options.mass),
        "density_g_per_ml": options.density,
        "slice_thickness_mm": options.slice_thickness,
        "identify": options.identify,
        "force": options.force,
        "methods": options.methods,
        "reports": options.report,
    }


def _checked_files(options: argparse.Namespace, inputs: Sequence[Path]) -> list[Path]:
    """Name the tables; refuse, before any work, what could not be written afterwards."""
    extra = METHOD_TABLES if options.methods else ()
    files = export_files(options.output, options.xlsx, tuple(extra))
    io_files.refuse_inputs(files, inputs)
    if not options.force:
        io_files.refuse_existing(files)
    for file in files:
        io_files.require_writable(file)
    if options.report is not None:
        io_files.require_writable(options.report / "report")
    return files


def _write(
    options: argparse.Namespace,
    records: Sequence[StackRecord],
    outcomes: Sequence[StackResult],
    told: Mapping[str, object],
) -> BatchOutput:
    files = write_export(
        options.output,
        records,
        {**_told(options), **told},
        method_tables(outcomes) if options.methods else (),
        options.xlsx,
        options.force,
    )
    failed = sum(record.failed for record in records)
    return BatchOutput(files[-1], len(records) - failed, failed, bool(failed))


def _told(options: argparse.Namespace) -> dict[str, object]:
    """Give what the sidecar tells of the command; no paths and nothing that changes no number."""
    return {
        "mass_convention": options.mass,
        "density_g_per_ml": options.density,
        "slice_thickness_mm": options.slice_thickness,
        "series": options.series,
        "methods": list(options.methods),
        "identify": options.identify,
    }
