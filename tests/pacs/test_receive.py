"""``scarseg pacs receive``: series appear whole, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE

from scarseg.errors import OutputError, PacsError
from scarseg.io import dicom
from scarseg.pacs.receiving import ReceivedSeries, Receiver, ReceiveSettings
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.orthanc import Orthanc, free_port

# The library of the caller leaves a socket open that the killed receiver closed first.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SETTLE_S = 0.4


@dataclass
class Running:
    receiver: Receiver
    port: int
    folder: Path
    shown: list[ReceivedSeries] = field(default_factory=list)

    def wait(self, n: int, seconds: float = 20.0) -> list[ReceivedSeries]:
        end = time.monotonic() + seconds
        while len(self.shown) < n and time.monotonic() < end:
            time.sleep(0.05)
        return self.shown


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def call(**settings: Any) -> Running:
        settings = {
            "folder": tmp_path / "in",
            "port": free_port(),
            "settle_s": SETTLE_S,
            **settings,
        }
        shown: list[ReceivedSeries] = []
        receiver = Receiver(ReceiveSettings(**settings), shown.append, lambda _: None)
        receiver.start()
        running.append(Running(receiver, settings["port"], settings["folder"], shown))
        return running[-1]

    yield call
    for one in running:
        one.receiver.stop()


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "images", patient(1))


def association(port: int, calling: str = "SCANNER", called: str = "SCARSEG") -> Any:
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    entity.add_requested_context("1.2.840.10008.1.1")
    return entity.associate("127.0.0.1", port, ae_title=called)


def store(opened: Any, *paths: Path) -> list[int]:
    return [int(opened.send_c_store(dcmread(path)).Status) for path in paths]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".receiving.lock"}


def test_a_series_appears_when_it_has_settled(
    start: Callable[..., Running], images: list[Path]
) -> None:
    running = start()
    opened = association(running.port)
    assert int(opened.send_c_echo().Status) == 0
    assert store(opened, *images) == [0] * 5
    time.sleep(2 * SETTLE_S)
    assert names(running.folder) == {".1.2.1.1.partial"}  # open: more may come
    assert dicom.scan([running.folder]).stacks == ()
    opened.release()
    [series] = running.wait(1)
    assert (series.series_uid, series.n_images) == ("1.2.1.1", 5)
    assert names(running.folder) == {"1.2.1.1"}
    assert len(dicom.scan([running.folder]).stacks) == 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in running.folder.rglob("*"))


def test_a_cut_series_waits_for_its_rest(start: Callable[..., Running], images: list[Path]) -> None:
    running = start()
    opened = association(running.port)
    store(opened, *images[:3])
    opened.abort()
    time.sleep(3 * SETTLE_S)
    assert names(running.folder) == {".1.2.1.1.partial"}
    opened = association(running.port)
    store(opened, *images)
    opened.release()
    [series] = running.wait(1)
    assert series.n_images == 5
    assert names(running.folder) == {"1.2.1.1"}


def test_what_a_stop_left_goes_on_at_the_next_start(
    start: Callable[..., Running], images: list[Path]
) -> None:
    running = start()
    opened = association(running.port)
    store(opened, *images[:3])
    running.receiver.stop()
    again = start()
    time.sleep(3 * SETTLE_S)
    assert again.shown == []
    opened = association(again.port)
    store(opened, *images)
    opened.release()
    [series] = again.wait(1)
    assert series.n_images == 5


def test_a_series_sent_again_changes_nothing_and_more_images_complete_it(
    start: Callable[..., Running], images: list[Path]
) -> None:
    running = start()
    for n, part in ((1, images[:4]), (1, images[:4]), (2, images)):
        opened = association(running.port)
        store(opened, *part)
        opened.release()
        running.wait(n)
    assert [one.n_images for one in running.wait(2)] == [4, 5]
    assert names(running.folder) == {"1.2.1.1"}


def test_orthanc_sends_a_study_over_several_associations(
    orthanc: Orthanc, tmp_path: Path, start: Callable[..., Running]
) -> None:
    write_series(tmp_path / "a", patient(1))
    write_series(tmp_path / "b", patient(2), enhanced=True)
    orthanc.add(tmp_path / "a", tmp_path / "b")
    running = start(port=orthanc.storage_port)
    for study in orthanc.call("GET", "/studies"):
        orthanc.call("POST", "/modalities/me/store", study.encode())
    assert {one.series_uid: one.n_images for one in running.wait(2)} == {"1.2.1.1": 5, "1.2.2.1": 1}


def test_only_the_allowed_may_send_and_the_called_title_counts(
    start: Callable[..., Running], images: list[Path]
) -> None:
    running = start(allowed=("SCANNER",))
    for calling, called in (("STRANGER", "SCARSEG"), ("SCANNER", "OTHER")):
        assert association(running.port, calling, called).is_rejected
    opened = association(running.port)
    assert store(opened, images[0]) == [0]
    opened.release()


def test_paths_for_uids_and_two_patients_in_a_series_are_refused(
    start: Callable[..., Running], images: list[Path]
) -> None:
    running = start()
    opened = association(running.port)
    assert store(opened, images[0]) == [0]
    for keyword, value, status in (
        ("SeriesInstanceUID", "../../x", 0xC000),
        ("SOPInstanceUID", "/etc/x", 0xC000),
        ("StudyInstanceUID", "", 0xC000),
        ("PatientID", "SOMEBODY", 0xA900),
    ):
        dataset = dcmread(images[1])
        dataset[keyword].value  # noqa: B018 - decoded, so that validation is over
        dataset[keyword]._value = value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert int(opened.send_c_store(dataset).Status) == status
    opened.release()
    [series] = running.wait(1)
    assert series.n_images == 1


def test_a_port_in_use_and_a_folder_in_use_are_named(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    running = start()
    with pytest.raises(PacsError) as caught:
        start(port=running.port, folder=tmp_path / "other")
    assert caught.value.code == "E_PACS_PORT"
    with pytest.raises(OutputError) as refused:
        start(folder=running.folder)
    assert refused.value.code == "E_EXISTS"


def test_silent_callers_do_not_keep_it_from_ending(start: Callable[..., Running]) -> None:
    running = start()
    callers = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(3)]
    began = time.monotonic()
    running.receiver.stop()
    assert time.monotonic() - began < 5
    for one in callers:
        one.close()


@pytest.mark.parametrize("pdu", [b"\x04\x00\x00\x00\x40\x00", b"\x04"])
def test_a_caller_that_trickles_keeps_it_from_neither_receiving_nor_ending(
    start: Callable[..., Running], images: list[Path], pdu: bytes
) -> None:
    running = start()
    slow, honest = association(running.port), association(running.port)
    slow.dul.socket.socket.sendall(pdu)
    assert store(honest, *images) == [0] * len(images)
    honest.release()
    assert [one.n_images for one in running.wait(1)] == [len(images)]
    began = time.monotonic()
    running.receiver.stop()
    assert time.monotonic() - began < 5
    slow.abort()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_the_command_ends_within_five_seconds_and_goes_on_after_a_kill(
    tmp_path: Path, images: list[Path], sign: signal.Signals
) -> None:
    port = free_port()

    def begin() -> subprocess.Popen[str]:
        words = ["pacs", "receive", "-o", tmp_path / "in", "--port", port, "--settle", SETTLE_S]
        process = subprocess.Popen(
            [sys.executable, "-m", "scarseg", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        assert process.stderr is not None
        assert "listens" in process.stderr.readline()
        return process

    process = begin()
    opened = association(port)
    assert store(opened, *images[:2]) == [0, 0]
    began = time.monotonic()
    process.send_signal(sign)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    opened.abort()
    assert names(tmp_path / "in") - {".receiving.lock"} == {".1.2.1.1.partial"}
    process = begin()
    opened = association(port)
    assert store(opened, *images) == [0] * 5
    opened.release()
    assert process.stdout is not None
    assert process.stdout.readline().strip() == f"{tmp_path / 'in' / '1.2.1.1'}: 5 images"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.communicate()
