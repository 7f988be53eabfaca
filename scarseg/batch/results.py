"""Rows of a measured case; a failure is a row too."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from scarseg.batch.further_tables import further_rows
from scarseg.batch.selection import BatchJob
from scarseg.batch.settings import ResultSettings
from scarseg.batch.stack_files import report_of, write_case, write_files
from scarseg.batch.staging import FilePlacer, StagedFile
from scarseg.case.case import Case
from scarseg.case.measurements import MassInterval
from scarseg.errors import Cancelled, OutputError, ScarsegError
from scarseg.io.casefile import store
from scarseg.io.prompts_json import SliceKey
from scarseg.io.tables.export import Row
from scarseg.io.tables.table import StackRecord, error_record
from scarseg.segmentation import pipeline


@dataclass(frozen=True)
class StackResult:
    """The result of one stack: its rows, and how it went.

    ``note`` is a sentence on what failed or is to be known; ``trouble`` the traceback of a bug
    without the values in it; ``used`` the entries of the prompts file that belong to this stack;
    ``tables`` the rows of the further tables, by name; ``files`` those that are staged.
    """

    record: StackRecord
    note: str = ""
    trouble: str = ""
    used: frozenset[SliceKey] = frozenset()
    tables: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    files: tuple[StagedFile, ...] = ()


def run_guarded(
    job: BatchJob, settings: ResultSettings, work: Callable[[], StackResult]
) -> StackResult:
    """Run the work of one stack; a failure is its row, never the end of the others."""
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
    """Return the row of a failure; its message may hold a path, so it is written on request."""
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
    """Measure a case and write the files requested.

    Args:
        mask_file: its name in the table.
        method: replaces, in the table, how far a reader took part.
        labels_from: the file that labels made elsewhere came from, for the report.
        interval: of the scar mass by the convention of the settings; its rule goes to the sidecar.
    """
    record = pipeline.measured_record(
        case,
        settings.convention,
        settings.density_g_per_ml,
        settings.identify,
        mask_file,
        interval,
    )
    if method:
        record = replace(record, row={**record.row, "method": method})
    placer = FilePlacer(settings.staging, settings.force)
    try:
        page = report_of(case, record, settings, labels_from, interval)
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
                placer,
                page.pdf() if page is not None and settings.dicom_report else None,
                page.montage() if page is not None and settings.dicom_montage else None,
            )
        if settings.reports is not None and page is not None:
            page.write(placer, settings.reports, settings.force)
        if settings.cases is not None:
            write_case(placer, store.case_path(settings.cases, job.summary), case, settings.force)
    except OutputError as error:
        raise placer.error_at_target(error) from error
    tables = further_rows(case, record, settings, None if page is None else page.report)
    return StackResult(record, tables=tables, files=tuple(placer.staged))


def with_warning(outcome: StackResult, code: str, note: str) -> StackResult:
    """Add a warning to the row of a stack, and its sentence to the note."""
    warnings = f"{outcome.record.row['warnings']} {code}".strip()
    record = replace(outcome.record, row={**outcome.record.row, "warnings": warnings})
    notes = " ".join(filter(None, (outcome.note, f"{code}: {note}")))
    return replace(outcome, record=record, note=notes)


def _frames(error: BaseException) -> str:
    """Return the traceback of a bug without its message: that may hold a patient's name."""
    lines = traceback.format_list(
        [
            traceback.FrameSummary(one.filename, one.lineno, one.name)
            for one in traceback.extract_tb(error.__traceback__)
        ]
    )
    return "".join(lines) + type(error).__name__
