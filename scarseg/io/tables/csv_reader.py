"""Read tables that this or another program wrote: CSV in the forms spreadsheets save, and XLSX."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from scarseg.errors import InputError
from scarseg.io.commit import recover

MAX_BYTES = 256 * 1024 * 1024
_DELIMITERS = ",;\t"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_GROUPED = r"[+-]?[1-9]\d{0,2}(?:%s\d{3})+"
"""An integer with thousands separators: 1.234.567 or 1,234."""


@dataclass(frozen=True)
class CsvTable:
    """A table as text: ``columns`` in order, ``rows`` column to cell, blank where one is short.

    ``sheet`` is the sheet of a workbook, empty for CSV.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    sheet: str = ""


def read_tables(path: Path) -> tuple[CsvTable, ...]:
    """Read the tables of a file: one of a CSV file, one per sheet of a workbook.

    Raises:
        InputError: E_TABLE, the file cannot be read, holds no table, or names a column twice.
    """
    data = _read_bytes(path)
    return _workbook_tables(path, data) if data[:4] == b"PK\x03\x04" else (parse_csv(path, data),)


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file with a header; see :func:`parse_csv`.

    Raises:
        InputError: E_TABLE, the file cannot be read, holds no table, or names a column twice.
    """
    return parse_csv(path, _read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    recover(path.parent)  # an export that a broken disk left half done
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError("E_TABLE", f"{path} is too large for a table.", str(path))
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read as CSV: {error.strerror}."
        raise InputError("E_TABLE", message, str(path)) from error


def parse_csv(path: Path, data: bytes) -> CsvTable:
    """Parse the bytes of a CSV file; ``path`` is its name.

    Delimiter comma, semicolon or tab, also as announced by a first line ``sep=;``; UTF-8 with or
    without a byte order mark, UTF-16 with one ("Unicode text" of Excel), else Windows-1252. The
    apostrophe that protects a spreadsheet from running a cell as a formula is removed; lines
    without any cell are skipped.

    Raises:
        InputError: E_TABLE.
    """
    try:
        text = _decode(data)
        if _CONTROL.search(text):
            raise InputError("E_TABLE", f"{path} cannot be read as CSV: it is no text.", str(path))
        first, _, rest = text.partition("\n")
        announced = re.fullmatch(r"sep=(.)\r?", first, re.IGNORECASE)
        text, delimiter = (rest, announced[1]) if announced else (text, _delimiter(first))
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("E_TABLE", f"{path} cannot be read as CSV: {error}.", str(path)) from error
    return _table(path, lines)


def _decode(data: bytes) -> str:
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _table(path: Path, lines: Sequence[Sequence[str]], sheet: str = "") -> CsvTable:
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    if not lines:
        raise InputError("E_TABLE", f"{path} has no header.", str(path))
    columns = tuple(cell.strip() for cell in lines[0])
    repeated = {one for one in columns if one and columns.count(one) > 1}
    if repeated:
        raise InputError("E_TABLE", f"{path} has the column {min(repeated)} twice.", str(path))
    rows = tuple(
        {name: _unquote(cell) for name, cell in zip(columns, line, strict=False) if name}
        for line in lines[1:]
    )
    return CsvTable(path.name, columns, rows, sheet)


def _unquote(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") else cell


def _workbook_tables(path: Path, data: bytes) -> tuple[CsvTable, ...]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A small file can unpack to gigabytes.
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise InputError("E_TABLE", f"{path} is too large for a table.", str(path))
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = [(page.title, list(_lines(page.iter_rows(values_only=True)))) for page in book]
    except InputError:
        raise
    except Exception as error:  # openpyxl raises whatever its XML parser meets
        message = f"{path} cannot be read as a workbook."
        raise InputError("E_TABLE", message, str(path)) from error
    tables = tuple(_table(path, lines, title) for title, lines in sheets if lines)
    if not tables:
        raise InputError("E_TABLE", f"{path} has no header.", str(path))
    return tables


def _lines(rows: Iterable[tuple[object, ...]]) -> Iterator[list[str]]:
    for row in rows:
        line = [_cell_text(value) for value in row]
        if any(line):
            yield line


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an ID that a spreadsheet keeps as a number
    return str(value)


def number_parser(table: CsvTable, column: str) -> Callable[[str], float | None]:
    """Return the function that turns a cell of a column into a number, None for a blank cell.

    Spreadsheets write 1234.5 as "1234,5", "1.234,5" or "1,234.5", by country. The decimal mark is
    read off the whole column; a cell that stays ambiguous ("1.234" beside "2,5") is refused,
    because a guess could be wrong by a factor of 1000.

    Raises:
        InputError: E_TABLE, the column mixes decimal marks; the function, a cell is ambiguous or
            no finite number.
    """
    cells = [_without_spaces(row.get(column, "")) for row in table.rows]
    both = [cell for cell in cells if "," in cell and "." in cell]
    marks = {max(",.", key=cell.rfind) for cell in both}
    if len(marks) > 1:
        message = f"{table.name}: {column} has decimal commas and decimal points."
        raise InputError("E_TABLE", message)
    mark = marks.pop() if marks else "," if any("," in cell for cell in cells) else "."
    other = "," if mark == "." else "."

    def parse(cell: str) -> float | None:
        text = _without_spaces(cell)
        if not text:
            return None
        if re.fullmatch(_GROUPED % re.escape(other), text.partition(mark)[0]):
            if mark not in text and not both:
                message = f"{table.name}: {cell!r} in {column} is ambiguous beside decimal commas."
                raise InputError("E_TABLE", message)
            text = text.replace(other, "")
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise InputError("E_TABLE", f"{table.name}: {cell!r} in {column} is not a number.")
        return value

    return parse


def _without_spaces(cell: str) -> str:
    return re.sub(r"\s", "", cell)  # also the no-break spaces that group digits
