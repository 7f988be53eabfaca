"""Several files written together: all of them or none, even when the disk fails half-way.

States of a commit, each durable before the next begins:

1. written: every file lies beside its target under a temporary name; the targets are untouched.
2. journal: a hidden file names every target, its temporary name, the second name of the file
   that was there before, and the hash of the new content.
3. placed: temporaries are renamed to their targets one after another, the main file last.
4. done: the journal is removed, then the second names.

When a rename fails in 3, those before it are taken back. When that fails too, or the program is
killed, the journal stays, and :func:`recover` (called by whatever writes or reads there next)
finishes the commit if every new file is still there, and takes it back otherwise.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from scarseg.io import atomic

_JOURNAL = Path("commit")
"""The journal is a temporary file of this name, which itself never exists."""
_MAX_JOURNAL_BYTES = 1 << 24


class HalfWrittenError(OSError):
    """Some files took their place, others did not, and it could not be taken back yet."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One file of a commit; paths relative to the journal, ``before`` None where none was there."""

    target: str
    temporary: str
    before: str | None
    sha256: str
    before_sha256: str | None


class _Journal(msgspec.Struct, forbid_unknown_fields=True):
    """A commit under way; ``pid`` and ``started`` are those of the program that writes it."""

    pid: int
    started: str
    files: list[_Entry]


@dataclass(frozen=True)
class _Placing:
    """One file on its way; ``before`` is the second name of what was at ``target``."""

    target: Path
    temporary: Path
    before: Path | None
    sha256: str
    before_sha256: str | None


def write_together(files: Mapping[Path, bytes], replacing: bool) -> None:
    """Write several files, all of them or none; the last one named, the main file, comes last.

    Args:
        files: content by path; the folders must exist and lie at or below the main file's.
        replacing: replace what is there; links are replaced, not followed.

    Raises:
        FileExistsError: something is there and ``replacing`` is False.
        HalfWrittenError: the disk refused both the new files and the way back.
        OSError: the disk refuses; the old files are in their places.
    """
    recover(*{path.parent for path in files})
    placing: list[_Placing] = []
    hidden: list[Path] = []
    journal: Path | None = None
    try:
        for path, data in files.items():
            atomic.remove_abandoned(path)
            hidden.append(atomic.write_temporary(path, data))
        for temporary, (path, data) in zip(tuple(hidden), files.items(), strict=True):
            before = _second_name(path) if replacing else None
            if before is not None:
                hidden.append(before)
            digest = hashlib.sha256(data).hexdigest()
            placing.append(_Placing(path, temporary, before, digest, _sha256(before)))
        if len(placing) > 1:
            journal = _write_journal(placing)
            hidden.append(journal)
        _place(placing, replacing)
    except HalfWrittenError:
        for each in hidden:
            atomic.forget_temporary(each)
        raise
    except BaseException:
        _remove(journal, hidden)
        raise
    _remove(journal, hidden)


def recover(*folders: Path) -> None:
    """Finish or take back what a commit in these folders left half done.

    Does nothing where a live program is at it, and what a folder without write access needs.
    """
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            journals = [one.path for one in entries if atomic.is_temporary_of(one.name, _JOURNAL)]
            for path in map(Path, journals):
                _recover(path)


def _second_name(path: Path) -> Path | None:
    """Return a hidden second name of the file at ``path``; None where there is none."""
    if not os.path.lexists(path):
        return None
    second = atomic.temporary_name(path)
    try:
        os.link(path, second, follow_symlinks=False)
    except OSError:  # a file system without hard links
        atomic.remove_temporary(second)
        second = atomic.write_temporary(path, path.read_bytes())
    return second


def _place(placing: Sequence[_Placing], replacing: bool) -> None:
    placed: list[_Placing] = []
    try:
        for each in placing:
            _take_place(each.temporary, each.target, replacing)
            placed.append(each)
        for folder in {each.target.parent for each in placing}:
            atomic.flush_folder(folder)
    except BaseException as error:
        taken_back = [_take_back(each) for each in reversed(placed)]
        if not all(taken_back) and len(placing) > 1:
            raise HalfWrittenError(*getattr(error, "args", ())) from error
        raise


