"""Plan a blinded re-reading and write its page of agreement; on the disk worker, without Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.case import Case, CaseStatus
from scarseg.case.stack import Stack
from scarseg.errors import InputError, ScarsegError
from scarseg.progress import Progress

if TYPE_CHECKING:
    from scarseg.agreement.rereading import RereadCase
    from scarseg.io.casefile.rereading import CodedCase, FirstReading, Rereading
    from scarseg.io.dicom.types import StackSummary


@dataclass(frozen=True, eq=False)
class RereadingProgress:
    """Re-readings of a store with how far each of their cases is: code to (slices read, of)."""

    rereadings: tuple[Rereading, ...]
    read: Mapping[str, Mapping[str, tuple[int, int]]]

    def n_done(self, one: Rereading) -> int:
        return sum(0 < of == n for n, of in self.read[one.code].values())


def find_unfinished(store_folder: Path) -> RereadingProgress:
    """Find the re-readings that are not finished, the newest first."""
    from scarseg.io.casefile import rereading

    found = [one for one in rereading.find_rereadings(store_folder)[0] if not one.finished_at_utc]
    return read_progress(*reversed(found))


def read_progress(*rereadings: Rereading) -> RereadingProgress:
    """Read how far the cases of some re-readings are."""
    read = {one.code: {c.code: one.n_read(c.code) for c in one.cases} for one in rereadings}
    return RereadingProgress(rereadings, read)


def find_first_readings(
    store_folder: Path, sources: Sequence[StackSummary | Stack]
) -> tuple[list[FirstReading | None], list[Rereading]]:
    """Find which stacks are read to their end, and all re-readings."""
    from scarseg.io.casefile import rereading

    firsts = [
        rereading.read_first_reading(rereading.first_reading_path(store_folder, each))
        for each in sources
    ]
    return firsts, rereading.find_rereadings(store_folder)[0]


def start(
    store_folder: Path,
    firsts: Sequence[FirstReading],
    reader: str,
    read_number: int,
    proposals: bool,
) -> RereadingProgress:
    """Plan a re-reading; see :func:`scarseg.io.casefile.rereading.start_rereading`."""
    from scarseg.io.casefile import rereading

    return read_progress(
        rereading.start_rereading(store_folder, firsts, reader, read_number, proposals)
    )


def write_page(
    path: Path,
    now: Rereading,
    sources: Mapping[str, StackSummary | Stack],
    store_folder: Path,
    force: bool,
    progress: Progress,
) -> str:
    """Compare a re-reading with the first one and those of others; write the page and finish it.

    Args:
        now: the re-reading; what of it is not read to the end is left out.
        sources: the stacks by study code, as far as their images are at hand.
        store_folder: where the first readings are.

    Returns:
        One sentence that says how the readings agree.

    Raises:
        InputError: E_PAIRS, there is not one case in two readings.
        OutputError: E_EXISTS without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    from scarseg.agreement.rereading import ReadingComparison, write_rereading
    from scarseg.io.casefile import rereading

    done = [one for one in now.cases if now.done(one.code)]
    others = _others(now, store_folder)
    readers: set[str] = set()
    notes = _counted(len(now.cases) - len(done), "of its cases not read again to the end.")
    found: list[list[RereadCase]] = [[] for _ in range(len(others) + 1)]
    changed = 0
    for n, covered in enumerate(done):
        progress(n / len(done), f"Comparing {n + 1} of {len(done)}")
        try:
            stack = _stack(sources, covered)
            mine = _load(now.case_path(covered.code), stack)
            path_of_first = rereading.first_reading_path(store_folder, stack)
            first = _load(path_of_first, stack)
        except ScarsegError as error:
            notes.append(f"{covered.code} could not be compared: {error.code}.")
            continue
        if first.status is not CaseStatus.READ:
            notes.append(f"{covered.code} has no first reading any more that is read to its end.")
            continue
        changed += rereading.read_first_reading(path_of_first) != covered.first
        readers.add(first.reader)
        found[0].append(_again(covered.code, mine, first))
        for other, into in zip(others, found[1:], strict=True):
            theirs = _reading_of(other, covered.first.stack_id, stack)
            if theirs is not None:
                into.append(_again(covered.code, mine, theirs))
    notes += _counted(changed, "of the first readings changed since the re-reading began.")
    if not found[0]:
        message = "There is not one case with a first reading and this one, both read to the end."
        raise InputError("E_PAIRS", message)
    names = [_first_name(readers), *_names(others)]
    against = [
        ReadingComparison(name, tuple(each))
        for name, each in zip(names, found, strict=True)
        if each
    ]
    progress(1.0, "Writing the page")
    _, said = write_rereading(path, now.name, against, notes, force)
    rereading.finish_rereading(now)
    return said


def _counted(n: int, what: str) -> list[str]:
    return [f"{n} {what}"] if n else []


def _others(now: Rereading, store_folder: Path) -> list[Rereading]:
    """Return the other re-readings that share a case with this one."""
    from scarseg.io.casefile import rereading

    mine = {each.first.stack_id for each in now.cases}
    return [
        one
        for one in rereading.find_rereadings(store_folder)[0]
        if one.code != now.code and any(each.first.stack_id in mine for each in one.cases)
    ]


def _first_name(readers: set[str]) -> str:
    """Return a name for the first readings, with their reader where all have the same one."""
    known = next(iter(readers)) if len(readers) == 1 else ""
    return f"first reading, reader {known}" if known else "first reading"


def _names(others: Sequence[Rereading]) -> list[str]:
    names = [one.name for one in others]
    return [
        one.name if names.count(one.name) == 1 else f"{one.name} ({one.code})" for one in others
    ]


def _stack(sources: Mapping[str, StackSummary | Stack], covered: CodedCase) -> Stack:
    if covered.code not in sources:
        raise InputError("E_IMAGES", "Its images are not at hand.")
    source = sources[covered.code]
    if isinstance(source, Stack):
        return source
    from scarseg.io import dicom

    return dicom.read_stack(source, covered.first.thickness_mm)


def _load(path: Path, stack: Stack) -> Case:
    from scarseg.io.casefile import store

    return store.load_case(path, stack)


def _reading_of(other: Rereading, stack_id: str, stack: Stack) -> Case | None:
    """Return a case of another re-reading, if it is read to its end."""
    for each in other.cases:
        if each.first.stack_id == stack_id and other.done(each.code):
            try:
                return _load(other.case_path(each.code), stack)
            except ScarsegError:
                return None
    return None


def _again(code: str, a: Case, b: Case) -> RereadCase:
    from scarseg.agreement.mask_overlap import compare_labels
    from scarseg.agreement.rereading import RereadCase
    from scarseg.segmentation import pipeline

    masks = compare_labels(code, a.labels, b.labels, a.stack)
    return RereadCase(code, pipeline.measured_record(a), pipeline.measured_record(b), masks)
