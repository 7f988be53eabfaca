"""Read the pixels of frames from their files, decoded and rescaled to float32."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from scarseg.case.stack import FloatArray
from scarseg.errors import ScarsegError
from scarseg.io.dicom.parser import (
    DEFLATED_LE,
    EXPLICIT_BE,
    NATIVE_SYNTAXES,
    open_inflated,
)
from scarseg.io.dicom.pixel_data.codestream import describe_loss, group_fragments
from scarseg.io.dicom.pixel_data.decoder import DecodeError, FrameCode, decode_frame
from scarseg.io.dicom.pixel_data.stored_values import StoredValuesError, to_intensities
from scarseg.io.dicom.sources.checksums import (
    in_memory,
    listed_checksum,
    sha256_of,
)
from scarseg.io.dicom.sources.inputs import Source, SourceReader, modified_ns
from scarseg.io.dicom.types import Frame, PixelLayout

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, eq=False)
class FramePixels:
    """One frame's pixels, float32 (row, column) after rescale; or why there are none.

    ``sha256`` is the hash of the whole source file, ``negative_share`` the share of unpadded pixels
    below zero, ``loss`` how the frame was compressed with loss, else empty. ``changed``: the file
    is not the one whose header was read.
    """

    frame: Frame
    pixels: FloatArray | None
    sha256: str
    damage: str
    negative_share: float = 0.0
    loss: str = ""
    changed: bool = False


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
        with reader.open(source) as (opened, size):
            stream = in_memory(opened, size)
            if listed_checksum(stream, size, modified_ns(source)) != layout.listed_checksum:
                return [
                    FramePixels(f, None, "", "the file has changed", changed=True) for f in frames
                ]
            sha256 = sha256_of(stream)
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


def _frame_pixels(
    frame: Frame, sha256: str, load: Callable[[int], tuple[npt.NDArray[np.generic], str]]
) -> FramePixels:
    if frame.damage:
        return FramePixels(frame, None, sha256, frame.damage)
    try:
        stored, loss = load((frame.number or 1) - 1)
        pixels, image = to_intensities(stored, frame)
    except (DecodeError, StoredValuesError) as error:
        return FramePixels(frame, None, sha256, f"its pixels cannot be decoded: {error}")
    except (EOFError, zlib.error):
        return FramePixels(frame, None, sha256, "its pixel data end too early")
    n_image = max(1, int(np.count_nonzero(image)))
    negative = int(np.count_nonzero(pixels[image] < 0)) / n_image
    return FramePixels(frame, pixels, sha256, "", negative, loss)


def _loader(
    stream: BinaryIO, layout: PixelLayout
) -> Callable[[int], tuple[npt.NDArray[np.generic], str]]:
    """Return a function from frame index to stored values (row, column) and their loss."""
    if layout.transfer_syntax == DEFLATED_LE:
        inflated = open_inflated(stream)
        _discard(inflated, layout.offset)
        pixels = io.BytesIO(inflated.read(layout.frames * layout.frame_bytes))
        return lambda index: (_native(pixels, 0, layout, index), "")
    if layout.transfer_syntax in NATIVE_SYNTAXES:
        return lambda index: (_native(stream, layout.offset, layout, index), "")
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

    def load(index: int) -> tuple[npt.NDArray[np.generic], str]:
        encoded = _encoded(encapsulated, layout, index)
        return decode_frame(encoded, code), describe_loss(encoded, layout.transfer_syntax)

    return load


def _native(
    stream: BinaryIO, start: int, layout: PixelLayout, index: int
) -> npt.NDArray[np.generic]:
    stream.seek(start + index * layout.frame_bytes)
    data = stream.read(layout.frame_bytes)
    if len(data) < layout.frame_bytes:
        raise EOFError
    order = ">" if layout.transfer_syntax == EXPLICIT_BE else "<"
    kind = "f" if layout.floating else "i" if layout.signed else "u"
    dtype = np.dtype(f"{order}{kind}{layout.bits_allocated // 8}")
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

    ``end`` is where the last whole fragment ends; ``whole`` is whether the closing delimiter is
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


def _encoded(pixels: _Encapsulated, layout: PixelLayout, index: int) -> bytes:
    """Join the fragments of one frame.

    An offset table decides, unless its offsets are not those of fragments; then one fragment a
    frame, and last the end markers of the code streams.

    Raises:
        EOFError: the pixel data end before the frame does.
        DecodeError: which fragments make the frame cannot be seen.
    """
    frames, fragments = layout.frames, pixels.fragments
    starts = {at for at, _ in fragments}
    for table in (layout.frame_offsets, pixels.table):
        if len(table) != frames or frames == 1 or any(a >= b for a, b in pairwise(table)):
            continue
        end = table[index + 1] if index + 1 < frames else None
        if not pixels.whole and (end is None or end > pixels.end):
            raise EOFError
        if starts.issuperset(table[: index + 2]):
            return b"".join(
                d for at, d in fragments if table[index] <= at and (not end or at < end)
            )
    if not pixels.whole:
        raise EOFError
    data = [fragment for _, fragment in fragments]
    if frames == 1:
        return b"".join(data)
    if len(data) == frames:
        return data[index]
    groups = group_fragments(data)
    if len(groups) == frames:
        return groups[index]
    raise DecodeError(
        f"{len(data)} fragments for {frames} frames, {len(groups)} of them with an end marker"
    )
