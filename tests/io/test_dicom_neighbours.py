"""No slice is lost in silence: whatever one slice's header says, the count stays or it is said."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from scarseg.io.dicom import scan
from scarseg.io.dicom.geometry import angle_degrees
from scarseg.io.dicom.types import LoadReport, StackSummary
from tests.io.dicom_files import (
    N_SLICES,
    NORMAL,
    ORIENTATION,
    SERIES,
    decimals,
    enhanced,
    put_pixels,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)

Change = Callable[[Dataset], None]
ROW, COLUMN = ORIENTATION[:3], ORIENTATION[3:]


def turned(degrees: float) -> list[str]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return decimals([*(c * ROW + s * COLUMN), *(c * COLUMN - s * ROW)])


def tilted(degrees: float) -> list[str]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return decimals([*(c * ROW + s * NORMAL), *COLUMN])


def setter(**values: object) -> Change:
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def _one_row_less(ds: Dataset) -> None:
    put_pixels(ds, stored_pixels(3)[:-1])


def _signed(ds: Dataset) -> None:
    put_pixels(ds, stored_pixels(3).astype(np.int16))


def _without_pixels(ds: Dataset) -> None:
    del ds.PixelData
    ds.Rows = 44


def _without_position(ds: Dataset) -> None:
    del ds.ImagePositionPatient


def _capture_without_position(ds: Dataset) -> None:
    del ds.ImagePositionPatient
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"


PERTURBATIONS: dict[str, Change] = {
    "turned 0.02": setter(ImageOrientationPatient=turned(0.02)),
    "turned 0.5": setter(ImageOrientationPatient=turned(0.5)),
    "tilted 0.02": setter(ImageOrientationPatient=tilted(0.02)),
    "tilted 0.5": setter(ImageOrientationPatient=tilted(0.5)),
    "tilted 5": setter(ImageOrientationPatient=tilted(5)),
    "one row less": _one_row_less,
    "pixel spacing": setter(PixelSpacing=["1.51", "1.25"]),
    "thickness": setter(SliceThickness="7.9"),
    "intercept": setter(RescaleSlope="1", RescaleIntercept="-1"),
    "signed": _signed,
    "derived": setter(ImageType=["DERIVED", "PRIMARY", "M"]),
    "localizer": setter(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    "phase": setter(ImageType=["ORIGINAL", "PRIMARY", "P"]),
    "real": setter(ImageType=["ORIGINAL", "PRIMARY", "R"]),
    "patient ID": setter(PatientID="ID-18"),
    "patient name": setter(PatientName="Other^Person"),
    "study": setter(StudyInstanceUID="1.2.826.8"),
    "series": setter(SeriesInstanceUID="1.2.826.7.6"),
    "frame of reference": setter(FrameOfReferenceUID="1.2.826.7.98"),
    "modality": setter(Modality="CT"),
    "colour": setter(PhotometricInterpretation="RGB"),
    "secondary capture": setter(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
    "no position": _without_position,
    "capture without position": _capture_without_position,
    "acquisition": setter(AcquisitionNumber=7),
    "trigger": setter(TriggerTime="700"),
    "echo": setter(EchoTime="9"),
    "temporal position": setter(TemporalPositionIdentifier=2),
    "bits stored": setter(BitsStored=8, HighBit=7),
    "samples": setter(SamplesPerPixel=3),
    "frames": setter(NumberOfFrames="2"),
    "lossy": setter(LossyImageCompression="01"),
    "slope": setter(RescaleSlope="2", RescaleIntercept="0"),
    "more rows than pixels": setter(Rows=44),
    "more columns than pixels": setter(Columns=60),
    "no pixels": _without_pixels,
    "description": setter(SeriesDescription="other"),
}


def proposed(report: LoadReport) -> list[StackSummary]:
    return [stack for stack in report.stacks if stack.proposed]


def codes(stack: StackSummary) -> list[str]:
    return [warning.code for warning in stack.warnings]


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("k", range(N_SLICES))
def test_one_perturbed_slice_stays_or_is_missed(tmp_path: Path, name: str, k: int) -> None:
    datasets = series()
    for ds in datasets:
        ds.FrameOfReferenceUID = "1.2.826.7.99"
    PERTURBATIONS[name](datasets[k])
    save_series(tmp_path, datasets)
    for stack in proposed(scan([tmp_path])):
        assert stack.n_slices == N_SLICES or not stack.complete, codes(stack)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (PERTURBATIONS["tilted 0.5"], "orientation (0.5 degrees)"),
        (PERTURBATIONS["one row less"], "matrix (35 x 44)"),
        (PERTURBATIONS["thickness"], "thickness"),
        (PERTURBATIONS["derived"], "kind (magnitude)"),
        (PERTURBATIONS["real"], "kind (psir)"),
        (PERTURBATIONS["frame of reference"], "frame of reference"),
        (PERTURBATIONS["patient ID"], "patient"),
        (PERTURBATIONS["study"], "study"),
    ],
)
def test_slice_that_is_split_off_is_named_with_its_difference(
    tmp_path: Path, change: Change, difference: str
) -> None:
    datasets = series()
    for ds in datasets:
        ds.FrameOfReferenceUID = "1.2.826.7.99"
    change(datasets[-1])
    paths = save_series(tmp_path, datasets)
    [stack] = [one for one in scan([tmp_path]).stacks if one.n_slices == N_SLICES - 1]
    [text] = [w.message for w in stack.warnings if w.code == "W_SPLIT_OFF"]
    assert text == (
        f"{paths[-1].name} lies at this stack's pitch but its {difference} differs: left out, the "
        "mass is incomplete."
    )


def test_skipped_file_of_the_series_is_named(tmp_path: Path) -> None:
    datasets = series()
    datasets[-1].PhotometricInterpretation = "RGB"
    paths = save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    [text] = [w.message for w in stack.warnings if w.code == "W_SPLIT_OFF"]
    assert text.startswith(f"{paths[-1].name} of the series was skipped: it is a colour image")


def test_unreadable_file_in_the_folder_is_named(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    data = paths[-1].read_bytes()
    paths[-1].write_bytes(data[: data.index(b"\x10\x00\x10\x00PN")])
    [stack] = scan([tmp_path]).stacks
    assert not stack.complete
    [text] = [w.message for w in stack.warnings if w.code == "W_UNREAD"]
    assert paths[-1].name in text


def test_unreadable_file_beside_two_series_belongs_to_neither(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    for ds in series():
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.9", f"{ds.SOPInstanceUID}.9"
        save(ds, tmp_path / ds.SOPInstanceUID)
    paths[-1].write_bytes(bytes(128) + b"DICM" + struct.pack("<L", 7))
    for stack in scan([tmp_path]).stacks:
        assert "W_UNREAD" not in codes(stack)


def twin(change: Change, uid: str = f"{SERIES}.7") -> list[Dataset]:
    datasets = []
    for k in range(N_SLICES):
        ds = slice_dataset(k, pixels=stored_pixels(k + 50))
        ds.SOPInstanceUID = f"{uid}.{k}"
        change(ds)
        datasets.append(ds)
    return datasets


@pytest.mark.parametrize(
    "change",
    [
        setter(ImageType=["ORIGINAL", "PRIMARY", "M", "PSIR"]),
        setter(TriggerTime="500"),
        setter(EchoTime="5"),
        setter(ImageType=["DERIVED", "PRIMARY", "M"]),
    ],
)
def test_second_stack_at_the_same_positions_takes_nothing_away(
    tmp_path: Path, change: Change
) -> None:
    datasets = series()
    for ds in datasets:
        ds.TriggerTime, ds.EchoTime = "100", "3"
    others = twin(setter(TriggerTime="100", EchoTime="3"))
    for ds in others:
        change(ds)
    save_series(tmp_path / "a", datasets)
    save_series(tmp_path / "b", others)
    report = scan([tmp_path])
    assert [stack.n_slices for stack in report.stacks] == [N_SLICES, N_SLICES]
    assert all(stack.complete for stack in report.stacks)


def test_other_views_of_one_series_take_nothing_away(tmp_path: Path) -> None:
    """Short axis with long axes and localizers across it."""
    datasets = series()
    planes = [[*NORMAL, *ROW], [*NORMAL, *COLUMN], [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]]
    for index, plane in enumerate(planes):
        ds = slice_dataset(N_SLICES)
        ds.SOPInstanceUID, ds.ImageOrientationPatient = f"{SERIES}.88.{index}", decimals(plane)
        datasets.append(ds)
    save_series(tmp_path, datasets)
    [stack] = [one for one in scan([tmp_path]).stacks if one.n_slices == N_SLICES]
    assert stack.complete


def test_second_heart_elsewhere_takes_nothing_away(tmp_path: Path) -> None:
    datasets = series()
    away = np.array([float(v) for v in slice_dataset(N_SLICES).ImagePositionPatient]) + 90 * ROW
    other = slice_dataset(N_SLICES)
    other.ImagePositionPatient, other.ImageType = decimals(away), ["DERIVED", "PRIMARY", "M"]
    save_series(tmp_path, [*datasets, other])
    [stack] = [one for one in scan([tmp_path]).stacks if one.n_slices == N_SLICES]
    assert stack.complete


@pytest.mark.parametrize("degrees", [0.0, 0.01, 0.15, 5.0, 90.0, 180.0])
def test_angle_between_orientations(degrees: float) -> None:
    one = tuple(float(v) for v in ORIENTATION)
    other = tuple(float(v) for v in turned(degrees))
    assert angle_degrees(one, other) == pytest.approx(degrees, abs=1e-4)  # type: ignore[arg-type]


def test_orientations_that_lean_either_way_are_one(tmp_path: Path) -> None:
    datasets = series()
    datasets[0].ImageOrientationPatient = turned(0.15)
    datasets[-1].ImageOrientationPatient = turned(-0.15)
    save_series(tmp_path, datasets)
    [stack] = scan([tmp_path]).stacks
    assert (stack.n_slices, stack.complete) == (N_SLICES, True)
    assert stack.orientation == pytest.approx(tuple(ORIENTATION), abs=1e-8)


def test_one_file_of_a_series_says_that_there_are_more(tmp_path: Path) -> None:
    paths = save_series(tmp_path, series())
    save(enhanced(twin(lambda ds: None)), tmp_path / "another series")
    [stack] = scan([paths[2]]).stacks
    assert not stack.complete
    [text] = [w.message for w in stack.warnings if w.code == "W_ONE_FILE"]
    assert "holds 6 more images of its series" in text


@pytest.mark.parametrize("n", [1, N_SLICES])
def test_all_files_of_a_series_are_the_whole_series(tmp_path: Path, n: int) -> None:
    paths = save_series(tmp_path, series(n))
    [stack] = scan(paths).stacks
    assert (stack.n_slices, stack.complete) == (n, True)
