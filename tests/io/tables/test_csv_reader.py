"""Tables of this program and of spreadsheets are read with the numbers they show."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest

from scarseg.errors import InputError
from scarseg.io.tables.csv_reader import number_parser, parse_csv, read_csv, read_tables
from tests.agreement.tables import row, write


def parsed(text: str, encoding: str = "utf-8") -> dict[str, str]:
    (found,) = parse_csv(Path("a.csv"), text.encode(encoding)).rows
    return found


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_TABLE"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    with pytest.raises(InputError, match="E_TABLE"):
        read_csv(tmp_path / "x.csv")


def test_a_neutralised_cell_is_itself_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [row(1, -5.0, patient_id="=1+1")])
    (found,) = read_csv(path).rows
    assert found["patient_id"] == "=1+1"
    assert float(found["scar_mass_g"]) == -5


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("reader,scar_mass_g\nMüller,2.5\n", "utf-8"),
        ("\ufeffreader;scar_mass_g\r\nMüller;2.5\r\n", "utf-8"),
        ("sep=;\r\nreader;scar_mass_g\r\nMüller;2.5\r\n", "utf-8"),
        ("\ufeffsep=|\nreader|scar_mass_g\nMüller|2.5\n", "utf-8"),
        ("reader;scar_mass_g\r\nMüller;2.5\r\n", "cp1252"),
        ("reader\tscar_mass_g\r\nMüller\t2.5\r\n", "utf-16"),
    ],
)
def test_every_form_that_a_spreadsheet_saves_is_read(text: str, encoding: str) -> None:
    assert parsed(text, encoding) == {"reader": "Müller", "scar_mass_g": "2.5"}


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["2.5", "14.8995", "1e-05", ""], [2.5, 14.8995, 1e-05, None]),
        (["2,5", "3.0", "5"], [2.5, 3.0, 5.0]),
        (["10,50", "1.234,50", "-0,125"], [10.5, 1234.5, -0.125]),
        (["1.234,50", "1.234", "12.345.678"], [1234.5, 1234.0, 12345678.0]),
        (["1,234.50", "1,234", "3.0"], [1234.5, 1234.0, 3.0]),
        (["1\u202f234,5", "2,5"], [1234.5, 2.5]),
        (["2,5", "0.125"], [2.5, 0.125]),
        (["1.234", "14.899"], [1.234, 14.899]),
    ],
)
def test_numbers_are_read_in_the_form_of_their_column(
    cells: list[str], numbers: list[float | None]
) -> None:
    text = "g;x\n" + "".join(f"{cell};x\n" for cell in cells)
    table = parse_csv(Path("a.csv"), text.encode())
    parse = number_parser(table, "g")
    assert [parse(one["g"]) for one in table.rows] == numbers


@pytest.mark.parametrize(
    "cells",
    [["2,5", "1.234"], ["1.234,5", "1,234.5"], ["ten"], ["nan"], ["inf"], ["1.2.3"], ["12.34,5"]],
)
def test_an_ambiguous_cell_is_refused(cells: list[str]) -> None:
    text = "g;x\n" + "".join(f"{cell};x\n" for cell in cells)
    table = parse_csv(Path("a.csv"), text.encode())
    with pytest.raises(InputError, match="E_TABLE"):
        _ = [number_parser(table, "g")(one["g"]) for one in table.rows]


def test_the_sheets_of_a_workbook_are_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["patient_id", "scar_mass_g", "n"])
    book.active.append(["0012", 2.5, 3.0])
    book.create_sheet("more").append(["a"])
    book.create_sheet("blank")
    book.save(tmp_path / "scar.xlsx")
    first, more = read_tables(tmp_path / "scar.xlsx")
    assert first.rows == ({"patient_id": "0012", "scar_mass_g": "2.5", "n": "3"},)
    assert (more.sheet, more.columns, more.rows) == ("more", ("a",), ())


def test_a_workbook_that_is_none_or_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scar.xlsx"
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="E_TABLE"):
        read_tables(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (300 << 20))
    with pytest.raises(InputError, match="too large"):
        read_tables(path)
