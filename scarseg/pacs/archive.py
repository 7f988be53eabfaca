"""What an archive can do, whatever it is spoken to with; and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol, TypeAlias

from scarseg.errors import PacsError
from scarseg.pacs.addresses import Server
from scarseg.progress import Progress, silent

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_STUDIES = 5000
MAX_SERIES = 5000
MAX_IMAGES = 20_000
"""More than any heart has; a longer answer is a fault of the server."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATES = re.compile(r"[0-9]{8}|[0-9]{8}-|-[0-9]{8}|[0-9]{8}-[0-9]{8}")


@dataclass(frozen=True)
class Query:
    """What studies are searched by; empty for anything. Text may hold ``*`` and ``?``."""

    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    dates: str = ""
    """A day or range as DICOM has it: ``20240131``, ``20240101-20240131``, ``20240101-``."""
    modality: str = ""
    study_uid: str = ""


@dataclass(frozen=True)
class ArchivedStudy:
    """A study as an archive lists it. Field names are the columns of ``pacs find``."""

    patient_id: str
    patient_name: str
    study_uid: str
    study_date: str
    study_description: str
    accession_number: str
    modalities: tuple[str, ...]
    n_images: int | None


@dataclass(frozen=True)
class ArchivedSeries:
    """A series as an archive lists it. Field names are the columns of ``pacs find --series``."""

    study_uid: str
    series_uid: str
    series_number: str
    series_description: str
    modality: str
    n_images: int | None


@dataclass(frozen=True)
class ArchivedImage:
    """An instance as an archive lists it."""

    sop_uid: str
    sop_class_uid: str


@dataclass(frozen=True)
class Instance:
    """A file to send: its identity, and all its bytes."""

    sop_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax: str
    patient_id: str
    pseudonymous: bool
    kind: str
    """A word for people: SEG, SR, RTSTRUCT, PDF, picture or image."""
    data: bytes = field(repr=False)


STUDY_TAGS = {
    "patient_id": 0x00100020,
    "patient_name": 0x00100010,
    "study_uid": 0x0020000D,
    "study_date": 0x00080020,
    "study_description": 0x00081030,
    "accession_number": 0x00080050,
    "modalities": 0x00080061,
    "n_images": 0x00201208,
}
SERIES_TAGS = {
    "series_uid": 0x0020000E,
    "series_number": 0x00200011,
    "series_description": 0x0008103E,
    "modality": 0x00080060,
    "n_images": 0x00201209,
}
IMAGE_TAGS = {"sop_uid": 0x00080018, "sop_class_uid": 0x00080016}
"""Attributes that an archive is asked for at each level, by the fields that they fill."""

Store: TypeAlias = "Callable[[bytes | Dataset], None]"
"""Called with each file that arrives, as it came; raises PacsError to end the retrieval."""


class Archive(Protocol):
    """An archive. Every method may raise PacsError, and ends within the server's timeout
    of silence. Its methods are described here alone."""

    server: Server

    def test(self) -> str:
        """Return a sentence on the services that answer (C-ECHO, or a search)."""

    def find_studies(self, query: Query) -> list[ArchivedStudy]:
        """Return the studies that match.

        Raises:
            PacsError: E_PACS_CONFIG, the query makes no sense; any other of a search.
        """

    def find_series(self, study_uid: str) -> list[ArchivedSeries]:
        """Return the series of a study."""

    def find_images(self, study_uid: str, series_uid: str) -> list[ArchivedImage]:
        """Return all instances of a series."""

    def retrieve(
        self,
        study_uid: str,
        series_uid: str,
        images: Sequence[ArchivedImage],
        whole: bool,
        store: Store,
        progress: Progress = silent,
    ) -> str:
        """Retrieve instances of a series; return how it went, which proves nothing.

        Args:
            images: those to come.
            whole: they are all of the series: one request does.
            store: called in any thread, one at a time.
            progress: called by and by; may raise Cancelled.
        """

    def send(self, instance: Instance) -> str:
        """Send one instance; return how it was refused, or nothing."""

    def open_for_sending(self, classes: Collection[tuple[str, str]]) -> None:
        """Open a connection for instances of these SOP classes and transfer syntaxes."""

    def close(self) -> None:
        """Close what was opened for sending."""


