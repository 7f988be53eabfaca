"""A case file keeps the calibration of proposals, recorded runs and intervals."""

from __future__ import annotations

from pathlib import Path

from scarseg.case.case import Case
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.io.casefile import store
from tests.calibrations import learned


def reloaded(case: Case, path: Path) -> Case:
    store.save_case(case, path)
    return store.load_case(path, case.stack)


def test_it_is_read_back(tmp_path: Path, phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    case.calibration = learned().calibration
    case.record_model_run(2, None, None)
    case.calibration = learned(automatic_logit=0.5).calibration
    case.record_model_run(3, None, None)
    slices = ((0.0, 1.0),) * phantom_stack.n_slices
    case.intervals = (MassInterval(0.0, 5.0, slices, "rule", calibration_sha256="ab" * 32),)
    found = reloaded(case, tmp_path / "one.scarseg")
    assert found.calibration == learned(automatic_logit=0.5).calibration
    runs = [step.model_run for step in found.record.steps]
    assert [run and run.calibration for run in runs] == [
        learned().calibration,
        learned(automatic_logit=0.5).calibration,
    ]
    assert found.intervals[0].calibration_sha256 == "ab" * 32


def test_a_case_without_one_has_no_new_key(tmp_path: Path, phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    case.record_model_run(2, None, None)
    slices = ((0.0, 1.0),) * phantom_stack.n_slices
    case.intervals = (MassInterval(0.0, 5.0, slices, "rule"),)
    found = reloaded(case, tmp_path / "one.scarseg")
    assert found.calibration is None
    assert found.intervals[0].calibration_sha256 == ""
    assert b"calibration" not in (tmp_path / "one.scarseg").read_bytes()
