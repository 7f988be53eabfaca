"""DICOMDIR -> the files it names."""

from __future__ import annotations

import os
from pathlib import Path

from scarseg.errors import ArchiveError, InputError
from scarseg.io.dicom_parse import NotDicomError, read_header

_RECORDS, _FILE_ID = 0x00041220, 0x00041500


def referenced_files(path: Path) -> tuple[list[Path], list[str]]:
    """List the files a DICOMDIR names, and the names of those that are not there.

    Raises:
        InputError: ``E_INPUT_UNREADABLE``: damaged, or no DICOMDIR.
        ArchiveError: ``E_ARCHIVE``: a name points outside the DICOMDIR's folder.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream, os.fstat(stream.fileno()).st_size)
    except (OSError, NotDicomError) as error:
        raise InputError("E_INPUT_UNREADABLE", "The DICOMDIR cannot be read.", str(path)) from error
    if header.damage:
        raise InputError(
            "E_INPUT_UNREADABLE", f"The DICOMDIR is damaged: {header.damage}.", str(path)
        )
    files: list[Path] = []
    missing: list[str] = []
    for record in header.elements.sequences.get(_RECORDS, []):
        raw = record.values.get(_FILE_ID, (b"", b""))[1].rstrip(b"\0 ")
        if not raw:
            continue
        parts = [part.strip() for part in raw.decode("ascii", "replace").split("\\")]
        _check_parts(parts, path)
        file = _find(path.parent, parts)
        if file is None:
            missing.append("/".join(parts))
        else:
            files.append(file)
    return files, missing


def _check_parts(parts: list[str], path: Path) -> None:
    for part in parts:
        if not part or part in (".", "..") or "/" in part or ":" in part or "\0" in part:
            name = "\\".join(parts)
            raise ArchiveError(
                "E_ARCHIVE", f"The DICOMDIR names {name!r}, outside its folder.", str(path)
            )


def _find(folder: Path, parts: list[str]) -> Path | None:
    """Follow the parts below ``folder``, in any case and with or without an extension."""
    here = folder
    for part in parts:
        if (here / part).exists():
            here = here / part
            continue
        try:
            names = sorted(entry.name for entry in here.iterdir())
        except OSError:
            return None
        same = [name for name in names if name.lower() == part.lower()]
        if not same:
            return None
        here = here / same[0]
    return here if here.is_file() else None
