"""Certificates for one test session, made by openssl: a CA, a server, a client, another CA."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pacs.orthanc import free_port


@dataclass(frozen=True)
class Certificates:
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def ca(self) -> Path:
        return self.path("ca.pem")


def make_certificates(folder: Path) -> Certificates:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is not installed"

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    for ca in ("ca", "other-ca"):
        run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN={ca}"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
        )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    (folder / "wrong-names").write_text("subjectAltName=DNS:elsewhere.example\n")
    for name, names in (("server", "names"), ("client", "names"), ("elsewhere", "wrong-names")):
        run(
            *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"),
            *("-out", f"{name}.csr", "-subj", f"/CN={name}"),
        )
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-out", f"{name}.pem", "-extfile", names),
        )
    return Certificates(folder)


@contextmanager
def tls_proxy(certificates: Certificates, to_port: int, name: str = "server") -> Iterator[int]:
    """Pass on what comes encrypted to a plain port; yield the encrypted port.

    Debian's Orthanc dies of the first https request, so that https needs a proxy.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path(f"{name}.pem"), certificates.path(f"{name}.key"))
    port, ending = free_port(), threading.Event()
    threads: list[threading.Thread] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        plain.settimeout(20)
        try:
            wrapped = context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with wrapped, socket.create_connection(("127.0.0.1", to_port), timeout=20) as inner:
            back = threading.Thread(target=copy, args=(inner, wrapped))
            back.start()
            copy(wrapped, inner)
            back.join()

    def accept() -> None:
        while not ending.is_set():
            try:
                opened, _ = server.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=serve, args=(opened,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.1)
        main = threading.Thread(target=accept)
        main.start()
        try:
            yield port
        finally:
            ending.set()
            main.join()
            for one in threads:
                one.join(25)
