"""Nothing leaves the machine: no look-up, no connection, no installation, no other program.

But for archives: there the server that is named is spoken to, and nobody else.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from scarseg.simulate.write_dicom import write_series
from tests.pacs.broken import Broken
from tests.reliability.audited import short_stack
from tests.reliability.children import last_line_as_json, need_weights, run_child


def test_the_watch_sees_what_it_should(tmp_path: Path):
    answer = run_audited(tmp_path, "connect")
    events = {each.split()[0] for each in answer["noted"]}
    assert {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"} <= events


QUICK = {"OMP_NUM_THREADS": "1"}  # on a busy machine


def run_audited(home: Path, *arguments: str, **more: str) -> dict[str, Any]:
    done = run_child(home, "-m", "tests.reliability.audited", *arguments, **more)
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


def test_the_window_calls_nobody(tmp_path: Path, study: Path):
    need_weights()
    answer = run_audited(tmp_path / "home", "window", str(study), **QUICK)
    assert answer["noted"] == []
    assert answer["status"] == 0
    assert answer["titles"]


def test_an_archive_is_the_only_one_called(tmp_path: Path, study: Path):
    with Broken(sorted(study.iterdir())) as archive:
        uid = archive.datasets[0].StudyInstanceUID
        words = ("pacs", "fetch", archive.address, "--study", uid, "-o", str(tmp_path / "out"))
        answer = run_audited(tmp_path / "home", "command", *words, **QUICK)
    assert answer["status"] == 0
    connected = [one for one in answer["noted"] if one.startswith("socket.connect")]
    assert connected, "the archive must have been called for this to mean anything"
    others = [one for one in answer["noted"] if not is_about(one, archive.port)]
    assert others == []


def is_about(event: str, port: int) -> bool:
    """Return whether an event is about the archive, or binds this end of the connection to it."""
    kind = event.split()[0]
    if kind == "socket.bind":
        return "('', 0)" in event or "('0.0.0.0', 0)" in event
    if kind == "socket.getaddrinfo":  # of an address in figures or of none, which asks nobody
        return "('127.0.0.1'," in event or "(None, 0," in event
    return kind == "socket.connect" and f"('127.0.0.1', {port})" in event


def test_receiving_listens_on_the_loopback_alone(tmp_path: Path):
    """The port is in use, so that it ends at once; what it tried to bind is noted before."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ("pacs", "receive", "-o", str(tmp_path / "in"), "--port", port)
        answer = run_audited(tmp_path / "home", "command", *words, **QUICK)
    assert answer["status"] == 1
    bound = [one for one in answer["noted"] if one.startswith("socket.bind")]
    assert bound
    assert all("'127.0.0.1'" in one for one in bound)
    assert not [one for one in answer["noted"] if one.startswith("socket.connect")]
