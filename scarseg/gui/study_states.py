"""How the reading of a study stands, and which studies and series a list shows; no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from scarseg.gui.library import Entry, Study


class StudyState(StrEnum):
    """What a reader filters the list by."""

    TO_READ = "to read"
    IN_PROGRESS = "in progress"
    READ = "read"
    FAILED = "failed"


def state_of(entry: Entry | None) -> StudyState:
    """Say how the reading of a series stands."""
    if entry is None or entry.code:
        return StudyState.FAILED
    if entry.read:
        return StudyState.READ
    return StudyState.IN_PROGRESS if entry.standing.endswith(" read") else StudyState.TO_READ


def words_of(entry: Entry | None) -> str:
    """Say it in words, with what is known: "in progress · 3 of 8 read"."""
    state = state_of(entry)
    if entry is None:
        return "failed · no series"
    if entry.code:
        return f"{state} · {entry.code}"
    if state is StudyState.READ:
        return entry.standing or str(state)
    return f"{state} · {entry.standing}" if entry.standing else str(state)


def counts(states: Iterable[StudyState]) -> dict[StudyState, int]:
    """Count the studies in each state, none left out."""
    found = list(states)
    return {state: found.count(state) for state in StudyState}


def matches(text: str, study: Study, words: str) -> bool:
    """Say whether every word of ``text`` is in a study's name, state or series."""
    everything = " ".join((study.title, words, *(entry.title for entry in study.entries)))
    return all(word in everything.casefold() for word in text.casefold().split())


def split_series(
    entries: Sequence[Entry], current: Entry | None
) -> tuple[list[Entry], list[Entry]]:
    """Part the series of a study: those likely to be read, the proposed one first, and the rest.

    What is open, or has a reading, is never in the rest; where nothing is likely, all are shown.
    """
    ordered = sorted(entries, key=lambda entry: not entry.proposed)
    likely = [each for each in ordered if each.proposed or each is current or each.standing]
    if not any(each.proposed for each in likely):
        return ordered, []
    likely += [each for each in ordered if each not in likely and _second_best(each)]
    return likely, [each for each in ordered if each not in likely]


def _second_best(entry: Entry) -> bool:
    """Say whether nothing speaks against a series but that another is likelier."""
    return "another stack is likelier" in getattr(entry.source, "reason", "")
