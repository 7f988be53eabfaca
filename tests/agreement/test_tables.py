"""``scarseg agree``: the command, its statistics, pages and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli
from scarseg.agreement.summary import CSV_NAME, HTML_NAME, JSON_NAME, PDF_NAME
from scarseg.io.tables.columns import COLUMNS
from scarseg.io.tables.csv_reader import read_csv
from scarseg.io.tables.export import ExtraTable, write_export
from scarseg.io.tables.table import StackRecord, render_csv
from scarseg.quant.agreement import agreement
from tests.agreement.tables import row, two_readings, write


def numbers(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert cli.main(["agree", *words, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_table_is_printed_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two_readings(tmp_path)
    assert cli.main(["agree", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    for name in ("bias (A - B), g", "limit of agreement", "Lin's CCC", "ICC(2,1)", "Wilcoxon"):
        assert name in out
    assert sorted(one.name for one in tmp_path.iterdir()) == ["A.csv", "B.csv"]


def test_json_holds_what_the_statistics_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two_readings(tmp_path)
    found = numbers(capsys, str(a), str(b))
    masses = [[float(one["scar_mass_g"]) for one in read_csv(path).rows] for path in (a, b)]
    expected = agreement(*masses)
    got = found["agreement"]
    assert isinstance(got, dict)
    assert got["bland_altman"]["bias"] == pytest.approx(expected.bland_altman.bias)
    assert got["bland_altman"]["bias"] == pytest.approx(np.mean(masses[0]) - np.mean(masses[1]))
    assert expected.concordance is not None
    assert got["concordance"]["ccc"] == pytest.approx(expected.concordance.ccc)
    pairs = found["pairs"]
    assert isinstance(pairs, list)
    differences = sorted(x - y for x, y in zip(*masses, strict=True))
    assert sorted(one["difference"] for one in pairs) == differences
    assert found["unit"] == "g"


def test_rows_without_a_partner_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.csv", [row(1, 5.0), row(2, 4.0), row(7, 1.0)])
    b = write(tmp_path / "b.csv", [row(1, 5.5), row(2, 3.0), row(8, 1.0), row(9, None)])
    assert cli.main(["agree", str(a), str(b)]) == 0
    err = capsys.readouterr().err
    assert "1 of a.csv has no partner in b.csv: 1.2.7." in err
    assert "2 of b.csv has no partner in a.csv: 1.2.8, 1.2.9." in err


def test_a_table_of_another_program_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.csv", [row(1, 5.0), row(2, 4.0), row(3, 1.0)])
    b = tmp_path / "b.csv"
    b.write_text("﻿patient_id;infarct\npatient03;2,5\npatient01;5\n\npatient02;3.0\n")
    found = numbers(capsys, str(a), str(b), "--column-b", "infarct", "--key", "patient_id")
    pairs = found["pairs"]
    assert isinstance(pairs, list)
    assert [(one["a"], one["b"]) for one in pairs] == [(5, 5), (4, 3), (1, 2.5)]


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("series_uid,scar_mass_g\n1.2.1,ten\n", [], "E_TABLE"),
        ("series_uid,scar_mass_g\n1.2.1,nan\n", [], "E_TABLE"),
        ("series_uid,scar_mass_g\n1.2.1,1\n1.2.1,2\n", [], "E_TABLE"),
        ("series_uid,scar_mass_g,scar_mass_g\n1.2.1,1,1\n", [], "E_TABLE"),
        ("series_uid,mass\n1.2.1,1\n", [], "E_TABLE"),
        ("uid,scar_mass_g\n1.2.1,1\n", [], "E_TABLE"),
        ("series_uid,scar_mass_g\n9.9,1\n", [], "E_PAIRS"),
        ("series_uid,scar_mass_g\n1.2.1,\n", [], "E_PAIRS"),
        ("", [], "E_TABLE"),
    ],
)
def test_bad_tables_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str], code: str
) -> None:
    a = write(tmp_path / "a.csv", [row(1, 5.0)])
    b = tmp_path / "b.csv"
    b.write_text(text)
    assert cli.main(["agree", str(a), str(b), *words]) == 1
    assert capsys.readouterr().err.startswith(code)


def test_different_settings_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = write(tmp_path / "a.csv", [row(1, 5.0), row(2, 4.0, status="incomplete")])
    b = write(tmp_path / "b.csv", [row(1, 5.0, mass_convention="spacing"), row(2, 4.0)])
    assert cli.main(["agree", str(a), str(b)]) == 0
    err = capsys.readouterr().err
    assert "1 of 2 pairs have different mass conventions." in err
    assert "1 of 2 stacks were not read to the end in a.csv." in err


def test_strata_by_size_and_by_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = two_readings(tmp_path)
    found = numbers(capsys, str(a), str(b), "--strata", "sequence")
    parts = found["strata"]
    assert isinstance(parts, list)
    assert [one["n"] for one in parts] == [4, 4, 4, 6, 6]
    assert [one["name"] for one in parts[3:]] == ["sequence: magnitude", "sequence: psir"]
    pairs = found["pairs"]
    assert isinstance(pairs, list)
    means = sorted((one["a"] + one["b"]) / 2 for one in pairs)
    smallest = [one for one in pairs if (one["a"] + one["b"]) / 2 <= means[3]]
    bias = np.mean([one["difference"] for one in smallest])
    assert parts[0]["bias"] == pytest.approx(bias)


def test_a_folder_holds_html_pdf_json_and_pairs(tmp_path: Path) -> None:
    a, b = two_readings(tmp_path)
    folder = tmp_path / "out"
    words = ["agree", str(a), str(b), "-o", str(folder)]
    assert cli.main(words) == 0
    assert {one.name for one in folder.iterdir()} == {HTML_NAME, PDF_NAME, JSON_NAME, CSV_NAME}
    page = (folder / HTML_NAME).read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert str(tmp_path) not in page
    assert (folder / PDF_NAME).read_bytes().startswith(b"%PDF")
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    assert cli.main(words) == 1
    assert cli.main([*words, "--force"]) == 0
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["page.html", "page.pdf", "page.json"])
def test_the_suffix_chooses_the_format(tmp_path: Path, name: str) -> None:
    a, b = two_readings(tmp_path)
    assert cli.main(["agree", str(a), str(b), "-o", str(tmp_path / name)]) == 0
    start = {"html": b"<!DOCTYPE", "pdf": b"%PDF", "json": b"{"}[name.split(".")[1]]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_table_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = two_readings(tmp_path)
    assert cli.main(["agree", str(a), str(b), "-o", str(a), "--force"]) == 1
    assert "E_OUTPUT_NAME" in capsys.readouterr().err


def test_two_patients_are_few_but_no_error(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", [row(1, 5.0)])
    b = write(tmp_path / "b.csv", [row(1, 5.0)])
    assert cli.main(["agree", str(a), str(b), "-o", str(tmp_path / "one.pdf")]) == 0
    a = write(tmp_path / "a.csv", [row(1, 0.0), row(2, 0.0)])
    b = write(tmp_path / "b.csv", [row(1, 0.0), row(2, 0.0)])
    assert cli.main(["agree", str(a), str(b), "-o", str(tmp_path / "two.html")]) == 0


def test_printing_loads_no_matplotlib_and_no_torch(tmp_path: Path) -> None:
    a, b = two_readings(tmp_path)
    code = (
        "import sys; from scarseg import cli; "
        f"cli.main(['agree', {str(a)!r}, {str(b)!r}]); "
        "sys.exit(any(one in sys.modules for one in ('matplotlib', 'torch', 'PyQt6')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_name_is_neither_mathematics_nor_markup(tmp_path: Path) -> None:
    a, b = two_readings(tmp_path)
    a = a.rename(tmp_path / r"$\frac <b>&.csv")
    for name in ("page.html", "page.pdf"):
        assert cli.main(["agree", str(a), str(b), "-o", str(tmp_path / name)]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<b>" not in page
    assert r"$\frac &lt;b&gt;&amp;.csv" in page


def methods_table(path: Path, masses: dict[tuple[str, str, str], float]) -> Path:
    """Write a table of threshold methods: grams by series, method and scope."""
    columns = ("patient_id", "series_uid", "part", "method", "threshold_scope", "scar_mass_g")
    rows = [
        {
            "patient_id": f"p{uid}",
            "series_uid": uid,
            "method": method,
            "threshold_scope": scope,
            "scar_mass_g": grams,
        }
        for (uid, method, scope), grams in masses.items()
    ]
    path.write_bytes(render_csv(columns, rows))
    return path


MASSES = {
    ("1.2.1", "sd5", "slice"): 4.0,
    ("1.2.1", "sd5", "stack"): 40.0,
    ("1.2.1", "fwhm_max", "slice"): 7.0,
    ("1.2.2", "sd5", "slice"): 3.0,
    ("1.2.2", "sd5", "stack"): 30.0,
    ("1.2.2", "fwhm_max", "slice"): 5.0,
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--method", "sd5"], [(5, 4), (4, 3)]),
        (["--method", "sd5", "--scope", "stack"], [(5, 40), (4, 30)]),
        (["--method", "fwhm_max"], [(5, 7), (4, 5)]),
    ],
)
def test_a_table_of_methods_is_compared_by_one_method(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    expected: list[tuple[float, float]],
) -> None:
    a = write(tmp_path / "scar.csv", [row(1, 5.0), row(2, 4.0)])
    b = methods_table(tmp_path / "scar_methods.csv", MASSES)
    pairs = numbers(capsys, str(a), str(b), *words)["pairs"]
    assert isinstance(pairs, list)
    assert [(one["a"], one["b"]) for one in pairs] == expected


def test_two_methods_of_one_table_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = str(methods_table(tmp_path / "scar_methods.csv", MASSES))
    found = numbers(capsys, table, table, "--method", "sd5", "--method-b", "fwhm_max")
    pairs = found["pairs"]
    assert isinstance(pairs, list)
    assert [(one["a"], one["b"]) for one in pairs] == [(4, 7), (3, 5)]
    assert (found["a"], found["b"]) == ("scar_methods.csv (sd5)", "scar_methods.csv (fwhm_max)")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "choose one with --method: fwhm_max, sd5"),
        (["--method", "otsu"], "no row of the method otsu by slice"),
    ],
)
def test_a_method_that_is_not_in_the_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    a = write(tmp_path / "scar.csv", [row(1, 5.0)])
    b = methods_table(tmp_path / "scar_methods.csv", MASSES)
    assert cli.main(["agree", str(a), str(b), *words]) == 1
    assert reason in capsys.readouterr().err


def test_a_method_needs_a_table_of_methods(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two_readings(tmp_path)
    assert cli.main(["agree", str(a), str(b), "--method", "sd5"]) == 1
    assert "lists threshold methods" in capsys.readouterr().err


def test_the_sheets_of_a_workbook_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = StackRecord({**dict.fromkeys(COLUMNS), **row(1, 5.0)}, [], {})
    columns = ("method", "threshold_scope", "scar_mass_g")
    identity = {"patient_id": "patient01", "series_uid": "1.2.1"}
    cells = {"method": "sd5", "threshold_scope": "slice", "scar_mass_g": 4.25}
    methods = ExtraTable("methods", columns, ({**identity, **cells},))
    book = tmp_path / "scar.xlsx"
    write_export(book, [record], {}, [methods])
    table = write(tmp_path / "b.csv", [row(1, 4.5)])
    pairs = numbers(capsys, str(book), str(table))["pairs"]
    assert isinstance(pairs, list)
    assert [(one["a"], one["b"]) for one in pairs] == [(5, 4.5)]
    pairs = numbers(capsys, str(table), str(book), "--method", "sd5")["pairs"]
    assert isinstance(pairs, list)
    assert [(one["a"], one["b"]) for one in pairs] == [(4.5, 4.25)]
