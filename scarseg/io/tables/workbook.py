"""Tables as a spreadsheet (XLSX): numbers are numbers, shown with their unit, text is text.

The same tables give the same bytes: the workbook's dates are constant. Text that a spreadsheet
would run as a formula is written as text and marked so that editing the cell leaves it text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from math import isfinite
from typing import Any

import xlsxwriter

import scarseg
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.provenance import RESEARCH_USE
from scarseg.io.tables.table import FORMULA_STARTS

MAX_ROWS = 1_048_575
"""Rows of a sheet below its header: 2 to the power of 20 in all."""
WORKBOOK_DATE = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""In every workbook: a clock time would make two exports of the same numbers differ."""
MAX_CELL_LENGTH = 32_767
"""Characters that a cell of a spreadsheet holds."""
_WIDEST = 42
_UNITS = (
    ("_g_per_ml", '0.000" g/ml"'),
    ("_mm2", '0.0" mm²"'),
    ("_mm", '0.00" mm"'),
    ("_ml", '0.00" ml"'),
    ("_g", '0.00" g"'),
    ("_percent_lv", '0.0" %"'),
    ("_percent", '0.0" %"'),
    ("_au", "0.0"),
    ("seconds", '0.0" s"'),
)
"""How numbers are shown, by the end of their column's name; the cell holds 16 digits."""


@dataclass(frozen=True)
class Sheet:
    """One sheet: its columns and rows, in order."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Cell]]


def render_workbook(
    sheets: Sequence[Sheet],
    settings: Mapping[str, object],
    provenance: Sequence[Mapping[str, object]],
) -> bytes:
    """Render sheets, and one named ``provenance`` after them, as a workbook.

    Rows that do not fit on a sheet continue on "NAME 2" and so on; the provenance lists these.
    """
    stream = BytesIO()
    book = xlsxwriter.Workbook(
        stream,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        },
    )
    book.set_properties(
        {"title": "Scar mass", "comments": RESEARCH_USE, "author": "", "created": WORKBOOK_DATE}
    )
    writer = _Writer(book)
    pages = [page for sheet in sheets for page in _split_rows(sheet)]
    added = [page.name for page in pages if page.name not in {sheet.name for sheet in sheets}]
    if added:
        settings = {**settings, "rows_continue_on_sheets": added}
    about = Sheet("provenance", _PROVENANCE_COLUMNS, list(_provenance_rows(settings, provenance)))
    for page in (*pages, *_split_rows(about)):
        writer.write(page)
    book.close()
    return stream.getvalue()


def _split_rows(sheet: Sheet) -> Iterator[Sheet]:
    """Yield a sheet in parts that fit: spreadsheets drop further rows without a message."""
    yield Sheet(sheet.name, sheet.columns, sheet.rows[:MAX_ROWS])
    for n, start in enumerate(range(MAX_ROWS, len(sheet.rows), MAX_ROWS), start=2):
        yield Sheet(f"{sheet.name} {n}", sheet.columns, sheet.rows[start : start + MAX_ROWS])


class _Writer:
    """Writes sheets into one workbook; keeps its formats."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.header = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        self.plain = book.add_format({"num_format": "General"})
        self.marked = book.add_format({"quote_prefix": True})
        self.shown: dict[str, Any] = {}

    def write(self, sheet: Sheet) -> None:
        page = self.book.add_worksheet(sheet.name)
        for column, name in enumerate(sheet.columns):
            page.write_string(0, column, name, self.header)
            cells = [row.get(name) for row in sheet.rows]
            for number, cell in enumerate(cells, start=1):
                self._cell(page, number, column, name, cell)
            page.set_column(column, column, _width(name, cells))
        page.freeze_panes(1, 1)
        if sheet.columns and sheet.rows:
            page.autofilter(0, 0, len(sheet.rows), len(sheet.columns) - 1)
        page.set_landscape()
        page.set_paper(9)
        page.repeat_rows(0)

    def _cell(self, page: Any, row: int, column: int, name: str, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, int | float) and isfinite(cell):
            page.write_number(row, column, cell, self._format(name, cell))
            return
        text = str(cell).replace("\x00", "")[:MAX_CELL_LENGTH]
        formula = text.lstrip(" ").startswith(FORMULA_STARTS)
        page.write_string(row, column, text, self.marked if formula else self.plain)

    def _format(self, name: str, cell: int | float) -> Any:
        shown = next((how for end, how in _UNITS if name.endswith(end)), "General")
        if isinstance(cell, int) and shown == "General":
            shown = "0"
        if shown not in self.shown:
            self.shown[shown] = self.book.add_format({"num_format": shown})
        return self.shown[shown]


def _width(name: str, cells: Sequence[Cell]) -> int:
    """Return the width that fits header and cells, to a limit; numbers as wide as shown."""
    lengths = [12 if isinstance(one, int | float) else len(str(one or "")) for one in cells[:200]]
    return min(max(len(name) + 3, *lengths, 6) if lengths else len(name) + 3, _WIDEST)


_PROVENANCE_COLUMNS = ("series_uid", "part", "sop_instance_uid", "frame", "item", "value")


def _provenance_rows(
    settings: Mapping[str, object], stacks: Sequence[Mapping[str, object]]
) -> Iterator[dict[str, Cell]]:
    """Yield the rows of the sidecar: the program, the settings, then every stack and its slices."""
    yield {"item": "software", "value": f"scarseg {scarseg.__version__}"}
    yield {"item": "statement", "value": RESEARCH_USE}
    for name, value in settings.items():
        yield {"item": name, "value": _cell_value(value)}
    for stack in stacks:
        here: dict[str, Cell] = {
            name: _cell_value(stack.get(name)) for name in ("series_uid", "part")
        }
        for name, value in stack.items():
            if name not in ("series_uid", "part", "slices"):
                yield {**here, "item": name, "value": _cell_value(value)}
        slices = stack.get("slices")
        for one in slices if isinstance(slices, list) else ():
            place = {name: one.get(name) for name in ("sop_instance_uid", "frame")}
            for name, value in one.items():
                if name not in place:
                    yield {**here, **place, "item": name, "value": _cell_value(value)}


def _cell_value(value: object) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    return json.dumps(value)
