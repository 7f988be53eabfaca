"""Servers that send a byte now and then, for ever: nothing waits for them beyond its timeout."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from scarseg.errors import PacsError
from scarseg.pacs import connect
from scarseg.pacs.addresses import parse_address
from scarseg.pacs.archive import Query
from tests.pacs.certificates import make_certificates, tls_proxy

# The DIMSE library leaves a socket open that it gave up, and its thread ends with an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"
BEGINNINGS = {
    "head": b"HTTP/1.1 200 OK\r\nX-Filler: ",
    "body": JSON + b"Content-Length: 100000\r\n\r\n[",
    "closing body": JSON + b"Connection: close\r\n\r\n[",
    "chunks": JSON + b"Transfer-Encoding: chunked\r\n\r\n",
    "handshake": b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc",
    "association": b"\x02\x00\x00\x00\x10\x00\x00\x01",
}


@contextmanager
def trickling(beginning: bytes, closes: bool = False) -> Iterator[int]:
    """Answer every connection with a beginning, and then ten bytes a second; yield the port."""
    ending = threading.Event()
    threads = []

    def answer(opened: socket.socket) -> None:
        with opened, contextlib.suppress(OSError):
            opened.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                opened.recv(65536)
            opened.sendall(beginning)
            while not closes and not ending.wait(0.1):
                chunked = beginning.endswith(b"chunked\r\n\r\n")
                opened.sendall(b"1\r\n \r\n" if chunked else b" ")

    def accept() -> None:
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                opened, _ = server.accept()
                threads.append(threading.Thread(target=answer, args=(opened,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ending.set()
            thread.join()
            for one in threads:
                one.join()


@contextmanager
def trickling_responses(pdu: bytes) -> Iterator[int]:
    """Accept associations as an archive, answer the first request with a PDU's beginning."""
    entity = AE("A")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    archive = entity.start_server(("127.0.0.1", 0), block=False)
    inner = archive.socket.getsockname()[1]
    ending = threading.Event()

    def answer(opened: socket.socket) -> None:
        with opened, socket.create_connection(("127.0.0.1", inner)) as accepting:
            if request := opened.recv(65536):
                accepting.sendall(request)
                opened.sendall(accepting.recv(65536))  # A-ASSOCIATE-AC
                opened.recv(65536)
                with contextlib.suppress(OSError):
                    opened.sendall(pdu)
                    while not ending.wait(0.1):
                        opened.sendall(b" ")

    def accept() -> None:
        while not ending.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=answer, args=(server.accept()[0],)).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ending.set()
            thread.join()
            archive.shutdown()


def code_of_a_search(address: str) -> str:
    archive = connect(replace(parse_address(address), timeout_s=1.0))
    with pytest.raises(PacsError) as caught:
        archive.find_studies(Query(patient_id="X"))
    return caught.value.code


@pytest.mark.parametrize(
    ("scheme", "what"),
    [
        *(("http", what) for what in ("head", "body", "closing body", "chunks")),
        *(("https", "handshake"), ("dicoms", "handshake"), ("dicom", "association")),
    ],
)
def test_a_trickle_is_silence(scheme: str, what: str) -> None:
    with trickling(BEGINNINGS[what]) as port:
        place = f"127.0.0.1:{port}"
        address = f"{scheme}://{place}/x" if "http" in scheme else f"{scheme}://A@{place}"
        assert code_of_a_search(address) in ("E_PACS_TIMEOUT", "E_PACS_TLS")


def test_an_answer_cut_within_its_head_is_not_nothing_found() -> None:
    with trickling(BEGINNINGS["head"], closes=True) as port:
        assert code_of_a_search(f"http://127.0.0.1:{port}/x") == "E_PACS_ABORTED"


@pytest.mark.parametrize("what", ["head", "body"])
def test_a_trickle_through_tls_is_silence(tmp_path: Path, what: str) -> None:
    certificates = make_certificates(tmp_path)
    with trickling(BEGINNINGS[what]) as inner, tls_proxy(certificates, inner) as port:
        address = parse_address(f"https://127.0.0.1:{port}/x")
        server = replace(address, timeout_s=1.0, ca=certificates.path("ca.pem"))
        with pytest.raises(PacsError) as caught:
            connect(server).find_studies(Query(patient_id="X"))
        assert caught.value.code == "E_PACS_TIMEOUT"


@pytest.mark.parametrize(
    "pdu",
    [b"\x04", b"\x04\x00\x00\x00\x40\x00\x00\x00\x3f\xfc\x01\x03", b"\x06\x00\x00\x00\x40\x00"],
)
def test_a_response_that_trickles_is_silence(pdu: bytes) -> None:
    with trickling_responses(pdu) as port:
        assert code_of_a_search(f"dicom://A@127.0.0.1:{port}") == "E_PACS_TIMEOUT"
