"""Find studies and case files, and read a stack with its case; all of it on the disk lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case import Case
from scarseg.errors import InputError, StoreError
from scarseg.gui.library import Cover, Entry
from scarseg.progress import Progress
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.io.case_files import CaseFile
    from scarseg.io.dicom import LoadReport, StackSummary
    from scarseg.io.store import CaseLock, Glance

DEMO_SEED = 19
RESTORED = "scarseg ended suddenly last time. Every change that was saved is here."


@dataclass(frozen=True, eq=False)
class Looked:
    """What stood in the inputs: ``report`` is None where there were only case files."""

    report: LoadReport | None
    arrivals: tuple[CaseFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be opened: a stack, and the case file from elsewhere that belongs to it.

    ``replacing``: put the arrived reading in the place of another one, which is kept aside.
    ``cover``: read it again, blinded, in a case file of its own.
    """

    source: StackSummary | Stack
    folder: Path
    thickness_mm: float | None = None
    arrival: Path | None = None
    replacing: bool = False
    cover: Cover | None = None


@dataclass(frozen=True, eq=False)
class Opened:
    """What the disk lane hands back: a case, the right to write it, and what must be said.

    ``blocked``: another program writes this case. ``restored`` is said where a program ended
    without letting go of it. ``question`` is asked where an arrived reading waits beside another.
    """

    case: Case
    path: Path
    lock: CaseLock | None
    notes: tuple[str, ...] = ()
    blocked: bool = False
    restored: str = ""
    question: str = ""
    place: int | None = None


def look(inputs: Sequence[Path], progress: Progress) -> Looked:
    """List the stacks and the case files of some inputs.

    Raises:
        InputError: there is neither the one nor the other.
    """
    from scarseg.io import case_files, dicom

    found = case_files.find(inputs)
    report = None
    if found.rest:
        try:
            report = dicom.scan(found.rest, progress)
        except InputError:
            if not found.cases:
                raise
    return Looked(report, found.cases, found.notes)


def open_case(wanted: Wanted, progress: Progress) -> Opened:
    """Read a stack and its saved case."""
    from scarseg.io import case_files, dicom, places, store

    source, folder, cover = wanted.source, wanted.folder, wanted.cover
    path, notes = cover.path if cover else store.case_path(folder, source), []
    if isinstance(source, Stack):
        stack = source
    else:
        thickness = wanted.thickness_mm or (cover and cover.thickness_mm)
        thickness = thickness or case_files.thickness_given(wanted.arrival or path)
        stack = dicom.read_stack(source, thickness, progress)
    lock, blocked = None, False
    try:
        lock = store.CaseLock().acquire(path)
    except StoreError as error:
        blocked = error.code == "E_CASE_LOCKED"
        notes.append(error.message)
    case, question = Case.new(stack), ""
    if cover is not None:
        case.reader, case.read_number = cover.reader, cover.read_number
    read_from = path
    if wanted.arrival is not None and not case_files.is_stored_at(wanted.arrival, path):
        if lock is None:
            read_from = wanted.arrival
            notes.append(f"What you see is the reading in {wanted.arrival.name}.")
        else:
            question = _take_arrival(wanted, wanted.arrival, path, stack, notes)
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
    restored = RESTORED if lock is not None and lock.took_over else ""
    place = places.recall(folder, path.name, stack.n_slices)
    return Opened(case, path, lock, tuple(notes), blocked, restored, question, place)


def _take_arrival(wanted: Wanted, arrival: Path, path: Path, stack: Stack, notes: list[str]) -> str:
    """Bring an arrived case file into the store; give the question where that needs an answer."""
    from scarseg.io import case_files, store

    try:
        store.read_case(arrival, stack)
        if store.has_case(path) and case_files.same_reading(arrival, path):
            return ""
        if store.has_case(path) and not wanted.replacing and case_files.holds_work(path):
            here, there = case_files.look(path).words, case_files.look(arrival).words
            return (
                f"This series has a reading here, which you see ({here}). {arrival.name} holds"
                f" another one ({there}). The one you leave is kept aside."
            )
        case_files.bring_in(arrival, path, stack)
        notes.append(f"The reading in {arrival.name} was copied; changes are saved in the copy.")
    except StoreError as error:
        notes.append(f"{arrival.name} was not opened. {error}")
    return ""


def peek_cases(folder: Path, entries: Sequence[Entry]) -> list[tuple[Entry, Glance]]:
    """Look at how the saved readings of a list stand."""
    from scarseg.io import store

    found = (
        (each, store.peek(each.arrival or store.case_path(folder, each.source))) for each in entries
    )
    return [(entry, glance) for entry, glance in found if glance is not None]


def make_demo(folder: Path) -> Path:
    """Write the simulated study of the demo unless it is there already."""
    from scarseg import simulate

    dicom_folder = folder / "study" / "dicom"
    if dicom_folder.exists():
        return dicom_folder
    return simulate.write_study(folder / "study", DEMO_SEED).dicom_folder
