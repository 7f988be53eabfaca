"""Case files and the DICOM they were made on, brought together again.

A case file knows its images by UID and content, not by place.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from scarseg.errors import InputError
from scarseg.io import dicom, store, store_format
from scarseg.io.dicom_report import LoadReport, StackSummary
from scarseg.progress import Progress

_log = logging.getLogger(__name__)
_SUFFIX = ".scarseg"


def case_files(folder: Path) -> list[Path]:
    """List the case files of a folder, also where only the generation before is left."""
    names = {path.name.removesuffix(".1") for path in folder.iterdir() if path.is_file()}
    return [folder / name for name in sorted(names) if name.endswith(_SUFFIX)]


def find_images(
    folder: Path, images: Sequence[Path], progress: Progress
) -> list[tuple[Path, StackSummary]]:
    """Find the series of every case file that a reader worked on, in order of file name.

    Files in which no slice was read are left out, and the log says so.

    Args:
        images: where to look for DICOM, besides the folder itself.

    Raises:
        InputError: E_INPUT_MISSING where images are not found, or the code they were refused
            with.
    """
    waiting: dict[str, Path] = {}
    for path in case_files(folder):
        glance = store.peek(path)
        if glance is not None and not glance.n_read:
            _log.warning("a case file has no slice that was read: left out (%s)", short(path.stem))
        else:
            waiting[path.name] = path
    if not waiting:
        return []
    report = dicom.scan([*images, folder], progress)
    found: list[tuple[Path, StackSummary]] = []
    for summary in report.stacks:
        name = store.case_path(folder, summary).name
        if name in waiting:
            found.append((waiting.pop(name), summary))
    if waiting:
        raise _without_images(folder, sorted(waiting), len(waiting) + len(found), report)
    return sorted(found, key=lambda pair: pair[0])


def _without_images(folder: Path, names: Sequence[str], n: int, report: LoadReport) -> InputError:
    for refusal in report.refused:
        if refusal.series_uid and any(name.startswith(refusal.series_uid) for name in names):
            return InputError(refusal.code, refusal.message, refusal.path)
    shown = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    message = (
        f"{len(names)} of {n} read cases in {folder} have no DICOM here: {shown}. Name the "
        "folders that hold their images with --dicom, or move these case files elsewhere."
    )
    return InputError("E_INPUT_MISSING", message, str(folder))


def saved_thickness_mm(path: Path) -> float | None:
    """Give the slice thickness a reader gave where the header has none; None if none is saved."""
    for generation in (path, path.with_name(path.name + ".1")):
        try:
            content = store_format.parse(generation.read_bytes())
            return float(content.document["source"]["slice_thickness_mm"])
        except (OSError, store_format.Damaged, store_format.Newer, KeyError, TypeError, ValueError):
            continue
    return None


def short(uid: str) -> str:
    """Name a case by a hash of its UID."""
    return "case-" + sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:12]
