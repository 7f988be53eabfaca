"""Export readings: the same calls, and so the same bytes, as the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.case import Case
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.errors import Cancelled, InputError, OutputError, ScarsegError
from scarseg.gui.session.interval import IntervalOf
from scarseg.gui.session.studies.study import Entry
from scarseg.progress import Progress, silent
from scarseg.report import text

if TYPE_CHECKING:
    from scarseg.io.tables.export import ExtraTable, Row
    from scarseg.io.tables.table import StackRecord
    from scarseg.report.patient import ReportInput


def export_cases(
    path: Path,
    cases: Sequence[Case],
    force: bool,
    interval_of: IntervalOf | None = None,
    progress: Progress = silent,
) -> str:
    """Write the tables of these cases, as CSV or by suffix as a workbook, and say so."""
    from scarseg.batch.further_tables import segment_table_rows
    from scarseg.io.tables.export import write_export

    records: list[StackRecord] = []
    segments: list[Row] = []
    for n, case in enumerate(cases):
        within = subprogress(progress, n / len(cases), 1 / len(cases))
        within(0.0, f"Measuring {n + 1} of {len(cases)}")
        records.append(build_record(case, interval_of and interval_of(case, within)))
        segments += segment_table_rows(case, records[-1])
    files = write_export(path, records, {}, _segment_table(segments), force=force)
    return f"Written: {', '.join(file.name for file in reversed(files))} in {path.parent}"


def build_record(
    case: Case, interval: MassInterval | None = None, mask_file: str = ""
) -> StackRecord:
    """Measure a case; the record holds the interval of its scar mass where there is one."""
    from scarseg.segmentation import pipeline

    return pipeline.measured_record(case, mask_file=mask_file, interval=interval)


def subprogress(progress: Progress, begun: float, share: float) -> Progress:
    """Report a part of the work, which begins where ``begun`` of the whole is done."""
    return lambda fraction, what: progress(begun + share * fraction, what)


def export_list(
    path: Path,
    entries: Sequence[Entry],
    folder: Path,
    now: Case | None,
    force: bool,
    progress: Progress = silent,
    interval_of: IntervalOf | None = None,
) -> str:
    """Write the CSV of every stack that has a reading, and say how many have none.

    ``now`` is the open case, newer than its file. Cancelled before the last is read,
    nothing is written.
    """
    read = load_cases(entries, folder, now, subprogress(progress, 0.0, 0.1))
    cases = [case for _, case in read]
    said = export_cases(path, cases, force, interval_of, subprogress(progress, 0.1, 0.9))
    return said + unread_message(len(entries) - len(read))


def load_cases(
    entries: Sequence[Entry], folder: Path, now: Case | None, progress: Progress = silent
) -> list[tuple[Entry, Case]]:
    """Load the readings of these entries, of those that have one; arguments as above."""
    read = []
    for n, entry in enumerate(entries):
        progress(n / len(entries), f"Reading {n + 1} of {len(entries)} for the table")
        case = now if now is not None and now.stack.stack_id == entry.stack_id else None
        case = case or _saved(entry, folder)
        if case is not None:
            read.append((entry, case))
    return read


def unread_message(n: int) -> str:
    """Return a sentence on how many series had nothing to export."""
    return f". {n} series have no reading and no row." if n else ""


def _saved(entry: Entry, folder: Path) -> Case | None:
    """Load the reading of an entry: its own, or one that came from elsewhere for it."""
    from scarseg.io import dicom
    from scarseg.io.casefile import library, store

    source = entry.source
    path = store.case_path(folder, source)
    if not store.has_case(path) and entry.imported_case is not None:
        path = entry.imported_case
    if not store.has_case(path):
        return None
    if isinstance(source, Stack):
        return store.load_case(path, source)
    return store.load_case(path, dicom.read_stack(source, library.reader_thickness_mm(path)))


def write_page(
    path: Path,
    case: Case,
    identify: bool,
    force: bool,
    interval_of: IntervalOf | None = None,
    progress: Progress = silent,
) -> str:
    """Write the report of a case as PDF; with ``identify`` under the real name and ID."""
    _write_report(path, case, interval_of and interval_of(case, progress), identify, force)
    return f"Written: {path.name} in {path.parent}"


def page_name(case: Case, identify: bool) -> str:
    """Return the default name of a report: the series UID, or patient and date on request."""
    from scarseg.io.files import safe_name
    from scarseg.report.patient import report_name

    stack = case.stack
    named = "_".join(part for part in (stack.patient_id, stack.study_date) if part)
    return f"{safe_name(named)}.pdf" if identify and named else report_name(stack.stack_id)


def _write_report(
    path: Path, case: Case, interval: MassInterval | None, identify: bool, force: bool
) -> None:
    from scarseg.report import patient

    patient.write_report(path, prepare_report(case, interval, identify), force)


def prepare_report(
    case: Case, interval: MassInterval | None, identify: bool, with_seconds: bool = True
) -> ReportInput:
    """Return what the page of a reading shows."""
    from scarseg.report import patient
    from scarseg.segmentation import pipeline

    row = build_record(case, interval).row
    spread = None
    if interval is not None:
        spread = text.ScarInterval(interval.low_g, interval.high_g, interval.method)
    return patient.prepare(
        case,
        pipeline.measure(case),
        interval=spread,
        method=str(row["method"]),
        warnings=str(row["warnings"]).split(),
        identify=identify,
        with_seconds=with_seconds,
    )


def save_prompts(path: Path, case: Case, force: bool) -> str:
    """Write boxes and points as the JSON that ``scarseg batch --prompts`` takes."""
    from scarseg.io import prompts_json

    prompts_json.write_prompts(path, case, force=force)
    return f"Written: {path.name} in {path.parent}"


class ExportFormat(StrEnum):
    """Formats a reading can be exported to."""

    CSV = "csv"
    WORKBOOK = "workbook"
    REPORT = "report"
    NIFTI = "nifti"
    SEG = "seg"
    RTSTRUCT = "rtstruct"
    SR = "sr"


MASK_FORMATS = (ExportFormat.NIFTI, ExportFormat.SEG, ExportFormat.RTSTRUCT)
DICOM_FORMATS = (ExportFormat.SEG, ExportFormat.RTSTRUCT, ExportFormat.SR)
"""Formats that refer to the images, and need their files."""


@dataclass(frozen=True)
class ExportRequest:
    """What to write where; ``whole_list``: of every reading, not of the open one alone."""

    folder: Path
    formats: frozenset[ExportFormat]
    whole_list: bool = False


def export_formats(
    request: ExportRequest,
    entries: Sequence[Entry],
    cases_folder: Path,
    now: Case | None,
    force: bool,
    progress: Progress = silent,
    interval_of: IntervalOf | None = None,
) -> str:
    """Write what was requested and return a sentence on how much that was.

    What one series refuses (its images have changed) is reported, and the others are written;
    where there is only one, it is raised.

    Args:
        entries: the series; those without a reading are left out.
        cases_folder: where the readings are.
        now: the open case, newer than its file.
        force: replace files that are there.
        interval_of: makes the interval beside each scar mass; None leaves it out.

    Raises:
        InputError: there is nothing to write, or nothing but what needs files that are gone.
        OutputError: E_EXISTS before anything is written, E_WRITE.
    """
    from scarseg.batch.further_tables import segment_table_rows
    from scarseg.io.files import refuse_existing

    read = load_cases(entries, cases_folder, now, subprogress(progress, 0.0, 0.1))
    if not read:
        raise InputError("E_NO_READING", "Nothing of this list is read yet.")
    targets = [path for entry, case in read for path in _files(entry, case, request)]
    targets += _tables(request)
    if not targets:
        raise InputError("E_NO_FILES", "DICOM masks and reports need images that are in files.")
    if not force:
        refuse_existing(targets, "it would be replaced")
    records, refused = [], []
    segments: list[Row] = []
    for n, (entry, case) in enumerate(read):
        within = subprogress(progress, 0.1 + 0.85 * n / len(read), 0.85 / len(read))
        within(0.0, f"Writing {n + 1} of {len(read)}")
        interval = None if interval_of is None else interval_of(case, within)
        mask_file = _mask_file(entry, request)
        records.append(build_record(case, interval, mask_file))
        segments += segment_table_rows(case, records[-1])
        try:
            _write_one(request, entry, case, records[-1], interval, force)
        except (Cancelled, OutputError):
            raise
        except ScarsegError as error:
            if len(read) == 1:
                raise
            refused.append(f"{entry.title}: {error.message}")
    progress(0.95, "Writing the tables")
    _write_tables(request, records, segments, force)
    return _summary(request, targets, refused) + unread_message(len(entries) - len(read))


def _summary(request: ExportRequest, targets: Sequence[Path], refused: Sequence[str]) -> str:
    there = sum(path.exists() for path in targets)
    said = f"Written: {there} file{'' if there == 1 else 's'} in {request.folder}"
    return said + (f". Not of {len(refused)}: {'; '.join(refused[:2])}" if refused else "")


def _files(entry: Entry, case: Case, request: ExportRequest) -> list[Path]:
    """Return the files that are written of one series."""
    from scarseg.io.masks.nifti import REMOTE_SUFFIX
    from scarseg.report.patient import report_name

    stem = _stem(entry)
    names = {
        ExportFormat.NIFTI: f"{stem}.nii.gz",
        ExportFormat.SEG: f"{stem}.seg.dcm",
        ExportFormat.RTSTRUCT: f"{stem}.rtstruct.dcm",
        ExportFormat.SR: f"{stem}.sr.dcm",
        ExportFormat.REPORT: report_name(entry.stack_id),
    }
    able = _able(entry, request)
    files = [request.folder / name for part, name in names.items() if part in able]
    if case.remote_regions and able & {*MASK_FORMATS}:
        files.append(request.folder / f"{stem}{REMOTE_SUFFIX}")
    return files


def _able(entry: Entry, request: ExportRequest) -> frozenset[ExportFormat]:
    """Return the formats that are possible: without image files, none that refer to them."""
    return (
        request.formats - frozenset(DICOM_FORMATS)
        if isinstance(entry.source, Stack)
        else request.formats
    )


def _tables(request: ExportRequest) -> list[Path]:
    from scarseg.batch.further_tables import SEGMENT_TABLE
    from scarseg.io.tables.export import export_files

    if ExportFormat.CSV in request.formats:
        workbook = ExportFormat.WORKBOOK in request.formats
        return export_files(request.folder / "scar.csv", workbook, tuple(SEGMENT_TABLE))
    return [request.folder / "scar.xlsx"] if ExportFormat.WORKBOOK in request.formats else []


def _segment_table(rows: Sequence[Row]) -> list[ExtraTable]:
    """Return the table of segments, as ``scarseg batch`` writes it."""
    from scarseg.batch.further_tables import SEGMENT_TABLE
    from scarseg.io.tables.export import ExtraTable

    return [ExtraTable(name, columns, tuple(rows)) for name, columns in SEGMENT_TABLE.items()]


def _write_tables(
    request: ExportRequest, records: Sequence[StackRecord], segments: Sequence[Row], force: bool
) -> None:
    from scarseg.io.tables.export import write_export

    files = _tables(request)
    if files:
        both = {ExportFormat.CSV, ExportFormat.WORKBOOK} <= request.formats
        write_export(files[-1], records, {}, _segment_table(segments), both, force)


def _write_one(
    request: ExportRequest,
    entry: Entry,
    case: Case,
    record: StackRecord,
    interval: MassInterval | None,
    force: bool,
) -> None:
    from scarseg.batch.selection import BatchJob
    from scarseg.batch.settings import MaskFormat
    from scarseg.batch.stack_files import write_files
    from scarseg.io.masks import nifti
    from scarseg.quant.remote import drawn_mask
    from scarseg.report import patient
    from scarseg.segmentation import pipeline

    able, measured = _able(entry, request), pipeline.measure(case)
    source = entry.source
    if isinstance(source, Stack):
        if ExportFormat.NIFTI in able:
            _write_labels(request.folder / f"{_stem(entry)}.nii.gz", case, force)
    else:
        job = BatchJob(source, f"{_stem(entry)}.nii.gz")
        for part in (one for one in MASK_FORMATS if one in able):
            told = measured if ExportFormat.SR in able and part is _beside(able) else None
            write_files(request.folder, job, case, MaskFormat(part), told, force=force)
        if ExportFormat.SR in able and _beside(able) is None:
            write_files(request.folder, job, case, MaskFormat.NONE, measured, force=force)
    if case.remote_regions and able & {*MASK_FORMATS}:
        remote = request.folder / f"{_stem(entry)}{nifti.REMOTE_SUFFIX}"
        nifti.write_remote(remote, drawn_mask(case), case.stack, force)
    if ExportFormat.REPORT in able:
        path = request.folder / patient.report_name(case.stack.stack_id)
        _write_report(path, case, interval, False, force)


def _beside(able: frozenset[ExportFormat]) -> ExportFormat | None:
    """Return the mask that the structured report refers to and is written with."""
    return ExportFormat.SEG if ExportFormat.SEG in able else None


def _write_labels(path: Path, case: Case, force: bool) -> None:
    from scarseg.io.masks import nifti

    nifti.write_labels(path, case.labels, case.stack, force)


def _mask_file(entry: Entry, request: ExportRequest) -> str:
    """Return the mask named in the table: of several, the label map."""
    able = _able(entry, request)
    endings = {
        ExportFormat.NIFTI: "nii.gz",
        ExportFormat.SEG: "seg.dcm",
        ExportFormat.RTSTRUCT: "rtstruct.dcm",
    }
    return next((f"{_stem(entry)}.{endings[part]}" for part in MASK_FORMATS if part in able), "")


def _stem(entry: Entry) -> str:
    from scarseg.io.files import safe_name

    return safe_name(entry.stack_id)
