"""Zips and zips inside them: which members can be trusted, and their bytes. Nothing is unpacked."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO

from scarseg.errors import ArchiveError, LimitError, ScarsegError
from scarseg.io.dicom.sources.file_classes import OFFICE_SUFFIXES, START_BYTES, archive_format

MAX_RATIO = 200
MAX_INFLATED_BYTES = 2 * 2**30
MAX_MEMBERS = 100_000
MAX_DEPTH = 3
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_RATIO_MATTERS_BYTES = 2**26
_RATIO_OF_ALL_MATTERS_BYTES = 2**28
_IN_MEMORY_BYTES = 2**26
_BLOCK_BYTES = 2**20
ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""Exceptions that zipfile raises on a damaged or encrypted member."""

Members = tuple[str, ...]


@dataclass
class ZipContents:
    """The files of a zip, each with the names that lead to it through inner zips."""

    files: list[Members] = field(default_factory=list)
    faults: list[ScarsegError] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    inflated_bytes: int = 0


def is_office_document(path: str, archive: zipfile.ZipFile) -> bool:
    """Return whether a zip is a document of an office program or the like."""
    names = set(archive.namelist()[:50])
    return PurePosixPath(path).suffix.lower() in OFFICE_SUFFIXES or bool(
        names & {"[Content_Types].xml", "mimetype"}
    )


def list_zip(path: Path) -> ZipContents:
    """List the files of a zip after checking that it can be trusted.

    Members that shrink more than 200 times, damaged inner zips and archives of other kinds are
    faults of their own; the rest is read.

    Raises:
        ArchiveError: ``E_ARCHIVE``: absolute or ``..`` paths, links, encryption, two members of one
            name, all of it shrunk more than 200 times, or not a readable zip.
        LimitError: ``E_LIMIT``: inflates to more than 2 GB, or too many members.
    """
    contents = ZipContents()
    try:
        with zipfile.ZipFile(path) as archive:
            if is_office_document(path.name, archive):
                contents.skipped["office document"] += 1
            else:
                _add_members(archive, str(path), (), contents, path.stat().st_size)
    except (*ARCHIVE_ERRORS, OSError, ValueError) as error:
        raise ArchiveError("E_ARCHIVE", f"The zip cannot be read: {error}.", str(path)) from error
    return contents


