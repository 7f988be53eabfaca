"""A patient's identity stays in the DICOM: every byte that the program leaves is searched."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from scarseg.case.stack import Stack
from scarseg.cli import main
from tests.fakes import fake_models
from tests.reliability import patients


@pytest.fixture
def study(tmp_path: Path, phantom_stack: Stack) -> Path:
    folder = tmp_path / "study"
    patients.write_marked_study(folder, phantom_stack)
    return folder


@pytest.fixture(autouse=True)
def quick_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scarseg.models.load", lambda *_, **__: fake_models())


def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the marks in what was printed and logged."""
    out, err = capfd.readouterr()
    return patients.traces_in((out + err + caplog.text).encode("utf-8", "replace"))


def test_the_search_finds_what_is_there(study: Path):
    assert len(patients.traces_below(study)) >= 10
    assert len({*patients.NAMES, *patients.TEXTS, *patients.NUMBERS}) >= 40


@pytest.mark.filterwarnings("default")
def test_inspect(study: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    for arguments in (["inspect", str(study)], ["inspect", "--json", str(study)]):
        assert main(arguments) == 0
    assert said(capfd, caplog) == []


@pytest.mark.filterwarnings("default")
def test_batch(
    study: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    out = tmp_path / "out"
    masks = str(out / "masks")
    for name, choice in (("all", []), ("cut", ["--series", "1.2.3.4.2"])):
        table = str(out / f"{name}.csv")
        main(["batch", str(study), "-o", table, "--masks", masks, "--force", *choice])
    assert len((out / "all.csv").read_text().splitlines()) == 3
    assert "E_DECODE" in (out / "cut.csv").read_text()
    assert len(list((out / "masks").iterdir())) == 2
    assert patients.traces_below(out) == []
    assert said(capfd, caplog) == []


def test_batch_names_the_patient_when_asked(study: Path, tmp_path: Path):
    table = tmp_path / "scar.csv"
    main(["batch", str(study / "a"), "-o", str(table), "--identify"])
    assert f"{patients.MARK}13" in table.read_text()
    assert f"{patients.MARK}00" not in table.read_text(), "the ID alone, not the name"
