"""A disk that fails leaves the old state or the new one, never a mixture, and no litter."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scarseg.errors import StoreError
from scarseg.io import files
from scarseg.io.casefile import store
from tests.io.saving_child import is_whole, numbered_case, small_stack

STACK = small_stack()
CALLS = ("open", "write", "fsync", "replace", "link", "unlink", "scandir", "mkdir", "close")


class FailingDisk:
    """Let the k-th call to the disk fail, and all after it when ``lasting``."""

    def __init__(self, k: int, lasting: bool = False) -> None:
        self.k, self.lasting, self.calls = k, lasting, 0

    @property
    def has_failed(self) -> bool:
        return self.calls > self.k

    def wrap(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **rest: Any) -> Any:
            self.calls += 1
            failing = self.calls - 1 == self.k or (self.lasting and self.calls > self.k)
            if failing and name == "close":
                real(*args)  # as Linux does: closed, and an error all the same
            if failing:
                raise OSError(errno.EIO if self.k % 2 else errno.ENOSPC, f"{name} fails")
            return real(*args, **rest)

        return call

    @contextlib.contextmanager
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self.wrap(name))
            yield


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "no hard links here")


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


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("replacing", [True, False], ids=["old files", "no files"])
def test_files_written_together_are_all_old_or_all_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacing: bool, links: bool
):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    names = ["a.csv", "b.csv", "c.json"]
    for k in range(200):
        folder = tmp_path / str(k)
        folder.mkdir()
        paths = [folder / name for name in names]
        if replacing:
            for path in paths:
                path.write_bytes(b"old")
        disk = FailingDisk(k)
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            files.write_together(dict.fromkeys(paths, b"new" * 1000), replacing)
        found = {path.read_bytes() if path.exists() else None for path in paths}
        assert found in ({b"old"} if replacing else {None}, {b"new" * 1000}), k
        files.write_together(dict.fromkeys(paths, b"next"), replacing=True)
        assert sorted(each.name for each in folder.iterdir()) == names
        if not disk.has_failed:
            assert k > 15
            return
    pytest.fail("the files took more calls than expected")


def test_files_written_together_replace_nothing_unasked(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        files.write_together({first: b"new", second: b"new"}, replacing=False)
    assert not first.exists()
    assert second.read_bytes() == b"mine"
    assert [each.name for each in tmp_path.iterdir()] == ["b"]


def test_any_call_of_a_plain_replacement_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "table.csv"
    for k in range(100):
        files.replace_file(path, b"old" * 1000)
        disk = FailingDisk(k)
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            files.replace_file(path, b"new" * 1000)
        assert path.read_bytes() in (b"old" * 1000, b"new" * 1000)
        if not disk.has_failed:
            break
    files.replace_file(path, b"next")
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


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
        [sys.executable, "-m", "tests.io.saving_child", command, str(path), str(number)],
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
