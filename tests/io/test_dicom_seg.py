"""Segmentations lie on the patient where the labels do, say who drew them, and name nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from scarseg.case.labels import Label
from scarseg.errors import InputError, OutputError
from scarseg.io.dicom_export.seg import TISSUES, tissues_in
from scarseg.io.tables.pseudonyms import pseudonym
from tests.io.exports import (
    BIRTH,
    CANARIES,
    CREATED,
    HAS_VALIDATOR,
    ID,
    NAME,
    VARIANTS,
    Export,
    Variant,
    complaints,
    in_order,
    make_export,
    places_of,
    write_segmentation,
)

PLAIN = VARIANTS[0]
BY_NAME = {one.name: one for one in VARIANTS}
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)


def written(variant: Variant, folder: Path, **options: bool) -> tuple[Export, hd.seg.Segmentation]:
    export = make_export(variant, folder / "images")
    path = folder / "seg.dcm"
    write_segmentation(path, export.case, export.summary, created=CREATED, **options)
    return export, hd.seg.segread(path)


def test_there_are_twenty() -> None:
    assert len({one.name for one in VARIANTS}) == 20


@each_variant
def test_voxels_come_back_at_their_place_in_the_patient(variant: Variant, tmp_path: Path) -> None:
    export, found = written(variant, tmp_path)
    stack, labels = export.case.stack, export.case.labels
    tissues = tissues_in(labels)
    assert [one.SegmentLabel for one in found.SegmentSequence] == [one.name for one in tissues]
    groups = found.PerFrameFunctionalGroupsSequence
    shared = found.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    row_mm, column_mm = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    frames = np.atleast_3d(found.pixel_array).reshape(-1, stack.rows, stack.columns)
    for number, tissue in enumerate(tissues, 1):
        points = []
        for group, frame in zip(groups, frames, strict=True):
            holder = group if "SegmentIdentificationSequence" in group else shared
            if holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
                continue
            corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
            rows, columns = np.nonzero(frame)
            points.append(
                corner
                + np.outer(columns * column_mm, cosines[:3])
                + np.outer(rows * row_mm, cosines[3:])
            )
        truth = places_of(tissue.mask(labels), stack)
        got = in_order(np.concatenate(points))
        assert got.shape == truth.shape
        np.testing.assert_allclose(got, truth, atol=1e-3)


@each_variant
def test_highdicom_gives_every_source_slice_its_mask(variant: Variant, tmp_path: Path) -> None:
    export, found = written(variant, tmp_path)
    stack, labels = export.case.stack, export.case.labels
    ask = {"ignore_spatial_locations": False, "assert_missing_frames_are_empty": True}
    if variant.enhanced:
        frames = [one.frame for one in stack.sources]
        masks = found.get_pixels_by_source_frame(stack.sources[0].sop_instance_uid, frames, **ask)
    else:
        masks = found.get_pixels_by_source_instance(
            [one.sop_instance_uid for one in stack.sources], **ask
        )
    truth = np.stack([one.mask(labels) for one in tissues_in(labels)], axis=-1)
    np.testing.assert_array_equal(masks, truth)


@pytest.mark.skipif(not HAS_VALIDATOR, reason="dciodvfy (dicom3tools) is missing")
@each_variant
def test_a_strict_validator_finds_no_error(variant: Variant, tmp_path: Path) -> None:
    written(variant, tmp_path, identify=variant.touched != "")
    assert complaints(tmp_path / "seg.dcm") == []


def test_segments_hold_what_the_table_counts(tmp_path: Path) -> None:
    export, found = written(BY_NAME["mvo"], tmp_path)
    labels = export.case.labels
    names = [one.SegmentLabel for one in found.SegmentSequence]
    assert names == [one.name for one in TISSUES]
    assert found.SegmentsOverlap == "YES"
    counts = [int(one.mask(labels).sum()) for one in TISSUES]
    assert counts[1] == (labels >= Label.MYOCARDIUM).sum() > counts[2] > counts[3] > 0
    scar = found.SegmentSequence[2]
    assert scar.SegmentedPropertyTypeCodeSequence[0].CodeValue == "12402003"
    assert scar.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "SCT"
    assert scar.AnatomicRegionSequence[0].CodeValue == "49848007"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("oblique", "AUTOMATIC"),
        ("mvo", "SEMIAUTOMATIC"),
        ("overlap", "SEMIAUTOMATIC"),
        ("odd size", "SEMIAUTOMATIC"),
        ("psir", "SEMIAUTOMATIC"),
        ("scar without wall", "MANUAL"),
    ],
)
def test_it_says_who_drew(name: str, kind: str, tmp_path: Path) -> None:
    _, found = written(BY_NAME[name], tmp_path)
    for segment in found.SegmentSequence:
        assert segment.SegmentAlgorithmType == kind
        if kind == "MANUAL":
            assert "SegmentationAlgorithmIdentificationSequence" not in segment
        else:
            [used] = segment.SegmentationAlgorithmIdentificationSequence
            assert used.AlgorithmName == "test-segmenter"
            assert used.AlgorithmVersion == "ab" * 32
            assert "detector_sha256=" + "cd" * 32 in used.AlgorithmParameters
            assert "detector_verified=no" in used.AlgorithmParameters


def test_nobody_is_named_unless_asked(tmp_path: Path) -> None:
    written(PLAIN, tmp_path / "a")
    data = (tmp_path / "a" / "seg.dcm").read_bytes()
    assert not [one for one in CANARIES if one in data]
    hidden = hd.seg.segread(tmp_path / "a" / "seg.dcm")
    assert hidden.PatientID == pseudonym(ID)
    assert hidden.PatientIdentityRemoved == "YES"
    _, named = written(PLAIN, tmp_path / "b", identify=True)
    assert (named.PatientID, str(named.PatientName)) == (ID, NAME)
    assert (named.PatientBirthDate, named.PatientSex) == (BIRTH, "F")
    assert named.AccessionNumber == "CANARYACC"
    assert "PatientIdentityRemoved" not in named
    assert named.SOPInstanceUID != hidden.SOPInstanceUID


def test_it_stands_in_the_study_of_its_images(tmp_path: Path) -> None:
    export, found = written(BY_NAME["enhanced"], tmp_path)
    assert found.StudyInstanceUID == "1.2.826.8"
    assert found.StudyDate == "20240305"
    [series] = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == export.case.stack.series_uid
    [image] = series.ReferencedInstanceSequence
    assert image.ReferencedSOPClassUID.name == "Enhanced MR Image Storage"
    assert image.ReferencedSOPInstanceUID == export.case.stack.sources[0].sop_instance_uid
    source = hd.imread(next(export.folder.glob("*.dcm")))
    assert found.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_every_series_of_a_merged_stack_is_named(tmp_path: Path) -> None:
    export, found = written(BY_NAME["a series per slice"], tmp_path)
    named = {one.SeriesInstanceUID for one in found.ReferencedSeriesSequence}
    assert named == set(export.summary.merged)
    assert len(named) == 6


def test_same_case_and_time_same_bytes(tmp_path: Path) -> None:
    export, first = written(PLAIN, tmp_path)
    path, again = tmp_path / "seg.dcm", tmp_path / "again.dcm"
    write_segmentation(again, export.case, export.summary, created=CREATED)
    assert path.read_bytes() == again.read_bytes()
    export.case.labels[0, 0, 0] = Label.SCAR
    other = write_segmentation(again, export.case, export.summary, created=CREATED, force=True)
    assert other.SOPInstanceUID != first.SOPInstanceUID


def test_nothing_is_replaced_unasked_and_no_source_written(tmp_path: Path) -> None:
    export = make_export(PLAIN, tmp_path / "images")
    before = {path: path.read_bytes() for path in export.folder.iterdir()}
    path = tmp_path / "seg.dcm"
    path.write_text("mine")
    with pytest.raises(OutputError, match="E_EXISTS"):
        write_segmentation(path, export.case, export.summary)
    assert path.read_text() == "mine"
    write_segmentation(path, export.case, export.summary, force=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert before == {path: path.read_bytes() for path in export.folder.iterdir()}


@pytest.mark.parametrize("change", ["pixels", "gone", "another stack"])
def test_images_that_changed_are_refused(change: str, tmp_path: Path) -> None:
    export = make_export(PLAIN, tmp_path / "images")
    summary, file = export.summary, sorted(export.folder.iterdir())[2]
    code = "E_SOURCE_CHANGED"
    if change == "pixels":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))
    elif change == "gone":
        file.unlink()
        code = "E_INPUT_UNREADABLE"
    else:
        summary = replace(summary, frames=summary.frames[1:])
    with pytest.raises(InputError, match=code):
        write_segmentation(tmp_path / "seg.dcm", export.case, summary)
    assert not (tmp_path / "seg.dcm").exists()


def test_readers_are_named_as_they_sign(tmp_path: Path) -> None:
    export = make_export(PLAIN, tmp_path / "images")
    export.case.reader = "Dr. Ä^B\\C"
    made = write_segmentation(tmp_path / "seg.dcm", export.case, export.summary)
    assert str(hd.seg.segread(tmp_path / "seg.dcm").ContentCreatorName) == "Dr. Ä B C^"
    assert made.SpecificCharacterSet == "ISO_IR 192"
