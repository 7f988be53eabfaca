"""Classify a file that is no DICOM image, from its first bytes and its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

START_BYTES = 512
DAMAGED_DICOM = "damaged DICOM"
BROKEN_LINK = "broken link"

_STARTS = (
    (b"%PDF", "PDF"),
    (b"\xff\xd8\xff", "picture"),
    (b"\x89PNG", "picture"),
    (b"GIF8", "picture"),
    (b"II*\0", "picture"),
    (b"MM\0*", "picture"),
    (b"BM", "picture"),
    (b"RIFF", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\xd0\xcf\x11\xe0", "office document"),
)
_NAMES = {
    "thumbs.db": "folder settings",
    ".ds_store": "folder settings",
    "desktop.ini": "folder settings",
    "autorun.inf": "folder settings",
}
_ARCHIVES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
OFFICE_SUFFIXES = frozenset(
    (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".jar", ".epub", ".apk", ".whl", ".npz")
)
"""Zips that hold no images."""


def classify(name: str, start: bytes) -> str:
    """Return the class of a file in one or two words.

    Args:
        name: of the file.
        start: its first :data:`START_BYTES` bytes.
    """
    lower = name.lower()
    if not start:
        return "empty file"
    if PurePath(lower).name in _NAMES:
        return _NAMES[PurePath(lower).name]
    if start[128:132] == b"DICM":
        return DAMAGED_DICOM
    if start[344:347] in (b"n+1", b"ni1") or lower.endswith((".nii", ".nii.gz")):
        return "NIfTI"
    for head, kind in _STARTS:
        if start.startswith(head):
            return kind
    if start[4:8] == b"ftyp":
        return "video"
    return _text_class(start)


def _text_class(start: bytes) -> str:
    stripped = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if any(byte < 9 or 13 < byte < 32 for byte in start):
        return "unknown"
    if stripped[:1] == b"<":
        return "XML or HTML"
    return "JSON" if stripped[:1] in (b"{", b"[") else "text"


def archive_format(name: str, start: bytes) -> str:
    """Return the format of an archive that is not opened here (zips are), else empty.

    A compressed NIfTI is no archive.
    """
    lower = name.lower()
    if lower.endswith(".nii.gz"):
        return ""
    if start[257:262] == b"ustar":
        return "tar"
    for head, kind in _ARCHIVES:
        if start.startswith(head):
            return f"tar.{kind}" if lower.endswith((".tar.gz", ".tgz", ".tar.bz2")) else kind
    return ""


def describe_skipped(classes: Mapping[str, int]) -> str:
    """Return counts by class for a sentence, the most frequent first: ``3 PDF, 2 text``."""
    ordered = sorted(classes.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n} {name}" for name, n in ordered)
