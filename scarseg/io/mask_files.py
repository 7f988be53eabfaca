"""The files a series leaves beside the table: its mask in one of several formats, its report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from scarseg.case import Case
from scarseg.errors import OutputError
from scarseg.io import nifti
from scarseg.io.selection import Job
from scarseg.measurements import Measurements


class MaskFormat(StrEnum):
    """What masks are written as: label maps, or DICOM that finds its images."""

    NIFTI = "nifti"
    SEG = "seg"
    RTSTRUCT = "rtstruct"
    NONE = "none"


def mask_name(job: Job, kind: MaskFormat) -> str:
    """Name the mask of a series as the table tells it, empty where there is none."""
    if kind is MaskFormat.NONE:
        return ""
    return job.mask_file if kind is MaskFormat.NIFTI else f"{_stem(job)}.{kind}.dcm"


def write_files(
    folder: Path,
    job: Job,
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


def _stem(job: Job) -> str:
    return job.mask_file.removesuffix(".nii.gz")


def _write_labels(path: Path, case: Case, force: bool) -> None:
    try:
        nifti.write_labels(path, case.labels, case.stack, force)
    except OutputError as error:
        if error.code != "E_EXISTS" or not nifti.holds_labels(path, case.labels, case.stack):
            raise
