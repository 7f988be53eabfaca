"""``--methods`` and workbooks, in batch and measure alike, with fake models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from scarseg import cli
from scarseg.io.tables.columns import COLUMNS
from tests.cohorts import rows_of, spoil, write
from tests.fakes import load_fakes
from tests.report.pdf_text import text_of

Run = Callable[..., int]
TABLES = ["scar.csv", "scar.json", "scar_segments.csv", "scar_slices.csv"]
METHODS = ["scar_curve.csv", "scar_method_slices.csv", "scar_methods.csv"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    return lambda *words: cli.main([*map(str, words)])


def tree(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_methods_stand_beside_the_table(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    assert run("batch", data, "-o", out / "scar.csv", "--methods", "all") == 0
    assert sorted(tree(out)) == sorted(TABLES + METHODS)
    rows = {row["series_uid"]: row for row in rows_of(out / "scar.csv")}
    methods = rows_of(out / "scar_methods.csv")
    assert {row["series_uid"] for row in methods} == set(rows) == {"1.2.1.1", "1.2.2.1"}
    for row in methods:
        mine = rows[row["series_uid"]]
        assert row["patient_id"] == mine["patient_id"]
        assert row["mass_convention"] == "thickness"
        if row["method"] == "segmentation":
            assert row["scar_mass_g"] == mine["scar_mass_g"]
            percent = float(mine["scar_percent_lv"])
            assert float(row["scar_percent_lv"]) == pytest.approx(percent)
        if row["method"] == "sd5":  # the phantom has no noise: any threshold finds it
            assert row["scar_mass_g"] == mine["scar_mass_g"]
            assert row["reference_region"] == "proposed (median and MAD)"
    slices = rows_of(out / "scar_method_slices.csv")
    assert {row["slice_index"] for row in slices} == set("01234")


def test_segments_add_up_to_the_mass_of_the_table(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    assert run("batch", data, "-o", out / "scar.csv", "--mass", "spacing") == 0
    for mine in rows_of(out / "scar.csv"):
        rows = {
            row["region"]: row
            for row in rows_of(out / "scar_segments.csv")
            if row["series_uid"] == mine["series_uid"]
        }
        segments = [str(n) for n in range(1, 17)]  # no slice of the phantom is an apical cap
        arteries = ["LAD", "RCA", "LCX"]
        assert list(rows) == [*segments, *arteries, "outside", "total"]
        for convention in ("thickness", "spacing"):
            column = f"scar_mass_{convention}_g"
            total = float(mine[column])
            assert total > 0
            assert float(rows["total"][column]) == pytest.approx(total)
            for parts in (segments, arteries):
                grams = sum(float(rows[name][column]) for name in (*parts, "outside"))
                assert grams == pytest.approx(total)
        assert {row["patient_id"] for row in rows.values()} == {mine["patient_id"]}
        percent = 100 * float(rows["total"]["scar_mass_spacing_g"])
        percent /= float(rows["total"]["lv_mass_spacing_g"])
        assert float(rows["total"]["scar_percent"]) == pytest.approx(percent)
        assert {row["insertion_source"] for row in rows.values()} <= {"image", "orientation"}


def test_only_the_methods_asked_for(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    assert run("batch", data, "-o", out / "scar.csv", "--methods", "sd5,Yan") == 0
    names = {row["method"] for row in rows_of(out / "scar_methods.csv")}
    assert names == {"segmentation", "sd5", "yan_core", "yan_grey"}
    assert run("batch", data, "-o", out / "b.csv", "--methods", "none") == 0
    assert not (out / "b_methods.csv").exists()


def test_an_unknown_method_is_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        run("batch", tmp_path, "-o", tmp_path / "scar.csv", "--methods", "sd7")
    assert "fwhm_remote" in capsys.readouterr().err


def test_tables_are_the_same_for_any_number_of_jobs(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "in", 1, 2, 3)
    words = ("--methods", "sd2,otsu,roes", "--xlsx")
    for jobs in (1, 2):
        table = tmp_path / f"out{jobs}" / "scar.csv"
        assert run("batch", data, "-o", table, "--jobs", jobs, *words) == 0
    assert tree(tmp_path / "out1") == tree(tmp_path / "out2")


def test_a_workbook_holds_the_tables(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    spoil(data / "p2", "PixelSpacing", None)
    words = ("--methods", "all", "--xlsx")
    assert run("batch", data, "-o", out / "scar.csv", *words) == 2
    assert sorted(tree(out)) == sorted([*TABLES, *METHODS, "scar.xlsx"])
    book = load_workbook(out / "scar.xlsx")
    assert book.sheetnames == ["patients", "slices", "segments", "methods", "method_slices",
                               "curve", "provenance"]  # fmt: skip
    for sheet, file in (("patients", "scar"), ("slices", "scar_slices"), ("segments",
                        "scar_segments"), ("methods", "scar_methods")):  # fmt: skip
        written = rows_of(out / f"{file}.csv")
        header, *rows = book[sheet].iter_rows(values_only=True)
        assert list(header) == list(written[0])
        assert len(rows) == len(written)
        for row, line in zip(rows, written, strict=True):
            for value, text in zip(row, line.values(), strict=True):
                if isinstance(value, int | float):
                    assert float(text) == pytest.approx(value, rel=1e-15)
                else:
                    assert text == (value or "")
    place = COLUMNS.index("error_code")
    codes = {row[place] for row in book["patients"].iter_rows(values_only=True)}
    assert "E_SPACING" in codes


def test_a_workbook_alone(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    assert run("batch", data, "-o", out / "scar.xlsx") == 0
    assert sorted(tree(out)) == ["scar.xlsx"]
    before = tree(out)
    assert run("batch", data, "-o", out / "scar.xlsx") == 1
    assert tree(out) == before
    assert run("batch", data, "-o", out / "scar.xlsx", "--force") == 0
    assert tree(out) == before, "the same input gives the same bytes"


@pytest.mark.parametrize("name", ["scar.xlsx", "scar_methods.csv", "scar_curve.csv"])
def test_no_output_is_replaced_unasked(
    name: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    words = ("batch", data, "-o", out / "scar.csv", "--methods", "all", "--xlsx")
    assert run(*words) == 1
    assert "E_EXISTS" in capsys.readouterr().err
    assert tree(out) == {name: b"mine"}


def test_masks_made_elsewhere_are_compared_too(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    words = ("--methods", "fwhm_remote", "--xlsx")
    assert run("batch", data, "-o", out / "a.csv", "--masks", out / "m", *words) == 0
    assert run("measure", out / "m", "--dicom", data, "-o", out / "b.csv", *words) == 0
    for end in ("methods", "method_slices", "curve"):
        assert (out / f"a_{end}.csv").read_bytes() == (out / f"b_{end}.csv").read_bytes()


def test_every_series_has_a_report(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    spoil(data / "p2", "PixelSpacing", None)
    words = ("--report", out / "reports")
    assert run("batch", data, "-o", out / "scar.csv", "--masks", out / "m", *words) == 2
    [report] = (out / "reports").iterdir()
    assert report.name == "1.2.1.1.pdf"
    [row] = [row for row in rows_of(out / "scar.csv") if not row["error_code"]]
    text = text_of(report.read_bytes())
    assert f"{float(row['scar_mass_g']):.1f} g" in text
    assert row["patient_id"] in text
    assert "W_GAP" in text
    before = report.read_bytes()
    words = ("--report", out / "again")
    assert run("measure", out / "m", "--dicom", data, "-o", out / "b.csv", *words) == 0
    text = text_of((out / "again" / "1.2.1.1.pdf").read_bytes())
    assert f"{float(row['scar_mass_g']):.1f} g" in text
    assert "from_nifti" in text
    assert "Labels from nifti file, sha256" in text
    assert "not read" in text.splitlines()
    assert "proposed" not in text.splitlines()
    words = ("--report", out / "reports")
    assert run("batch", data / "p1", "-o", out / "c.csv", *words) == 1
    assert report.read_bytes() == before


def test_a_report_that_stands_there_is_kept(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    (out / "reports").mkdir(parents=True)
    (out / "reports" / "1.2.1.1.pdf").write_text("mine")
    words = ("batch", data, "-o", out / "scar.csv", "--report", out / "reports")
    assert run(*words) == 1
    assert not (out / "scar.csv").exists()
    assert (out / "reports" / "1.2.1.1.pdf").read_text() == "mine"
    assert run(*words, "--force") == 0
    assert (out / "reports" / "1.2.1.1.pdf").read_bytes()[:4] == b"%PDF"


def test_an_interval_unless_it_is_left_out(run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    words = ("--mass", "spacing", "--report", out / "reports")
    assert run("batch", data, "-o", out / "scar.csv", *words) == 0
    [row] = rows_of(out / "scar.csv")
    low, high = float(row["scar_mass_low_g"]), float(row["scar_mass_high_g"])
    assert low <= float(row["scar_mass_spacing_g"]) <= high
    [told] = json.loads((out / "scar.json").read_text())["stacks"]
    assert "90%" in told["interval"]["rule"]
    text = text_of((out / "reports" / "1.2.1.1.pdf").read_bytes())
    assert f"interval {low:.1f} to {high:.1f} g" in text
    assert run("batch", data, "-o", out / "b.csv", "--no-interval") == 0
    assert rows_of(out / "b.csv")[0]["scar_mass_low_g"] == ""
