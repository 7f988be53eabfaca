"""What a measured case leaves: its rows, and the files beside the table."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from scarseg.batch.selection import BatchJob
from scarseg.case.case import Case
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention, Measurements
from scarseg.errors import Cancelled, OutputError, ScarsegError
from scarseg.io.masks import nifti
from scarseg.io.prompts_json import SliceKey
from scarseg.io.tables.columns import IDENTITY_COLUMNS
from scarseg.io.tables.export import ExtraTable, Row
from scarseg.io.tables.table import StackRecord, error_record
from scarseg.quant.method_comparison import compare_methods
from scarseg.quant.method_tables import (
    CURVE_COLUMNS,
    METHOD_COLUMNS,
    METHOD_SLICE_COLUMNS,
    curve_rows,
    method_rows,
    method_slice_rows,
)
from scarseg.report import text
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import MassInterval


class MaskFormat(StrEnum):
    """What masks are written as: label maps, or DICOM that finds its images."""

    NIFTI = "nifti"
    SEG = "seg"
    RTSTRUCT = "rtstruct"
    NONE = "none"


def mask_name(job: BatchJob, kind: MaskFormat) -> str:
    """Name the mask of a series as the table tells it, empty where there is none."""
    if kind is MaskFormat.NONE:
        return ""
    return job.mask_file if kind is MaskFormat.NIFTI else f"{_stem(job)}.{kind}.dcm"


def write_files(
    folder: Path,
    job: BatchJob,
    case: Case,
    kind: MaskFormat,
    measured: Measurements | None = None,
    identify: bool = False,
    force: bool = False,
) -> None:
    """Write mask and report of a series; what a killed batch left of them is kept.

    Args:
        measured: the numbers of a DICOM structured report; None: no report.
        identify: name the patient in DICOM as the images do; by default a pseudonym.

    Raises:
        InputError: E_SOURCE_CHANGED, E_INPUT_UNREADABLE.
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    path = folder / mask_name(job, kind)
    if kind is MaskFormat.NIFTI:
        _write_labels(path, case, force)
    if kind in (MaskFormat.NIFTI, MaskFormat.NONE) and measured is None:
        return
    from scarseg.io.dicom_export import export_dicom  # highdicom takes half a second to load

    export_dicom(
        case,
        job.summary,
        segmentation=path if kind is MaskFormat.SEG else None,
        contours=path if kind is MaskFormat.RTSTRUCT else None,
        report=None if measured is None else (folder / f"{_stem(job)}.sr.dcm", measured),
        identify=identify,
        force=force,
    )


def _stem(job: BatchJob) -> str:
    return job.mask_file.removesuffix(".nii.gz")


def _write_labels(path: Path, case: Case, force: bool) -> None:
    try:
        nifti.write_labels(path, case.labels, case.stack, force)
    except OutputError as error:
        if error.code != "E_EXISTS" or not nifti.file_holds_labels(path, case.labels, case.stack):
            raise


METHOD_TABLES = {
    "methods": METHOD_COLUMNS,
    "method_slices": METHOD_SLICE_COLUMNS,
    "curve": CURVE_COLUMNS,
}
"""What a comparison of methods leaves beside the main table: their names and columns."""


@dataclass(frozen=True)
class ResultSettings:
    """What every case of a run shares; a value that crosses processes.

    ``masks`` is the folder for masks and DICOM reports, or None; ``sr`` asks for a DICOM
    structured report of every series; ``methods`` are the threshold methods to compare with;
    ``reports`` is the folder for a PDF report of every series, or None.
    """

    convention: MassConvention = MassConvention.THICKNESS
    density_g_per_ml: float = DENSITY_G_PER_ML
    slice_thickness_mm: float | None = None
    masks: Path | None = None
    identify: bool = False
    force: bool = False
    mask_format: MaskFormat = MaskFormat.NIFTI
    sr: bool = False
    methods: tuple[str, ...] = ()
    reports: Path | None = None


@dataclass(frozen=True)
class StackResult:
    """What became of one series.

    ``note`` says in words what failed or is to be known; ``trouble`` is the traceback of a bug
    without the values in it; ``used`` the entries of the prompts file that this series answered;
    ``compared`` the rows of the tables of methods, by name.
    """

    record: StackRecord
    note: str = ""
    trouble: str = ""
    used: frozenset[SliceKey] = frozenset()
    compared: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)


def run_guarded(
    job: BatchJob, settings: ResultSettings, work: Callable[[], StackResult]
) -> StackResult:
    """Do the work of one series; a failure is its row, never the end of the others."""
    try:
        return work()
    except (Cancelled, KeyboardInterrupt):
        raise
    except ScarsegError as error:
        return failure_result(job, settings, error.code, error.message)
    except MemoryError:
        return failure_result(job, settings, "E_MEMORY", "The series did not fit into memory.")
    except Exception as error:  # noqa: BLE001 - the boundary of one series
        return failure_result(
            job, settings, "E_INTERNAL", "A bug in the program; see the log.", _frames(error)
        )


