"""Rows of a measured case, and the files it leaves beside the table."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scarseg.batch.selection import BatchJob
from scarseg.case.case import Case
from scarseg.case.measurements import (
    DENSITY_G_PER_ML,
    MassConvention,
    MassInterval,
    Measurements,
)
from scarseg.errors import Cancelled, OutputError, ScarsegError
from scarseg.io.casefile import library, store
from scarseg.io.casefile.file_format import encode_case
from scarseg.io.files import make_folder, refuse_existing, write_file
from scarseg.io.masks import nifti
from scarseg.io.prompts_json import SliceKey
from scarseg.io.tables.columns import IDENTITY_COLUMNS
from scarseg.io.tables.export import ExtraTable, Row
from scarseg.io.tables.table import StackRecord, error_record
from scarseg.quant.method_comparison import compare_methods, reader_boxes
from scarseg.quant.method_tables import (
    CURVE_COLUMNS,
    METHOD_COLUMNS,
    METHOD_SLICE_COLUMNS,
    curve_rows,
    method_rows,
    method_slice_rows,
)
from scarseg.quant.segment_tables import SEGMENT_COLUMNS, segment_rows
from scarseg.quant.wall_map import map_wall, reader_insertion
from scarseg.report import text
from scarseg.segmentation import pipeline

if TYPE_CHECKING:
    from scarseg.report.patient import ReportInput


class MaskFormat(StrEnum):
    """File format of masks: label maps, or DICOM that refers to its images."""

    NIFTI = "nifti"
    SEG = "seg"
    LABELMAP = "labelmap"
    RTSTRUCT = "rtstruct"
    NONE = "none"


@dataclass(frozen=True)
class StagedFile:
    """A file that waits for the row of its stack: its name in staging, and its place."""

    name: str
    target: Path


class FilePlacer:
    """Decide where the files of one stack are written: in place, or in a staging folder.

    Staged files are moved to their places when the row of the stack is kept: see
    :mod:`scarseg.batch.journal`. A file that is at its place already is staged as a copy, so that
    what writes it finds the same there: it leaves a file of the same content and refuses others.
    """

    def __init__(self, staging: Path | None = None, force: bool = False) -> None:
        self._staging, self._force = staging, force
        self.staged: list[StagedFile] = []
        self._given: dict[str, Path] = {}

    def place(self, target: Path) -> Path:
        """Return where to write a file that is to end up at ``target``.

        Raises:
            OutputError: E_EXISTS, there is a link; E_WRITE.
        """
        if self._staging is None:
            return target
        file = StagedFile(f"{len(self.staged)}-{target.name}", target.absolute())
        staged = self._staging / file.name
        if not self._force and os.path.lexists(target):
            if not target.is_file() or target.is_symlink():
                refuse_existing([target])
            make_folder(self._staging)
            shutil.copyfile(target, staged)
        self.staged.append(file)
        self._given[str(staged)] = target
        return staged

    def error_at_target(self, error: OutputError) -> OutputError:
        """Return an error about a staged file as one about its place."""
        message, path = error.message, error.path
        for staged, target in self._given.items():
            message = message.replace(staged, str(target))
            path = str(target) if path == staged else path
        return OutputError(error.code, message, path)


def mask_name(job: BatchJob, kind: MaskFormat) -> str:
    """Return the name of a stack's mask in the table, empty where there is none."""
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
    placer: FilePlacer | None = None,
    pdf: bytes | None = None,
    picture: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Write mask and DICOM report of a stack; a mask of the same labels stays.

    Args:
        measured: the numbers of a DICOM structured report; None: no report.
        identify: name the patient in DICOM as the images do; by default a pseudonym.
        placer: where to write; in place by default.
        pdf: a report to write as Encapsulated PDF.
        picture: pages (page, row, column, RGB) to write as Secondary Capture.

    Raises:
        InputError: E_SOURCE_CHANGED, E_INPUT_UNREADABLE.
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    place = (placer or FilePlacer()).place
    mask = folder / mask_name(job, kind)
    if kind is MaskFormat.NIFTI:
        try:
            nifti.write_labels(place(mask), case.labels, case.stack, force)
        except OutputError as error:
            if error.code != "E_EXISTS" or not nifti.file_holds_labels(
                mask, case.labels, case.stack
            ):
                raise
    more = (measured, pdf, picture)
    if kind in (MaskFormat.NIFTI, MaskFormat.NONE) and all(one is None for one in more):
        return
    from scarseg.io.dicom_export import export_dicom  # highdicom takes half a second to load

    report = folder / f"{_stem(job)}.sr.dcm"
    export_dicom(
        case,
        job.summary,
        segmentation=place(mask) if kind in (MaskFormat.SEG, MaskFormat.LABELMAP) else None,
        contours=place(mask) if kind is MaskFormat.RTSTRUCT else None,
        report=None if measured is None else (place(report), measured),
        document=None if pdf is None else (place(folder / f"{_stem(job)}.pdf.dcm"), pdf),
        picture=None if picture is None else (place(folder / f"{_stem(job)}.montage.dcm"), picture),
        label_map=kind is MaskFormat.LABELMAP,
        identify=identify,
        force=force,
    )


