"""Write what was read; the same calls, and so the same bytes, as the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case import Case
from scarseg.gui.interval import IntervalMaker
from scarseg.gui.library import Entry
from scarseg.progress import Progress, silent
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.interval import MassInterval
    from scarseg.io.table import Record


def export_cases(
    path: Path,
    cases: Sequence[Case],
    force: bool,
    interval_of: IntervalMaker | None = None,
    progress: Progress = silent,
) -> str:
    """Write the tables of these cases, as CSV or by suffix as a workbook, and say so."""
    from scarseg.io.exporting import write_export

    records = []
    for n, case in enumerate(cases):
        within = part_of(progress, n / len(cases), 1 / len(cases))
        within(0.0, f"Measuring {n + 1} of {len(cases)}")
        records.append(record_of(case, interval_of and interval_of(case, within)))
    files = write_export(path, records, {}, force=force)
    return f"Written: {', '.join(file.name for file in reversed(files))} in {path.parent}"


def record_of(case: Case, interval: MassInterval | None = None, mask_file: str = "") -> Record:
    """Measure a case; the record holds the interval of its scar mass where there is one."""
    from scarseg import outcome, pipeline

    record = pipeline.case_record(case, mask_file=mask_file)
    return record if interval is None else outcome.with_interval(record, interval)


def part_of(progress: Progress, begun: float, share: float) -> Progress:
    """Report a part of the work, which begins where ``begun`` of the whole is done."""
    return lambda fraction, what: progress(begun + share * fraction, what)


def export_list(
    path: Path,
    entries: Sequence[Entry],
    folder: Path,
    now: Case | None,
    force: bool,
    progress: Progress = silent,
    interval_of: IntervalMaker | None = None,
) -> str:
    """Write the CSV of every stack that has a reading, and say how many have none.

    ``now`` is the case on the desk, newer than its file. Cancelled before the last is read,
    nothing is written.
    """
    read = read_cases(entries, folder, now, part_of(progress, 0.0, 0.1))
    cases = [case for _, case in read]
    said = export_cases(path, cases, force, interval_of, part_of(progress, 0.1, 0.9))
    return said + without_reading(len(entries) - len(read))


def read_cases(
    entries: Sequence[Entry], folder: Path, now: Case | None, progress: Progress = silent
) -> list[tuple[Entry, Case]]:
    """Load the readings of these entries, of those that have one; arguments as above."""
    read = []
    for n, entry in enumerate(entries):
        progress(n / len(entries), f"Reading {n + 1} of {len(entries)} for the table")
        case = now if now is not None and now.stack.stack_id == entry.stack_id else None
        case = case or _saved(entry, folder)
        if case is not None:
            read.append((entry, case))
    return read


def without_reading(n: int) -> str:
    """Say how many series had nothing to export."""
    return f". {n} series have no reading and no row." if n else ""


def _saved(entry: Entry, folder: Path) -> Case | None:
    """Load the reading of an entry: its own, or one that came from elsewhere for it."""
    from scarseg.io import case_files, dicom, store

    source = entry.source
    path = store.case_path(folder, source)
    if not store.has_case(path) and entry.arrival is not None:
        path = entry.arrival
    if not store.has_case(path):
        return None
    if isinstance(source, Stack):
        return store.load_case(path, source)
    return store.load_case(path, dicom.read_stack(source, case_files.thickness_given(path)))


def save_prompts(path: Path, case: Case, force: bool) -> str:
    """Write boxes and points as the JSON that ``scarseg batch --prompts`` takes."""
    from scarseg.io import prompts_file

    prompts_file.write_prompts(path, case, force=force)
    return f"Written: {path.name} in {path.parent}"