def _add_members(
    archive: zipfile.ZipFile, path: str, within: Members, contents: ZipContents, size: int
) -> None:
    """Check the members of one zip and add them, and those of the zips among them."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    name = "!".join((path, *within))
    if len(contents.files) + len(members) > MAX_MEMBERS:
        raise LimitError("E_LIMIT", f"The zip has {len(members)} members.", name)
    for member in archive.infolist():
        fault = _untrusted(member)
        if fault:
            raise ArchiveError("E_ARCHIVE", f"The zip member {member.filename!r} {fault}.", name)
    if twice := _twice(members):
        message = f"The zip member {twice!r} is there twice with different contents."
        raise ArchiveError("E_ARCHIVE", f"{message} One would be left out.", name)
    total = sum(member.file_size for member in members)
    contents.inflated_bytes += total
    if contents.inflated_bytes > MAX_INFLATED_BYTES:
        raise LimitError(
            "E_LIMIT",
            f"The zip inflates to {contents.inflated_bytes} bytes; at most 2 GB are read. Unpack "
            "it and open the folder.",
            name,
        )
    if total > max(_RATIO_OF_ALL_MATTERS_BYTES, MAX_RATIO * size):
        raise ArchiveError("E_ARCHIVE", f"The zip shrinks more than {MAX_RATIO} times.", name)
    for member in sorted({one.filename: one for one in members}.values(), key=_by_name):
        try:
            _add_member(archive, member, path, (*within, member.filename), contents)
        except ScarsegError as error:
            contents.faults.append(error)


def _twice(members: Sequence[zipfile.ZipInfo]) -> str:
    """Return a name that several members of different contents have, empty without any."""
    contents: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for member in members:
        contents[member.filename].add((member.CRC, member.file_size))
    return next((name for name, known in contents.items() if len(known) > 1), "")


def _by_name(member: zipfile.ZipInfo) -> str:
    return member.filename


def _add_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    path: str,
    names: Members,
    contents: ZipContents,
) -> None:
    name = "!".join((path, *names))
    if member.file_size > max(_RATIO_MATTERS_BYTES, MAX_RATIO * max(member.compress_size, 1)):
        raise ArchiveError("E_ARCHIVE", f"It shrinks more than {MAX_RATIO} times.", name)
    try:
        with archive.open(member) as stream:
            start = stream.read(START_BYTES)
        if start[128:132] == b"DICM" or not start.startswith(ZIP_STARTS):
            _check_no_archive(member.filename, start, name)
            contents.files.append(names)
            return
        if len(names) >= MAX_DEPTH:
            raise ArchiveError(
                "E_ARCHIVE", f"It lies in archives {MAX_DEPTH} deep; unpack them.", name
            )
        with spool(archive, member) as inner, zipfile.ZipFile(inner) as inside:
            if is_office_document(member.filename, inside):
                contents.skipped["office document"] += 1
                return
            _add_members(inside, path, names, contents, member.file_size)
    except (*ARCHIVE_ERRORS, ValueError, KeyError):
        contents.files.append(names)  # refused by name when it is read


def _check_no_archive(file_name: str, start: bytes, name: str) -> None:
    kind = archive_format(file_name, start)
    if kind:
        raise other_archive(kind, name)


def other_archive(kind: str, name: str) -> ArchiveError:
    """Return the error of an archive that is not opened here."""
    return ArchiveError("E_ARCHIVE", f"It is a {kind} archive; unpack it, open the folder.", name)


def spool(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Return a zip inside a zip as a file that can be searched: in memory up to 64 MB."""
    spooled: IO[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - returned
    with archive.open(member) as source:
        left = member.file_size
        while left > 0 and (block := source.read(min(left, _BLOCK_BYTES))):
            spooled.write(block)
            left -= len(block)
    spooled.seek(0)
    return spooled


def _untrusted(member: zipfile.ZipInfo) -> str:
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
    return ""


class ZipReader:
    """Open members of zips; keeps the last zip, and the zips inside it, open between them."""

    def __init__(self) -> None:
        self._open: list[zipfile.ZipFile] = []
        self._spooled: list[IO[bytes]] = []
        self._key: tuple[Path, Members] | None = None

    def close(self) -> None:
        """Close whatever is open."""
        for archive in reversed(self._open):
            archive.close()
        for spooled in self._spooled:
            spooled.close()
        self._open, self._spooled, self._key = [], [], None

    @contextmanager
    def open(self, path: Path, members: Members) -> Iterator[tuple[BinaryIO, int]]:
        """Open a member; yield its stream and size in bytes.

        Raises:
            ArchiveError: ``E_ARCHIVE``: a damaged member.
        """
        try:
            archive = self._archive(path, members[:-1])
            info = archive.getinfo(members[-1])
            with archive.open(info) as member:
                yield io.BufferedReader(member, 2**15), info.file_size  # type: ignore[type-var]
        except (*ARCHIVE_ERRORS, KeyError) as error:
            name = "!".join((str(path), *members))
            raise ArchiveError("E_ARCHIVE", f"The zip member is damaged: {error}.", name) from error

    def _archive(self, path: Path, within: Members) -> zipfile.ZipFile:
        if self._key != (path, within):
            self.close()
            self._open.append(zipfile.ZipFile(path))
            for name in within:
                archive = self._open[-1]
                self._spooled.append(spool(archive, archive.getinfo(name)))
                self._open.append(zipfile.ZipFile(self._spooled[-1]))
            self._key = (path, within)
        return self._open[-1]
