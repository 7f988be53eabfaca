"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from scarseg.io.process import is_alive

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{16}\.tmp")
_ABANDONED_AFTER_S = 24 * 3600.0
_in_hand: set[str] = set()
_in_hand_guard = threading.Lock()


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each readable by its owner only (0700)."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` at ``path`` durably: the old file or the new one, never a mixture.

    A link at ``path`` is replaced, not followed. The folder must exist.

    Raises:
        OSError: nothing was written, or (when the folder could not be flushed) everything was.
    """
    remove_abandoned(path)
    temporary = write_temporary(path, data, mode)
    try:
        temporary.replace(path)
    finally:
        discard(temporary)
    flush_folder(path.parent)


def write_together(files: Mapping[Path, bytes], replacing: bool) -> None:
    """Put several files in place, all of them or none; the last one named comes last.

    Everything is written and flushed before the first file takes its place, and taken back when
    a later one cannot. Only a program killed between two renames leaves some of them.

    Args:
        files: what to write where; the folders must exist.
        replacing: take the place of what stands there; links are replaced, not followed.

    Raises:
        FileExistsError: something is there and ``replacing`` is False.
        OSError: the disk refuses.
    """
    hidden: list[Path] = []
    placed: list[tuple[Path, Path | None]] = []
    try:
        for path, data in files.items():
            remove_abandoned(path)
            hidden.append(write_temporary(path, data))
        for temporary, path in zip(tuple(hidden), files, strict=True):
            before = _keep(path) if replacing else None
            if before is not None:
                hidden.append(before)
            _take_place(temporary, path, replacing)
            placed.append((path, before))
        for folder in {path.parent for path in files}:
            flush_folder(folder)
    except BaseException:
        for path, before in reversed(placed):
            with contextlib.suppress(OSError):
                path.unlink() if before is None else before.replace(path)
        raise
    finally:
        for each in hidden:
            discard(each)


def _keep(path: Path) -> Path | None:
    """Give what stands at ``path`` a hidden second name; None where there is nothing."""
    if not os.path.lexists(path):
        return None
    second = temporary_name(path)
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError:  # a file system without hard links
        discard(second)
        second = write_temporary(path, path.read_bytes())
    return second


def _take_place(temporary: Path, path: Path, replacing: bool) -> None:
    if not replacing:
        try:
            os.link(temporary, path)  # unlike a rename, this never replaces
            return
        except OSError:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "exists already", str(path)) from None
    temporary.replace(path)


def write_temporary(path: Path, data: bytes, mode: int = 0o600) -> Path:
    """Write and flush ``data`` to a new hidden file beside ``path``; give its name.

    The caller renames it and then calls :func:`discard`, whatever happened.
    """
    temporary = temporary_name(path)
    try:
        _write(temporary, data, mode)
    except BaseException:
        discard(temporary)
        raise
    return temporary


def temporary_name(path: Path) -> Path:
    """Give a new hidden name beside ``path`` and hold it until :func:`discard`."""
    name = f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    with _in_hand_guard:
        _in_hand.add(name)
    return path.with_name(name)


def discard(temporary: Path) -> None:
    """Remove a temporary file if it is still there, and let its name go."""
    with contextlib.suppress(OSError):
        temporary.unlink()
    with _in_hand_guard:
        _in_hand.discard(temporary.name)


def remove_abandoned(path: Path) -> None:
    """Remove temporary files of ``path`` that a program which died has left behind."""
    with contextlib.suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and match["name"] == path.name and _is_abandoned(entry, int(match["pid"])):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def _is_abandoned(entry: os.DirEntry[str], pid: int) -> bool:
    if pid == os.getpid():
        with _in_hand_guard:
            return entry.name not in _in_hand
    if not is_alive(pid):
        return True
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER_S
    return False


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system knows how."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, mode)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
