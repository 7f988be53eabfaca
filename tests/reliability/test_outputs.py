"""Outputs are private, replace nothing unasked, follow no link and stay where they belong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pydicom
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement

from scarseg.case.stack import Stack
from scarseg.cli import main
from scarseg.simulate.write_dicom import write_series
from tests.fakes import fake_models


@pytest.fixture(autouse=True)
def quick_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scarseg.models.load", lambda *_, **__: fake_models())


@pytest.fixture
def study(tmp_path: Path, phantom_stack: Stack) -> Path:
    write_series(tmp_path / "study", phantom_stack)
    return tmp_path / "study"


def run_batch(study: Path, out: Path, *more: str) -> int:
    return main(
        ["batch", str(study), "-o", str(out / "scar.csv"), "--masks", str(out / "m"), *more]
    )


def names_below(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_outputs_are_private(study: Path, tmp_path: Path):
    before = os.umask(0)
    try:
        assert run_batch(study, tmp_path / "new" / "out") == 0
    finally:
        os.umask(before)
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert len(made) == 8
    for path in made:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path.name


def test_nothing_is_replaced_unasked(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("scar.csv", "scar_slices.csv", "scar.json"):
        (out / name).write_text("mine")
        assert run_batch(study, out) == 1
        assert "E_EXISTS" in capsys.readouterr().err
        assert (out / name).read_text() == "mine"
        assert names_below(out) == [name]
        (out / name).unlink()


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["plain", "force"])
@pytest.mark.parametrize("name", ["scar.csv", "scar_slices.csv", "scar.json", "m/1.2.3.4.nii.gz"])
@pytest.mark.parametrize("dangling", [False, True])
def test_no_link_is_followed(
    study: Path, tmp_path: Path, name: str, force: list[str], dangling: bool
):
    out, victim = tmp_path / "out", tmp_path / "victim"
    (out / "m").mkdir(parents=True)
    if not dangling:
        victim.write_text("mine")
    (out / name).symlink_to(victim)
    status = run_batch(study, out, *force)
    assert status in ((0,) if force else (1, 2))
    assert victim.exists() is not dangling
    if not dangling:
        assert victim.read_text() == "mine"
    assert (out / name).is_symlink() is not bool(force)


@pytest.mark.parametrize("uid", ["../../../evil", "/tmp/evil", "a/../../evil", "..", "1.2.3/4"])
def test_hostile_identifiers_do_not_leave_the_folder(study: Path, tmp_path: Path, uid: str):
    for path in study.iterdir():
        dataset = pydicom.dcmread(path)
        for keyword, kind in (("SeriesInstanceUID", "UI"), ("PatientID", "LO")):
            dataset.add(DataElement(keyword, kind, uid, validation_mode=IGNORE))
        dataset.save_as(path)
    out = tmp_path / "deep" / "down" / "out"
    before = names_below(study)
    run_batch(study, out)
    assert names_below(study) == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["deep", "study"]
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["down"]
    assert [each.name for each in (tmp_path / "deep" / "down").iterdir()] == ["out"]
    assert not Path("/tmp/evil.nii.gz").exists()
