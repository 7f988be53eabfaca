"""``scarseg follow``: case files of two points in time, paired by patient, to tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from scarseg.agreement.follow import DatedStudy, MassChange, pair_studies
from scarseg.agreement.follow_page import page_name, render_page
from scarseg.agreement.follow_study import (
    MeasuredStudy,
    StudyComparison,
    compare_studies,
    measure_study,
)
from scarseg.case.measurements import MassConvention
from scarseg.errors import InputError, ScarsegError
from scarseg.io import dicom
from scarseg.io.casefile import last_position, library, store
from scarseg.io.casefile.library import CaseFile
from scarseg.io.dicom.types import StackSummary
from scarseg.io.files import refuse_existing, refuse_inputs, require_writable, write_files
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.error_sentences import error_sentence
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.io.tables.table import render_csv
from scarseg.models import Models
from scarseg.progress import Progress

ProgressBar = Callable[[str], AbstractContextManager[Progress]]
Row = Mapping[str, Cell]

_STUDY = ("study_uid", "series_uid", "part", "study_date", "status")
_CHANGE = ("change_g", "change_low_g", "change_high_g", "smallest_change_g", "beyond_repeatability")
FOLLOW_COLUMNS = (
    "patient_id",
    *(f"{name}_{when}" for when in ("earlier", "later") for name in _STUDY),
    "days_between",
    "mass_convention",
    *(f"scar_mass_{when}{end}_g" for when in ("earlier", "later") for end in ("", "_low", "_high")),
    *_CHANGE,
    "change_percent",
    "lv_mass_earlier_g",
    "lv_mass_later_g",
    "warnings",
    "error_code",
    "error_message",
)
"""One row per pair of studies."""
FOLLOW_SEGMENT_COLUMNS = (
    "patient_id",
    "series_uid_earlier",
    "series_uid_later",
    "region",
    "scar_mass_earlier_g",
    "scar_mass_later_g",
    *_CHANGE,
)
"""One row per pair and region: segments 1 to 17, LAD, RCA, LCX."""


@dataclass(frozen=True)
class FollowOutput:
    """Files written, notes to print, and how many pairs there are and failed."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    n_pairs: int
    n_failed: int


@dataclass(frozen=True)
class _CaseOnImages:
    """A case file and the stack that it was read on."""

    file: CaseFile
    summary: StackSummary


def follow_up(
    options: argparse.Namespace, load_models: Callable[[], Models], bar: ProgressBar
) -> FollowOutput:
    """Compare the case files of two points in time.

    Args:
        options: of ``scarseg follow``.
        load_models: called once, for the intervals.
        bar: opens a progress bar with a title.

    Raises:
        InputError: E_INPUT_MISSING, no case file or no images; E_PAIRS, no patient has two
            studies; OutputError: E_EXISTS, E_WRITE; WeightsError.
    """
    files = [options.output, _segments(options.output)]
    refuse_inputs(files, [options.earlier, options.later])
    if not options.force:
        refuse_existing(files)
    if options.report is not None:
        require_writable(options.report / "page")
    with bar("Reading headers") as progress:
        stacks = dicom.scan(_images(options.dicom), progress).stacks
    notes: list[str] = []
    earlier = _cases(options.earlier, stacks, notes)
    later = _cases(options.later, stacks, notes)
    pairs, alone = pair_studies(_dated(earlier), _dated(later))
    notes += [f"Series {stack_id} has no partner" for stack_id in alone]
    if not pairs:
        raise InputError("E_PAIRS", "No patient has a case in both: see the lines above.")
    if options.report is not None and not options.force:
        refuse_existing([options.report / page_name(after.stack_id) for _, after in pairs])
    models = load_models() if options.interval else None
    rows: list[Row] = []
    segments: list[Row] = []
    contents: dict[Path, bytes] = {}
    with bar("Comparing") as progress:
        for n, (before, after) in enumerate(pairs):
            progress(n / len(pairs), f"Patient {n + 1} of {len(pairs)}")
            pair = (earlier[before.place], later[after.place])
            row, found = _compare(pair, options, models, notes)
            rows.append(row)
            if found is None:
                continue
            segments += _segment_rows(row, found)
            if options.report is not None:
                page = options.report / page_name(found.later.case.stack.stack_id)
                contents[page] = render_page(found, options.identify)
    contents |= {
        files[1]: render_csv(FOLLOW_SEGMENT_COLUMNS, segments),
        files[0]: render_csv(FOLLOW_COLUMNS, rows),
    }
    pages = [path for path in contents if path not in files]
    write_files(contents, options.force)
    n_failed = sum(bool(row.get("error_code")) for row in rows)
    return FollowOutput((*files, *pages), tuple(notes), len(rows), n_failed)


