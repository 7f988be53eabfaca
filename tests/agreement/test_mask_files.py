"""Pairs of mask files, by name or by their images, on one grid whatever their orientation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scarseg.agreement.mask_files import (
    MaskFiles,
    compare_files,
    pair_by_stack,
    pair_files,
    stem,
)
from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.io import dicom
from scarseg.io.dicom.types import StackSummary
from scarseg.io.masks.nifti import write_labels
from scarseg.simulate.write_dicom import write_series
from tests.agreement.label_maps import VOXEL_G, block, folders
from tests.io.exports import write_segmentation


def test_without_images_depth_is_the_distance_between_slices(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii"
    write_labels(a, block(10), phantom_stack)
    write_labels(b, block(12), phantom_stack)
    found = compare_files(MaskFiles("x", a, b))
    assert found.convention is MassConvention.SPACING
    assert found.scar.dice == 0.5
    assert found.scar.mass_a_g == pytest.approx(40 * VOXEL_G)


def test_masks_on_different_grids_are_refused(tmp_path: Path, phantom_stack: Stack) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(a, block(10), phantom_stack)
    moved = tuple((x + 0.5, y, z) for x, y, z in phantom_stack.origins_mm)
    between = tuple((x, y, z + 4.0) for x, y, z in phantom_stack.origins_mm)
    mirrored = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    others = (
        replace(phantom_stack, origins_mm=moved),
        replace(phantom_stack, origins_mm=between),
        replace(phantom_stack, orientation=mirrored),
        replace(phantom_stack, pixel_spacing_mm=(1.5, 1.3)),
    )
    for other in others:
        write_labels(b, block(10), other, force=True)
        with pytest.raises(InputError, match="E_MASK_GRID"):
            compare_files(MaskFiles("x", a, b))


def _rewritten(path: Path, change: str) -> None:
    """Store the same voxels, at the same places in the patient, in another order."""
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    codes = {
        "flipped": [[0, -1], [1, 1], [2, -1]],
        "transposed": [[1, 1], [0, 1], [2, 1]],
        "slices first": [[2, 1], [0, 1], [1, -1]],
    }
    if change == "cropped":
        turned = nib.Nifti1Image(
            data[3:50, 4:22], image.affine @ nib.affines.from_matvec(np.eye(3), [3, 4, 0])
        )
    else:
        turned = nib.Nifti1Image(data, image.affine).as_reoriented(np.array(codes[change]))
    nib.save(turned, path)


@pytest.mark.parametrize("which", ["a", "b", "both"])
@pytest.mark.parametrize("change", ["flipped", "transposed", "slices first", "cropped"])
def test_the_order_of_voxels_in_a_file_changes_nothing(
    tmp_path: Path, phantom_stack: Stack, change: str, which: str
) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(a, block(10, (1, 2, 3)), phantom_stack)
    write_labels(b, block(12), phantom_stack)
    expected = compare_files(MaskFiles("x", a, b))
    for name, path in (("a", a), ("b", b)):
        if which in (name, "both"):
            _rewritten(path, change)
    found = compare_files(MaskFiles("x", a, b))
    for one, other in ((found.scar, expected.scar), (found.wall, expected.wall)):
        assert one.n_voxels_both == other.n_voxels_both
        for value in ("dice", "slice_dice", "hausdorff_mm", "slice_hd95_mm", "mass_a_g"):
            assert getattr(one, value) == pytest.approx(getattr(other, value)), value


def test_values_of_another_program_are_translated(tmp_path: Path, phantom_stack: Stack) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(a, block(10), phantom_stack)
    write_labels(b, block(10), phantom_stack)
    image = nib.load(b)
    theirs = np.asarray(image.dataobj)
    coded = np.select([theirs == Label.SCAR, theirs == Label.MYOCARDIUM], [200, 100])
    nib.save(nib.Nifti1Image(coded.astype(np.int16), image.affine), b)
    with pytest.raises(InputError, match="E_MASK"):
        compare_files(MaskFiles("x", a, b))
    meaning = {200: Label.SCAR, 100: Label.MYOCARDIUM}
    found = compare_files(MaskFiles("x", a, b), meaning_b=meaning)
    assert found.scar.dice == found.wall.dice == 1


def test_files_pair_by_name(tmp_path: Path) -> None:
    a, b = folders(tmp_path)
    for path in (a / "1.2.nii.gz", a / "1.3.nii", a / "1.4.nii", a / "readme.txt"):
        path.write_bytes(b"")
    for path in (b / "1.2.nii", b / "1.3.nii", b / "1.5.nii.gz"):
        path.write_bytes(b"")
    found = pair_files(a, b)
    assert [one.name for one in found.pairs] == ["1.2", "1.3"]
    assert (found.only_a, found.only_b) == (("1.4",), ("1.5",))
    assert stem(Path("1.2.3.NII.GZ")) == "1.2.3"


def _with_images(folder: Path, stack: Stack) -> tuple[StackSummary, Stack]:
    """Write the images; return the stack as it is found in them."""
    write_series(folder, stack)
    (summary,) = dicom.scan([folder]).stacks
    return summary, dicom.read_stack(summary)


def _case(stack: Stack, labels: LabelArray) -> Case:
    case = Case.new(stack)
    case.labels[:] = labels
    return case


def test_with_images_a_segmentation_pairs_with_a_label_map(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    summary, stack = _with_images(tmp_path / "images", phantom_stack)
    a, b = folders(tmp_path)
    mine, theirs = np.zeros((2, *stack.pixels.shape), dtype=np.uint8)
    mine[1:3, 20:25, 20:24] = theirs[1:3, 20:25, 22:26] = Label.SCAR
    write_segmentation(a / "anything.dcm", _case(stack, mine), summary)
    write_labels(b / f"{stack.stack_id}.nii.gz", theirs, stack)
    paired = pair_by_stack(a, b, [summary])
    (files,) = paired.pairs
    assert (files.a.name, files.b.name) == ("anything.dcm", f"{stack.stack_id}.nii.gz")
    assert compare_files(files).scar.dice == 0.5
    with pytest.raises(InputError, match="--dicom"):
        compare_files(replace(files, stack=None))


def test_of_a_stack_with_two_formats_the_label_map_is_compared(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    summary, stack = _with_images(tmp_path / "images", phantom_stack)
    labels = np.zeros(stack.pixels.shape, dtype=np.uint8)
    labels[1:3, 20:25, 20:24] = Label.SCAR
    a, b = folders(tmp_path)
    write_segmentation(a / "x.dcm", _case(stack, labels), summary)
    for folder in (a, b):
        write_labels(folder / f"{stack.stack_id}.nii.gz", labels, stack)
    paired = pair_by_stack(a, b, [summary])
    assert [one.a.suffix for one in paired.pairs] == [".gz"]
    assert (paired.only_a, paired.refused) == ((), ())
