"""Label maps land where the patient is, and come back as they were."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scarseg.case.labels import LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import InputError, OutputError
from scarseg.io.files import safe_name
from scarseg.io.masks.nifti import file_holds_labels, read_image, read_labels, write_labels


def oblique(stack: Stack, tilt: float = 0.0) -> Stack:
    """Turn a stack out of all axes; ``tilt`` shifts the slices along the rows."""
    row = np.array([0.8, 0.6, 0.0])
    column = np.array([-0.36, 0.48, 0.8])
    normal = np.cross(row, column)
    step = 10 * normal + tilt * row
    origins = tuple(tuple(np.array([12.0, -34.0, 56.0]) + k * step) for k in range(stack.n_slices))
    return replace(stack, orientation=(*row, *column), origins_mm=origins)


def ras_of(stack: Stack, k: int, row: int, column: int) -> np.ndarray:
    """Where a voxel's centre lies, from the header's own formula."""
    row_mm, column_mm = stack.pixel_spacing_mm
    lps = (
        np.array(stack.origins_mm[k])
        + np.array(stack.orientation[:3]) * column * column_mm
        + np.array(stack.orientation[3:]) * row * row_mm
    )
    return lps * [-1, -1, 1]


@pytest.mark.parametrize("kind", ["plain", "oblique", "reversed", "sheared"])
def test_voxels_lie_where_the_patient_is(
    kind: str, phantom_stack: Stack, phantom_truth: LabelArray, tmp_path: Path
) -> None:
    stack = phantom_stack
    if kind == "oblique":
        stack = oblique(stack)
    elif kind == "sheared":
        stack = oblique(stack, tilt=3.0)
    elif kind == "reversed":
        stack = replace(stack, origins_mm=stack.origins_mm[::-1])
    path = tmp_path / "m.nii.gz"
    write_labels(path, phantom_truth, stack)
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    assert data.dtype == np.uint8
    assert data.shape == (72, 60, 5)
    for k, row, column in [(0, 0, 0), (2, 7, 40), (4, 59, 71)]:
        np.testing.assert_allclose(
            (image.affine @ [column, row, k, 1])[:3], ras_of(stack, k, row, column), atol=1e-3
        )
        assert data[column, row, k] == phantom_truth[k, row, column]
    assert image.header.get_zooms()[:2] == (1.25, 1.5)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    if kind != "sheared":
        np.testing.assert_allclose(image.header.get_qform(), image.affine, atol=1e-3)
        np.testing.assert_allclose(image.header.get_zooms(), (1.25, 1.5, 10.0))
    assert image.header.get_xyzt_units()[0] == "mm"


def test_labels_come_back(phantom_stack: Stack, phantom_truth: LabelArray, tmp_path: Path) -> None:
    path = tmp_path / "m.nii.gz"
    write_labels(path, phantom_truth, phantom_stack)
    np.testing.assert_array_equal(read_labels(path), phantom_truth)


def test_same_labels_same_bytes(
    phantom_stack: Stack, phantom_truth: LabelArray, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(first, phantom_truth, phantom_stack)
    write_labels(second, phantom_truth, phantom_stack)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[4:8] == bytes(4)  # no time in the gzip header
    assert file_holds_labels(first, phantom_truth, phantom_stack)
    other = phantom_truth.copy()
    other[0, 0, 0] = 3
    assert not file_holds_labels(first, other, phantom_stack)


def test_existing_mask_is_not_replaced_unasked(
    phantom_stack: Stack, phantom_truth: LabelArray, tmp_path: Path
) -> None:
    path = tmp_path / "m.nii.gz"
    path.write_text("mine")
    with pytest.raises(OutputError, match="E_EXISTS"):
        write_labels(path, phantom_truth, phantom_stack)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "label 9", "missing"])
def test_what_is_no_label_map_is_refused(
    damage: str, phantom_stack: Stack, phantom_truth: LabelArray, tmp_path: Path
) -> None:
    path = tmp_path / "m.nii.gz"
    write_labels(path, phantom_truth, phantom_stack)
    whole = path.read_bytes()
    if damage == "label 9":
        raw = bytearray(gzip.decompress(whole))
        raw[400] = 9
        path.write_bytes(gzip.compress(bytes(raw)))
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"text": b"hello", "cut": whole[:300], "empty": b""}[damage])
    with pytest.raises(InputError, match="E_MASK"):
        read_labels(path)


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "a/b", "", ".hidden", "-rf", "x" * 300, "ü:*"]
)
def test_hostile_ids_make_safe_names(text: str) -> None:
    name = safe_name(text)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name[0] not in ".-"
    assert len(name) < 140


def test_uid_is_its_own_name_and_others_do_not_collide() -> None:
    assert safe_name("1.2.840.113619.2") == "1.2.840.113619.2"
    assert safe_name("a/b") != safe_name("a_b") != safe_name("a:b")


def test_images_take_their_spacing_from_pixdim_and_refuse_what_is_no_volume(tmp_path):
    path = tmp_path / "image.nii.gz"
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(4, 3, 2), np.eye(4))
    image.header.set_zooms((1.2, 1.6, 9.0))
    nib.save(image, path)
    pixels, spacing = read_image(path)
    assert spacing == pytest.approx((9.0, 1.6, 1.2))
    assert pixels[1, 2, 3] == 23
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="E_NIFTI"):
        read_image(path)
    nib.save(nib.Nifti1Image(np.zeros((3, 3), dtype=np.uint8), np.eye(4)), tmp_path / "flat.nii")
    with pytest.raises(InputError, match="E_NIFTI"):
        read_image(tmp_path / "flat.nii")
