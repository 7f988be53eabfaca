"""Training cases: the EMIDEC layout, read case files with their DICOM, simulated studies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import LabelArray
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import InputError, StoreError
from scarseg.io import dicom
from scarseg.io.casefile import store
from scarseg.io.masks.nifti import write_labels
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions, simulate_patients
from scarseg.simulate.write_dicom import write_series
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases, read_data
from tests.cohorts import write
from tests.conftest import (
    COLUMN_SPACING,
    ROW_SPACING,
    SPACING,
    THICKNESS,
    make_phantom_stack,
    phantom_labels,
)

READ = (SliceStatus.ACCEPTED, SliceStatus.NO_SCAR)
SMALL = StudyOptions(
    SimulationOptions(scar=True, n_slices=3, rows=144, columns=144, beyond_heart=False),
    pair=False,
    localizer=True,
)


def write_emidec(root: Path, name: str, label: int = 3) -> None:
    for part, offset in (("Images", 100), ("Contours", 0)):
        folder = root / f"Case_{name}" / part
        folder.mkdir(parents=True)
        data = np.zeros((7, 5, 3), dtype=np.uint8)
        data[4, 2, 1] = label + offset
        volume = nib.Nifti1Image(data, np.diag([1.2, 1.6, 9.0, 1.0]))
        nib.save(volume, folder / f"Case_{name}.nii.gz")


def write_reading(
    cases: Path,
    images: Path,
    statuses: tuple[SliceStatus, ...],
    labels: LabelArray | None = None,
    number: int = 1,
    patient: str = "Jones^Tom",
) -> Stack:
    """Write the phantom as DICOM and a case file of its reading."""
    named = replace(
        make_phantom_stack(),
        series_uid=f"1.2.3.{number}",
        study_uid=f"1.2.{number}",
        patient_id=patient,
        patient_name=patient,
        sources=tuple(SliceSource(f"1.2.3.{number}.{k + 1}") for k in range(5)),
    )
    write_series(images / str(number), named)
    (summary,) = dicom.scan([images / str(number)]).stacks
    stack = dicom.read_stack(summary)
    case = Case.new(stack)
    for k, status in enumerate(statuses):
        drawn = (phantom_labels() if labels is None else labels)[k]
        reading = replace(case.readings[k], status=status)
        case.apply(case.change("read", k, reading, drawn))
    store.save_case(case, store.case_path(cases, stack))
    return stack


def test_the_two_lists_share_no_patient() -> None:
    assert len(VALIDATION) == 15
    assert not set(VALIDATION) & set(INNER)


def test_reading_the_emidec_layout(tmp_path: Path) -> None:
    write_emidec(tmp_path, "P001")
    (case,) = read_cases(tmp_path)
    assert case.name == case.patient == "P001"
    assert case.kind == "lge"
    assert case.pixels.shape == (3, 5, 7)
    assert case.labels[1, 2, 4] == 3
    assert case.pixel_spacing_mm == pytest.approx((1.6, 1.2))
    assert case.slice_spacing_mm == pytest.approx(9.0)
    assert case.slices_read == [0, 1, 2]
    assert case.has_scar


def test_a_right_ventricle_tells_cine(tmp_path: Path) -> None:
    write_emidec(tmp_path, "patient001", label=5)
    (case,) = read_data([tmp_path])
    assert case.kind == "cine"
    assert not case.has_scar


def test_an_image_without_contours_is_named(tmp_path: Path) -> None:
    write_emidec(tmp_path, "P001")
    (tmp_path / "Case_P001" / "Contours" / "Case_P001.nii.gz").unlink()
    with pytest.raises(InputError, match="Case_P001 has no image, or no contours"):
        read_data([tmp_path])


@pytest.mark.parametrize("value", [255, 2.5, 6, -1, np.nan])
def test_grey_levels_and_soft_borders_are_no_labels(tmp_path: Path, value: float) -> None:
    write_emidec(tmp_path, "P001")
    contours = tmp_path / "Case_P001" / "Contours" / "Case_P001.nii.gz"
    data = np.zeros((7, 5, 3), dtype=np.float32)
    data[4, 2, 1] = value
    nib.save(nib.Nifti1Image(data, np.eye(4)), contours)
    with pytest.raises(InputError, match="labels are 0 to 4") as caught:
        read_data([tmp_path])
    assert caught.value.code == "E_MASK"


def test_reading_cases_needs_no_torch() -> None:
    modules = ("cases", "splits", "prompts")
    wanted = ", ".join(f"scarseg.training.{name}" for name in modules)
    code = f"import sys, {wanted}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_read_case_files_count_where_a_reader_settled(tmp_path: Path) -> None:
    statuses = (
        SliceStatus.NO_SCAR,
        SliceStatus.ACCEPTED,
        SliceStatus.PROPOSED,
        SliceStatus.NOT_ASSESSABLE,
        SliceStatus.UNSEEN,
    )
    stack = write_reading(tmp_path / "cases", tmp_path / "images", statuses)
    (case,) = read_data([tmp_path / "cases"], [tmp_path / "images"])
    assert case.kind == "lge"
    assert case.scar_read == (True, True, False, False, False)
    assert case.slices_read == [0, 1]
    assert case.has_scar
    assert np.array_equal(case.pixels, stack.pixels)
    assert np.array_equal(case.labels, phantom_labels())
    assert case.pixel_spacing_mm == (ROW_SPACING, COLUMN_SPACING)
    assert case.slice_spacing_mm == SPACING
    assert case.slice_thickness_mm == THICKNESS
    assert case.wall_known == (True,) * 5


def test_scar_on_slices_not_read_is_no_scar_of_the_case(tmp_path: Path) -> None:
    statuses = (SliceStatus.NO_SCAR, *[SliceStatus.PROPOSED] * 4)
    write_reading(tmp_path, tmp_path / "images", statuses)
    (case,) = read_data([tmp_path], [tmp_path / "images"])
    assert not case.has_scar


def test_pool_and_wall_are_unknown_where_nobody_labelled_them(tmp_path: Path) -> None:
    labels = phantom_labels()
    labels[1][labels[1] != 3] = 0
    labels[2][labels[2] == 2] = 0
    labels[2][labels[2] == 3] = 0
    write_reading(tmp_path, tmp_path / "images", (SliceStatus.ACCEPTED,) * 5, labels)
    (case,) = read_data([tmp_path], [tmp_path / "images"])
    assert case.wall_known == (True, False, False, True, True)
    assert case.pool_known == (True, False, True, True, True)
    assert case.scar_read == (True,) * 5


def test_a_wall_that_is_infarct_all_round_is_a_wall(tmp_path: Path) -> None:
    labels = phantom_labels()
    labels[2][labels[2] == 2] = 3
    write_reading(tmp_path, tmp_path / "images", (SliceStatus.ACCEPTED,) * 5, labels)
    (case,) = read_data([tmp_path], [tmp_path / "images"])
    assert case.wall_known == (True,) * 5


def test_read_cases_are_named_by_pseudonyms_and_grouped_by_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, patient in ((1, "Jones^Tom"), (2, "Jones^Tom"), (3, "Smith^Ann")):
        write_reading(tmp_path, tmp_path / "images", READ[:1] * 5, number=number, patient=patient)
    told: list[str] = []
    cases = read_data([tmp_path], [], lambda _, what: told.append(what))
    assert len({case.name for case in cases}) == 3
    assert len({case.patient for case in cases}) == 2
    everything = " ".join([*told, caplog.text, *(f"{c.name} {c.patient}" for c in cases)])
    assert "Jones" not in everything
    assert "Smith" not in everything
    assert "1.2.3" not in everything


def test_images_of_read_cases_that_are_not_there_are_asked_for_by_option(tmp_path: Path) -> None:
    for number in (1, 2):
        write_reading(tmp_path / "cases", tmp_path / f"images{number}", READ[:1] * 5, number=number)
    for images in ([], [tmp_path / "images1"]):
        with pytest.raises(InputError, match=r"of 2 read cases .* --dicom") as caught:
            read_data([tmp_path / "cases"], images)
        assert caught.value.code == "E_INPUT_MISSING"
        assert "1.2.3.2.scarseg" in caught.value.message
    both = [tmp_path / "images1", tmp_path / "images2"]
    assert len(read_data([tmp_path / "cases"], both)) == 2


def test_images_that_are_refused_say_why(tmp_path: Path) -> None:
    write_reading(tmp_path / "cases", tmp_path / "images", READ[:1] * 5)
    for path in (tmp_path / "images").rglob("*.dcm"):
        header = pydicom.dcmread(path)
        header.PixelSpacing = None
        header.save_as(path)
    with pytest.raises(InputError) as caught:
        read_data([tmp_path / "cases"], [tmp_path / "images"])
    assert caught.value.code == "E_SPACING"


def test_a_thickness_that_only_the_reader_knew_is_taken_from_the_case(tmp_path: Path) -> None:
    write_reading(tmp_path / "old", tmp_path / "images", READ[:1] * 5)
    for path in (tmp_path / "images").rglob("*.dcm"):
        header = pydicom.dcmread(path)
        header.SliceThickness = None
        header.save_as(path)
    (summary,) = dicom.scan([tmp_path / "images"]).stacks
    stack = dicom.read_stack(summary, 6.5)
    case = Case.new(stack)
    case.apply(case.change("accept", 0, replace(case.readings[0], status=SliceStatus.ACCEPTED)))
    store.save_case(case, store.case_path(tmp_path / "cases", stack))
    (read,) = read_data([tmp_path / "cases"], [tmp_path / "images"])
    assert read.slices_read == [0]
    assert read.slice_thickness_mm == 6.5


def test_a_link_in_the_place_of_a_case_file_is_not_followed(tmp_path: Path) -> None:
    stack = write_reading(tmp_path / "cases", tmp_path / "images", READ[:1] * 5)
    path = store.case_path(tmp_path / "cases", stack)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        read_data([tmp_path / "cases"], [tmp_path / "images"])


def test_a_case_nobody_read_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_reading(tmp_path / "cases", tmp_path / "gone", (SliceStatus.PROPOSED,) * 5)
    shutil.rmtree(tmp_path / "gone")
    write_reading(tmp_path / "cases", tmp_path / "images", READ[:1] * 5, number=2)
    not_assessable = (SliceStatus.NOT_ASSESSABLE,) * 5
    write_reading(tmp_path / "cases", tmp_path / "images", not_assessable, number=3)
    assert len(read_data([tmp_path / "cases"], [tmp_path / "images"])) == 1
    assert caplog.text.count("left out") == 2


def test_the_generation_before_is_read_where_the_newest_is_lost(tmp_path: Path) -> None:
    stack = write_reading(tmp_path, tmp_path / "images", READ[:1] * 5)
    path = store.case_path(tmp_path, stack)
    path.rename(path.with_name(path.name + ".1"))
    assert len(read_data([tmp_path])) == 1


def test_a_damaged_case_file_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = write_reading(tmp_path, tmp_path / "images", READ[:1] * 5)
    path = store.case_path(tmp_path, stack)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError) as caught:
        read_data([tmp_path])
    assert caught.value.code == "E_CASE_DAMAGED"


def test_simulated_studies_come_with_their_truth(tmp_path: Path) -> None:
    studies = simulate_patients(tmp_path / "made", 2, 5, options=SMALL)
    cases = read_data([tmp_path / "made"])
    assert [case.name for case in cases] == ["SIM5-0001", "SIM5-0002"]
    for case, study in zip(cases, studies, strict=True):
        assert case.kind == "simulated"
        assert np.array_equal(case.labels, study.series[0].truth)
        assert np.allclose(case.pixels, study.series[0].stack.pixels, atol=0.05)
        assert case.scar_read is None
        assert case.slice_thickness_mm == study.series[0].stack.slice_thickness_mm


def test_magnitude_and_psir_of_a_heart_are_one_patient(tmp_path: Path) -> None:
    simulate_patients(tmp_path / "made", 1, 5, options=replace(SMALL, pair=True))
    one, two = read_data([tmp_path / "made"])
    assert one.patient == two.patient == "SIM5-0001"
    assert one.name != two.name


def test_truth_without_images_is_refused(tmp_path: Path) -> None:
    simulate_patients(tmp_path / "made", 2, 5, options=SMALL)
    shutil.rmtree(tmp_path / "made" / "dicom" / "SIM5-0002")
    with pytest.raises(InputError, match="1 of 2 label maps have no DICOM series"):
        read_data([tmp_path / "made"])


def test_folders_mix_freely_and_count_once(tmp_path: Path) -> None:
    write_emidec(tmp_path / "emidec", "P001")
    simulate_patients(tmp_path / "made", 1, 5, options=SMALL)
    write_reading(tmp_path / "cases", tmp_path / "images", READ[:1] * 5)
    folders = [tmp_path / "emidec", tmp_path / "made", tmp_path / "cases"]
    done: list[float] = []
    cases = read_data([*folders, tmp_path / "emidec"], [tmp_path], lambda at, _: done.append(at))
    assert [case.kind for case in cases] == ["lge", "simulated", "lge"]
    assert done == sorted(done)
    assert done[-1] == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "else"
    if there:
        folder.mkdir()
        (folder / "notes.txt").write_text("hello")
    with pytest.raises(InputError) as caught:
        read_data([folder])
    assert caught.value.code == ("E_INPUT_UNREADABLE" if there else "E_INPUT_MISSING")


def test_a_reference_must_fit_its_images() -> None:
    with pytest.raises(ValueError, match="shape"):
        TrainingCase(
            "X",
            "lge",
            np.zeros((2, 4, 4), dtype=np.float32),
            np.zeros((2, 4, 5), dtype=np.uint8),
            (1.0, 1.0),
            8.0,
        )


def test_masks_made_elsewhere_are_cases_on_their_images(tmp_path: Path) -> None:
    images = write(tmp_path / "in", 1, 2)
    stacks = {one.series_uid: dicom.read_stack(one) for one in dicom.scan([images]).stacks}
    truth = phantom_labels()
    for uid in ("1.2.1.1", "1.2.2.1"):
        write_labels(tmp_path / "masks" / f"{uid}.nii.gz", truth, stacks[uid])
    read = read_data([tmp_path / "masks"], [images])
    assert len(read) == 2
    assert all(np.array_equal(one.labels, truth) for one in read)
    assert all(one.scar_read is not None and all(one.scar_read) for one in read)
    assert len({one.patient for one in read}) == 2
    assert not any("CANARY" in f"{one.name}{one.patient}" for one in read)
    (tmp_path / "masks" / "1.2.1.1.nii.gz").write_bytes(b"no mask")
    assert len(read_data([tmp_path / "masks"], [images])) == 1
    with pytest.raises(InputError) as caught:
        read_data([tmp_path / "masks"])
    assert caught.value.code == "E_INPUT_UNREADABLE"
