"""A program killed at any moment loses nothing that it had acknowledged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scarseg.io.casefile import store
from tests.io.casefile.saving_child import is_whole, numbered_case, small_stack

KILLS = int(os.environ.get("SCARSEG_TEST_KILLS", "20"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")


def kill_while_saving(path: Path, first: int, seconds: float) -> int:
    """Start a program that saves in a loop, kill it, give the last number it acknowledged."""
    command = [sys.executable, "-m", "tests.io.casefile.saving_child", "save-for-ever", str(path)]
    program = subprocess.Popen([*command, str(first)], stdout=subprocess.PIPE)
    assert program.stdout is not None
    with program:
        acknowledged = int(program.stdout.readline())
        time.sleep(seconds)
        program.send_signal(signal.SIGKILL)
        rest = program.stdout.read()
    whole_lines = rest[: rest.rfind(b"\n") + 1].split()
    return int(whole_lines[-1]) if whole_lines else acknowledged


def test_nothing_acknowledged_is_lost(tmp_path: Path):
    stack = small_stack()
    path = tmp_path / "case.scarseg"
    moments = random.Random(0)
    following = 0
    for _ in range(KILLS):
        acknowledged = kill_while_saving(path, following, moments.uniform(0, 0.05))
        found = store.read_case(path, stack)
        assert not found.notes
        assert is_whole(found.case)
        assert acknowledged <= found.case.interactions <= acknowledged + 1
        following = found.case.interactions + 1
    assert following > KILLS
    store.save_case(numbered_case(stack, following), path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.scarseg", "case.scarseg.1"]
