"""Labels made elsewhere land on the right voxels, or are refused with a code."""

from __future__ import annotations

import gzip
import warnings
from contextlib import suppress
from dataclasses import replace
from decimal import InvalidOperation
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from scarseg.case.labels import Label
from scarseg.case.stack import Stack
from scarseg.errors import InputError, LimitError
from scarseg.io.masks.nifti import LPS_TO_RAS, write_labels
from scarseg.io.masks.read import read_mask
from tests.io.exports import (
    CREATED,
    VARIANTS,
    Export,
    Variant,
    make_export,
    write_segmentation,
)

BY_NAME = {one.name: one for one in VARIANTS}
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)


def segmented(name: str, folder: Path) -> tuple[Export, Path]:
    export = make_export(BY_NAME[name], folder / "images")
    path = folder / "seg.dcm"
    write_segmentation(path, export.case, export.summary, created=CREATED)
    return export, path


def edit(path: Path) -> Dataset:
    """Open a segmentation to be changed as another maker would have written it."""
    return dcmread(path)


@each_variant
def test_our_own_come_back(variant: Variant, tmp_path: Path) -> None:
    export, path = segmented(variant.name, tmp_path)
    found = read_mask(path, export.case.stack)
    np.testing.assert_array_equal(found.labels, export.case.labels)
    assert found.ignored == ()
    nifti = tmp_path / "labels.nii.gz"
    write_labels(nifti, export.case.labels, export.case.stack)
    np.testing.assert_array_equal(read_mask(nifti, export.case.stack).labels, export.case.labels)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, False)])
