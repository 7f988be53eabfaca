"""Case files on the disk: written whole or not at all, every byte checked.

Two generations of a case are kept, ``NAME.scarseg`` and the one before, ``NAME.scarseg.1``. States
while a case is saved, at every moment at least one whole generation there:

1. the new content lies beside them under a temporary name, flushed to the disk;
2. the newest file got the name of the one before (by a second name, so that it never loses its
   own; a file that turned out damaged is kept as ``.damaged`` instead, and the good one before it
   stays);
3. the temporary file takes the name of the newest; the folder is flushed.

Reading takes the newest that is whole, and notes what was passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.io import atomic
from scarseg.io.casefile.file_format import (
    MAX_BYTES,
    CaseContent,
    DamagedCaseError,
    NewerFormatError,
    build_case,
    encode_case,
    has_same_files,
    parse_case,
    stack_identity,
)
from scarseg.io.casefile.lock import CaseLock
from scarseg.io.files import data_folder

__all__ = [
    "CaseLock",
    "ReadingProgress",
    "SavedCase",
    "case_path",
    "default_folder",
    "has_case",
    "load_case",
    "read_case",
    "read_content",
    "read_progress",
    "save_case",
    "set_aside",
]

_log = logging.getLogger(__name__)
_saving = threading.Lock()
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_PART = re.compile(r"[0-9A-Za-z_-]{0,64}")


@dataclass(frozen=True, eq=False)
class SavedCase:
    """A case as it was on disk.

    ``path`` is the generation it came from; ``notes`` say what was damaged and passed over, one
    sentence each, empty when all was well.
    """

    case: Case
    path: Path
    saved_at_utc: str
    software_version: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadingProgress:
    """Slices of a saved reading: in all, read, proposed but not read."""

    n_slices: int
    n_read: int
    n_proposed: int


class StackIds(Protocol):
    """Identifiers a case file is named by: those of a stack, or of a summary of one."""

    @property
    def series_uid(self) -> str: ...
    @property
    def part(self) -> str: ...
    @property
    def stack_id(self) -> str: ...


def default_folder() -> Path:
    """Return the folder of case files: ``$SCARSEG_HOME/cases`` or the user's data folder.

    It is made, readable by its owner only, when something is saved.
    """
    return data_folder() / "cases"


def case_path(folder: Path, stack: StackIds) -> Path:
    """Return the path of a stack's case file: its UIDs, or a hash where those are no UIDs."""
    name = stack.stack_id
    if not (_UID.fullmatch(stack.series_uid) and _PART.fullmatch(stack.part)):
        name = "stack-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return folder / f"{name}.scarseg"


def has_case(path: Path) -> bool:
    """Return whether there is anything to load for ``path``, in whichever generation."""
    return any(os.path.lexists(each) for each in _generations(path))


def save_case(case: Case, path: Path) -> None:
    """Write a case atomically and durably and keep the generation before it.

    The case must not change meanwhile: pass a copy when another thread edits it. A damaged
    file at ``path`` is kept as ``.damaged`` and does not displace the good generation.

    Raises:
        StoreError: E_CASE_WRITE when the disk refuses, memory runs out or the program has a
            fault (what was there before is kept), E_CASE_OTHER_STACK or E_CASE_NEWER when that
            would overwrite other work.
    """
    try:
        data = encode_case(case)
        with _saving:
            atomic.make_private_folder(path.parent)
            _replace_keeping_previous(path, data, case.stack)
    except StoreError:
        raise
    except Exception as error:
        # Whatever it is, the window must be able to say that nothing was saved, and to retry.
        message = f"The case could not be saved in {path.parent}: {_reason(error)}."
        raise StoreError("E_CASE_WRITE", message, str(path)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, MemoryError):
        return "no memory left"
    return f"an error in the program ({type(error).__name__})"


def load_case(path: Path, stack: Stack) -> Case:
    """Load the newest good generation of a case; see :func:`read_case`."""
    return read_case(path, stack).case


def read_case(path: Path, stack: Stack) -> SavedCase:
    """Load the newest good generation of a case, with notes of what was passed over.

    Raises:
        StoreError: E_CASE_MISSING when nothing was ever saved, E_CASE_DAMAGED when no
            generation is whole, E_CASE_OTHER_STACK when it was made on other images,
            E_CASE_NEWER when a later version of the program wrote it.
    """
    if not has_case(path):
        raise StoreError("E_CASE_MISSING", f"There is no saved case at {path}.", str(path))
    notes: list[str] = []
    for generation in _generations(path):
        try:
            content = _read(generation, stack)
            if content is None:
                continue
            case = build_case(content, stack)
        except DamagedCaseError as damage:
            notes.append(f"The saved case {generation.name} is damaged: {damage}.")
            _log.warning("damaged case file %s: %s", generation.name, damage)
            continue
        document = content.document
        if notes:
            _log.warning("loaded the generation before it, saved %s", document.saved_at_utc)
        return SavedCase(
            case, generation, document.saved_at_utc, document.software.version, tuple(notes)
        )
    raise StoreError("E_CASE_DAMAGED", " ".join(notes), str(path))


