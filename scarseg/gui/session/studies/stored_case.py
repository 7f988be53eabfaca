"""Read a stack with its saved case: to open it under its lock, or ahead without one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.case import Case
from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.gui.session.studies.study import BlindedEntry
from scarseg.io.casefile import lock as casefile_lock
from scarseg.progress import Progress

if TYPE_CHECKING:
    from scarseg.io.casefile.lock import CaseLock
    from scarseg.io.dicom.types import StackSummary

RESTORED_MESSAGE = "scarseg ended suddenly last time. Every change that was saved is here."


@dataclass(frozen=True, eq=False)
class OpenRequest:
    """Request to open a stack, and the case file from elsewhere that belongs to it.

    ``replacing``: put the arrived reading in the place of another one, which is kept aside.
    ``blinding``: read it again, blinded, in a case file of its own.
    """

    source: StackSummary | Stack
    folder: Path
    thickness_mm: float | None = None
    imported_case: Path | None = None
    replacing: bool = False
    blinding: BlindedEntry | None = None


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """A case that was read, its lock, and what the reader must know.

    ``blocked``: another program writes this case. ``restored`` is shown where a program ended
    without releasing it. ``question`` is asked where an arrived reading waits beside another.
    """

    case: Case
    path: Path
    lock: CaseLock | None
    notes: tuple[str, ...] = ()
    blocked: bool = False
    restored: str = ""
    question: str = ""
    place: int | None = None


@dataclass(frozen=True, eq=False)
class PreparedRead:
    """A case that was read ahead, without its lock; nothing was written.

    ``stamp`` is the state of its file when it was read: see :func:`case_stamp`.
    """

    case: Case
    path: Path
    stamp: tuple[int, int, int] | None
    place: int | None = None


def case_stamp(path: Path) -> tuple[int, int, int] | None:
    """Return time, size and number of a case file, other after every save; None without one."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def prepare_case(wanted: OpenRequest, progress: Progress) -> PreparedRead | None:
    """Read a stack and its saved case ahead; None where opening it needs a question or a note."""
    from scarseg.io.casefile import last_position, store

    path = _path_of(wanted)
    stamp = case_stamp(path)
    stack = _read_stack(wanted, path, progress)
    case = _new_case(wanted, stack)
    if store.has_case(path):
        saved = store.read_case(path, stack)
        if saved.notes:
            return None
        case = saved.case
    place = last_position.load_last_slice(wanted.folder, path.name, stack.n_slices)
    return PreparedRead(case, path, stamp, place)


def claim_case(wanted: OpenRequest, prepared: PreparedRead, progress: Progress) -> OpenedCase:
    """Lock a case that was read ahead; read it anew where its file is another by now."""
    try:
        lock = casefile_lock.CaseLock().acquire(prepared.path)
    except StoreError:
        return open_case(wanted, progress)
    if case_stamp(prepared.path) != prepared.stamp:
        lock.release()
        return open_case(wanted, progress)
    restored = RESTORED_MESSAGE if lock.replaced_dead_owner else ""
    return OpenedCase(prepared.case, prepared.path, lock, restored=restored, place=prepared.place)


def _path_of(wanted: OpenRequest) -> Path:
    from scarseg.io.casefile import store

    cover = wanted.blinding
    return cover.path if cover else store.case_path(wanted.folder, wanted.source)


def _read_stack(wanted: OpenRequest, path: Path, progress: Progress) -> Stack:
    from scarseg.io import dicom
    from scarseg.io.casefile import library

    source, cover = wanted.source, wanted.blinding
    if isinstance(source, Stack):
        return source
    thickness = wanted.thickness_mm or (cover and cover.thickness_mm)
    thickness = thickness or library.reader_thickness_mm(wanted.imported_case or path)
    return dicom.read_stack(source, thickness, progress)


def _new_case(wanted: OpenRequest, stack: Stack) -> Case:
    case, cover = Case.new(stack), wanted.blinding
    if cover is not None:
        case.reader, case.read_number = cover.reader, cover.read_number
    return case


def open_case(wanted: OpenRequest, progress: Progress) -> OpenedCase:
    """Read a stack and its saved case."""
    from scarseg.io.casefile import last_position, library, store

    path, notes = _path_of(wanted), []
    stack = _read_stack(wanted, path, progress)
    lock, blocked = None, False
    try:
        lock = casefile_lock.CaseLock().acquire(path)
    except StoreError as error:
        blocked = error.code == "E_CASE_LOCKED"
        notes.append(error.message)
    case, question = _new_case(wanted, stack), ""
    read_from = path
    if wanted.imported_case is not None and not library.is_stored_at(wanted.imported_case, path):
        if lock is None:
            read_from = wanted.imported_case
            notes.append(f"What you see is the reading in {wanted.imported_case.name}.")
        else:
            question = _take_arrival(wanted, wanted.imported_case, path, stack, notes)
    if store.has_case(read_from):
        try:
            saved = store.read_case(read_from, stack)
            case, notes = saved.case, [*notes, *saved.notes]
        except StoreError as error:
            notes.append(str(error))
            if lock is not None and error.code != "E_CASE_NEWER":
                notes.append(f"It was kept as {store.set_aside(path).name}; a new reading begins.")
            elif lock is not None:
                lock.release()
                lock = None
    restored = RESTORED_MESSAGE if lock is not None and lock.replaced_dead_owner else ""
    place = last_position.load_last_slice(wanted.folder, path.name, stack.n_slices)
    return OpenedCase(case, path, lock, tuple(notes), blocked, restored, question, place)


def _take_arrival(
    wanted: OpenRequest, arrival: Path, path: Path, stack: Stack, notes: list[str]
) -> str:
    """Copy an imported case file into the store; return the question where that needs an answer."""
    from scarseg.io.casefile import library, store

    try:
        store.read_case(arrival, stack)
        if store.has_case(path) and library.same_reading(arrival, path):
            return ""
        if store.has_case(path) and not wanted.replacing and library.has_reader_work(path):
            here, there = library.read_case_file(path).words, library.read_case_file(arrival).words
            return (
                f"This series has a reading here, which you see ({here}). {arrival.name} holds"
                f" another one ({there}). The one you leave is kept aside."
            )
        library.import_case(arrival, path, stack)
        notes.append(f"The reading in {arrival.name} was copied; changes are saved in the copy.")
    except StoreError as error:
        notes.append(f"{arrival.name} was not opened. {error}")
    return ""
