"""Real files of several vendors, where they are at hand beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarseg.io.dicom import read_stack, scan
from scarseg.io.dicom.types import LoadReport, StackSummary

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "dicom"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/dicom is not there")
HEADS = DATA / "icometrix"


def codes(summary: StackSummary) -> set[str]:
    return {warning.code for warning in summary.warnings}


def only(report: LoadReport) -> StackSummary:
    assert report.refused == ()
    [summary] = report.stacks
    return summary


def test_cine_splits_into_its_two_phases() -> None:
    report = scan([DATA / "sunnybrook_cine"])
    assert report.refused == ()
    assert [s.part for s in report.stacks] == ["tt348", "tt929"]
    for summary in report.stacks:
        # Each phase lacks the slice at one end that only the other has: six positions, five each.
        assert (summary.n_slices, summary.complete, summary.proposed) == (5, False, False)
        assert "W_SPLIT_OFF" in codes(summary)
        assert summary.slice_spacing_mm == pytest.approx(8.0, abs=1e-3)
        assert {f.trigger_ms for f in summary.frames} == {float(summary.part[2:])}
        left = [f.position_mm[0] for f in summary.frames]
        assert left == sorted(left)
        assert read_stack(summary).pixels.max() > 100


def test_tilted_gantry_is_measured_along_the_normal() -> None:
    summary = only(scan([HEADS / "failing/gantrytilting"]))
    assert "W_TILT" in codes(summary)
    assert summary.slice_spacing_mm == pytest.approx(5 * 0.970295726276, abs=1e-6)


@pytest.mark.parametrize("name", ["001", "002"])
def test_varying_increment_is_a_missing_slice(name: str) -> None:
    summary = only(scan([HEADS / "failing/sliceincrement" / name]))
    assert "W_GAP_IRREGULAR" in codes(summary)
    assert not summary.complete


def test_varying_orientation_splits() -> None:
    report = scan([HEADS / "failing/sliceorientation"])
    assert [s.n_slices for s in report.stacks] == [2, 2]
    assert all("W_SPLIT" in codes(s) for s in report.stacks)
    assert {s.pixel_spacing_mm[0] for s in report.stacks} == {0.31999999284744, 0.5555555820465}


def test_too_few_slices_warn() -> None:
    summary = only(scan([HEADS / "failing/slicecount"]))
    assert "W_FEW_SLICES" in codes(summary)
    assert not summary.proposed


def test_not_a_volume_splits_into_single_slices() -> None:
    report = scan([HEADS / "failing/notavolume"])
    assert [s.part for s in report.stacks] == ["acq12", "acq13", "acq14", "acq15"]
    assert all({"W_SPLIT", "W_FEW_SLICES"} <= codes(s) for s in report.stacks)


def test_compressed_variants_hold_the_same_image() -> None:
    stacks = [
        read_stack(only(scan([HEADS / "generic" / f"compressed_{name}"])), 1.0)
        for name in ("rle", "jpeg", "jpegls", "j2k")
    ]
    for stack in stacks[1:]:
        np.testing.assert_array_equal(stack.pixels, stacks[0].pixels)
    assert len(np.unique(stacks[0].pixels)) > 100


@pytest.mark.parametrize(
    ("name", "n", "spacing", "between"),
    [
        ("ge/anatomical/001", 4, (1.0, 1.0), 1.0),
        ("philips/anatomical/001", 4, (1.0416666, 1.0416666), 0.6),
        ("siemens/anatomical/001", 4, (1.0, 1.0), 1.0),
        ("philips_enhanced/anatomical/001", 8, (1.0, 1.0), 1.2),
        ("siemens_multiframe/anatomical/001", 8, (0.9375, 0.9375), 0.9),
        ("generic/anatomical/002_non_isotropic", 4, (4.0, 6.39995861053464), 0.5),
    ],
)
def test_vendor_series(name: str, n: int, spacing: tuple[float, float], between: float) -> None:
    summary = only(scan([HEADS / name]))
    assert (summary.n_slices, summary.pixel_spacing_mm) == (n, spacing)
    assert summary.slice_spacing_mm == pytest.approx(between, abs=1e-3)
    assert not summary.proposed
    stack = read_stack(summary, slice_thickness_mm=1.0)
    assert stack.pixels.shape == (n, summary.rows, summary.columns)
    assert stack.complete


def test_values_of_real_files_match_pydicom() -> None:
    from pydicom import dcmread

    for name in ("generic/anatomical/002_non_isotropic", "philips_enhanced/anatomical/001"):
        stack = read_stack(only(scan([HEADS / name])), 1.0)
        files = {
            str(ds.SOPInstanceUID): ds for p in (HEADS / name).iterdir() for ds in [dcmread(p)]
        }
        for pixels, source in zip(stack.pixels, stack.sources, strict=True):
            ds = files[source.sop_instance_uid]
            stored = ds.pixel_array
            if source.frame is not None:
                groups = ds.PerFrameFunctionalGroupsSequence[source.frame - 1]
                transform = groups.PixelValueTransformationSequence[0]
                stored = stored[source.frame - 1]
            else:
                transform = ds
            expected = stored * float(transform.RescaleSlope) + float(transform.RescaleIntercept)
            np.testing.assert_allclose(pixels, expected, rtol=1e-6)