def _take_place(temporary: Path, path: Path, replacing: bool) -> None:
    if not replacing:
        try:
            os.link(temporary, path)  # unlike a rename, this never replaces
            return
        except OSError:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "exists already", str(path)) from None
    temporary.replace(path)


def _take_back(placed: _Placing) -> bool:
    try:
        if placed.before is None:
            placed.target.unlink()
        else:
            placed.before.replace(placed.target)
    except OSError:
        return False
    return True


def _write_journal(placing: Sequence[_Placing]) -> Path:
    folder = placing[-1].target.parent

    def name(path: Path) -> str:
        return Path(os.path.relpath(path, folder)).as_posix()

    journal = _Journal(
        os.getpid(),
        atomic.process_start(os.getpid()),
        [
            _Entry(
                name(each.target),
                name(each.temporary),
                None if each.before is None else name(each.before),
                each.sha256,
                each.before_sha256,
            )
            for each in placing
        ],
    )
    data = json.dumps(msgspec.to_builtins(journal)).encode("ascii")
    return atomic.write_temporary(folder / _JOURNAL, data)


def _remove(journal: Path | None, hidden: Sequence[Path]) -> None:
    """Remove the journal first: without it what is hidden is litter, with it half a commit."""
    if journal is not None:
        atomic.remove_temporary(journal)
        if os.path.lexists(journal):  # it stays, and so does what it names
            for each in hidden:
                atomic.forget_temporary(each)
            return
    for each in hidden:
        atomic.remove_temporary(each)


def _recover(path: Path) -> None:
    try:
        if path.stat(follow_symlinks=False).st_size > _MAX_JOURNAL_BYTES:
            return
        journal = msgspec.convert(json.loads(path.read_bytes()), _Journal)
        placing = [_checked(path.parent, entry) for entry in journal.files]
    except (ValueError, RecursionError):
        # A journal cut short was never whole on the disk: no file had taken its place.
        atomic.remove_abandoned(path.with_name(_JOURNAL.name))
        return
    if atomic.is_in_use(path) or (
        journal.pid != os.getpid()
        and atomic.is_alive(journal.pid)
        and atomic.process_start(journal.pid) == journal.started
    ):
        return
    new = [_sha256(each.target) == each.sha256 for each in placing]
    old = [_sha256(each.target) == each.before_sha256 for each in placing]
    pending = [_sha256(each.temporary) == each.sha256 for each in placing]
    if all(map(any, zip(new, old, strict=True))):  # else somebody else wrote there meanwhile
        forward = all(map(any, zip(new, pending, strict=True)))
        for each, is_new in zip(placing, new, strict=True):
            if forward and not is_new:
                each.temporary.replace(each.target)
            elif not forward and is_new and not _take_back(each):
                return
        for folder in {each.target.parent for each in placing}:
            atomic.flush_folder(folder)
    hidden = [each.temporary for each in placing]
    hidden += [each.before for each in placing if each.before is not None]
    _remove(path, hidden)


def _checked(folder: Path, entry: _Entry) -> _Placing:
    """Return an entry with its paths; refuse one that would reach outside, or to other files."""
    target = PurePosixPath(entry.target)
    names = [PurePosixPath(one) for one in (entry.temporary, entry.before) if one is not None]
    if target.is_absolute() or ".." in target.parts or "\\" in entry.target:
        raise ValueError("outside of the folder")
    here = folder / target
    if here.parent.resolve() != (folder.resolve() / target).parent:
        raise ValueError("through a link")
    for name in names:
        if name.parent != target.parent or not atomic.is_temporary_of(name.name, here):
            raise ValueError("no temporary file of it")
    before = None if entry.before is None else folder / entry.before
    return _Placing(here, folder / entry.temporary, before, entry.sha256, entry.before_sha256)


def _sha256(path: Path | None) -> str | None:
    """Return the hash of a file; None where there is none (a link counts by where it points)."""
    if path is None or not os.path.lexists(path):
        return None
    try:
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(data).hexdigest()