def _segments(path: Path) -> Path:
    return path.with_name(f"{path.stem}_segments{path.suffix}")


def _images(given: Sequence[Path]) -> list[Path]:
    last = last_position.load_last_folder(store.default_folder())
    folders = list(given) or [one for one in (last,) if one is not None]
    if not folders:
        message = "Name the folder that holds the images with --dicom DIR."
        raise InputError("E_INPUT_MISSING", message)
    return folders


def _cases(path: Path, stacks: Sequence[StackSummary], notes: list[str]) -> list[_CaseOnImages]:
    """Return the case files of a path whose images are here; add notes about the others."""
    found = library.find_case_files([path])
    notes += found.notes
    if not path.exists() or not found.cases:
        raise InputError("E_INPUT_MISSING", f"There is no case file in {path}.", str(path))
    summaries = {(one.stack_id, one.study_uid): one for one in stacks}
    cases = []
    for file in found.cases:
        summary = summaries.get((file.stack_id, file.study_uid))
        if summary is None:
            notes.append(f"E_IMAGES: the images of series {file.stack_id} are not here")
        else:
            cases.append(_CaseOnImages(file, summary))
    return cases


def _dated(cases: Sequence[_CaseOnImages]) -> list[DatedStudy]:
    return [
        DatedStudy(
            one.summary.patient_id.strip(),
            one.summary.study_date,
            one.summary.stack_id,
            place,
            one.summary.patient,
        )
        for place, one in enumerate(cases)
    ]


def _compare(
    pair: tuple[_CaseOnImages, _CaseOnImages],
    options: argparse.Namespace,
    models: Models | None,
    notes: list[str],
) -> tuple[Row, StudyComparison | None]:
    """Return the row of a pair and what it was made of; a failure is its row."""
    patient = pair[0].summary.patient_id
    identity: dict[str, Cell] = {
        "patient_id": patient if options.identify else pseudonym(patient.strip())
    }
    for when, one in zip(("earlier", "later"), pair, strict=True):
        for name in _STUDY[:-1]:
            identity[f"{name}_{when}"] = getattr(one.summary, name)
    try:
        before, after = (_measure(one, options, models) for one in pair)
    except ScarsegError as error:
        notes.append(f"{error.code}: series {pair[1].summary.stack_id}: {error.message}")
        message = error.message if options.identify else error_sentence(error.code)
        return {**identity, "error_code": error.code, "error_message": message}, None
    found = compare_studies(before, after)
    row: dict[str, Cell] = {
        **identity,
        "days_between": found.days_between,
        "mass_convention": options.mass,
        **_change_cells(found.change),
        "change_percent": found.change_percent,
        "warnings": " ".join(dict.fromkeys((*before.measured.warnings, *after.measured.warnings))),
    }
    for when, study in (("earlier", before), ("later", after)):
        row |= {
            f"status_{when}": str(study.case.status),
            f"scar_mass_{when}_g": study.mass.mass_g,
            f"scar_mass_{when}_low_g": study.mass.low_g,
            f"scar_mass_{when}_high_g": study.mass.high_g,
            f"lv_mass_{when}_g": study.measured.lv_mass_g,
        }
    return row, found


def _segment_rows(row: Row, found: StudyComparison) -> list[Row]:
    names = ("patient_id", "series_uid_earlier", "series_uid_later")
    earlier, later = found.earlier.regions, found.later.regions
    return [
        {
            **{name: row[name] for name in names},
            "region": region,
            "scar_mass_earlier_g": earlier[region].scar_g,
            "scar_mass_later_g": later[region].scar_g,
            **_change_cells(change),
        }
        for region, change in found.regions.items()
    ]


def _measure(
    one: _CaseOnImages, options: argparse.Namespace, models: Models | None
) -> MeasuredStudy:
    stack = dicom.read_stack(one.summary, one.file.thickness_mm)
    case = store.read_case(one.file.path, stack).case
    return measure_study(case, MassConvention(options.mass), options.density, models)


def _change_cells(change: MassChange) -> dict[str, Cell]:
    beyond = "" if change.beyond is None else "yes" if change.beyond else "no"
    values = (change.change_g, change.low_g, change.high_g, change.smallest_change_g, beyond)
    return dict(zip(_CHANGE, values, strict=True))
