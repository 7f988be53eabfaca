"""Select the stacks of a load report that a batch measures; the others get a row with a code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from scarseg.errors import InputError
from scarseg.io.dicom.sources.file_classes import describe_skipped
from scarseg.io.dicom.types import LoadReport, Refusal, StackSummary
from scarseg.io.files import safe_name
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.table import (
    StackRecord,
    error_record,
    identity_cells,
    input_cell,
    origin_cells,
)


@dataclass(frozen=True)
class BatchJob:
    """One stack to be measured, and the name of its mask."""

    summary: StackSummary
    mask_file: str

    def identity(self, identify: bool) -> dict[str, Cell]:
        return _identity(self.summary, identify)


@dataclass(frozen=True)
class Selection:
    """``jobs`` to measure; ``records`` of what cannot be; ``notes`` on the choice."""

    jobs: tuple[BatchJob, ...]
    records: tuple[StackRecord, ...]
    notes: tuple[str, ...]


def select_stacks(
    report: LoadReport, series: Sequence[str] = (), identify: bool = False
) -> Selection:
    """Select the proposed stack of every study, or the series requested.

    A study without a proposed stack gets a row with E_NO_LGE, or with the codes of what was
    refused in it. A refusal beside a stack that is measured is a note.

    Args:
        series: series UIDs (or stack ids, for one part of a split series); empty: propose.

    Raises:
        InputError: E_NO_MR, there is no MR image at all; E_SERIES, no such series.
    """
    require_mr(report)
    if series:
        return _select_series(report, series, identify)
    taken = [stack for stack in report.stacks if stack.proposed]
    notes = [f"Took series {one.stack_id} ({one.reason})" for one in taken]
    measured = {one.study_uid for one in taken}
    records, refusal_notes = _refused(report.refused, measured, identify)
    # Two patients may share a study UID, or an ID, by mistake: each gets a row.
    with_stack = {one.owner for one in taken}
    refused = {one.study_uid for one in report.refused}
    for study in _studies(report.stacks):
        first = study[0]
        if first.owner in with_stack or first.study_uid in refused:
            continue
        message = f"No stack looks like LGE short axis ({_reasons(study)}); choose with --series."
        of_study = identity_cells(
            first.patient_id, first.study_uid, "", "", first.study_date, identify
        )
        cells = {**of_study, "input": input_cell(first.input_path, identify)}
        records.append(error_record(cells, "E_NO_LGE", message if identify else ""))
        notes.append(f"E_NO_LGE: study {first.study_uid}: {message}")
    return Selection(_jobs(taken), tuple(records), (*notes, *refusal_notes))


def input_files(report: LoadReport) -> set[str]:
    """Return the files of a load report, read or refused: no output may replace them."""
    read = {str(frame.source.path) for one in report.stacks for frame in one.frames}
    return read | {one.path for one in report.refused}


def require_mr(report: LoadReport) -> None:
    """Raise InputError E_NO_MR where there is neither an MR stack nor a refused one."""
    if report.refused or any(one.modality in ("MR", "") for one in report.stacks):
        return
    n = report.skipped
    skipped = "1 other file was skipped" if n == 1 else f"{n} other files were skipped"
    if report.skipped_by_class:
        skipped += f": {describe_skipped(report.skipped_by_class)}"
    raise InputError("E_NO_MR", f"There is no MR image here ({skipped}).")


def _select_series(report: LoadReport, series: Sequence[str], identify: bool) -> Selection:
    taken: list[StackSummary] = []
    records: list[StackRecord] = []
    notes: list[str] = []
    for wanted in dict.fromkeys(series):
        parts = [one for one in report.stacks if one.stack_id == wanted]
        parts = parts or [one for one in report.stacks if wanted in (one.series_uid, *one.merged)]
        parts = [one for one in parts if one.proposed] or parts
        refused = [one for one in report.refused if one.series_uid == wanted]
        if not parts and not refused:
            raise InputError("E_SERIES", f"There is no series {wanted} here.")
        measured = {one.study_uid for one in parts}
        more_records, more_notes = _refused(refused, measured, identify)
        taken += [one for one in parts if one not in taken]
        records += more_records
        notes += [f"Took series {one.stack_id} as asked" for one in parts] + more_notes
    return Selection(_jobs(taken), tuple(records), tuple(notes))


def _refused(
    refused: Sequence[Refusal], measured: set[str], identify: bool
) -> tuple[list[StackRecord], list[str]]:
    """Return one row per series (or folder) and code; notes alone in studies that are measured."""
    records: dict[tuple[str, ...], StackRecord] = {}
    notes = []
    for one in refused:
        notes.append(f"{one.code}: {one.message} [{one.path}]")
        if one.study_uid and one.study_uid in measured:
            continue
        place = one.series_uid or str(PurePath(one.path).parent)
        owner = (one.patient_id, one.study_uid, one.series_uid)
        cells = identity_cells(*owner, "", one.study_date, identify)
        cells["input"] = input_cell(one.path, identify)
        message = one.message if identify else ""
        records.setdefault((one.study_uid, place, one.code), error_record(cells, one.code, message))
    return list(records.values()), notes


def _reasons(study: Sequence[StackSummary]) -> str:
    """Return why none was selected, each reason once, the most frequent first."""
    counted = Counter(one.reason.removeprefix("not proposed: ") for one in study)
    return "; ".join(f"{n} x {reason}" if n > 1 else reason for reason, n in counted.most_common(3))


def _studies(stacks: Sequence[StackSummary]) -> list[list[StackSummary]]:
    studies: dict[object, list[StackSummary]] = {}
    for one in stacks:
        studies.setdefault(one.owner, []).append(one)
    return list(studies.values())


def _jobs(taken: Sequence[StackSummary]) -> tuple[BatchJob, ...]:
    """Return the jobs with names for their masks: by stack id, and apart where two share one."""
    jobs = []
    names: set[str] = set()
    for one in sorted(taken, key=lambda one: (one.stack_id, *one.owner)):
        name, n = safe_name(one.stack_id), 2
        while name in names:
            name, n = f"{safe_name(one.stack_id)}_{n}", n + 1
        names.add(name)
        jobs.append(BatchJob(one, f"{name}.nii.gz"))
    return tuple(jobs)


def _identity(one: StackSummary, identify: bool) -> dict[str, Cell]:
    cells = identity_cells(
        one.patient_id, one.study_uid, one.series_uid, one.part, one.study_date, identify
    )
    return {**cells, **origin_cells(one, identify)}
