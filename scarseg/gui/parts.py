"""A folder with all that a reading leaves: tables, report, masks; as the command line writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case import Case
from scarseg.errors import Cancelled, InputError, OutputError, ScarsegError
from scarseg.gui.exporting import part_of, read_cases, record_of, without_reading
from scarseg.gui.interval import IntervalMaker
from scarseg.gui.library import Entry
from scarseg.progress import Progress, silent
from scarseg.stack import Stack

if TYPE_CHECKING:
    from scarseg.interval import MassInterval
    from scarseg.io.table import Record


class Part(StrEnum):
    """What can be written of a reading."""

    CSV = "csv"
    WORKBOOK = "workbook"
    REPORT = "report"
    NIFTI = "nifti"
    SEG = "seg"
    RTSTRUCT = "rtstruct"
    SR = "sr"


MASKS = (Part.NIFTI, Part.SEG, Part.RTSTRUCT)
DICOM = (Part.SEG, Part.RTSTRUCT, Part.SR)
"""What refers to the images, and needs their files."""


@dataclass(frozen=True)
class Wish:
    """What to write where; ``whole_list``: of every reading, not of the one on the desk."""

    folder: Path
    parts: frozenset[Part]
    whole_list: bool = False


def export_parts(
    wish: Wish,
    entries: Sequence[Entry],
    cases_folder: Path,
    now: Case | None,
    force: bool,
    progress: Progress = silent,
    interval_of: IntervalMaker | None = None,
) -> str:
    """Write what is wished for and say how much that was.

    What one series refuses (its images have changed) is told, and the others are written; where
    there is but one, it is raised.

    Args:
        entries: the series; those without a reading are left out.
        cases_folder: where the readings are.
        now: the case on the desk, newer than its file.
        force: replace files that are there.
        interval_of: makes the interval beside each scar mass; None leaves it out.

    Raises:
        InputError: there is nothing to write, or nothing but what needs files that are gone.
        OutputError: E_EXISTS before anything is written, E_WRITE.
    """
    from scarseg.io.outputs import refuse_existing

    read = read_cases(entries, cases_folder, now, part_of(progress, 0.0, 0.1))
    if not read:
        raise InputError("E_NO_READING", "Nothing of this list is read yet.")
    targets = [path for entry, _ in read for path in _files(entry, wish)] + _tables(wish)
    if not targets:
        raise InputError("E_NO_FILES", "DICOM masks and reports need images that are in files.")
    if not force:
        refuse_existing(targets, "it would be replaced")
    records, refused = [], []
    for n, (entry, case) in enumerate(read):
        within = part_of(progress, 0.1 + 0.85 * n / len(read), 0.85 / len(read))
        within(0.0, f"Writing {n + 1} of {len(read)}")
        interval = None if interval_of is None else interval_of(case, within)
        mask_file = _mask_file(entry, wish)
        records.append(record_of(case, interval, mask_file))
        try:
            _write_one(wish, entry, case, records[-1], interval, force)
        except (Cancelled, OutputError):
            raise
        except ScarsegError as error:
            if len(read) == 1:
                raise
            refused.append(f"{entry.title}: {error.message}")
    progress(0.95, "Writing the tables")
    _write_tables(wish, records, force)
    return _told(wish, targets, refused) + without_reading(len(entries) - len(read))


def _told(wish: Wish, targets: Sequence[Path], refused: Sequence[str]) -> str:
    there = sum(path.exists() for path in targets)
    said = f"Written: {there} file{'' if there == 1 else 's'} in {wish.folder}"
    return said + (f". Not of {len(refused)}: {'; '.join(refused[:2])}" if refused else "")


def _files(entry: Entry, wish: Wish) -> list[Path]:
    """Name what is written of one series."""
    from scarseg.report import report_name

    stem = _stem(entry)
    names = {
        Part.NIFTI: f"{stem}.nii.gz",
        Part.SEG: f"{stem}.seg.dcm",
        Part.RTSTRUCT: f"{stem}.rtstruct.dcm",
        Part.SR: f"{stem}.sr.dcm",
        Part.REPORT: report_name(entry.stack_id),
    }
    return [wish.folder / name for part, name in names.items() if part in _able(entry, wish)]


def _able(entry: Entry, wish: Wish) -> frozenset[Part]:
    """Leave out what needs the images' files, where there are none."""
    return wish.parts - frozenset(DICOM) if isinstance(entry.source, Stack) else wish.parts


def _tables(wish: Wish) -> list[Path]:
    from scarseg.io.exporting import export_files

    if Part.CSV in wish.parts:
        return export_files(wish.folder / "scar.csv", Part.WORKBOOK in wish.parts)
    return [wish.folder / "scar.xlsx"] if Part.WORKBOOK in wish.parts else []


def _write_tables(wish: Wish, records: Sequence[Record], force: bool) -> None:
    from scarseg.io.exporting import write_export

    files = _tables(wish)
    if files:
        both = {Part.CSV, Part.WORKBOOK} <= wish.parts
        write_export(files[-1], records, {}, workbook=both, force=force)


def _write_one(
    wish: Wish,
    entry: Entry,
    case: Case,
    record: Record,
    interval: MassInterval | None,
    force: bool,
) -> None:
    from scarseg import pipeline, report
    from scarseg.io.mask_files import MaskFormat, write_files
    from scarseg.io.selection import Job

    able, measured = _able(entry, wish), pipeline.measure(case)
    source = entry.source
    if isinstance(source, Stack):
        if Part.NIFTI in able:
            _write_labels(wish.folder / f"{_stem(entry)}.nii.gz", case, force)
    else:
        job = Job(source, f"{_stem(entry)}.nii.gz")
        for part in (one for one in MASKS if one in able):
            told = measured if Part.SR in able and part is _beside(able) else None
            write_files(wish.folder, job, case, MaskFormat(part), told, force=force)
        if Part.SR in able and _beside(able) is None:
            write_files(wish.folder, job, case, MaskFormat.NONE, measured, force=force)
    if Part.REPORT in able:
        path = wish.folder / report.report_name(case.stack.stack_id)
        spread = None
        if interval is not None:
            spread = report.Interval(interval.low_g, interval.high_g, interval.method)
        report.write_report(
            path,
            case,
            measured,
            interval=spread,
            method=str(record.row["method"]),
            warnings=str(record.row["warnings"]).split(),
            force=force,
        )


def _beside(able: frozenset[Part]) -> Part | None:
    """Give the mask that the structured report is written with: the one it refers to."""
    return Part.SEG if Part.SEG in able else None


def _write_labels(path: Path, case: Case, force: bool) -> None:
    from scarseg.io import nifti

    nifti.write_labels(path, case.labels, case.stack, force)


def _mask_file(entry: Entry, wish: Wish) -> str:
    """Name the mask in the table: of several, the label map."""
    able = _able(entry, wish)
    endings = {Part.NIFTI: "nii.gz", Part.SEG: "seg.dcm", Part.RTSTRUCT: "rtstruct.dcm"}
    return next((f"{_stem(entry)}.{endings[part]}" for part in MASKS if part in able), "")


def _stem(entry: Entry) -> str:
    from scarseg.io.outputs import safe_name

    return safe_name(entry.stack_id)
