"""A case -> RT Structure Set: contours along pixel borders, one ROI each as in the segmentation.

Regions lie inside each other as the segments of ``dicom_seg`` do. A ring is one closed contour
with a keyhole of no width to its hole: readers that fill by the even-odd or the non-zero rule
find the same voxels. Contours lie in the plane of their image, on borders, not through centres.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, RTStructureSetStorage

import scarseg
from scarseg.case import Case
from scarseg.io import dicom_sources as sources
from scarseg.io.contours import Polygon, outlines
from scarseg.io.dicom_report import StackSummary
from scarseg.io.dicom_seg import (
    Tissue,
    algorithm_type,
    content_hash,
    model_text,
    person_name,
    tissues_in,
)
from scarseg.io.outputs import write_whole
from scarseg.io.uids import derived_uid
from scarseg.labels import Label
from scarseg.stack import Stack

SERIES_NUMBER = 803
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired; what RT Referenced Study Sequence still names."""
_COLOURS = {
    Label.BLOOD_POOL: (200, 60, 60),
    Label.MYOCARDIUM: (60, 180, 75),
    Label.SCAR: (255, 225, 25),
    Label.MVO: (67, 99, 216),
}


def write_contours(
    path: Path,
    case: Case,
    summary: StackSummary,
    *,
    identify: bool = False,
    created: datetime | None = None,
    force: bool = False,
) -> Dataset:
    """Write the contours of a case as RT Structure Set and give what was written.

    The same case and time give the same bytes. Arguments as of ``write_segmentation``.

    Raises:
        InputError: E_SOURCE_CHANGED, E_INPUT_UNREADABLE.
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    origin = sources.read_origin(summary, case.stack, identify)
    dataset = structure_set(case, origin, created or datetime.now(UTC))
    write_whole(path, sources.encode(dataset), force)
    return dataset


def structure_set(case: Case, origin: sources.Origin, created: datetime) -> Dataset:
    """Make the data set of a structure set; see :func:`write_contours`."""
    digest = content_hash(case, origin, created)
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


def _heading(case: Case, origin: sources.Origin, created: datetime, digest: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    uid = UID(derived_uid(digest, "structure set"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    sources.complete(dataset, origin, created)
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = derived_uid(digest, "structure set series")
    dataset.SeriesNumber = SERIES_NUMBER
    dataset.SeriesDescription = "LV and scar contours; research use only"
    dataset.OperatorsName = person_name(case.reader) or ""
    dataset.Manufacturer = sources.MANUFACTURER
    dataset.ManufacturerModelName = sources.MODEL
    dataset.DeviceSerialNumber = sources.SERIAL
    dataset.SoftwareVersions = scarseg.__version__
    dataset.FrameOfReferenceUID = origin.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = 1
    dataset.StructureSetLabel = "LV_SCAR"
    dataset.StructureSetDescription = "; ".join(
        ["Left ventricle and scar on LGE; research use only"]
        + [f"{name}={value}" for name, value in model_text(case).items()]
    )
    dataset.StructureSetDate, dataset.StructureSetTime = sources.date_and_time(created)
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _frame_of_reference(origin: sources.Origin) -> Dataset:
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


def _region(number: int, tissue: Tissue, case: Case, origin: sources.Origin) -> Dataset:
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = origin.frame_of_reference_uid
    region.ROIName = tissue.name
    region.ROIDescription = tissue.explanation[:64]
    region.ROIGenerationAlgorithm = algorithm_type(case).value
    return region


def _contours(number: int, tissue: Tissue, case: Case, origin: sources.Origin) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(_COLOURS[tissue.label])
    contours: list[Dataset] = []
    for k, mask in enumerate(tissue.mask(case.labels)):
        for polygon in outlines(mask):
            contour = Dataset()
            contour.ContourNumber = len(contours) + 1
            contour.ContourImageSequence = Items([origin.images[k].item()])
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(polygon)
            contour.ContourData = _places(polygon, case.stack, k)
            contours.append(contour)
    if contours:
        item.ContourSequence = Items(contours)
    return item


def _places(polygon: Polygon, stack: Stack, k: int) -> list[str]:
    """Give the corners in LPS mm as decimal strings; centres of pixels lie half a pixel in."""
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
