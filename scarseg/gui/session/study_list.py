"""The list of studies and series a reader can open; no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.stack import LoadWarning, Stack

if TYPE_CHECKING:
    from scarseg.io.casefile.library import CaseFile
    from scarseg.io.dicom.types import LoadReport, Refusal, StackSummary


@dataclass(frozen=True)
class BlindedEntry:
    """A series in a blinded re-reading: its study code and a case file of its own.

    ``proposals``: whether the models propose unasked. ``thickness_mm`` is what was given for the
    first reading, None where the header has one.
    """

    code: str
    path: Path
    reader: str
    read_number: int
    proposals: bool = True
    thickness_mm: float | None = None


@dataclass(eq=False)
class Entry:
    """One series of the list: a summary still to be read, or a stack already in memory.

    ``reading_summary`` is what is known of its reading, in words; ``code`` why it did not open;
    ``n_doubtful`` is the number of slices to be read about which there is doubt;
    ``imported_case`` a case file from elsewhere that holds a reading of it; ``blinding`` hides
    what it is.
    """

    source: StackSummary | Stack
    reading_summary: str = ""
    read: bool = False
    code: str = ""
    n_doubtful: int = 0
    imported_case: Path | None = None
    blinding: BlindedEntry | None = None

    @property
    def stack_id(self) -> str:
        return self.source.stack_id

    @property
    def warnings(self) -> tuple[LoadWarning, ...]:
        return tuple(self.source.warnings)

    @property
    def proposed(self) -> bool:
        return isinstance(self.source, Stack) or bool(self.source.proposed)

    @property
    def title(self) -> str:
        """Description of the series, or its kind; its study code in a blinded re-reading."""
        if self.blinding is not None:
            return self.blinding.code
        return self.source.description or f"{self.source.sequence.value} series"

    @property
    def short_geometry(self) -> str:
        """Slices, spacing, thickness and gap in one line."""
        parts = self.geometry.split(" · ")
        return " · ".join((parts[0], *parts[2:]))

    @property
    def geometry(self) -> str:
        """Slices, rows x columns, spacing, thickness and gap in one line."""
        source = self.source
        row_mm, column_mm = source.pixel_spacing_mm
        parts = [
            f"{source.n_slices} slices" if source.n_slices != 1 else "1 slice",
            f"{source.rows} × {source.columns}",
            f"{row_mm:.2f} × {column_mm:.2f} mm",
        ]
        thickness, spacing = source.slice_thickness_mm, source.slice_spacing_mm
        parts.append(
            "thickness unknown" if thickness is None else thickness_text(thickness, spacing)
        )
        if not source.complete:
            parts.append("slices missing")
        return " · ".join(parts)


def reading_summary(
    n_slices: int,
    n_read: int,
    n_proposed: int,
    scar_mass_g: float | None = None,
    corrected: bool = False,
) -> str:
    """Return how far a reading is: "read · 7.7 g · corrected", "3 of 8 read", "proposed"."""
    if n_read == n_slices:
        grams = "" if scar_mass_g is None else f" · {scar_mass_g:.1f} g"
        return f"read{grams}{' · corrected' if corrected else ''}"
    if n_read:
        return f"{n_read} of {n_slices} read"
    return "proposed" if n_proposed == n_slices else f"{n_proposed} of {n_slices} proposed"


def thickness_text(thickness_mm: float, spacing_mm: float | None) -> str:
    """Return thickness and gap: "8 mm + 2 mm gap"."""
    text = f"{thickness_mm:g} mm"
    if spacing_mm is None:
        return text
    gap = spacing_mm - thickness_mm
    if gap > 0.05:
        return f"{text} + {gap:.3g} mm gap"
    if gap < -0.05:
        return f"{text}, overlapping {-gap:.3g} mm"
    return f"{text}, no gap"


class PatientLabel(StrEnum):
    """How the window names a patient."""

    ID = "id"
    INITIALS = "initials"
    NAME = "name"


def patient_text(patient_id: str, name: str, style: PatientLabel) -> str:
    """Return what a patient is called: by ID, or as asked for where there is a name.

    Args:
        patient_id: Patient ID of the DICOM header.
        name: DICOM person name, "Family^Given^Middle"; only its alphabetic group counts.
        style: what to show.
    """
    parts = [part.strip() for part in name.split("=")[0].split("^")[:3]]
    parts = [part for part in parts if part]
    if parts and style is PatientLabel.NAME:
        return ", ".join((parts[0], " ".join(parts[1:]))) if parts[1:] else parts[0]
    if parts and style is PatientLabel.INITIALS:
        given_first = [*parts[1:], parts[0]]
        return "".join(f"{part[0].upper()}." for part in given_first)
    return patient_id or "no identifier"


@dataclass(eq=False)
class Study:
    """The series of one study of one patient."""

    study_uid: str
    patient_id: str
    study_date: str
    entries: list[Entry] = field(default_factory=list)
    patient_name: str = ""
    patient_label: PatientLabel = PatientLabel.ID

    @property
    def patient(self) -> str:
        """What the patient is called in the window."""
        return patient_text(self.patient_id, self.patient_name, self.patient_label)

    @property
    def date(self) -> str:
        """Study date as 2024-01-31, or as it stands in the header."""
        date = self.study_date
        return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date

    @property
    def title(self) -> str:
        """Patient and date."""
        return "  ".join(part for part in (self.patient, self.date) if part)

    def describe(self, entry: Entry) -> str:
        """Return patient, date and series; of a blinded re-reading its code alone."""
        if entry.blinding is not None:
            return entry.blinding.code
        return " · ".join(part for part in (self.patient, self.date, entry.title) if part)

    @property
    def proposed(self) -> Entry | None:
        """The series most likely to be the LGE short-axis stack."""
        for entry in self.entries:
            if entry.proposed:
                return entry
        return self.entries[0] if self.entries else None


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
        return passes and matches(self.filter.text, study, state_text(entry))

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
            if (study.patient_id, study.study_uid) == (source.patient_id, source.study_uid):
                return study
        study = Study(
            source.study_uid,
            source.patient_id,
            source.study_date,
            patient_name=source.patient_name,
            patient_label=self.patient_label,
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
    """Return the state in words, with what is known: "in progress · 3 of 8 read"."""
    state = state_of(entry)
    if entry is None:
        return "failed · no series"
    if entry.code:
        return f"{state} · {entry.code}"
    if state is StudyState.READ:
        return entry.reading_summary or str(state)
    doubt = f"{entry.n_doubtful} doubtful" if entry.n_doubtful else ""
    return " · ".join(part for part in (str(state), entry.reading_summary, doubt) if part)


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
