"""A case -> RT Structure Set: contours along pixel borders, one ROI each as in the segmentation.

Regions lie inside each other as the segments of ``dicom_seg`` do. A ring is one closed contour
with a keyhole of no width to its hole: readers that fill by the even-odd or the non-zero rule
find the same voxels. Contours lie in the plane of their image, on borders, not through centres.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, RTStructureSetStorage

import scarseg
from scarseg.case.case import Case
from scarseg.case.labels import Label, MaskArray
from scarseg.case.stack import Stack
from scarseg.io.dicom.uids import derived_uid
from scarseg.io.dicom_export import references
from scarseg.io.dicom_export.seg import (
    Tissue,
    algorithm_type,
    content_hash,
    model_text,
    person_name,
    tissues_in,
)

Polygon = npt.NDArray[np.int64]
"""Corners (n, 2) as (column, row) of pixel borders: pixel i covers [i, i + 1); not closed."""

_Point = tuple[int, int]


def pixel_outlines(mask: MaskArray) -> list[Polygon]:
    """Return the polygons of a mask (row, column), one per region; every corner is a pixel's.

    Filled by the even-odd rule they are the mask again, to the pixel. A hole is cut open to the
    left along a border between rows (a keyhole of no width), so that one polygon does for a
    ring. Pieces that touch at a corner only are apart.
    """
    loops = _loops(mask)
    outer = [loop for loop in loops if _area(loop) > 0]
    holes = sorted((loop for loop in loops if _area(loop) < 0), key=min)
    for hole in holes:
        _cut_open(outer, hole)
    return [np.array(_straightened(loop), dtype=np.int64) for loop in outer]


def _loops(mask: MaskArray) -> list[list[_Point]]:
    """Walk along all borders with the mask on the right (rows run down)."""
    padded = np.pad(mask, 1)
    follow: dict[_Point, list[_Point]] = {}

    def add(starts: npt.NDArray[np.intp], start: _Point, end: _Point) -> None:
        for row, column in starts.tolist():
            c, r = column - 1, row - 1
            follow.setdefault((c + start[0], r + start[1]), []).append((c + end[0], r + end[1]))

    add(np.argwhere(padded & ~np.roll(padded, 1, axis=0)), (0, 0), (1, 0))
    add(np.argwhere(padded & ~np.roll(padded, -1, axis=1)), (1, 0), (1, 1))
    add(np.argwhere(padded & ~np.roll(padded, -1, axis=0)), (1, 1), (0, 1))
    add(np.argwhere(padded & ~np.roll(padded, 1, axis=1)), (0, 1), (0, 0))
    loops = []
    while follow:
        start = min(follow)
        loop, here, came = [start], follow[start].pop(), start
        while here != start:
            loop.append(here)
            came, here = here, _next(follow[here], came, here)
        for point in loop:
            if point in follow and not follow[point]:
                del follow[point]
        loops.append(loop)
    return loops


def _next(choices: list[_Point], came: _Point, here: _Point) -> _Point:
    """Return the next edge; where two regions touch at a corner, the one to the right."""
    if len(choices) == 1:
        return choices.pop()
    step = (here[0] - came[0], here[1] - came[1])
    right = (here[0] - step[1], here[1] + step[0])
    choices.remove(right)
    return right


def _area(loop: list[_Point]) -> float:
    """Return the signed area, positive for a loop around a region, negative around a hole."""
    points = np.array(loop, dtype=np.float64)
    following = np.roll(points, -1, axis=0)
    return float((points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum() / 2)


def _cut_open(outer: list[list[_Point]], hole: list[_Point]) -> None:
    """Join a hole to the nearest border on its left; ``outer`` changes in place.

    Holes come from left to right, so that what lies on the left of one is joined already. The
    cut runs on a border between rows, where no pixel has its centre.
    """
    first = hole.index(min(hole))
    column, row = hole[first]
    best: tuple[int, int, int] | None = None
    for i, loop in enumerate(outer):
        for j, (c, r) in enumerate(loop):
            if r == row and c < column and (best is None or c > best[0]):
                best = (c, i, j)
    assert best is not None, "a hole lies inside a region"
    _, i, j = best
    there = outer[i][j]
    cut = [there, *hole[first:], *hole[: first + 1], there]
    outer[i][j : j + 1] = cut


def _straightened(loop: list[_Point]) -> list[_Point]:
    """Leave out corners on a straight line; one where the line turns back stays."""
    kept = []
    for k, (c, r) in enumerate(loop):
        before, after = loop[k - 1], loop[(k + 1) % len(loop)]
        came = (c - before[0], r - before[1])
        goes = (after[0] - c, after[1] - r)
        straight = came[0] * goes[1] == came[1] * goes[0]
        forward = came[0] * goes[0] + came[1] * goes[1] > 0
        if not (straight and forward):
            kept.append((c, r))
    return kept


SERIES_NUMBER = 803
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired; what RT Referenced Study Sequence still names."""
_COLOURS = {
    Label.BLOOD_POOL: (200, 60, 60),
    Label.MYOCARDIUM: (60, 180, 75),
    Label.SCAR: (255, 225, 25),
    Label.MVO: (67, 99, 216),
}


