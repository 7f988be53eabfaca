"""A study and its series, as a reader sees them in the list; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.case.patient import Patient, date_text
from scarseg.case.stack import LoadWarning, Stack

if TYPE_CHECKING:
    from scarseg.io.dicom.types import StackSummary


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
    probably_no_scar: bool = False,
) -> str:
    """Return how far a reading is: "read · 7.7 g · corrected", "3 of 8 read", "proposed"."""
    if n_read == n_slices:
        grams = "" if scar_mass_g is None else f" · {scar_mass_g:.1f} g"
        return f"read{grams}{' · corrected' if corrected else ''}"
    if n_read:
        return f"{n_read} of {n_slices} read"
    if n_proposed < n_slices:
        return f"{n_proposed} of {n_slices} proposed"
    return "probably no scar" if probably_no_scar else "proposed"


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
    identity: Patient = field(default=Patient(), repr=False)

    def owns(self, source: StackSummary | Stack) -> bool:
        """Return whether a series is of this study and of this patient.

        Two patients may share an ID, or a study UID, by mistake.
        """
        same = (self.patient_id, self.study_uid) == (source.patient_id, source.study_uid)
        return same and not self.identity.differences(source.patient)

    @property
    def patient(self) -> str:
        """What the patient is called in the window."""
        return patient_text(self.patient_id, self.patient_name, self.patient_label)

    @property
    def date(self) -> str:
        """Study date as 2024-01-31, or as it stands in the header."""
        return date_text(self.study_date)

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
