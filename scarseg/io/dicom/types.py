"""Frames, stacks and the report of a scan of DICOM input."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scarseg.case.patient import Patient
from scarseg.case.stack import LgeSequence, LoadWarning, Vector
from scarseg.io.dicom.sources.inputs import Source, printable_name

Orientation = tuple[float, float, float, float, float, float]


class ImageKind(StrEnum):
    """Kind of an image: magnitude, PSIR, phase, localizer or derived."""

    MAGNITUDE = "magnitude"
    PSIR = "psir"
    PHASE = "phase"
    LOCALIZER = "localizer"
    DERIVED = "derived"


@dataclass(frozen=True)
class Refusal:
    """A file, series or archive that was not opened, and why.

    ``path`` names the file (inside a zip: ``archive.zip!member``); ``code`` starts with ``E_``.
    ``series_uid`` and all after it are empty where the file never said them.
    """

    path: str
    code: str
    message: str
    series_uid: str = ""
    study_uid: str = ""
    patient_id: str = field(default="", repr=False)
    study_date: str = ""


@dataclass(frozen=True)
class ModalityLookup:
    """A Modality LUT: ``entries`` from the stored value ``first`` on; beyond, the end ones."""

    first: int
    entries: tuple[int, ...]


@dataclass(frozen=True)
class PixelLayout:
    """Layout of the pixels of one file.

    ``offset`` as in :class:`scarseg.io.dicom.parser.Header`; ``length`` None for undefined length.
    ``listed_checksum`` is that by which the file is known again
    (:func:`scarseg.io.dicom.sources.checksums.listed_checksum`). ``padding`` is the range of stored
    values that are no image, ``overlay_bits`` the unused bits that an overlay occupies,
    ``frame_offsets`` the Extended Offset Table.
    """

    transfer_syntax: str
    offset: int
    length: int | None
    size: int
    listed_checksum: int
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    inverted: bool
    floating: bool = False
    padding: tuple[int, int] | None = None
    overlay_bits: int = 0
    frame_offsets: tuple[int, ...] = ()
    lookup: ModalityLookup | None = None

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * (self.bits_allocated // 8)


@dataclass(frozen=True)
class Frame:
    """One image plane with its geometry, pixels not yet read.

    ``number`` is 1-based within a multi-frame file, None for a classic file. ``position_mm``
    (written with up to ``position_decimals`` decimals) and ``orientation`` in LPS; ``spacing_mm``
    (row, column). ``kind`` is None where the frame itself does not show it; ``below_zero`` whether
    rescaled values lie below zero, None where only the pixels show. ``damage`` is why its pixels
    cannot be read, else empty.
    """

    source: Source
    layout: PixelLayout
    sop_uid: str
    number: int | None
    instance_number: int | None
    position_mm: Vector
    position_decimals: int
    orientation: Orientation
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    thickness_text: str
    header_spacing_mm: float | None
    slope: float
    intercept: float
    kind: ImageKind | None
    below_zero: bool | None
    derived: bool
    image_type: tuple[str, ...]
    frame_of_reference: str
    description: str
    temporal: float | None
    trigger_ms: float | None
    acquisition: float | None
    echo_ms: float | None
    inversion_ms: float | None
    time: str
    damage: str = ""


@dataclass(frozen=True)
class StackSummary:
    """One stack as its headers describe it; cheap, no pixels.

    ``n_slices`` counts the slices that can be opened. ``pixel_spacing_mm`` (row, column).
    ``slice_spacing_mm`` is measured from positions, None for a single slice. ``frames`` are in
    order, base to apex. ``kind`` separates localizers and phase images from what can be measured.
    ``reason`` is the sentence why the stack is proposed or not. ``merged`` are the series UIDs of
    all slices, base to apex, where every slice came as a series of its own; ``series_uid`` is the
    first of them. Of repeats split by time ``rank`` is 1 for the newest, 2 for the one before.
    ``patient`` is whose images these are, with what other stacks of the scan say of the same one.
    """

    series_uid: str
    study_uid: str
    part: str
    description: str
    sequence: LgeSequence
    n_slices: int
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    slice_thickness_mm: float | None
    slice_spacing_mm: float | None
    complete: bool
    warnings: tuple[LoadWarning, ...]
    proposed: bool
    reason: str
    patient_id: str
    patient_name: str
    study_date: str
    modality: str
    kind: ImageKind
    series_number: int | None
    spacing_between_slices_mm: float | None
    orientation: Orientation
    frames: tuple[Frame, ...]
    merged: tuple[str, ...] = ()
    rank: int = 0
    manufacturer: str = ""
    model_name: str = ""
    field_strength_t: float | None = None
    patient: Patient = field(default=Patient(), repr=False)

    @property
    def owner(self) -> tuple[str, Patient, str]:
        """Patient and study that the stack belongs to; two patients may share an ID by mistake."""
        return self.patient_id, self.patient, self.study_uid

    @property
    def stack_id(self) -> str:
        """Name of this stack in files, as ``Stack.stack_id``."""
        return f"{self.series_uid}_{self.part}" if self.part else self.series_uid

    @property
    def input_path(self) -> str:
        """The file, or the folder of the files, that the stack is read from, as it was given."""
        files = {frame.source.path for frame in self.frames}
        if len(files) == 1:
            return printable_name(str(files.pop()))
        folders = sorted({str(path.parent) for path in files})
        try:
            return printable_name(os.path.commonpath(folders) or ".")
        except ValueError:  # relative and absolute, or on two drives
            return printable_name(folders[0]) if folders else ""


@dataclass(frozen=True)
class LoadReport:
    """Stacks found, files refused and files skipped, and why.

    ``stacks`` in a stable order (patient, study, series number, series, part). ``skipped``
    counts files that are no images of this kind. ``notes`` are sentences without identities.
    """

    stacks: tuple[StackSummary, ...]
    refused: tuple[Refusal, ...]
    skipped: int
    notes: tuple[str, ...]
    skipped_by_class: Mapping[str, int] = field(default_factory=dict)