def test_a_turned_or_flipped_grid_is_put_right(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool], tmp_path: Path
) -> None:
    export = make_export(BY_NAME["oblique"], tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    data, affine = labels.transpose(2, 1, 0), LPS_TO_RAS @ stack.affine
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1
            data = np.flip(data, axis)
    affine = affine[:, [*axes, 3]]
    nib.save(nib.Nifti1Image(data.transpose(axes).copy(), affine), tmp_path / "m.nii")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii", stack).labels, labels)


def test_a_cropped_grid_is_put_right(tmp_path: Path) -> None:
    export = make_export(BY_NAME["odd size"], tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    rows, columns = np.nonzero(labels.any(axis=0))
    r, c = int(rows.min()), int(columns.min())
    affine = stack.affine
    affine[:3, 3] += affine[:3, 0] * c + affine[:3, 1] * r
    data = labels[:, r : rows.max() + 1, c : columns.max() + 1].transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(data.copy(), LPS_TO_RAS @ affine), tmp_path / "m.nii")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii", stack).labels, labels)


def test_an_irregular_stack_takes_voxels_by_its_own_positions(tmp_path: Path) -> None:
    """A maker who fills the gap with an empty slice names other slice numbers."""
    export = make_export(BY_NAME["missing slice"], tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    full = np.insert(labels, 3 if stack.slice_positions_mm[3] > 30 else 4, 0, axis=0)
    affine = stack.affine
    affine[:3, 2] = np.asarray(stack.normal) * 9.0
    nib.save(
        nib.Nifti1Image(full.transpose(2, 1, 0).copy(), LPS_TO_RAS @ affine), tmp_path / "m.nii"
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii", stack).labels, labels)


@pytest.mark.parametrize(
    "change", ["shift", "between", "finer", "coarser", "tilt", "outside", "nowhere"]
)
def test_another_grid_is_refused(change: str, tmp_path: Path) -> None:
    export = make_export(BY_NAME["oblique"], tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    affine, data = stack.affine, labels.transpose(2, 1, 0)
    if change == "shift":
        affine[:3, 3] += 0.5 * affine[:3, 0]
    elif change == "between":
        affine[:3, 3] += 0.3 * affine[:3, 2]
    elif change == "finer":
        affine[:3, 0] /= 2
        data = np.repeat(data, 2, axis=0)
    elif change == "coarser":
        affine[:3, 2] *= 2
        data = data[:, :, ::2]
    elif change == "tilt":
        turn = np.array([[1, 0, 0], [0, np.cos(0.1), -np.sin(0.1)], [0, np.sin(0.1), np.cos(0.1)]])
        affine[:3, :3] = turn @ affine[:3, :3]
    elif change == "outside":
        affine[:3, 3] += 30 * affine[:3, 0]
    image = nib.Nifti1Image(data.copy(), LPS_TO_RAS @ affine)
    if change == "nowhere":
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
    nib.save(image, tmp_path / "m.nii")
    with pytest.raises(InputError, match="E_MASK_GEOMETRY"):
        read_mask(tmp_path / "m.nii", stack)


def test_values_of_another_convention_are_translated_only_when_told(tmp_path: Path) -> None:
    export = make_export(BY_NAME["mvo"], tmp_path / "images")
    stack, labels = export.case.stack, export.case.labels
    write_labels(tmp_path / "m.nii", labels, stack)
    image = nib.load(tmp_path / "m.nii")
    data = np.asarray(image.dataobj).astype(np.int16) * 100
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "other.nii")
    with pytest.raises(InputError, match=r"E_MASK: .*100"):
        read_mask(tmp_path / "other.nii", stack)
    told = {100 * int(label): label for label in Label}
    np.testing.assert_array_equal(read_mask(tmp_path / "other.nii", stack, told).labels, labels)


@pytest.mark.parametrize("kind", ["text", "empty", "cut nifti", "cut dicom", "an image", "missing"])
def test_what_is_no_mask_is_refused(kind: str, tmp_path: Path) -> None:
    export, path = segmented("oblique", tmp_path)
    stack = export.case.stack
    target = tmp_path / "bad"
    if kind == "text":
        target.write_text("hello")
    elif kind == "empty":
        target.write_bytes(b"")
    elif kind == "cut dicom":
        target.write_bytes(path.read_bytes()[:-2000])
    elif kind == "cut nifti":
        write_labels(tmp_path / "m.nii.gz", export.case.labels, stack)
        target.write_bytes((tmp_path / "m.nii.gz").read_bytes()[:300])
    elif kind == "an image":
        target = next(export.folder.iterdir())
    with pytest.raises(InputError, match=r"E_MASK:"):
        read_mask(target, stack)


def test_segments_of_other_makers_are_known_by_code_then_by_name(tmp_path: Path) -> None:
    export, path = segmented("mvo", tmp_path)
    dataset = edit(path)
    for segment, name in zip(
        dataset.SegmentSequence, ("LV cavity", "RV", "Infarct", "No-reflow zone"), strict=True
    ):
        segment.SegmentLabel = name
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = "1", "99OTHER", "Tissue"
    dataset.save_as(path)
    found = read_mask(path, export.case.stack)
    assert found.ignored == ("RV",)
    expected = export.case.labels.copy()
    expected[expected == Label.MYOCARDIUM] = Label.BACKGROUND
    np.testing.assert_array_equal(found.labels, expected)
    told = {2: Label.SCAR}
    found = read_mask(path, export.case.stack, told)
    np.testing.assert_array_equal(found.labels == Label.SCAR, export.case.labels >= 2)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = "thing"
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"E_MASK_SEGMENTS.*thing.*--values"):
        read_mask(path, export.case.stack)


def test_grey_levels_are_no_mask(tmp_path: Path) -> None:
    export, path = segmented("oblique", tmp_path)
    dataset = edit(path)
    bits = dataset.pixel_array
    dataset.SegmentationType, dataset.MaximumFractionalValue = "FRACTIONAL", 200
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = (bits * np.uint8(200)).tobytes()
    dataset.save_as(path)
    np.testing.assert_array_equal(read_mask(path, export.case.stack).labels, export.case.labels)
    dataset.PixelData = (bits * np.uint8(90)).tobytes()
    dataset.save_as(path)
    with pytest.raises(InputError, match="grey levels"):
        read_mask(path, export.case.stack)


@pytest.mark.parametrize("change", ["moved", "swapped", "study"])
def test_a_segmentation_of_other_images_is_refused(change: str, tmp_path: Path) -> None:
    export, path = segmented("oblique", tmp_path)
    dataset, stack = edit(path), export.case.stack
    groups = dataset.PerFrameFunctionalGroupsSequence
    if change == "moved":
        for group in groups:
            position = group.PlanePositionSequence[0]
            position.ImagePositionPatient = [float(v) + 0.4 for v in position.ImagePositionPatient]
    elif change == "swapped":
        first, second = groups[0], groups[1]
        first.DerivationImageSequence, second.DerivationImageSequence = (
            second.DerivationImageSequence,
            first.DerivationImageSequence,
        )
    else:
        dataset.StudyInstanceUID = "1.2.3.999"
        stack = _renamed(stack)
    dataset.save_as(path)
    with pytest.raises(
        InputError, match="E_MASK_STUDY" if change == "study" else "E_MASK_GEOMETRY"
    ):
        read_mask(path, stack)


def _renamed(stack: Stack) -> Stack:
    sources = tuple(
        replace(one, sop_instance_uid=one.sop_instance_uid + ".5") for one in stack.sources
    )
    return replace(stack, sources=sources)


def cut(stack: Stack, labels: np.ndarray, first: int, last: int, path: Path) -> Path:
    """Write the slices from ``first`` to ``last`` alone, as a program does that crops."""
    affine = stack.affine
    affine[:3, 3] += affine[:3, 2] * first
    data = labels[first : last + 1].transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(data.copy(), LPS_TO_RAS @ affine), path)
    return path


@pytest.mark.parametrize("first, last", [(0, 1), (1, 2), (0, 3)])
def test_slices_beyond_the_grid_of_a_mask_are_not_known(
    first: int, last: int, tmp_path: Path
) -> None:
    export = make_export(BY_NAME["oblique"], tmp_path / "images")
    stack = export.case.stack
    labels = export.case.labels.copy()
    last = min(last, stack.n_slices - 1)
    labels[:first] = labels[last + 1 :] = 0
    found = read_mask(cut(stack, labels, first, last, tmp_path / "m.nii"), stack)
    assert found.covered == tuple(first <= k <= last for k in range(stack.n_slices))
    assert found.known_slices == found.covered


def test_a_wall_has_no_hole_and_scar_may_have_one(phantom_stack: Stack, tmp_path: Path) -> None:
    labels = np.zeros(phantom_stack.pixels.shape, dtype=np.uint8)
    for k in (0, 2, 3):
        labels[k, 10:20, 10:20] = Label.MYOCARDIUM
    write_labels(tmp_path / "wall.nii", labels, phantom_stack)
    assert read_mask(tmp_path / "wall.nii", phantom_stack).known_slices == (
        *(True, False, True, True, True),
    )
    labels[labels > 0] = Label.SCAR
    write_labels(tmp_path / "scar.nii", labels, phantom_stack)
    assert read_mask(tmp_path / "scar.nii", phantom_stack).known_slices == (True,) * 5


def test_a_segmentation_covers_the_images_it_refers_to(tmp_path: Path) -> None:
    export, path = segmented("oblique", tmp_path)
    n = export.case.stack.n_slices
    assert read_mask(path, export.case.stack).covered == (True,) * n
    dataset = edit(path)
    images = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    kept = {str(images[0].ReferencedSOPInstanceUID), str(images[1].ReferencedSOPInstanceUID)}
    dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence = images[:2]
    marked = {k for k in range(n) if export.case.labels[k].any()}
    dataset.save_as(path)
    found = read_mask(path, export.case.stack)
    assert found.covered == tuple(
        one.sop_instance_uid in kept or k in marked
        for k, one in enumerate(export.case.stack.sources)
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_affine_that_spans_no_space_is_refused(
    value: float, phantom_stack: Stack, tmp_path: Path
) -> None:
    labels = np.zeros(phantom_stack.pixels.shape, dtype=np.uint8)
    labels[2, 3, 4] = Label.SCAR
    write_labels(tmp_path / "m.nii", labels, phantom_stack)
    raw = bytearray((tmp_path / "m.nii").read_bytes())
    raw[280:296] = np.full(4, value, dtype="<f4").tobytes()  # srow_x
    (tmp_path / "m.nii").write_bytes(bytes(raw))
    with pytest.raises(InputError, match=r"E_MASK: .*affine"):
        read_mask(tmp_path / "m.nii", phantom_stack)


@pytest.mark.parametrize("voxels, bits", [((1100, 1100, 1000), 8), ((1000, 1000, 1000), 64)])
def test_a_file_that_unpacks_to_gigabytes_is_refused_before(
    voxels: tuple[int, int, int], bits: int, phantom_stack: Stack, tmp_path: Path
) -> None:
    """Only the header is unpacked: what follows is cut short, and nobody notices."""
    header = nib.Nifti1Header()
    header.set_data_dtype({8: np.uint8, 64: np.float64}[bits])
    header.set_data_shape(voxels)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    with pytest.raises(LimitError, match=r"E_LIMIT: .*(voxels|bytes)"):
        read_mask(path, phantom_stack)


def test_bytes_behind_the_voxels_are_not_unpacked(phantom_stack: Stack, tmp_path: Path) -> None:
    labels = np.zeros(phantom_stack.pixels.shape, dtype=np.uint8)
    labels[1] = Label.SCAR
    write_labels(tmp_path / "m.nii", labels, phantom_stack)
    raw = (tmp_path / "m.nii").read_bytes()
    (tmp_path / "m.nii.gz").write_bytes(gzip.compress(raw) + gzip.compress(bytes(10**7)))
    found = read_mask(tmp_path / "m.nii.gz", phantom_stack)
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_elements_of_a_segmentation_are_refused_or_harmless(
    seed: int, tmp_path: Path
) -> None:
    """Bytes of the header are changed at random: a mask, or a refusal with a code."""
    export, path = segmented("oblique", tmp_path)
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for at in rng.integers(132, len(data), 1 + seed % 8):
        data[at] = int(rng.integers(256))
    path.write_bytes(bytes(data))
    with warnings.catch_warnings(), suppress(InputError, LimitError):
        warnings.simplefilter("ignore")
        found = read_mask(path, export.case.stack)
        assert found.labels.shape == export.case.labels.shape


@pytest.mark.parametrize(
    "error", [OverflowError, RecursionError, AssertionError, MemoryError, InvalidOperation]
)
def test_whatever_an_element_raises_is_a_refusal(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, path = segmented("oblique", tmp_path)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("scarseg.io.masks.read._segments", fail)
    with pytest.raises(InputError, match=r"E_MASK: .*no readable DICOM Segmentation"):
        read_mask(path, export.case.stack)
