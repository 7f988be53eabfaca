"""Makers of the codes of archives; those that need one use a broken one of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scarseg.simulate.write_dicom import write_series
from tests.codes.makers import Bench, Said, provokes
from tests.cohorts import patient
from tests.pacs.broken import Broken, Fault
from tests.pacs.orthanc import free_port


def broken(bench: Bench) -> Broken:
    return Broken(write_series(bench.folder / "images", patient(1)))


def fetch(bench: Bench, archive: Broken, *more: object) -> Said:
    words = ["pacs", "fetch", archive.address, "--study", "1.2.1", "-o", bench.folder / "out"]
    return bench.run(*words, "--timeout", 1, *more)


@contextmanager
def http_answer(answer: bytes) -> Iterator[str]:
    """Answer one request with these bytes; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def once() -> None:
            opened, _ = server.accept()
            with opened:
                opened.recv(65536)
                opened.sendall(answer)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/dicom-web"
        thread.join(10)


@provokes("E_PACS_CONFIG", r"'ftp://a' begins with none of dicom://")
def address_of_another_kind(bench: Bench) -> Said:
    return bench.run("pacs", "test", "ftp://a")


@provokes("E_PACS_UNREACHABLE", r"127\.0\.0\.1, port \d+ cannot be reached")
def nobody_there(bench: Bench) -> Said:
    return bench.run("pacs", "test", f"dicom://A@127.0.0.1:{free_port()}", "--timeout", 1)


@provokes("E_PACS_TIMEOUT", r"within 1 s")
def silence(bench: Bench) -> Said:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"dicom://A@127.0.0.1:{server.getsockname()[1]}"
        return bench.run("pacs", "test", address, "--timeout", 1)


@provokes("E_PACS_TLS", r"No encrypted connection to 127\.0\.0\.1")
def plain_port_for_tls(bench: Bench) -> Said:
    with broken(bench) as archive:
        address = archive.address.replace("dicom:", "dicoms:")
        return bench.run("pacs", "test", address, "--timeout", 2)


@provokes("E_PACS_AUTH", r"refused QIDO-RS \(401\)")
def user_refused(bench: Bench) -> Said:
    with http_answer(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as address:
        return bench.run("pacs", "test", address, "--timeout", 5)


@provokes("E_PACS_REJECTED", r"called AE title BROKEN, calling AE title STRANGER")
def unknown_title(bench: Bench) -> Said:
    with broken(bench) as archive:
        return fetch(bench, archive, "--aet", "STRANGER")


@provokes("E_PACS_ABORTED", r"ended the association during C-FIND")
def aborted_search(bench: Bench) -> Said:
    with broken(bench) as archive:
        archive.find_fault = "abort"
        return fetch(bench, archive)


@provokes("E_PACS_NOT_FOUND", r"no series 1\.9")
def series_that_is_not_there(bench: Bench) -> Said:
    with broken(bench) as archive:
        return fetch(bench, archive, "--series", "1.9")


@provokes("E_PACS_REFUSED", r"refused C-FIND with status 0xA700")
def refused_search(bench: Bench) -> Said:
    with broken(bench) as archive:
        archive.find_fault = "failure"
        return fetch(bench, archive)


@provokes("E_PACS_ANSWER", r"an image that is not on its own list")
def unlisted_image(bench: Bench) -> Said:
    with broken(bench) as archive:
        archive.listed = ["1.2.1.1.1", "1.2.1.1.2"]
        return fetch(bench, archive)


@provokes("E_PACS_INCOMPLETE", r"3 of 5 images")
def images_that_do_not_come(bench: Bench) -> Said:
    with broken(bench) as archive:
        archive.faults = [Fault("success", 2), Fault("success", 1)]
        return fetch(bench, archive)


@provokes("E_PACS_PORT", r"127\.0\.0\.1, port \d+: Address already in use")
def port_in_use(bench: Bench) -> Said:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        return bench.run("pacs", "receive", "-o", bench.folder / "in", "--port", port)


def results(bench: Bench, *more: str) -> None:
    write_series(bench.folder / "p", patient(1))
    masks = ("--masks", bench.folder / "dicom", "--mask-format", "seg")
    bench.batch(bench.folder / "p", *masks, *more)


@provokes("E_PSEUDONYM", r"1 of 1 files name their patient by pseudonym")
def pseudonyms_to_an_archive(bench: Bench) -> Said:
    results(bench)
    address = f"dicom://A@127.0.0.1:{free_port()}"
    return bench.run("pacs", "send", address, bench.folder / "dicom")


@provokes("E_PATIENT_MISMATCH", r"Study 1\.2\.1 is filed under another patient ID")
def study_of_another_patient(bench: Bench) -> Said:
    results(bench, "--identify")
    with broken(bench) as archive:
        for dataset in archive.datasets:
            dataset.PatientID = "OTHER"
        return bench.run("pacs", "send", archive.address, bench.folder / "dicom")
