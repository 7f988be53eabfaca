"""The window proposes and answers by the calibration it was started with, and shows which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PyQt6.QtCore import QSettings

from scarseg.case.calibration import Calibration
from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.gui import app
from scarseg.gui.dialogs.about import about_text
from scarseg.gui.session.calibration import recall_calibration, remember_calibration
from scarseg.gui.session.interval import is_current
from scarseg.models.calibration_file import read_calibration
from scarseg.replay.model_runs import ReplayWeights
from scarseg.replay.replay import replay_case
from scarseg.segmentation.uncertainty import RULE
from tests.calibrations import learned, write_calibration, write_for_shipped
from tests.fakes import fake_models, load_fakes
from tests.gui.conftest import Reader

CALIBRATION = learned(endocardium_offset_mm=3.0).calibration


def n_pool(reader: Reader, k: int) -> int:
    return int(np.count_nonzero(reader.case.labels[k] == Label.BLOOD_POOL))


def test_proposals_and_answers_follow_it_and_the_case_keeps_it(
    make_reader: Callable[..., Reader],
    phantom_stack: Stack,
    phantom_truth: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    reader = make_reader(replace(fake_models(), calibration=CALIBRATION))
    reader.open(phantom_stack)
    reader.wait_ready()
    true = int(np.count_nonzero(phantom_truth[2] == Label.BLOOD_POOL))
    assert n_pool(reader, 2) < true - 20
    reader.go_to(2)
    before = n_pool(reader, 2)
    reader.drag_box(20, 15, 50, 45)
    reader.wait_answer()
    assert n_pool(reader, 2) == before
    assert reader.case.calibration == CALIBRATION
    runs = [step.model_run for step in reader.case.record.steps if step.model_run is not None]
    assert {run.calibration for run in runs} == {CALIBRATION}
    assert f"calibration {CALIBRATION.sha256[:8]}" in reader.window.status_bar.models.text()
    again = replay_case(reader.case.copy(), ReplayWeights())
    assert again.identical
    assert again.case.calibration == CALIBRATION


def test_without_one_nothing_is_shown(reading: Reader) -> None:
    assert reading.case.calibration is None
    assert "calibration" not in reading.window.status_bar.models.text()
    assert "Logits" not in about_text(fake_models())


def test_the_about_box_shows_what_it_changes() -> None:
    text = about_text(replace(fake_models(), calibration=CALIBRATION))
    for word in (CALIBRATION.sha256, "-1 automatic", "-2 by boxes", "-2.5 with", "+3 mm"):
        assert word in text


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


def test_a_calibration_is_remembered_until_another_or_none(
    settings: QSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recall_calibration(settings) == (None, "")
    write_for_shipped(tmp_path / "site.json")
    monkeypatch.chdir(tmp_path)
    remember_calibration(settings, Path("site.json"))
    monkeypatch.chdir("/")
    expected = read_calibration(tmp_path / "site.json").calibration
    assert recall_calibration(settings) == (expected, "")
    remember_calibration(settings, None)
    assert recall_calibration(settings) == (None, "")


class Opened(Exception):  # noqa: N818 - not an error
    """The window would open now."""


def test_the_window_starts_with_what_it_was_given_last(
    settings: QSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Calibration | None] = []

    def make_window(_loader: Any, _folder: Any, _settings: Any, calibration: Any) -> None:
        started.append(calibration)
        raise Opened

    monkeypatch.setattr(app, "make_window", make_window)
    monkeypatch.setattr(app, "QSettings", lambda *_: settings)
    site = write_for_shipped(tmp_path / "site.json")
    for given in (None, site, None, Path("none"), None):
        with pytest.raises(Opened):
            app.main(calibration=given)
    learned_here = read_calibration(site).calibration
    assert started == [None, learned_here, learned_here, None, None]


@pytest.mark.parametrize("what", ["E_INPUT_MISSING", "E_CALIBRATION", "E_CALIBRATION_WEIGHTS"])
def test_one_that_cannot_be_used_any_more_is_named(
    what: str, settings: QSettings, tmp_path: Path
) -> None:
    path = tmp_path / "site.json"
    remember_calibration(settings, path)
    if what == "E_CALIBRATION":
        path.write_text("{}")
    elif what == "E_CALIBRATION_WEIGHTS":
        write_calibration(path)
    found, sentence = recall_calibration(settings)
    assert found is None
    assert sentence.startswith(f"{what}: ")
    assert "propose without calibration" in sentence


def test_an_interval_by_other_rules_is_computed_anew(phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    kept = MassInterval(0.0, 1.0, ((0.0, 1.0),) * 5, RULE.name)
    assert is_current(kept, case)
    case.calibration = CALIBRATION
    assert not is_current(kept, case)
    assert is_current(replace(kept, calibration_sha256=CALIBRATION.sha256), case)
