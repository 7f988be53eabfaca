"""Write what was read; the same calls, and so the same bytes, as the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case import Case
from scarseg.progress import Progress, silent
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.io.dicom import StackSummary


def export_cases(path: Path, cases: Sequence[Case], force: bool) -> str:
    """Write the CSV of these cases and say what was written."""
    from scarseg import pipeline

    records = [pipeline.case_record(case) for case in cases]
    files = pipeline.export_table(path, records, force=force)
    return f"Written: {', '.join(file.name for file in files)} in {path.parent}"


def export_list(
    path: Path,
    sources: Sequence[StackSummary | Stack],
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
    for n, source in enumerate(sources):
        progress(n / len(sources), f"Reading {n + 1} of {len(sources)} for the table")
        case = now if now is not None and now.stack.stack_id == source.stack_id else None
        case = case or _saved(source, folder)
        if case is None:
            without += 1
        else:
            cases.append(case)
    said = export_cases(path, cases, force)
    return said if not without else f"{said}. {without} series have no reading and no row."


def _saved(source: StackSummary | Stack, folder: Path) -> Case | None:
    from scarseg.io import dicom, store

    if isinstance(source, Stack):
        stack = source
    elif source.slice_thickness_mm is None:
        return None
    else:
        stack = dicom.read_stack(source)
    path = store.case_path(folder, stack)
    return store.load_case(path, stack) if store.has_case(path) else None


def save_prompts(path: Path, case: Case, force: bool) -> str:
    """Write boxes and points as the JSON that ``scarseg batch --prompts`` takes."""
    from scarseg.io import prompts_file

    prompts_file.write_prompts(path, case, force=force)
    return f"Written: {path.name} in {path.parent}"
