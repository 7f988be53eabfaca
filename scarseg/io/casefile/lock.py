"""One program writes a case; a second one opens it for reading only.

A lock is a file beside the case file, ``NAME.scarseg.lock``, that names its owner: process, the
moment it started, computer, and a token of its own. Its states:

- free: there is no lock file, or one that is damaged or whose owner has ended (a killed program
  releases nothing); acquiring it writes a new one.
- held: the owner runs, in this program or another one; acquiring it is refused.
- unknown: the owner is on another computer, where nobody can see whether it runs; it counts as
  held, and the refusal names the file to delete.

Lock files are read and written under a lock of the system on the folder (:func:`folder_guard`),
so that of several programs that find the lock of a dead one, one takes it over.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from filelock import FileLock

from scarseg.errors import StoreError
from scarseg.io.atomic import is_alive, make_private_folder, process_start, replace_file

_MAX_BYTES = 4096
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LockOwner:
    """The program that holds a lock; ``token`` tells two locks of one program apart."""

    pid: int
    started: str
    host: str
    token: str

    @property
    def alive(self) -> bool:
        """Return whether it still runs; on another computer, yes."""
        if self.host != platform.node():
            return True
        return is_alive(self.pid) and self.started in ("", process_start(self.pid))


class CaseLock:
    """The right to write one case file.

    ``lock = CaseLock(); lock.acquire(path)`` and later ``lock.release()``; also a context
    manager that releases. A lock without references, and one that is still held when the
    program ends, is released; that of a program which died is taken over.
    """

    def __init__(self) -> None:
        self.replaced_dead_owner = False
        """Whether the owner before had ended without releasing it."""
        self._releaser: weakref.finalize[..., CaseLock] | None = None

    @property
    def held(self) -> bool:
        return self._releaser is not None

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
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            message = f"The case cannot be locked in {path.parent}: {reason}."
            raise StoreError("E_CASE_WRITE", message, str(path)) from error
        self._releaser = weakref.finalize(self, _release, lock_path, mine)
        return self

    def release(self) -> None:
        """Release the lock; do nothing when it is not held."""
        if self._releaser is not None:
            self._releaser()
            self._releaser = None

    def __enter__(self) -> CaseLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_unlocked(path: Path) -> bool:
    """Return whether nobody alive holds the lock of the case file at ``path``."""
    owner = _read(_lock_path(path))
    return owner is None or not owner.alive


def folder_guard(folder: Path) -> FileLock:
    """Return a lock by which one program at a time reads and changes the small files of a folder.

    The system releases it when a program dies. It is held for milliseconds.
    """
    return FileLock(folder / ".guard", mode=0o600, poll_interval=0.005)


def _release(lock_path: Path, mine: LockOwner) -> None:
    """Remove a lock file if it is still this program's own, not a forked child's parent's."""
    if mine.pid != os.getpid():
        return
    # A folder that has gone or turned read-only leaves a lock that a later program takes over.
    with contextlib.suppress(OSError, NotImplementedError), folder_guard(lock_path.parent):
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
    """Return the owner named in a lock file; None when there is none that could be alive."""
    try:
        with lock_path.open("rb") as file:
            return msgspec.convert(json.loads(file.read(_MAX_BYTES)), LockOwner)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        _log.warning("a damaged lock file is replaced: %s", lock_path.name)
        return None
