"""Where exports go: over nothing without being told, through no link, under safe names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from scarseg.errors import OutputError
from scarseg.io.atomic import (
    discard,
    flush_folder,
    make_private_folder,
    replace_file,
    write_temporary,
)

_UNSAFE = re.compile(r"[^0-9A-Za-z._-]+")


def safe_name(text: str) -> str:
    """Make a file name stem of a UID: safe characters, no leading dot, never empty.

    A text that is safe already is its own name; another gets a hash so that no two collide.
    """
    if text and len(text) <= 128 and not _UNSAFE.search(text) and text[0] not in ".-":
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    stem = _UNSAFE.sub("_", text).strip("._-")[:80]
    return f"{stem}_{digest}" if stem else digest


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise OutputError E_EXISTS for the first path that exists, be it a dangling link."""
    for path in paths:
        if os.path.lexists(path):
            raise OutputError(
                "E_EXISTS", f"{path} exists already; give --force to replace it.", str(path)
            )


def make_folder(folder: Path) -> None:
    """Make a folder (mode 0700) with its parents, unless it is there.

    Raises:
        OutputError: E_WRITE.
    """
    try:
        make_private_folder(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"The folder {folder} cannot be written: {error.strerror}.", str(folder)
        ) from error


def write_whole(path: Path, data: bytes, force: bool = False) -> None:
    """Write a file of mode 0600: the old file or the new one, never a mixture.

    A link at ``path`` is refused, or with ``force`` replaced itself; what it points to is never
    touched. Missing folders are made.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE when the disk refuses.
    """
    make_folder(path.parent)
    if not force:
        refuse_existing([path])
    try:
        if force:
            replace_file(path, data)
        else:
            _write_new(path, data)
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
        ) from error


def _write_new(path: Path, data: bytes) -> None:
    """Put data where nothing is; unlike a rename, a hard link never replaces."""
    temporary = write_temporary(path, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        refuse_existing([path])
    except OSError:  # no hard links on this disk
        refuse_existing([path])
        temporary.replace(path)
    finally:
        discard(temporary)
    flush_folder(path.parent)
