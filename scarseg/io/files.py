"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from scarseg.errors import OutputError


def is_alive(pid: int) -> bool:
    """Tell whether a process of this number runs on this machine."""
    if pid <= 0:
        return False
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def process_start(pid: int) -> str:
    """Name the moment a process started, so that a number used again is not taken for it.

    Empty where the system does not tell (no ``/proc``) or the process is gone.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The program's name stands in brackets and may hold anything: count from the last bracket.
    return f"{boot}/{fields.rpartition(')')[2].split()[19]}"


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
        remove_quietly(temporary)
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
            remove_quietly(each)


def _keep(path: Path) -> Path | None:
    """Give what stands at ``path`` a hidden second name; None where there is nothing."""
    if not os.path.lexists(path):
        return None
    second = temporary_name(path)
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError:  # a file system without hard links
        remove_quietly(second)
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
        remove_quietly(temporary)
        raise
    return temporary


def temporary_name(path: Path) -> Path:
    """Give a new hidden name beside ``path`` and hold it until :func:`discard`."""
    name = f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    with _in_hand_guard:
        _in_hand.add(name)
    return path.with_name(name)


def remove_quietly(temporary: Path) -> None:
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


def refuse_existing(paths: Iterable[Path], remedy: str = "give --force to replace it") -> None:
    """Raise OutputError E_EXISTS for the first path that exists, be it a dangling link."""
    for path in paths:
        if os.path.lexists(path):
            raise OutputError("E_EXISTS", f"{path} exists already; {remedy}.", str(path))


def refuse_inputs(paths: Iterable[Path], inputs: Iterable[Path | str]) -> None:
    """Raise OutputError E_OUTPUT_NAME where a path is one of the inputs, force or no force."""
    read = {os.path.realpath(one) for one in inputs}
    for path in paths:
        if os.path.realpath(path) in read:
            raise OutputError(
                "E_OUTPUT_NAME", f"{path} would replace an input; choose another name.", str(path)
            )


def require_writable(path: Path) -> None:
    """Raise OutputError E_WRITE where no file could be written at ``path``; makes nothing.

    For asking before the work is done; the answer may be another one afterwards.
    """
    if path.is_dir() and not path.is_symlink():
        raise OutputError("E_WRITE", f"{path} is a folder, a file is needed.", str(path))
    folder = path.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise OutputError("E_WRITE", f"Nothing can be written to {folder}.", str(folder))


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


def write_file(path: Path, data: bytes, force: bool = False) -> None:
    """Write one file; see :func:`write_all`."""
    write_files({path: data}, force)


def write_files(files: Mapping[Path, bytes], force: bool = False) -> None:
    """Write files of mode 0600, all or none: the old ones or the new ones, never a mixture.

    A link in a file's place is refused, or with ``force`` replaced itself; what it points to is
    never touched. Missing folders are made.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE when the disk refuses.
    """
    for path in files:
        make_folder(path.parent)
    if not force:
        refuse_existing(files)
    try:
        write_together(files, replacing=force)
    except OSError as error:
        if not force:
            refuse_existing(files)
        path = next(iter(files))
        raise OutputError(
            "E_WRITE", f"{path} cannot be written: {error.strerror or error}.", str(path)
        ) from error
