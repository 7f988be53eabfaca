"""The shipped weights through the whole chain, once."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scarseg import cli, simulate
from scarseg.errors import WeightsError
from scarseg.models.weights import verify_weights
from scarseg.simulate.studies import StudyOptions


def shipped() -> bool:
    try:
        return all(verdict == "ok" for _, verdict in verify_weights())
    except WeightsError:
        return False


@pytest.mark.skipif(not shipped(), reason="no weights are shipped yet")
def test_shipped_weights_find_heart_and_scar_of_a_simulated_study(tmp_path: Path) -> None:
    options = StudyOptions(pair=False, enhanced=False, localizer=False)
    study = simulate.write_study(tmp_path / "study", 19, options)
    out = tmp_path / "out"
    words = [str(study.dicom_folder), "-o", str(out / "scar.csv"), "--masks", str(out / "masks")]
    assert cli.main(["batch", *words, "--device", "cpu"]) == 0
    with (out / "scar.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert "W_UNVERIFIED_WEIGHTS" not in row["warnings"]
    assert len(row["segmenter_sha256"]) == len(row["detector_sha256"]) == 64
    truth = study.series[0].row
    heart = float(row["lv_mass_g"]) / float(truth["lv_mass_thickness_g"])
    scar = float(row["scar_mass_g"]) / float(truth["scar_mass_thickness_g"])
    assert 0.6 < heart < 1.6
    assert 0.3 < scar < 3
    found = np.asarray(nib.load(out / "masks" / row["mask_file"]).dataobj)
    true = np.asarray(nib.load(study.series[0].mask_file).dataobj)
    assert found.shape == true.shape
    both = np.count_nonzero((found > 0) & (true > 0))
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(true)) > 0.75
