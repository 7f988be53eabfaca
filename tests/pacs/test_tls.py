"""TLS: right certificates work, everything else fails closed and says why."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scarseg import cli
from scarseg.pacs.receiving import Receiver, ReceiveSettings
from scarseg.simulate.write_dicom import write_series
from tests.cohorts import patient
from tests.pacs.certificates import Certificates, make_certificates, tls_proxy
from tests.pacs.orthanc import Orthanc, free_port, running_orthanc

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def encrypted(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Orthanc]:
    """Start an Orthanc that wants a client's certificate for DIMSE."""
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates.path("server.pem")),
        "DicomTlsPrivateKey": str(certificates.path("server.key")),
        "DicomTlsTrustedCertificates": str(certificates.ca),
        "DicomTlsRemoteCertificateRequired": True,
    }
    with running_orthanc(tmp_path_factory.mktemp("orthanc-tls"), settings) as server:
        yield server


def own(certificates: Certificates) -> list[str]:
    cert, key = certificates.path("client.pem"), certificates.path("client.key")
    return ["--cert", str(cert), "--key", str(key), "--timeout", "10"]


def code_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert cli.main(["pacs", *map(str, words)]) == 1
    return capsys.readouterr().err.split(":")[0]


def test_dimse_over_tls(
    encrypted: Orthanc,
    certificates: Certificates,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encrypted.clear()
    write_series(tmp_path / "p1", patient(1))
    address = encrypted.dicom.replace("dicom:", "dicoms:")
    trust = ["--ca", str(certificates.ca)]
    words = [address, *trust, *own(certificates)]
    assert cli.main(["pacs", "test", *words]) == 0
    images = str(tmp_path / "p1")
    assert cli.main(["pacs", "send", *words, images, "--images", "--new-study"]) == 0
    out = str(tmp_path / "out")
    assert cli.main(["pacs", "fetch", *words, "--study", "1.2.1", "-o", out]) == 0
    assert len(list((tmp_path / "out" / "1.2.1.1").iterdir())) == 5
    capsys.readouterr()
    began = time.monotonic()
    other = ["--ca", certificates.path("other-ca.pem")]
    assert code_of(capsys, "test", address, *other, *own(certificates)) == "E_PACS_TLS"
    assert code_of(capsys, "test", address, *own(certificates)) == "E_PACS_TLS"  # the system's CAs
    no_certificate = code_of(capsys, "test", address, *trust, "--timeout", 10)
    assert no_certificate == "E_PACS_TLS"
    plain = code_of(capsys, "test", encrypted.dicom, "--timeout", 10)
    assert plain in ("E_PACS_ABORTED", "E_PACS_TIMEOUT")
    assert time.monotonic() - began < 40


def test_plain_dimse_is_no_tls(
    orthanc: Orthanc, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    address = orthanc.dicom.replace("dicom:", "dicoms:")
    assert code_of(capsys, "test", address, "--ca", certificates.ca, "--timeout", 3) == "E_PACS_TLS"


def test_https(
    orthanc: Orthanc,
    certificates: Certificates,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_series(tmp_path / "p1", patient(1))
    orthanc.add(tmp_path / "p1")
    with tls_proxy(certificates, orthanc.web_port) as port:
        address = f"https://127.0.0.1:{port}/dicom-web"
        trust = ["--ca", str(certificates.ca), "--timeout", "10"]
        assert cli.main(["pacs", "test", address, *trust]) == 0
        out = str(tmp_path / "out")
        assert cli.main(["pacs", "fetch", address, *trust, "--study", "1.2.1", "-o", out]) == 0
        assert len(list((tmp_path / "out" / "1.2.1.1").iterdir())) == 5
        capsys.readouterr()
        assert code_of(capsys, "test", address, "--timeout", 10) == "E_PACS_TLS"
        plain = address.replace("https:", "http:")
        assert code_of(capsys, "test", plain, "--timeout", 3).startswith("E_PACS_")
    with tls_proxy(certificates, orthanc.web_port, "elsewhere") as port:
        address = f"https://127.0.0.1:{port}/dicom-web"
        assert code_of(capsys, "test", address, *trust) == "E_PACS_TLS"  # another host's name


def test_receiving_over_tls_wants_a_certificate(
    certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    settings = ReceiveSettings(
        tmp_path / "in",
        port=port,
        ca=certificates.ca,
        cert=certificates.path("server.pem"),
        key=certificates.path("server.key"),
    )
    receiver = Receiver(settings, lambda _: None, lambda _: None)
    receiver.start()
    try:
        address = f"dicoms://SCARSEG@127.0.0.1:{port}"
        trust = ["--ca", certificates.ca]
        silent = socket.create_connection(("127.0.0.1", port))
        # A silent caller keeps nobody waiting for long.
        # C-ECHO is answered, which a stranger does not reach; a storage SCP has no C-FIND.
        assert code_of(capsys, "test", address, *trust, *own(certificates)) == "E_PACS_REFUSED"
        assert code_of(capsys, "test", address, *trust, "--timeout", 5) == "E_PACS_TLS"
        silent.close()
    finally:
        receiver.stop()
