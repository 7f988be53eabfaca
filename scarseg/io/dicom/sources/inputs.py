"""Find the files to read in folders, files, zips and DICOMDIRs."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

from scarseg.errors import ArchiveError, InputError, LimitError, ScarsegError
from scarseg.io.dicom.parser import NotDicomError, read_header
from scarseg.io.dicom.sources.archives import ZIP_STARTS, ZipReader, list_zip, other_archive
from scarseg.io.dicom.sources.file_classes import (
    BROKEN_LINK,
    OFFICE_SUFFIXES,
    START_BYTES,
    archive_format,
)
from scarseg.progress import Progress, silent

_ARRIVING = re.compile(r"\.[0-9.]+\.(partial|old)")
"""Folders in which scarseg keeps what an archive has not sent to its end."""


def printable_name(name: str) -> str:
    """Return a name as text that can be written as UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, order=True)
class Source:
    """One file: on disk, or a member of a zip, by the names that lead to it through inner zips."""

    path: Path
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Full name, printable whatever bytes the file system holds."""
        return printable_name("!".join((str(self.path), *self.members)))

    @property
    def file_name(self) -> str:
        """Last part of the name."""
        last = PurePosixPath(self.members[-1]).name if self.members else self.path.name
        return printable_name(last)


@dataclass
class SourceList:
    """Files found in the inputs. ``faults`` are errors about single inputs or files.

    ``skipped`` counts files that are not opened, by class.
    """

    sources: list[Source] = field(default_factory=list)
    faults: list[ScarsegError] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


class SourceReader:
    """Open sources for reading; keeps the last zip open between its members."""

    def __init__(self) -> None:
        self._zips = ZipReader()

    def __enter__(self) -> SourceReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zips.close()

    @contextmanager
    def open(self, source: Source) -> Iterator[tuple[BinaryIO, int]]:
        """Open a source; yield its stream and size in bytes.

        Raises:
            InputError: ``E_INPUT_UNREADABLE``.
            ArchiveError: ``E_ARCHIVE``: a damaged member.
        """
        try:
            if source.members:
                with self._zips.open(source.path, source.members) as opened:
                    yield opened
            else:
                with source.path.open("rb", buffering=2**15) as stream:
                    yield stream, os.fstat(stream.fileno()).st_size
        except OSError as error:
            raise InputError(
                "E_INPUT_UNREADABLE", f"The file cannot be read: {error.strerror}.", source.name
            ) from error


def modified_ns(source: Source) -> int:
    """Return when a file, or the zip that holds it, was last written; 0 where it is gone."""
    try:
        return source.path.stat().st_mtime_ns
    except OSError:
        return 0


def find_sources(inputs: Sequence[Path], progress: Progress = silent) -> SourceList:
    """List every file under the inputs, in a stable order, each once.

    Raises:
        InputError: ``E_INPUT_MISSING``, ``E_INPUT_EMPTY`` or ``E_INPUT_UNREADABLE`` when nothing
            could be read.
    """
    found = SourceList()
    for path in inputs:
        progress(0.0, "Looking for files")
        try:
            _add_input(Path(path), found)
        except ScarsegError as error:
            error.path = error.path or str(path)
            found.faults.append(error)
    found.sources = _once(found.sources)
    if not found.sources and not found.skipped:
        if found.faults and isinstance(found.faults[0], InputError):
            if isinstance(found.faults[0], ArchiveError | LimitError):
                return found
            raise found.faults[0]
        if not found.faults:
            names = ", ".join(str(path) for path in inputs) or "nothing"
            raise InputError("E_INPUT_EMPTY", f"There are no files in {names}.", names)
    return found


def _once(sources: list[Source]) -> list[Source]:
    seen: dict[tuple[str, tuple[str, ...]], Source] = {}
    for source in sources:
        seen.setdefault((os.path.realpath(source.path), source.members), source)
    return list(seen.values())


def _add_input(path: Path, found: SourceList) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError("E_INPUT_MISSING", f"{path} does not exist.", str(path)) from error
    except (OSError, ValueError) as error:
        raise InputError(
            "E_INPUT_UNREADABLE", f"{path} cannot be read: {error}.", str(path)
        ) from error
    if stat.S_ISDIR(mode):
        _add_folder(path, found)
    elif stat.S_ISREG(mode):
        _add_file(path, found, given=True)
    else:
        raise InputError("E_INPUT_UNREADABLE", f"{path} is no file or folder.", str(path))


def _add_folder(folder: Path, found: SourceList) -> None:
    faults: list[OSError] = []
    entered: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, onerror=faults.append, followlinks=True):
        # Linked folders are followed, each folder once: links may lead back up.
        if not _is_new(root, entered):
            folders.clear()
            continue
        if arriving := {name for name in folders if _ARRIVING.fullmatch(name)}:
            found.skipped["series still arriving"] += len(arriving)
        folders[:] = sorted(set(folders) - arriving)
        for name in sorted(files):
            path = Path(root, name)
            try:
                regular = stat.S_ISREG(path.stat().st_mode)
            except OSError:
                found.skipped[BROKEN_LINK] += 1
                continue
            if not regular:
                found.skipped["device or pipe"] += 1
                continue
            try:
                _add_file(path, found, given=False)
            except ScarsegError as error:
                error.path = error.path or str(path)
                found.faults.append(error)
    found.faults += [
        InputError(
            "E_INPUT_UNREADABLE", f"The folder cannot be read: {fault.strerror}.", fault.filename
        )
        for fault in faults
    ]


def _is_new(folder: str, entered: set[tuple[int, int]]) -> bool:
    try:
        status = Path(folder).stat()
    except OSError:
        return False
    key = (status.st_dev, status.st_ino)
    if key in entered:
        return False
    entered.add(key)
    return True


def _add_file(path: Path, found: SourceList, given: bool) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(START_BYTES)
    except OSError as error:
        raise InputError(
            "E_INPUT_UNREADABLE", f"The file cannot be read: {error.strerror}.", str(path)
        ) from error
    is_dicom = start[128:132] == b"DICM"
    if start.startswith(ZIP_STARTS) and not is_dicom:
        if not given and path.suffix.lower() in OFFICE_SUFFIXES:
            found.skipped["office document"] += 1
            return
        contents = list_zip(path)
        found.sources += [Source(path, members) for members in contents.files]
        found.faults += contents.faults
        found.skipped += contents.skipped
    elif given and is_dicom and path.name.upper() == "DICOMDIR":
        _add_dicomdir(path, found)
    elif not is_dicom and (kind := archive_format(path.name, start)):
        raise other_archive(kind, str(path))
    else:
        found.sources.append(Source(path))


def _add_dicomdir(path: Path, found: SourceList) -> None:
    """Add the files a DICOMDIR names; a walk of its folder needs no DICOMDIR."""
    files, missing = referenced_files(path)
    found.sources += [Source(file) for file in files]
    if missing:
        found.faults.append(
            InputError(
                "E_INPUT_MISSING",
                f"{len(missing)} files named by the DICOMDIR are missing, first {missing[0]}.",
                str(path),
            )
        )


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
    """Find a file by its path below ``folder``, in any case and with or without an extension."""
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