def build_structure_set(case: Case, origin: references.SourceImages, created: datetime) -> Dataset:
    """Build the contours of a case as RT Structure Set; same case and time, same bytes."""
    digest = content_hash(case, origin)
    tissues = tissues_in(case.labels)
    dataset = _heading(case, origin, created, digest)
    dataset.ReferencedFrameOfReferenceSequence = Items([_frame_of_reference(origin)])
    dataset.StructureSetROISequence = Items(
        [_region(n, one, case, origin) for n, one in enumerate(tissues, 1)]
    )
    dataset.ROIContourSequence = Items(
        [_contours(n, one, case, origin) for n, one in enumerate(tissues, 1)]
    )
    dataset.RTROIObservationsSequence = Items(
        [_observation(n, one) for n, one in enumerate(tissues, 1)]
    )
    return dataset


def _heading(
    case: Case, origin: references.SourceImages, created: datetime, digest: str
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    uid = UID(derived_uid(digest, "structure set"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    references.complete_dataset(dataset, origin, created)
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = derived_uid(digest, "structure set series")
    dataset.SeriesNumber = SERIES_NUMBER
    dataset.SeriesDescription = "LV and scar contours; research use only"
    dataset.OperatorsName = person_name(case.reader) or ""
    dataset.Manufacturer = references.MANUFACTURER
    dataset.ManufacturerModelName = references.MODEL
    dataset.DeviceSerialNumber = references.SERIAL
    dataset.SoftwareVersions = scarseg.__version__
    dataset.FrameOfReferenceUID = origin.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = 1
    dataset.StructureSetLabel = "LV_SCAR"
    dataset.StructureSetDescription = "; ".join(
        ["Left ventricle and scar on LGE; research use only"]
        + [f"{name}={value}" for name, value in model_text(case).items()]
    )
    dataset.StructureSetDate, dataset.StructureSetTime = references.date_and_time(created)
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _frame_of_reference(origin: references.SourceImages) -> Dataset:
    series = []
    for one in origin.referenced_series():
        item = Dataset()
        item.SeriesInstanceUID = one.SeriesInstanceUID
        item.ContourImageSequence = one.ReferencedInstanceSequence
        series.append(item)
    study = Dataset()
    study.ReferencedSOPClassUID = UID(_STUDY_CLASS)
    study.ReferencedSOPInstanceUID = UID(origin.subject.study_uid)
    study.RTReferencedSeriesSequence = Items(series)
    frame = Dataset()
    frame.FrameOfReferenceUID = origin.frame_of_reference_uid
    frame.RTReferencedStudySequence = Items([study])
    return frame


def _region(number: int, tissue: Tissue, case: Case, origin: references.SourceImages) -> Dataset:
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = origin.frame_of_reference_uid
    region.ROIName = tissue.name
    region.ROIDescription = tissue.explanation[:64]
    region.ROIGenerationAlgorithm = algorithm_type(case).value
    return region


def _contours(number: int, tissue: Tissue, case: Case, origin: references.SourceImages) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(_COLOURS[tissue.label])
    contours: list[Dataset] = []
    for k, mask in enumerate(tissue.mask(case.labels)):
        for polygon in pixel_outlines(mask):
            contour = Dataset()
            contour.ContourNumber = len(contours) + 1
            contour.ContourImageSequence = Items([origin.images[k].item()])
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(polygon)
            contour.ContourData = _patient_points(polygon, case.stack, k)
            contours.append(contour)
    if contours:
        item.ContourSequence = Items(contours)
    return item


def _patient_points(polygon: Polygon, stack: Stack, k: int) -> list[str]:
    """Return the corners in LPS mm as decimal strings; centres of pixels lie half a pixel in."""
    row_mm, column_mm = stack.pixel_spacing_mm
    points = (
        np.asarray(stack.origins_mm[k], dtype=np.float64)
        + np.outer((polygon[:, 0] - 0.5) * column_mm, stack.orientation[:3])
        + np.outer((polygon[:, 1] - 0.5) * row_mm, stack.orientation[3:])
    )
    return [f"{value:.4f}" for value in points.ravel().tolist()]


def _observation(number: int, tissue: Tissue) -> Dataset:
    identity = Dataset()
    identity.CodeValue = tissue.kind.value
    identity.CodingSchemeDesignator = tissue.kind.scheme_designator
    identity.CodeMeaning = tissue.kind.meaning
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIIdentificationCodeSequence = Items([identity])
    item.RTROIInterpretedType = "ORGAN"
    item.ROIInterpreter = ""
    return item
