"""CSV tables of any origin, read as text."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from scarseg.errors import InputError

MAX_BYTES = 256 * 1024 * 1024
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class CsvTable:
    """A table as text: ``columns`` in order, ``rows`` column to cell, blank where it is short.

    ``decimal_comma`` where semicolons part the cells: spreadsheets do so where 1,5 is a number.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    decimal_comma: bool = False


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file with a header: comma, semicolon or tab, UTF-8 with or without a mark.

    The apostrophe that keeps a spreadsheet from running a cell as a formula is taken off again;
    lines without any cell are skipped.

    Raises:
        InputError: E_TABLE, it cannot be read, is no such table, or names a column twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("E_TABLE", f"{path} is too large for a table.", str(path))
        return parse_csv(path, path.read_bytes())
    except OSError as error:
        message = f"{path} cannot be read as CSV: {error.strerror}."
        raise InputError("E_TABLE", message, str(path)) from error


def parse_csv(path: Path, data: bytes) -> CsvTable:
    """Take the bytes of a CSV file for what :func:`read_csv` reads; ``path`` is its name.

    Raises:
        InputError: E_TABLE.
    """
    try:
        text = data.decode("utf-8-sig")
        delimiter = _delimiter(text)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("E_TABLE", f"{path} cannot be read as CSV: {error}.", str(path)) from error
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise InputError("E_TABLE", f"{path} has no header.", str(path))
    columns = tuple(cell.strip() for cell in lines[0])
    doubled = {one for one in columns if one and columns.count(one) > 1}
    if doubled:
        raise InputError("E_TABLE", f"{path} has the column {min(doubled)} twice.", str(path))
    rows = tuple(
        {name: _cell_text(cell) for name, cell in zip(columns, line, strict=False) if name}
        for line in lines[1:]
    )
    return CsvTable(path.name, columns, rows, delimiter == ";")


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(_DELIMITERS, key=header.count)


def _cell_text(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") else cell
