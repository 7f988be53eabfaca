"""One program writes a case; a second one opens it for reading only."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
import sys
import weakref
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scarseg.errors import StoreError
from scarseg.io.files import is_alive, make_private_folder, process_start, replace_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LockOwner:
    """The program that holds a lock; ``token`` tells two holds of one program apart."""

    pid: int
    started: str
    host: str
    token: str

    @property
    def alive(self) -> bool:
        """Tell whether it still runs; on another machine, which cannot be asked, yes."""
        if self.host != platform.node():
            return True
        return is_alive(self.pid) and process_start(self.pid) == self.started


class CaseLock:
    """Hold the right to write one case file.

    ``lock = CaseLock(); lock.acquire(path)`` and later ``lock.release()``; also a context
    manager that releases. A lock that nobody holds on to any more, and one that is still held
    when the program ends, releases itself; that of a program which died is taken over.
    """

    def __init__(self) -> None:
        self.replaced_dead_owner = False
        """Whether the owner before had ended without letting go."""
        self._let_go: weakref.finalize[..., CaseLock] | None = None

    @property
    def held(self) -> bool:
        return self._let_go is not None

    def acquire(self, path: Path) -> CaseLock:
        """Lock the case file at ``path`` (which need not exist yet), at once or not at all.

        Raises:
            StoreError: E_CASE_LOCKED when a live program (this one included) holds it,
                E_CASE_WRITE when the folder cannot be written.
        """
        self.release()
        lock_path = _lock_path(path)
        mine = LockOwner(
            os.getpid(), process_start(os.getpid()), platform.node(), secrets.token_hex(8)
        )
        try:
            make_private_folder(path.parent)
            with folder_guard(path.parent):
                owner = _read(lock_path)
                if owner is not None and owner.alive:
                    raise StoreError("E_CASE_LOCKED", _locked_message(owner, lock_path), str(path))
                self.replaced_dead_owner = owner is not None
                if owner is not None:
                    _log.info("took over the lock of a program that has ended: %s", lock_path.name)
                replace_file(lock_path, json.dumps(asdict(mine)).encode("ascii"))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"The case cannot be locked in {path.parent}: {reason}."
            raise StoreError("E_CASE_WRITE", message, str(path)) from error
        self._let_go = weakref.finalize(self, _release, lock_path, mine)
        return self

    def release(self) -> None:
        """Let the lock go; do nothing when it is not held."""
        if self._let_go is not None:
            self._let_go()
            self._let_go = None

    def __enter__(self) -> CaseLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_unlocked(path: Path) -> bool:
    """Tell whether nobody alive holds the lock of the case file at ``path``."""
    owner = _read(_lock_path(path))
    return owner is None or not owner.alive


def _release(lock_path: Path, mine: LockOwner) -> None:
    """Remove a lock file if it is still this program's own, not a forked child's parent's."""
    if mine.pid != os.getpid():
        return
    # A folder that has gone or turned read-only leaves a lock that a later program takes over.
    with contextlib.suppress(OSError), folder_guard(lock_path.parent):
        if _read(lock_path) == mine:
            lock_path.unlink(missing_ok=True)


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _locked_message(owner: LockOwner, lock_path: Path) -> str:
    here = owner.host == platform.node()
    where = "this computer" if here else f"computer {owner.host!r}"
    then = "As soon as it lets go, you can go on here."
    if not here:
        then += f" If that program no longer runs, delete {lock_path}."
    return (
        f"Another window has this case open (process {owner.pid} on {where}); it opens for reading"
        f" only. {then}"
    )


def _read(lock_path: Path) -> LockOwner | None:
    """Give the owner named in a lock file; None when there is none that could be alive."""
    try:
        values = json.loads(lock_path.read_bytes()[:4096])
        return LockOwner(
            int(values["pid"]), str(values["started"]), str(values["host"]), str(values["token"])
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        _log.warning("a damaged lock file is replaced: %s", lock_path.name)
        return None


@contextlib.contextmanager
def folder_guard(folder: Path) -> Iterator[None]:
    """Let one program at a time look at and change the lock files of a folder.

    The system lets go when a program dies in between. Held for milliseconds.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(folder / ".guard", flags, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
