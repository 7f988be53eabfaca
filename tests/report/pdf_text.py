"""What a PDF of ours says: the text of its pages, and everything else it holds, unpacked."""

from __future__ import annotations

import re
import zlib

_STREAM = re.compile(rb"stream\r?\n(.*?)\nendstream", re.DOTALL)
_TEXT = re.compile(rb"\nBT\n(.*?)\nET\b", re.DOTALL)
_STRING = re.compile(rb"\(((?:\\.|[^\\()])*)\)")


def unpacked(data: bytes) -> bytes:
    """Return the file with its streams inflated."""
    parts = [data]
    for match in _STREAM.finditer(data):
        try:
            # A stream may end in a carriage return of its own, or one of the line end.
            parts.append(zlib.decompressobj().decompress(match[1]))
        except zlib.error:
            parts.append(match[1])
    return b"\n".join(parts)


def text_of(data: bytes) -> str:
    """Return the words of all pages, one text after the other; kerning is taken out."""
    texts = [b"".join(_STRING.findall(one)) for one in _TEXT.findall(unpacked(data))]
    return re.sub(r"\\([()\\])", r"\1", b"\n".join(texts).decode("latin-1"))


def pages_of(data: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", data))
