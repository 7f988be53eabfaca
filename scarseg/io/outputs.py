"""Write an export whole or not at all, over nothing, through no link."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from scarseg.errors import OutputError

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
    """Make a folder (mode 0700) with its parents, unless it is there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"The folder {folder} cannot be made: {error.strerror}.", str(folder)
        ) from error


def write_whole(path: Path, data: bytes, force: bool = False) -> None:
    """Write a file of mode 0600: the old file or the new one, never a mixture.

    Written beside its place, flushed to the disk, then put in place. A link at ``path`` is
    refused, or with ``force`` replaced itself; what it points to is never touched.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE when the disk refuses.
    """
    make_folder(path.parent)
    if not force:
        refuse_existing([path])
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=".scarseg-", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(temporary, path, force)
        _flush_folder(path.parent)
    except OSError as error:
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _put_in_place(temporary: Path, path: Path, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # unlike a rename, this never replaces
    except FileExistsError:
        refuse_existing([path])
        raise
    except OSError:  # no hard links on this disk
        refuse_existing([path])
        temporary.replace(path)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
