"""The folder of a series, hidden until the series is whole.

States of a series in a folder:

1. absent, or shown from before: ``SERIES_UID/SOP_UID.dcm``.
2. arriving: images are written to the hidden ``.SERIES_UID.partial``, each whole or not at all.
   What is shown from before is linked into it, and stays shown.
3. swapped: what was shown is renamed to ``.SERIES_UID.old``, the partial folder takes its place.
4. shown: the old folder is removed.

A program that is killed in 2 leaves the partial folder, in which the next try goes on; one that
is killed in 3 leaves the old folder, which the next try renames back or removes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from scarseg.errors import OutputError
from scarseg.pacs.archive import is_uid

SUFFIX = ".dcm"
PARTIAL = ".partial"
_OLD, _LOCK, _UNFINISHED = ".old", ".lock", ".part"


class SeriesFolder:
    """The folder of one series, below the one that is given."""

    def __init__(self, folder: Path, series_uid: str) -> None:
        if not is_uid(series_uid):
            raise ValueError("no UID")  # checked before; never a path
        self.folder = folder
        self.target = folder / series_uid
        self.partial = folder / f".{series_uid}{PARTIAL}"
        self._old = folder / f".{series_uid}{_OLD}"
        self._lock = folder / f".{series_uid}{_LOCK}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other programs out, and put right what one that was killed has left.

        Raises:
            OutputError: E_WRITE; E_EXISTS, another program is at work on this series.
        """
        with _disk_errors(self.folder):
            make_folder(self.folder)
            lock = filelock.FileLock(self._lock, timeout=0, mode=0o600)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise OutputError(
                    "E_EXISTS", f"Another program is writing to {self.target}.", str(self.target)
                ) from None
            try:
                self._recover()
                yield
            finally:
                with contextlib.suppress(OSError):
                    self._lock.unlink()
                lock.release()

    def shown(self) -> set[str]:
        """Return the SOP UIDs of the images that are shown.

        Raises:
            OutputError: E_EXISTS, there is something else in the folder.
        """
        return self._uids_in(self.target)

    def begin(self) -> None:
        """Make the partial folder, unless it is there, with all that is shown already."""
        if self.partial.is_symlink():
            raise OutputError("E_WRITE", f"{self.partial} is a link.", str(self.partial))
        make_folder(self.partial)
        for path in self.partial.iterdir():
            if path.name.endswith(_UNFINISHED):
                path.unlink()
        for uid in self.shown() - self.present():
            source, copy = self.target / f"{uid}{SUFFIX}", self.partial / f"{uid}{SUFFIX}"
            try:
                os.link(source, copy)
            except OSError:  # a file system without hard links
                self._write(copy, source.read_bytes())

    def present(self) -> set[str]:
        """Return the SOP UIDs of the images in the partial folder."""
        return {
            path.name.removesuffix(SUFFIX)
            for path in (self.partial.iterdir() if self.partial.is_dir() else ())
            if path.name.endswith(SUFFIX) and not path.is_symlink()
        }

    def holds(self, sop_uid: str, data: bytes) -> bool:
        """Return whether an image lies in the partial folder with these very bytes."""
        try:
            return (self.partial / f"{sop_uid}{SUFFIX}").read_bytes() == data
        except OSError:
            return False

    def shows(self, sop_uid: str, data: bytes) -> bool:
        """Return whether an image is shown with these very bytes."""
        try:
            return (self.target / f"{sop_uid}{SUFFIX}").read_bytes() == data
        except OSError:
            return False

    def write(self, sop_uid: str, data: bytes) -> None:
        """Write an image to the partial folder.

        Raises:
            OutputError: E_WRITE.
        """
        if not is_uid(sop_uid):
            raise ValueError("no UID")
        with _disk_errors(self.partial):
            self._write(self.partial / f"{sop_uid}{SUFFIX}", data)

    def finish(self, sop_uids: Collection[str]) -> None:
        """Show the series, which must be exactly these images.

        Raises:
            OutputError: E_WRITE; the partial folder stays.
        """
        with _disk_errors(self.partial):
            for path in self.partial.iterdir():
                if path.name.removesuffix(SUFFIX) not in sop_uids:
                    path.unlink()
            if self.present() != set(sop_uids):
                raise OSError(errno.EIO, "images are missing")
            _flush_folder(self.partial)
            if self.target.exists():
                self.target.rename(self._old)
            self.partial.rename(self.target)
            _flush_folder(self.folder)
            if self._old.exists():
                shutil.rmtree(self._old)

    def discard(self) -> None:
        """Remove the partial folder; what is shown stays."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def _recover(self) -> None:
        if self._old.is_dir():
            if self.target.exists():
                shutil.rmtree(self._old)
            else:
                self._old.rename(self.target)

    def _uids_in(self, folder: Path) -> set[str]:
        if not os.path.lexists(folder):
            return set()
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else [""]
        uids = {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}
        if folder.is_symlink() or len(uids) != len(names) or not all(map(is_uid, uids)):
            raise OutputError(
                "E_EXISTS",
                f"{folder} exists already and holds something else; choose another folder.",
                str(folder),
            )
        return uids

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(path.name + _UNFINISHED)
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(unfinished, flags, 0o600)
        try:
            left = memoryview(data)
            while left:  # a write may be short
                left = left[os.write(descriptor, left[: 1 << 20]) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.replace(path)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, readable by their owner alone."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            "E_WRITE",
            f"Nothing can be written to {folder}: {error.strerror or error}.",
            str(folder),
        ) from error


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
