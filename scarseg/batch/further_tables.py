"""Tables beside the main one: segments, and the comparison of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scarseg.batch.settings import ResultSettings
from scarseg.case.case import Case
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.io.tables.columns import IDENTITY_COLUMNS
from scarseg.io.tables.export import ExtraTable, Row
from scarseg.io.tables.table import StackRecord
from scarseg.quant.method_comparison import METHOD_CHOICES, compare_case_methods
from scarseg.quant.method_tables import (
    CURVE_COLUMNS,
    METHOD_COLUMNS,
    METHOD_SLICE_COLUMNS,
    curve_rows,
    method_rows,
    method_slice_rows,
)
from scarseg.quant.segment_tables import SEGMENT_COLUMNS, segment_rows
from scarseg.quant.wall_map import WallMap, map_wall, reader_insertion

if TYPE_CHECKING:
    from scarseg.report.patient import ReportInput

METHOD_TABLES = {
    "methods": METHOD_COLUMNS,
    "method_slices": METHOD_SLICE_COLUMNS,
    "curve": CURVE_COLUMNS,
}
"""Tables of a comparison of methods, beside the main one: their names and columns."""
SEGMENT_TABLE = {"segments": SEGMENT_COLUMNS}
"""The table of segments and coronary territories, which every run writes."""


def further_tables(methods: bool) -> dict[str, tuple[str, ...]]:
    """Return the names and columns of the tables beside the main one."""
    return {**SEGMENT_TABLE, **(METHOD_TABLES if methods else {})}


def collect_tables(
    rows: Sequence[Mapping[str, tuple[Row, ...]]], methods: bool
) -> tuple[ExtraTable, ...]:
    """Return the further tables of a run from the rows of every stack, by table."""
    return tuple(
        ExtraTable(name, columns, tuple(row for one in rows for row in one.get(name, ())))
        for name, columns in further_tables(methods).items()
    )


def segment_table_rows(
    case: Case,
    record: StackRecord,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    wall_map: WallMap | None = None,
) -> tuple[Row, ...]:
    """Return the rows of a case in the table of segments; none where no slice has a closed wall.

    Args:
        wall_map: of the same case and density, where it is known.
    """
    found = wall_map or map_wall(case.labels, case.stack, reader_insertion(case), density_g_per_ml)
    rows = [] if found is None else segment_rows(found, convention)
    return _identified(rows, record)


def further_rows(
    case: Case, record: StackRecord, settings: ResultSettings, report: ReportInput | None = None
) -> dict[str, tuple[Row, ...]]:
    """Return the rows of a case in the further tables, by their names.

    Args:
        report: of the same case by the same settings, whose numbers are not computed again.
    """
    stack, density = case.stack, settings.density_g_per_ml
    wall_map = None if report is None else report.wall_map
    rows = segment_table_rows(case, record, settings.convention, density, wall_map)
    tables = {"segments": rows}
    if not settings.methods:
        return tables
    if report is not None and tuple(settings.methods) == METHOD_CHOICES:
        found = report.methods
    else:
        found = compare_case_methods(case, settings.methods, density)
    return {
        **tables,
        "methods": _identified(method_rows(found, stack, settings.convention), record),
        "method_slices": _identified(method_slice_rows(found, stack), record),
        "curve": _identified(curve_rows(stack, case.labels, density), record),
    }


def _identified(rows: Sequence[Row], record: StackRecord) -> tuple[Row, ...]:
    """Return rows with the columns that identify the stack."""
    identity = {name: record.row.get(name) for name in IDENTITY_COLUMNS}
    return tuple({**identity, **row} for row in rows)
