"""A case -> DICOM Segmentation: binary, one segment each for pool, wall, scar and MVO.

Segments lie inside each other as the measures do: the wall contains scar and MVO, scar contains
MVO. So the volume of a segment is the volume the table reports. Empty segments are left out; a
case without any label keeps an empty scar segment on every slice, so that there is a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

import scarseg
from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.prompts import Origin as BoxOrigin
from scarseg.io.dicom import uids
from scarseg.io.dicom.uids import derived_uid
from scarseg.io.dicom_export import references

SERIES_NUMBER = 801
_TEXT_LIMIT = 64


@dataclass(frozen=True)
class Tissue:
    """One segment: its label, codes and voxels (slice, row, column)."""

    label: Label
    name: str
    explanation: str
    category: Code
    kind: Code
    region: Code
    colour: tuple[float, float, float]
    mask: Callable[[LabelArray], MaskArray]


TISSUES = (
    Tissue(
        Label.BLOOD_POOL,
        "LV blood pool",
        "Blood pool of the left ventricle",
        uids.SUBSTANCE,
        uids.BLOOD,
        uids.LEFT_VENTRICLE,
        (50.0, 60.0, 40.0),
        lambda labels: labels == Label.BLOOD_POOL,
    ),
    Tissue(
        Label.MYOCARDIUM,
        "LV myocardium",
        "Whole wall of the left ventricle, with scar and microvascular obstruction",
        uids.ANATOMY,
        uids.MYOCARDIUM,
        uids.LEFT_VENTRICLE,
        (65.0, -45.0, 45.0),
        wall_mask,
    ),
    Tissue(
        Label.SCAR,
        "LV scar",
        "Scar tissue in left ventricular myocardium, with microvascular obstruction",
        uids.ABNORMAL,
        uids.SCAR_TISSUE,
        uids.MYOCARDIUM,
        (85.0, -10.0, 80.0),
        infarct_mask,
    ),
    Tissue(
        Label.MVO,
        "LV microvascular obstruction",
        "Microvascular obstruction in left ventricular myocardium",
        uids.ABNORMAL,
        uids.MVO,
        uids.MYOCARDIUM,
        (45.0, 50.0, -60.0),
        lambda labels: labels == Label.MVO,
    ),
)
"""Tissues a case can hold, in the order of the segments."""


def tissues_in(labels: LabelArray) -> tuple[Tissue, ...]:
    """Return the tissues that become segments 1, 2, ...: those with voxels, scar if there is none.

    The wall needs myocardium that is no scar: where nobody drew a wall, scar alone is none.
    """
    present = tuple(one for one in TISSUES if bool((labels == one.label).any()))
    if not any(one.label is Label.SCAR for one in present) and bool(infarct_mask(labels).any()):
        present = tuple(one for one in TISSUES if one.label is Label.SCAR or one in present)
    return present or tuple(one for one in TISSUES if one.label is Label.SCAR)


def build_segmentation(
    case: Case, origin: references.SourceImages, created: datetime, label_map: bool = False
) -> Segmentation:
    """Build the segmentation of a case on the source grid.

    It belongs to the study and frame of reference of its images and refers to every one of them.
    The same case and time give the same bytes.

    Args:
        case: whose labels.
        origin: its images.
        created: goes into dates; UIDs come from the content alone.
    """
    tissues = tissues_in(case.labels)
    digest = content_hash(case, origin)
    date, time = references.date_and_time(created)
    algorithm = _algorithm(case)
    masks = np.stack([one.mask(case.labels) for one in tissues], axis=-1).astype(np.uint8)
    kind, what = SegmentationTypeValues.BINARY, "segmentation"
    if label_map:  # a voxel has one value: that of the innermost tissue
        kind, what = SegmentationTypeValues.LABELMAP, "label map"
        masks = np.max(masks * np.arange(1, len(tissues) + 1, dtype=np.uint8), axis=-1)
    dataset = Segmentation(
        source_images=references.slice_headers(case.stack, origin),
        pixel_array=masks,
        segmentation_type=kind,
        segment_descriptions=[
            _describe(number, tissue, case, algorithm, digest)
            for number, tissue in enumerate(tissues, 1)
        ],
        series_instance_uid=derived_uid(digest, f"{what} series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid(digest, what),
        instance_number=1,
        manufacturer=references.MANUFACTURER,
        manufacturer_model_name=references.MODEL,
        software_versions=scarseg.__version__,
        device_serial_number=references.SERIAL,
        omit_empty_frames=bool(masks.any()),
        content_label="LV_SCAR",
        content_description="Left ventricle and scar on LGE; research use only",
        content_creator_name=person_name(case.reader),
        series_description="LV and scar segmentation; research use only",
        content_date=date,
        content_time=time,
        specific_character_set="ISO_IR 192",
    )
    dataset.ReferencedSeriesSequence = origin.referenced_series()
    references.complete_dataset(dataset, origin, created)
    references.replace_uids(dataset, "DimensionOrganizationUID", derived_uid(digest, "dimension"))
    return dataset


def algorithm_type(case: Case) -> SegmentAlgorithmTypeValues:
    """Return how the labels were made.

    MANUAL without a model; SEMIAUTOMATIC once a reader prompted or edited any slice;
    AUTOMATIC for proposals left as they were, accepted ones included.
    """
    if not case.segmenter.name:
        return SegmentAlgorithmTypeValues.MANUAL
    touched = any(
        reading.edited
        or reading.prompts.points
        or reading.prompts.no_scar
        or reading.prompts.has_heart_prompts
        or any(box.origin is BoxOrigin.READER for box in reading.prompts.boxes)
        or (
            reading.prompts.lv_box is not None and reading.prompts.lv_box.origin is BoxOrigin.READER
        )
        for reading in case.readings
    )
    return (
        SegmentAlgorithmTypeValues.SEMIAUTOMATIC
        if touched
        else SegmentAlgorithmTypeValues.AUTOMATIC
    )


def person_name(reader: str) -> str | None:
    """Return a reader's name as DICOM takes it, None where there is none."""
    text = "".join(" " if letter in "\\=^" else letter for letter in reader).strip()
    return f"{text[:_TEXT_LIMIT]}^" if text else None


