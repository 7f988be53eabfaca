"""Change of scar mass: its interval, the smallest change, the pairing, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.agreement.follow import (
    DatedStudy,
    MassWithInterval,
    SegmentMass,
    mass_change,
    pair_studies,
    segment_changes,
)
from scarseg.case.patient import Patient
from scarseg.case.stack import SliceSource, Stack
from scarseg.io.tables.pseudonyms import pseudonym
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient, rows_of
from tests.fakes import load_fakes
from tests.report.pdf_text import text_of

Run = Callable[..., int]
Z90, Z95 = 1.6448536269514722, 1.959963984540054


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    return lambda *words: cli.main([*map(str, words)])


def test_interval_of_a_change_keeps_the_asymmetry_of_both_masses() -> None:
    earlier = MassWithInterval(20.0, 17.0, 24.0)
    later = MassWithInterval(30.0, 26.0, 33.0)
    change = mass_change(earlier, later)
    assert change.change_g == 10.0
    # sqrt(4^2 + 4^2) below, sqrt(3^2 + 3^2) above
    assert (change.low_g, change.high_g) == (
        pytest.approx(10 - sqrt(32)),
        pytest.approx(10 + sqrt(18)),
    )
    sd = sqrt(2) * 7 / (2 * Z90)
    assert change.smallest_change_g == pytest.approx(Z95 * sd)
    assert change.beyond is True
    assert mass_change(later, replace(later, mass_g=29.0)).beyond is False


def test_without_intervals_there_is_the_change_alone() -> None:
    change = mass_change(MassWithInterval(20.0, 17.0, 24.0), MassWithInterval(18.5))
    assert change.change_g == -1.5
    assert change.low_g is change.high_g is change.smallest_change_g is change.beyond is None


def test_a_region_has_its_part_of_the_error() -> None:
    whole = (MassWithInterval(10.0, 8.0, 12.0), MassWithInterval(10.0, 8.0, 12.0))
    earlier = {"1": SegmentMass(4.0, 10.0), "2": SegmentMass(6.0, 10.0), "LAD": SegmentMass(10, 20)}
    later = {"1": SegmentMass(1.0, 10.0), "2": SegmentMass(9.0, 10.0), "LAD": SegmentMass(10, 20)}
    changes = segment_changes(earlier, later, whole)
    sd = sqrt(2) * 4 / (2 * Z90)
    assert changes["1"].change_g == -3.0
    # 5 of 20 g of scar, but half of the wall
    assert changes["1"].smallest_change_g == pytest.approx(Z95 * 0.5 * sd * sqrt(0.5))
    assert changes["2"].smallest_change_g == pytest.approx(Z95 * 0.5 * sd * sqrt(0.75))
    assert changes["LAD"].smallest_change_g == pytest.approx(Z95 * 0.5 * sd)
    assert segment_changes({}, later, whole) == {}


def test_first_and_last_study_of_a_patient_are_paired() -> None:
    def study(patient_id: str, day: str, place: int = 0) -> DatedStudy:
        return DatedStudy(patient_id, day, f"{patient_id}-{day}", place)

    earlier = [
        study("b", "20200102"),
        study("b", "20190102"),
        study("a", "20200101"),
        study("", "1"),
    ]
    later = [study("b", "20230102"), study("b", "20240102"), study("c", "20200101")]
    pairs, alone = pair_studies(earlier, later)
    assert [(one.stack_id, other.stack_id) for one, other in pairs] == [
        ("b-20190102", "b-20240102")
    ]
    assert alone == ["-1", "a-20200101", "c-20200101"]
    assert pair_studies([earlier[0]], [earlier[0]])[0] == []


def test_patients_who_share_an_id_are_not_paired() -> None:
    one, other = (Patient("b", birth_date=day) for day in ("19410203", "19410204"))
    earlier = DatedStudy("b", "20190102", "first", 0, one)
    later = [DatedStudy("b", "20240102", "second", 0, other)]
    assert pair_studies([earlier], later) == ([], ["first", "second"])
    later.append(DatedStudy("b", "20230102", "third", 1, one))
    assert pair_studies([earlier], later) == ([(earlier, later[1])], ["second"])


def later_study() -> Stack:
    """Return another study of patient 1, five years later, with more scar on one slice."""
    first = patient(1)
    pixels = first.pixels.copy()
    wall = abs(pixels - 50) < 20
    pixels[2][wall[2]] = 200
    return replace(
        first,
        pixels=pixels,
        study_uid="1.2.9",
        series_uid="1.2.9.1",
        study_date="20290101",
        sources=tuple(SliceSource(f"1.2.9.1.{k + 1}") for k in range(5)),
    )


def test_command_writes_the_change_of_every_patient(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, stack in (("a", replace(patient(1), study_date="20240101")), ("b", later_study())):
        write_series(tmp_path / folder / "p1", stack)
    write_series(tmp_path / "b" / "p2", patient(2))
    for name in "ab":
        out = (tmp_path / f"{name}.csv", "--cases", tmp_path / f"cases_{name}")
        assert run("batch", tmp_path / name, "-o", *out) == 0
    words = ["follow", tmp_path / "cases_a", tmp_path / "cases_b"]
    words += ["--dicom", tmp_path / "a", "--dicom", tmp_path / "b", "-o", tmp_path / "f.csv"]
    assert run(*words) == 0
    said = capsys.readouterr()
    assert "1 pair compared, 0 failed" in said.out
    assert "Series 1.2.2.1 has no partner" in said.err
    [row] = rows_of(tmp_path / "f.csv")
    batches = {one["series_uid"]: one for name in "ab" for one in rows_of(tmp_path / f"{name}.csv")}
    before, after = batches["1.2.1.1"], batches["1.2.9.1"]
    assert row["patient_id"] == pseudonym("CANARY-1")
    assert row["days_between"] == "1827"
    for when, one in (("earlier", before), ("later", after)):
        for end, name in (
            ("", "scar_mass_g"),
            ("_low", "scar_mass_low_g"),
            ("_high", "scar_mass_high_g"),
        ):
            assert float(row[f"scar_mass_{when}{end}_g"]) == pytest.approx(float(one[name]))
    grams = float(after["scar_mass_g"]) - float(before["scar_mass_g"])
    assert grams > 0.5
    assert float(row["change_g"]) == pytest.approx(grams)
    assert float(row["change_low_g"]) <= grams <= float(row["change_high_g"])
    assert row["beyond_repeatability"] == (
        "yes" if grams > float(row["smallest_change_g"]) else "no"
    )
    regions = rows_of(tmp_path / "f_segments.csv")
    assert {"1", "16", "LAD", "RCA", "LCX"} <= {one["region"] for one in regions}
    parts = sum(float(one["change_g"]) for one in regions if one["region"].isdecimal())
    assert parts == pytest.approx(grams, abs=0.3)
    assert b"CANARY" not in (tmp_path / "f.csv").read_bytes()
    assert run(*words) == 1  # both tables exist
    reports = tmp_path / "reports"
    assert run(*words[:-1], tmp_path / "g.csv", "--report", reports) == 0
    [page] = reports.iterdir()
    assert page.name == "follow-1.2.9.1.pdf"
    printed = text_of(page.read_bytes())
    assert f"+{grams:.1f} g" in printed
    assert "CANARY" not in printed
    assert run(*words[:-1], tmp_path / "h.csv", "--report", reports) == 1  # the page exists
    assert not (tmp_path / "h.csv").exists()
    assert run(*words, "--force", "--no-interval", "--identify") == 0
    [row] = rows_of(tmp_path / "f.csv")
    assert (row["patient_id"], row["smallest_change_g"], row["beyond_repeatability"]) == (
        "CANARY-1",
        "",
        "",
    )


def test_pair_that_fails_is_a_row(run: Run, tmp_path: Path) -> None:
    write_series(tmp_path / "a" / "p1", replace(patient(1), study_date="20240101"))
    write_series(tmp_path / "b" / "p1", later_study())
    for name in "ab":
        out = (tmp_path / f"{name}.csv", "--cases", tmp_path / f"cases_{name}")
        assert run("batch", tmp_path / name, "-o", *out) == 0
    image = next((tmp_path / "b" / "p1").iterdir())
    [case] = (tmp_path / "cases_b").glob("*.scarseg")
    case.write_bytes(case.read_bytes()[:-20])
    words = ["follow", tmp_path / "cases_a", tmp_path / "cases_b", "--dicom", tmp_path]
    assert run(*words, "-o", tmp_path / "f.csv") == 1
    assert image.exists()
    assert not (tmp_path / "f.csv").exists()


def test_nothing_to_compare(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    write_series(tmp_path / "a" / "p1", patient(1))
    words = ["follow", tmp_path / "none", tmp_path / "none", "--dicom", tmp_path / "a"]
    assert run(*words, "-o", tmp_path / "f.csv") == 1
    assert capsys.readouterr().err.startswith("E_INPUT_MISSING: ")
    out = (tmp_path / "s.csv", "--cases", tmp_path / "cases")
    assert run("batch", tmp_path / "a", "-o", *out) == 0
    same = ["follow", tmp_path / "cases", tmp_path / "cases", "--dicom", tmp_path / "a"]
    capsys.readouterr()
    assert run(*same, "-o", tmp_path / "f.csv") == 1
    assert "E_PAIRS: " in capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())["software"] == "scarseg"
