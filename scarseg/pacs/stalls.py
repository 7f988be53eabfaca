"""End an HTTP connection that trickles: a timeout of requests begins anew with every byte.

A server that sends a byte now and then would hold a request for ever, in the TLS handshake, in
the head of its answer or in the body. A thread looks after every timeout whether the body has
grown enough, and otherwise shuts the connection down under the request.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

SLOWEST_BYTES_PER_S = 1024
"""An answer that comes more slowly than this over a whole timeout is none."""
SLOWEST_UPLOAD_BYTES_PER_S = 100 * 1024
"""Sending cannot be observed: so much longer than the timeout may it take."""


class StallWatch:
    """Shut down the connections of one session when a request stalls.

    Connections are kept by a second descriptor of their sockets, since TLS takes over the first
    one, and an answer may outlive its connection object.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.stalled = False
        self._spares: list[tuple[Any, socket.socket]] = []
        self._timer: threading.Timer | None = None
        self._body: Any = None
        self._n_before = 0
        weakref.finalize(self, _close_all, self._spares)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the requests made within."""
        self.stalled = False
        self.expect()
        try:
            yield
        finally:
            self._disarm()
            self._body = None
            for one in [one for one in self._spares if one[0].sock is None]:
                one[1].close()
                self._spares.remove(one)

    def expect(self, n_upload_bytes: int = 0) -> None:
        """Begin to wait for the answer of a request with a body of so many bytes."""
        self._body, self._n_before = None, 0
        self._arm(self.timeout_s + n_upload_bytes / SLOWEST_UPLOAD_BYTES_PER_S)

    def follow(self, body: Any) -> None:
        """Watch the body of an answer, whose ``tell()`` counts the bytes that have come."""
        self._body, self._n_before = body, 0
        self._arm(self.timeout_s)

    def pool_classes(self) -> dict[str, Any]:
        """Return classes of connection pools whose connections are watched."""
        return {
            "http": _pool_class(HTTPConnectionPool, HTTPConnection, self),
            "https": _pool_class(HTTPSConnectionPool, HTTPSConnection, self),
        }

    def add(self, connection: Any, spare: socket.socket) -> None:
        """Keep a descriptor of the socket of a new connection."""
        self._spares.append((connection, spare))

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = threading.Timer(seconds, self._check_progress)
        self._timer.daemon = True
        self._timer.start()

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _check_progress(self) -> None:
        """Shut down what stalls; runs in the timer's thread."""
        n = 0 if self._body is None else self._body.tell()
        if n - self._n_before >= SLOWEST_BYTES_PER_S * self.timeout_s:
            self._n_before = n
            self._arm(self.timeout_s)
            return
        self.stalled = True
        for _, spare in list(self._spares):
            with contextlib.suppress(OSError):  # closed by the other side already
                spare.shutdown(socket.SHUT_RDWR)


def _pool_class(pool: Any, connection: Any, watch: StallWatch) -> Any:
    kept = weakref.ref(watch)

    class Watched(connection):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()
            if (found := kept()) is not None:
                found.add(self, opened.dup())
            return opened

    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": Watched})


def _close_all(spares: list[tuple[Any, socket.socket]]) -> None:
    for _, spare in spares:
        spare.close()
    spares.clear()
