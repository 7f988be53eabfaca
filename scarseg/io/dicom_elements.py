"""A stream of DICOM bytes -> data elements, with limits kept while reading.

Lengths and numbers stay raw text here: what a wrong one means is decided in
``dicom_headers``. A tolerant reader would put a default in its place.
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
