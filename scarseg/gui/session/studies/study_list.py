"""The list of studies and series a reader can open; no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scarseg.case.stack import Stack

if TYPE_CHECKING:
    from scarseg.io.casefile.library import CaseFile
    from scarseg.io.dicom.types import LoadReport, Refusal, StackSummary
from scarseg.gui.session.studies.study import Entry, PatientLabel, Study


class StudyState(StrEnum):
    """State of a study, by which a reader filters the list."""

    TO_READ = "to read"
    IN_PROGRESS = "in progress"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True)
class StudyFilter:
    """What the list shows: studies in a state (None: in any) with every word of a text."""

    text: str = ""
    state: StudyState | None = None

    def __bool__(self) -> bool:
        return bool(self.text.strip()) or self.state is not None


class StudyList:
    """Everything opened in this session, in the order it came.

    ``filter`` is what the reader sees of it, ``by_doubt`` whether the most doubtful come first;
    ``last_opened`` the series a study was last read by.
    """

    def __init__(self) -> None:
        self.studies: list[Study] = []
        self.refused: list[Refusal] = []
        self.filter = StudyFilter()
        self.by_doubt = False
        self.last_opened: dict[Study, Entry] = {}
        self.patient_label = PatientLabel.ID
        self.waiting: dict[str, CaseFile] = {}
        """Case files whose images are not at hand, by the stack they belong to."""

    def expect(self, arrivals: Sequence[CaseFile]) -> list[Entry]:
        """Add case files from elsewhere; return the entries, old or new, that have one now."""
        self.waiting |= {each.stack_id: each for each in arrivals}
        met = []
        for study in self.studies:
            for entry in study.entries:
                arrived = self.waiting.pop(entry.stack_id, None)
                if arrived is not None:
                    entry.imported_case = arrived.path
                    met.append(entry)
        return met

    def add_report(self, report: LoadReport) -> list[Entry]:
        """Add what a scan found; return the new entries."""
        self.refused.extend(report.refused)
        return [entry for stack in report.stacks if (entry := self._add(stack))]

    def add_stack(self, stack: Stack) -> Entry:
        """Add a stack that is in memory already."""
        return self._add(stack) or self.find(stack.stack_id)

    def find(self, stack_id: str) -> Entry:
        """Return the entry of this stack; LookupError where there is none."""
        for study in self.studies:
            for entry in study.entries:
                if entry.stack_id == stack_id:
                    return entry
        raise LookupError(stack_id)

    @property
    def entries(self) -> list[Entry]:
        """Return every series of the list."""
        return [entry for study in self.studies for entry in study.entries]

    def describe_patients(self, most: int = 4) -> str:
        """Return whose studies the list has: "3 patients: P1, P2, P3"; codes where blinded."""
        names = {
            study.entries[0].title
            if study.entries and study.entries[0].blinding
            else study.patient: None
            for study in self.studies
        }
        shown = ", ".join(list(names)[:most])
        rest = f" and {len(names) - most} more" if len(names) > most else ""
        return f"{len(names)} patients: {shown}{rest}" if len(names) > 1 else shown

    def set_patient_label(self, style: PatientLabel) -> None:
        """Choose what patients are called."""
        self.patient_label = style
        for study in self.studies:
            study.patient_label = style

    def entry_of(self, study: Study) -> Entry | None:
        """Return the series a study is read by: the one opened last, else the proposed one."""
        return self.last_opened.get(study, study.proposed)

    @property
    def ordered(self) -> list[Study]:
        """Return the studies in the order in which they are shown."""
        if not self.by_doubt:
            return self.studies
        return sorted(self.studies, key=lambda study: -n_doubtful(self.entry_of(study)))

    def shows(self, study: Study) -> bool:
        """Return whether a study passes the filter."""
        entry = self.entry_of(study)
        state = self.filter.state
        passes = state is None or state is state_of(entry)
        words = f"{state_of(entry)} {state_text(entry)}"
        return passes and matches(self.filter.text, study, words)

    def study_of(self, entry: Entry) -> Study:
        """Return the study an entry belongs to."""
        return next(study for study in self.studies if entry in study.entries)

    def next_unread(self, after: Entry | None) -> Entry | None:
        """Return the proposed entry of the next study not read yet; None where all are read."""
        return next(self.upcoming(after), None)

    def upcoming(self, after: Entry | None) -> Iterator[Entry]:
        """Return the proposed entries of the studies not read yet, the next first, going round.

        Only studies that pass the filter count.
        """
        ordered = self.ordered
        holds = (n for n, study in enumerate(ordered) if after in study.entries)
        here = next(holds, -1)
        for study in (*ordered[here + 1 :], *ordered[: here + 1]):
            entry = study.proposed if self.shows(study) else None
            if entry is not None and entry is not after and not entry.read and not entry.code:
                yield entry

    def _add(self, source: StackSummary | Stack) -> Entry | None:
        try:
            self.find(source.stack_id)
        except LookupError:
            entry = Entry(source)
            self._study(source).entries.append(entry)
            return entry
        return None

    def _study(self, source: StackSummary | Stack) -> Study:
        for study in self.studies:
            if study.owns(source):
                return study
        study = Study(
            source.study_uid,
            source.patient_id,
            source.study_date,
            patient_name=source.patient_name,
            patient_label=self.patient_label,
            identity=source.patient,
        )
        self.studies.append(study)
        return study


def most_likely(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry to open by itself: the proposed one, else the first."""
    for entry in entries:
        if entry.proposed:
            return entry
    return entries[0] if entries else None