def failure_result(
    job: BatchJob, settings: ResultSettings, code: str, message: str, trouble: str = ""
) -> StackResult:
    """Give the row of a failure; its message may hold a path, so it is written on request."""
    cells = job.identity(settings.identify)
    record = error_record(cells, code, message if settings.identify else "")
    return StackResult(record, f"{code}: series {job.summary.stack_id}: {message}", trouble)


def write_results(
    case: Case,
    job: BatchJob,
    settings: ResultSettings,
    mask_file: str,
    method: str = "",
    labels_from: str = "",
    interval: MassInterval | None = None,
) -> StackResult:
    """Measure a case and write the files that are asked for.

    Args:
        mask_file: its name in the table.
        method: what the table says instead of how far a reader had a hand in it.
        labels_from: which file labels made elsewhere came from, for the report.
        interval: of the scar mass by the convention of the settings; its rule goes to the sidecar.
    """
    record = pipeline.measured_record(
        case, settings.convention, settings.density_g_per_ml, settings.identify, mask_file
    )
    if method:
        record = replace(record, row={**record.row, "method": method})
    if interval is not None:
        record = with_interval(record, interval)
    if settings.masks is not None:
        measured = None
        if settings.sr:
            measured = pipeline.measure(case, settings.convention, settings.density_g_per_ml)
        write_files(
            settings.masks,
            job,
            case,
            settings.mask_format,
            measured,
            settings.identify,
            settings.force,
        )
    if settings.reports is not None:
        _write_report(settings.reports, case, record, settings, labels_from, interval)
    compared = _compared(case, record, settings) if settings.methods else {}
    return StackResult(record, compared=compared)


def with_interval(record: StackRecord, interval: MassInterval) -> StackRecord:
    """Put the interval into a record: its ends into the row, its rule into the sidecar."""
    ends = {"scar_mass_low_g": interval.low_g, "scar_mass_high_g": interval.high_g}
    told = {"rule": interval.method, "mass_convention": str(interval.convention)}
    return replace(
        record, row={**record.row, **ends}, provenance={**record.provenance, "interval": told}
    )


def _write_report(
    folder: Path,
    case: Case,
    record: StackRecord,
    settings: ResultSettings,
    labels_from: str,
    interval: MassInterval | None,
) -> None:
    from scarseg.report import patient  # matplotlib takes a second to load

    measured = pipeline.measure(case, settings.convention, settings.density_g_per_ml)
    patient.write_report(
        folder / patient.report_name(case.stack.stack_id),
        case,
        measured,
        interval=None
        if interval is None
        else text.ScarInterval(interval.low_g, interval.high_g, interval.method),
        method=str(record.row["method"]),
        warnings=str(record.row["warnings"]).split(),
        identify=settings.identify,
        labels_from=labels_from,
        force=settings.force,
    )


def method_tables(outcomes: Sequence[StackResult]) -> tuple[ExtraTable, ...]:
    """Put the methods of all series together."""
    return tuple(
        ExtraTable(
            name, columns, tuple(row for one in outcomes for row in one.compared.get(name, ()))
        )
        for name, columns in METHOD_TABLES.items()
    )


def _compared(
    case: Case, record: StackRecord, settings: ResultSettings
) -> dict[str, tuple[Row, ...]]:
    stack, density = case.stack, settings.density_g_per_ml
    found = compare_methods(stack, case.labels, settings.methods, density)
    rows = {
        "methods": method_rows(found, stack, settings.convention),
        "method_slices": method_slice_rows(found, stack),
        "curve": curve_rows(stack, case.labels, density),
    }
    identity = {name: record.row.get(name) for name in IDENTITY_COLUMNS}
    return {name: tuple({**identity, **row} for row in some) for name, some in rows.items()}


def with_warning(outcome: StackResult, code: str, note: str) -> StackResult:
    """Add a warning to the row of a series, and say it in words."""
    warnings = f"{outcome.record.row['warnings']} {code}".strip()
    record = replace(outcome.record, row={**outcome.record.row, "warnings": warnings})
    notes = " ".join(filter(None, (outcome.note, f"{code}: {note}")))
    return replace(outcome, record=record, note=notes)


def _frames(error: BaseException) -> str:
    """Tell where a bug struck, without its message: that may hold a patient's name."""
    lines = traceback.format_list(
        [
            traceback.FrameSummary(one.filename, one.lineno, one.name)
            for one in traceback.extract_tb(error.__traceback__)
        ]
    )
    return "".join(lines) + type(error).__name__
