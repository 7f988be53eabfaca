"""``--dicom-report``, ``--dicom-montage`` and LABELMAP: valid, and what the page shows."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from pydicom import dcmread

from scarseg import cli
from scarseg.case.labels import LabelArray
from scarseg.io import dicom
from scarseg.io.masks.read import read_mask
from tests.cohorts import write
from tests.fakes import load_fakes

STEM = "1.2.1.1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measure a patient with everything that DICOM can hold."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    data, out = write(tmp_path / "in", 1), tmp_path / "out"
    words = ["batch", data, "-o", tmp_path / "scar.csv", "--masks", out, "--identify"]
    words += ["--mask-format", "labelmap", "--dicom-report", "--dicom-montage"]
    words += ["--report", tmp_path / "pdf"]
    assert cli.main([str(one) for one in words]) == 0
    return out


def test_the_encapsulated_pdf_is_the_report(folder: Path, tmp_path: Path) -> None:
    found = dcmread(folder / f"{STEM}.pdf.dcm")
    pdf = (tmp_path / "pdf" / f"{STEM}.pdf").read_bytes()
    assert found.EncapsulatedDocument[: found.EncapsulatedDocumentLength] == pdf
    assert (found.PatientID, found.StudyInstanceUID) == ("CANARY-1", "1.2.1")


def test_the_montage_has_pixels_of_all_slices(folder: Path) -> None:
    found = dcmread(folder / f"{STEM}.montage.dcm")
    pixels = found.pixel_array
    assert pixels.shape == (found.Rows, found.Columns, 3)
    coloured = np.ptp(pixels.astype(int), axis=2) > 60
    assert coloured.sum() > 100, "outlines are coloured"
    assert found.PatientID == "CANARY-1"


def test_a_label_map_segmentation_is_read_back(
    folder: Path, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    path = folder / f"{STEM}.labelmap.dcm"
    assert dcmread(path).SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    [summary] = dicom.scan([tmp_path / "in"]).stacks
    found = read_mask(path, dicom.read_stack(summary))
    np.testing.assert_array_equal(found.labels, phantom_truth)


def test_dciodvfy_finds_no_error(folder: Path) -> None:
    if which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    for name in ("pdf", "montage"):
        done = subprocess.run(
            ["dciodvfy", folder / f"{STEM}.{name}.dcm"], capture_output=True, text=True, check=False
        )
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        assert errors == []


def test_the_same_input_gives_the_same_uids_and_a_second_run_keeps_the_files(
    folder: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "scar.csv").unlink()
    for path in tmp_path.glob("scar*"):
        path.unlink()
    words = ["batch", tmp_path / "in", "-o", tmp_path / "scar.csv", "--masks", tmp_path / "again"]
    words += ["--mask-format", "none", "--dicom-report", "--dicom-montage", "--identify"]
    assert cli.main([str(one) for one in words]) == 0
    for path in (tmp_path / "again").iterdir():
        one, other = dcmread(path), dcmread(folder / path.name)
        assert one.SOPInstanceUID == other.SOPInstanceUID
    assert len(list((tmp_path / "again").iterdir())) == 2
    assert len(before) == 3


@pytest.mark.parametrize("option", ["--dicom-report", "--dicom-montage"])
def test_a_folder_is_needed(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    assert cli.main(["batch", str(data), "-o", str(tmp_path / "scar.csv"), option]) == 1
    assert option in capsys.readouterr().err
