"""Case files that come from elsewhere: found by name, described, imported into the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.io import atomic
from scarseg.io.casefile import rereading, store

SUFFIX = ".scarseg"


@dataclass(frozen=True)
class CaseFile:
    """A case file, described without its images; UIDs and no patient.

    ``thickness_mm`` is the slice thickness that its reader entered, None where the header had one.
    """

    path: Path
    study_uid: str
    stack_id: str
    n_slices: int
    n_read: int
    saved_at_utc: str
    thickness_mm: float | None = None

    @property
    def words(self) -> str:
        """How far it is read and when it was saved: "3 of 8 slices read, saved ..."."""
        return f"{self.n_read} of {self.n_slices} slices read, saved {_moment(self.saved_at_utc)}"


@dataclass(frozen=True)
class FoundCases:
    """Case files among some inputs, the inputs that are something else, and what is damaged."""

    cases: tuple[CaseFile, ...]
    rest: tuple[Path, ...]
    notes: tuple[str, ...]


def find_case_files(inputs: Sequence[Path]) -> FoundCases:
    """Find case files: among the inputs themselves, and in folders to any depth."""
    paths, rest = [], []
    for each in inputs:
        if each.suffix == SUFFIX and each.is_file():
            paths.append(each)
            continue
        rest.append(each)
        for folder, folders, names in os.walk(each) if each.is_dir() else ():
            if rereading.INDEX in names:  # readings under codes are no readings of a list
                folders.clear()
                continue
            paths += [Path(folder, name) for name in sorted(names) if name.endswith(SUFFIX)]
    cases, notes = [], []
    for path in paths:
        try:
            cases.append(read_case_file(path))
        except StoreError as error:
            notes.append(str(error))
    return FoundCases(tuple(cases), tuple(rest), tuple(notes))


def read_case_file(path: Path) -> CaseFile:
    """Read the description of a case file, without its images.

    Raises:
        StoreError: E_CASE_MISSING, E_CASE_DAMAGED, E_CASE_NEWER.
    """
    document = store.read_content(path).document
    return CaseFile(
        path,
        document.source.study_uid,
        document.stack.stack_id,
        len(document.readings),
        document.n_read,
        document.saved_at_utc,
        document.source.reader_thickness_mm,
    )


def reader_thickness_mm(path: Path) -> float | None:
    """Return the slice thickness that a reader entered for a case; None where none is known."""
    try:
        return read_case_file(path).thickness_mm
    except StoreError:
        return None


def is_stored_at(arrived: Path, path: Path) -> bool:
    """Return whether an arrived file is the store's own one."""
    return os.path.realpath(arrived) == os.path.realpath(path)


def same_reading(one: Path, other: Path) -> bool:
    """Return whether two case files hold the same labels, prompts and states."""
    try:
        first, second = store.read_content(one), store.read_content(other)
    except StoreError:
        return False
    same_labels = first.packed_labels == second.packed_labels
    return same_labels and first.document.readings == second.document.readings


def has_reader_work(path: Path) -> bool:
    """Return whether a case holds a reader's work: something read, drawn or prompted.

    What cannot be read may hold work.
    """
    try:
        document = store.read_content(path).document
    except StoreError:
        return True
    return document.interactions > 0 or any(
        reading.edited or reading.status.read for reading in document.readings
    )


def import_case(arrived: Path, path: Path, stack: Stack) -> None:
    """Copy an arrived case file into the store, as it is; what was there is renamed.

    Raises:
        StoreError: E_CASE_OTHER_STACK, E_CASE_DAMAGED, E_CASE_NEWER for a file that does not
            fit; E_CASE_WRITE.
    """
    saved = store.read_case(arrived, stack)
    try:
        data = saved.path.read_bytes()
        if store.has_case(path):
            store.set_aside(path)
        atomic.make_private_folder(path.parent)
        atomic.replace_file(path, data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"The case could not be brought to {path.parent}: {reason}."
        raise StoreError("E_CASE_WRITE", message, str(path)) from error


def _moment(saved_at_utc: str) -> str:
    return f"{saved_at_utc[:16].replace('T', ' ')} UTC" if saved_at_utc else "at an unknown time"
