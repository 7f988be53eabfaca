"""A whole reading of a simulated study in the real window, by the weights that are shipped."""

from __future__ import annotations

import csv
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from scarseg.case.case import CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, infarct_mask
from scarseg.case.prompts import Origin
from scarseg.gui import app
from scarseg.io.casefile import store
from scarseg.models.weights import weights_folder
from scarseg.quant.segments import Territory
from scarseg.simulate import studies
from scarseg.simulate.anatomy import SimulationOptions
from scarseg.simulate.studies import StudyOptions
from tests.gui.conftest import Reader

DENSITY_G_PER_ML = 1.05
SIMULATION = SimulationOptions(
    territories=(Territory.LAD,), n_slices=4, rows=160, columns=150, beyond_heart=False,
    pixel_spacing_mm=(1.5, 1.6), slice_thickness_mm=8.0, slice_gap_mm=2.0,
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (weights_folder() / "manifest.json").exists(), reason="no weights are shipped yet"
)


@pytest.fixture
def study(tmp_path: Path) -> studies.SimulatedStudy:
    plain = StudyOptions(SIMULATION, enhanced=False, pair=False, localizer=False, scout=False)
    return studies.write_study(tmp_path / "study", 19, plain)


def sit_down(make_reader: Callable[..., Reader], folder: Path) -> Reader:
    """Open the study, and wait until every slice is proposed."""
    reader = make_reader(loader=app.load_models)
    reader.session.scan([folder])
    reader.qtbot.waitUntil(lambda: reader.session.current is not None, timeout=60_000)
    session = reader.session
    reader.qtbot.waitUntil(lambda: bool(session.models or session.models_problem), timeout=120_000)
    assert not session.models_problem
    reader.qtbot.waitUntil(lambda: reader.inference.n_ready == 4, timeout=240_000)
    return reader


def grams(reader: Reader, depth_mm: float) -> float:
    voxels = int(infarct_mask(reader.case.labels).sum())
    return voxels * prod(SIMULATION.pixel_spacing_mm) * depth_mm * DENSITY_G_PER_ML / 1000


def correct(reader: Reader) -> None:
    """Box and points, brush and eraser, undo and redo on one slice."""
    k = reader.document.current
    proposed = reader.document.labels.copy()
    ventricle = reader.prompts.lv_box
    assert ventricle is not None and Label.MYOCARDIUM in proposed
    column, row = ventricle.centre
    reader.act("box")
    corners = ((ventricle.column0 - 3, ventricle.row0 - 3), (column, row))
    reader.drag(*corners, modifiers=Qt.KeyboardModifier.ControlModifier)
    reader.wait_answer()
    assert [box.origin for box in reader.prompts.boxes].count(Origin.READER) == 1
    wall = np.argwhere(reader.document.labels == Label.MYOCARDIUM)
    reader.click(float(wall[0][1]) + 0.5, float(wall[0][0]) + 0.5)
    reader.wait_answer()
    reader.click(column, row, positive=False)
    reader.wait_answer()
    assert [point.positive for point in reader.prompts.points] == [True, False]
    assert reader.document.reading.edited
    assert reader.document.labels[int(row), int(column)] != Label.SCAR

    answered = reader.document.labels.copy()
    reader.paint((column - 4, row), (column + 4, row))
    assert (reader.document.labels == Label.SCAR).sum() > (answered == Label.SCAR).sum()
    painted = reader.document.labels.copy()
    reader.undo()
    np.testing.assert_array_equal(reader.document.labels, answered)
    reader.redo()
    np.testing.assert_array_equal(reader.document.labels, painted)
    reader.erase((column - 4, row), (column + 4, row))
    for _ in range(5):
        reader.undo()
    np.testing.assert_array_equal(reader.case.labels[k], proposed)
    for _ in range(4):
        reader.redo()
    np.testing.assert_array_equal(reader.case.labels[k], painted)


def test_a_reading_from_dicom_to_grams(make_reader, study, tmp_path):
    sources = {path: path.read_bytes() for path in study.dicom_folder.rglob("*") if path.is_file()}
    reader = sit_down(make_reader, study.dicom_folder)
    assert [r.status for r in reader.case.readings] == [SliceStatus.PROPOSED] * 4
    truth = study.series[0].truth
    heart, found = truth > 0, reader.case.labels > 0
    assert 2 * (heart & found).sum() / (heart.sum() + found.sum()) > 0.7
    assert reader.window.results.figures["to_read"].text() == "4 of 4"
    assert reader.case.segmenter.sha256 and reader.case.detector.sha256

    correct(reader)
    read = [reader.document.current]
    reader.press_key(Qt.Key.Key_Return)
    read.append(reader.document.current)
    reader.press_key(Qt.Key.Key_N)
    reader.act("not_assessable")
    reader.press_key(Qt.Key.Key_Return)
    statuses = [r.status for r in reader.case.readings]
    assert statuses[read[0]] is SliceStatus.ACCEPTED and statuses[read[1]] is SliceStatus.NO_SCAR
    assert reader.case.status is CaseStatus.READ

    reader.export(tmp_path / "scar.csv")
    with (tmp_path / "scar.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert row["status"] == "read" and row["n_slices_reviewed"] == "4"
    assert float(row["scar_mass_thickness_g"]) == pytest.approx(grams(reader, 8.0), abs=1e-6)
    assert float(row["scar_mass_spacing_g"]) == pytest.approx(grams(reader, 10.0), abs=1e-6)
    with (tmp_path / "scar_slices.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [each["status"] for each in rows] == [status.value for status in statuses]
    assert reader.window.results.headline.text() == f"{grams(reader, 8.0):.1f} g"

    reader.act("save")
    reader.wait_saved()
    stack = reader.case.stack
    kept = store.load_case(store.case_path(tmp_path / "cases", stack), stack)
    np.testing.assert_array_equal(kept.labels, reader.case.labels)
    assert [r.status for r in kept.readings] == statuses
    assert {path: path.read_bytes() for path in sources} == sources
