"""``scarseg compare``: masks by hand, grids, DICOM, pages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli
from scarseg.agreement.masks import compare_files, pair_files, stem
from scarseg.agreement.summary import CSV_NAME, HTML_NAME, JSON_NAME, PDF_NAME
from scarseg.case.labels import Label, LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.io.masks.nifti import read_label_map, write_labels
from scarseg.simulate import studies

VOXEL_G = 1.5 * 1.25 * 10 * 1.05 / 1000
"""Of the phantom stack, by the distance between slices."""


def block(first: int, slices: tuple[int, ...] = (1, 2), label: Label = Label.SCAR) -> LabelArray:
    """Twenty voxels a slice: rows 10 to 14, four columns from ``first`` on, muscle round them."""
    labels = np.zeros((5, 60, 72), dtype=np.uint8)
    labels[:, 5:20, 5:40] = Label.MYOCARDIUM
    for k in slices:
        labels[k, 10:15, first : first + 4] = label
    return labels


def folders(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "mine", tmp_path / "theirs"
    a.mkdir()
    b.mkdir()
    return a, b


def test_a_shift_of_two_columns_by_hand(tmp_path: Path, phantom_stack: Stack) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii"
    write_labels(a, block(10), phantom_stack)
    write_labels(b, block(12), phantom_stack)
    found = compare_files("x", a, b)
    scar = found.scar
    assert found.convention is MassConvention.SPACING
    assert (scar.n_voxels_a, scar.n_voxels_b) == (40, 40)
    assert scar.dice == scar.slice_dice == scar.precision == scar.recall == 0.5
    assert scar.hausdorff_mm == scar.slice_hausdorff_mm == pytest.approx(2.5)
    assert scar.hd95_mm == pytest.approx(2.5)
    assert scar.mass_a_g == scar.mass_b_g == pytest.approx(40 * VOXEL_G)
    assert found.wall.dice == 1
    assert found.mvo.both_empty
    assert found.mvo.dice is None


def test_a_slice_more_is_far_in_three_dimensions_and_not_in_plane(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(a, block(10, (1, 2, 3), Label.MVO), phantom_stack)
    write_labels(b, block(10, (1, 2), Label.MVO), phantom_stack)
    found = compare_files("x", a, b)
    for one in (found.scar, found.mvo):
        assert one.hausdorff_mm == pytest.approx(10)
        assert one.slice_hausdorff_mm == 0
        assert one.dice == pytest.approx(2 * 40 / 100)
        assert one.slice_dice == pytest.approx(2 / 3)
        assert one.mass_a_g - one.mass_b_g == pytest.approx(20 * VOXEL_G)


def test_the_stack_gives_the_thickness(tmp_path: Path, phantom_stack: Stack) -> None:
    a = tmp_path / "a.nii.gz"
    write_labels(a, block(10), phantom_stack)
    thick = compare_files("x", a, a, phantom_stack)
    spaced = compare_files("x", a, a, phantom_stack, MassConvention.SPACING)
    assert thick.scar.mass_a_g == pytest.approx(40 * VOXEL_G * 8 / 10)
    assert spaced.scar.mass_a_g == pytest.approx(40 * VOXEL_G)


def test_masks_on_other_grids_are_refused(tmp_path: Path, phantom_stack: Stack) -> None:
    a, b = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    write_labels(a, block(10), phantom_stack)
    moved = tuple((x + 1.0, y, z) for x, y, z in phantom_stack.origins_mm)
    flipped = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    others = (
        replace(phantom_stack, origins_mm=moved),
        replace(phantom_stack, orientation=flipped),
        replace(phantom_stack, pixel_spacing_mm=(1.5, 1.3)),
    )
    for other in others:
        write_labels(b, block(10), other, force=True)
        with pytest.raises(InputError, match="E_MASK_GRID"):
            compare_files("x", a, b)
    small = replace(phantom_stack, pixels=phantom_stack.pixels[:, :50])
    write_labels(b, block(10)[:, :50], small, force=True)
    with pytest.raises(InputError, match="E_MASK_GRID"):
        compare_files("x", a, b)
    with pytest.raises(InputError, match="E_MASK_GRID"):
        compare_files("x", b, b, phantom_stack)


def test_files_pair_by_name(tmp_path: Path) -> None:
    a, b = folders(tmp_path)
    for path in (a / "1.2.nii.gz", a / "1.3.nii", a / "1.4.nii", a / "readme.txt"):
        path.write_bytes(b"")
    for path in (b / "1.2.nii", b / "1.3.nii", b / "1.5.nii.gz"):
        path.write_bytes(b"")
    found = pair_files(a, b)
    assert [one[0] for one in found.pairs] == ["1.2", "1.3"]
    assert (found.only_a, found.only_b) == (("1.4",), ("1.5",))
    assert stem(Path("1.2.3.NII.GZ")) == "1.2.3"


def test_a_folder_is_compared_and_left_as_pages(
    tmp_path: Path, phantom_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folders(tmp_path)
    empty = block(10, ())
    for name, mine, theirs in (
        ("p1", block(10), block(12)),
        ("p2", block(10), block(11, (1, 2, 3))),
        ("p3", block(20), empty),
        ("p4", empty, empty),
    ):
        write_labels(a / f"{name}.nii.gz", mine, phantom_stack)
        write_labels(b / f"{name}.nii.gz", theirs, phantom_stack)
    write_labels(a / "only.nii.gz", empty, phantom_stack)
    out = tmp_path / "out"
    assert cli.main(["compare", str(a), str(b), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "both empty" in said.out
    # 2 (20 + 30 + 0) of (40 + 40 + 40) + (40 + 60 + 0) voxels.
    assert "0.455" in said.out
    assert "Dice of all voxels together" in said.out
    assert "1 of mine not in theirs: only." in said.err
    assert "1 of 4 pairs have no scar in either mask" in said.err
    assert {one.name for one in out.iterdir()} == {HTML_NAME, PDF_NAME, JSON_NAME, CSV_NAME}
    numbers = json.loads((out / JSON_NAME).read_text())
    scars = [one["scar"] for one in numbers["stacks"]]
    assert [one["dice"] for one in scars] == [0.5, 2 * 30 / 100, 0, None]
    bias = numbers["agreement"]["scar"]["bland_altman"]["bias"]
    assert bias == pytest.approx((0 - 20 + 40) * VOXEL_G / 3)  # two empty masks do not count
    page = (out / HTML_NAME).read_text()
    assert "mass convention spacing" in page
    assert str(tmp_path) not in page + (out / JSON_NAME).read_text()


def test_a_bad_mask_is_told_and_the_others_are_compared(
    tmp_path: Path, phantom_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folders(tmp_path)
    for folder in (a, b):
        write_labels(folder / "p1.nii.gz", block(10), phantom_stack)
        (folder / "p2.nii.gz").write_bytes(b"no mask")
    out = tmp_path / "page.html"
    assert cli.main(["compare", str(a), str(b), "-o", str(out)]) == 2
    assert "E_MASK: " in capsys.readouterr().err
    assert "p2 could not be compared: E_MASK." in out.read_text()
    assert str(tmp_path) not in out.read_text()
    (a / "p1.nii.gz").unlink()
    assert cli.main(["compare", str(a), str(b)]) == 1
    assert "E_MASK" in capsys.readouterr().err


def test_nothing_to_pair_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = folders(tmp_path)
    assert cli.main(["compare", str(a), str(b)]) == 1
    assert capsys.readouterr().err.startswith("E_PAIRS")
    assert cli.main(["compare", str(a), str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("E_MASK")


def test_simulated_masks_weigh_what_their_images_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    studies.simulate_patients(study, 1, 3)
    capsys.readouterr()
    masks = next(one for one in study.rglob("*.nii.gz")).parent
    words = ["compare", str(masks), str(masks), "--dicom", str(study), "--json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mass_convention"] == "thickness"
    (one,) = found["stacks"]
    assert one["wall"]["dice"] == 1
    labels = read_label_map(next(masks.glob("*.nii.gz")))
    volume = np.prod(labels.spacing_mm) * np.count_nonzero(labels.labels >= 2)
    assert 0.3 * volume < one["wall"]["mass_a_g"] / 1.05 * 1000 <= volume * 1.01


def test_two_folders_without_scar_say_so(
    tmp_path: Path, phantom_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folders(tmp_path)
    for folder in (a, b):
        write_labels(folder / "p1.nii.gz", block(10, ()), phantom_stack)
    words = ["compare", str(a), str(b), "-o", str(tmp_path / "page.pdf"), "--json"]
    assert cli.main(words) == 0
    assert sorted(json.loads(capsys.readouterr().out)["agreement"]) == ["wall"]
