"""What is written reads back as it was, and a strict validator finds no error in it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from scarseg.case.stack import LgeSequence, Stack
from scarseg.errors import OutputError
from scarseg.io.dicom.uids import decimal_string
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.series import simulate_stack
from scarseg.simulate.signal import Vendor, series_style
from scarseg.simulate.write_dicom import write_series
from scarseg.simulate.write_enhanced import Storage
from tests.conftest import make_phantom_stack


def small_stack(sequence: LgeSequence) -> Stack:
    options = SimulationOptions(
        sequence=sequence, n_slices=3, rows=144, columns=152, pixel_spacing_mm=(1.7, 1.3)
    )
    return simulate_stack(4, options).stack


def rescaled(dataset: Dataset, k: int | None = None) -> np.ndarray:
    pixels = dataset.pixel_array.astype(np.float64)
    if k is None:
        slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
    else:
        pixels = pixels[k] if pixels.ndim == 3 else pixels
        group = dataset.PerFrameFunctionalGroupsSequence[k].PixelValueTransformationSequence[0]
        slope, intercept = group.RescaleSlope, group.RescaleIntercept
    return pixels * float(slope) + float(intercept)


def errors_of(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    assert any("MRImage" in line for line in said), "the validator knew what it read"
    return [line for line in said if line.startswith("Error")]


@pytest.mark.parametrize("storage", list(Storage))
@pytest.mark.parametrize("sequence", list(LgeSequence))
@pytest.mark.parametrize("enhanced", [False, True])
def test_pixels_read_back_within_the_rescale(
    tmp_path: Path, storage: Storage, sequence: LgeSequence, enhanced: bool
) -> None:
    stack = small_stack(sequence)
    paths = write_series(tmp_path, stack, enhanced=enhanced, storage=storage)
    assert len(paths) == (1 if enhanced else stack.n_slices)
    for k in range(stack.n_slices):
        dataset = pydicom.dcmread(paths[0 if enhanced else k])
        read = rescaled(dataset, k if enhanced else None)
        tolerance = 0.0
        if storage is Storage.SCALED:
            tolerance = 0.51 * np.ptp(stack.pixels[k]) / 60000
        assert np.abs(read - stack.pixels[k]).max() <= tolerance
        if storage is Storage.DIRECT:
            assert dataset.PixelRepresentation == (sequence is LgeSequence.PSIR)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
    ],
)
@pytest.mark.parametrize("enhanced", [False, True])
def test_every_lossless_syntax_holds_the_same_pixels(
    tmp_path: Path, syntax: UID, enhanced: bool
) -> None:
    stack = small_stack(LgeSequence.PSIR)
    paths = write_series(
        tmp_path, stack, transfer_syntax=syntax, enhanced=enhanced, storage=Storage.OFFSET
    )
    dataset = pydicom.dcmread(paths[0])
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.SOPInstanceUID == stack.sources[0].sop_instance_uid
    assert np.array_equal(rescaled(dataset, 0 if enhanced else None), stack.pixels[0])


def test_geometry_and_identity_are_those_of_the_stack(tmp_path: Path) -> None:
    stack = small_stack(LgeSequence.MAGNITUDE)
    for k, path in enumerate(write_series(tmp_path, stack)):
        dataset = pydicom.dcmread(path)
        assert tuple(dataset.PixelSpacing) == (1.7, 1.3)
        assert float(dataset.SliceThickness) == stack.slice_thickness_mm
        assert np.allclose(dataset.ImageOrientationPatient, stack.orientation, atol=1e-12)
        assert np.allclose(dataset.ImagePositionPatient, stack.origins_mm[k], atol=1e-9)
        assert dataset.SOPInstanceUID == stack.sources[k].sop_instance_uid
        assert dataset.SeriesInstanceUID == stack.series_uid
        assert (dataset.Rows, dataset.Columns) == (stack.rows, stack.columns)


def test_same_stack_same_bytes(tmp_path: Path) -> None:
    stack = small_stack(LgeSequence.PSIR)
    for enhanced in (False, True):
        one = write_series(tmp_path / f"a{enhanced}", stack, enhanced=enhanced)
        two = write_series(tmp_path / f"b{enhanced}", stack, enhanced=enhanced)
        assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    stack = make_phantom_stack()
    paths = write_series(tmp_path, stack)
    before = [path.read_bytes() for path in paths]
    with pytest.raises(OutputError, match="E_EXISTS"):
        write_series(tmp_path, replace(stack, description="another"))
    assert [path.read_bytes() for path in paths] == before


def test_header_values_win_and_none_leaves_out(tmp_path: Path) -> None:
    header = {"InversionTime": 321.0, "StationName": "MR1", "SliceThickness": None}
    path = write_series(tmp_path, make_phantom_stack(), header=header)[0]
    dataset = pydicom.dcmread(path)
    assert dataset.InversionTime == 321.0
    assert dataset.StationName == "MR1"
    assert "SliceThickness" not in dataset


def test_fractions_get_a_slope_of_their_own(tmp_path: Path) -> None:
    stack = make_phantom_stack()
    stack = replace(stack, pixels=stack.pixels * 0.37 + 0.11)
    path = write_series(tmp_path, stack)[0]
    assert np.abs(rescaled(pydicom.dcmread(path)) - stack.pixels[0]).max() < 0.002


@pytest.mark.parametrize("value", [0.1 + 0.2, -1 / 3, 1e-12 / 3, -123456789.123456789, 1.25, 0])
def test_decimal_strings_are_short_and_close(value: float) -> None:
    text = decimal_string(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is missing")
@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("sequence", list(LgeSequence))
@pytest.mark.parametrize("vendor", list(Vendor))
def test_a_strict_validator_finds_no_error(
    tmp_path: Path, vendor: Vendor, sequence: LgeSequence, enhanced: bool
) -> None:
    stack = small_stack(sequence)
    style = series_style(vendor, sequence, 1)
    paths = write_series(
        tmp_path, stack, header=style.header, enhanced=enhanced, storage=style.storage
    )
    assert errors_of(paths[0]) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is missing")
def test_the_validator_reports_a_wrong_header(tmp_path: Path) -> None:
    path = write_series(tmp_path, make_phantom_stack(), header={"ScanningSequence": None})[0]
    assert errors_of(path)
