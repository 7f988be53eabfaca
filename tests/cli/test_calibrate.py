"""``scarseg calibrate``, and its file in batch, evaluate, replay and from Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import scarseg
from scarseg import cli
from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.stack import Stack
from scarseg.evaluation import rule_tables
from scarseg.io import dicom
from scarseg.io.casefile import store
from scarseg.models.calibration_file import read_calibration
from tests.calibrations import write_calibration, write_for_shipped
from tests.cohorts import rows_of, write
from tests.conftest import phantom_labels
from tests.evaluation.phantoms import healthy_case, phantom_case
from tests.fakes import fake_models, load_fakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command below tmp_path with the fakes; a small grid is enough for them."""
    monkeypatch.setattr("scarseg.models.load", load_fakes)
    small = rule_tables.RuleGrid((-0.5, 0.0), (0.0, 3.0))
    read = partial(rule_tables.read_by_rules, grid=small)
    monkeypatch.setattr(rule_tables, "read_by_rules", read)
    monkeypatch.setenv("SCARSEG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: cli.main([str(word) for word in words])


def write_readings(folder: Path, *numbers: int) -> Path:
    """Write phantoms as DICOM, and beside them a case file of each as a reader left it."""
    images = write(folder / "images", *numbers)
    for summary in dicom.scan([images]).stacks:
        case = Case.new(dicom.read_stack(summary))
        case.labels[:] = phantom_labels()
        case.readings = [SliceReading(status=SliceStatus.ACCEPTED) for _ in case.readings]
        store.save_case(case, store.case_path(folder / "cases", summary))
    return folder


def test_case_files_with_their_images_are_learned_from(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_readings(tmp_path, *range(1, 11))
    assert run("calibrate", "cases", "--dicom", "images", "-o", "site.json") == 0
    said = capsys.readouterr().out
    found = read_calibration(tmp_path / "site.json")
    assert (found.n_cases, found.n_cases_with_scar) == (10, 10)
    assert "10 cases, 10 with scar; leave-one-out" in said
    assert said.count("before") == said.count("after") == 3
    assert "site.json: logits -0.5 automatic, 0 by boxes, -0.5" in said  # as shipped: all is right
    assert found.sha256 in said
    assert found.rules.endocardium_offset_mm == 0.0
    for word in ("CANARY", "1.2.1", str(tmp_path)):
        assert word not in (tmp_path / "site.json").read_text()
    before = (tmp_path / "site.json").read_bytes()
    assert run("calibrate", "cases", "--dicom", "images", "-o", "site.json") == 1
    assert "E_EXISTS" in capsys.readouterr().err
    assert (tmp_path / "site.json").read_bytes() == before


@pytest.mark.parametrize(("sick", "healthy"), [(9, 0), (0, 12)])
def test_too_few_cases_and_no_scar_are_refused(
    sick: int,
    healthy: int,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cases = [phantom_case(f"p{n}") for n in range(sick)]
    cases += [healthy_case(f"n{n}") for n in range(healthy)]
    monkeypatch.setattr("scarseg.training.cases.read_data", lambda folders, dicom: cases)
    assert run("calibrate", "data", "-o", "site.json") == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("E_CALIBRATION_CASES: ")
    assert not (tmp_path / "site.json").exists()


def test_batch_follows_and_names_it_in_every_output(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "in", 1, 2)
    site = write_for_shipped(tmp_path / "site.json", endocardium_offset_mm=3.0)
    sha256 = read_calibration(site).sha256
    assert run("batch", "in", "-o", "plain.csv") == 0
    words = ("--calibration", site, "--cases", "cases", "--masks", "masks", "--sr")
    assert run("batch", "in", "-o", "scar.csv", *words) == 0
    plain, moved = rows_of(tmp_path / "plain.csv"), rows_of(tmp_path / "scar.csv")
    assert {row["calibration_sha256"] for row in plain} == {""}
    assert {row["calibration_sha256"] for row in moved} == {sha256}
    for one, other in zip(plain, moved, strict=True):
        assert float(other["lv_mass_g"]) > float(one["lv_mass_g"]) * 1.05
    sidecar = json.loads((tmp_path / "scar.json").read_text())
    assert sidecar["settings"]["calibration_sha256"] == sha256
    assert sidecar["stacks"][0]["calibration"]["sha256"] == sha256
    assert sidecar["stacks"][0]["thresholds"]["endocardium_offset_mm"] == 3.0
    [report, *_] = sorted((tmp_path / "masks").glob("*.sr.dcm"))
    assert sha256.encode() in report.read_bytes()
    twice = ("--calibration", site, "--jobs", "2")
    assert run("batch", "in", "-o", "two.csv", *twice) == 0
    assert [row["lv_mass_g"] for row in rows_of(tmp_path / "two.csv")] == [
        row["lv_mass_g"] for row in moved
    ]


def test_a_reading_replays_with_the_calibration_it_names(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", 1)
    site = write_for_shipped(tmp_path / "site.json", endocardium_offset_mm=3.0)
    assert run("batch", "in", "-o", "scar.csv", "--calibration", site, "--cases", "cases") == 0
    site.unlink()
    capsys.readouterr()
    assert run("replay", "cases", "--dicom", "in", "-o", "again") == 0
    assert "identical" in capsys.readouterr().out
    [row] = rows_of(tmp_path / "again" / "scar.csv")
    assert row["calibration_sha256"] == rows_of(tmp_path / "scar.csv")[0]["calibration_sha256"]
    [summary] = dicom.scan([tmp_path / "in"]).stacks
    [path] = (tmp_path / "cases").iterdir()
    case = store.load_case(path, dicom.read_stack(summary))
    assert case.calibration is not None
    assert case.calibration.endocardium_offset_mm == 3.0


def test_a_run_with_another_calibration_is_not_resumed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", 1, 2)
    one = write_for_shipped(tmp_path / "one.json")
    other = write_for_shipped(tmp_path / "other.json", automatic_logit=-0.5)
    from scarseg.batch import models

    measure, finished = models.measure_job, []

    def stopped(*words: object) -> object:
        if finished:
            raise KeyboardInterrupt
        finished.append(measure(*words))  # type: ignore[arg-type]
        return finished[0]

    with monkeypatch.context() as patch:
        patch.setattr(models, "measure_job", stopped)
        assert run("batch", "in", "-o", "scar.csv", "--calibration", one) != 0
    capsys.readouterr()
    for words in ((), ("--calibration", other)):
        assert run("batch", "in", "-o", "scar.csv", "--resume", *words) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("E_RUN_OTHER: ") and "calibration was" in said
    assert run("batch", "in", "-o", "scar.csv", "--resume", "--calibration", one) == 0


@pytest.mark.parametrize(
    "words", [("batch", "in", "-o", "scar.csv"), ("evaluate", "in", "-o", "e")]
)
def test_a_calibration_of_other_weights_is_refused_before_any_work(
    words: tuple[str, ...], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", 1)
    write_calibration(tmp_path / "site.json")
    assert run(*words, "--calibration", "site.json") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("E_CALIBRATION_WEIGHTS: ") and "111111111111" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "site.json"]


def test_evaluate_follows_and_names_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scarseg.training.cases.read_data", lambda folders, dicom: [phantom_case()])
    site = write_for_shipped(tmp_path / "site.json", endocardium_offset_mm=3.0)
    words = ("evaluate", "data", "--prompts", "auto", "--no-figures", "-o")
    assert run(*words, "plain") == run(*words, "moved", "--calibration", site) == 0
    [one] = rows_of(tmp_path / "plain" / "patients.csv")
    [other] = rows_of(tmp_path / "moved" / "patients.csv")
    assert (one["calibration_sha256"], other["calibration_sha256"]) == (
        "",
        read_calibration(site).sha256,
    )
    assert float(other["pool_dice"]) < float(one["pool_dice"])


def test_python_takes_the_file_too(tmp_path: Path, phantom_stack: Stack) -> None:
    site = write_calibration(tmp_path / "site.json", endocardium_offset_mm=3.0)
    case = scarseg.propose(phantom_stack, fake_models(), calibration=site)
    assert case.calibration == read_calibration(site).calibration
    answered = scarseg.segment(case, 2, boxes=[(0, 0, 64, 60)], models=fake_models())
    assert answered.calibration is None
    assert scarseg.table([case])[0]["calibration_sha256"] == read_calibration(site).sha256
    plain = scarseg.propose(phantom_stack, replace(fake_models(), detector=None))
    assert plain.calibration is None
