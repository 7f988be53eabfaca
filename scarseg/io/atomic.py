"""One file written whole or not at all.

Data go to a hidden temporary file beside the target, are flushed to the disk, and take the
target's place by a rename; then the folder is flushed. A program that is killed in between
leaves the old file and a temporary one, which the next program that writes there removes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import threading
import time
from pathlib import Path

import psutil

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[0-9a-f]{16}\.tmp")
_ABANDONED_AFTER_S = 24 * 3600.0
_names_in_use: set[str] = set()
_names_guard = threading.Lock()


def is_alive(pid: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    try:
        return pid > 0 and psutil.pid_exists(pid)
    except OverflowError:  # no process has such a number
        return False


def process_start(pid: int) -> str:
    """Return a mark of the moment a process started, by which a number used again is recognised.

    Empty where the process is gone or the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        try:
            return f"{psutil.Process(pid).create_time():.2f}"
        except psutil.Error:
            return ""
    # On Linux psutil adds the time of the boot, which moves when the clock is set: the same
    # process would seem another, and its lock free. Ticks since the boot do not move.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The program's name stands in brackets and may hold anything: count from the last bracket.
    return f"{boot}/{fields.rpartition(')')[2].split()[19]}"


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
    """Write ``data`` to ``path`` durably: the old file or the new one, never a mixture.

    A link at ``path`` is replaced, not followed. The folder must exist.

    Raises:
        OSError: nothing was written, or (when the folder could not be flushed) everything was.
    """
    remove_abandoned(path)
    temporary = write_temporary(path, data, mode)
    try:
        temporary.replace(path)
    finally:
        remove_temporary(temporary)
    flush_folder(path.parent)


def write_temporary(path: Path, data: bytes, mode: int = 0o600) -> Path:
    """Write and flush ``data`` to a new hidden file beside ``path``; return its path.

    The caller renames it and then calls :func:`remove_temporary`, whatever happened.
    """
    temporary = temporary_name(path)
    try:
        _write(temporary, data, mode)
    except BaseException:
        remove_temporary(temporary)
        raise
    return temporary


def temporary_name(path: Path) -> Path:
    """Return a new hidden name beside ``path``, in use until :func:`remove_temporary`."""
    name = f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    with _names_guard:
        _names_in_use.add(name)
    return path.with_name(name)


def is_temporary_of(name: str, path: Path) -> bool:
    """Return whether a name is one that :func:`temporary_name` makes for ``path``."""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and match["name"] == path.name


def is_in_use(temporary: Path) -> bool:
    """Return whether this program is at work on a temporary file."""
    with _names_guard:
        return temporary.name in _names_in_use


def remove_temporary(temporary: Path) -> None:
    """Remove a temporary file if it is still there; its name is no longer in use."""
    with contextlib.suppress(OSError):
        temporary.unlink()
    forget_temporary(temporary)


def forget_temporary(temporary: Path) -> None:
    """Leave a temporary file where it is; its name is no longer in use."""
    with _names_guard:
        _names_in_use.discard(temporary.name)


def remove_abandoned(path: Path) -> None:
    """Remove temporary files of ``path`` that a program which died has left behind."""
    with contextlib.suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and match["name"] == path.name and _is_abandoned(entry, int(match["pid"])):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_abandoned(entry: os.DirEntry[str], pid: int) -> bool:
    if pid == os.getpid():
        return not is_in_use(Path(entry.path))
    if not is_alive(pid):
        return True
    # The number may have been used again since.
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER_S
    return False


def _write(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, mode)
    try:
        left = memoryview(data)
        while left:  # a write may be short
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
