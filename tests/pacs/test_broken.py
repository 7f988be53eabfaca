"""Archives that cut, stall, reject and lie: nothing is shown that is not whole, nothing hangs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from scarseg import cli
from scarseg.io import dicom
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.broken import Broken, Fault
from tests.pacs.orthanc import free_port

# The library of the broken archive leaves sockets open that were closed by the other side.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
Fetch = Callable[..., str]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "local", patient(1))


@pytest.fixture
def broken(files: list[Path]) -> Iterator[Broken]:
    with Broken(files) as archive:
        yield archive


@pytest.fixture
def fetch(broken: Broken, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    def call(*more: object, timeout: float = 5) -> str:
        words = ["pacs", "fetch", broken.address, "--study", "1.2.1", "-o", tmp_path / "out"]
        words += ["--timeout", timeout, "--port", broken.storage_port, *more]
        capsys.readouterr()
        status = cli.main([str(one) for one in words])
        err = capsys.readouterr().err
        assert "CANARY" not in err
        return "" if status == 0 else err.strip().splitlines()[-1]

    return call


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize("way", ["get", "move"])
@pytest.mark.parametrize("kind", ["abort", "close", "success", "failure"])
def test_a_cut_is_made_good_by_the_second_try(
    broken: Broken, fetch: Fetch, tmp_path: Path, kind: str, way: str
) -> None:
    broken.faults = [Fault(kind, 3)]
    assert fetch("--retrieve", way) == ""
    assert names(tmp_path / "out") == {"1.2.1.1"}
    assert len(names(tmp_path / "out" / "1.2.1.1")) == 5


@pytest.mark.parametrize("kind", ["abort", "close", "success", "failure", "stall"])
def test_two_cuts_show_nothing_and_the_next_fetch_goes_on(
    broken: Broken, fetch: Fetch, tmp_path: Path, kind: str
) -> None:
    broken.faults = [Fault(kind, 2), Fault(kind, 1)]
    began = time.monotonic()
    said = fetch(timeout=1)
    assert time.monotonic() - began < 12
    assert said.startswith("E_PACS_INCOMPLETE: 3 of 5 images"), said
    assert names(tmp_path / "out") == {".1.2.1.1.partial"}
    assert dicom.scan([tmp_path / "out"]).stacks == ()
    assert fetch() == ""
    assert names(tmp_path / "out") == {"1.2.1.1"}


def test_success_with_three_of_five_images_is_not_believed(
    broken: Broken, fetch: Fetch, tmp_path: Path
) -> None:
    broken.faults = [Fault("success", 3), Fault("success", 0)]
    assert fetch().startswith("E_PACS_INCOMPLETE: 3 of 5")


def change(broken: Broken, k: int, **values: str) -> None:
    for keyword, value in values.items():
        setattr(broken.datasets[k], keyword, value)


def answer_is_refused(fetch: Fetch, tmp_path: Path) -> None:
    assert fetch().startswith("E_PACS_ANSWER")
    assert names(tmp_path / "out") == set()


def test_another_patients_image_is_refused(broken: Broken, fetch: Fetch, tmp_path: Path) -> None:
    broken.listed = [f"1.2.1.1.{k}" for k in range(1, 6)]
    other = dcmread(broken.files[4])
    other.PatientID = "CANARY-9"
    original = broken.datasets
    broken.datasets = [*original[:4], other]
    answer_is_refused(fetch, tmp_path)


def test_an_image_of_another_series_or_study_is_refused(
    broken: Broken, fetch: Fetch, tmp_path: Path
) -> None:
    broken.listed = [f"1.2.1.1.{k}" for k in range(1, 6)]
    change(broken, 4, SOPInstanceUID="1.2.1.1.9")
    answer_is_refused(fetch, tmp_path)
    change(broken, 4, SOPInstanceUID="1.2.1.1.5")
    change(broken, 4, FrameOfReferenceUID="1.2")
    assert fetch() == ""


def test_ten_thousand_images_for_five_are_refused_at_the_first(
    broken: Broken, fetch: Fetch, tmp_path: Path
) -> None:
    broken.faults = [Fault("flood")]
    began = time.monotonic()
    answer_is_refused(fetch, tmp_path)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("uid", ["../../etc/x", "/tmp/x", "..", "1.2\\1.3", "CANARY"])
def test_a_path_for_a_uid_is_refused_and_not_repeated(
    broken: Broken, fetch: Fetch, tmp_path: Path, uid: str
) -> None:
    broken.listed = ["1.2.1.1.1", uid]
    said = fetch()
    assert said.startswith("E_PACS_ANSWER")
    assert uid not in said
    assert names(tmp_path / "out") == set()


def test_a_list_with_an_image_twice_is_refused(
    broken: Broken, fetch: Fetch, tmp_path: Path
) -> None:
    broken.n_listed_twice = 1
    assert fetch().startswith("E_PACS_ANSWER")


def test_an_image_without_pixels_is_refused(broken: Broken, fetch: Fetch, tmp_path: Path) -> None:
    del broken.datasets[2].PixelData
    answer_is_refused(fetch, tmp_path)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("abort", "E_PACS_ABORTED"), ("stall", "E_PACS_TIMEOUT"), ("failure", "E_PACS_REFUSED")],
)
def test_a_search_that_ends_badly_is_named(
    broken: Broken, fetch: Fetch, tmp_path: Path, fault: str, code: str
) -> None:
    broken.find_fault = fault
    began = time.monotonic()
    assert fetch(timeout=1).startswith(code)
    assert time.monotonic() - began < 8
    assert names(tmp_path / "out") == set()


def test_a_rejected_title_is_named(broken: Broken, fetch: Fetch) -> None:
    said = fetch("--aet", "STRANGER")
    assert said.startswith("E_PACS_REJECTED")
    assert "STRANGER" in said
    assert "BROKEN" in said


def test_a_port_in_use_keeps_images_from_being_moved(broken: Broken, fetch: Fetch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", broken.storage_port))
        taken.listen()
        assert fetch("--retrieve", "move").startswith("E_PACS_PORT")


@pytest.mark.parametrize("scheme", ["dicom", "dicoms", "http", "https"])
@pytest.mark.parametrize("kind", ["silent", "closing", "garbage"])
def test_a_port_that_is_no_archive_is_named_in_time(
    scheme: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.1)
        kept: list[Any] = []

        def answer() -> None:
            while not ending.is_set():
                try:
                    opened, _ = server.accept()
                except TimeoutError:
                    continue
                if kind == "silent":
                    kept.append(opened)
                    continue
                with opened:
                    if kind == "garbage":
                        opened.sendall(b"\xff\x00garbage" * 100)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"{scheme}://127.0.0.1:{port}/x" if "http" in scheme else ""
        address = address or f"{scheme}://A@127.0.0.1:{port}"
        began = time.monotonic()
        try:
            assert cli.main(["pacs", "test", address, "--timeout", "1"]) == 1
            took = time.monotonic() - began
        finally:
            ending.set()
            thread.join()
            for one in kept:
                one.close()
    code = capsys.readouterr().err.split(":")[0]
    assert code in ("E_PACS_TIMEOUT", "E_PACS_ABORTED", "E_PACS_TLS", "E_PACS_ANSWER")
    assert took < 5
