"""All tables of a run at once: CSV files, a workbook, or both; all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scarseg.io.files import refuse_existing, write_files
from scarseg.io.tables.columns import COLUMNS, IDENTITY_COLUMNS, SLICE_COLUMNS, Cell
from scarseg.io.tables.table import (
    StackRecord,
    render_csv,
    render_tables,
    sort_records,
    table_files,
)

Row = Mapping[str, Cell]

WORKBOOK = ".xlsx"


@dataclass(frozen=True)
class ExtraTable:
    """A table beside the main one; ``name`` is its sheet and the end of its file's name.

    ``columns`` without those of ``IDENTITY_COLUMNS``; ``rows`` hold both. ``sheet`` says whether a
    workbook has it too.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    sheet: bool = True


def export_files(path: Path, workbook: bool, extra: Sequence[str] = ()) -> list[Path]:
    """Return the files that an export writes, the main file last.

    ``scar.csv``: that table, ``scar_slices.csv``, ``scar.json``, a ``scar_NAME.csv`` for each
    extra table, and with ``workbook`` ``scar.xlsx``. ``scar.xlsx``: the workbook alone.

    Raises:
        OutputError: E_OUTPUT_NAME, see :func:`scarseg.io.tables.table.table_files`.
    """
    if path.suffix.lower() == WORKBOOK:
        return [path]
    files = table_files(path)
    more = [path.with_name(f"{path.stem}_{name}{path.suffix}") for name in extra]
    more += [path.with_suffix(WORKBOOK)] if workbook else []
    return [*more, *reversed(files)]


def write_export(
    path: Path,
    records: Sequence[StackRecord],
    settings: Mapping[str, object],
    extra: Sequence[ExtraTable] = (),
    workbook: bool = False,
    force: bool = False,
) -> list[Path]:
    """Write all tables of a run, sorted; the same records give the same bytes.

    Raises:
        OutputError: E_EXISTS for any of the files without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    files = export_files(path, workbook, [one.name for one in extra])
    if not force:
        refuse_existing(files)
    ordered = {one.name: _in_order(one) for one in extra}
    contents: dict[Path, bytes] = {}
    alone = path.suffix.lower() == WORKBOOK
    if not alone:
        for one in extra:
            file = path.with_name(f"{path.stem}_{one.name}{path.suffix}")
            contents[file] = render_csv((*IDENTITY_COLUMNS, *one.columns), ordered[one.name])
    if alone or workbook:
        from scarseg.io.tables.workbook import Sheet, render_workbook

        sorted_records = sort_records(records)
        sheets = [
            Sheet("patients", COLUMNS, [one.row for one in sorted_records]),
            Sheet("slices", SLICE_COLUMNS, [row for one in sorted_records for row in one.slices]),
            *(
                Sheet(one.name, (*IDENTITY_COLUMNS, *one.columns), ordered[one.name])
                for one in extra
                if one.sheet
            ),
        ]
        provenance = [one.provenance for one in sorted_records if one.provenance]
        book = path if alone else path.with_suffix(WORKBOOK)
        contents[book] = render_workbook(sheets, settings, provenance)
    if not alone:
        contents |= render_tables(path, records, settings)
    write_files(contents, force)
    return files


def _in_order(one: ExtraTable) -> list[Row]:
    """Sort by the stack; rows of one stack stay in the order they came in."""
    keys = ("patient_id", "study_date", "study_uid", "series_uid", "part")
    return sorted(one.rows, key=lambda row: tuple(str(row.get(key, "")) for key in keys))
