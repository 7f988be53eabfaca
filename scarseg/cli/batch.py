"""``scarseg batch`` and ``scarseg measure``: from options to tables, reports and masks."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarseg.cli.cluster import cluster_of
from scarseg.cli.console import DONE, SOME_FAILED, progress_bar, say
from scarseg.cli.options import (
    INPUT,
    add_calibration,
    add_device,
    add_dicom,
    add_force,
    add_identify,
    add_jobs,
    add_mass,
    add_methods,
    add_scheduler,
    add_table,
    add_weights,
    calibration_of,
    label_values,
    length,
)
from scarseg.cli.parser import Commands, Parser, examples
from scarseg.errors import InputError, OutputError

if TYPE_CHECKING:
    from scarseg.batch.journal import Journal
    from scarseg.batch.models import BatchSettings, ModelsLoader
    from scarseg.batch.results import StackResult
    from scarseg.batch.selection import BatchJob
    from scarseg.case.calibration import Calibration
    from scarseg.io.tables.table import StackRecord


def add_batch(commands: Commands) -> None:
    """Add ``scarseg batch``."""
    batch = commands.add_parser(
        "batch",
        help="measure studies without a window",
        description="Measure the LGE stack of every study: one CSV row each, a per-slice file"
        " and a JSON sidecar beside it. Exit status: 0 all is well, 2 some study failed (its"
        " row carries the code), 1 nothing could be done.",
        epilog=examples(
            "scarseg batch STUDIES -o scar.csv",
            "scarseg batch STUDIES -o scar.csv --cases cases --masks masks --jobs 4",
            "scarseg batch STUDIES -o scar.csv --resume --log run.log",
            "scarseg batch STUDIES -o scar.xlsx --methods all --report reports",
        ),
    )
    batch.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=INPUT)
    add_table(batch)
    batch.add_argument(
        "--masks", type=Path, metavar="DIR", help="write masks and DICOM reports here"
    )
    batch.add_argument(
        "--mask-format",
        choices=("nifti", "seg", "labelmap", "rtstruct", "none"),
        help="label maps 0-4, DICOM SEG (labelmap: its newer form, which many archives and"
        " viewers do not take yet) or RTSTRUCT (default: nifti)",
    )
    batch.add_argument(
        "--sr", action="store_true", help="also a DICOM structured report of each, in --masks"
    )
    batch.add_argument(
        "--dicom-report",
        action="store_true",
        help="also the page of each as Encapsulated PDF, in --masks",
    )
    batch.add_argument(
        "--dicom-montage",
        action="store_true",
        help="also the slices of each as Secondary Capture, in --masks, for viewers that show"
        " neither",
    )
    batch.add_argument(
        "--cases",
        type=Path,
        metavar="DIR",
        help="a case file of every stack, to be opened and corrected in the window",
    )
    batch.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="a reader's boxes and points (JSON): scar on exactly these slices",
    )
    batch.add_argument(
        "--no-interval",
        dest="interval",
        action="store_false",
        help="leave out the interval of the scar mass (scar_mass_low_g, scar_mass_high_g)",
    )
    _add_measuring(batch)
    add_device(batch)
    add_jobs(batch)
    add_scheduler(batch)
    add_weights(
        batch, "other weights: name, file or SAM .pth", 'other weights: name, file or "none"'
    )
    add_calibration(batch)
    batch.add_argument(
        "--resume",
        action="store_true",
        help="go on with an interrupted run: what it has finished is not computed again",
    )
    batch.set_defaults(run=_run_batch)


def add_measure(commands: Commands) -> None:
    """Add ``scarseg measure``."""
    measure = commands.add_parser(
        "measure",
        help="measure masks made elsewhere",
        description="Measure label maps (NIfTI) and DICOM Segmentations made elsewhere like a"
        " reading: the same tables. Each mask is matched to its stack by the images it refers to,"
        " its name (series UID, patient ID or folder), or where it lies, and must lie on its grid."
        " Exit status: 0 all is well, 2 some mask failed (its row carries the code), 1 nothing"
        " could be done.",
        epilog=examples(
            "scarseg measure masks --dicom STUDIES -o scar.csv",
            "scarseg measure masks --dicom STUDIES -o scar.csv --values 1=myocardium,2=scar",
        ),
    )
    measure.add_argument(
        "masks_in", nargs="+", type=Path, metavar="MASKS", help="folder of masks, or files"
    )
    add_dicom(measure, "the images", required=True)
    add_table(measure)
    measure.add_argument(
        "--values",
        type=label_values,
        default=(),
        metavar="1=scar,...",
        help="what values of a label map, or numbers of segments, stand for: background,"
        " blood_pool, myocardium, scar, mvo (default: 0 to 4 in this order; segments by their"
        " codes and names)",
    )
    _add_measuring(measure)
    measure.set_defaults(run=_run_measure)


def _add_measuring(command: Parser) -> None:
    """Add the options that batch and measure share."""
    command.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="measure this series instead of the proposed one; may be repeated",
    )
    add_mass(command, "what scar_mass_g follows; both are always written")
    command.add_argument(
        "--slice-thickness", type=length, metavar="MM", help="where the header has none"
    )
    add_methods(command, "threshold methods to set beside, in scar_methods.csv")
    command.add_argument(
        "--report", type=Path, metavar="DIR", help="a PDF report of every series, named by its UID"
    )
    command.add_argument(
        "--xlsx",
        action="store_true",
        help="also all tables in one workbook; -o scar.xlsx writes it alone",
    )
    add_identify(command)
    add_force(command)


def _run_batch(options: argparse.Namespace) -> int:
    """Measure the LGE stack of every study with models.

    Raises:
        InputError, OutputError, WeightsError: nothing could be done.
    """
    from scarseg import models
    from scarseg.batch.models import BatchSettings, measure_jobs
    from scarseg.batch.selection import input_files, select_stacks
    from scarseg.batch.settings import MaskFormat
    from scarseg.io import dicom
    from scarseg.io.files import refuse_inputs
    from scarseg.io.prompts_json import read_prompts

    if options.scheduler is not None and options.jobs > 1:
        raise InputError("E_USAGE", "--jobs and --scheduler exclude each other.")
    beside = {
        "--sr": options.sr,
        "--dicom-report": options.dicom_report,
        "--dicom-montage": options.dicom_montage,
    }
    for name, given in beside.items():
        if given and options.masks is None:
            raise InputError("E_USAGE", f"{name} needs a folder: give --masks DIR.")
    if options.mask_format is not None and options.masks is None:
        raise InputError("E_USAGE", "--mask-format needs a folder: give --masks DIR.")
    calibration = calibration_of(options, options.segmenter, options.detector)
    mask_format = MaskFormat(options.mask_format or "nifti")
    given = filter(None, (options.prompts, options.calibration))
    files = _table_files(options, [*options.inputs, *given])
    prompts = None if options.prompts is None else read_prompts(options.prompts)
    settings = BatchSettings(
        **_shared_settings(options),
        masks=options.masks if mask_format is not MaskFormat.NONE or any(beside.values()) else None,
        mask_format=mask_format,
        sr=options.sr,
        dicom_report=options.dicom_report,
        dicom_montage=options.dicom_montage,
        prompts=prompts,
        interval=options.interval,
        cases=options.cases,
    )
    with progress_bar("Reading headers") as progress:
        report = dicom.scan(options.inputs, progress)
    refuse_inputs(files, input_files(report))
    chosen = select_stacks(report, options.series, options.identify)
    for note in (*report.notes, *chosen.notes):
        say(note)
    load: ModelsLoader = partial(models.load, options.segmenter, options.detector, options.device)
    cluster = None
    if options.scheduler is not None:
        load, cluster = cluster_of(options, options.segmenter)
    load = partial(models.load_calibrated, load, calibration)
    with _open_journal(options, settings, chosen.jobs, calibration) as journal:
        try:
            with progress_bar("Measuring") as progress:
                result = measure_jobs(
                    chosen.jobs, settings, load, options.jobs, progress, journal, cluster
                )
        except KeyboardInterrupt:
            hint = journal.resume_hint()
            raise KeyboardInterrupt(f"Interrupted. {hint}" if hint else "") from None
        except (OutputError, InputError):
            say(journal.resume_hint())
            raise
        journal.begin_tables()
        run_settings = {
            "device": options.device,
            "prompts_file": options.prompts is not None,
            "interval": options.interval,
            "calibration_sha256": "" if calibration is None else calibration.sha256,
        }
        records = (*chosen.records, *(one.record for one in result.results))
        table, n_failed = _write_tables(
            options, records, result.results, run_settings, journal.force
        )
        journal.remove()
    print(f"{table}: {len(records) - n_failed} measured, {n_failed} failed")
    for note in result.notes:
        say(note)
    for uid, frame in result.unused_prompts:
        which = uid if frame is None else f"{uid}, frame {frame}"
        say(f"W_PROMPTS_UNUSED: no series that was read holds slice {which}.")
    return SOME_FAILED if n_failed or result.unused_prompts else DONE


def _open_journal(
    options: argparse.Namespace,
    settings: BatchSettings,
    jobs: Sequence[BatchJob],
    calibration: Calibration | None,
) -> Journal:
    from scarseg.batch.journal import open_journal, weights_in_use

    weights = weights_in_use(options.segmenter, options.detector)
    given = {**_sidecar_settings(options), "device": options.device, "weights": weights}
    if calibration is not None:
        given["calibration"] = calibration.sha256
    if options.prompts is not None:
        given["prompts"] = hashlib.sha256(options.prompts.read_bytes()).hexdigest()
    return open_journal(
        options.output, settings, jobs, given, resume=options.resume, force=options.force
    )


def _run_measure(options: argparse.Namespace) -> int:
    """Measure labels made elsewhere on the stacks they belong to.

    Raises:
        InputError, OutputError: nothing could be done.
    """
    from scarseg.batch import masks as batch_masks
    from scarseg.batch.selection import input_files, require_mr
    from scarseg.io import dicom
    from scarseg.io.files import refuse_inputs
    from scarseg.io.masks import match

    files = _table_files(options, [*options.masks_in, *options.dicom])
    meaning = dict(options.values) or None
    settings = batch_masks.MaskSettings(**_shared_settings(options), meaning=meaning)
    masks = match.find_masks(options.masks_in)
    with progress_bar("Reading headers") as progress:
        report = dicom.scan(options.dicom, progress)
    require_mr(report)
    refuse_inputs(files, [*input_files(report), *(one.path for one in masks)])
    stacks = match.select_series(report.stacks, options.series)
    with progress_bar("Matching") as progress:
        matching = match.match_masks(masks, stacks, meaning, progress)
    for note in (*report.notes, *batch_masks.matching_notes(matching)):
        say(note)
    with progress_bar("Measuring") as progress:
        results = batch_masks.measure_masks(matching, settings, progress)
    run_settings = {"values": {str(value): label.name for value, label in (meaning or {}).items()}}
    records = [one.record for one in results]
    table, n_failed = _write_tables(options, records, results, run_settings, options.force)
    print(f"{table}: {len(records) - n_failed} measured, {n_failed} failed")
    for note in sorted(one.note for one in results if one.note):
        say(note)
    return SOME_FAILED if n_failed else DONE


def _shared_settings(options: argparse.Namespace) -> dict[str, Any]:
    from scarseg.case.measurements import MassConvention

    return {
        "convention": MassConvention(options.mass),
        "density_g_per_ml": options.density,
        "slice_thickness_mm": options.slice_thickness,
        "identify": options.identify,
        "force": options.force,
        "methods": options.methods,
        "reports": options.report,
    }


def _table_files(options: argparse.Namespace, inputs: Sequence[Path]) -> list[Path]:
    """Return the tables to come; refuse, before any work, what could not be written then."""
    from scarseg.batch.further_tables import further_tables
    from scarseg.io import files as io_files
    from scarseg.io.tables.export import export_files

    extra = further_tables(bool(options.methods))
    files = export_files(options.output, options.xlsx, tuple(extra))
    io_files.refuse_inputs(files, inputs)
    if not options.force and not _may_replace_tables(options):
        io_files.refuse_existing(files)
    for file in files:
        io_files.require_writable(file)
    if options.report is not None:
        io_files.require_writable(options.report / "report")
    return files


def _may_replace_tables(options: argparse.Namespace) -> bool:
    """Return whether an interrupted run, which is resumed, was allowed to replace its tables."""
    from scarseg.batch.journal import tables_may_be_replaced

    return getattr(options, "resume", False) and tables_may_be_replaced(options.output)


def _write_tables(
    options: argparse.Namespace,
    records: Sequence[StackRecord],
    results: Sequence[StackResult],
    run_settings: Mapping[str, object],
    force: bool,
) -> tuple[Path, int]:
    """Write all tables; return the main one and the number of rows that failed."""
    from scarseg.batch.further_tables import collect_tables
    from scarseg.io.tables.export import write_export

    files = write_export(
        options.output,
        records,
        {**_sidecar_settings(options), **run_settings},
        collect_tables([one.tables for one in results], bool(options.methods)),
        options.xlsx,
        force,
    )
    return files[-1], sum(record.failed for record in records)


def _sidecar_settings(options: argparse.Namespace) -> dict[str, object]:
    """Return what the sidecar says of the command: no paths, and nothing without effect."""
    return {
        "mass_convention": options.mass,
        "density_g_per_ml": options.density,
        "slice_thickness_mm": options.slice_thickness,
        "series": options.series,
        "methods": list(options.methods),
        "identify": options.identify,
    }
