"""What the window shows as saved survives the program's sudden death."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scarseg.case.case import Case
from scarseg.case.stack import Stack
from scarseg.io.casefile import store
from scarseg.io.dicom import read_stack, scan
from scarseg.simulate.write_dicom import write_series
from tests import cohorts
from tests.reliability.children import clean_environment
from tests.reliability.killed_reader import digest
from tests.reliability.kills import Killer, Told
from tests.reliability.painting import get_number

KILLS = int(os.environ.get("SCARSEG_TEST_WINDOW_KILLS", "3"))


def kill_while_painting(study: Path, home: Path, seconds: float) -> int:
    """Open the study in a program, paint, kill it; give the last stroke shown as saved."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.painting", str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(home),
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"opened\n", "the dead program's lock is taken over"
        first = int(program.stdout.readline())
        time.sleep(seconds)
        program.send_signal(signal.SIGKILL)
        rest = program.stdout.read()
    whole_lines = rest[: rest.rfind(b"\n") + 1].split()
    return int(whole_lines[-1]) if whole_lines else first


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_no_stroke_shown_as_saved_is_lost(tmp_path: Path, phantom_stack: Stack):
    study, home = tmp_path / "study", tmp_path / "home"
    write_series(study, phantom_stack)
    [summary] = scan([study]).stacks
    stack = read_stack(summary)
    path = store.case_path(home / "scarseg" / "cases", stack)
    moments = random.Random(0)
    saved = 0
    for _ in range(KILLS):
        shown = kill_while_painting(study, home, moments.uniform(0, 0.2))
        found = store.read_case(path, stack)
        assert not found.notes
        before, saved = saved, get_number(found.case.labels[0])
        assert before < shown <= saved <= shown + 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_no_change_of_a_reading_shown_as_saved_is_lost(tmp_path: Path):
    killer = Killer(cohorts.write(tmp_path / "studies", 1, 2), tmp_path / "home", seed=3)
    for _ in range(KILLS + 2):
        killer.kill_once(1.5)
    tally = killer.tally
    assert tally.faults == []
    assert tally.changes > 0 and tally.shown_saved > 0
    assert tally.taken_over == tally.dead_locks > 0


def test_the_comparison_notices_what_is_lost(tmp_path: Path):
    killer = Killer(cohorts.write(tmp_path / "studies", 1), tmp_path / "home", seed=3)
    [(name, stack)] = killer.stacks.items()
    killer._compare(name, Told(["a", "b"], shown=1, n_shown=1))
    assert killer.tally.lost == 1
    store.save_case(Case.new(stack), store.case_path(killer.folder, stack))
    killer._compare(name, Told(["a", digest(Case.new(stack)), "c"], shown=2, n_shown=1))
    assert killer.tally.lost == 2
    killer._compare(name, Told(["a", digest(Case.new(stack)), "c"], shown=1, n_shown=1))
    assert killer.tally.lost == 2 and killer.tally.most_unsaved == 1


BATCH = """
import sys
import scarseg.models
from scarseg.cli import main
from tests.fakes import load_fakes
scarseg.models.load = load_fakes
print("ready", flush=True)
sys.exit(main(["batch", *sys.argv[1:]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_killed_batch_is_taken_up_again_without_doubled_rows(tmp_path: Path):
    cohorts.write(tmp_path / "in", *range(1, 13))

    def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
        words = [str(tmp_path / "in"), "-o", str(out / "scar.csv"), "--masks", str(out / "masks")]
        words += more
        program = subprocess.Popen(
            [sys.executable, "-c", BATCH, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(tmp_path / "home"),
        )
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        return program

    began = time.monotonic()
    with start(tmp_path / "whole") as program:
        assert program.wait() == 0
    lasts = time.monotonic() - began
    expected = contents(tmp_path / "whole")
    assert len(expected) == 4 + 12  # table, slices, segments, sidecar; masks
    moments = random.Random(1)
    for _ in range(KILLS):
        with start(tmp_path / "killed", "--resume") as program:
            time.sleep(moments.uniform(0, lasts * 0.8))
            program.send_signal(signal.SIGKILL)
        if (tmp_path / "killed" / "scar.csv").exists():
            break
    else:
        with start(tmp_path / "killed", "--resume") as program:
            assert program.wait() == 0
    assert contents(tmp_path / "killed") == expected


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
