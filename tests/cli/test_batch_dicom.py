"""``scarseg batch --mask-format seg|rtstruct --sr``, with fake models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from scarseg import cli
from scarseg.case.labels import LabelArray
from scarseg.io import dicom
from scarseg.io.masks.read import read_mask
from tests.cohorts import rows_of, tree, write
from tests.fakes import load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setattr("scarseg.models.load", load_fakes)

    def call(*words: object) -> int:
        return cli.main(["batch", *map(str, words), "-o", str(tmp_path / "scar.csv")])

    return call


def test_segmentations_and_reports_lie_beside_each_other(
    run: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    before = tree(data)
    assert run(data, "--masks", out, "--mask-format", "seg", "--sr") == 0
    assert tree(data) == before
    rows = rows_of(tmp_path / "scar.csv")
    stacks = {one.series_uid: dicom.read_stack(one) for one in dicom.scan([data]).stacks}
    assert len(rows) == 2
    for row in rows:
        assert row["mask_file"] == f"{row['series_uid']}.seg.dcm"
        found = read_mask(out / row["mask_file"], stacks[row["series_uid"]])
        np.testing.assert_array_equal(found.labels, phantom_truth)
        report = dcmread(out / f"{row['series_uid']}.sr.dcm")
        assert report.PatientID == row["patient_id"]
        text = str(report)
        assert f"{float(row['scar_mass_g'])}"[:10] in text
    assert len(list(out.iterdir())) == 4


@pytest.mark.parametrize("kind", ["rtstruct", "none", "nifti"])
def test_other_formats_take_a_report_too(kind: str, run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    assert run(data, "--masks", out, "--mask-format", kind, "--sr") == 0
    [row] = rows_of(tmp_path / "scar.csv")
    ending = {"rtstruct": ".rtstruct.dcm", "none": "", "nifti": ".nii.gz"}[kind]
    assert row["mask_file"] == (f"1.2.1.1{ending}" if ending else "")
    names = {"1.2.1.1.sr.dcm", row["mask_file"]} - {""}
    assert {path.name for path in out.iterdir()} == names


def test_a_second_run_keeps_the_files_of_the_first(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    words = (data, "--masks", out, "--mask-format", "seg", "--sr")
    assert run(*words) == 0
    before = tree(out)
    for path in tmp_path.glob("scar*"):
        path.unlink()
    assert run(*words) == 1
    assert "E_EXISTS" in capsys.readouterr().err
    assert tree(out) == before
    assert not (tmp_path / "scar.csv").exists()


def test_a_report_needs_a_folder(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(tmp_path / "in", 1), "--sr") == 1
    assert "--masks" in capsys.readouterr().err
    assert not (tmp_path / "scar.csv").exists()
