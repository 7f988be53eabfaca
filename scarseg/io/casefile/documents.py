"""JSON documents of a case file, as strict structures, and what they hold as values of a case.

A document of another form (a missing key, a text for a number, a status that does not exist) is
refused by :func:`decode_document`; keys of a later version are ignored. Fields with a default
were added after version 1 of the format: older files lack them. Names of keys are those of the
file and never change.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Annotated, Self, TypeVar

import msgspec

from scarseg.case.calibration import Calibration
from scarseg.case.case import ModelIdentity, SentInstance
from scarseg.case.contours import area
from scarseg.case.history import Cause, DetectorScope, ModelRun, SliceReading, SliceStatus, Step
from scarseg.case.labels import Label, Patch
from scarseg.case.measurements import MassConvention, MassInterval
from scarseg.case.prompts import Box, Contour, InsertionPoint, Origin, Point, SlicePrompts

_T = TypeVar("_T")
_Count = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class _Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """A JSON array with a fixed meaning of each place."""


class BoxRow(_Row, frozen=True):
    """A box: corners in pixels, origin, score of the detector."""

    column0: float
    row0: float
    column1: float
    row1: float
    origin: Origin
    score: float | None

    @classmethod
    def of(cls, box: Box) -> Self:
        score = None if box.score is None else float(box.score)
        column0, row0, column1, row1 = map(float, (box.column0, box.row0, box.column1, box.row1))
        return cls(column0, row0, column1, row1, box.origin, score)

    def box(self) -> Box:
        return Box(self.column0, self.row0, self.column1, self.row1, self.origin, self.score)


class PointRow(_Row, frozen=True):
    """A point: position in pixels, inside or outside, label; older files have points for scar."""

    column: float
    row: float
    positive: bool
    structure: Label = Label.SCAR

    @staticmethod
    def values(point: Point) -> list[float | bool | int]:
        """Return the array of a point; one for scar has three places, as in older files."""
        place: list[float | bool | int]
        place = [float(point.column), float(point.row), bool(point.positive)]
        return place if point.structure is Label.SCAR else [*place, int(point.structure)]

    def point(self) -> Point:
        return Point(self.column, self.row, self.positive, self.structure)


class PatchRow(_Row, frozen=True):
    """A rectangle of labels: its corner, its size and its packed bytes in base 64."""

    row: int
    column: int
    rows: int
    columns: int
    packed: bytes

    @classmethod
    def of(cls, patch: Patch) -> Self:
        return cls(patch.row, patch.column, patch.rows, patch.columns, patch.packed)

    def patch(self, shape: tuple[int, ...]) -> Patch:
        """Return the patch of a stack of this shape (slice, row, column).

        Raises:
            ValueError: it does not lie within a slice, or its bytes are no labels.
        """
        beyond = self.row + self.rows > shape[1] or self.column + self.columns > shape[2]
        if min(self.row, self.column, self.rows, self.columns) < 0 or beyond:
            raise ValueError("a patch must lie within its slice")
        patch = Patch(self.row, self.column, self.rows, self.columns, self.packed)
        patch.unpacked()
        return patch


class ReadingDocument(msgspec.Struct, kw_only=True, frozen=True):
    """Prompts and status of one slice."""

    boxes: list[BoxRow]
    points: list[list[float | bool | int]]
    lv_box: BoxRow | None
    pool_box: BoxRow | None = None
    no_scar: bool
    status: SliceStatus
    edited: bool
    reason: str
    mvo_sought: bool | msgspec.UnsetType = msgspec.UNSET
    scar_withheld: bool | msgspec.UnsetType = msgspec.UNSET
    endocardium: Contour | msgspec.UnsetType = msgspec.UNSET
    epicardium: Contour | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, reading: SliceReading) -> Self:
        prompts = reading.prompts
        return cls(
            boxes=[BoxRow.of(box) for box in prompts.boxes],
            points=[PointRow.values(point) for point in prompts.points],
            lv_box=_box_row(prompts.lv_box),
            pool_box=_box_row(prompts.pool_box),
            no_scar=bool(prompts.no_scar),
            status=reading.status,
            edited=bool(reading.edited),
            reason=reading.reason,
            mvo_sought=True if reading.mvo_sought else msgspec.UNSET,
            scar_withheld=True if reading.scar_withheld else msgspec.UNSET,
            endocardium=prompts.endocardium or msgspec.UNSET,
            epicardium=prompts.epicardium or msgspec.UNSET,
        )

    def reading(self) -> SliceReading:
        prompts = SlicePrompts(
            boxes=tuple(row.box() for row in self.boxes),
            points=tuple(msgspec.convert(each, PointRow).point() for each in self.points),
            lv_box=_box(self.lv_box),
            no_scar=self.no_scar,
            pool_box=_box(self.pool_box),
            endocardium=_contour(self.endocardium),
            epicardium=_contour(self.epicardium),
        )
        return SliceReading(
            prompts,
            self.status,
            self.edited,
            self.reason,
            self.mvo_sought is True,
            self.scar_withheld is True,
        )


class ModelRunDocument(msgspec.Struct, kw_only=True, frozen=True):
    """Weights and detector scope of a model run."""

    segmenter: str
    detector: str
    lv_hint: BoxRow | None
    lv_box: BoxRow | None
    sight: DetectorScope
    fresh: bool = False
    software: str = ""
    calibration: Calibration | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, run: ModelRun) -> Self:
        return cls(
            segmenter=run.segmenter_sha256,
            detector=run.detector_sha256,
            lv_hint=_box_row(run.lv_hint),
            lv_box=_box_row(run.lv_box),
            sight=run.detector_scope,
            fresh=run.fresh,
            software=run.software,
            calibration=run.calibration or msgspec.UNSET,
        )

    def model_run(self) -> ModelRun:
        return ModelRun(
            self.segmenter,
            self.detector,
            _box(self.lv_hint),
            _box(self.lv_box),
            self.sight,
            self.fresh,
            self.software,
            self.calibration or None,
        )


class StepDocument(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One step of a reading: a line of the record "steps"."""

    at_ms: int
    cause: Cause
    name: str
    slice: int
    reading: ReadingDocument | None = None
    patch: PatchRow | None = None
    ground: PatchRow | None = None
    look: ModelRunDocument | None = None

    @classmethod
    def of(cls, step: Step) -> Self:
        under = step.labels_under_scar
        return cls(
            at_ms=step.at_ms,
            cause=step.cause,
            name=step.name,
            slice=step.slice_index,
            reading=None if step.reading is None else ReadingDocument.of(step.reading),
            patch=None if step.patch is None else PatchRow.of(step.patch),
            ground=None if under is None else PatchRow.of(under),
            look=None if step.model_run is None else ModelRunDocument.of(step.model_run),
        )

    def step(self, shape: tuple[int, ...]) -> Step:
        """Return the step on a stack of this shape (slice, row, column).

        Raises:
            ValueError: it lies outside the stack.
        """
        if not 0 <= self.slice < shape[0]:
            raise ValueError("a step must be on a slice of its stack")
        return Step(
            self.at_ms,
            self.cause,
            self.name,
            self.slice,
            None if self.reading is None else self.reading.reading(),
            None if self.patch is None else self.patch.patch(shape),
            None if self.look is None else self.look.model_run(),
            None if self.ground is None else self.ground.patch(shape),
        )


