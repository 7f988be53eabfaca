"""Read the elements of a DICOM data set: the wanted values and sequences, the rest skipped.

Depth, items and elements are limited. Items are read as they are written, whatever the data set is.
"""

from __future__ import annotations

import io
import struct
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
        *(0x00100030, 0x00100040),  # birth date, sex
        *(0x00180010, 0x00180015, 0x00180024, 0x00180050, 0x00180081, 0x00180082, 0x00180086),
        *(0x00180088, 0x00181030, 0x00181060, 0x00181090, 0x00189079, 0x00189082),
        *(0x0020000D, 0x0020000E, 0x00200011, 0x00200012, 0x00200013, 0x00200032, 0x00200037),
        0x00200052,
        *(0x00200100, 0x00209128, 0x00209153, 0x00209156),
        *(0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100),
        *(0x00280101, 0x00280102, 0x00280103, 0x00280106, 0x00281052, 0x00281053, 0x00282110),
        *(0x00280120, 0x00280121, 0x00283002, 0x00283006),  # padding, modality LUT
        *(0x00080070, 0x00081090, 0x00180087),  # manufacturer, its model, field strength
        0x00204000,  # image comments
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
