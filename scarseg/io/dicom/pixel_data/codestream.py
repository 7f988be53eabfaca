"""Read what a compressed code stream says of itself: its end, its losses, its damage.

Decoders fill what they cannot read with anything, and a header's transfer syntax may be untrue; the
markers of the stream itself are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

END_OF_IMAGE = b"\xff\xd9"
JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
_START_OF_TILE = b"\xff\x90"
_DCT = (0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE)
_LOSSLESS = 0xC3
_TABLES, _START_OF_SCAN, _RESTART_INTERVAL, _CODING_STYLE = 0xC4, 0xDA, 0xDD, 0x52


class CodestreamError(ValueError):
    """The stream is cut short or damaged; the message says how."""


def trimmed(frame: bytes) -> bytes:
    """Return a stream without the bytes behind its end-of-image marker.

    Raises:
        CodestreamError: there is no such marker: the stream is cut short.
    """
    end = frame.rfind(END_OF_IMAGE)
    if end < 0:
        raise CodestreamError("its code stream has no end")
    return frame[: end + 2]


def group_fragments(fragments: Sequence[bytes]) -> list[bytes]:
    """Join fragments to frames: a frame ends with the fragment that ends its code stream."""
    frames: list[bytes] = []
    parts: list[bytes] = []
    for fragment in fragments:
        parts.append(fragment)
        if fragment.rstrip(b"\0").endswith(END_OF_IMAGE):
            frames.append(b"".join(parts))
            parts = []
    return frames if not parts else [*frames, b"".join(parts)]


def describe_loss(frame: bytes, transfer_syntax: str) -> str:
    """Return how a frame was compressed with loss, empty where it was not or no marker says so."""
    try:
        segments = dict(_segments(frame, transfer_syntax in JPEG_2000))
        if transfer_syntax in JPEG and any(marker in segments for marker in _DCT):
            return "JPEG with a cosine transform"
        if transfer_syntax in JPEG_LS:
            scan = segments.get(_START_OF_SCAN, b"\0\0")
            near = scan[1 + 2 * scan[0]]
            return f"JPEG-LS with errors of up to {near}" if near else ""
        if transfer_syntax in JPEG_2000 and segments.get(_CODING_STYLE, bytes(10) + b"\1")[9] == 0:
            return "JPEG 2000 with the irreversible transform"
    except (CodestreamError, IndexError):
        pass
    return ""


def _segments(stream: bytes, jpeg_2000: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments up to the first scan or tile."""
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            raise CodestreamError("a marker is missing")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield marker, stream[at + 4 : at + 2 + length]
        if marker == _START_OF_SCAN or (jpeg_2000 and marker == 0x90):
            return
        at += 2 + length
    raise CodestreamError("its code stream has no image")


def check_jpeg_2000(stream: bytes) -> None:
    """Raise CodestreamError unless the tile-parts of a JPEG 2000 stream fill it (ITU T.800, A.4).

    That is all a stream without resilience markers can be checked for: it carries no checksum.
    """
    at = 2
    while stream[at : at + 2] != _START_OF_TILE:
        if stream[at : at + 1] != b"\xff" or at + 4 > len(stream):
            raise CodestreamError("its main header is damaged")
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    while stream[at : at + 2] == _START_OF_TILE:
        length = int.from_bytes(stream[at + 6 : at + 10], "big")
        if not length:  # the last tile-part reaches to the end
            return
        at += max(length, 14)
    if stream[at:] != END_OF_IMAGE:
        raise CodestreamError("its tile-parts do not fill it")


