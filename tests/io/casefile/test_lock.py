"""One program writes a case; the lock of a dead one is taken over."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scarseg.errors import StoreError
from scarseg.io.atomic import process_start
from scarseg.io.casefile.lock import CaseLock


@contextmanager
def programs(n: int, command: str, path: Path, number: int = 0) -> Iterator[list[subprocess.Popen]]:
    """Start ``n`` programs that wait for a line; kill what is left of them at the end."""
    arguments = [
        sys.executable,
        "-m",
        "tests.io.casefile.saving_child",
        command,
        str(path),
        str(number),
    ]
    with ExitStack() as stack:
        started = []
        for _ in range(n):
            program = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            stack.enter_context(program)
            stack.callback(program.kill)
            started.append(program)
        for program in started:
            assert hear(program) == "ready"
        yield started


def tell(program: subprocess.Popen) -> None:
    assert program.stdin is not None
    program.stdin.write("go\n")


def hear(program: subprocess.Popen) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def write_owner(path: Path, **changes: object) -> None:
    mine = {"pid": os.getpid(), "started": process_start(os.getpid()), "host": platform.node()}
    lock_file(path).write_text(json.dumps({**mine, "token": "x", **changes}))


def code_of_acquiring(path: Path) -> str:
    try:
        CaseLock().acquire(path).release()
    except StoreError as error:
        return error.code
    return "free"


def test_held_and_released(tmp_path: Path):
    path = tmp_path / "new folder" / "case.scarseg"
    lock = CaseLock()
    assert not lock.held
    with lock.acquire(path):
        assert lock.held
        assert code_of_acquiring(path) == "E_CASE_LOCKED"
        assert code_of_acquiring(path.with_name("other.scarseg")) == "free"
    assert not lock.held
    assert code_of_acquiring(path) == "free"
    assert not lock_file(path).exists()


def test_acquiring_another_case_releases_the_first(tmp_path: Path):
    lock = CaseLock()
    lock.acquire(tmp_path / "a")
    lock.acquire(tmp_path / "b")
    assert code_of_acquiring(tmp_path / "a") == "free"
    assert code_of_acquiring(tmp_path / "b") == "E_CASE_LOCKED"
    lock.release()
    lock.release()


def test_a_lock_that_is_dropped_releases_itself(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    lock = CaseLock().acquire(path)
    assert code_of_acquiring(path) == "E_CASE_LOCKED"
    del lock
    gc.collect()
    assert code_of_acquiring(path) == "free"


def test_a_program_that_ends_with_a_lock_removes_it(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    code = f"""
import os, pathlib
from scarseg.io.casefile.store import CaseLock
path = pathlib.Path({str(path)!r})
lock = CaseLock().acquire(path)
child = os.fork() if hasattr(os, "fork") else 1
if child == 0:
    raise SystemExit  # a forked child is not the owner
if hasattr(os, "fork"):
    os.waitpid(child, 0)
assert path.with_name("case.scarseg.lock").exists()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not lock_file(path).exists()


def test_a_refusal_names_the_owner_and_leaves_the_lock_alone(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    with CaseLock().acquire(path):
        before = lock_file(path).read_bytes()
        with pytest.raises(StoreError, match=f"process {os.getpid()} on this computer"):
            CaseLock().acquire(path)
        assert lock_file(path).read_bytes() == before


def test_a_number_used_again_is_not_its_former_owner(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    write_owner(path)
    assert code_of_acquiring(path) == "E_CASE_LOCKED"
    if not process_start(os.getpid()):
        pytest.skip("this system does not tell when a process started")
    write_owner(path, started="another boot/123")
    assert code_of_acquiring(path) == "free"


def test_a_program_on_another_computer_is_believed(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    write_owner(path, host="elsewhere", pid=1)
    with pytest.raises(StoreError, match="elsewhere"):
        CaseLock().acquire(path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff" * 9999, b"[" * 4000]
)
def test_a_damaged_lock_is_replaced(tmp_path: Path, content: bytes):
    path = tmp_path / "case.scarseg"
    lock_file(path).write_bytes(content)
    assert code_of_acquiring(path) == "free"


def test_releasing_does_not_remove_the_lock_of_another(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    lock = CaseLock().acquire(path)
    write_owner(path, token="somebody else")
    lock.release()
    assert lock_file(path).exists()


def test_a_lock_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="E_CASE_WRITE"):
        CaseLock().acquire(tmp_path / "file" / "case.scarseg")


def test_a_killed_program_lets_go(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    with programs(1, "lock-and-stay", path) as (program,):
        tell(program)
        assert hear(program) == "held"
        assert code_of_acquiring(path) == "E_CASE_LOCKED"
        program.kill()
        program.wait()
        assert lock_file(path).exists()
        assert code_of_acquiring(path) == "free"


def test_of_many_that_find_a_dead_lock_one_takes_it_over(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with programs(4, "lock-and-stay", path) as racing:
        write_owner(path, pid=ended.pid)
        for program in racing:
            tell(program)
        answers = sorted(hear(program) for program in racing)
        assert answers == ["E_CASE_LOCKED"] * 3 + ["held"]


def test_the_lock_is_never_held_twice(tmp_path: Path):
    path = tmp_path / "case.scarseg"
    with programs(4, "lock-and-release", path, 25) as racing:
        for program in racing:
            tell(program)
        assert [hear(program) for program in racing] == ["25"] * 4
    assert not lock_file(path).exists()
