"""Measurements as CSV: one row per stack, a per-slice file and a sidecar beside it.

Numbers are written with all their digits (``repr``), text that a spreadsheet would run as a
formula gets a leading apostrophe, rows are sorted, lines end in a line feed, and the encoding
is UTF-8: the same cases give the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import scarseg
from scarseg.case.case import Case, CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import Measurements, SliceMeasurement
from scarseg.case.prompts import Origin
from scarseg.errors import OutputError
from scarseg.io.files import refuse_existing, write_files
from scarseg.io.tables.columns import COLUMNS, SLICE_COLUMNS, Cell
from scarseg.io.tables.error_sentences import error_sentence
from scarseg.io.tables.provenance import case_provenance, render_sidecar
from scarseg.io.tables.pseudonyms import pseudonym

# Spreadsheets run these, some of them the full-width forms as well.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


@dataclass(frozen=True)
class StackRecord:
    """Rows of one stack in the tables; a value that crosses processes.

    ``row`` maps columns to cells, missing ones stay blank; ``slices`` the same for the
    per-slice file; ``provenance`` goes to the sidecar.
    """

    row: Mapping[str, Cell]
    slices: tuple[Mapping[str, Cell], ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.row.get("error_code"))


class TableFiles(NamedTuple):
    """Where a table was written."""

    table: Path
    slices: Path
    sidecar: Path


def table_files(path: Path) -> TableFiles:
    """Return the three files of a table: ``scar.csv``, ``scar_slices.csv``, ``scar.json``.

    Raises:
        OutputError: E_OUTPUT_NAME, a table of this name would be its own sidecar, or no name.
    """
    if not path.name or path.suffix.lower() == ".json":
        raise OutputError("E_OUTPUT_NAME", f"{path} must be named .csv.", str(path))
    return TableFiles(
        path,
        path.with_name(f"{path.stem}_slices{path.suffix}"),
        path.with_name(f"{path.stem}.json"),
    )


def identity_cells(
    patient_id: str, study_uid: str, series_uid: str, part: str, study_date: str, identify: bool
) -> dict[str, Cell]:
    """Return the cells that name a stack; rows are sorted by them."""
    return {
        "patient_id": patient_id if identify else pseudonym(patient_id),
        "study_uid": study_uid,
        "series_uid": series_uid,
        "part": part,
        "study_date": study_date,
    }


class StackOrigin(Protocol):
    """A stack, or its summary: where it comes from."""

    @property
    def input_path(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def series_number(self) -> int | None: ...
    @property
    def manufacturer(self) -> str: ...
    @property
    def model_name(self) -> str: ...
    @property
    def field_strength_t(self) -> float | None: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def patient_name(self) -> str: ...


def origin_cells(stack: StackOrigin, identify: bool) -> dict[str, Cell]:
    """Return the cells that say where a stack comes from.

    Without ``identify`` the input is a keyed hash of its path, and the description is left out
    where it holds the patient's ID or a part of the name.
    """
    return {
        "input": input_cell(stack.input_path, identify),
        "series_description": "" if not identify and _names_patient(stack) else stack.description,
        "series_number": stack.series_number,
        "manufacturer": stack.manufacturer,
        "model_name": stack.model_name,
        "field_strength_t": stack.field_strength_t,
    }


def input_cell(path: str, identify: bool) -> str:
    """Return the path of an input, or its keyed hash: folders are often named by patients."""
    return path if identify else pseudonym(path)


def _names_patient(stack: StackOrigin) -> bool:
    text = stack.description.casefold()
    words = re.split(r"[\W_]+", stack.patient_name.casefold())
    parts = [stack.patient_id.casefold().strip(), *words]
    return any(len(part) > 1 and part in text for part in parts)


def case_record(
    case: Case, measured: Measurements, identify: bool = False, mask_file: str = ""
) -> StackRecord:
    """Return the rows of a measured case."""
    stack = case.stack
    identity = identity_cells(
        stack.patient_id, stack.study_uid, stack.series_uid, stack.part, stack.study_date, identify
    )
    seen = measured.examined
    row: dict[str, Cell] = {
        **identity,
        "sequence": str(stack.sequence),
        "n_slices": measured.n_slices,
        "n_slices_reviewed": measured.n_slices_reviewed,
        "status": export_status(case),
        "scar_mass_g": measured.scar_mass_g if seen else None,
        "mass_convention": str(measured.convention),
        "scar_mass_thickness_g": measured.scar_mass_thickness_g if seen else None,
        "scar_mass_spacing_g": measured.scar_mass_spacing_g if seen else None,
        "scar_volume_ml": measured.scar_volume_ml if seen else None,
        "scar_mass_proposed_g": measured.scar_mass_proposed_g,
        "n_slices_changed": measured.n_slices_changed,
        "mvo_mass_g": measured.mvo_mass_g,
        "lv_mass_g": measured.lv_mass_g,
        "scar_percent_lv": measured.scar_percent_lv if seen else None,
        "slice_thickness_mm": stack.slice_thickness_mm,
        "slice_thickness_source": "user" if stack.thickness_from_user else "header",
        "slice_spacing_mm": stack.slice_spacing_mm,
        "pixel_spacing_row_mm": stack.pixel_spacing_mm[0],
        "pixel_spacing_column_mm": stack.pixel_spacing_mm[1],
        "density_g_per_ml": measured.density_g_per_ml,
        "method": reading_method(case),
        "seconds": round(case.seconds, 1),
        "n_interactions": case.interactions,
        "reader": case.reader,
        "read_number": case.read_number,
        "warnings": " ".join((*measured.warnings, *_weight_warnings(case))),
        "mask_file": mask_file,
        "software_version": scarseg.__version__,
        "segmenter_sha256": case.segmenter.sha256,
        "detector_sha256": case.detector.sha256,
        "calibration_sha256": "" if case.calibration is None else case.calibration.sha256,
        **origin_cells(stack, identify),
    }
    slices = tuple(_slice_cells(identity, one, case) for one in measured.slices)
    return StackRecord(row, slices, case_provenance(case))


def error_record(identity: Mapping[str, Cell], code: str, message: str = "") -> StackRecord:
    """Return the row of a stack or study that could not be measured.

    Args:
        message: with identities; without it, the sentence that the code alone stands for.
    """
    cells = {
        **identity,
        "status": "error",
        "error_code": code,
        "error_message": message or error_sentence(code),
        "software_version": scarseg.__version__,
    }
    return StackRecord(cells)


def export_status(case: Case) -> str:
    """Return ``read`` once every slice was read and none is missing, else ``incomplete``."""
    whole = case.status is CaseStatus.READ and case.stack.complete
    return "read" if whole else "incomplete"


def reading_method(case: Case) -> str:
    """Return how far a reader took part: ``automatic``, ``prompted`` or ``edited``."""
    if any(reading.edited for reading in case.readings):
        return "edited"
    prompted = any(
        reading.prompts.points
        or reading.prompts.no_scar
        or reading.prompts.has_heart_prompts
        or any(box.origin is Origin.READER for box in reading.prompts.boxes)
        for reading in case.readings
    )
    return "prompted" if prompted else "automatic"


def render_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Cell]]) -> bytes:
    """Write rows as CSV bytes, header first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue().encode("utf-8", "replace")


