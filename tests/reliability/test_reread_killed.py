"""A re-reading whose program was killed is gone on with, and nothing of it is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scarseg.case.case import CaseStatus
from scarseg.case.stack import Stack
from scarseg.io import dicom
from scarseg.io.casefile import rereading, store
from scarseg.simulate.write_dicom import write_series
from tests.reliability.children import clean_environment


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_re_reading_is_whole(tmp_path: Path, phantom_stack: Stack) -> None:
    for k in range(2):
        sources = tuple(
            replace(each, sop_instance_uid=f"{each.sop_instance_uid}.{k}")
            for each in phantom_stack.sources
        )
        stack = replace(
            phantom_stack, study_uid=f"1.2.{k}", series_uid=f"1.2.{k}.1", sources=sources
        )
        write_series(tmp_path / "studies" / str(k), stack)
    folder = tmp_path / "cases"
    words = [sys.executable, "-m", "tests.reliability.killed_rereader"]
    ended = subprocess.run(
        [*words, str(tmp_path / "studies"), str(folder)],
        env=clean_environment(tmp_path) | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    (left,), notes = rereading.find_rereadings(folder)
    assert not notes and not left.finished_at_utc
    assert [left.done(each.code) for each in left.cases] == [True, False]
    stacks = {one.stack_id: dicom.read_stack(one) for one in dicom.scan([tmp_path]).stacks}
    for each in left.cases:
        first = store.load_case(
            rereading.first_reading_path(folder, stacks[each.first.stack_id]),
            stacks[each.first.stack_id],
        )
        assert first.status is CaseStatus.READ
    again = left.cases[0]
    case = store.load_case(left.case_path(again.code), stacks[again.first.stack_id])
    assert (case.reader, case.read_number) == ("AB", 2)
    assert not list(folder.rglob("*.tmp"))
