"""A workbook holds what the tables hold: numbers as numbers, text as text, the same bytes."""

from __future__ import annotations

import time
from io import BytesIO
from zipfile import ZipFile

import pytest
from openpyxl import load_workbook

from scarseg.io.tables import workbook
from scarseg.io.tables.workbook import Sheet, render_workbook

COLUMNS = ("patient_id", "scar_mass_g", "scar_percent_lv", "n_slices", "warnings")
ROWS = (
    {"patient_id": "0042", "scar_mass_g": 12.345678901234567, "scar_percent_lv": 9.5,
     "n_slices": 11, "warnings": "W_GAP"},
    {"patient_id": "=cmd|'/c calc'!A1", "scar_mass_g": 0.0, "n_slices": 3, "warnings": "@SUM(1)"},
)  # fmt: skip
SETTINGS = {"density_g_per_ml": 1.05, "series": [], "identify": False}
STACKS = (
    {
        "series_uid": "1.2.3",
        "part": "",
        "segmenter": {"name": "seg", "sha256": "ab"},
        "slices": [{"sop_instance_uid": "1.2.3.1", "frame": None, "file_sha256": "cd"}],
    },
)


def rendered() -> bytes:
    return render_workbook([Sheet("patients", COLUMNS, ROWS)], SETTINGS, STACKS)


def test_numbers_are_numbers_with_sixteen_digits() -> None:
    page = load_workbook(BytesIO(rendered()))["patients"]
    assert [cell.value for cell in page[1]] == list(COLUMNS)
    assert page["B2"].value == pytest.approx(12.345678901234567, rel=1e-15)
    assert page["B2"].number_format == '0.00" g"'
    assert page["C2"].number_format == '0.0" %"'
    assert (page["D2"].value, page["D2"].data_type) == (11, "n")
    assert (page["A2"].value, page["A2"].data_type) == ("0042", "s"), "no number made of text"
    assert page["C3"].value is None, "blank, not zero"
    assert page["B3"].value == 0


def test_what_looks_like_a_formula_stays_text() -> None:
    page = load_workbook(BytesIO(rendered()))["patients"]
    for cell in (page["A3"], page["E3"]):
        assert cell.data_type == "s"
        assert cell.quotePrefix
    assert page["A3"].value == ROWS[1]["patient_id"]
    assert b"<f>" not in ZipFile(BytesIO(rendered())).read("xl/worksheets/sheet1.xml")


def test_the_header_stays_in_sight() -> None:
    page = load_workbook(BytesIO(rendered()))["patients"]
    assert page.freeze_panes == "B2"
    assert page.column_dimensions["A"].width >= len("patient_id")
    assert page["A1"].font.bold


def test_provenance_says_where_numbers_come_from() -> None:
    page = load_workbook(BytesIO(rendered()))["provenance"]
    told = {row[4]: row[5] for row in page.iter_rows(min_row=2, values_only=True)}
    assert told["density_g_per_ml"] == 1.05
    assert told["statement"] == "For research use only. Not a medical device."
    assert told["file_sha256"] == "cd"
    assert "ab" in str(told["segmenter"])


@pytest.mark.parametrize("wait_s", [2.1])
def test_the_same_tables_give_the_same_bytes(wait_s: float) -> None:
    first = rendered()
    time.sleep(wait_s)  # a zip keeps times to two seconds
    assert rendered() == first


def test_rows_that_do_not_fit_continue_on_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    sheet = Sheet("slices", ("n",), [{"n": n} for n in range(7)])
    book = load_workbook(BytesIO(render_workbook([sheet], {}, [])))
    names = ["slices", "slices 2", "slices 3"]
    assert book.sheetnames[:3] == names
    rows = [list(book[name].iter_rows(values_only=True)) for name in names]
    assert [page[0] for page in rows] == [("n",)] * 3
    assert [cell for page in rows for (cell,) in page[1:]] == list(range(7))
    cells = [row for page in book.worksheets[3:] for row in page.iter_rows(values_only=True)]
    (told,) = [row[5] for row in cells if row[4] == "rows_continue_on_sheets"]
    assert told == '["slices 2", "slices 3"]'


def test_a_sheet_has_the_rows_that_a_spreadsheet_opens() -> None:
    assert workbook.MAX_ROWS + 1 == 2**20