class StepsHead(msgspec.Struct, kw_only=True, frozen=True):
    """First line of the record "steps": how many steps were dropped, and the state after them."""

    n_forgotten: int
    start: list[tuple[ReadingDocument, PatchRow]] | None


class StackIdentity(msgspec.Struct, kw_only=True, frozen=True):
    """What a stack must be for a case to belong to it."""

    series_uid: str
    part: str
    sop_instance_uids: list[str]
    frames: list[int | None]
    shape: list[int]
    pixel_spacing_mm: list[float]
    pixels_sha256: str

    @property
    def stack_id(self) -> str:
        return f"{self.series_uid}_{self.part}" if self.part else self.series_uid


class SourceFile(msgspec.Struct, kw_only=True, frozen=True):
    """One slice's image file."""

    sop_instance_uid: str
    frame: int | None
    sha256: str


class ImageSource(msgspec.Struct, kw_only=True, frozen=True):
    """Study and geometry of the images, and the hashes of their files."""

    study_uid: str
    slice_thickness_mm: float
    thickness_from_user: bool
    slice_positions_mm: list[float]
    files: list[SourceFile]

    @property
    def reader_thickness_mm(self) -> float | None:
        """Slice thickness that the reader entered; None where the header had one."""
        return self.slice_thickness_mm if self.thickness_from_user else None


