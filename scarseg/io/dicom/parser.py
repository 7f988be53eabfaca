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

PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA = 0x7FE00010, 0x7FE00008, 0x7FE00009
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_BYTES, _ITEM_BYTES_BE = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
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
ALL_VRS = LONG_VRS | SHORT_VRS
DIRECTORY_RECORDS = 0x00041220
WANTED_SEQUENCES = frozenset(
    {
        DIRECTORY_RECORDS,
        0x52009229,  # SharedFunctionalGroupsSequence
        0x52009230,  # PerFrameFunctionalGroupsSequence
        *(0x00189114, 0x00189115, 0x00189118, 0x00189226),  # echo, modifier, cardiac, frame type
        *(0x00209111, 0x00209113, 0x00209116, 0x00289110, 0x00289145),
        0x00283000,  # ModalityLUTSequence
        *(0x002111FE, 0x2005140F),  # what Siemens and Philips keep beside each frame
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
        *(0x00280120, 0x00280121, 0x00283002, 0x00283006),  # padding, modality LUT
        *(0x00080070, 0x00204000),  # manufacturer, image comments
        *(0x00209161, 0x00209162, 0x00209163),  # concatenation
        *(group << 16 | element for group in range(0x6000, 0x6020, 2) for element in (0x0102,)),
        0x7FE00001,  # ExtendedOffsetTable
    }
)
PRIVATE_ELEMENTS = {0x0021: 0x75, 0x0043: 0x2F, 0x2005: 0x11}
"""Group to the last byte of the private element that tells magnitude from real images."""
_LONG_VALUE_TAG, _LONG_VALUE_BYTES = 0x00283006, 2**18  # a lookup table of 16 bits


class DamagedError(Exception):
    """The header ends too early or makes no sense from here on."""


@dataclass
class Elements:
    """The wanted elements of one data set or sequence item, values raw."""

    values: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    sequences: dict[int, list[Elements]] = field(default_factory=dict)
    little_endian: bool = True

    def item(self, tag: int) -> Elements | None:
        """Return the first item of a sequence, or None."""
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
        self.pixel_vr = b""

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
        """Return the next bytes without consuming them; fewer at the end."""
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
        """Read group 0002: explicit little endian by the standard, implicit in some files."""
        while self.peek(2) == b"\x02\x00":
            explicit = self.peek(6)[4:] in ALL_VRS
            tag, vr, length = self._element(explicit)
            self._value(tag, vr, length, into, self.explicit, 0)

    def read_data_set(self, into: Elements) -> tuple[int, int, int | None]:
        """Read to the pixel data; return their tag, offset and length, (0, -1, -1) without any."""
        while len(self.peek(8)) == 8:
            tag, vr, length = self._element(self.explicit)
            if tag in (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_PIXEL_DATA):
                self.pixel_vr = vr
                return tag, self.position, None if length == _UNDEFINED else length
            if tag >> 16 == 0xFFFE:
                break
            self._value(tag, vr, length, into, self.explicit, 0)
        return 0, -1, -1

    def _value(
        self, tag: int, vr: bytes, length: int, into: Elements, explicit: bool, depth: int
    ) -> None:
        if self._is_sequence(tag, vr, length):
            if tag in WANTED_SEQUENCES:
                items = into.sequences.setdefault(tag, [])
                self._sequence(length, items.append, explicit, depth + 1, tag)
            elif length == _UNDEFINED:
                self._sequence(length, _forget, explicit, depth + 1, tag)
            elif length > _WALKED_SEQUENCE_BYTES:
                self._skip(length)
            else:
                self._walk(self._read(length), explicit, depth + 1, tag)
        elif length == _UNDEFINED:
            self._fragments()
        elif (tag in WANTED or _is_vendors(tag)) and length <= _limit(tag):
            into.values[tag] = (vr, self._read(length))
        else:
            self._skip(length)

    def _walk(self, data: bytes, explicit: bool, depth: int, tag: int) -> None:
        """See how deep a sequence of known length goes; its damage harms nothing else."""
        inside = ElementReader(io.BytesIO(data), 0, len(data), explicit, self.little_endian)
        inside._count = self._count
        try:
            inside._sequence(len(data), _forget, explicit, depth, tag)
        except DamagedError:
            return
        finally:
            self._count = inside._count

    def _is_sequence(self, tag: int, vr: bytes, length: int) -> bool:
        if vr == b"SQ":
            return True
        if vr in (b"", b"UN"):
            if tag & 0x00010000:  # private: whatever begins with an item
                return length == _UNDEFINED or (tag in WANTED_SEQUENCES and self._at_item())
            if tag in WANTED_SEQUENCES or length == _UNDEFINED:
                return True
            known = DicomDictionary.get(tag)
            return vr == b"" and known is not None and known[0] == "SQ"
        return False

    def _at_item(self) -> bool:
        return self.peek(4) == (_ITEM_BYTES if self.little_endian else _ITEM_BYTES_BE)

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
        # Implicit items occur in explicit files, and explicit ones under UN: each item shows
        # how it is written. Items of an implicit data set are never explicit.
        vr = self.peek(6)[4:]
        explicit = explicit and vr.isalpha() and vr.isupper()
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


def _is_vendors(tag: int) -> bool:
    last = PRIVATE_ELEMENTS.get(tag >> 16)
    element = tag & 0xFFFF
    # 0010-00FF name the creator of the block of elements xx00-xxFF.
    return last is not None and (0x10 <= element <= 0xFF or element & 0xFF == last)


def _limit(tag: int) -> int:
    return _LONG_VALUE_BYTES if tag == _LONG_VALUE_TAG else _MAX_VALUE_BYTES


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
    pixel data; ``pixel_tag`` is that of integer, float or double pixel data, 0 without any.
    ``damage`` says why the header could not be read to its end, else empty.
    """

    transfer_syntax: str
    elements: Elements
    pixel_tag: int = 0
    pixel_vr: bytes = b""
    pixel_offset: int = -1
    pixel_length: int | None = -1
    size: int = 0
    modified_ns: int = 0
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
