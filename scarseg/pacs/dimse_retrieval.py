"""Retrieve instances by C-GET or C-MOVE with pynetdicom.

The status of either is never believed: the caller counts what arrived.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, EnhancedMRImageStorage, MRImageStorage
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import ArchivedImage, Store
from scarseg.pacs.associations import (
    MAX_CONTEXTS,
    PENDING,
    TRANSFER_SYNTAXES,
    Caller,
    abort_association,
    event_bytes,
    listen,
    storage_contexts,
)
from scarseg.progress import Progress

MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
"""SOP classes of retrieval of the Study Root information model."""
_IMAGE_CLASSES = (MRImageStorage, EnhancedMRImageStorage, UID("1.2.840.10008.5.1.4.1.1.4.4"))
_MAX_REFUSED = 3
_OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0xA700, 0xC000
_POLL_S = 0.02
"""So long at most does it take to close the port of a C-MOVE; pynetdicom takes half a second."""
_LINGER_S = 0.5
"""So long may the archive take to release an association after its last image."""


class Retrieval:
    """The retrieval of instances of one series, in one request or several.

    Args:
        server: the archive; it says whether by C-GET or C-MOVE.
        caller: makes associations with it.
        images: the instances to come; the classes that are offered are theirs.
        store: called with each file that arrives.
        progress: called by and by; may raise Cancelled.
    """

    def __init__(
        self,
        server: Server,
        caller: Caller,
        images: Sequence[ArchivedImage],
        store: Store,
        progress: Progress,
    ) -> None:
        self.server, self._caller = server, caller
        self._classes = list(
            dict.fromkeys(UID(one.sop_class_uid) for one in images if one.sop_class_uid)
        )
        self._taking = _Taking(store, progress)

    def run(self, request: Dataset) -> str:
        """Retrieve what a request asks for; return how it ended, which proves nothing."""
        if self.server.retrieve == "move":
            return self._move(request)
        return self._get(request)

    def _get(self, request: Dataset) -> str:
        classes, taking = self._classes or list(_IMAGE_CLASSES), self._taking
        most = max(1, (MAX_CONTEXTS - 1) // len(TRANSFER_SYNTAXES))
        contexts = [build_context(GET)] + [
            build_context(one, syntax) for one in classes[:most] for syntax in TRANSFER_SYNTAXES
        ]
        roles = [build_role(one, scp_role=True) for one in classes[:most]]
        handlers = [(evt.EVT_C_STORE, taking.store_event)]
        with self._caller.associated(contexts, "C-GET", roles, handlers) as association:
            return self._follow(association.send_c_get(request, GET), association, "C-GET")

    def _move(self, request: Dataset) -> str:
        with (
            self._storage_port(),
            self._caller.associated([build_context(MOVE)], "C-MOVE") as association,
        ):
            responses = association.send_c_move(request, self.server.ae_title, MOVE)
            return self._follow(responses, association, "C-MOVE")

    @contextmanager
    def _storage_port(self) -> Iterator[None]:
        """Listen for the images of a C-MOVE, on the address this machine reaches the archive by."""
        with self._caller.connection() as probe:
            own_host = probe.getsockname()[0]
        entity = AE(ae_title=self.server.ae_title)
        entity.supported_contexts = storage_contexts(self._classes)
        entity.require_called_aet = True
        entity.maximum_associations = 8
        entity.acse_timeout = entity.dimse_timeout = self.server.timeout_s
        entity.network_timeout = self.server.timeout_s
        handlers: list[Any] = [(evt.EVT_C_STORE, self._taking.store_event)]
        self._taking.set_open(True)
        listening = listen(entity, own_host, self.server.storage_port, handlers, None, _POLL_S)
        try:
            yield
        finally:
            # Nothing is stored any more, not even by an association that lingers.
            self._taking.set_open(False)
            _end_associations(listening)
            listening.shutdown()

    def _follow(
        self,
        responses: Iterator[tuple[Dataset, Dataset | None]],
        association: Association,
        what: str,
    ) -> str:
        """Wait for the last response of a retrieval; return how it ended."""
        began = time.monotonic()
        for status, _ in responses:
            self._taking.raise_error()
            code = status.get("Status")
            if code is None:
                return self._caller.silent_or_aborted(began, what).message
            if code not in PENDING:
                return "" if code == 0 else f"{what} ended with status 0x{code:04X}"
            began = time.monotonic()
        self._taking.raise_error()
        return ""


def _end_associations(listening: Any) -> None:
    """Wait a moment for the archive to release its associations; abort those that linger."""
    end = time.monotonic() + _LINGER_S
    while listening.active_associations and time.monotonic() < end:
        time.sleep(_POLL_S / 4)
    for one in listening.active_associations:
        opened = getattr(one.dul.socket, "socket", None)
        if one.is_established:
            abort_association(one)
        one.join(_LINGER_S)
        # pynetdicom leaves a socket open that the other side has closed first.
        if opened is not None and not one.is_alive():
            opened.close()


class _Taking:
    """Images on their way in, from any thread; the first error ends the retrieval."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self._guard = threading.Lock()
        self._error: BaseException | None = None
        self._n_refused = 0
        self._is_closed = False

    def set_open(self, is_open: bool) -> None:
        """Begin to store, or end it: what is being stored is finished first."""
        with self._guard:
            self._is_closed = not is_open

    def store_event(self, event: evt.Event) -> int:
        """Store one image; return the status of the C-STORE."""
        with self._guard:
            if self._is_closed:
                return _OUT_OF_RESOURCES
            if self._error is not None:
                # Aborting here makes pynetdicom wait for an answer that cannot come: the next
                # response of the archive ends it, unless there is none.
                self._n_refused += 1
                if self._n_refused > _MAX_REFUSED:
                    event.assoc.abort()
                return _OUT_OF_RESOURCES
            try:
                self._progress(0.0, "")
                self._store(event_bytes(event))
            except BaseException as error:  # noqa: BLE001 - raised again by raise_error
                self._error = error
                return _CANNOT_UNDERSTAND
        return 0x0000

    def raise_error(self) -> None:
        """Raise what went wrong while storing, if anything did."""
        with self._guard:
            error = self._error
        if error is not None:
            raise error
        self._progress(0.0, "")
