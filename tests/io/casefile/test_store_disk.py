"""A disk that fails leaves the old state or the new one, never a mixture, and no litter."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scarseg.errors import StoreError
from scarseg.io.casefile import store
from tests.io.casefile.saving_child import is_whole, numbered_case, small_stack
from tests.io.failing_disk import FailingDisk, no_links

STACK = small_stack()


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("generations", [0, 1, 2])
def test_any_call_may_fail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    generations: int,
    lasting: bool,
    links: bool,
):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for k in range(200):
        path = tmp_path / str(k) / "case.scarseg"
        for number in range(1, generations + 1):
            store.save_case(numbered_case(STACK, number), path)
        disk = FailingDisk(k, lasting)
        with disk.installed(monkeypatch):
            try:
                store.save_case(numbered_case(STACK, 9), path)
                acknowledged = True
            except StoreError as error:
                assert error.code == "E_CASE_WRITE"
                acknowledged = False
        check_after_failure(path, generations, acknowledged)
        if not disk.has_failed:
            assert k > 8
            return
    pytest.fail("the save made more calls than expected")


def check_after_failure(path: Path, generations: int, acknowledged: bool) -> None:
    """Old state or new state; new if the save said so; and clean after the next save."""
    expected = {9} if acknowledged else {9, generations}
    if generations == 0 and not store.has_case(path):
        assert not acknowledged
    else:
        found = store.read_case(path, STACK)
        assert found.case.interactions in expected
        assert is_whole(found.case)
        assert not found.notes
    for number in (10, 11):
        store.save_case(numbered_case(STACK, number), path)
    unreadable = path.with_name("case.scarseg.damaged")  # the newest, where reading it failed
    if unreadable.exists():
        assert is_whole(store.load_case(unreadable, STACK))
        unreadable.unlink()
    assert sorted(p.name for p in path.parent.iterdir()) == ["case.scarseg", "case.scarseg.1"]
    assert store.load_case(path, STACK).interactions == 11
    assert store.load_case(path.with_name("case.scarseg.1"), STACK).interactions == 10


def test_writes_may_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:100]))
    store.save_case(numbered_case(STACK, 3), tmp_path / "case.scarseg")
    assert is_whole(store.load_case(tmp_path / "case.scarseg", STACK))


def test_everything_is_flushed_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "case.scarseg"
    store.save_case(numbered_case(STACK, 1), path)
    order: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        order.append("flush folder" if folder else "flush file")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        order.append(Path(target).name)
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    store.save_case(numbered_case(STACK, 2), path)
    assert order == ["flush file", "case.scarseg.1", "case.scarseg", "flush folder"]


def test_litter_of_a_dead_program_is_removed_and_that_of_a_live_one_kept(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f".case.scarseg.{ended.pid}-0123456789abcdef.tmp"
    live = tmp_path / f".case.scarseg.{os.getppid()}-0123456789abcdef.tmp"
    other = tmp_path / f".other.scarseg.{ended.pid}-0123456789abcdef.tmp"
    for each in (dead, live, other):
        each.touch()
    store.save_case(numbered_case(STACK, 1), path)
    assert not dead.exists()
    assert live.exists()
    assert other.exists()


def child(command: str, path: Path, number: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.io.casefile.saving_child", command, str(path), str(number)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_read_only_folder():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cases"
        path = folder / "case.scarseg"
        store.save_case(numbered_case(STACK, 1), path)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        path.chmod(0o644)
        assert child("save-without-rights", path, 2) == "E_CASE_WRITE"
        folder.chmod(0o755)
        assert [each.name for each in folder.iterdir()] == ["case.scarseg"]
        assert store.load_case(path, STACK).interactions == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limit on Windows")
def test_no_room_left(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    store.save_case(numbered_case(STACK, 1), path)
    assert child("save-with-little-room", path, 2) == "E_CASE_WRITE"
    assert [each.name for each in tmp_path.iterdir()] == ["case.scarseg"]
    assert is_whole(store.load_case(path, STACK))
    assert store.load_case(path, STACK).interactions == 1
