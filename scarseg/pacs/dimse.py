"""An archive spoken to by DIMSE: C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE with pynetdicom.

The status of a C-GET or C-MOVE is never believed: the caller counts what arrived.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association

from scarseg.errors import PacsError
from scarseg.pacs.addresses import Server
from scarseg.pacs.archive import (
    IMAGE_TAGS,
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
from scarseg.pacs.associations import MAX_CONTEXTS, PENDING, Caller
from scarseg.pacs.dimse_retrieval import Retrieval
from scarseg.pacs.instances import UNREADABLE, parsed, raw_text
from scarseg.progress import Progress, silent

VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
"""SOP classes: verification, and the search of the Study Root information model."""
_STUDY, _SERIES = STUDY_TAGS["study_uid"], SERIES_TAGS["series_uid"]
_UIDS_AT_A_TIME = 500


class DimseArchive:
    """An archive spoken to by DIMSE; see :class:`scarseg.pacs.archive.Archive`."""

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
        self._find(_identifier("STUDY", {_STUDY: "1.2.3.4.5.6.7.8.9.0"}), MAX_STUDIES)
        return f"{self.server.name} answers to {self.server.ae_title}: C-ECHO and C-FIND."

    def find_studies(self, query: Query) -> list[ArchivedStudy]:
        """Search studies by C-FIND."""
        check_query(query)
        asked = {**dict.fromkeys(STUDY_TAGS.values(), ""), **search_values(query)}
        rows = self._find(_identifier("STUDY", asked), MAX_STUDIES)
        studies = [read_study(partial(raw_text, row)) for row in rows]
        return [one for one in studies if study_matches(one, query, by_name=False)]

    def find_series(self, study_uid: str) -> list[ArchivedSeries]:
        """List the series of a study by C-FIND."""
        asked = {_STUDY: study_uid, **dict.fromkeys(SERIES_TAGS.values(), "")}
        rows = self._find(_identifier("SERIES", asked), MAX_SERIES)
        return [read_series(study_uid, partial(raw_text, row)) for row in rows]

    def find_images(self, study_uid: str, series_uid: str) -> list[ArchivedImage]:
        """List the instances of a series by C-FIND."""
        asked = {_STUDY: study_uid, _SERIES: series_uid, **dict.fromkeys(IMAGE_TAGS.values(), "")}
        rows = self._find(_identifier("IMAGE", asked), MAX_IMAGES)
        return [read_listed_image(partial(raw_text, row)) for row in rows]

    def retrieve(
        self,
        study_uid: str,
        series_uid: str,
        images: Sequence[ArchivedImage],
        whole: bool,
        store: Store,
        progress: Progress = silent,
    ) -> str:
        """Retrieve instances by C-GET or C-MOVE."""
        asked = {_STUDY: study_uid, _SERIES: series_uid}
        if whole:
            requests = [_identifier("SERIES", asked)]
        else:
            uids = [one.sop_uid for one in images]
            parts = [uids[k : k + _UIDS_AT_A_TIME] for k in range(0, len(uids), _UIDS_AT_A_TIME)]
            requests = [
                _identifier("IMAGE", {**asked, IMAGE_TAGS["sop_uid"]: "\\".join(part)})
                for part in parts
            ]
        retrieval = Retrieval(self.server, self._caller, images, store, progress)
        outcome = ""
        for request in requests:
            outcome = retrieval.run(request) or outcome
        return outcome

    def open_for_sending(self, classes: Collection[tuple[str, str]]) -> None:
        """Open an association for these SOP classes, each with implicit VR as second choice."""
        contexts = [
            build_context(sop_class, syntax)
            for sop_class, own in sorted(set(classes))
            for syntax in dict.fromkeys((own, ImplicitVRLittleEndian))
        ]
        self.close()
        self._sending = self._caller.associate(contexts[:MAX_CONTEXTS], "C-STORE")

    def send(self, instance: Instance) -> str:
        """Send one instance by C-STORE."""
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
                if code in PENDING:
                    if row is None:
                        raise PacsError(
                            "E_PACS_ANSWER",
                            "The archive answered C-FIND with something else.",
                        )
                    found.append(row)
                    if len(found) > most:
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


def _identifier(level: str, values: Mapping[int, str]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    if any(not value.isascii() for value in values.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for tag, value in values.items():
        identifier.add_new(tag, dictionary_VR(tag), value)
    return identifier


def _read(instance: Instance) -> Dataset:
    try:
        return parsed(instance.data)
    except UNREADABLE:
        raise PacsError(
            "E_INPUT_UNREADABLE", f"Instance {instance.sop_uid} cannot be read."
        ) from None