def _stem(job: BatchJob) -> str:
    return job.mask_file.removesuffix(".nii.gz")


METHOD_TABLES = {
    "methods": METHOD_COLUMNS,
    "method_slices": METHOD_SLICE_COLUMNS,
    "curve": CURVE_COLUMNS,
}
"""Tables of a comparison of methods, beside the main one: their names and columns."""
SEGMENT_TABLE = {"segments": SEGMENT_COLUMNS}
"""The table of segments and coronary territories, which every run writes."""


@dataclass(frozen=True)
class ResultSettings:
    """Settings that every case of a run shares; a value that crosses processes.

    ``masks`` is the folder for masks and DICOM reports, or None; ``sr`` asks for a DICOM
    structured report of every series, ``dicom_report`` for its page as Encapsulated PDF,
    ``dicom_montage`` for its slices as Secondary Capture; ``methods`` are the threshold methods
    to compare with;
    ``reports`` is the folder for a PDF report of every series, ``cases`` that for a case file of
    every stack, which the window opens; None for none. ``staging`` takes the
    files of a stack until its row is kept; None: they are written in place.
    """

    convention: MassConvention = MassConvention.THICKNESS
    density_g_per_ml: float = DENSITY_G_PER_ML
    slice_thickness_mm: float | None = None
    masks: Path | None = None
    identify: bool = False
    force: bool = False
    mask_format: MaskFormat = MaskFormat.NIFTI
    sr: bool = False
    dicom_report: bool = False
    dicom_montage: bool = False
    methods: tuple[str, ...] = ()
    reports: Path | None = None
    cases: Path | None = None
    staging: Path | None = None


def files_to_come(job: BatchJob, settings: ResultSettings) -> list[Path]:
    """Return the mask and the reports that the result of a stack will write."""
    files: list[Path] = []
    if settings.masks is not None:
        if name := mask_name(job, settings.mask_format):
            files.append(settings.masks / name)
        if settings.sr:
            files.append(settings.masks / f"{_stem(job)}.sr.dcm")
        if settings.dicom_report:
            files.append(settings.masks / f"{_stem(job)}.pdf.dcm")
        if settings.dicom_montage:
            files.append(settings.masks / f"{_stem(job)}.montage.dcm")
    if settings.reports is not None:
        from scarseg.report import patient  # matplotlib takes a second to load

        files.append(settings.reports / patient.report_name(job.summary.stack_id))
    return files


def refuse_existing_results(jobs: Sequence[BatchJob], settings: ResultSettings) -> None:
    """Refuse, before any work, to replace masks and reports that are there.

    Raises:
        OutputError: E_EXISTS, naming the first and how many there are.
    """
    if settings.force:
        return
    found = [path for job in jobs for path in files_to_come(job, settings) if os.path.lexists(path)]
    if found:
        others = f" and {len(found) - 1} more" if len(found) > 1 else ""
        message = f"{found[0]} exists already{others}; give --force to replace it."
        raise OutputError("E_EXISTS", message, str(found[0]))


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
        case, settings.convention, settings.density_g_per_ml, settings.identify, mask_file
    )
    if method:
        record = replace(record, row={**record.row, "method": method})
    if interval is not None:
        record = pipeline.with_interval(record, interval, case)
    placer = FilePlacer(settings.staging, settings.force)
    try:
        page = _report_of(case, record, settings, labels_from, interval)
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
            _write_case(placer, store.case_path(settings.cases, job.summary), case, settings.force)
    except OutputError as error:
        raise placer.error_at_target(error) from error
    tables = _further_rows(case, record, settings)
    return StackResult(record, tables=tables, files=tuple(placer.staged))