def check_lossless_jpeg(stream: bytes, decoded: npt.NDArray[np.generic]) -> None:
    """Raise CodestreamError unless a lossless JPEG stream decodes to these pixels (ITU T.81, H).

    The decoder fills the rest of a damaged stream with rubbish without a word. Here every code has
    to be legal, the scan to hold exactly the samples of the image, no marker to lie inside, and,
    where the predictor is the left neighbour, the values to be those that were decoded. Streams of
    another process are left to the decoder.
    """
    segments = list(_segments(stream))
    content = dict(segments)
    if _LOSSLESS not in content:
        return
    frame, scan = content[_LOSSLESS], content[_START_OF_SCAN]
    if frame[5] != 1:
        raise CodestreamError(f"it has {frame[5]} components")
    rows, columns = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    interval = int.from_bytes(content.get(_RESTART_INTERVAL, b""), "big")
    selection, shift = scan[3], scan[5] & 15
    tables = b"".join(data for marker, data in segments if marker == _TABLES)
    lengths, symbols = _code_table(tables, scan[2] >> 4)
    start = stream.index(b"\xff\xda") + 2
    start += int.from_bytes(stream[start : start + 2], "big")
    differences: list[int] = []
    for part in _entropy_coded(stream[start:], bool(interval)):
        left = rows * columns - len(differences)
        differences += _differences(part, min(interval or left, left), lengths, symbols)
    if len(differences) != rows * columns:
        raise CodestreamError(f"its scan holds {len(differences)} of {rows * columns} pixels")
    if selection != 1 or interval:
        return
    steps = np.array(differences, dtype=np.int64).reshape(rows, columns)
    steps[0, 0] += 1 << (frame[0] - shift - 1)
    steps[:, 0] = np.cumsum(steps[:, 0])
    values = (np.cumsum(steps, axis=1) & 0xFFFF) << shift
    if values.max() >= 1 << frame[0]:
        raise CodestreamError(f"its values exceed {frame[0]} bits")
    if not np.array_equal(values, decoded.reshape(rows, columns)):
        raise CodestreamError("its pixels contradict its codes")


def _code_table(tables: bytes, wanted: int) -> tuple[list[int], list[int]]:
    """Return length and symbol of the Huffman code at the start of any 16 bits; length 0: none."""
    lengths, symbols = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
    while tables:
        number, counts = tables[0] & 15, tables[1:17]
        of_table, tables = tables[17 : 17 + sum(counts)], tables[17 + sum(counts) :]
        if number != wanted:
            continue
        code = at = 0
        for length in range(1, 17):
            for _ in range(counts[length - 1]):
                if at >= len(of_table) or code >= 1 << length:
                    raise CodestreamError("its code table is damaged")
                lengths[code << (16 - length) : (code + 1) << (16 - length)] = length
                symbols[code << (16 - length) : (code + 1) << (16 - length)] = of_table[at]
                code, at = code + 1, at + 1
            code <<= 1
    return lengths.tolist(), symbols.tolist()


def _entropy_coded(data: bytes, restarts: bool) -> Iterator[bytes]:
    """Yield the data between restart markers without stuffed zeros."""
    part, at = bytearray(), 0
    while True:
        found = data.find(b"\xff", at)
        if found < 0 or found + 1 >= len(data):
            raise CodestreamError("its code stream has no end")
        part += data[at:found]
        marker, at = data[found + 1], found + 2
        if marker == 0:
            part.append(0xFF)
        elif marker == 0xD9:
            yield bytes(part)
            return
        elif restarts and 0xD0 <= marker <= 0xD7:
            yield bytes(part)
            part = bytearray()
        else:
            raise CodestreamError(f"a marker FF{marker:02X} lies inside its scan")


def _differences(part: bytes, n: int, lengths: list[int], symbols: list[int]) -> list[int]:
    """Decode ``n`` differences; up to seven bits of padding may be left."""
    result: list[int] = []
    bits = n_bits = used = at = 0
    for _ in range(n):
        while n_bits < 32:
            bits = bits << 8 | (part[at] if at < len(part) else 0)
            at, n_bits = at + 1, n_bits + 8
        head = (bits >> (n_bits - 16)) & 0xFFFF
        length, category = lengths[head], symbols[head]
        if not length or category > 16:
            raise CodestreamError("it holds a code that is not in its table")
        extra = category if category < 16 else 0
        n_bits -= length + extra
        used += length + extra
        if not category:
            result.append(0)
        elif category == 16:
            result.append(32768)
        else:
            value = (bits >> n_bits) & ((1 << category) - 1)
            result.append(value if value >> (category - 1) else value - (1 << category) + 1)
        bits &= (1 << n_bits) - 1
    left = 8 * len(part) - used
    if left < 0:
        raise CodestreamError("its scan ends too early")
    if left >= 8:
        raise CodestreamError(f"its scan has {left // 8} bytes left over")
    return result
