"""Folders, files, zips and DICOMDIRs -> the files to look at. Nothing is ever extracted."""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

from scarseg.errors import ArchiveError, InputError, LimitError, ScarsegError
from scarseg.io.dicom.parser import NotDicomError, read_header
from scarseg.progress import Progress, silent

MAX_RATIO = 200
MAX_INFLATED_BYTES = 2 * 2**30
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
MAX_MEMBERS = 100_000
_RATIO_MATTERS_BYTES = 2**16
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What zipfile raises on a damaged or encrypted member."""


def printable_name(name: str) -> str:
    """Give a name as text that can be written as UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, order=True)
class Source:
    """One file: on disk, or a member of a zip."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Give the full name, printable whatever bytes the file system holds."""
        return printable_name(f"{self.path}!{self.member}" if self.member else str(self.path))

    @property
    def file_name(self) -> str:
        """Give the last part of the name."""
        return printable_name(PurePosixPath(self.member).name if self.member else self.path.name)


@dataclass
class SourceList:
    """What walking the inputs gave. ``faults`` are errors about single inputs."""

    sources: list[Source] = field(default_factory=list)
    faults: list[ScarsegError] = field(default_factory=list)
    skipped: int = 0
    notes: list[str] = field(default_factory=list)


class SourceReader:
    """Open sources for reading; keeps the last zip open between its members."""

    def __init__(self) -> None:
        self._zip: zipfile.ZipFile | None = None
        self._zip_path: Path | None = None

    def __enter__(self) -> SourceReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close_zip()

    def _close_zip(self) -> None:
        if self._zip is not None:
            self._zip.close()
        self._zip, self._zip_path = None, None

    @contextmanager
    def open(self, source: Source) -> Iterator[tuple[BinaryIO, int]]:
        """Open a source and give its stream and size in bytes.

        Raises:
            InputError: ``E_INPUT_UNREADABLE``.
            ArchiveError: ``E_ARCHIVE``: a damaged member.
        """
        try:
            if source.member:
                with self._open_member(source) as opened:
                    yield opened
            else:
                with source.path.open("rb", buffering=2**15) as stream:
                    yield stream, os.fstat(stream.fileno()).st_size
        except OSError as error:
            raise InputError(
                "E_INPUT_UNREADABLE", f"The file cannot be read: {error.strerror}.", source.name
            ) from error

    @contextmanager
    def _open_member(self, source: Source) -> Iterator[tuple[BinaryIO, int]]:
        try:
            if self._zip is None or self._zip_path != source.path:
                self._close_zip()
                self._zip, self._zip_path = zipfile.ZipFile(source.path), source.path
            info = self._zip.getinfo(source.member)
            with self._zip.open(info) as member:
                yield io.BufferedReader(member, 2**15), info.file_size  # type: ignore[type-var]
        except (*ARCHIVE_ERRORS, KeyError) as error:
            raise ArchiveError(
                "E_ARCHIVE", f"The zip member is damaged: {error}.", source.name
            ) from error


def find_sources(inputs: Sequence[Path], progress: Progress = silent) -> SourceList:
    """List every file under the inputs, in a stable order, each once.

    Raises:
        InputError: ``E_INPUT_MISSING``, ``E_INPUT_EMPTY`` or ``E_INPUT_UNREADABLE`` when nothing
            could be looked at.
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
    seen: dict[tuple[str, str], Source] = {}
    for source in sources:
        seen.setdefault((os.path.realpath(source.path), source.member), source)
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
    for root, folders, files in os.walk(folder, onerror=faults.append):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            try:
                regular = stat.S_ISREG(path.stat().st_mode)
            except OSError:
                regular = False
            if not regular:
                found.skipped += 1
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


def _add_file(path: Path, found: SourceList, given: bool) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise InputError(
            "E_INPUT_UNREADABLE", f"The file cannot be read: {error.strerror}.", str(path)
        ) from error
    is_dicom = start[128:] == b"DICM"
    if start[:4] in _ZIP_STARTS and not is_dicom:
        if given or path.suffix.lower() in ("", ".zip"):
            found.sources += list_zip(path)
        else:
            found.skipped += 1  # office documents are zips too
    elif given and is_dicom and path.name.upper() == "DICOMDIR":
        _add_dicomdir(path, found)
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


def list_zip(path: Path) -> list[Source]:
    """List the files of a zip after checking that it can be trusted.

    Raises:
        ArchiveError: ``E_ARCHIVE``: absolute or ``..`` paths, links, a ratio over 200,
            encryption, or not a readable zip.
        LimitError: ``E_LIMIT``: inflates to more than 2 GB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*ARCHIVE_ERRORS, OSError, ValueError) as error:
        raise ArchiveError("E_ARCHIVE", f"The zip cannot be read: {error}.", str(path)) from error
    if len(members) > MAX_MEMBERS:
        raise LimitError("E_LIMIT", f"The zip has {len(members)} members.", str(path))
    for member in members:
        fault = _member_fault(member)
        if fault:
            raise ArchiveError(
                "E_ARCHIVE", f"The zip member {member.filename!r} {fault}.", str(path)
            )
    total = sum(member.file_size for member in members)
    if total > MAX_INFLATED_BYTES:
        raise LimitError(
            "E_LIMIT",
            f"The zip inflates to {total} bytes; at most 2 GB are read. Unpack it and open the "
            "folder.",
            str(path),
        )
    names = sorted({member.filename for member in members if not member.is_dir()})
    return [Source(path, name) for name in names]


def _member_fault(member: zipfile.ZipInfo) -> str:
    original = member.orig_filename.replace("\\", "/")
    name = PurePosixPath(original)
    if not member.filename:
        return "has no name"
    if name.is_absolute() or (len(original) > 1 and original[1] == ":"):
        return "has an absolute path"
    if ".." in name.parts:
        return "points outside the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.file_size > _RATIO_MATTERS_BYTES and member.file_size > MAX_RATIO * max(
        member.compress_size, 1
    ):
        return f"shrinks more than {MAX_RATIO} times"
    return ""


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