@dataclass(frozen=True)
class _Report:
    """The report of a series, in the forms that are asked for."""

    report: ReportInput

    def pdf(self) -> bytes:
        """Return it as PDF."""
        from scarseg.report import patient

        return patient.render_report(self.report)

    def montage(self) -> npt.NDArray[np.uint8]:
        """Return its slices as pixels (page, row, column, RGB)."""
        from scarseg.report import patient

        return patient.render_montage(self.report)

    def write(self, placer: FilePlacer, folder: Path, force: bool) -> None:
        """Write it as PDF, named by the stack."""
        from scarseg.report import patient

        path = placer.place(folder / patient.report_name(self.report.case.stack.stack_id))
        patient.write_report(path, self.report, force)


def _report_of(
    case: Case,
    record: StackRecord,
    settings: ResultSettings,
    labels_from: str,
    interval: MassInterval | None,
) -> _Report | None:
    if settings.reports is None and not settings.dicom_report and not settings.dicom_montage:
        return None
    from scarseg.report import patient  # matplotlib takes a second to load

    measured = pipeline.measure(case, settings.convention, settings.density_g_per_ml)
    report = patient.prepare(
        case,
        measured,
        interval=None
        if interval is None
        else text.ScarInterval(interval.low_g, interval.high_g, interval.method),
        method=str(record.row["method"]),
        warnings=str(record.row["warnings"]).split(),
        identify=settings.identify,
        labels_from=labels_from,
    )
    return _Report(report)


def _write_case(placer: FilePlacer, path: Path, case: Case, force: bool) -> None:
    """Write a case file; one that a reader has worked on is never replaced."""
    if store.has_case(path) and library.has_reader_work(path):
        refuse_existing([path], "a reader has worked on it: move it elsewhere first")
    write_file(placer.place(path), encode_case(case), force)


def further_tables(methods: bool) -> dict[str, tuple[str, ...]]:
    """Return the names and columns of the tables beside the main one."""
    return {**SEGMENT_TABLE, **(METHOD_TABLES if methods else {})}


def collect_tables(results: Sequence[StackResult], methods: bool) -> tuple[ExtraTable, ...]:
    """Return the further tables of a run, with the rows of all stacks."""
    return tuple(
        ExtraTable(name, columns, tuple(row for one in results for row in one.tables.get(name, ())))
        for name, columns in further_tables(methods).items()
    )


def segment_table_rows(
    case: Case,
    record: StackRecord,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> tuple[Row, ...]:
    """Return the rows of a case in the table of segments; none where no slice has a closed wall."""
    found = map_wall(case.labels, case.stack, reader_insertion(case), density_g_per_ml)
    rows = [] if found is None else segment_rows(found, convention)
    return _identified(rows, record)


def _further_rows(
    case: Case, record: StackRecord, settings: ResultSettings
) -> dict[str, tuple[Row, ...]]:
    stack, density = case.stack, settings.density_g_per_ml
    tables = {"segments": segment_table_rows(case, record, settings.convention, density)}
    if not settings.methods:
        return tables
    found = compare_methods(stack, case.labels, settings.methods, density, boxes=reader_boxes(case))
    return {
        **tables,
        "methods": _identified(method_rows(found, stack, settings.convention), record),
        "method_slices": _identified(method_slice_rows(found, stack), record),
        "curve": _identified(curve_rows(stack, case.labels, density), record),
    }


def _identified(rows: Sequence[Row], record: StackRecord) -> tuple[Row, ...]:
    """Return rows with the columns that identify the stack."""
    identity = {name: record.row.get(name) for name in IDENTITY_COLUMNS}
    return tuple({**identity, **row} for row in rows)


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
