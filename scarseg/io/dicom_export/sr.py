"""Measurements -> DICOM structured report: Comprehensive 3D SR, TID 1500 Measurement Report.

One measurement group each for wall, scar and MVO, pointing to its segment and the images. Masses
stand in both conventions, each under the name of its own; numbers are those of the table, to the
last digit (Floating Point Value), in UCUM g, ml and %.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from highdicom.seg import Segmentation
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

import scarseg
from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention, Measurements
from scarseg.io.dicom import uids
from scarseg.io.dicom.uids import derived_uid
from scarseg.io.dicom_export import references
from scarseg.io.dicom_export.seg import TISSUES, Tissue, model_text, person_name
from scarseg.io.tables.provenance import RESEARCH_USE, labels_sha256, reading_times
from scarseg.io.tables.table import export_status, reading_method

SERIES_NUMBER = 802
_DEPTHS = {
    MassConvention.THICKNESS: uids.BY_THICKNESS,
    MassConvention.SPACING: uids.BY_SPACING,
}
_LV_MASS: Code = codes.LN.LeftVentricleMass

_Group: TypeAlias = (
    VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True)
class _Document:
    """Inputs that every part of one report needs."""

    case: Case
    measured: Measurements
    origin: references.SourceImages
    segmentation: Segmentation | None
    digest: str


def build_report(
    case: Case,
    measured: Measurements,
    origin: references.SourceImages,
    segmentation: Segmentation | None,
    created: datetime,
) -> Comprehensive3DSR:
    """Build the report with the numbers of a case.

    Partial until every slice was read, never verified: that is a reader's to do in the archive.

    Args:
        case: the reading.
        measured: of the same case.
        origin: its images.
        segmentation: of the same case; None: groups refer to the images alone.
        created: goes into dates; UIDs come from the content alone.
    """
    digest = _digest(case, measured, origin, segmentation)
    document = _Document(case, measured, origin, segmentation, digest)
    date, time = references.date_and_time(created)
    content = MeasurementReport(
        observation_context=_context(case, digest),
        procedure_reported=uids.MRI,
        imaging_measurements=_groups(document),
    )
    dataset = Comprehensive3DSR(
        evidence=_evidence(document),
        content=content[0],
        series_instance_uid=derived_uid(digest, "report series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid(digest, "report"),
        instance_number=1,
        manufacturer=references.MANUFACTURER,
        is_complete=export_status(case) == "read",
        manufacturer_model_name=references.MODEL,
        software_versions=scarseg.__version__,
        device_serial_number=references.SERIAL,
        series_description="Scar mass on LGE; research use only",
        content_date=date,
        content_time=time,
        specific_character_set="ISO_IR 192",
    )
    references.complete_dataset(dataset, origin, created)
    return dataset


def _groups(document: _Document) -> list[_Group]:
    measured, chosen = document.measured, document.measured.convention
    wall, scar, mvo = (_tissue(one) for one in (Label.MYOCARDIUM, Label.SCAR, Label.MVO))
    groups = []
    if measured.lv_mass_thickness_g is not None and measured.lv_mass_spacing_g is not None:
        both = (measured.lv_mass_thickness_g, measured.lv_mass_spacing_g)
        groups.append(_group(document, wall, _masses(_LV_MASS, both)))
    if not measured.examined:
        return groups  # nothing is known of scar: 0 g would be a finding
    numbers = _masses(uids.MASS, (measured.scar_mass_thickness_g, measured.scar_mass_spacing_g))
    numbers.append(_number(uids.VOLUME, measured.scar_volume_ml, uids.MILLILITRE, _DEPTHS[chosen]))
    if measured.scar_percent_lv is not None:
        numbers.append(
            _number(uids.SHARE_OF_LV, measured.scar_percent_lv, uids.PERCENT, _DEPTHS[chosen])
        )
    groups.append(_group(document, scar, numbers))
    by_thickness, by_spacing = measured.mvo_mass_thickness_g, measured.mvo_mass_spacing_g
    if by_thickness is not None and by_spacing is not None:
        both = (by_thickness, by_spacing)
        groups.append(_group(document, mvo, _masses(uids.MASS, both)))
    return groups


def _tissue(label: Label) -> Tissue:
    return next(one for one in TISSUES if one.label is label)


def _masses(name: Code, both: tuple[float, float]) -> list[Measurement]:
    return [
        _number(name, value, uids.GRAM, depth)
        for value, depth in zip(both, (uids.BY_THICKNESS, uids.BY_SPACING), strict=True)
    ]


def _number(name: Code, value: float, unit: Code, depth: Code) -> Measurement:
    return Measurement(name=name, value=float(value), unit=unit, method=depth)


def _group(document: _Document, tissue: Tissue, numbers: Sequence[Measurement]) -> _Group:
    """Build one measurement group.

    It points to its segment; where there is no scar, to the wall in which none was found.
    """
    case, segmentation = document.case, document.segmentation
    known = list(segmentation.SegmentSequence) if segmentation is not None else []
    by_name = {str(one.SegmentLabel): one for one in known}
    own = by_name.get(tissue.name)
    segment = own or by_name.get(_tissue(Label.MYOCARDIUM).name) or next(iter(known), None)
    tracking = TrackingIdentifier(
        uid=derived_uid(document.digest, tissue.name) if own is None else own.TrackingUID,
        identifier=tissue.name,
    )
    shared = {
        "tracking_identifier": tracking,
        "finding_type": tissue.kind,
        "finding_sites": [FindingSite(anatomic_location=tissue.region)],
        "algorithm_id": AlgorithmIdentification(
            name="scarseg", version=scarseg.__version__, parameters=_parameters(document)
        ),
        "measurements": list(numbers),
    }
    if segmentation is None or segment is None:
        images = _image_items(document.origin, SourceImageForMeasurementGroup)
        group: _Group = MeasurementsAndQualitativeEvaluations(**shared, source_images=images)
    else:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            **shared,
            referenced_segment=ReferencedSegment(
                SegmentationStorage,
                segmentation.SOPInstanceUID,
                int(segment.SegmentNumber),
                source_images=_image_items(document.origin, SourceImageForSegmentation),
            ),
        )
    group[0].ContentSequence.append(
        TextContentItem(
            name=CodedConcept("121106", "DCM", "Comment"),
            value=_comment(case, document.measured),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
    )
    return group


def _image_items(
    origin: references.SourceImages,
    kind: type[SourceImageForSegmentation] | type[SourceImageForMeasurementGroup],
) -> list[SourceImageForSegmentation | SourceImageForMeasurementGroup]:
    """Point to every file once, to its frames where it has some."""
    items = []
    for one in origin.instances():
        frames = [
            image.frame
            for image in origin.images
            if image.sop_instance_uid == one.sop_instance_uid and image.frame is not None
        ]
        items.append(kind(one.sop_class_uid, one.sop_instance_uid, sorted(frames) or None))
    return items


def _parameters(document: _Document) -> list[str]:
    """Return the parameters of the measurement, each as ``name=value``."""
    stack, measured = document.case.stack, document.measured
    settings = {
        **model_text(document.case),
        "method": reading_method(document.case),
        "density_g_per_ml": repr(measured.density_g_per_ml),
        "mass_convention": str(measured.convention),
        "slice_thickness_mm": repr(stack.slice_thickness_mm),
        "slice_thickness_source": "user" if stack.thickness_from_user else "header",
        "labels_sha256": labels_sha256(document.case),
    }
    times = reading_times(document.case)
    if times is not None:
        first, last = (time.isoformat(timespec="seconds") for time in times)
        settings |= {"read_from_utc": first, "read_until_utc": last}
    return [f"{name}={value}" for name, value in settings.items()]


def _comment(case: Case, measured: Measurements) -> str:
    text = (
        f"{RESEARCH_USE} Headline mass: convention {measured.convention}. "
        f"Reading {export_status(case)}: {measured.n_slices_reviewed} of {measured.n_slices} "
        f"slices reviewed."
    )
    return f"{text} Warnings: {' '.join(measured.warnings)}." if measured.warnings else text


def _context(case: Case, digest: str) -> ObservationContext:
    device = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=derived_uid("device", references.MODEL, scarseg.__version__),
            name=f"scarseg {scarseg.__version__}",
            manufacturer_name=references.MANUFACTURER,
            model_name=references.MODEL,
            serial_number=references.SERIAL,
        ),
    )
    reader = person_name(case.reader)
    if reader is None:
        return ObservationContext(observer_device_context=device)
    person = ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=reader),
    )
    return ObservationContext(observer_person_context=person, observer_device_context=device)


def _evidence(document: _Document) -> list[Dataset]:
    """Build a header of every instance the report refers to, as highdicom expects them."""
    origin, made = document.origin, document.segmentation
    pointed = [
        (one.sop_class_uid, one.sop_instance_uid, one.series_uid) for one in origin.instances()
    ]
    if made is not None:
        pointed.append((made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID))
    headers = []
    for class_uid, instance_uid, series_uid in pointed:
        header = references.slice_headers(document.case.stack, origin)[0]
        header.SOPClassUID, header.SOPInstanceUID = class_uid, instance_uid
        header.SeriesInstanceUID = series_uid
        headers.append(header)
    return headers


def _digest(
    case: Case,
    measured: Measurements,
    origin: references.SourceImages,
    segmentation: Segmentation | None,
) -> str:
    """Hash what makes a report this one; its UIDs come from it."""
    settings = (
        scarseg.__version__,
        measured,
        origin,
        case.reader,
        export_status(case),
        reading_method(case),
        sorted(model_text(case).items()),
        None if segmentation is None else segmentation.SOPInstanceUID,
    )
    return hashlib.sha256(repr(settings).encode()).hexdigest()
