"""One short-axis LGE series: pixels with their geometry."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scarseg.case.patient import Patient
from scarseg.case.positions import typical_gap_mm

FloatArray = npt.NDArray[np.float32]
Vector = tuple[float, float, float]


class LgeSequence(StrEnum):
    """Kind of LGE reconstruction; threshold methods depend on it."""

    MAGNITUDE = "magnitude"
    PSIR = "psir"


@dataclass(frozen=True)
class LoadWarning:
    """Doubt about a stack that was opened all the same.

    ``code`` starts with ``W_``; ``message`` is one sentence with the raw values.
    """

    code: str
    message: str


@dataclass(frozen=True, eq=False)
class SliceImage:
    """One slice as input of a model.

    ``pixels`` float32 (row, column) in rescaled source units; ``pixel_spacing_mm`` (row, column);
    ``neighbours`` are the pixels of the slices before and after, None beyond the ends.
    """

    pixels: FloatArray
    pixel_spacing_mm: tuple[float, float]
    neighbours: tuple[FloatArray | None, FloatArray | None] = (None, None)


@dataclass(frozen=True)
class SliceSource:
    """Source of one slice.

    ``frame`` is the 1-based frame number of a multi-frame file, None for a classic file.
    ``sha256`` is the hash of the whole source file, empty for stacks made in memory.
    """

    sop_instance_uid: str
    frame: int | None = None
    instance_number: int | None = None
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class Stack:
    """A short-axis stack, base to apex.

    Args:
        pixels: float32 (slice, row, column), made read-only; per-slice rescale applied.
        pixel_spacing_mm: (row, column): distance between rows, distance between columns.
        slice_thickness_mm: SliceThickness, or the user's value (``thickness_from_user``).
        orientation: the six direction cosines of ImageOrientationPatient: direction of
            increasing column index, then direction of increasing row index, in LPS.
        origins_mm: one per slice, patient position (LPS) of the centre of pixel (0, 0).
        sources: one per slice.
        spacing_between_slices_mm: the header's SpacingBetweenSlices; only cross-checked, and
            used as depth of a single slice.
        complete: False when a slice is missing or could not be decoded; the mass is then marked
            incomplete.
        patient: whose images these are, for comparison with other stacks.
        input_path: the file or folder it was read from, as it was given; empty for stacks made in
            memory.
        part: distinguishes this stack from others split out of the same series, else empty.
    """

    pixels: FloatArray
    pixel_spacing_mm: tuple[float, float]
    slice_thickness_mm: float
    orientation: tuple[float, float, float, float, float, float]
    origins_mm: tuple[Vector, ...]
    sources: tuple[SliceSource, ...]
    series_uid: str
    study_uid: str
    sequence: LgeSequence = LgeSequence.MAGNITUDE
    description: str = ""
    patient_id: str = ""
    patient_name: str = ""
    study_date: str = ""
    thickness_from_user: bool = False
    spacing_between_slices_mm: float | None = None
    complete: bool = True
    part: str = ""
    warnings: tuple[LoadWarning, ...] = field(default=())
    series_number: int | None = None
    manufacturer: str = ""
    model_name: str = ""
    field_strength_t: float | None = None
    patient: Patient = field(default=Patient(), repr=False)
    input_path: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        pixels = np.ascontiguousarray(self.pixels, dtype=np.float32)
        if pixels.ndim != 3:
            raise ValueError(f"pixels must be (slice, row, column), not {pixels.shape}")
        n = pixels.shape[0]
        if n == 0 or len(self.origins_mm) != n or len(self.sources) != n:
            raise ValueError("one origin and one source per slice")
        lengths = (*self.pixel_spacing_mm, self.slice_thickness_mm)
        if not all(np.isfinite(v) and v > 0 for v in lengths):
            raise ValueError(f"lengths must be positive: {lengths}")
        if pixels is self.pixels or pixels.base is not None:
            pixels = pixels.copy()
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)

    @property
    def n_slices(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def rows(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def columns(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def stack_id(self) -> str:
        """Identifier in files: the series UID, plus the part where a series was split."""
        return f"{self.series_uid}_{self.part}" if self.part else self.series_uid

    @cached_property
    def normal(self) -> Vector:
        """The unit slice normal, pointing from the first slice to the last (base to apex)."""
        row = np.asarray(self.orientation[:3], dtype=np.float64)
        column = np.asarray(self.orientation[3:], dtype=np.float64)
        normal = np.cross(row, column)
        normal /= np.linalg.norm(normal)
        along = np.asarray(self.origins_mm[-1]) - np.asarray(self.origins_mm[0])
        if float(along @ normal) < 0:
            normal = -normal
        return (float(normal[0]), float(normal[1]), float(normal[2]))

    @property
    def slice_positions_mm(self) -> tuple[float, ...]:
        """The position of every slice along the normal, first slice at 0, increasing."""
        origins = np.asarray(self.origins_mm, dtype=np.float64)
        return tuple(float(v) for v in (origins - origins[0]) @ np.asarray(self.normal))

    @property
    def slice_spacing_mm(self) -> float | None:
        """Typical distance between neighbouring slices, measured from positions.

        A single slice has none, whatever its header says.
        """
        return typical_gap_mm(self.slice_positions_mm)

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """The 4 x 4 matrix from voxel (column, row, slice) to patient position in LPS mm.

        Irregular stacks get the mean step between slices.
        """
        matrix = np.eye(4)
        spacing_row, spacing_column = self.pixel_spacing_mm
        matrix[:3, 0] = np.asarray(self.orientation[:3]) * spacing_column
        matrix[:3, 1] = np.asarray(self.orientation[3:]) * spacing_row
        origins = np.asarray(self.origins_mm, dtype=np.float64)
        if self.n_slices > 1:
            matrix[:3, 2] = (origins[-1] - origins[0]) / (self.n_slices - 1)
        else:
            depth = self.spacing_between_slices_mm or self.slice_thickness_mm
            matrix[:3, 2] = np.asarray(self.normal) * depth
        matrix[:3, 3] = origins[0]
        return matrix

    def image(self, index: int) -> SliceImage:
        """Return slice ``index`` as input of a model, with its neighbours."""
        before = self.pixels[index - 1] if index > 0 else None
        after = self.pixels[index + 1] if index + 1 < self.n_slices else None
        return SliceImage(self.pixels[index], self.pixel_spacing_mm, (before, after))
