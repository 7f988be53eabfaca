"""Source DICOM is only ever read."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from scarseg.case.stack import Stack
from scarseg.cli import main
from tests.fakes import fake_models
from tests.reliability import patients


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Describe everything below a folder: kind, mode, time of change and content of each."""
    described: dict[str, tuple[object, ...]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        described[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return described


def test_batch_and_inspect_leave_the_source_as_it_was(
    tmp_path: Path, phantom_stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("scarseg.models.load", lambda *_, **__: fake_models())
    source = tmp_path / "source"
    patients.write_marked_study(source / "study", phantom_stack)
    (source / "notes.txt").write_text("not DICOM")
    shutil.make_archive(str(source / "again"), "zip", source / "study")
    before = tree(source)
    assert len(before) > 15
    out = tmp_path / "out"
    assert main(["inspect", str(source)]) == 0
    assert main(["inspect", "--json", str(source / "again.zip")]) == 0
    for force in ([], ["--force"]):
        main(["batch", str(source), "-o", str(out / "scar.csv"), "--masks", str(out), *force])
    assert (out / "scar.csv").is_file()
    assert list(out.glob("*.nii.gz"))
    assert tree(source) == before
