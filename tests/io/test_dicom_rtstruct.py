"""Contours lie round the voxels in the patient, pass a strict validator, and name nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from skimage.draw import polygon2mask

from scarseg.io.dicom_export.seg import tissues_in
from scarseg.io.tables.pseudonyms import pseudonym
from tests.io.exports import (
    CANARIES,
    CREATED,
    HAS_VALIDATOR,
    ID,
    VARIANTS,
    Export,
    Variant,
    complaints,
    make_export,
    write_contours,
)

BY_NAME = {one.name: one for one in VARIANTS}
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)


def written(variant: Variant, folder: Path, identify: bool = False) -> Export:
    export = make_export(variant, folder / "images")
    write_contours(
        folder / "rt.dcm", export.case, export.summary, created=CREATED, identify=identify
    )
    return export


@each_variant
def test_filled_contours_are_the_voxels(variant: Variant, tmp_path: Path) -> None:
    export = written(variant, tmp_path)
    stack, labels = export.case.stack, export.case.labels
    dataset = dcmread(tmp_path / "rt.dcm")
    tissues = tissues_in(labels)
    assert [one.ROIName for one in dataset.StructureSetROISequence] == [t.name for t in tissues]
    spacing = np.array(stack.pixel_spacing_mm)
    axes = np.array([stack.orientation[3:], stack.orientation[:3]])
    for tissue, region in zip(tissues, dataset.ROIContourSequence, strict=True):
        found = np.zeros(labels.shape, dtype=bool)
        for contour in region.get("ContourSequence", ()):
            [image] = contour.ContourImageSequence
            named = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
            k = [(one.sop_instance_uid, one.frame) for one in stack.sources].index(named)
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            assert len(points) == contour.NumberOfContourPoints
            inside = points - np.array(stack.origins_mm[k])
            assert np.abs(inside @ np.array(stack.normal)).max() < 1e-3
            corners = inside @ axes.T / spacing
            np.testing.assert_allclose(corners % 1, 0.5, atol=2e-3)  # borders, not centres
            found[k] ^= polygon2mask(labels.shape[1:], np.round(corners + 0.5) - 0.5)
        np.testing.assert_array_equal(found, tissue.mask(labels))


@pytest.mark.skipif(not HAS_VALIDATOR, reason="dciodvfy (dicom3tools) is missing")
@each_variant
def test_a_strict_validator_finds_no_error(variant: Variant, tmp_path: Path) -> None:
    written(variant, tmp_path, identify=variant.touched != "")
    assert complaints(tmp_path / "rt.dcm") == []


def test_nobody_is_named_and_the_same_case_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(BY_NAME["mvo"], tmp_path / name)
    data = (tmp_path / "a" / "rt.dcm").read_bytes()
    assert data == (tmp_path / "b" / "rt.dcm").read_bytes()
    assert not [one for one in CANARIES if one in data]
    dataset = dcmread(tmp_path / "a" / "rt.dcm")
    assert dataset.PatientID == pseudonym(ID)
    assert dataset.StructureSetROISequence[0].ROIGenerationAlgorithm == "SEMIAUTOMATIC"
    assert "segmenter_sha256=" + "ab" * 32 in dataset.StructureSetDescription
