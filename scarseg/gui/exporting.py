"""Write what was read; the same calls, and so the same bytes, as the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scarseg.case import Case
from scarseg.gui.library import Entry
from scarseg.progress import Progress, silent
from scarseg.stack import Stack


def export_cases(path: Path, cases: Sequence[Case], force: bool) -> str:
    """Write the CSV of these cases and say what was written."""
    from scarseg import pipeline

    records = [pipeline.case_record(case) for case in cases]
    files = pipeline.export_table(path, records, force=force)
    return f"Written: {', '.join(file.name for file in files)} in {path.parent}"


def export_list(
    path: Path,
    entries: Sequence[Entry],
    folder: Path,
    now: Case | None,
    force: bool,
    progress: Progress = silent,
) -> str:
    """Write the CSV of every stack that has a reading, and say how many have none.

    ``now`` is the case on the desk, newer than its file. Cancelled before the last is read,
    nothing is written.
    """
    cases, without = [], 0
    for n, entry in enumerate(entries):
        progress(n / len(entries), f"Reading {n + 1} of {len(entries)} for the table")
        case = now if now is not None and now.stack.stack_id == entry.stack_id else None
        case = case or _saved(entry, folder)
        if case is None:
            without += 1
        else:
            cases.append(case)
    said = export_cases(path, cases, force)
    return said if not without else f"{said}. {without} series have no reading and no row."


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
