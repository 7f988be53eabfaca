"""Series that hold more than one stack, and which stack of a study is proposed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from scarseg.case.stack import LgeSequence
from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import ImageKind, LoadReport, StackSummary
from tests.io.dicom_files import (
    N_SLICES,
    NORMAL,
    ORIENTATION,
    SERIES,
    SPACING,
    STUDY,
    decimals,
    enhanced,
    put_pixels,
    save,
    save_series,
    series,
    slice_dataset,
    stored_pixels,
)

Change = Callable[[Dataset, int], None]


def twin(change: Change, uid: str = SERIES, n: int = N_SLICES) -> list[Dataset]:
    """Make another stack at the same positions, told apart by ``change``."""
    datasets = []
    for k in range(n):
        ds = slice_dataset(k, pixels=stored_pixels(k + 50))
        ds.SOPInstanceUID, ds.SeriesInstanceUID = f"{uid}.77.{k + 1}", uid
        change(ds, k)
        datasets.append(ds)
    return datasets


def proposed(report: LoadReport) -> list[StackSummary]:
    return [stack for stack in report.stacks if stack.proposed]


def codes(summary: StackSummary) -> list[str]:
    return [warning.code for warning in summary.warnings]


def _psir_type(ds: Dataset, k: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "PSIR"]


def _real_type(ds: Dataset, k: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"]


def _signed(ds: Dataset, k: int) -> None:
    ds.RescaleSlope, ds.RescaleIntercept = "1", "-2048"


def _signed_pixels(ds: Dataset, k: int) -> None:
    put_pixels(ds, stored_pixels(k).astype(np.int16) - 2048)


def _named_psir(ds: Dataset, k: int) -> None:
    ds.SeriesDescription = "LGE SAX PSIR"


@pytest.mark.parametrize("change", [_psir_type, _real_type, _signed, _signed_pixels, _named_psir])
def test_magnitude_and_psir_in_one_series_split_and_magnitude_is_proposed(
    tmp_path: Path, change: Change
) -> None:
    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", twin(change))
    report = scan([tmp_path])
    assert sorted(s.part for s in report.stacks) == ["magnitude", "psir"]
    assert {s.n_slices for s in report.stacks} == {N_SLICES}
    assert all(s.slice_spacing_mm == pytest.approx(SPACING, abs=1e-5) for s in report.stacks)
    assert all("W_SPLIT" in codes(s) for s in report.stacks)
    [magnitude] = proposed(report)
    assert magnitude.sequence is LgeSequence.MAGNITUDE
    assert "PSIR is there as well" in magnitude.reason
    np.testing.assert_array_equal(read_stack(magnitude).pixels[1], stored_pixels(1))
    [psir] = [s for s in report.stacks if not s.proposed]
    assert psir.sequence is LgeSequence.PSIR
    assert read_stack(psir).sequence is LgeSequence.PSIR


def test_magnitude_and_psir_as_two_series(tmp_path: Path) -> None:
    def psir(ds: Dataset, k: int) -> None:
        ds.SeriesDescription, ds.SeriesNumber = "LGE SAX PSIR", 9

    def magnitude(ds: Dataset, k: int) -> None:
        ds.SeriesDescription, ds.SeriesNumber = "LGE SAX PSIR_MAG", 8

    save_series(tmp_path / "a", twin(psir, "1.2.3.4"))
    save_series(tmp_path / "b", twin(magnitude, "1.2.3.5"))
    report = scan([tmp_path])
    assert {s.series_uid: s.sequence for s in report.stacks} == {
        "1.2.3.4": LgeSequence.PSIR,
        "1.2.3.5": LgeSequence.MAGNITUDE,
    }
    [taken] = proposed(report)
    assert taken.series_uid == "1.2.3.5"


def test_psir_alone_is_proposed(tmp_path: Path) -> None:
    save_series(tmp_path, twin(_psir_type))
    [taken] = proposed(scan([tmp_path]))
    assert (taken.sequence, taken.part) == (LgeSequence.PSIR, "")


@pytest.mark.parametrize(
    ("keyword", "values", "parts"),
    [
        ("TriggerTime", ["120.5", "640"], ["tt120p5", "tt640"]),
        ("AcquisitionNumber", [3, 11], ["acq11", "acq3"]),
        ("TemporalPositionIdentifier", [1, 2], ["tp1", "tp2"]),
        ("EchoTime", ["1.5", "3"], ["te1p5", "te3"]),
    ],
)
def test_repeated_positions_split(
    tmp_path: Path, keyword: str, values: list[object], parts: list[str]
) -> None:
    datasets = series() + twin(lambda ds, k: None)
    for index, ds in enumerate(datasets):
        setattr(ds, keyword, values[index // N_SLICES])
    random.Random(1).shuffle(datasets)
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert sorted(s.part for s in report.stacks) == parts
    for summary in report.stacks:
        assert summary.n_slices == N_SLICES
        assert summary.complete
        offset = 0 if summary.frames[0].sop_uid == f"{SERIES}.1" else 50
        stack = read_stack(summary)
        expected = np.stack([stored_pixels(k + offset) for k in range(N_SLICES)])
        np.testing.assert_array_equal(stack.pixels, expected)
        assert stack.part == summary.part
    assert len(proposed(report)) == 1


def test_phases_inside_an_enhanced_file_split(tmp_path: Path) -> None:
    datasets = series() + twin(lambda ds, k: None)
    for index, ds in enumerate(datasets):
        ds.TemporalPositionIdentifier = 1 + index // N_SLICES
    save(enhanced(datasets), tmp_path / "one")
    report = scan([tmp_path])
    assert [s.part for s in report.stacks] == ["tp1", "tp2"]
    first = read_stack(report.stacks[0])
    np.testing.assert_array_equal(first.pixels[3], stored_pixels(3))
    assert [s.frame for s in first.sources] == [1, 2, 3, 4, 5, 6]


def test_cine_phases_with_jittering_trigger_times_split_by_rank(tmp_path: Path) -> None:
    datasets = []
    for phase in range(3):
        for k in range(N_SLICES):
            ds = slice_dataset(k, pixels=stored_pixels(k + 10 * phase))
            ds.SOPInstanceUID = f"{SERIES}.{phase}.{k + 1}"
            ds.TriggerTime = f"{40 * phase + 1.7 * k:.1f}"
            ds.SeriesDescription, ds.InversionTime = "SAX stack", ""
            datasets.append(ds)
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert [s.part for s in report.stacks] == ["r1", "r2", "r3"]
    for rank, summary in enumerate(report.stacks):
        phases = {frame.sop_uid.split(".")[-2] for frame in summary.frames}
        assert phases == {str(2 - rank)}
    assert proposed(report) == []


def test_one_repeated_slice_gives_a_whole_stack_of_the_newest(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.AcquisitionNumber = k + 1
    again = slice_dataset(2, pixels=stored_pixels(90))
    again.SOPInstanceUID, again.AcquisitionNumber = f"{SERIES}.99", 42
    save_series(tmp_path, [*datasets, again])
    report = scan([tmp_path])
    [taken] = proposed(report)
    assert taken.n_slices == N_SLICES
    assert taken.complete
    assert "W_REPEAT" in codes(taken)
    np.testing.assert_array_equal(read_stack(taken).pixels[2], stored_pixels(90))
    [rest] = [s for s in report.stacks if not s.proposed]
    assert rest.n_slices == 1


def test_of_two_whole_acquisitions_the_newest_is_proposed(tmp_path: Path) -> None:
    datasets = series() + twin(lambda ds, k: None)
    for index, ds in enumerate(datasets):
        ds.AcquisitionNumber = index + 1  # one number a slice: only the order in time is left
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    assert [s.n_slices for s in report.stacks] == [N_SLICES, N_SLICES]
    [taken] = proposed(report)
    assert taken.part == "r1"
    assert taken.complete
    np.testing.assert_array_equal(read_stack(taken).pixels[2], stored_pixels(52))


def test_repeats_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", twin(lambda ds, k: None))
    report = scan([tmp_path])
    assert report.stacks == ()
    [refusal] = report.refused
    assert (refusal.code, refusal.series_uid, refusal.study_uid) == ("E_IMAGE_KINDS", SERIES, STUDY)
    assert f"Up to 2 images lie at one position, {2 * N_SLICES} at {N_SLICES}" in refusal.message


def _turned(ds: Dataset, k: int) -> None:
    ds.ImageOrientationPatient = decimals([*ORIENTATION[3:], *(-ORIENTATION[:3])])


def _finer(ds: Dataset, k: int) -> None:
    ds.PixelSpacing = ["1.4", "1.2"]


def _smaller(ds: Dataset, k: int) -> None:
    ds.Rows, ds.PixelData = ds.Rows - 2, ds.PixelData[: -2 * 2 * ds.Columns]


def _thinner(ds: Dataset, k: int) -> None:
    ds.SliceThickness = "6"


def _phase(ds: Dataset, k: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "P"]


def _derived(ds: Dataset, k: int) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY", "M"]


def _localizer(ds: Dataset, k: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@pytest.mark.parametrize(
    "change", [_turned, _finer, _smaller, _thinner, _phase, _derived, _localizer]
)
def test_what_differs_splits(tmp_path: Path, change: Change) -> None:
    """And the parts are named alike whatever the order, names and folders of the files."""
    datasets = series() + twin(change)
    save_series(tmp_path / "a", datasets)
    first = scan([tmp_path / "a"])
    assert [s.n_slices for s in first.stacks] == [N_SLICES, N_SLICES]
    assert len(proposed(first)) == 1
    for seed in range(3):
        random.Random(seed).shuffle(datasets)
        for index, ds in enumerate(datasets):
            ds.InstanceNumber = index
            save(ds, tmp_path / f"b{seed}" / str(index % 3) / f"{index}")
        again = scan([tmp_path / f"b{seed}"])
        assert _contents(again) == _contents(first)
    assert all(s.part.replace("-", "").isalnum() for s in first.stacks)


def _contents(report: LoadReport) -> dict[str, tuple[object, ...]]:
    return {
        s.stack_id: (s.proposed, [f.sop_uid for f in s.frames], codes(s)) for s in report.stacks
    }


def test_localizers_of_three_orientations_inside_a_series(tmp_path: Path) -> None:
    datasets = series()
    for index, plane in enumerate(([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])):
        ds = slice_dataset(0)
        ds.SOPInstanceUID = f"{SERIES}.88.{index}"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.ImageOrientationPatient = [str(v) for v in plane]
        datasets.append(ds)
    save_series(tmp_path, datasets)
    report = scan([tmp_path])
    [taken] = proposed(report)
    assert taken.n_slices == N_SLICES
    assert [s.kind for s in report.stacks if not s.proposed] == [ImageKind.LOCALIZER] * 3
    assert len({s.part for s in report.stacks}) == 4


def test_orientation_noise_below_the_tolerance_does_not_split(tmp_path: Path) -> None:
    datasets = series()
    for k, ds in enumerate(datasets):
        ds.ImageOrientationPatient = decimals(ORIENTATION + 2e-6 * (-1) ** k)
    save_series(tmp_path, datasets)
    assert [s.n_slices for s in scan([tmp_path]).stacks] == [N_SLICES]


def test_two_patients_under_one_series_split_and_alarm(tmp_path: Path) -> None:
    def other(ds: Dataset, k: int) -> None:
        ds.PatientID, ds.PatientName = "ID-8", "Other^Person"

    save_series(tmp_path / "a", series())
    save_series(tmp_path / "b", twin(other))
    report = scan([tmp_path])
    assert [(s.patient_id, s.part) for s in report.stacks] == [("ID-7", "p1"), ("ID-8", "p2")]
    assert all("W_PATIENT" in codes(s) for s in report.stacks)
    assert all(s.n_slices == N_SLICES for s in report.stacks)


def _describe(text: str) -> Change:
    def change(ds: Dataset, k: int) -> None:
        ds.SeriesDescription, ds.InversionTime = text, ""

    return change


@pytest.mark.parametrize(
    "text",
    [
        "LGE SAX",
        "DE_high-res_SA",
        "PSIR short axis",
        "viability",
        "late enhancement sax",
        "MDE SAX",
        "DelayedEnh_SAX",
    ],
)
def test_series_called_lge_is_proposed_among_others(tmp_path: Path, text: str) -> None:
    others = ["cine_sax", "T2 STIR sax", "LGE 4ch", "perfusion", "sax bh", "T1 map"]
    for index, name in enumerate(others):
        save_series(tmp_path / str(index), twin(_describe(name), f"1.2.9.{index}"))
    save_series(tmp_path / "x", twin(_describe(text), "1.2.8"))
    [taken] = proposed(scan([tmp_path]))
    assert taken.series_uid == "1.2.8"
    assert taken.reason


def test_only_stack_is_proposed_whatever_it_is_called(tmp_path: Path) -> None:
    save_series(tmp_path, twin(_describe("Serie 14")))
    [taken] = proposed(scan([tmp_path]))
    assert "W_NOT_LGE" in codes(taken)
    assert "only stack" in taken.reason


@pytest.mark.parametrize(
    "text", ["CINESAX", "cine", "localizer", "head T2", "LGE 2ch", "TI scout", "survey"]
)
def test_what_is_no_lge_stack_is_never_proposed(tmp_path: Path, text: str) -> None:
    save_series(tmp_path, twin(_describe(text)))
    report = scan([tmp_path])
    assert len(report.stacks) == 1
    assert proposed(report) == []
    assert report.stacks[0].reason.startswith("not proposed: ")


def test_two_unnamed_stacks_are_left_to_the_reader(tmp_path: Path) -> None:
    save_series(tmp_path / "a", twin(_describe("one"), "1.2.1"))
    save_series(tmp_path / "b", twin(_describe("two"), "1.2.2"))
    report = scan([tmp_path])
    assert len(report.stacks) == 2
    assert proposed(report) == []


def test_unnamed_stack_is_not_proposed_where_another_was_refused(tmp_path: Path) -> None:
    save_series(tmp_path / "a", twin(_describe("one"), "1.2.1"))
    broken = twin(_describe("LGE SAX"), "1.2.2")
    for ds in broken:
        del ds.PixelSpacing
    save_series(tmp_path / "b", broken)
    report = scan([tmp_path])
    assert [(r.code, r.series_uid, r.study_uid) for r in report.refused] == [
        ("E_SPACING", "1.2.2", STUDY)
    ]
    assert proposed(report) == []


@pytest.mark.parametrize("spacing", [1.0, 30.0])
def test_unlikely_spacing_is_not_proposed_without_a_name(tmp_path: Path, spacing: float) -> None:
    for k, ds in enumerate(twin(_describe("series"))):
        ds.ImagePositionPatient = decimals(NORMAL * spacing * k)
        save(ds, tmp_path / f"{k}")
    assert proposed(scan([tmp_path])) == []


def test_ct_is_listed_but_never_proposed(tmp_path: Path) -> None:
    def ct(ds: Dataset, k: int) -> None:
        ds.Modality, ds.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"

    save_series(tmp_path, twin(ct))
    [summary] = scan([tmp_path]).stacks
    assert "W_NOT_MR" in codes(summary)
    assert not summary.proposed


def test_single_slice_called_lge_short_axis_is_proposed(tmp_path: Path) -> None:
    save_series(tmp_path, series(1))
    [taken] = proposed(scan([tmp_path]))
    assert "W_FEW_SLICES" in codes(taken)
    stack = read_stack(taken)
    assert stack.slice_spacing_mm is None
    assert taken.slice_spacing_mm is None


@pytest.mark.parametrize("k", [0, 2, 5])
@pytest.mark.parametrize("turn", [(-1, 0, 0, -1), (0, 1, -1, 0)])
def test_a_slice_turned_within_its_plane_makes_the_others_incomplete(
    tmp_path: Path, k: int, turn: tuple[int, int, int, int]
) -> None:
    datasets = series()
    row, column = ORIENTATION[:3], ORIENTATION[3:]
    a, b, c, d = turn
    turned = [*(a * row + b * column), *(c * row + d * column)]
    datasets[k].ImageOrientationPatient = decimals(turned)
    save_series(tmp_path, datasets)
    stacks = scan([tmp_path]).stacks
    assert sorted(one.n_slices for one in stacks) == [1, 5]
    assert not any(one.complete for one in stacks)


def test_a_heart_archived_in_two_series_is_incomplete_in_each(tmp_path: Path) -> None:
    datasets = series()
    for ds in datasets[3:]:
        ds.SeriesInstanceUID = f"{SERIES}.3"
    save_series(tmp_path, datasets)
    stacks = scan([tmp_path]).stacks
    assert [one.n_slices for one in stacks] == [3, 3]
    assert not any(one.complete for one in stacks)
    for one, other in zip(stacks, reversed(stacks), strict=True):
        [text] = [each.message for each in one.warnings if each.code == "W_SPLIT_OFF"]
        nearest = min(other.frames, key=lambda frame: abs(frame.instance_number - 3.5))
        assert nearest.source.file_name in text


def test_an_acquisition_repeated_one_slice_further_leaves_both_complete(tmp_path: Path) -> None:
    again = []
    for k in range(N_SLICES):
        ds = slice_dataset(k + 1, pixels=stored_pixels(k + 20))
        ds.SeriesInstanceUID, ds.SOPInstanceUID = f"{SERIES}.3", f"{SERIES}.3.{k}"
        again.append(ds)
    save_series(tmp_path, [*series(), *again])
    stacks = scan([tmp_path]).stacks
    assert [(one.n_slices, one.complete) for one in stacks] == [(6, True), (6, True)]
