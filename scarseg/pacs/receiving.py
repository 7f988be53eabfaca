"""A storage SCP: the workstation as a destination that scanners and archives can send to.

States of a series that arrives:

1. open: an association that brought images of it has neither ended nor been cut.
2. cut: such an association was aborted, or this program was killed; the series waits until
   another association brings images of it and is released. A marker in the hidden folder keeps
   this over a restart.
3. settling: all were released. Archives send one study over several associations, so "released"
   is not "complete": the series waits until no image has come for a while.
4. shown: the hidden folder is renamed to ``SERIES_UID``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
from pynetdicom import AE, evt

from scarseg.errors import OutputError, PacsError
from scarseg.pacs.addresses import DEFAULT_AE_TITLE, DEFAULT_STORAGE_PORT
from scarseg.pacs.archive import is_uid
from scarseg.pacs.associations import abort_association, event_bytes, listen, storage_contexts
from scarseg.pacs.folders import PARTIAL, SeriesFolder, make_folder
from scarseg.pacs.instances import Identity, normalised
from scarseg.pacs.tls import server_context

DEFAULT_SETTLE_S = 5.0
LOOPBACK = "127.0.0.1"
_VERIFICATION = "1.2.840.10008.1.1"
_MARKER = ".open"
_LOCK = ".receiving.lock"
_POLL_S = 0.1
_IDLE_S = 60.0
_MAX_ASSOCIATIONS = 16
_STORED, _OUT_OF_RESOURCES, _NO_MATCH, _CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000


@dataclass(frozen=True)
class ReceiveSettings:
    """Where to listen, and whom to."""

    folder: Path
    host: str = LOOPBACK
    port: int = DEFAULT_STORAGE_PORT
    ae_title: str = DEFAULT_AE_TITLE
    allowed: tuple[str, ...] = ()
    """AE titles that may send; empty for any."""
    settle_s: float = DEFAULT_SETTLE_S
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class ReceivedSeries:
    """A series that is shown now."""

    series_uid: str
    path: Path
    n_images: int


@dataclass
class _Arriving:
    """A series that is not shown yet; ``open`` has the last image's time of each association.

    A release makes good the cuts of all associations whose last image came before its own, in
    whatever order the ends are noticed.
    """

    place: SeriesFolder
    last_image: float
    open: dict[int, float] = field(default_factory=dict)
    cut_at: float | None = None
    released_at: float | None = None
    identity: Identity | None = None

    @property
    def is_cut(self) -> bool:
        """Return whether images may be missing after a cut."""
        if self.cut_at is None:
            return False
        return self.released_at is None or self.released_at < self.cut_at

    def end(self, association: int, released: bool) -> None:
        """Note the end of an association, if it is open."""
        last = self.open.pop(association, None)
        if last is None:
            return
        if released:
            self.released_at = max(last, self.released_at or last)
        else:
            self.cut_at = max(last, self.cut_at or last)
        if not self.open and not self.is_cut:
            self.marker.unlink(missing_ok=True)

    @property
    def marker(self) -> Path:
        """Path of the file that is there while the series is open or cut."""
        return self.place.partial / _MARKER


class Receiver:
    """A storage SCP with its folder; :meth:`start` and :meth:`stop` once each."""

    def __init__(
        self,
        settings: ReceiveSettings,
        shown: Callable[[ReceivedSeries], None],
        failed: Callable[[PacsError | OutputError], None],
    ) -> None:
        """Prepare to receive; nothing is opened yet.

        Args:
            shown: called in a thread of the receiver for every series that is shown.
            failed: called there when a series cannot be shown.
        """
        self._settings = settings
        self._shown, self._failed = shown, failed
        self._series: dict[str, _Arriving] = {}
        self._guard = threading.RLock()
        self._ended = threading.Event()
        self._server: Any = None
        self._settling = threading.Thread(target=self._settle, name="settling", daemon=True)
        self._lock = filelock.FileLock(settings.folder / _LOCK, timeout=0, mode=0o600)
        self._sockets: dict[int, Any] = {}

    def start(self) -> None:
        """Listen; go on with what was left from before.

        Raises:
            PacsError: E_PACS_PORT, E_PACS_CONFIG.
            OutputError: E_WRITE; E_EXISTS, another program receives to this folder.
        """
        settings = self._settings
        self._take_folder()
        try:
            self._resume()
            entity = AE(ae_title=settings.ae_title)
            entity.supported_contexts = storage_contexts()
            entity.add_supported_context(_VERIFICATION)
            entity.require_called_aet = True
            entity.require_calling_aet = list(settings.allowed)
            entity.maximum_associations = _MAX_ASSOCIATIONS
            entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _IDLE_S
            handlers: list[Any] = [
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_RELEASED, self._released),
                (evt.EVT_ABORTED, self._aborted),
                (evt.EVT_CONN_OPEN, self._opened),
                (evt.EVT_CONN_CLOSE, self._closed),
            ]
            tls = None
            if settings.cert is not None:
                tls = server_context(settings.ca, settings.cert, settings.key)
            self._server = listen(entity, settings.host, settings.port, handlers, tls)
        except BaseException:
            self._lock.release()
            raise
        self._settling.start()

    def stop(self) -> None:
        """End all associations and stop; what has not settled stays hidden for the next start."""
        self._ended.set()
        if self._server is not None:
            for association in list(self._server.active_associations):
                if association.is_established:
                    abort_association(association)
            self._server.shutdown()
            self._server = None
        if self._settling.is_alive():
            self._settling.join(5.0)
        for kept in list(self._sockets.values()):
            kept.close()
        with contextlib.suppress(OSError):
            (self._settings.folder / _LOCK).unlink()
        self._lock.release()

    @property
    def n_arriving(self) -> int:
        """Number of series that are not shown yet."""
        with self._guard:
            return len(self._series)

    def _take_folder(self) -> None:
        folder = self._settings.folder
        try:
            make_folder(folder)
            self._lock.acquire()
        except filelock.Timeout:
            raise OutputError(
                "E_EXISTS", f"Another program receives to {folder}.", str(folder)
            ) from None
        except OSError as error:
            raise OutputError(
                "E_WRITE", f"Nothing can be written to {folder}: {error.strerror}.", str(folder)
            ) from error

    def _resume(self) -> None:
        for path in self._settings.folder.iterdir():
            uid = path.name[1:].removesuffix(PARTIAL)
            if path.name == f".{uid}{PARTIAL}" and is_uid(uid) and path.is_dir():
                place = SeriesFolder(self._settings.folder, uid)
                found = _Arriving(place, time.monotonic())
                if found.marker.exists():
                    found.cut_at = found.last_image
                self._series[uid] = found

    def _store(self, event: evt.Event) -> int:
        try:
            identity, data = normalised(event_bytes(event))
        except PacsError:
            return _CANNOT_UNDERSTAND
        with self._guard:
            try:
                return self._keep(id(event.assoc), identity, data)
            except (OSError, OutputError):
                return _OUT_OF_RESOURCES

    def _keep(self, association: int, identity: Identity, data: bytes) -> int:
        uid = identity.series_uid
        arriving = self._series.get(uid)
        if arriving is None:
            place = SeriesFolder(self._settings.folder, uid)
            if place.shows(identity.sop_uid, data):
                return _STORED  # sent again: nothing changes
            arriving = _Arriving(place, time.monotonic())
            place.begin()
            self._series[uid] = arriving
        known = arriving.identity or identity
        if (known.study_uid, known.patient_id) != (identity.study_uid, identity.patient_id):
            return _NO_MATCH  # one series, two patients or studies
        arriving.identity = known
        arriving.marker.touch(mode=0o600)
        arriving.open[association] = time.monotonic()
        if not arriving.place.holds(identity.sop_uid, data):
            arriving.place.write(identity.sop_uid, data)
        arriving.last_image = time.monotonic()
        return _STORED

    def _opened(self, event: evt.Event) -> None:
        kept: Any = event.assoc.dul.socket
        self._sockets[id(event.assoc)] = kept.socket

    def _released(self, event: evt.Event) -> None:
        self._end(id(event.assoc), released=True)

    def _aborted(self, event: evt.Event) -> None:
        self._end(id(event.assoc))

    def _closed(self, event: evt.Event) -> None:
        self._end(id(event.assoc))
        if (kept := self._sockets.pop(id(event.assoc), None)) is not None:
            kept.close()

    def _end(self, association: int, released: bool = False) -> None:
        with self._guard:
            for arriving in self._series.values():
                arriving.end(association, released)

    def _settle(self) -> None:
        while not self._ended.wait(_POLL_S):
            with self._guard:
                now = time.monotonic()
                ready = [
                    uid
                    for uid, one in self._series.items()
                    if not one.is_cut
                    and not one.open
                    and now - one.last_image >= self._settings.settle_s
                ]
                for uid in ready:
                    self._show(uid, self._series.pop(uid))

    def _show(self, uid: str, arriving: _Arriving) -> None:
        place = arriving.place
        try:
            with place.locked():
                sop_uids = place.present()
                if not sop_uids:
                    place.discard()
                    return
                place.finish(sop_uids)
        except OutputError as error:
            self._failed(error)
            return
        self._shown(ReceivedSeries(uid, place.target, len(sop_uids)))
