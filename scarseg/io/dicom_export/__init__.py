"""Export a case as DICOM: segmentation, contours and report, all or none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread

from scarseg.case.case import Case
from scarseg.case.measurements import Measurements
from scarseg.io.dicom.types import StackSummary
from scarseg.io.dicom_export import references
from scarseg.io.dicom_export.documents import RgbFrames, build_document, build_picture
from scarseg.io.dicom_export.rtstruct import build_structure_set
from scarseg.io.dicom_export.seg import build_segmentation
from scarseg.io.dicom_export.sr import build_report
from scarseg.io.files import write_files


def export_dicom(
    case: Case,
    summary: StackSummary,
    *,
    segmentation: Path | None = None,
    contours: Path | None = None,
    report: tuple[Path, Measurements] | None = None,
    document: tuple[Path, bytes] | None = None,
    picture: tuple[Path, RgbFrames] | None = None,
    label_map: bool = False,
    identify: bool = False,
    created: datetime | None = None,
    force: bool = False,
) -> None:
    """Write the DICOM files that are asked for; the report points to the segmentation.

    Files that stand there already with this very content, but for their time, are left: a
    batch that was killed goes on where it stopped.

    Args:
        summary: the stack as ``scan`` found it: its files are opened again, never written.
        report: where to, and the numbers of the same case.
        document: where to, and a PDF to encapsulate.
        picture: where to, and pages as pixels, for a Secondary Capture.
        label_map: write the segmentation as LABELMAP, which many programs do not read yet.
        identify: name the patient as the images do; by default a pseudonym.
        created: when; by default that of the files left from before, else now.

    Raises:
        InputError: E_SOURCE_CHANGED, E_INPUT_UNREADABLE.
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    asked = [segmentation, contours, *(one and one[0] for one in (report, document, picture))]
    paths = [path for path in asked if path is not None]
    if not paths:
        return
    if created is None and not force:
        created = next(filter(None, map(_written_at, paths)), None)
    when = created or datetime.now(UTC)
    origin = references.read_source_images(summary, case.stack, identify)
    files: dict[Path, bytes] = {}
    made = None
    if segmentation is not None:
        made = build_segmentation(case, origin, when, label_map)
        files[segmentation] = references.encode(made, origin.subject)
    if contours is not None:
        files[contours] = references.encode(build_structure_set(case, origin, when), origin.subject)
    if report is not None:
        files[report[0]] = references.encode(
            build_report(case, report[1], origin, made, when), origin.subject
        )
    if document is not None:
        files[document[0]] = references.encode(
            build_document(case, document[1], origin, when), origin.subject
        )
    if picture is not None:
        files[picture[0]] = references.encode(
            build_picture(case, picture[1], origin, when), origin.subject
        )
    write_files(
        {path: data for path, data in files.items() if force or not _holds(path, data)}, force
    )


def _holds(path: Path, data: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == data
    except OSError:
        return False


def _written_at(path: Path) -> datetime | None:
    """Return the time in a file that was exported before, None where there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    try:
        known = dcmread(path, stop_before_pixels=True)
        text = f"{known.InstanceCreationDate}{known.InstanceCreationTime}"
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except references.UNREADABLE:
        return None
