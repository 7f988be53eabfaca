"""Read from a header how the pixels lie in the file, and how their values become intensities."""

from __future__ import annotations

import struct

from scarseg.errors import InputError, LimitError
from scarseg.io.dicom import values
from scarseg.io.dicom.elements import DOUBLE_PIXEL_DATA, FLOAT_PIXEL_DATA, MAX_ITEMS, Elements
from scarseg.io.dicom.parser import DEFLATED_LE, EXPLICIT_BE, NATIVE_SYNTAXES, Header
from scarseg.io.dicom.types import ModalityLookup, PixelLayout
from scarseg.io.dicom.values import shown

MAX_SIDE = 4096
_FLOAT_BITS = {FLOAT_PIXEL_DATA: 32, DOUBLE_PIXEL_DATA: 64}
COMPRESSED_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.5",
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    }
)


def read_layout(header: Header) -> PixelLayout:
    """Return how the pixels of a file are stored.

    Raises:
        InputError: ``E_HEADER``, ``E_DECODE`` or ``E_RESCALE``: sizes, bits or a lookup table that
            make no sense or are not read.
        LimitError: ``E_LIMIT``: more rows, columns or frames than accepted.
    """
    root = header.elements
    frames_text = values.raw_text(root, 0x00280008)
    frames = values.whole(root, 0x00280008) if frames_text else 1
    rows, columns = (values.whole(root, tag) for tag in (0x00280010, 0x00280011))
    for name, value in (("Rows", rows), ("Columns", columns), ("NumberOfFrames", frames)):
        if value is None or value < 1:
            raise InputError("E_HEADER", f"{name} is missing or no positive whole number.")
        if value > (MAX_ITEMS if name == "NumberOfFrames" else MAX_SIDE):
            raise LimitError("E_LIMIT", f"{name} is {value}; at most 4096 are read.")
    assert rows is not None and columns is not None and frames is not None
    if header.transfer_syntax not in NATIVE_SYNTAXES | COMPRESSED_SYNTAXES:
        raise InputError("E_DECODE", f"Transfer syntax {header.transfer_syntax} is not supported.")
    floating = header.pixel_tag in _FLOAT_BITS
    allocated = values.whole(root, 0x00280100)
    stored = values.whole(root, 0x00280101) or allocated
    high_bit = values.whole(root, 0x00280102)
    if floating:
        allocated = stored = _FLOAT_BITS[header.pixel_tag]
    samples = values.whole(root, 0x00280002) or 1
    if samples != 1:
        raise InputError("E_DECODE", f"{samples} samples per pixel: not a grey image.")
    if allocated not in (8, 16, 32, 64) or (allocated == 64 and not floating):
        raise InputError("E_DECODE", f"Pixels of {allocated} allocated bits cannot be read.")
    if allocated == 8 and header.transfer_syntax == EXPLICIT_BE and header.pixel_vr != b"OB":
        raise InputError("E_DECODE", "8-bit pixels in big-endian words cannot be read.")
    if stored is None or not 1 <= stored <= allocated:
        raise InputError("E_DECODE", f"{stored} of {allocated} allocated bits cannot be stored.")
    if high_bit is None or not stored - 1 <= high_bit < allocated:
        high_bit = stored - 1
    signed = values.whole(root, 0x00280103) == 1
    return PixelLayout(
        transfer_syntax=header.transfer_syntax,
        offset=header.pixel_offset,
        length=header.pixel_length,
        size=header.size,
        listed_checksum=header.listed_checksum,
        rows=rows,
        columns=columns,
        frames=frames,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=signed,
        inverted=values.codes(root, 0x00280004) == ("MONOCHROME1",),
        floating=floating,
        padding=_padding(root, signed),
        overlay_bits=_overlay_bits(root),
        frame_offsets=_frame_offsets(root),
        lookup=_lookup(root, signed),
    )


def _padding(root: Elements, signed: bool) -> tuple[int, int] | None:
    """Return the range of stored values that are no image (PS3.3 C.7.5.1.1.2)."""
    value = values.shorts(root, 0x00280120, signed)
    if not value:
        return None
    limit = values.shorts(root, 0x00280121, signed) or value
    return min(value[0], limit[0]), max(value[0], limit[0])


def _overlay_bits(root: Elements) -> int:
    """Return the bits of the pixel cells that overlays occupy, as old files keep them."""
    bits = 0
    for tag in root.values:
        if tag & 0xFF00FFFF != 0x60000102:
            continue
        position = values.shorts(root, tag, False)
        if position and 0 < position[0] < 32:
            bits |= 1 << position[0]
    return bits


def _frame_offsets(root: Elements) -> tuple[int, ...]:
    raw = root.values.get(0x7FE00001, (b"", b""))[1]
    return struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])


def _lookup(root: Elements, signed: bool) -> ModalityLookup | None:
    """Return the Modality LUT, None where there is none.

    Raises:
        InputError: ``E_RESCALE``: it is not what its descriptor says.
    """
    items = root.sequences.get(0x00283000)
    if not items:
        return None
    item = items[0]
    descriptor = values.shorts(item, 0x00283002, False)
    raw = item.values.get(0x00283006, (b"", b""))[1]
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise InputError("E_RESCALE", f"LUTDescriptor of the Modality LUT is {descriptor}.")
    n = descriptor[0] or 65536
    if descriptor[2] == 8 and len(raw) in (n, n + n % 2):
        entries = tuple(raw[:n])
    else:
        entries = values.shorts(item, 0x00283006, False)
    if len(entries) != n or max(entries) >= 1 << descriptor[2]:
        raise InputError(
            "E_RESCALE",
            f"The Modality LUT has {len(entries)} entries, its descriptor says {n} of "
            f"{descriptor[2]} bits.",
        )
    first = values.shorts(item, 0x00283002, signed)[1]
    slope, intercept = read_rescale(root)
    if (slope, intercept) != (1.0, 0.0):
        raise InputError(
            "E_RESCALE", f"A Modality LUT and RescaleSlope {slope:g} exclude each other."
        )
    return ModalityLookup(first, entries)


def pixel_damage(layout: PixelLayout, index: int) -> str:
    """Return what the header alone shows to be wrong with a frame's pixels, else empty."""
    if layout.offset < 0:
        return "it has no pixel data"
    if layout.transfer_syntax not in NATIVE_SYNTAXES:
        return ""
    if layout.length is None:
        return "its uncompressed pixel data have no defined length"
    there = layout.length
    if layout.transfer_syntax != DEFLATED_LE:
        there = min(there, layout.size - layout.offset)
    if there < layout.frame_bytes * (index + 1):
        there = max(0, there - layout.frame_bytes * index)
        return f"its pixel data have {there} of {layout.frame_bytes} bytes"
    return ""


def read_rescale(elements: Elements | None) -> tuple[float, float]:
    """Return slope and intercept; both absent means stored values, as the standard says."""
    pair = []
    for tag, name, absent in (
        (0x00281053, "RescaleSlope", 1.0),
        (0x00281052, "RescaleIntercept", 0.0),
    ):
        text = values.raw_text(elements, tag)
        parsed = values.numbers(elements, tag) if text else (absent,)
        if parsed is None or len(parsed) != 1 or abs(parsed[0]) > 1e9:
            raise InputError("E_RESCALE", f"{name} is {shown(text)}; a number is needed.")
        pair.append(parsed[0])
    if pair[0] == 0:
        raise InputError("E_RESCALE", "RescaleSlope is '0'; every pixel would be the same.")
    return pair[0], pair[1]