def read_content(path: Path) -> CaseContent:
    """Return the content of the newest good generation of a case, without its stack.

    Bytes are checked as in :func:`read_case`, but not whether the images are the same.

    Raises:
        StoreError: E_CASE_MISSING, E_CASE_DAMAGED, E_CASE_NEWER.
    """
    if not has_case(path):
        raise StoreError("E_CASE_MISSING", f"There is no saved case at {path}.", str(path))
    damage = []
    for generation in _generations(path):
        try:
            return parse_case(_bytes(generation))
        except NewerFormatError as newer:
            raise StoreError("E_CASE_NEWER", _newer(newer), str(path)) from newer
        except FileNotFoundError:
            continue
        except (OSError, DamagedCaseError) as error:
            damage.append(f"The saved case {generation.name} is damaged: {error}.")
    raise StoreError("E_CASE_DAMAGED", " ".join(damage), str(path))


def _newer(found: NewerFormatError) -> str:
    return f"The case was saved by a later version of scarseg ({found}): update the program."


def read_progress(path: Path) -> ReadingProgress | None:
    """Return how far a saved reading is, without its stack; None where none can be read."""
    try:
        document = read_content(path).document
    except StoreError:
        return None
    proposed = document.statuses.count(SliceStatus.PROPOSED)
    return ReadingProgress(len(document.readings), document.n_read, proposed)


def set_aside(path: Path) -> Path:
    """Rename a case file that cannot be used, so that a new one can begin; return its new path.

    Nothing is deleted.

    Raises:
        StoreError: E_CASE_WRITE when the folder cannot be written.
    """
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside{number}")):
        number += 1
    try:
        for generation in _generations(path):
            if os.path.lexists(generation):
                suffix = generation.name.removeprefix(path.name)
                generation.replace(aside.with_name(aside.name + suffix))
        atomic.flush_folder(path.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"The case file {path} could not be set aside: {reason}."
        raise StoreError("E_CASE_WRITE", message, str(path)) from error
    return aside


def _generations(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(path.name + ".1")


def _replace_keeping_previous(path: Path, data: bytes, stack: Stack) -> None:
    newest, kept_as = _generations(path)
    with contextlib.suppress(DamagedCaseError):
        _read(kept_as, stack)
    try:
        content = _read(newest, stack)
        present = content is not None
        if content is not None:
            build_case(content, stack, with_steps=False)
    except DamagedCaseError:
        present, kept_as = True, path.with_name(path.name + ".damaged")
    atomic.remove_abandoned(path)
    temporary = atomic.write_temporary(path, data)
    try:
        if present:
            _keep(newest, kept_as)
        temporary.replace(newest)
    finally:
        atomic.remove_temporary(temporary)
    atomic.flush_folder(path.parent)


def _keep(newest: Path, kept_as: Path) -> None:
    """Keep the newest file under another name; at every moment one of its names is there."""
    second = atomic.temporary_name(newest)
    try:
        try:
            os.link(newest, second, follow_symlinks=False)
        except OSError:
            newest.replace(kept_as)  # a file system without hard links
        else:
            second.replace(kept_as)
    finally:
        atomic.remove_temporary(second)


def _read(path: Path, stack: Stack) -> CaseContent | None:
    """Read one generation; None when there is none."""
    try:
        data = _bytes(path)
        content = parse_case(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedCaseError(f"it cannot be read ({error.strerror})") from error
    except NewerFormatError as newer:
        raise StoreError("E_CASE_NEWER", _newer(newer), str(path)) from newer
    differing = _difference(content, stack)
    if differing:
        message = f"The saved case {path} was made on other images ({differing} differ)."
        raise StoreError("E_CASE_OTHER_STACK", message, str(path))
    return content


def _difference(content: CaseContent, stack: Stack) -> str:
    """Return in which keys the stack of a case differs from this one, comma between."""
    saved, expected = content.document.stack, stack_identity(stack)
    differing = [
        key for key in expected.__struct_fields__ if getattr(saved, key) != getattr(expected, key)
    ]
    # Another version may decode the same files to other last digits: still the same images.
    if differing == ["pixels_sha256"] and has_same_files(content, stack):
        return ""
    return ", ".join(differing)


def _bytes(path: Path) -> bytes:
    """Read a plain file; neither a link nor a pipe nor a device."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise DamagedCaseError("it is not a plain file")
        if status.st_size > MAX_BYTES:
            raise DamagedCaseError("it is far too large")
        # By its size: a larger number, however large the file, would be allocated first.
        data = file.read(status.st_size + 1)
        if len(data) > status.st_size:
            raise DamagedCaseError("it grew while it was read")
        return data
