"""``scarseg compare``: the command, its pages and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scarseg import cli
from scarseg.agreement.summary import CSV_NAME, HTML_NAME, JSON_NAME, PDF_NAME
from scarseg.case.stack import Stack
from scarseg.io.masks.nifti import read_label_map, write_labels
from scarseg.simulate import studies
from tests.agreement.label_maps import VOXEL_G, block, folders


def test_a_folder_is_compared_and_written_as_pages(
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
    output = capsys.readouterr()
    assert "both empty" in output.out
    # 2 (20 + 30 + 0) of (40 + 40 + 40) + (40 + 60 + 0) voxels.
    assert "0.455" in output.out
    assert "Dice of all voxels together" in output.out
    assert "1 of mine not in theirs: only." in output.err
    assert "1 of 4 pairs have no scar in either mask" in output.err
    assert {one.name for one in out.iterdir()} == {HTML_NAME, PDF_NAME, JSON_NAME, CSV_NAME}
    numbers = json.loads((out / JSON_NAME).read_text())
    scars = [one["scar"] for one in numbers["stacks"]]
    assert [one["dice"] for one in scars] == [0.5, 2 * 30 / 100, 0, None]
    bias = numbers["agreement"]["scar"]["bland_altman"]["bias"]
    assert bias == pytest.approx((0 - 20 + 40) * VOXEL_G / 3)  # two empty masks do not count
    page = (out / HTML_NAME).read_text()
    assert "mass convention spacing" in page
    assert str(tmp_path) not in page + (out / JSON_NAME).read_text()


def test_a_bad_mask_is_reported_and_the_others_are_compared(
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


def test_two_folders_without_scar_have_an_agreement_of_the_wall_only(
    tmp_path: Path, phantom_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = folders(tmp_path)
    for folder in (a, b):
        write_labels(folder / "p1.nii.gz", block(10, ()), phantom_stack)
    words = ["compare", str(a), str(b), "-o", str(tmp_path / "page.pdf"), "--json"]
    assert cli.main(words) == 0
    assert sorted(json.loads(capsys.readouterr().out)["agreement"]) == ["wall"]
