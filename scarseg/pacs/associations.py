"""Associations with an archive, and storage SCPs of our own, with pynetdicom.

pynetdicom hides why an association was not made: a refused port, a certificate, silence and
garbage look alike there. So the port, and with TLS the handshake, are tried with a plain socket
first, and the answer to "why" is worked out from what happened and how long it took.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pynetdicom
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import ThreadedAssociationServer

from scarseg.errors import PacsError
from scarseg.pacs.addresses import Server
from scarseg.pacs.instances import file_bytes
from scarseg.pacs.tls import client_context, reason_of

# What pynetdicom logs holds names; and without handlers its errors would go to stderr.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
pynetdicom._config.LOG_HANDLER_LEVEL = "none"
pynetdicom._config.LOG_REQUEST_IDENTIFIERS = False
pynetdicom._config.LOG_RESPONSE_IDENTIFIERS = False

TRANSFER_SYNTAXES: tuple[UID, ...] = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian),
    *(DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLossless, JPEGLSLossless),
    *(JPEG2000Lossless, RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit),
    *(JPEGLSNearLossless, JPEG2000),
)
"""Transfer syntaxes that can be read here: images are kept in the one they are archived in."""


MAX_CONTEXTS = 126
"""Presentation contexts of an association at most."""
_ABORT_S = 0.5
PENDING = (0xFF00, 0xFF01)
"""Statuses of a response after which more follow."""


class Caller:
    """This program as the one that asks a server for associations."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._tls = client_context(server) if server.is_encrypted else None
        self._sockets: dict[Association, socket.socket] = {}
        self._address = ""
        """Address that was reached before; tried with a plain socket first, and after a failure."""

    @contextmanager
    def associated(
        self,
        contexts: Sequence[PresentationContext],
        what: str,
        roles: Sequence[Any] = (),
        handlers: Sequence[Any] = (),
    ) -> Iterator[Association]:
        """Yield an association; release it at the end, abort it after an error."""
        association = self.associate(contexts, what, roles, handlers)
        try:
            yield association
        except BaseException:
            self.end(association, abort=True)
            raise
        self.end(association)

    def associate(
        self,
        contexts: Sequence[PresentationContext],
        what: str,
        roles: Sequence[Any] = (),
        handlers: Sequence[Any] = (),
    ) -> Association:
        server = self.server
        if not self._address:
            self._try()
        entity = AE(ae_title=server.ae_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = server.timeout_s
        entity.connection_timeout = server.timeout_s
        began = time.monotonic()
        association = entity.associate(
            self._address,
            server.port,
            contexts=list(contexts),
            ae_title=server.called_ae_title,
            ext_neg=list(roles),
            evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, self._keep_socket)],
            tls_args=None if self._tls is None else (self._tls, server.host),
        )
        if not association.is_established:
            self.end(association)
            if not association.is_rejected:
                self._try()
            raise self._why_not(association, began, what)
        return association

    def end(self, association: Association, abort: bool = False) -> None:
        """Release an association, or abort it, and close its socket."""
        if association.is_established:
            if abort:
                abort_association(association)
            else:
                association.release()
        # pynetdicom leaves a socket open that the other side has closed first.
        if (kept := self._sockets.pop(association, None)) is not None:
            kept.close()

    def _try(self) -> None:
        with self.connection():
            pass

    def _keep_socket(self, event: evt.Event) -> None:
        kept: Any = event.assoc.dul.socket
        self._sockets[event.assoc] = kept.socket
        limit_reading(event.assoc, self.server.timeout_s)

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Yield a connection, with TLS where the address asks for it.

        Raises:
            PacsError: E_PACS_UNREACHABLE, E_PACS_TIMEOUT, E_PACS_TLS.
        """
        server = self.server
        try:
            plain = socket.create_connection((server.host, server.port), timeout=server.timeout_s)
        except TimeoutError:
            raise PacsError(
                "E_PACS_TIMEOUT",
                f"{server.host}, port {server.port} did not answer within {server.timeout_s:g} s.",
            ) from None
        except OSError as error:
            raise PacsError(
                "E_PACS_UNREACHABLE",
                f"{server.host}, port {server.port} cannot be reached: {error.strerror or error}.",
            ) from None
        with plain:
            self._address = server.host
            with contextlib.suppress(OSError):  # closed again already
                self._address = str(plain.getpeername()[0])
            if self._tls is None:
                yield plain
                return
            try:
                wrapped = self._tls.wrap_socket(plain, server_hostname=server.host)
            except (OSError, ValueError) as error:
                raise PacsError(
                    "E_PACS_TLS",
                    f"No encrypted connection to {server.host}, port {server.port}:"
                    f" {reason_of(error)}.",
                ) from None
            with wrapped:
                yield wrapped

    def _why_not(self, association: Association, began: float, what: str) -> PacsError:
        server = self.server
        if association.is_rejected:
            answer = association.acceptor.primitive
            reason = getattr(answer, "reason_str", "no reason given")
            return PacsError(
                "E_PACS_REJECTED",
                f"The archive rejected the association (called AE title {server.called_ae_title},"
                f" calling AE title {server.ae_title}): {reason}.",
            )
        if association.rejected_contexts and not association.accepted_contexts:
            return PacsError("E_PACS_REFUSED", f"The archive does not offer {what} here.")
        if time.monotonic() - began >= 0.95 * server.timeout_s:
            return PacsError(
                "E_PACS_TIMEOUT",
                f"{server.host}, port {server.port} accepted the connection, but no association"
                f" within {server.timeout_s:g} s.",
            )
        if self._tls is not None and (alert := self._tls_alert()):
            return PacsError("E_PACS_TLS", f"{server.host} refused the TLS connection: {alert}.")
        plain = "" if self._tls else " Perhaps it expects TLS (dicoms://)."
        return PacsError(
            "E_PACS_ABORTED",
            f"{server.host}, port {server.port} ended the connection before there was an"
            f" association (called AE title {server.called_ae_title}, calling AE title"
            f" {server.ae_title}).{plain}",
        )

    def _tls_alert(self) -> str:
        """Return the alert of a server that wants a client's certificate.

        With TLS 1.3 it comes after the handshake, with the first bytes that are read.
        """
        with contextlib.suppress(PacsError), self.connection() as probe:
            probe.settimeout(min(1.0, self.server.timeout_s))
            try:
                probe.recv(1)
            except ssl.SSLError as error:
                return reason_of(error)
            except OSError:
                return ""
        return ""

    def silent_or_aborted(self, began: float, what: str) -> PacsError:
        """Return the error of a message that was not answered since ``began``."""
        timeout = self.server.timeout_s
        if time.monotonic() - began >= 0.95 * timeout:
            return PacsError(
                "E_PACS_TIMEOUT", f"The archive did not answer {what} within {timeout:g} s."
            )
        return PacsError(
            "E_PACS_ABORTED",
            f"The archive ended the association during {what}; perhaps it does not know the AE"
            f" title {self.server.ae_title}.",
        )


def limit_reading(association: Association, timeout_s: float) -> None:
    """Limit the time for the bytes of one PDU to ``timeout_s``.

    pynetdicom reads a PDU without a limit once its first byte has come, and an abort waits for
    the thread that reads: a peer that sends a byte now and then would hold it for ever.
    """
    transport: Any = association.dul.socket

    def receive(n_bytes: int) -> bytearray:
        received, end = bytearray(), time.monotonic() + timeout_s
        before = transport.socket.gettimeout()
        try:
            while len(received) < n_bytes:
                transport.socket.settimeout(max(end - time.monotonic(), 0.001))
                chunk = transport.socket.recv(min(n_bytes - len(received), 4096))
                if not chunk:
                    break
                received.extend(chunk)
                if time.monotonic() > end:
                    raise TimeoutError("the rest of a PDU did not come in time")
        finally:
            with contextlib.suppress(OSError):
                transport.socket.settimeout(before)
        return received

    transport.recv = receive


def abort_association(association: Association) -> None:
    """Abort an association; a peer in the middle of a PDU is cut off after half a second."""
    opened: socket.socket | None = getattr(association.dul.socket, "socket", None)

    def cut() -> None:
        if opened is not None:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_ABORT_S, cut)
    timer.start()
    try:
        association.abort()
    finally:
        timer.cancel()


def event_bytes(event: evt.Event) -> bytes:
    """Return the file of a C-STORE request."""
    request: Any = event.request
    encoded = request.DataSet.getvalue() if request.DataSet else b""
    return file_bytes(
        encoded,
        str(request.AffectedSOPClassUID),
        str(request.AffectedSOPInstanceUID),
        str(event.context.transfer_syntax),
    )


def storage_contexts(classes: Sequence[UID] = ()) -> list[PresentationContext]:
    """Return the contexts of a storage SCP: all transfer syntaxes read here.

    Args:
        classes: SOP classes; all there are by default, which takes a while to negotiate.
    """
    every = (str(one.abstract_syntax) for one in pynetdicom.AllStoragePresentationContexts)
    return [build_context(str(one), list(TRANSFER_SYNTAXES)) for one in classes or every]


def listen(
    entity: AE,
    host: str,
    port: int,
    handlers: list[Any],
    tls: ssl.SSLContext | None,
    poll_s: float = 0.5,
) -> Any:
    """Start a server in threads of its own and return it.

    Args:
        poll_s: how long its ``shutdown`` may take.

    Raises:
        PacsError: E_PACS_PORT.
    """

    def limit(event: evt.Event) -> None:
        if (timeout_s := entity.network_timeout) is not None:
            limit_reading(event.assoc, timeout_s)

    # pynetdicom leaves its socket open where the port is in use.
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            if hasattr(socket, "SO_REUSEADDR"):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        server: Any = entity.make_server(
            (host, port),
            evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, limit)],
            ssl_context=tls,
            server_class=ThreadedAssociationServer,
        )
    except OSError as error:
        raise PacsError(
            "E_PACS_PORT",
            f"Nothing can be received on {host}, port {port}: {error.strerror or error}.",
        ) from None
    # As start_server() does, which leaves no choice of how long a shutdown takes.
    threading.Thread(target=server.serve_forever, args=(poll_s,), daemon=True).start()
    entity._servers.append(server)
    return server