def is_uid(text: str) -> bool:
    """Return whether a text is a UID, and so safe as a file name.

    Leading zeros in a component, which are against the standard, are let pass: archives hold them.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def check_uid(text: str, what: str) -> str:
    """Return a UID that a server has answered.

    Raises:
        PacsError: E_PACS_ANSWER; the text is not repeated, it may hold anything.
    """
    if not is_uid(text):
        raise PacsError(
            "E_PACS_ANSWER",
            f"The archive answered with a {what} UID that is none; it is refused.",
        )
    return text


def check_query(query: Query) -> None:
    """Raise PacsError E_PACS_CONFIG for a query that makes no sense."""
    for text in (query.patient_id, query.patient_name, query.accession_number, query.modality):
        if "\\" in text or any(ord(letter) < 32 for letter in text) or len(text) > 192:
            raise PacsError("E_PACS_CONFIG", "A search text has a backslash or is too long.")
    if query.dates and not _DATES.fullmatch(query.dates):
        raise PacsError(
            "E_PACS_CONFIG", f"{query.dates!r} is no date or range (20240131, 20240101-20240131)."
        )
    if query.study_uid and not is_uid(query.study_uid):
        raise PacsError("E_PACS_CONFIG", f"{query.study_uid!r} is no UID.")


def search_values(query: Query) -> dict[int, str]:
    """Return the values to search studies by, empty ones included, by their tags."""
    return {
        STUDY_TAGS["patient_id"]: query.patient_id,
        STUDY_TAGS["patient_name"]: query.patient_name,
        STUDY_TAGS["accession_number"]: query.accession_number,
        STUDY_TAGS["study_date"]: query.dates,
        STUDY_TAGS["modalities"]: query.modality,
        STUDY_TAGS["study_uid"]: query.study_uid,
    }


def read_study(text: Callable[[int], str]) -> ArchivedStudy:
    """Return a study of an answer; ``text`` returns the value of a tag as text.

    Raises:
        PacsError: E_PACS_ANSWER, its UID is none.
    """
    found = {name: text(tag) for name, tag in STUDY_TAGS.items()}
    return ArchivedStudy(
        patient_id=found["patient_id"],
        patient_name=found["patient_name"],
        study_uid=check_uid(found["study_uid"], "study"),
        study_date=found["study_date"],
        study_description=found["study_description"],
        accession_number=found["accession_number"],
        modalities=tuple(filter(None, found["modalities"].split("\\"))),
        n_images=count_of(found["n_images"]),
    )


def read_series(study_uid: str, text: Callable[[int], str]) -> ArchivedSeries:
    """Return a series of an answer, as :func:`read_study`."""
    found = {name: text(tag) for name, tag in SERIES_TAGS.items()}
    return ArchivedSeries(
        study_uid=study_uid,
        series_uid=check_uid(found["series_uid"], "series"),
        series_number=found["series_number"],
        series_description=found["series_description"],
        modality=found["modality"],
        n_images=count_of(found["n_images"]),
    )


def read_listed_image(text: Callable[[int], str]) -> ArchivedImage:
    """Return an instance of an answer, as :func:`read_study`."""
    uid = check_uid(text(IMAGE_TAGS["sop_uid"]), "SOP Instance")
    return ArchivedImage(uid, text(IMAGE_TAGS["sop_class_uid"]))


def matches(pattern: str, text: str) -> bool:
    """Return whether text matches a pattern with ``*`` and ``?``, upper and lower case alike.

    Trailing delimiters of a name count for nothing: ``DOE^JANE`` matches ``DOE^JANE^^``.
    """
    if not pattern:
        return True
    # Brackets mean something to fnmatch, but nothing to DICOM.
    safe = pattern.casefold().replace("[", "[[]")
    return fnmatchcase(text.casefold(), safe) or fnmatchcase(text.rstrip("^ ").casefold(), safe)


def count_of(text: str) -> int | None:
    """Return a number of images, None where the server names none."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def study_matches(study: ArchivedStudy, query: Query, by_name: bool) -> bool:
    """Return whether an answer is what was asked for: some archives answer with more.

    Args:
        by_name: compare the name as well; an archive may know other spellings of it.
    """
    return (
        matches(query.patient_id, study.patient_id)
        and matches(query.accession_number, study.accession_number)
        and (not query.study_uid or study.study_uid == query.study_uid)
        and (not by_name or matches(query.patient_name, study.patient_name))
    )


def too_many(most: int) -> PacsError:
    """Return the error of an answer without end."""
    return PacsError(
        "E_PACS_ANSWER", f"The archive answered with over {most} matches; narrow the search."
    )
