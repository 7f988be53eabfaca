"""A DICOM file -> its header: preamble or none, file meta or none, deflated or not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom._dicom_dict import DicomDictionary

from scarseg.errors import LimitError

MAX_DEPTH = 64
MAX_ITEMS = 4096
MAX_ELEMENTS = 4_000_000
_MAX_VALUE_BYTES = 2**16
_WALKED_SEQUENCE_BYTES = 2**18

PIXEL_DATA = 0x7FE00010
_FLOAT_PIXELS = frozenset({0x7FE00008, 0x7FE00009})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
SHORT_VRS = frozenset(
    {
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT"),
        *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    }
)
DIRECTORY_RECORDS = 0x00041220
WANTED_SEQUENCES = frozenset(
    {
        DIRECTORY_RECORDS,
        0x52009229,  # SharedFunctionalGroupsSequence
        0x52009230,  # PerFrameFunctionalGroupsSequence
        *(0x00189114, 0x00189115, 0x00189118, 0x00189226),  # echo, modifier, cardiac, frame type
        *(0x00209111, 0x00209113, 0x00209116, 0x00289110, 0x00289145),
    }
)
WANTED = frozenset(
    {
        *(0x00020002, 0x00020003, 0x00020010, 0x00041500),
        *(0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080032, 0x00080033),
        *(0x00080060, 0x0008103E, 0x00089007, 0x00089208, 0x00100010, 0x00100020),
        *(0x00180010, 0x00180015, 0x00180024, 0x00180050, 0x00180081, 0x00180082, 0x00180086),
        *(0x00180088, 0x00181030, 0x00181060, 0x00181090, 0x00189079, 0x00189082),
        *(0x0020000D, 0x0020000E, 0x00200011, 0x00200012, 0x00200013, 0x00200032, 0x00200037),
        0x00200052,
        *(0x00200100, 0x00209128, 0x00209153, 0x00209156),
        *(0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100),
        *(0x00280101, 0x00280102, 0x00280103, 0x00280106, 0x00281052, 0x00281053, 0x00282110),
    }
)


class DamagedError(Exception):
    """The header ends too early or makes no sense from here on."""


@dataclass
class Elements:
    """The wanted elements of one data set or sequence item, values raw."""

    values: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    sequences: dict[int, list[Elements]] = field(default_factory=dict)
    little_endian: bool = True

    def item(self, tag: int) -> Elements | None:
        """Give the first item of a sequence, or None."""
        items = self.sequences.get(tag)
        return items[0] if items else None


class ElementReader:
    """One pass over the elements of a stream."""

    def __init__(
        self, stream: BinaryIO, position: int, size: int | None, explicit: bool, little_endian: bool
    ) -> None:
        self._stream = stream
        self._pushed = b""
        self._count = 0
        self.position = position
        self._size = size
        self.explicit = explicit
        self.little_endian = little_endian

    def _read(self, n: int) -> bytes:
        data = self._stream.read(n) if not self._pushed else self._read_pushed(n)
        self.position += len(data)
        if len(data) < n:
            raise DamagedError(f"the file ends inside its header, at byte {self.position}")
        return data

    def _read_pushed(self, n: int) -> bytes:
        data, self._pushed = self._pushed[:n], self._pushed[n:]
        return data + self._stream.read(n - len(data)) if len(data) < n else data

    def peek(self, n: int) -> bytes:
        """Give the next bytes without consuming them; fewer at the end."""
        if len(self._pushed) < n:
            self._pushed += self._stream.read(n - len(self._pushed))
        return self._pushed[:n]

    def _skip(self, n: int) -> None:
        if self._size is not None and self.position + n > self._size:
            raise DamagedError(f"an element at byte {self.position} is longer than the file")
        if n > 2**16 and not self._pushed and self._size is not None:
            self._stream.seek(n, io.SEEK_CUR)
            self.position += n
            return
        while n > 0:
            n -= len(self._read(min(n, 2**20)))

    def _element(self, explicit: bool) -> tuple[int, bytes, int]:
        """Read tag, VR (empty where implicit) and length of the next element."""
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise LimitError("E_LIMIT", f"The header has more than {MAX_ELEMENTS} elements.")
        head = self._read(8)
        order = "<" if self.little_endian else ">"
        group, number = struct.unpack(order + "HH", head[:4])
        tag = group << 16 | number
        if group == 0xFFFE or not explicit:
            return tag, b"", struct.unpack(order + "L", head[4:])[0]
        vr = head[4:6]
        if vr in SHORT_VRS:
            return tag, vr, struct.unpack(order + "H", head[6:])[0]
        if vr in LONG_VRS or (vr.isalpha() and vr.isupper()):
            return tag, vr, struct.unpack(order + "L", self._read(4))[0]
        raise DamagedError(f"no data element at byte {self.position - 8}")

    def read_meta(self, into: Elements) -> None:
        """Read group 0002, always explicit little endian."""
        while self.peek(2) == b"\x02\x00":
            tag, vr, length = self._element(explicit=True)
            self._value(tag, vr, length, into, self.explicit, 0)

    def read_data_set(self, into: Elements) -> tuple[int, int | None]:
        """Read to the pixel data; give their offset and length, (-1, -1) without any."""
        while len(self.peek(8)) == 8:
            tag, vr, length = self._element(self.explicit)
            if tag == PIXEL_DATA:
                return self.position, None if length == _UNDEFINED else length
            if tag in _FLOAT_PIXELS or tag >> 16 == 0xFFFE:
                break
            self._value(tag, vr, length, into, self.explicit, 0)
        return -1, -1

    def _value(
        self, tag: int, vr: bytes, length: int, into: Elements, explicit: bool, depth: int
    ) -> None:
        if self._is_sequence(tag, vr, length):
            inner_explicit = explicit and vr != b"UN"
            if tag in WANTED_SEQUENCES:
                items = into.sequences.setdefault(tag, [])
                keep: Callable[[Elements], None] = items.append
                self._sequence(length, keep, inner_explicit, depth + 1, tag)
            elif length != _UNDEFINED and length > _WALKED_SEQUENCE_BYTES:
                self._skip(length)
            else:
                self._sequence(length, _forget, inner_explicit, depth + 1, tag)
        elif length == _UNDEFINED:
            self._fragments()
        elif tag in WANTED and length <= _MAX_VALUE_BYTES:
            into.values[tag] = (vr, self._read(length))
        else:
            self._skip(length)

    @staticmethod
    def _is_sequence(tag: int, vr: bytes, length: int) -> bool:
        if vr == b"SQ":
            return True
        if vr in (b"", b"UN"):
            if tag in WANTED_SEQUENCES or length == _UNDEFINED:
                return True
            known = DicomDictionary.get(tag)
            return vr == b"" and known is not None and known[0] == "SQ"
        return False

    def _sequence(
        self,
        length: int,
        keep: Callable[[Elements], None],
        explicit: bool,
        depth: int,
        tag: int,
    ) -> None:
        if depth >= MAX_DEPTH:
            raise LimitError("E_LIMIT", f"Sequences are nested {MAX_DEPTH} deep or deeper.")
        end = None if length == _UNDEFINED else self.position + length
        count = 0
        while end is None or self.position < end:
            item_tag, _, item_length = self._element(explicit)
            if item_tag == _SEQUENCE_END and end is None:
                return
            if item_tag != _ITEM:
                raise DamagedError(f"no sequence item at byte {self.position - 8}")
            count += 1
            if count > MAX_ITEMS and tag != DIRECTORY_RECORDS:
                raise LimitError("E_LIMIT", f"A sequence has more than {MAX_ITEMS} items.")
            item = Elements(little_endian=self.little_endian)
            self._item(item, item_length, explicit, depth)
            keep(item)

    def _item(self, into: Elements, length: int, explicit: bool, depth: int) -> None:
        end = None if length == _UNDEFINED else self.position + length
        while end is None or self.position < end:
            tag, vr, value_length = self._element(explicit)
            if tag == _ITEM_END and end is None:
                return
            if tag >> 16 == 0xFFFE:
                raise DamagedError(f"a stray delimiter at byte {self.position - 8}")
            self._value(tag, vr, value_length, into, explicit, depth)

    def _fragments(self) -> None:
        while True:
            tag, _, length = self._element(explicit=True)
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM or length == _UNDEFINED:
                raise DamagedError(f"no fragment at byte {self.position - 8}")
            self._skip(length)


def _forget(item: Elements) -> None:
    """Drop an item that was only walked to see how deep it goes."""


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
    """Everything of a file in front of its pixels.

    ``pixel_offset`` counts bytes from the file's start (for deflated files: from the start of
    the inflated data set); ``pixel_length`` is None for undefined length; both are -1 without
    pixel data. ``damage`` says why the header could not be read to its end, else empty.
    """

    transfer_syntax: str
    elements: Elements
    pixel_offset: int = -1
    pixel_length: int | None = -1
    size: int = 0
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
        header.pixel_offset, header.pixel_length = reader.read_data_set(body)
    except DamagedError as error:
        header.damage = str(error)
    except (zlib.error, EOFError):
        header.damage = "the deflated data are damaged"
    if not _parsed_group_8(header.elements, has_preamble):
        raise NotDicomError
    return header


def _parsed_group_8(elements: Elements, has_preamble: bool) -> bool:
    """Tell whether enough was understood to call the file DICOM."""
    if DIRECTORY_RECORDS in elements.sequences:
        return True
    known = [tag for tag in (0x00080016, 0x00080018) if _uid(elements, tag)]
    return bool(known) or (has_preamble and bool(_uid(elements, 0x00020002)))


def _uid(elements: Elements, tag: int) -> str:
    raw = elements.values.get(tag, (b"", b""))[1].rstrip(b"\0 ")
    return raw.decode("ascii") if raw and all(c in b"0123456789." for c in raw) else ""


def _encoding(start: bytes, syntax: str) -> tuple[bool, bool]:
    """Tell (explicit, little endian) from the first element, the transfer syntax in doubt.

    Files whose syntax lies about explicit or implicit exist; the bytes decide.
    """
    little_endian = syntax != EXPLICIT_BE
    if not syntax and start[:2] == b"\x00\x08":
        little_endian = False
    return start[4:6] in LONG_VRS or start[4:6] in SHORT_VRS, little_endian


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
