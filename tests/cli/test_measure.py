"""``scarseg measure``: masks made elsewhere find their stack and are measured like a reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scarseg import cli
from scarseg.agreement.mask_files import _nifti_files
from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import SliceSource
from scarseg.io.masks.nifti import LPS_TO_RAS, write_labels, write_remote
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient, rows_of, tree, write
from tests.fakes import load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command on paths below tmp_path, into tmp_path/scar.csv unless told otherwise."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)

    def call(*words: object) -> int:
        output = () if "-o" in words else ("-o", tmp_path / "scar.csv")
        return cli.main([*map(str, (*words, *output))])

    return call


@pytest.fixture
def measure(run: Run) -> Run:
    return lambda *words: run("measure", *words)


def elsewhere(folder: Path, n: int, *, shift_mm: float = 0.0) -> Path:
    """Write the phantom as a patient who lies somewhere else."""
    stack = patient(n)
    moved = tuple((x + shift_mm, y, z) for x, y, z in stack.origins_mm)
    write_series(folder / f"p{n}", replace(stack, origins_mm=moved))
    return folder


def mask(path: Path, truth: LabelArray, *, n: int = 1, shift_mm: float = 0.0) -> Path:
    stack = patient(n)
    moved = tuple((x + shift_mm, y, z) for x, y, z in stack.origins_mm)
    path.parent.mkdir(exist_ok=True, parents=True)
    write_labels(path, truth, replace(stack, origins_mm=moved))
    return path


@pytest.mark.parametrize("kind", ["nifti", "seg"])
def test_masks_of_a_batch_measure_as_the_batch_did(kind: str, run: Run, tmp_path: Path) -> None:
    data, out = write(tmp_path / "in", 1, 2), tmp_path / "out"
    words = ("--mass", "spacing", "--density", "1.1")
    assert run("batch", data, "--masks", out, "--mask-format", kind, *words) == 0
    before = tree(data)
    assert run("measure", out, "--dicom", data, "-o", tmp_path / "again.csv", *words) == 0
    assert tree(data) == before
    first, again = rows_of(tmp_path / "scar.csv"), rows_of(tmp_path / "again.csv")
    assert list(first[0]) == list(again[0])
    differ = {name for a, b in zip(first, again, strict=True) for name in a if a[name] != b[name]}
    how = {"method", "seconds", "segmenter_sha256", "detector_sha256", "scar_mass_proposed_g",
           "n_slices_changed", "scar_mass_low_g", "scar_mass_high_g", "doubt",
           "mvo_mass_g", "probably_no_scar"}  # fmt: skip  # a mask says neither
    assert {"method", "segmenter_sha256"} <= differ <= how
    assert again[0]["method"] == {"nifti": "from_nifti", "seg": "from_dicom_seg"}[kind]
    assert again[0]["scar_mass_g"] == first[0]["scar_mass_g"]
    assert float(again[0]["scar_mass_g"]) > 0
    slices = rows_of(tmp_path / "again_slices.csv")
    assert [row["scar_mass_spacing_g"] for row in slices] == [
        row["scar_mass_spacing_g"] for row in rows_of(tmp_path / "scar_slices.csv")
    ]


def test_a_remote_region_beside_a_mask_is_no_mask(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data, folder = write(tmp_path / "in", 1), tmp_path / "m"
    mask(folder / "1.2.1.1.nii.gz", phantom_truth)
    write_remote(folder / "1.2.1.1.remote.nii.gz", phantom_truth == 2, patient(1))
    assert measure(folder, "--dicom", data) == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert row["mask_file"] == "1.2.1.1.nii.gz"
    assert [*_nifti_files(folder)] == ["1.2.1.1"]


def test_nobody_has_read_labels_from_elsewhere(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data = write(tmp_path / "in", 1)
    phantom_truth[4] = 0
    mask(tmp_path / "m" / "1.2.1.1.nii.gz", phantom_truth)
    assert measure(tmp_path / "m", "--dicom", data) == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert (row["status"], row["n_slices_reviewed"]) == ("incomplete", "0")
    statuses = sorted(one["status"] for one in rows_of(tmp_path / "scar_slices.csv"))
    assert statuses == ["proposed"] * 5
    [told] = json.loads((tmp_path / "scar.json").read_text())["stacks"]
    assert told["labels"]["source"] == "from_nifti"
    assert len(told["labels"]["file_sha256"]) == 64


@pytest.mark.parametrize("name", ["CANARY-2.nii.gz", "scar_p2_reader.nii", "p2/labels.nii.gz"])
def test_a_file_or_place_names_the_patient(
    name: str, measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    """All three patients lie in the same place: only the name can tell them apart."""
    data = write(tmp_path / "in", 1, 2, 3)
    where = tmp_path / "m" / name
    mask(where, phantom_truth)
    # A folder says no more than where the labels lie.
    found = measure(where, "--dicom", data)
    [row] = rows_of(tmp_path / "scar.csv")
    if name.startswith("p2/"):
        assert (found, row["error_code"]) == (2, "E_MASK_AMBIGUOUS")
        return
    assert (found, row["series_uid"]) == (0, "1.2.2.1")
    assert row["mask_file"] == "", "a name that may be a patient's stays out of the table"


def test_where_the_labels_lie_tells_the_stack(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data = tmp_path / "in"
    for n, shift in ((1, 0.0), (2, 40.5), (3, 81.0)):
        elsewhere(data, n, shift_mm=shift)
    mask(tmp_path / "m" / "a.nii", phantom_truth, shift_mm=40.5)
    assert measure(tmp_path / "m", "--dicom", data) == 0
    assert [row["series_uid"] for row in rows_of(tmp_path / "scar.csv")] == ["1.2.2.1"]


def test_of_magnitude_and_psir_the_proposed_one_is_measured(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data = write(tmp_path / "in", 1)
    other = replace(
        patient(1),
        series_uid="1.2.1.2",
        description="scout",
        sources=tuple(SliceSource(f"1.2.1.2.{k + 1}") for k in range(5)),
    )
    write_series(data / "other", other)
    mask(tmp_path / "m" / "a.nii", phantom_truth)
    assert measure(tmp_path / "m", "--dicom", data) == 0
    assert [row["series_uid"] for row in rows_of(tmp_path / "scar.csv")] == ["1.2.1.1"]
    words = ("--series", "1.2.1.2", "--force")
    assert measure(tmp_path / "m", "--dicom", data, *words) == 0
    assert [row["series_uid"] for row in rows_of(tmp_path / "scar.csv")] == ["1.2.1.2"]


def test_what_fits_nothing_is_a_row_and_the_others_finish(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1, 2)
    mask(tmp_path / "m" / "1.2.1.1.nii.gz", phantom_truth)
    mask(tmp_path / "m" / "MUELLER.nii.gz", phantom_truth, shift_mm=0.6)
    mask(tmp_path / "m" / "1.2.2.1.nii.gz", phantom_truth, shift_mm=0.6)
    (tmp_path / "m" / "bad.nii.gz").write_bytes(b"no")
    assert measure(tmp_path / "m", "--dicom", data) == 2
    rows = rows_of(tmp_path / "scar.csv")
    codes = {row["error_code"]: row["series_uid"] for row in rows}
    assert codes == {"": "1.2.1.1", "E_MASK": "", "E_MASK_GEOMETRY": "1.2.2.1",
                     "E_MASK_UNMATCHED": ""}  # fmt: skip
    assert b"MUELLER" not in b"".join(p.read_bytes() for p in tmp_path.glob("scar*"))
    assert "1 measured, 3 failed" in capsys.readouterr().out


def test_two_masks_of_one_stack_are_refused(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data = write(tmp_path / "in", 1)
    mask(tmp_path / "a" / "1.2.1.1.nii.gz", phantom_truth)
    mask(tmp_path / "b" / "1.2.1.1.nii.gz", phantom_truth)
    assert measure(tmp_path / "a", tmp_path / "b", "--dicom", data) == 2
    rows = rows_of(tmp_path / "scar.csv")
    assert [row["error_code"] for row in rows] == ["E_MASK_AMBIGUOUS"] * 2


def test_values_of_another_convention(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    path = tmp_path / "1.2.1.1.nii.gz"
    mask(path, np.where(phantom_truth == Label.SCAR, 1, 0).astype(np.uint8))
    assert measure(path, "--dicom", data, "-o", tmp_path / "a.csv") == 0
    [row] = rows_of(tmp_path / "a.csv")
    assert "W_MASK_VALUES" in row["warnings"]
    assert "--values" in capsys.readouterr().err
    assert measure(path, "--dicom", data, "--values", "1=scar") == 0
    [row] = rows_of(tmp_path / "scar.csv")
    voxels = int((phantom_truth == Label.SCAR).sum())
    grams = voxels * 1.5 * 1.25 * 8.0 * 1.05 / 1000
    assert float(row["scar_mass_g"]) == pytest.approx(grams, rel=1e-9)
    assert row["scar_percent_lv"] == "", "no wall, no share of it"
    with pytest.raises(SystemExit, match="1"):
        measure(path, "--dicom", data, "--values", "1=bone", "--force")


def test_a_flipped_mask_has_the_same_grams(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray
) -> None:
    data = write(tmp_path / "in", 1)
    stack = patient(1)
    affine = LPS_TO_RAS @ stack.affine
    affine[:3, 3] += affine[:3, 2] * 4
    affine[:3, 2] *= -1
    turned = phantom_truth[::-1].transpose(2, 1, 0).copy()
    nib.save(nib.Nifti1Image(turned, affine), tmp_path / "m.nii")
    assert measure(tmp_path / "m.nii", "--dicom", data) == 0
    infarct = [int(row["n_infarct_voxels"]) for row in rows_of(tmp_path / "scar_slices.csv")]
    assert infarct == [int((one == Label.SCAR).sum()) for one in phantom_truth]


@pytest.mark.parametrize("what", ["no masks", "missing", "no images", "series"])
def test_nothing_to_do_is_said(
    what: str,
    measure: Run,
    tmp_path: Path,
    phantom_truth: LabelArray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write(tmp_path / "in", 1)
    path = mask(tmp_path / "m" / "a.nii", phantom_truth)
    words: tuple[object, ...] = (path, "--dicom", data)
    code = "E_INPUT_EMPTY"
    if what == "no masks":
        words = (data, "--dicom", data)
    elif what == "missing":
        words, code = (tmp_path / "none", "--dicom", data), "E_INPUT_MISSING"
    elif what == "no images":
        words, code = (path, "--dicom", tmp_path / "m"), "E_NO_MR"
    else:
        words, code = (*words, "--series", "9.9"), "E_SERIES"
    assert measure(*words) == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "scar.csv").exists()


def test_a_mask_that_covers_some_slices_warns_and_leaves_the_others_unseen(
    measure: Run, tmp_path: Path, phantom_truth: LabelArray, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "in", 1)
    path = mask(tmp_path / "m" / "a.nii", phantom_truth)
    affine = nib.load(path).affine
    nib.save(nib.Nifti1Image(phantom_truth[:3].transpose(2, 1, 0).copy(), affine), path)
    assert measure(path, "--dicom", data) == 0
    [row] = rows_of(tmp_path / "scar.csv")
    assert "W_MASK_PARTIAL" in row["warnings"]
    assert row["status"] == "incomplete"
    infarct = sum(int((one == Label.SCAR).sum()) for one in phantom_truth[:3])
    counts = [int(one["n_infarct_voxels"] or 0) for one in rows_of(tmp_path / "scar_slices.csv")]
    assert sum(counts) == infarct
    statuses = sorted(one["status"] for one in rows_of(tmp_path / "scar_slices.csv"))
    assert statuses == ["proposed"] * 3 + ["unseen"] * 2
    assert "covers 3 of 5 slices" in "".join(capsys.readouterr())
