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


Store: TypeAlias = "Callable[[bytes | Dataset], None]"
"""Called with each file that arrives, as it came; raises PacsError to end the retrieval."""


class Archive(Protocol):
    """An archive. Every method may raise PacsError, and ends within the server's timeout
    of silence."""

    server: Server

    def test(self) -> str:
        """Return a sentence on the services that answer (C-ECHO, or a search)."""

    def find_studies(self, query: Query) -> list[ArchivedStudy]:
        """Return the studies that match."""

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
