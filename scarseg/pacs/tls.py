"""Encrypted connections: certificates always checked, never a way back to a plain one."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from scarseg.errors import PacsError
from scarseg.pacs.addresses import Server

HANDSHAKE_S = 3.0
"""Most that a caller may take for its TLS handshake."""


def client_context(server: Server) -> ssl.SSLContext:
    """Return the TLS settings for a server: its CA or the system's, and our certificate.

    Raises:
        PacsError: E_PACS_CONFIG, a file is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=None if server.ca is None else str(server.ca))
        if server.cert is not None:
            # A pass phrase would be asked for on the terminal: an empty one is an error instead.
            context.load_cert_chain(server.cert, server.key, password="")
    except (OSError, ValueError) as error:
        raise PacsError(
            "E_PACS_CONFIG", f"The certificates for {server.name} cannot be used: {error}."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def server_context(ca: Path | None, cert: Path, key: Path | None) -> ssl.SSLContext:
    """Return the TLS settings of a storage SCP; with a CA, callers need a certificate of it.

    Raises:
        PacsError: E_PACS_CONFIG, a file is no certificate or key.
    """
    try:
        context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cert, key, password="")
        if ca is not None:
            context.load_verify_locations(cafile=str(ca))
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise PacsError(
            "E_PACS_CONFIG", f"The certificates to receive with cannot be used: {error}."
        ) from None
    return context


class _ServerContext(ssl.SSLContext):
    """TLS settings under which a silent caller does not keep others waiting for long."""

    def wrap_socket(self, sock: socket.socket, *rest: Any, **options: Any) -> ssl.SSLSocket:
        """Return the encrypted socket; the handshake has a limit."""
        sock.settimeout(HANDSHAKE_S)
        try:
            wrapped = super().wrap_socket(sock, *rest, **options)
        except OSError:
            sock.close()
            raise
        wrapped.settimeout(None)
        return wrapped


def reason_of(error: BaseException) -> str:
    """Return the reason of a failed handshake as a phrase."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if ("certificate" in reason and "alert" in reason) or "certificate required" in reason:
            return f"it wants another certificate of ours (cert, key): {reason}"
        if reason in ("wrong version number", "record layer failure"):
            return f"it does not speak TLS ({reason})"
        return reason
    if isinstance(error, TimeoutError):
        return "no answer to the TLS handshake"
    return str(getattr(error, "strerror", None) or error)
