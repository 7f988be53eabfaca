"""Read the header of a DICOM file: with or without preamble, file meta and deflation."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from scarseg.errors import LimitError
from scarseg.io.dicom.elements import (
    ALL_VRS,
    DIRECTORY_RECORDS,
    DamagedError,
    ElementReader,
    Elements,
)

MAX_FILE_BYTES = 4 * 2**30
MAX_INFLATED_BYTES = 2 * 2**30

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
NATIVE_SYNTAXES = frozenset({IMPLICIT_LE, EXPLICIT_LE, DEFLATED_LE, EXPLICIT_BE})


class NotDicomError(Exception):
    """The bytes are no DICOM file; the file is skipped."""


@dataclass
class Header:
    """Header of a file: everything before its pixels.

    ``pixel_offset`` counts bytes from the file's start (for deflated files: from the start of
    the inflated data set); ``pixel_length`` is None for undefined length; both are -1 without
    pixel data; ``pixel_tag`` is that of integer, float or double pixel data, 0 without any.
    ``damage`` is why the header could not be read to its end, else empty.
    """

    transfer_syntax: str
    elements: Elements
    pixel_tag: int = 0
    pixel_vr: bytes = b""
    pixel_offset: int = -1
    pixel_length: int | None = -1
    size: int = 0
    listed_checksum: int = 0
    damage: str = ""


def read_header(stream: BinaryIO, size: int) -> Header:
    """Read a DICOM file up to its pixel data.

    Args:
        stream: open binary file, at its start.
        size: of the file, in bytes.

    Raises:
        NotDicomError: the file is not DICOM.
        LimitError: ``E_LIMIT``: larger or deeper than accepted.
    """
    start = stream.read(132)
    has_preamble = start[128:132] == b"DICM"
    if size > MAX_FILE_BYTES and has_preamble:
        raise LimitError("E_LIMIT", f"The file has {size} bytes; at most 4 GB are read.")
    if not has_preamble and (size > MAX_FILE_BYTES or not _may_start_data_set(start)):
        raise NotDicomError
    offset = 132 if has_preamble else 0
    stream.seek(offset)
    return _read_after_preamble(stream, offset, size, has_preamble)


def _may_start_data_set(start: bytes) -> bool:
    if len(start) < 8:
        return False
    return start[:2] in (b"\x08\x00", b"\x02\x00") or start[:2] == b"\x00\x08"


def _read_after_preamble(stream: BinaryIO, offset: int, size: int, has_preamble: bool) -> Header:
    reader = ElementReader(stream, offset, size, explicit=True, little_endian=True)
    meta = Elements()
    header = Header("", meta, size=size)
    try:
        reader.read_meta(meta)
        syntax = _uid(meta, 0x00020010)
        if syntax == DEFLATED_LE:
            stream.seek(reader.position)
            inflated = io.BufferedReader(_Inflated(stream), 2**15)
            reader = ElementReader(inflated, 0, None, explicit=True, little_endian=True)
        explicit, little_endian = _encoding(reader.peek(8), syntax)
        reader.explicit, reader.little_endian = explicit, little_endian
        body = Elements(little_endian=little_endian)
        body.values.update(meta.values)
        header = Header(syntax or _plain_syntax(explicit, little_endian), body, size=size)
        header.pixel_tag, header.pixel_offset, header.pixel_length = reader.read_data_set(body)
        header.pixel_vr = reader.pixel_vr
    except DamagedError as error:
        header.damage = str(error)
    except (zlib.error, EOFError):
        header.damage = "the deflated data are damaged"
    if not _parsed_group_8(header.elements, has_preamble):
        raise NotDicomError
    return header


def _parsed_group_8(elements: Elements, has_preamble: bool) -> bool:
    """Return whether enough was understood to call the file DICOM."""
    if DIRECTORY_RECORDS in elements.sequences:
        return True
    known = [tag for tag in (0x00080016, 0x00080018) if _uid(elements, tag)]
    return bool(known) or (has_preamble and bool(_uid(elements, 0x00020002)))


def _uid(elements: Elements, tag: int) -> str:
    raw = elements.values.get(tag, (b"", b""))[1].rstrip(b"\0 ")
    return raw.decode("ascii") if raw and all(c in b"0123456789." for c in raw) else ""


def _encoding(start: bytes, syntax: str) -> tuple[bool, bool]:
    """Return (explicit, little endian) from the first element, the transfer syntax in doubt.

    Files whose syntax lies about explicit or implicit exist; the bytes decide.
    """
    little_endian = syntax != EXPLICIT_BE
    if not syntax and start[:2] == b"\x00\x08":
        little_endian = False
    return start[4:6] in ALL_VRS, little_endian


def _plain_syntax(explicit: bool, little_endian: bool) -> str:
    if not little_endian:
        return EXPLICIT_BE
    return EXPLICIT_LE if explicit else IMPLICIT_LE


class _Inflated(io.RawIOBase):
    """The inflated data set of a deflated file, never more than the limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._inflate.eof:
                return 0
            source = self._inflate.unconsumed_tail or self._stream.read(2**14)
            data = self._inflate.decompress(source, len(buffer))
            if data or not source:
                break
        self._total += len(data)
        if self._total > MAX_INFLATED_BYTES:
            raise LimitError("E_LIMIT", "The deflated file inflates to more than 2 GB.")
        buffer[: len(data)] = data
        return len(data)


def open_inflated(stream: BinaryIO) -> BinaryIO:
    """Open the inflated data set of a deflated file whose ``stream`` is at its start."""
    start = stream.read(132)
    offset = 132 if start[128:132] == b"DICM" else 0
    stream.seek(offset)
    reader = ElementReader(stream, offset, None, explicit=True, little_endian=True)
    try:
        reader.read_meta(Elements())
    except DamagedError as error:
        raise EOFError(str(error)) from error
    stream.seek(reader.position)
    return io.BufferedReader(_Inflated(stream), 2**16)
