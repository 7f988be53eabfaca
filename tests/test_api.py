"""The functions for notebooks give what the command line gives, and change nothing in place."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import scarseg
from scarseg import api, cli
from scarseg.case.labels import Label
from scarseg.case.stack import Stack
from scarseg.errors import InputError, OutputError
from scarseg.simulate.write_dicom import write_series
from tests.conftest import COLUMN_SPACING, ROW_SPACING
from tests.fakes import fake_models


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_shipped_models", fake_models)
    monkeypatch.setattr("scarseg.models.load", lambda *_, **__: fake_models())


@pytest.fixture
def study(tmp_path: Path, phantom_stack: Stack) -> Path:
    write_series(tmp_path / "study", phantom_stack)
    return tmp_path / "study"


def test_the_package_itself_offers_the_functions() -> None:
    for name in ("load", "propose", "segment", "measure", "table", "save"):
        assert getattr(scarseg, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        scarseg.nothing  # noqa: B018


def test_importing_the_package_loads_no_numbers() -> None:
    code = "import sys, scarseg; print({'numpy', 'torch', 'PyQt6', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_table_and_files_equal_those_of_a_batch(study: Path, tmp_path: Path) -> None:
    options = ["--no-interval", "--jobs", "1", "--masks", str(tmp_path / "a")]
    cli.main(["batch", str(study), "-o", str(tmp_path / "a.csv"), *options])
    [stack] = scarseg.load(study)
    case = scarseg.propose(stack)
    written = scarseg.save([case], tmp_path / "b.csv", masks=tmp_path / "b")
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "b_slices.csv").read_bytes() == (tmp_path / "a_slices.csv").read_bytes()
    assert all(path.exists() for path in written)
    [mask] = (tmp_path / "b").iterdir()
    assert mask.read_bytes() == (tmp_path / "a" / mask.name).read_bytes()
    [row] = scarseg.table([case])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        [expected] = csv.DictReader(file)
    assert list(row) == list(expected) or set(row) <= set(expected)
    assert float(expected["scar_mass_g"]) == row["scar_mass_g"]
    assert scarseg.measure(case).scar_mass_g == row["scar_mass_g"]


def test_mass_is_voxels_times_their_volume(study: Path) -> None:
    [stack] = scarseg.load([study])
    case = scarseg.propose(stack)
    voxels = int((case.labels >= Label.SCAR).sum())
    assert voxels > 0
    grams = voxels * ROW_SPACING * COLUMN_SPACING * stack.slice_thickness_mm * 1.05 / 1000
    assert scarseg.measure(case).scar_mass_g == pytest.approx(grams, rel=1e-12)
    denser = scarseg.measure(case, "thickness", 2.1).scar_mass_g
    assert denser == pytest.approx(2 * grams, rel=1e-12)


def test_segment_returns_a_new_case_and_leaves_the_old_one(study: Path) -> None:
    [stack] = scarseg.load(study)
    before = scarseg.propose(stack)
    scar = before.labels[2] >= Label.SCAR
    assert scar.any()
    labels, n_steps = before.labels.copy(), len(before.record.steps)
    rows, columns = np.nonzero(scar)
    half = (columns.min(), rows.min(), columns.min() + 1, rows.max() + 1)
    after = scarseg.segment(before, 2, boxes=[half])
    found = after.labels[2] >= Label.SCAR
    assert np.array_equal(found, scar & (np.arange(scar.shape[1]) == columns.min())[None])
    assert np.array_equal(before.labels, labels)
    assert len(before.record.steps) == n_steps
    assert np.array_equal(after.labels[[0, 1, 3]], labels[[0, 1, 3]])
    assert scarseg.table([after])[0]["method"] == "prompted"


def test_prompts_may_be_numbers_of_numpy(study: Path, tmp_path: Path) -> None:
    [stack] = scarseg.load(study)
    box = np.array([30, 15, 60, 45])
    case = scarseg.segment(scarseg.propose(stack), 2, boxes=[box], points=[(*box[:2] + 9, 1)])
    assert scarseg.save([case], tmp_path / "scar.csv")[0].exists()


def test_segment_without_prompts_means_no_scar(study: Path) -> None:
    [stack] = scarseg.load(study)
    after = scarseg.segment(scarseg.propose(stack), 2)
    assert not (after.labels[2] >= Label.SCAR).any()
    assert (after.labels[2] == Label.MYOCARDIUM).any()


@pytest.mark.parametrize(
    ("index", "boxes", "points"),
    [
        (99, [], []),
        (-1, [], []),
        (0, [(1, 2, 3)], []),
        (0, [(5, 5, 5, 9)], []),
        (0, [(1, 2, float("nan"), 4)], []),
        (0, [], [(1, 2)]),
    ],
)
def test_prompts_that_make_no_sense_are_refused(study: Path, index, boxes, points) -> None:
    [stack] = scarseg.load(study)
    case = scarseg.propose(stack)
    with pytest.raises(InputError) as caught:
        scarseg.segment(case, index, boxes, points)
    assert caught.value.code == "E_PROMPTS"


def test_what_cannot_be_loaded_says_why(tmp_path: Path, study: Path) -> None:
    with pytest.raises(InputError) as missing:
        scarseg.load(tmp_path / "nowhere")
    assert missing.value.code == "E_INPUT_MISSING"
    with pytest.raises(InputError) as series:
        scarseg.load(study, series=["1.2.3.4.5"])
    assert series.value.code == "E_SERIES"


def test_files_that_exist_are_not_replaced(study: Path, tmp_path: Path) -> None:
    [stack] = scarseg.load(study)
    case = scarseg.propose(stack)
    scarseg.save([case], tmp_path / "scar.csv", masks=tmp_path / "masks")
    with pytest.raises(OutputError) as caught:
        scarseg.save([case], tmp_path / "scar.csv", masks=tmp_path / "masks")
    assert caught.value.code == "E_EXISTS"
    scarseg.save([case], tmp_path / "scar.csv", masks=tmp_path / "masks", force=True)
    [mask] = (tmp_path / "masks").iterdir()
    assert np.array_equal(np.unique(np.asarray(nib.load(mask).dataobj)), np.unique(case.labels))