def state_of(entry: Entry | None) -> StudyState:
    """Return the state of the reading of a series."""
    if entry is None or entry.code:
        return StudyState.FAILED
    if entry.read:
        return StudyState.READ
    return StudyState.IN_PROGRESS if entry.reading_summary.endswith(" read") else StudyState.TO_READ


def n_doubtful(entry: Entry | None) -> int:
    """Return the number of doubtful slices that are to be read."""
    return 0 if entry is None else entry.n_doubtful


def state_text(entry: Entry | None) -> str:
    """Return the state in words, with what is known: "3 of 8 read · 2 doubtful", "to read"."""
    state = state_of(entry)
    if entry is None:
        return "failed · no series"
    if entry.code:
        return f"{state} · {entry.code}"
    if state is StudyState.READ:
        return entry.reading_summary or str(state)
    doubt = f"{entry.n_doubtful} doubtful" if entry.n_doubtful else ""
    # What is known of the reading says the state too, and the list is narrow.
    words = "" if entry.reading_summary else str(state)
    return " · ".join(part for part in (words, entry.reading_summary, doubt) if part)


def count_states(states: Iterable[StudyState]) -> dict[StudyState, int]:
    """Count the studies in each state, none left out."""
    found = list(states)
    return {state: found.count(state) for state in StudyState}


def matches(text: str, study: Study, words: str) -> bool:
    """Return whether every word of ``text`` is in a study's patient, date, state or series."""
    everything = " ".join(
        (study.patient_id, study.title, words, *(entry.title for entry in study.entries))
    )
    return all(word in everything.casefold() for word in text.casefold().split())


def split_series(
    entries: Sequence[Entry], current: Entry | None
) -> tuple[list[Entry], list[Entry]]:
    """Split the series of a study: those likely to be read, the proposed one first, and the rest.

    What is open, or has a reading, is never in the rest; where nothing is likely, all are shown.
    """
    ordered = sorted(entries, key=lambda entry: not entry.proposed)
    likely = [each for each in ordered if each.proposed or each is current or each.reading_summary]
    if not any(each.proposed for each in likely):
        return ordered, []
    likely += [each for each in ordered if each not in likely and _second_best(each)]
    return likely, [each for each in ordered if each not in likely]


def _second_best(entry: Entry) -> bool:
    """Return whether nothing speaks against a series but that another is likelier."""
    return "another stack is likelier" in getattr(entry.source, "reason", "")
