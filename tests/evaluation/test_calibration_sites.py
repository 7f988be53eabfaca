"""The sites of ``benchmarks/calibration.py``, and what it prints of them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import calibration
from scarseg.case.labels import Label
from scarseg.evaluation.rule_tables import CaseTable, RuleGrid, read_by_rules
from scarseg.models import Models
from scarseg.training.cases import VALIDATION, TrainingCase
from tests.evaluation.phantoms import healthy_case, phantom_case
from tests.fakes import fake_models


def test_slices_are_merged_in_pairs_and_an_odd_one_is_left_out() -> None:
    case = phantom_case()
    found = calibration.merged(case)
    assert len(found.pixels) == len(found.labels) == 2
    assert found.slice_spacing_mm == 2 * case.slice_spacing_mm
    assert np.array_equal(found.pixels[0], (case.pixels[0] + case.pixels[1]) / 2)
    scar = [(case.labels[k] == Label.SCAR) for k in (2, 3)]
    assert np.array_equal(found.labels[1] == Label.SCAR, scar[0] | scar[1])


def test_the_right_ventricle_of_cine_is_background() -> None:
    case = phantom_case()
    labels = np.where(case.labels == Label.BACKGROUND, 5, case.labels).astype(np.uint8)
    assert calibration.merged(replace(case, labels=labels)).labels.max() == Label.SCAR


def test_another_scanner_has_fine_pixels_and_the_same_hearts() -> None:
    case = phantom_case()
    found = calibration.of_another_scanner(case)
    assert found.pixel_spacing_mm == (0.75, 0.75)
    merged = calibration.merged(case)

    def area_mm2(labels: np.ndarray, spacing: tuple[float, float]) -> float:
        return float(np.count_nonzero(labels == Label.SCAR) * spacing[0] * spacing[1])

    before = area_mm2(merged.labels, case.pixel_spacing_mm)
    assert area_mm2(found.labels, (0.75, 0.75)) == pytest.approx(before, rel=0.05)


def test_it_prints_before_and_after_and_keeps_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = RuleGrid((-0.5, 0.0), (0.0, 1.0))
    sick = [phantom_case(name) for name in VALIDATION[:3]]
    healthy = [healthy_case(name) for name in VALIDATION[10:12]]
    n_read: list[str] = []

    def read(case: TrainingCase, models: Models) -> CaseTable:
        n_read.append(case.name)
        return read_by_rules(case, models, grid=grid)

    monkeypatch.setattr(calibration, "GRID", grid)
    monkeypatch.setattr(calibration, "read_by_rules", read)
    monkeypatch.setattr("scarseg.models.load", lambda *_: fake_models())
    monkeypatch.setattr(calibration, "read_cases", lambda _: [*sick, *healthy])
    words = ["calibration.py", "data", "--site", "as they came", "-o", str(tmp_path / "tables")]
    monkeypatch.setattr(sys, "argv", words)
    calibration.main()
    said = capsys.readouterr().out
    assert said.startswith("as they came: 5 patients, 3 with scar")
    assert [line.split()[0] for line in said.splitlines()[1:4]] == ["auto", "box", "box+wall"]
    assert len(n_read) == 5
    calibration.main()
    assert capsys.readouterr().out == said
    assert len(n_read) == 5
