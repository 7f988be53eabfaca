"""A real Orthanc on free ports of the loopback, which ends with its context."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc", "/usr/local/share/orthanc/plugins")
AE_TITLE = "SCARSEG"
START_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program() -> str:
    """Return Orthanc's path; skip without it, but never where CI is set."""
    found = shutil.which("Orthanc") or shutil.which("orthanc") or shutil.which("/usr/sbin/Orthanc")
    if found is None:
        message = "Orthanc is not installed (packages orthanc, orthanc-dicomweb)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@dataclass(frozen=True)
class Orthanc:
    """A server that runs: its ports, and the port it sends to (C-MOVE)."""

    dicom_port: int
    web_port: int
    storage_port: int
    folder: Path

    @property
    def dicom(self) -> str:
        return f"dicom://ORTHANC@127.0.0.1:{self.dicom_port}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}/dicom-web"

    def call(self, method: str, path: str, data: bytes | None = None) -> Any:
        """Use Orthanc's own interface, to fill the archive and to see what is in it."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}{path}", data=data, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        try:
            return json.loads(body)
        except ValueError:
            return body

    def add(self, *folders: Path) -> None:
        for folder in folders:
            for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
                if path.is_file():
                    self.call("POST", "/instances", path.read_bytes())

    def clear(self) -> None:
        for patient in self.call("GET", "/patients"):
            self.call("DELETE", f"/patients/{patient}")

    def instances(self) -> dict[str, dict[str, str]]:
        """Return the main tags of all instances, with those of their study, by SOP UID."""
        found = {}
        for name in self.call("GET", "/instances"):
            tags = self.call("GET", f"/instances/{name}/simplified-tags")
            found[tags["SOPInstanceUID"]] = tags
        return found


def plugin_folder() -> str:
    for folder in PLUGINS:
        if any(Path(folder).glob("libOrthancDicomWeb*")):
            return folder
    found = next(Path("/usr").rglob("libOrthancDicomWeb*"), None)
    assert found is not None, "orthanc-dicomweb is not installed"
    return str(found.parent)


@contextmanager
def running_orthanc(folder: Path, settings: Mapping[str, object] = {}) -> Iterator[Orthanc]:
    server = Orthanc(free_port(), free_port(), free_port(), folder)
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [plugin_folder()],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": server.dicom_port,
        "HttpPort": server.web_port,
        "DicomCheckModalityHost": True,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"me": [AE_TITLE, "127.0.0.1", server.storage_port]},
        "DicomAlwaysAllowEcho": True,
        "UnknownSopClassAccepted": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **settings,
    }
    (folder / "storage").mkdir(parents=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program(), str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder
        )
        try:
            wait_until_ready(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def wait_until_ready(server: Orthanc, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            server.call("GET", "/system")
            with socket.create_connection(("127.0.0.1", server.dicom_port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"Orthanc did not start:\n{(server.folder / 'log').read_text()[-2000:]}")
