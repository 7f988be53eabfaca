"""Read a stack with its saved case; everything here runs on the disk lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case import Case
from scarseg.errors import StoreError
from scarseg.gui.library import Entry
from scarseg.progress import Progress
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.io.dicom import StackSummary
    from scarseg.io.store import CaseLock, Glance

DEMO_SEED = 19


@dataclass(frozen=True, eq=False)
class Opened:
    """What the disk lane hands back: a case, the right to write it, and what must be said."""

    case: Case
    path: Path
    lock: CaseLock | None
    notes: tuple[str, ...] = ()


def open_case(
    source: StackSummary | Stack, folder: Path, thickness_mm: float | None, progress: Progress
) -> Opened:
    """Read a stack and its saved case; runs on the disk lane."""
    from scarseg.io import dicom, store

    stack = (
        source
        if isinstance(source, Stack)
        else dicom.read_stack(
            source,
            thickness_mm,
            progress,
        )
    )
    path, notes = store.case_path(folder, stack), []
    lock: CaseLock | None = None
    try:
        lock = store.CaseLock().acquire(path)
    except StoreError as error:
        notes.append(error.message)
    case = Case.new(stack)
    if store.has_case(path):
        try:
            saved = store.read_case(path, stack)
            case, notes = saved.case, [*notes, *saved.notes]
        except StoreError as error:
            notes.append(str(error))
            if lock is not None and error.code != "E_CASE_NEWER":
                notes.append(f"It was kept as {store.set_aside(path).name}; a new reading begins.")
            elif lock is not None:
                lock.release()
                lock = None
    return Opened(case, path, lock, tuple(notes))


def peek_cases(folder: Path, entries: Sequence[Entry]) -> list[tuple[Entry, Glance]]:
    """Look at how the saved readings of a list stand; on the disk lane."""
    from scarseg.io import store

    found = ((each, store.peek(store.case_path(folder, each.source))) for each in entries)
    return [(entry, glance) for entry, glance in found if glance is not None]


def make_demo(folder: Path) -> Path:
    """Write the simulated study of the demo unless it is there already; on the disk lane."""
    from scarseg import simulate

    dicom_folder = folder / "study" / "dicom"
    if dicom_folder.exists():
        return dicom_folder
    return simulate.write_study(folder / "study", DEMO_SEED).dicom_folder