def write_tables(
    path: Path, records: Sequence[StackRecord], settings: Mapping[str, object], force: bool = False
) -> TableFiles:
    """Write the table, the per-slice table and the sidecar, sorted.

    All three or none; the main file comes last: once it is there, all are.

    Raises:
        OutputError: E_EXISTS for any of the three without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    files = table_files(path)
    if not force:
        refuse_existing(files)
    write_files(render_tables(path, records, settings), force)
    return files


def render_tables(
    path: Path, records: Sequence[StackRecord], settings: Mapping[str, object]
) -> dict[Path, bytes]:
    """Return what :func:`write_tables` writes, file by file, the main one last.

    Raises:
        OutputError: E_OUTPUT_NAME.
    """
    files = table_files(path)
    ordered = sort_records(records)
    stacks = [record.provenance for record in ordered if record.provenance]
    about = render_sidecar(settings, {"columns": COLUMNS, "slice_columns": SLICE_COLUMNS}, stacks)
    slices = [row for record in ordered for row in record.slices]
    return {
        files.slices: render_csv(SLICE_COLUMNS, slices),
        files.sidecar: about,
        files.table: render_csv(COLUMNS, [one.row for one in ordered]),
    }


def sort_records(records: Sequence[StackRecord]) -> list[StackRecord]:
    """Sort records by patient, study date, series and part; all cells break ties."""
    return sorted(records, key=_order)


def _order(record: StackRecord) -> tuple[str, ...]:
    keys = ("patient_id", "study_date", "study_uid", "series_uid", "part", *COLUMNS)
    return tuple(str(record.row.get(key, "")) for key in keys)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int):
        return str(value)
    text = value.replace("\x00", "")
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def _slice_cells(
    identity: Mapping[str, Cell], one: SliceMeasurement, case: Case
) -> dict[str, Cell]:
    cells: dict[str, Cell] = {name: getattr(one, name) for name in SLICE_COLUMNS[5:-4]}
    if one.status is SliceStatus.UNSEEN and not one.n_infarct_voxels:
        # Zero would stand for "no scar": nobody has looked.
        cells.update(
            dict.fromkeys(
                (
                    "n_infarct_voxels",
                    "scar_area_mm2",
                    "scar_mass_thickness_g",
                    "scar_mass_spacing_g",
                )
            )
        )
    return {
        **identity,
        **cells,
        "status": str(one.status),
        "changed": "" if one.changed is None else "yes" if one.changed else "no",
        "seconds": round(case.slice_seconds[one.slice_index], 1),
        "n_interactions": case.slice_interactions[one.slice_index],
    }


def _weight_warnings(case: Case) -> list[str]:
    unknown = any(one.sha256 and not one.verified for one in (case.segmenter, case.detector))
    return ["W_UNVERIFIED_WEIGHTS"] if unknown else []
