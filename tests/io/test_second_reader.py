"""What we export, read by SimpleITK (ITK and GDCM): the same voxels at the same place.

ITK knows one place per file, that of the first frame; a segmentation has a place per frame. So
ITK answers for pixels, direction and first place, the frames' headers for the others. Label maps
(NIfTI) are ITK's from end to end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documents call it
from pydicom import dcmread

from scarseg.case.labels import Label
from scarseg.io.dicom_export.seg import tissues_in
from scarseg.io.masks.nifti import write_labels
from tests.io.exports import (
    CREATED,
    VARIANTS,
    Variant,
    in_order,
    make_export,
    places_of,
    write_segmentation,
)

SEVERAL = [one for one in VARIANTS if one.n > 1 and one.shape[0] * one.shape[1] % 8 == 0]
"""ITK takes no file whose frames all lie in one place. Where frames of one bit per voxel do not
end with a byte, it reads the last voxels from beyond the end of the pixels: other ones each time.
"""


@pytest.mark.parametrize("variant", SEVERAL, ids=lambda one: one.name)
def test_a_segmentation(variant: Variant, tmp_path: Path) -> None:
    export = make_export(variant, tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    path = tmp_path / "seg.dcm"
    write_segmentation(path, export.case, export.summary, created=CREATED)
    image = sitk.ReadImage(str(path))
    frames = sitk.GetArrayFromImage(image) > 0
    header = dcmread(path, stop_before_pixels=True)
    groups = header.PerFrameFunctionalGroupsSequence
    shared = header.SharedFunctionalGroupsSequence[0]
    assert frames.shape == (len(groups), stack.rows, stack.columns)
    turn = np.array(image.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(turn[:, 0], stack.orientation[:3], atol=1e-5)
    np.testing.assert_allclose(turn[:, 1], stack.orientation[3:], atol=1e-5)
    corners = [
        np.array(one.PlanePositionSequence[0].ImagePositionPatient, dtype=float) for one in groups
    ]
    np.testing.assert_allclose(image.GetOrigin(), corners[0], atol=1e-5)
    row_mm, column_mm = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    for number, tissue in enumerate(tissues_in(labels), 1):
        points = []
        for group, corner, frame in zip(groups, corners, frames, strict=True):
            holder = group if "SegmentIdentificationSequence" in group else shared
            if holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
                rows, columns = np.nonzero(frame)
                steps = np.stack([columns * column_mm, rows * row_mm])
                points.append(corner + (turn[:, :2] @ steps).T)
        found, truth = in_order(np.concatenate(points)), places_of(tissue.mask(labels), stack)
        assert found.shape == truth.shape
        np.testing.assert_allclose(found, truth, atol=1e-3)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)
def test_a_label_map(variant: Variant, tmp_path: Path) -> None:
    export = make_export(variant, tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    write_labels(tmp_path / "m.nii.gz", labels, stack)
    image = sitk.ReadImage(str(tmp_path / "m.nii.gz"))
    values = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(values, labels)
    assert image.GetSpacing()[:2] == pytest.approx(stack.pixel_spacing_mm[::-1], rel=1e-5)
    if variant.skip:  # a grid has one step; where a slice is missing it is the mean
        return
    for label in Label:
        if label is Label.BACKGROUND or not (values == label).any():
            continue
        indices = np.argwhere(values == label)[:, ::-1].tolist()
        places = np.array([image.TransformIndexToPhysicalPoint(one) for one in indices])
        np.testing.assert_allclose(in_order(places), places_of(labels == label, stack), atol=1e-3)
