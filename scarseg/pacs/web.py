"""An archive spoken to by DICOMweb (QIDO-RS, WADO-RS, STOW-RS) with dicomweb-client.

Some servers (Orthanc among them) match percent-encoded values with nothing, without a word. So
only safe characters and wildcards are sent, unencoded: anything else in a search becomes ``*``,
and the answers are filtered here.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.datadict import keyword_for_tag
from requests.adapters import HTTPAdapter

from scarseg.errors import PacsError, ScarsegError
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import (
    MAX_IMAGES,
    MAX_SERIES,
    MAX_STUDIES,
    SERIES_TAGS,
    STUDY_TAGS,
    ArchivedImage,
    ArchivedSeries,
    ArchivedStudy,
    Instance,
    Query,
    Store,
    check_query,
    read_listed_image,
    read_series,
    read_study,
    search_values,
    study_matches,
    too_many,
)
from scarseg.pacs.instances import UNREADABLE, parsed
from scarseg.pacs.stalls import StallWatch
from scarseg.pacs.tls import client_context, reason_of
from scarseg.progress import Progress, silent

# At lower levels they log addresses, and with them the names that were searched for.
for _name in ("dicomweb_client", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

Row = Mapping[str, Any]
_UNSAFE = re.compile(r"[^A-Za-z0-9._*?,-]+")
_WADO = (("application/dicom", "*"),)
_PAGE = 1000
_STUDY_FIELDS = [f"{tag:08X}" for tag in STUDY_TAGS.values()]
_SERIES_FIELDS = [f"{tag:08X}" for tag in SERIES_TAGS.values()]


class WebArchive:
    """An archive spoken to by DICOMweb; see :class:`scarseg.pacs.archive.Archive`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        session = requests.Session()
        # No proxy, certificate or password from the environment, no redirect to another place.
        session.trust_env = False
        session.max_redirects = 0
        session.hooks["response"].append(_refuse_cut_heads)
        self._watch = StallWatch(server.timeout_s)
        session.mount(f"{server.scheme}://", _Adapter(server, self._watch))
        session.verify = True if server.ca is None else str(server.ca)
        if server.user:
            session.auth = (server.user, server.password())
        self._session = session
        self._client = DICOMwebClient(
            server.address, session=session, timeout=server.timeout_s, permissive_uid=True
        )
        self._client.set_http_retry_params(retry=False)

    def test(self) -> str:
        """Return a sentence on a search for a study that does not exist."""
        with self._errors("QIDO-RS"):
            self._client.search_for_studies(
                search_filters={"StudyInstanceUID": "1.2.3.4.5.6.7.8.9.0"}, limit=1
            )
        return f"{self.server.name} answers: QIDO-RS."

    def find_studies(self, query: Query) -> list[ArchivedStudy]:
        """Search studies by QIDO-RS."""
        check_query(query)
        filters = {
            keyword_for_tag(tag): _searchable(value)
            for tag, value in search_values(query).items()
            if value
        }
        # Trailing components of a name are often there, and just as often not.
        if query.patient_name and not filters["PatientName"].endswith("*"):
            filters["PatientName"] += "*"
        studies = []
        for row in self._pages(
            MAX_STUDIES,
            lambda offset: self._client.search_for_studies(
                search_filters=filters, fields=_STUDY_FIELDS, limit=_PAGE, offset=offset
            ),
        ):
            study = read_study(partial(_text, row))
            if study_matches(study, query, by_name=True):
                studies.append(study)
        return studies

    def find_series(self, study_uid: str) -> list[ArchivedSeries]:
        """List the series of a study by QIDO-RS."""
        rows = self._pages(
            MAX_SERIES,
            lambda offset: self._client.search_for_series(
                study_uid, fields=_SERIES_FIELDS, limit=_PAGE, offset=offset
            ),
        )
        return [read_series(study_uid, partial(_text, row)) for row in rows]

    def find_images(self, study_uid: str, series_uid: str) -> list[ArchivedImage]:
        """List the instances of a series by QIDO-RS."""
        rows = self._pages(
            MAX_IMAGES,
            lambda offset: self._client.search_for_instances(
                study_uid, series_uid, limit=_PAGE, offset=offset
            ),
        )
        return [read_listed_image(partial(_text, row)) for row in rows]

    def retrieve(
        self,
        study_uid: str,
        series_uid: str,
        images: Sequence[ArchivedImage],
        whole: bool,
        store: Store,
        progress: Progress = silent,
    ) -> str:
        """Retrieve instances by WADO-RS."""
        try:
            with self._errors("WADO-RS"):
                if whole:
                    parts = self._client.iter_series(study_uid, series_uid, media_types=_WADO)
                    for dataset in parts:
                        progress(0.0, "")
                        store(dataset)
                    return ""
                for image in images:
                    progress(0.0, "")
                    one = self._client.retrieve_instance(
                        study_uid, series_uid, image.sop_uid, media_types=_WADO
                    )
                    store(one)
        except PacsError as error:
            if error.code in ("E_PACS_ABORTED", "E_PACS_TIMEOUT", "E_PACS_UNREACHABLE"):
                return error.message
            raise
        return ""

    def open_for_sending(self, classes: Collection[tuple[str, str]]) -> None:
        """Do nothing: every instance is a request of its own."""

    def send(self, instance: Instance) -> str:
        """Send one instance by STOW-RS."""
        try:
            with self._errors("STOW-RS"):
                answer = self._client.store_instances(
                    [parsed(instance.data)], study_instance_uid=instance.study_uid
                )
        except PacsError as error:
            if error.code == "E_PACS_REFUSED":
                return error.message
            raise
        failed = answer.get("FailedSOPSequence") or []
        for item in failed:
            return f"status 0x{int(item.get('FailureReason', 0)):04X}"
        return ""

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _pages(self, most: int, search: Any) -> Iterator[Row]:
        """Yield all rows of an answer; a server may return fewer than there are at a time.

        Raises:
            PacsError: E_PACS_ANSWER, without end.
        """
        n = 0
        seen: set[str] = set()
        while True:
            with self._errors("QIDO-RS"):
                rows = cast("list[Row]", search(n))
            new = [row for row in rows if repr(sorted(row.items())) not in seen]
            seen.update(repr(sorted(row.items())) for row in rows)
            yield from new
            n += len(rows)
            if n > most:
                raise too_many(most)
            # A server that knows no offset repeats its answer.
            if not new:
                return

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn what the libraries raise into PacsError, without the address that was asked for."""
        server = self.server
        where = f"{server.host}, port {server.port}"
        try:
            with self._watch.watching(), self._stalls_named(what):
                yield
        except requests.exceptions.HTTPError as error:
            raise self._http_error(error, what) from None
        except requests.exceptions.SSLError as error:
            raise PacsError(
                "E_PACS_TLS", f"No encrypted connection to {where}: {_ssl_reason(error)}."
            ) from None
        except requests.exceptions.Timeout:
            raise PacsError(
                "E_PACS_TIMEOUT", f"{where} did not answer {what} within {server.timeout_s:g} s."
            ) from None
        except requests.exceptions.TooManyRedirects:
            raise PacsError(
                "E_PACS_REFUSED",
                f"{where} redirects {what}; that is not followed.",
            ) from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise PacsError("E_PACS_ABORTED", f"{where} ended {what} half-way.") from None
        except requests.exceptions.ConnectionError as error:
            raise self._connection_error(error, what) from None
        except requests.exceptions.RequestException as error:
            raise PacsError(
                "E_PACS_ANSWER",
                f"{where} answered {what} with something else ({type(error).__name__}).",
            ) from None
        except UNREADABLE as error:
            raise PacsError(
                "E_PACS_ANSWER",
                f"{where} answered {what} with something else ({type(error).__name__}).",
            ) from None

    @contextmanager
    def _stalls_named(self, what: str) -> Iterator[None]:
        """Raise a timeout for whatever comes of a connection that was shut down.

        An answer cut within its head looks like one without a body.
        """
        try:
            yield
        except Exception as error:
            if not self._watch.stalled or isinstance(error, ScarsegError):
                raise
            raise requests.exceptions.Timeout(what) from error
        if self._watch.stalled:
            raise requests.exceptions.Timeout(what)

    def _http_error(self, error: requests.exceptions.HTTPError, what: str) -> PacsError:
        status = 0 if error.response is None else error.response.status_code
        name = self.server.name
        if status in (401, 403):
            remedy = "user and password_env" if status == 401 else "the rights of this user"
            return PacsError("E_PACS_AUTH", f"{name} refused {what} ({status}); check {remedy}.")
        if status == 404:
            return PacsError("E_PACS_NOT_FOUND", f"{name} has no such thing, or no {what} (404).")
        return PacsError("E_PACS_REFUSED", f"{name} refused {what} with status {status}.")

    def _connection_error(self, error: BaseException, what: str) -> PacsError:
        where = f"{self.server.host}, port {self.server.port}"
        if "timed out" in str(error).lower():
            return PacsError(
                "E_PACS_TIMEOUT",
                f"{where} did not answer {what} within {self.server.timeout_s:g} s.",
            )
        text = str(error)
        if any(word in text for word in ("NewConnectionError", "NameResolutionError", "refused")):
            return PacsError("E_PACS_UNREACHABLE", f"{where} cannot be reached.")
        return PacsError("E_PACS_ABORTED", f"{where} ended the connection during {what}.")


class _Adapter(HTTPAdapter):
    """Connections with our TLS settings that are watched, and wildcards sent as they are."""

    def __init__(self, server: Server, watch: StallWatch) -> None:
        self._watch = watch
        self._tls = client_context(server) if server.is_encrypted else None
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        if self._tls is not None:
            options["ssl_context"] = self._tls
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._watch.pool_classes()

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> Any:
        if request.url:
            for encoded, plain in (("%2A", "*"), ("%3F", "?"), ("%2C", ",")):
                request.url = request.url.replace(encoded, plain)
        body = request.body
        self._watch.expect(len(body) if isinstance(body, bytes | str) else 0)
        response = super().send(request, *rest, **options)
        self._watch.follow(response.raw)
        return response


def _refuse_cut_heads(response: requests.Response, **_: Any) -> None:
    """Raise an error for an answer cut within its head, which looks like "nothing found"."""
    named = [name in response.headers for name in ("Content-Length", "Content-Type")]
    if response.status_code == requests.codes.ok and not any(named):
        raise requests.exceptions.ChunkedEncodingError("the head of the answer was cut")


def _searchable(text: str) -> str:
    return re.sub(r"\*+", "*", _UNSAFE.sub("*", text))


def _ssl_reason(error: BaseException) -> str:
    """Return the reason within the errors that requests and urllib3 wrap round each other."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            break
        if isinstance(seen, ssl.SSLError):
            return reason_of(seen)
        inner = getattr(seen, "reason", None)
        arguments = [one for one in seen.args if isinstance(one, BaseException)]
        seen = inner if isinstance(inner, BaseException) else next(iter(arguments), None)
    return "the handshake failed"


def _text(row: Row, tag: int) -> str:
    """Return the values of an element of DICOM JSON as text, with backslashes between."""
    element = row.get(f"{tag:08X}")
    found = element.get("Value") if isinstance(element, Mapping) else None
    parts = []
    for value in found if isinstance(found, list) else ():
        name = value.get("Alphabetic", "") if isinstance(value, Mapping) else value
        parts.append("" if name is None else str(name))
    return "\\".join(parts).strip("\0 ")
