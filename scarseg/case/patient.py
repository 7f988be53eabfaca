"""Whose images a stack holds and of which day, as far as their headers say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

_WORDS = {"patient_id": "patient ID", "birth_date": "birth date", "sex": "sex", "name": "name"}
_PLURALS = {"sex": "sexes"}


class Patient(NamedTuple):
    """What headers say of a patient, for comparison; empty where they say nothing.

    ``name`` without case, accents and empty components; ``birth_date`` eight digits; ``sex`` M or
    F.
    """

    patient_id: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""

    def differences(self, other: Patient) -> list[str]:
        """Return in what two patients contradict each other: what both know, and differently."""
        return [
            _WORDS[field]
            for field, mine, theirs in zip(self._fields, self, other, strict=True)
            if mine and theirs and mine != theirs
        ]


def contradiction_note(differences: Sequence[str]) -> str:
    """Return what it means that two studies of one patient ID contradict each other."""
    verb = "differ" if len(differences) > 1 else "differs"
    different = " and ".join(differences)
    return f"One patient ID, but the {different} {verb}: they may be of different patients."


def date_text(date: str) -> str:
    """Return a DICOM date, YYYYMMDD, as 2024-01-31; one that is no date as it stands.

    Dates anonymised to month or day 00 occur.
    """
    with suppress(ValueError):
        return datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    return date


def count_values(patients: Iterable[Patient]) -> str:
    """Return how many names, birth dates and sexes are known: "2 names and 2 birth dates".

    Empty where there is one of each at most.
    """
    known = list(patients)
    counts = []
    for field in ("name", "birth_date", "sex"):
        n = len({getattr(one, field) for one in known} - {""})
        if n > 1:
            counts.append(f"{n} {_PLURALS.get(field, _WORDS[field] + 's')}")
    return " and ".join((", ".join(counts[:-1]), counts[-1])) if counts[1:] else "".join(counts)