class Software(msgspec.Struct, kw_only=True, frozen=True):
    """The program that saved the case."""

    name: str = "scarseg"
    version: str = ""


class IntervalDocument(msgspec.Struct, kw_only=True, frozen=True):
    """Interval of the scar mass by one convention."""

    convention: MassConvention
    low_g: float
    high_g: float
    slices_g: list[tuple[float, float]]
    method: str
    segmenter: str = ""
    calibration: str | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, interval: MassInterval) -> Self:
        return cls(
            convention=interval.convention,
            low_g=float(interval.low_g),
            high_g=float(interval.high_g),
            slices_g=[(float(low), float(high)) for low, high in interval.slices_g],
            method=interval.method,
            segmenter=interval.segmenter_sha256,
            calibration=interval.calibration_sha256 or msgspec.UNSET,
        )

    def interval(self, n_slices: int) -> MassInterval:
        """Return the interval of a stack of so many slices.

        Raises:
            ValueError: it has not one interval per slice.
        """
        if len(self.slices_g) != n_slices:
            raise ValueError("an interval must have one part per slice")
        return MassInterval(
            self.low_g,
            self.high_g,
            tuple(self.slices_g),
            self.method,
            self.convention,
            self.segmenter,
            self.calibration or "",
        )


class RemoteDocument(msgspec.Struct, kw_only=True, frozen=True):
    """The remote region that a reader drew on one slice, as a patch of 0 and 1."""

    slice_index: int
    region: PatchRow

    def patch(self, shape: tuple[int, ...]) -> Patch:
        """Return the region of a stack of this shape (slice, row, column).

        Raises:
            ValueError: it does not lie within a slice, or holds other values.
        """
        patch = self.region.patch(shape)
        if self.slice_index not in range(shape[0]) or not patch.unpacked().max(initial=0) == 1:
            raise ValueError("a remote region must hold voxels of a slice")
        return patch


class CaseDocument(msgspec.Struct, kw_only=True, frozen=True):
    """The record "case": everything but labels and steps."""

    software: Software = Software()
    saved_at_utc: str
    stack: StackIdentity
    source: ImageSource
    readings: list[ReadingDocument]
    segmenter: ModelIdentity
    detector: ModelIdentity
    reader: str
    read_number: Annotated[int, msgspec.Meta(ge=1)] = 1
    interactions: _Count
    seconds: _Seconds
    slice_interactions: list[_Count] = []
    slice_seconds: list[_Seconds] = []
    proposed: list[PatchRow | None] = []
    insertion: InsertionPoint | None = None
    remote: list[RemoteDocument] | msgspec.UnsetType = msgspec.UNSET
    intervals: list[IntervalDocument] | msgspec.UnsetType = msgspec.UNSET
    archive: str | msgspec.UnsetType = msgspec.UNSET
    sent: list[SentInstance] | msgspec.UnsetType = msgspec.UNSET
    calibration: Calibration | msgspec.UnsetType = msgspec.UNSET

    @property
    def statuses(self) -> list[SliceStatus]:
        return [reading.status for reading in self.readings]

    @property
    def n_read(self) -> int:
        return sum(status.read for status in self.statuses)


def encode_document(document: msgspec.Struct) -> bytes:
    """Return a document as JSON of ASCII characters alone.

    The json module writes it, not msgspec: that refuses a text with a lone surrogate, which a
    reader may have pasted as a reason, and then the case could not be saved.
    """
    return json.dumps(msgspec.to_builtins(document), separators=(",", ":")).encode("ascii")


def decode_document(data: bytes, kind: type[_T]) -> _T:
    """Return JSON as a document of this kind.

    Raises:
        ValueError: it is no JSON, or of another form.
        RecursionError: it is nested too deeply.
    """
    return msgspec.convert(json.loads(data), kind)


def _box_row(box: Box | None) -> BoxRow | None:
    return None if box is None else BoxRow.of(box)


def _contour(corners: Contour | msgspec.UnsetType) -> Contour | None:
    if isinstance(corners, msgspec.UnsetType):
        return None
    if len(corners) < 3 or not isfinite(area(corners)):
        raise ValueError("a contour needs three corners")
    return corners


def _box(row: BoxRow | None) -> Box | None:
    return None if row is None else row.box()
