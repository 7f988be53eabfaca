"""Codes of archives that need no server; tests/pacs provokes the others."""

from __future__ import annotations

import socket

import pynetdicom
import requests

from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import ArchivedImage, ArchivedSeries
from scarseg.pacs.associations import Caller, listen
from scarseg.pacs.fetching import _checked_list
from scarseg.pacs.instances import normalised
from scarseg.pacs.web import WebArchive
from tests.codes.makers import Bench, Said, provokes, raised

SERIES = ArchivedSeries("1.2", "1.2.3", "5", "LGE SAX", "MR", 9)


@provokes("E_PACS_ANSWER", "no whole DICOM")
def an_answer_of_two_bytes(bench: Bench) -> Said:
    return raised(lambda: normalised(b"no"))


@provokes("E_PACS_INCOMPLETE", r"lists 2 of 9 images of series 1\.2\.3")
def two_images_of_nine(bench: Bench) -> Said:
    images = [ArchivedImage(f"1.2.3.{k}", "1.2.840.10008.5.1.4.1.1.4") for k in range(2)]
    return raised(lambda: _checked_list(images, SERIES))


@provokes("E_PACS_PORT", r"Nothing can be received on 127\.0\.0\.1, port \d+")
def a_port_in_use(bench: Bench) -> Said:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        return raised(lambda: listen(pynetdicom.AE(), "127.0.0.1", port, [], None))


@provokes("E_PACS_TLS", r"No encrypted connection to 127\.0\.0\.1")
def a_server_without_encryption(bench: Bench) -> Said:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = Server("a", f"dicoms://127.0.0.1:{port}", "dicoms", "127.0.0.1", port)
        object.__setattr__(server, "timeout_s", 0.3)
        return raised(lambda: Caller(server).connection().__enter__())


@provokes("E_PACS_AUTH", r"archive refused the list \(401\); check user and password_env")
def a_server_that_knows_nobody(bench: Bench) -> Said:
    archive = WebArchive(Server("archive", "http://127.0.0.1:9", "http", "127.0.0.1", 9))
    response = requests.Response()
    response.status_code = 401
    error = archive._http_error(requests.HTTPError(response=response), "the list")
    return [(error.code, error.message)]
