"""One file is the old one or the new one, whatever the disk does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scarseg.io import atomic
from tests.io.failing_disk import FailingDisk


def test_any_call_of_a_plain_replacement_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    for k in range(100):
        atomic.replace_file(path, b"old" * 1000)
        disk = FailingDisk(k)
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            atomic.replace_file(path, b"new" * 1000)
        assert path.read_bytes() in (b"old" * 1000, b"new" * 1000)
        if not disk.has_failed:
            break
    atomic.replace_file(path, b"next")
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_a_process_that_ended_is_not_alive() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not atomic.is_alive(ended.pid)
    assert atomic.process_start(ended.pid) == ""
    assert atomic.is_alive(os.getpid())


@pytest.mark.parametrize("pid", [0, -1, 2**31 - 2, 2**70])
def test_numbers_of_no_process_are_not_alive(pid: int) -> None:
    assert not atomic.is_alive(pid)
