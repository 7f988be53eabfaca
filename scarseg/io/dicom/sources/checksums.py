"""Checksums of files, so that a file that was replaced is never taken for the one listed."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from scarseg.io.dicom.sources.archives import ARCHIVE_ERRORS

WHOLE_BYTES = 2**26
"""Of a larger file only parts are read when it is listed: a scan should not wait for gigabytes."""
UNREADABLE = -1
"""Checksum of a file that cannot be read to its end."""
_BLOCK_BYTES = 2**16
_PARTS = 64


def sha256_of(stream: BinaryIO) -> str:
    """Return the SHA-256 of a stream from its start to its end."""
    digest = hashlib.sha256()
    for block in _blocks(stream):
        digest.update(block)
    return digest.hexdigest()


def listed_checksum(stream: BinaryIO, size: int, modified_ns: int) -> int:
    """Return the CRC-32 by which a listed file is known again.

    Up to 64 MiB it covers all bytes and nothing else, so that a file that was only touched, copied
    or moved to another drive stays the same. Of a larger one it covers 64 parts spread over the
    file, and when it was written. A CRC is enough against files replaced by accident, at an eighth
    of the time of a cryptographic hash. ``UNREADABLE`` where the file cannot be read to its end,
    which is its damage once its pixels are read.
    """
    try:
        if size <= WHOLE_BYTES:
            checksum = 0
            for block in _blocks(stream):
                checksum = zlib.crc32(block, checksum)
            return checksum
        checksum = zlib.crc32(f"{size} {modified_ns}".encode())
        for k in range(_PARTS):
            stream.seek((size - _BLOCK_BYTES) * k // (_PARTS - 1))
            checksum = zlib.crc32(stream.read(_BLOCK_BYTES), checksum)
        return checksum
    except (*ARCHIVE_ERRORS, OSError):
        return UNREADABLE


def in_memory(stream: BinaryIO, size: int) -> BinaryIO:
    """Return a stream whose bytes no other program changes between two reads, up to 64 MiB."""
    if size > WHOLE_BYTES:
        return stream
    stream.seek(0)
    return io.BytesIO(stream.read())


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while block := stream.read(_BLOCK_BYTES):
        yield block
