"""Files that a stack leaves beside the table: mask, DICOM, report, case file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scarseg.batch.selection import BatchJob
from scarseg.batch.settings import MaskFormat, ResultSettings
from scarseg.batch.staging import FilePlacer
from scarseg.case.case import Case
from scarseg.case.measurements import MassInterval, Measurements
from scarseg.errors import OutputError
from scarseg.io.casefile import library, store
from scarseg.io.casefile.file_format import encode_case
from scarseg.io.files import refuse_existing, write_file
from scarseg.io.masks import nifti
from scarseg.io.tables.table import StackRecord
from scarseg.report import text
from scarseg.segmentation import pipeline

if TYPE_CHECKING:
    from scarseg.report.patient import ReportInput


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
class Report:
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


def report_of(
    case: Case,
    record: StackRecord,
    settings: ResultSettings,
    labels_from: str,
    interval: MassInterval | None,
) -> Report | None:
    """Return the report of a case; None where the settings ask for none."""
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
    return Report(report)


def write_case(placer: FilePlacer, path: Path, case: Case, force: bool) -> None:
    """Write a case file; one that a reader has worked on is never replaced."""
    if store.has_case(path) and library.has_reader_work(path):
        refuse_existing([path], "a reader has worked on it: move it elsewhere first")
    write_file(placer.place(path), encode_case(case), force)
