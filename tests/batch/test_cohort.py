"""Whole cohorts through ``scarseg batch``: grams are the masks', in any order, with any jobs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scarseg import cli
from scarseg.simulate import studies
from tests.emidec import case_names, wrap_emidec
from tests.fakes import load_fakes

FULL = bool(os.environ.get("SCARSEG_FULL_COHORT"))
"""All 75 EMIDEC stacks and 50 simulated patients; a few of each otherwise."""


@pytest.fixture(scope="module")
def emidec_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    names = case_names()
    if not names:
        pytest.skip("the EMIDEC data are not here")
    folder = tmp_path_factory.mktemp("emidec")
    return [wrap_emidec(name, folder).folder for name in (names if FULL else names[::15])]


@pytest.fixture(scope="module")
def simulated_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("simulated")
    for seed in range(50 if FULL else 3):
        studies.write_study(folder / str(seed), seed)
    return sorted(path / "dicom" for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("cohort", ["emidec_folders", "simulated_folders"])
def test_grams_of_a_cohort_are_those_of_its_masks(
    cohort: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders: list[Path] = request.getfixturevalue(cohort)
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    orders = {"one": folders, "two": folders[::-1]}
    for jobs, (name, words) in enumerate(orders.items(), start=1):
        out = tmp_path / name
        arguments = [*map(str, words), "-o", str(out / "scar.csv"), "--masks", str(out / "masks")]
        assert cli.main(["batch", *arguments, "--jobs", str(jobs)]) == 0
    left = [
        sorted(p.relative_to(tmp_path / x) for p in (tmp_path / x).rglob("*.*")) for x in orders
    ]
    assert left[0] == left[1]
    for path in left[0]:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    with (tmp_path / "one" / "scar.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(folders)
    assert any(float(row["scar_mass_g"]) > 0 for row in rows)
    for row in rows:
        mask = np.asarray(nib.load(tmp_path / "one" / "masks" / row["mask_file"]).dataobj)
        area = float(row["pixel_spacing_row_mm"]) * float(row["pixel_spacing_column_mm"])
        per_voxel = area * float(row["slice_thickness_mm"]) * 1.05 / 1000
        for column, lowest in {"scar_mass_g": 3, "mvo_mass_g": 4, "lv_mass_g": 2}.items():
            grams = np.count_nonzero(mask >= lowest) * per_voxel
            assert float(row[column] or 0) == pytest.approx(grams, abs=1e-6)
