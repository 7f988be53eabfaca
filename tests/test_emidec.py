"""EMIDEC cases wrapped as DICOM read back as they were."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from scarseg.case.history import SliceStatus
from scarseg.io.dicom import read_stack, scan
from scarseg.quant.mass import measure
from tests.emidec import EMIDEC, case_names, load_emidec, wrap_emidec

pytestmark = pytest.mark.skipif(not case_names(), reason="the EMIDEC data are not here")


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("name", ["P022", "N024"])
def test_a_wrapped_case_reads_back_identical(tmp_path: Path, name: str, enhanced: bool) -> None:
    wrapped = wrap_emidec(name, tmp_path, enhanced=enhanced)
    report = scan([wrapped.folder])
    assert report.refused == ()
    (summary,) = report.stacks
    assert summary.proposed
    assert summary.complete
    read, stack = read_stack(summary), wrapped.stack
    assert np.array_equal(read.pixels, stack.pixels)
    assert read.pixel_spacing_mm == stack.pixel_spacing_mm == (1.43, 1.43)
    assert read.slice_thickness_mm == 10.0
    assert read.slice_spacing_mm == pytest.approx(10.0, abs=1e-6)
    assert read.orientation == stack.orientation
    assert read.series_uid == stack.series_uid
    assert wrapped.truth.shape == stack.pixels.shape
    assert report.stacks[0].patient_id == name


def test_truth_weighs_what_the_reference_table_says() -> None:
    with (EMIDEC / "cases.csv").open(newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    for name in ("P022", "P036", "N024"):
        stack, truth = load_emidec(name)
        measured = measure(truth, stack, [SliceStatus.ACCEPTED] * stack.n_slices)
        assert measured.scar_mass_g == pytest.approx(float(rows[name]["scar_mass_g"]), abs=0.02)
        assert measured.mvo_mass_g == pytest.approx(float(rows[name]["mvo_mass_g"]), abs=0.02)


def test_stacks_run_from_base_to_apex_with_the_right_ventricle_on_the_left() -> None:
    for name in case_names()[::15]:
        stack, truth = load_emidec(name)
        heart = np.count_nonzero(truth, axis=(1, 2))
        assert heart[0] > heart[-1]
        middle = stack.n_slices // 2
        rows, columns = np.nonzero(truth[middle])
        row, column = int(rows.mean()), int(columns.mean())
        reach = int(columns.max() - column) + 6
        beside = stack.pixels[middle][row - 6 : row + 7]
        septal = beside[:, max(column - reach - 6, 0) : column - reach + 6].mean()
        lateral = beside[:, column + reach - 6 : column + reach + 6].mean()
        assert septal > lateral, "blood of the right ventricle is brighter than lung"
