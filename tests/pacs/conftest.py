"""One Orthanc for each worker, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pacs.orthanc import Orthanc, program, running_orthanc


@pytest.fixture(scope="session")
def _orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    program()
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def orthanc(_orthanc: Orthanc) -> Orthanc:
    _orthanc.clear()
    return _orthanc


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the servers and case files of the user out of the tests."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("SCARSEG_HOME", str(folder))
    return folder
