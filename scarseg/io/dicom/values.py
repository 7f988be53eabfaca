"""Read the values of header elements: text, numbers, codes and UIDs, never a default."""

from __future__ import annotations

import math
import re
import struct
import warnings

from pydicom import charset

from scarseg.io.dicom.elements import Elements

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_BINARY = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"FL": "f", b"FD": "d"}
_BINARY_TAGS = {
    **dict.fromkeys((0x00280002, 0x00280010, 0x00280011, 0x00280100, 0x00280101), b"US"),
    **dict.fromkeys((0x00280102, 0x00280103, 0x00209156, 0x00209162, 0x00209163), b"US"),
    **dict.fromkeys((0x00189079, 0x00189082, 0x00209153), b"FD"),
    0x00209128: b"UL",
}
"""Value representations of elements that are read from implicit VR."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def raw_text(elements: Elements | None, tag: int) -> str | None:
    """Return an element's bytes as Latin-1 text without padding, None where it is absent."""
    if elements is None or tag not in elements.values:
        return None
    vr, raw = _typed(elements, tag)
    if vr in _BINARY:
        return "\\".join(repr(value) for value in _unpack(elements, vr, raw))
    return raw.decode("latin-1").strip("\0 ")


def numbers(elements: Elements | None, tag: int) -> tuple[float, ...] | None:
    """Return an element's numbers, None where it is absent or any part is no finite number."""
    if elements is None or tag not in elements.values:
        return None
    vr, raw = _typed(elements, tag)
    if vr in _BINARY:
        values = _unpack(elements, vr, raw)
    else:
        parts = [part.strip("\0 ") for part in raw.decode("latin-1").split("\\")]
        if not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        values = tuple(float(part) for part in parts)
    return values if values and all(math.isfinite(value) for value in values) else None


def _typed(elements: Elements, tag: int) -> tuple[bytes, bytes]:
    vr, raw = elements.values[tag]
    return (_BINARY_TAGS.get(tag, vr) if vr in (b"", b"UN") else vr), raw


def _unpack(elements: Elements, vr: bytes, raw: bytes) -> tuple[float, ...]:
    code = _BINARY[vr]
    order = "<" if elements.little_endian else ">"
    count = len(raw) // struct.calcsize(order + code)
    used = raw[: count * struct.calcsize(order + code)]
    return tuple(float(value) for value in struct.unpack(f"{order}{count}{code}", used))


def shorts(elements: Elements | None, tag: int, signed: bool) -> tuple[int, ...]:
    """Return an element's 16-bit integers, whatever VR it is written with; empty where absent."""
    if elements is None or tag not in elements.values:
        return ()
    vr, raw = elements.values[tag]
    if vr in (b"IS", b"DS", b"UL", b"SL", b"FL", b"FD"):
        return tuple(int(value) for value in numbers(elements, tag) or ())
    order = "<" if elements.little_endian else ">"
    return struct.unpack(
        f"{order}{len(raw) // 2}{'h' if signed else 'H'}", raw[: len(raw) // 2 * 2]
    )


def number(elements: Elements | None, tag: int) -> float | None:
    """Return the first number of an element, or None."""
    values = numbers(elements, tag)
    return values[0] if values else None


def whole(elements: Elements | None, tag: int) -> int | None:
    """Return an element's first number where it is whole, else None."""
    value = number(elements, tag)
    return int(value) if value is not None and value == int(value) else None


def codes(elements: Elements | None, tag: int) -> tuple[str, ...]:
    """Return the values of a code string, upper case."""
    text = raw_text(elements, tag)
    return tuple(part.strip().upper() for part in text.split("\\")) if text else ()


def uid(elements: Elements, tag: int) -> str:
    """Return a UID, empty where it is absent or holds anything unsafe in a file name."""
    text = raw_text(elements, tag) or ""
    return text if re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.\-]{0,63}", text, re.ASCII) else ""


def text(elements: Elements, tag: int) -> str:
    """Return text in its character set; what cannot be decoded is shown as well as it can be."""
    return identifier(elements, tag).strip()


def identifier(elements: Elements, tag: int) -> str:
    """Return text as :func:`text` does, but with its leading spaces."""
    if tag not in elements.values:
        return ""
    raw = elements.values[tag][1]
    sets = [part.strip() for part in (raw_text(elements, 0x00080005) or "").split("\\")]
    return _CONTROL.sub(" ", _decode(raw, sets)).rstrip()


def _decode(raw: bytes, sets: list[str]) -> str:
    if all(byte < 128 and byte != 0x1B for byte in raw):
        return raw.decode("ascii")
    try:
        if len(sets) == 1 and b"\x1b" not in raw:
            return raw.decode(charset.python_encoding[sets[0]] if sets[0] else "utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encodings = charset.convert_encodings(sets)
            return str(charset.decode_bytes(raw, encodings, {0x5C, 0x5E, 0x3D}))
    except (LookupError, UnicodeError, ValueError, AttributeError, TypeError):
        pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def shown(text: str | None) -> str:
    """Return raw text as a message shows it."""
    return "missing" if text is None else f"'{text[:60]}'"
