"""Frames -> float32 pixels: decoded, masked to the stored bits, inverted once, rescaled."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from scarseg.case.stack import FloatArray
from scarseg.errors import ScarsegError
from scarseg.io.dicom.decoder import DecodeError, FrameCode, decode_frame
from scarseg.io.dicom.inputs import Source, SourceReader
from scarseg.io.dicom.parser import DEFLATED_LE, EXPLICIT_BE, NATIVE_SYNTAXES, open_inflated
from scarseg.io.dicom.types import Frame, PixelLayout

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, eq=False)
class FramePixels:
    """One frame's pixels, float32 (row, column) after rescale; or why there are none.

    ``sha256`` is the hash of the whole source file.
    """

    frame: Frame
    pixels: FloatArray | None
    sha256: str
    damage: str


def read_pixels(frames: Iterable[Frame]) -> Iterator[FramePixels]:
    """Read frames, file by file; a frame that cannot be decoded comes with its damage.

    Files are only read. Frames of one file must be neighbours to be read in one go.
    """
    with SourceReader() as reader:
        for source, of_file in groupby(frames, key=lambda f: f.source):
            yield from _read_file(reader, source, list(of_file))


def _read_file(reader: SourceReader, source: Source, frames: list[Frame]) -> list[FramePixels]:
    layout = frames[0].layout
    try:
        with reader.open(source) as (stream, size):
            sha256 = _hash(stream)
            if size != layout.size:
                return [FramePixels(f, None, sha256, "the file has changed") for f in frames]
            stream.seek(0)
            return _read_frames(stream, layout, frames, sha256)
    except ScarsegError as error:
        return [FramePixels(frame, None, "", error.message) for frame in frames]


def _read_frames(
    stream: BinaryIO, layout: PixelLayout, frames: list[Frame], sha256: str
) -> list[FramePixels]:
    try:
        load = _loader(stream, layout)
    except (EOFError, zlib.error):
        damage = frames[0].damage or "its pixel data end too early"
        return [FramePixels(frame, None, sha256, damage) for frame in frames]
    return [_frame_pixels(frame, sha256, load) for frame in frames]


def _hash(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _frame_pixels(
    frame: Frame, sha256: str, load: Callable[[int], npt.NDArray[np.generic]]
) -> FramePixels:
    if frame.damage:
        return FramePixels(frame, None, sha256, frame.damage)
    try:
        stored = load((frame.number or 1) - 1)
    except DecodeError as error:
        return FramePixels(frame, None, sha256, f"its pixels cannot be decoded: {error}")
    except (EOFError, zlib.error):
        return FramePixels(frame, None, sha256, "its pixel data end too early")
    return FramePixels(frame, _rescaled(stored, frame), sha256, "")


def _loader(stream: BinaryIO, layout: PixelLayout) -> Callable[[int], npt.NDArray[np.generic]]:
    """Give a function from frame index to stored integers (row, column)."""
    if layout.transfer_syntax == DEFLATED_LE:
        inflated = open_inflated(stream)
        _discard(inflated, layout.offset)
        pixels = io.BytesIO(inflated.read(layout.frames * layout.frame_bytes))
        return lambda index: _native(pixels, 0, layout, index)
    if layout.transfer_syntax in NATIVE_SYNTAXES:
        return lambda index: _native(stream, layout.offset, layout, index)
    stream.seek(layout.offset)
    encapsulated = _encapsulated(stream, layout)
    code = FrameCode(
        layout.transfer_syntax,
        layout.rows,
        layout.columns,
        layout.bits_allocated,
        layout.bits_stored,
        layout.signed,
    )
    return lambda index: decode_frame(_encoded(encapsulated, layout.frames, index), code)


def _native(
    stream: BinaryIO, start: int, layout: PixelLayout, index: int
) -> npt.NDArray[np.generic]:
    stream.seek(start + index * layout.frame_bytes)
    data = stream.read(layout.frame_bytes)
    if len(data) < layout.frame_bytes:
        raise EOFError
    order = ">" if layout.transfer_syntax == EXPLICIT_BE else "<"
    dtype = np.dtype(f"{order}{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
    return np.frombuffer(data, dtype=dtype).reshape(layout.rows, layout.columns)


def _discard(stream: BinaryIO, n: int) -> None:
    while n > 0:
        block = stream.read(min(n, 2**20))
        if not block:
            raise EOFError
        n -= len(block)


@dataclass(frozen=True)
class _Encapsulated:
    """Compressed pixel data: the offset table and the fragments, each with its offset.

    ``end`` is where the last whole fragment ends; ``whole`` says that the closing delimiter is
    there.
    """

    table: tuple[int, ...]
    fragments: tuple[tuple[int, bytes], ...]
    end: int
    whole: bool


def _encapsulated(stream: BinaryIO, layout: PixelLayout) -> _Encapsulated:
    """Read the items of compressed pixel data, as far as they are there.

    Raises:
        EOFError: not even the offset table is there.
    """
    items: list[tuple[int, bytes]] = []
    position = 0
    whole = False
    while True:
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        whole = head[:4] == _SEQUENCE_END
        if len(head) < 8 or head[:4] != _ITEM or length > layout.size:
            break
        data = stream.read(length)
        if len(data) < length:
            break
        items.append((position, data))
        position += 8 + length
    if not items:
        raise EOFError
    table = items[0][1]
    behind = 8 + len(table)
    offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    fragments = tuple((offset - behind, data) for offset, data in items[1:])
    return _Encapsulated(offsets, fragments, position - behind, whole)


def _encoded(pixels: _Encapsulated, frames: int, index: int) -> bytes:
    """Join the fragments of one frame.

    Raises:
        EOFError: the pixel data end before the frame does.
        DecodeError: which fragments make the frame cannot be told.
    """
    table, fragments = pixels.table, pixels.fragments
    if len(table) == frames and frames > 1:
        end = table[index + 1] if index + 1 < frames else None
        if not pixels.whole and (end is None or end > pixels.end):
            raise EOFError
        return b"".join(d for at, d in fragments if table[index] <= at and (not end or at < end))
    if not pixels.whole:
        raise EOFError
    if frames == 1:
        return b"".join(data for _, data in fragments)
    if len(fragments) == frames:
        return fragments[index][1]
    raise DecodeError(f"{len(fragments)} fragments for {frames} frames and no offset table")


def _rescaled(stored: npt.NDArray[np.generic], frame: Frame) -> FloatArray:
    """Mask to the stored bits, extend the sign, invert MONOCHROME1, rescale.

    Inversion is within the range of the stored bits, so that an inverted file gives the same
    array as the file it was made from.
    """
    layout = frame.layout
    bits = stored.astype(np.int64) >> (layout.high_bit + 1 - layout.bits_stored)
    bits &= (1 << layout.bits_stored) - 1
    if layout.signed:
        sign = 1 << (layout.bits_stored - 1)
        bits = (bits ^ sign) - sign
    if layout.inverted:
        bits = (-1 if layout.signed else (1 << layout.bits_stored) - 1) - bits
    pixels = bits.astype(np.float32)
    if frame.slope != 1 or frame.intercept != 0:
        pixels *= np.float32(frame.slope)
        pixels += np.float32(frame.intercept)
    return pixels
