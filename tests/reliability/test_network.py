"""Nothing leaves the machine: no look-up, no connection, no installation, no other program."""

from __future__ import annotations

from pathlib import Path

from tests.reliability.children import last_line_as_json, need_weights, run_child


def test_the_watch_sees_what_it_should(tmp_path: Path):
    answer = last_line_as_json(run_child(tmp_path, "-m", "tests.reliability.audited", "connect"))
    events = {each.split()[0] for each in answer["noted"]}
    assert {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"} <= events


def test_models_propose_a_stack_without_a_word_to_anyone(tmp_path: Path):
    need_weights()
    answer = last_line_as_json(run_child(tmp_path, "-m", "tests.reliability.audited", "chain"))
    assert answer["noted"] == []
    assert not answer["pytest"]
    assert answer["ultralytics"], "the detector must have run for this to mean anything"
    assert answer["detector"]
    assert answer["slices"] > 1
    assert answer["left"] == [], "files were left in the working folder"
    if answer["cores"] > 1:
        assert answer["threads"] > 1
