"""Files written together are all old or all new, whatever the disk does, and no litter stays."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scarseg.errors import OutputError
from scarseg.io import commit
from scarseg.io.atomic import process_start
from scarseg.io.files import refuse_existing, write_files
from tests.io.failing_disk import FailingDisk, no_links

NAMES = ["a.csv", "b.csv", "c.json"]
OLD, NEW = b"old", b"new" * 1000


def paths_in(folder: Path, old: bool) -> list[Path]:
    folder.mkdir()
    paths = [folder / name for name in NAMES]
    for path in paths if old else ():
        path.write_bytes(OLD)
    return paths


def contents(paths: list[Path]) -> set[bytes | None]:
    return {path.read_bytes() if path.exists() else None for path in paths}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("replacing", [True, False], ids=["old files", "no files"])
def test_files_written_together_are_all_old_or_all_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacing: bool, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for k in range(300):
        folder = tmp_path / str(k)
        paths = paths_in(folder, replacing)
        disk = FailingDisk(k)
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            commit.write_together(dict.fromkeys(paths, NEW), replacing)
        assert contents(paths) in ({OLD} if replacing else {None}, {NEW}), k
        commit.write_together(dict.fromkeys(paths, b"next"), replacing=True)
        assert sorted(each.name for each in folder.iterdir()) == NAMES
        if not disk.has_failed:
            assert k > 15
            return
    pytest.fail("the files took more calls than expected")


@pytest.mark.parametrize("replacing", [True, False], ids=["old files", "no files"])
def test_what_a_broken_disk_left_is_settled_before_a_command_asks_what_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacing: bool
) -> None:
    n_mixtures = 0
    for k in range(300):
        folder = tmp_path / str(k)
        paths = paths_in(folder, replacing)
        disk = FailingDisk(k, lasting=True)
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            commit.write_together(dict.fromkeys(paths, NEW), replacing)
        n_mixtures += len(contents(paths)) > 1
        with contextlib.suppress(OutputError):
            refuse_existing(paths)
        assert contents(paths) in ({OLD} if replacing else {None}, {NEW}), k
        if not disk.has_failed:
            assert n_mixtures
            return
    pytest.fail("the files took more calls than expected")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("replacing", [True, False], ids=["old files", "no files"])
def test_a_disk_that_stays_broken_leaves_no_mixture_once_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacing: bool, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    for k in range(300):
        folder = tmp_path / str(k)
        paths = paths_in(folder, replacing)
        disk = FailingDisk(k, lasting=True)
        acknowledged = False
        with disk.installed(monkeypatch), contextlib.suppress(OSError):
            commit.write_together(dict.fromkeys(paths, NEW), replacing)
            acknowledged = True
        commit.recover(folder)
        found = contents(paths)
        assert found in ({OLD} if replacing else {None}, {NEW}), k
        assert not acknowledged or found == {NEW}
        commit.write_together(dict.fromkeys(paths, b"next"), replacing=True)
        assert sorted(each.name for each in folder.iterdir()) == NAMES
        if not disk.has_failed:
            return
    pytest.fail("the files took more calls than expected")


def half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Leave the first of three files new, the others old, and the way back barred."""
    paths = paths_in(tmp_path / "export", old=True)
    real, calls = os.replace, []

    def replace(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(OutputError, match=r"E_WRITE.*half replaced") as refusal:
            write_files(dict.fromkeys(paths, NEW), force=True)
    assert "finished or undone the next time" in refusal.value.message
    assert [path.read_bytes() for path in paths] == [NEW, OLD, OLD]
    return paths


def test_what_is_half_written_is_said_and_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = half_written(tmp_path, monkeypatch)
    commit.recover(paths[0].parent)
    assert contents(paths) == {NEW}
    assert sorted(each.name for each in paths[0].parent.iterdir()) == NAMES


def test_what_cannot_be_finished_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = half_written(tmp_path, monkeypatch)
    hidden = paths[0].parent.glob(".c.json.*.tmp")
    [lost] = [each for each in hidden if each.read_bytes() == NEW]
    lost.unlink()
    commit.recover(paths[0].parent)
    assert contents(paths) == {OLD}
    assert sorted(each.name for each in paths[0].parent.iterdir()) == NAMES


def test_files_that_changed_since_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = half_written(tmp_path, monkeypatch)
    paths[1].write_bytes(b"a reader's own")
    commit.recover(paths[0].parent)
    assert [path.read_bytes() for path in paths] == [NEW, b"a reader's own", OLD]
    assert sorted(each.name for each in paths[0].parent.iterdir()) == NAMES


def test_the_commit_of_a_live_program_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = half_written(tmp_path, monkeypatch)
    [journal] = paths[0].parent.glob(".commit.*.tmp")
    before = json.loads(journal.read_bytes())
    parent = os.getppid()
    journal.write_text(json.dumps({**before, "pid": parent, "started": process_start(parent)}))
    commit.recover(paths[0].parent)
    assert [path.read_bytes() for path in paths] == [NEW, OLD, OLD]


@pytest.mark.parametrize(
    "target", ["../outside.csv", "/tmp/outside.csv", "sub/../../outside.csv", "link/outside.csv"]
)
def test_a_forged_journal_reaches_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    paths = half_written(tmp_path, monkeypatch)
    outside = tmp_path / "outside.csv"
    outside.write_bytes(NEW)
    folder = paths[0].parent
    (folder / "link").symlink_to(tmp_path)
    [journal] = folder.glob(".commit.*.tmp")
    document = json.loads(journal.read_bytes())
    document["files"][0]["target"] = target
    document["files"][0]["before"] = None
    journal.write_text(json.dumps(document))
    commit.recover(folder)
    assert outside.read_bytes() == NEW


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"[" * 100_000, b'{"pid": "x"}'])
def test_a_journal_that_was_cut_short_is_litter(tmp_path: Path, data: bytes) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".commit.{ended.pid}-0123456789abcdef.tmp").write_bytes(data)
    (tmp_path / "a.csv").write_bytes(OLD)
    commit.recover(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_files_written_together_replace_nothing_unasked(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    second.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        commit.write_together({first: b"new", second: b"new"}, replacing=False)
    assert not first.exists()
    assert second.read_bytes() == b"mine"
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
