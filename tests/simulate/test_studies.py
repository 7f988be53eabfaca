"""Simulated patients on disk: the truth beside the DICOM, the same bytes from the same seed."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from scarseg.case.labels import Label
from scarseg.errors import Cancelled, OutputError
from scarseg.io.dicom import read_stack, scan
from scarseg.io.masks.nifti import read_labels
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.signal import Vendor
from scarseg.simulate.studies import SimulatedStudy, StudyOptions, simulate_patients, write_study

SMALL = SimulationOptions(n_slices=6, rows=144, columns=152)


def bytes_under(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[SimulatedStudy, ...]]:
    folder = tmp_path_factory.mktemp("patients") / "out"
    return folder, simulate_patients(folder, 6, 3, options=StudyOptions(simulation=SMALL))


def test_same_seed_same_bytes_and_patients_do_not_depend_on_their_number(
    patients: tuple[Path, tuple[SimulatedStudy, ...]], tmp_path: Path
) -> None:
    first = bytes_under(patients[0])
    fewer = bytes_under_two(tmp_path)
    fewer.pop("truth.csv")
    assert fewer.items() <= first.items()


def bytes_under_two(tmp_path: Path) -> dict[str, bytes]:
    simulate_patients(tmp_path / "two", 2, 3, options=StudyOptions(simulation=SMALL))
    return bytes_under(tmp_path / "two")


def test_truth_masses_are_the_label_counts(
    patients: tuple[Path, tuple[SimulatedStudy, ...]],
) -> None:
    folder, studies = patients
    rows = {row["series_uid"]: row for row in rows_of(folder / "truth.csv")}
    assert len(rows) == sum(len(study.series) for study in studies)
    for study in studies:
        for series in study.series:
            row = rows[series.stack.series_uid]
            labels = read_labels(folder / "truth" / row["mask_file"])
            assert np.array_equal(labels, series.truth)
            voxel_mm2 = float(row["pixel_spacing_row_mm"]) * float(row["pixel_spacing_column_mm"])
            thick = 1.05e-3 * voxel_mm2 * float(row["slice_thickness_mm"])
            spaced = 1.05e-3 * voxel_mm2 * float(row["slice_spacing_mm"])
            counts = {
                "scar": int((labels >= Label.SCAR).sum()),
                "mvo": int((labels == Label.MVO).sum()),
                "lv": int((labels >= Label.MYOCARDIUM).sum()),
            }
            for name, n in counts.items():
                assert float(row[f"{name}_mass_thickness_g"]) == pytest.approx(n * thick, rel=1e-9)
                assert float(row[f"{name}_mass_spacing_g"]) == pytest.approx(n * spaced, rel=1e-6)


def test_the_label_map_lies_on_the_images(
    patients: tuple[Path, tuple[SimulatedStudy, ...]],
) -> None:
    series = patients[1][0].series[0]
    image = nib.load(series.mask_file)
    for dicom in series.files:
        dataset = pydicom.dcmread(dicom, stop_before_pixels=True)
        if "NumberOfFrames" in dataset:
            continue
        k = [s.sop_instance_uid for s in series.stack.sources].index(dataset.SOPInstanceUID)
        x, y, z = (image.affine @ [0, 0, k, 1])[:3]
        assert np.allclose((-x, -y, z), dataset.ImagePositionPatient, atol=1e-3)
    row, column = series.stack.pixel_spacing_mm
    assert np.allclose(image.header.get_zooms()[:2], (column, row), atol=1e-5)


def test_patients_differ_and_some_studies_hold_more_than_the_stack(
    patients: tuple[Path, tuple[SimulatedStudy, ...]],
) -> None:
    studies = patients[1]
    uids = [series.stack.series_uid for study in studies for series in study.series]
    assert len(set(uids)) == len(uids)
    assert len({study.series[0].row["patient_id"] for study in studies}) == len(studies)
    n_series = [len(list(study.dicom_folder.iterdir())) for study in studies]
    assert min(n_series) == 1
    assert max(n_series) > 1


def test_all_series_of_a_study_share_patient_study_and_frame_of_reference(tmp_path: Path) -> None:
    options = StudyOptions(
        SMALL, pair=True, localizer=True, scout=False, enhanced=False, vendor=Vendor.SIEMENS
    )
    study = write_study(tmp_path, 8, options)
    headers = [pydicom.dcmread(path) for path in sorted((tmp_path / "dicom").rglob("*.dcm"))]
    assert len(headers) == 6 + 6 + 3
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "StudyDate"):
        assert len({str(header[keyword].value) for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == 3
    assert len({header.SOPInstanceUID for header in headers}) == 15
    assert np.array_equal(study.series[0].truth, study.series[1].truth)
    assert len(rows_of(tmp_path / "truth" / "truth.csv")) == 2


def test_nothing_in_a_header_looks_like_a_patient(tmp_path: Path) -> None:
    write_study(tmp_path, 9, StudyOptions(SMALL, localizer=True))
    for path in (tmp_path / "dicom").rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert str(header.PatientName).startswith("SIMULATED^SIM")
        assert header.PatientID.startswith("SIM")
        for keyword in ("PatientBirthDate", "ReferringPhysicianName", "AccessionNumber"):
            assert not header.get(keyword), keyword


def test_a_missing_slice_leaves_a_gap_in_images_and_truth(tmp_path: Path) -> None:
    options = StudyOptions(SMALL, missing_slice=True, enhanced=False, pair=True)
    study = write_study(tmp_path, 5, options)
    for series in study.series:
        assert len(series.files) == len(series.truth) == 5
        steps = np.diff(series.stack.slice_positions_mm)
        assert steps.max() == pytest.approx(2 * steps.min(), rel=1e-5)


def test_enhanced_studies_are_one_file_with_a_frame_per_slice(tmp_path: Path) -> None:
    study = write_study(tmp_path, 5, StudyOptions(SMALL, enhanced=True, pair=False))
    (path,) = study.series[0].files
    assert pydicom.dcmread(path).NumberOfFrames == 6
    sources = study.series[0].stack.sources
    assert [source.frame for source in sources] == [1, 2, 3, 4, 5, 6]
    assert len({source.sop_instance_uid for source in sources}) == 1


def test_an_existing_output_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("mine")
    with pytest.raises(OutputError, match="E_EXISTS"):
        simulate_patients(tmp_path, 1, 0, options=StudyOptions(simulation=SMALL))
    assert bytes_under(tmp_path) == {"truth.csv": b"mine"}


def test_progress_counts_patients_and_can_cancel(tmp_path: Path) -> None:
    seen: list[float] = []

    def stop_at_second(fraction: float, what: str) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        simulate_patients(tmp_path, 4, 0, stop_at_second, StudyOptions(simulation=SMALL))
    assert seen == [0.0, 0.25]
    assert len(list((tmp_path / "dicom").iterdir())) == 1


def test_a_scan_finds_the_stacks_that_were_written(
    patients: tuple[Path, tuple[SimulatedStudy, ...]],
) -> None:
    for study in patients[1]:
        report = scan([study.dicom_folder])
        assert report.refused == ()
        proposed = [stack.series_uid for stack in report.stacks if stack.proposed]
        assert len(proposed) == 1
        assert proposed[0] in {series.stack.series_uid for series in study.series}
        for series in study.series:
            (summary,) = (s for s in report.stacks if s.series_uid == series.stack.series_uid)
            read, written = read_stack(summary), series.stack
            assert np.abs(read.pixels - written.pixels).max() < 0.02
            assert read.sequence is written.sequence
            assert read.orientation == written.orientation
            assert read.origins_mm == written.origins_mm
            assert read.pixel_spacing_mm == written.pixel_spacing_mm
            assert [s.sop_instance_uid for s in read.sources] == [
                s.sop_instance_uid for s in written.sources
            ]


@pytest.mark.parametrize("enhanced", [False, True])
def test_scout_and_localizer_are_never_taken_for_the_stack(tmp_path: Path, enhanced: bool) -> None:
    options = StudyOptions(SMALL, pair=False, localizer=True, scout=True, enhanced=enhanced)
    study = write_study(tmp_path, 12, options)
    scouts = [pydicom.dcmread(path) for path in sorted((tmp_path / "dicom/09_scout").iterdir())]
    assert len({str(scout.ImagePositionPatient) for scout in scouts}) == 1
    assert len({scout.InversionTime for scout in scouts}) == len(scouts) == 6
    report = scan([tmp_path / "dicom"])
    assert report.refused == ()
    (proposed,) = (stack for stack in report.stacks if stack.proposed)
    assert proposed.series_uid == study.series[0].stack.series_uid
    assert len({stack.series_uid for stack in report.stacks}) == 3


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is missing")
@pytest.mark.parametrize("vendor", list(Vendor))
def test_a_strict_validator_finds_no_error_in_any_series(tmp_path: Path, vendor: Vendor) -> None:
    options = StudyOptions(SMALL, vendor, pair=True, localizer=True, scout=True, enhanced=False)
    write_study(tmp_path, 6, options)
    folders = sorted((tmp_path / "dicom").iterdir())
    assert len(folders) == 4
    for folder in folders:
        for path in sorted(folder.iterdir())[:2]:
            done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True)
            said = (done.stdout + done.stderr).splitlines()
            assert "MRImage" in said
            assert [line for line in said if line.startswith("Error")] == []
