"""Nothing leaves the machine: no look-up, no connection, no installation, no other program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scarseg.simulate.write_dicom import write_series
from tests.reliability.audited import short_stack
from tests.reliability.children import last_line_as_json, need_weights, run_child


def test_the_watch_sees_what_it_should(tmp_path: Path):
    answer = run_audited(tmp_path, "connect")
    events = {each.split()[0] for each in answer["noted"]}
    assert {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"} <= events


QUICK = {"OMP_NUM_THREADS": "1"}  # on a busy machine


def run_audited(home: Path, *arguments: str, timeout_s: float = 240, **more: str) -> dict[str, Any]:
    words = ("-m", "tests.reliability.audited", *arguments)
    done = run_child(home, *words, timeout_s=timeout_s, **more)
    answer: dict[str, Any] = last_line_as_json(done)
    assert not answer["pytest"], "ultralytics keeps silent when pytest is loaded"
    return answer


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_series(tmp_path / "study", short_stack())
    return tmp_path / "study"


def test_models_propose_a_stack_without_a_word_to_anyone(tmp_path: Path):
    need_weights()
    answer = run_audited(tmp_path, "chain")
    assert answer["noted"] == []
    assert answer["ultralytics"], "the detector must have run for this to mean anything"
    assert answer["detector"]
    assert answer["slices"] == 4
    assert answer["left"] == [], "files were left in the working folder"
    if answer["cores"] > 1:
        assert answer["threads"] > 1


def test_batch_calls_nobody(tmp_path: Path, study: Path):
    need_weights()
    table = str(tmp_path / "scar.csv")
    answer = run_audited(tmp_path / "home", "command", "batch", str(study), "-o", table, **QUICK)
    assert answer["noted"] == []
    assert answer["status"] == 0
    assert Path(table).is_file()


@pytest.mark.timeout(900)
def test_measuring_replaying_evaluating_and_training_call_nobody(tmp_path: Path, study: Path):
    need_weights()
    words = (str(study), str(tmp_path / "cases"), str(tmp_path / "out"))
    answer = run_audited(tmp_path / "home", "commands", *words, timeout_s=800, **QUICK)
    assert answer["noted"] == []
    done = {name: answer[name] for name in ("batch", "measure", "replay", "evaluate")}
    assert done == {"batch": 0, "measure": 0, "replay": 0, "evaluate": 0}
    assert (answer["train segmenter"], answer["train detector"]) == (0, 0)
    assert answer["left"] == [], "files were left in the working folder"


def test_the_window_calls_nobody(tmp_path: Path, study: Path):
    need_weights()
    answer = run_audited(tmp_path / "home", "window", str(study), **QUICK)
    assert answer["noted"] == []
    assert answer["status"] == 0
    assert answer["titles"]