def model_text(case: Case) -> dict[str, str]:
    """Return the models used for a case and the sha256 of their weights."""
    found: dict[str, str] = {}
    for role, one in (("segmenter", case.segmenter), ("detector", case.detector)):
        if one.name:
            found[role] = one.name
            found[f"{role}_sha256"] = one.sha256
            found[f"{role}_verified"] = "yes" if one.verified else "no"
    if case.calibration is not None:
        found["calibration_sha256"] = case.calibration.sha256
    return found


def _algorithm(case: Case) -> AlgorithmIdentificationSequence | None:
    if not case.segmenter.name:
        return None
    return AlgorithmIdentificationSequence(
        name=case.segmenter.name[:_TEXT_LIMIT],
        family=codes.DCM.ArtificialIntelligence,
        version=case.segmenter.sha256[:_TEXT_LIMIT] or "unknown",
        source=f"scarseg {scarseg.__version__}",
        parameters=model_text(case),
    )


def _describe(
    number: int,
    tissue: Tissue,
    case: Case,
    algorithm: AlgorithmIdentificationSequence | None,
    digest: str,
) -> SegmentDescription:
    description = SegmentDescription(
        segment_number=number,
        segment_label=tissue.name,
        segmented_property_category=tissue.category,
        segmented_property_type=tissue.kind,
        algorithm_type=algorithm_type(case),
        algorithm_identification=algorithm,
        tracking_uid=derived_uid(digest, tissue.name),
        tracking_id=tissue.name,
        anatomic_regions=[tissue.region],
        display_color=CIELabColor(*tissue.colour),
    )
    description.SegmentDescription = tissue.explanation
    return description


def content_hash(case: Case, origin: references.SourceImages) -> str:
    """Return the hash of labels, sources and provenance: the UIDs of what is derived come from it.

    No time is in it: the same content has the same UIDs, whenever it is written.
    """
    content = (
        scarseg.__version__,
        case.stack.stack_id,
        origin,
        case.reader,
        algorithm_type(case).value,
        sorted(model_text(case).items()),
    )
    labels = np.ascontiguousarray(case.labels, dtype=np.uint8)
    return hashlib.sha256(repr(content).encode() + labels.tobytes()).hexdigest()
