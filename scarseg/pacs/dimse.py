"""An archive spoken to by DIMSE: C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE with pynetdicom.

The status of a C-GET or C-MOVE is never believed: the caller counts what arrived.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, EnhancedMRImageStorage, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from scarseg.errors import PacsError
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import (
    MAX_IMAGES,
    MAX_SERIES,
    MAX_STUDIES,
    ArchivedImage,
    ArchivedSeries,
    ArchivedStudy,
    Instance,
    Query,
    Store,
    check_query,
    check_uid,
    count_of,
    study_matches,
    too_many,
)
from scarseg.pacs.associations import (
    TRANSFER_SYNTAXES,
    Caller,
    event_bytes,
    listen,
    storage_contexts,
)
from scarseg.pacs.instances import UNREADABLE, parsed, raw_text
from scarseg.progress import Progress, silent

VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
"""SOP classes: verification, and the Study Root information models."""
_IMAGE_CLASSES = (MRImageStorage, EnhancedMRImageStorage, UID("1.2.840.10008.5.1.4.1.1.4.4"))
_MAX_CONTEXTS = 126
_PENDING = (0xFF00, 0xFF01)
_UIDS_AT_A_TIME = 500
_MAX_REFUSED = 3
_OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0xA700, 0xC000


class DimseArchive:
    """An archive spoken to by DIMSE."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._caller = Caller(server)
        self._sending: Association | None = None

    def test(self) -> str:
        """Return a sentence on C-ECHO and C-FIND.

        Raises:
            PacsError: the archive cannot be reached, or does not answer to this AE title.
        """
        with self._caller.associated([build_context(VERIFICATION)], "C-ECHO") as association:
            began = time.monotonic()
            status = association.send_c_echo().get("Status")
            self._check_status(status, began, "C-ECHO")
        # An archive that does not know this AE title answers C-ECHO all the same.
        self._find(_identifier("STUDY", {"StudyInstanceUID": "1.2.3.4.5.6.7.8.9.0"}), MAX_STUDIES)
        return f"{self.server.name} answers to {self.server.ae_title}: C-ECHO and C-FIND."

    def find_studies(self, query: Query) -> list[ArchivedStudy]:
        """Return the studies that match.

        Raises:
            PacsError: see :mod:`scarseg.pacs.archive`.
        """
        check_query(query)
        asked = {
            "PatientID": query.patient_id,
            "PatientName": query.patient_name,
            "AccessionNumber": query.accession_number,
            "StudyDate": query.dates,
            "ModalitiesInStudy": query.modality,
            "StudyInstanceUID": query.study_uid,
            "StudyDescription": "",
            "NumberOfStudyRelatedInstances": "",
        }
        studies = []
        for row in self._find(_identifier("STUDY", asked), MAX_STUDIES):
            modalities = tuple(filter(None, raw_text(row, 0x00080061).split("\\")))
            study = ArchivedStudy(
                patient_id=raw_text(row, 0x00100020),
                patient_name=raw_text(row, 0x00100010),
                study_uid=check_uid(raw_text(row, 0x0020000D), "study"),
                study_date=raw_text(row, 0x00080020),
                study_description=raw_text(row, 0x00081030),
                accession_number=raw_text(row, 0x00080050),
                modalities=modalities,
                n_images=count_of(raw_text(row, 0x00201208)),
            )
            if study_matches(study, query, by_name=False):
                studies.append(study)
        return studies

    def find_series(self, study_uid: str) -> list[ArchivedSeries]:
        """Return the series of a study."""
        asked = {
            "StudyInstanceUID": study_uid,
            "SeriesInstanceUID": "",
            "SeriesNumber": "",
            "SeriesDescription": "",
            "Modality": "",
            "NumberOfSeriesRelatedInstances": "",
        }
        return [
            ArchivedSeries(
                study_uid=study_uid,
                series_uid=check_uid(raw_text(row, 0x0020000E), "series"),
                series_number=raw_text(row, 0x00200011),
                series_description=raw_text(row, 0x0008103E),
                modality=raw_text(row, 0x00080060),
                n_images=count_of(raw_text(row, 0x00201209)),
            )
            for row in self._find(_identifier("SERIES", asked), MAX_SERIES)
        ]

    def find_images(self, study_uid: str, series_uid: str) -> list[ArchivedImage]:
        """Return all instances of a series."""
        asked = {
            "StudyInstanceUID": study_uid,
            "SeriesInstanceUID": series_uid,
            "SOPInstanceUID": "",
            "SOPClassUID": "",
        }
        return [
            ArchivedImage(
                check_uid(raw_text(row, 0x00080018), "SOP Instance"), raw_text(row, 0x00080016)
            )
            for row in self._find(_identifier("IMAGE", asked), MAX_IMAGES)
        ]

    def retrieve(
        self,
        study_uid: str,
        series_uid: str,
        images: Sequence[ArchivedImage],
        whole: bool,
        store: Store,
        progress: Progress = silent,
    ) -> str:
        """Retrieve instances by C-GET or C-MOVE; see :class:`scarseg.pacs.archive.Archive`."""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        if whole:
            requests = [_identifier("SERIES", asked)]
        else:
            uids = [one.sop_uid for one in images]
            parts = [uids[k : k + _UIDS_AT_A_TIME] for k in range(0, len(uids), _UIDS_AT_A_TIME)]
            requests = [
                _identifier("IMAGE", {**asked, "SOPInstanceUID": "\\".join(part)}) for part in parts
            ]
        taking = _Taking(store, progress)
        outcome = ""
        for request in requests:
            if self.server.retrieve == "move":
                outcome = self._move(request, taking) or outcome
            else:
                outcome = self._get(request, images, taking) or outcome
        return outcome

    def open_for_sending(self, classes: Collection[tuple[str, str]]) -> None:
        """Open an association for these SOP classes, each with implicit VR as second choice."""
        contexts = [
            build_context(sop_class, syntax)
            for sop_class, own in sorted(set(classes))
            for syntax in dict.fromkeys((own, ImplicitVRLittleEndian))
        ]
        self.close()
        self._sending = self._caller.associate(contexts[:_MAX_CONTEXTS], "C-STORE")

    def send(self, instance: Instance) -> str:
        """Send one instance by C-STORE; return how it was refused, or nothing.

        Raises:
            PacsError: E_PACS_ABORTED or E_PACS_TIMEOUT.
        """
        association = self._sending
        if association is None or not association.is_established:
            self.open_for_sending([(instance.sop_class_uid, instance.transfer_syntax)])
            association = self._sending
        assert association is not None
        accepted = {
            (str(one.abstract_syntax), str(one.transfer_syntax[0]))
            for one in association.accepted_contexts
        }
        own = (instance.sop_class_uid, instance.transfer_syntax)
        if own not in accepted and (own[0], str(ImplicitVRLittleEndian)) not in accepted:
            return "the archive takes no instances of this class"
        began = time.monotonic()
        try:
            # pynetdicom converts to implicit VR where that alone was accepted.
            status = association.send_c_store(_read(instance)).get("Status")
        except ValueError:
            return "the archive takes no instances of this class in this transfer syntax"
        if status is None:
            self._sending = None
            self._caller.end(association, abort=True)
            raise self._caller.silent_or_aborted(began, "C-STORE")
        warned = status in (0xB000, 0xB006, 0xB007)
        return "" if status == 0 or warned else f"status 0x{status:04X}"

    def close(self) -> None:
        """Release the association of :meth:`open_for_sending`."""
        association, self._sending = self._sending, None
        if association is not None:
            self._caller.end(association)

    def _get(self, request: Dataset, images: Sequence[ArchivedImage], taking: _Taking) -> str:
        classes = _classes_of(images)
        most = max(1, (_MAX_CONTEXTS - 1) // len(TRANSFER_SYNTAXES))
        contexts = [build_context(GET)] + [
            build_context(one, syntax) for one in classes[:most] for syntax in TRANSFER_SYNTAXES
        ]
        roles = [build_role(one, scp_role=True) for one in classes[:most]]
        handlers = [(evt.EVT_C_STORE, taking.store_event)]
        with self._caller.associated(contexts, "C-GET", roles, handlers) as association:
            return self._follow(association.send_c_get(request, GET), association, taking, "C-GET")

    def _move(self, request: Dataset, taking: _Taking) -> str:
        with (
            self._storage_port(taking),
            self._caller.associated([build_context(MOVE)], "C-MOVE") as association,
        ):
            responses = association.send_c_move(request, self.server.ae_title, MOVE)
            return self._follow(responses, association, taking, "C-MOVE")

    @contextmanager
    def _storage_port(self, taking: _Taking) -> Iterator[None]:
        """Listen for the images of a C-MOVE, on the address this machine reaches the archive by."""
        with self._caller.connection() as probe:
            own_host = probe.getsockname()[0]
        entity = AE(ae_title=self.server.ae_title)
        entity.supported_contexts = storage_contexts()
        entity.require_called_aet = True
        entity.maximum_associations = 8
        entity.acse_timeout = entity.dimse_timeout = self.server.timeout_s
        entity.network_timeout = self.server.timeout_s
        handlers: list[Any] = [(evt.EVT_C_STORE, taking.store_event)]
        taking.set_open(True)
        listening = listen(entity, own_host, self.server.storage_port, handlers, None)
        try:
            yield
        finally:
            # Nothing is stored any more, not even by an association that lingers.
            taking.set_open(False)
            for one in listening.active_associations:
                if one.is_established:
                    one.abort()
            listening.shutdown()

    def _follow(
        self,
        responses: Iterator[tuple[Dataset, Dataset | None]],
        association: Association,
        taking: _Taking,
        what: str,
    ) -> str:
        """Wait for the last response of a retrieval; return how it ended."""
        began = time.monotonic()
        for status, _ in responses:
            taking.raise_error(association)
            code = status.get("Status")
            if code is None:
                return self._caller.silent_or_aborted(began, what).message
            if code not in _PENDING:
                return "" if code == 0 else f"{what} ended with status 0x{code:04X}"
            began = time.monotonic()
        taking.raise_error(association)
        return ""

    def _find(self, identifier: Dataset, most: int) -> list[Dataset]:
        """Return the identifiers of all responses, the first ``most`` and no more.

        Raises:
            PacsError: E_PACS_ANSWER, there are more; E_PACS_REFUSED, a status of failure.
        """
        found: list[Dataset] = []
        with self._caller.associated([build_context(FIND)], "C-FIND") as association:
            began = time.monotonic()
            for status, row in association.send_c_find(identifier, FIND):
                code = status.get("Status")
                if code in _PENDING:
                    if row is None:
                        association.abort()
                        raise PacsError(
                            "E_PACS_ANSWER",
                            "The archive answered C-FIND with something else.",
                        )
                    found.append(row)
                    if len(found) > most:
                        association.abort()
                        raise too_many(most)
                    began = time.monotonic()
                    continue
                self._check_status(code, began, "C-FIND")
        return found

    def _check_status(self, code: int | None, began: float, what: str) -> None:
        if code is None:
            raise self._caller.silent_or_aborted(began, what)
        if code != 0:
            raise PacsError(
                "E_PACS_REFUSED", f"The archive refused {what} with status 0x{code:04X}."
            )


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

    def raise_error(self, association: Association) -> None:
        """Abort the association and raise what went wrong while storing, if anything did."""
        with self._guard:
            error = self._error
        if error is not None:
            if association.is_established:
                association.abort()
            raise error
        self._progress(0.0, "")


def _classes_of(images: Iterable[ArchivedImage]) -> list[UID]:
    named = dict.fromkeys(UID(one.sop_class_uid) for one in images if one.sop_class_uid)
    return list(named) or list(_IMAGE_CLASSES)


def _identifier(level: str, values: dict[str, str]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    if any(not value.isascii() for value in values.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def _read(instance: Instance) -> Dataset:
    try:
        return parsed(instance.data)
    except UNREADABLE:
        raise PacsError(
            "E_INPUT_UNREADABLE", f"Instance {instance.sop_uid} cannot be read."
        ) from None
