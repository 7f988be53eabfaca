"""The images a derived DICOM object comes from: their UIDs, and whose they are.

Everything that is written names its patient by pseudonym unless asked otherwise. UIDs, study date
and frame of reference stay: without them the object could not find its images. One that is to be
filed beside its images in an archive needs the patient as the archive knows them (``identify``).
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from scarseg.case.stack import Stack
from scarseg.errors import InputError
from scarseg.io.dicom import values
from scarseg.io.dicom.elements import Elements
from scarseg.io.dicom.sources.inputs import Source, SourceReader
from scarseg.io.dicom.types import StackSummary
from scarseg.io.dicom.uids import (
    IMPLEMENTATION_NAME,
    IMPLEMENTATION_UID,
    decimal_string,
    derived_uid,
)
from scarseg.io.tables.pseudonyms import pseudonym

MANUFACTURER = "scarseg"
MODEL = "scarseg"
SERIAL = "0"
DEIDENTIFIED = "scarseg: patient by pseudonym; UIDs and dates kept"

_CLASS, _SOP, _SERIES, _FRAME_OF_REFERENCE = 0x00080016, 0x00080018, 0x0020000E, 0x00200052
_TIME, _ACCESSION, _PHYSICIAN, _STUDY_ID = 0x00080030, 0x00080050, 0x00080090, 0x00200010
_BIRTH, _SEX, _CHARACTERS = 0x00100030, 0x00100040, 0x00080005
_NAME, _ID, _ISSUER, _STUDY_TEXT = 0x00100010, 0x00100020, 0x00100021, 0x00081030
_VERBATIM = {
    _ACCESSION: ("SH", 16),
    _PHYSICIAN: ("PN", 5 * 64),
    _STUDY_TEXT: ("LO", 64),
    _NAME: ("PN", 5 * 64),
    _ID: ("LO", 64),
    _ISSUER: ("LO", 64),
    _STUDY_ID: ("SH", 16),
}
"""What an archive files by, with its VR and most characters: copied byte for byte."""
_TAGS = (
    *(_NAME, _ID, _ISSUER, _STUDY_TEXT),
    *(_CLASS, _SOP, _SERIES, _FRAME_OF_REFERENCE, _TIME, _ACCESSION, _PHYSICIAN, _STUDY_ID),
    *(_BIRTH, _SEX, _CHARACTERS),
)
UNREADABLE = (
    *(InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError),
    *(NotImplementedError, struct.error, IndexError),
)
"""Exceptions that pydicom raises on files that are no whole DICOM."""
_TIME_TEXT = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", re.ASCII)


@dataclass(frozen=True)
class PatientStudy:
    """Patient and study as a derived object names them; never shown in a log."""

    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    study_uid: str
    study_date: str
    study_time: str
    study_id: str
    accession_number: str
    physician: str
    pseudonymous: bool
    issuer: str = ""
    study_description: str = ""
    characters: tuple[str, ...] = ("ISO_IR 192",)
    verbatim: tuple[tuple[int, bytes], ...] = ()
    """Elements as the images have them, in ``characters``; empty where they are not sound."""

    def apply_to(self, dataset: Dataset) -> None:
        """Write patient and study into a data set; :func:`encode` writes what is verbatim."""
        dataset.SpecificCharacterSet = list(self.characters)
        if self.issuer:
            dataset.IssuerOfPatientID = _one_value(self.issuer, 64)
        if self.study_description:
            dataset.StudyDescription = _one_value(self.study_description, 64)
        dataset.PatientID = _one_value(self.patient_id, 64)
        dataset.PatientName = _one_value(self.patient_name, 5 * 64)
        dataset.PatientBirthDate = self.birth_date
        dataset.PatientSex = self.sex
        dataset.StudyInstanceUID = self.study_uid
        dataset.StudyDate = self.study_date
        dataset.StudyTime = self.study_time
        dataset.StudyID = _one_value(self.study_id, 16)
        dataset.AccessionNumber = _one_value(self.accession_number, 16)
        dataset.ReferringPhysicianName = _one_value(self.physician, 5 * 64)
        if self.pseudonymous:
            dataset.PatientIdentityRemoved = "YES"
            dataset.DeidentificationMethod = DEIDENTIFIED
            dataset.LongitudinalTemporalInformationModified = "UNMODIFIED"


@dataclass(frozen=True)
class ImageReference:
    """One slice as other objects point to it; ``frame`` 1-based, None for a classic file."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    frame: int | None

    def item(self) -> Dataset:
        """Return the item of a reference sequence."""
        item = Dataset()
        item.ReferencedSOPClassUID = UID(self.sop_class_uid)
        item.ReferencedSOPInstanceUID = UID(self.sop_instance_uid)
        if self.frame is not None:
            item.ReferencedFrameNumber = self.frame
        return item


@dataclass(frozen=True)
class SourceImages:
    """Source images of a derived object: subject, frame of reference, one image per slice."""

    subject: PatientStudy
    frame_of_reference_uid: str
    images: tuple[ImageReference, ...]

    def instances(self) -> tuple[ImageReference, ...]:
        """Return every source file once, whatever number of frames it has."""
        return tuple(
            {one.sop_instance_uid: replace(one, frame=None) for one in self.images}.values()
        )

    def referenced_series(self) -> Items:
        """Return the Referenced Series Sequence."""
        by_series: dict[str, list[Dataset]] = {}
        for one in self.instances():
            by_series.setdefault(one.series_uid, []).append(one.item())
        items = []
        for uid, instances in by_series.items():
            item = Dataset()
            item.SeriesInstanceUID = UID(uid)
            item.ReferencedInstanceSequence = Items(instances)
            items.append(item)
        return Items(items)


def read_source_images(summary: StackSummary, stack: Stack, identify: bool = False) -> SourceImages:
    """Open the source files of a stack again and read what derived objects need of them.

    Args:
        summary: the stack as ``scan`` found it, with the paths of its files.
        stack: the same stack with its pixels.
        identify: name the patient as the files do, instead of by pseudonym.

    Raises:
        InputError: E_SOURCE_CHANGED, a file is not the one that was read; E_INPUT_UNREADABLE.
    """
    place = {(one.sop_uid, one.number): one.source for one in summary.frames}
    headers: dict[Source, Elements] = {}
    images = []
    with SourceReader() as reader:
        for one in stack.sources:
            source = place.get((one.sop_instance_uid, one.frame))
            if source is None:
                raise _changed("The stack is not the one these files hold.", summary.stack_id)
            if source not in headers:
                headers[source] = _read(reader, source, one.sha256)
            header = headers[source]
            if values.uid(header, _SOP) not in ("", one.sop_instance_uid):
                raise _changed("The file holds another image now.", source.name)
            class_uid = values.uid(header, _CLASS) or MRImageStorage
            series_uid = values.uid(header, _SERIES) or stack.series_uid
            images.append(ImageReference(class_uid, one.sop_instance_uid, series_uid, one.frame))
    first = next(iter(headers.values()))
    return SourceImages(
        _patient_study(first, stack, identify),
        values.uid(first, _FRAME_OF_REFERENCE)
        or derived_uid(stack.series_uid, "frame of reference"),
        tuple(images),
    )


def slice_headers(stack: Stack, origin: SourceImages) -> list[Dataset]:
    """Return one plain MR header per slice, base to apex, with the stack's own geometry.

    Made for highdicom, which wants headers: only what was read and checked goes in. Frames of a
    multi-frame file get a UID of their own here: :func:`complete_dataset` puts the true ones back.
    """
    return [_slice_header(stack, origin, k) for k in range(stack.n_slices)]


def _slice_header(stack: Stack, origin: SourceImages, k: int) -> Dataset:
    dataset = Dataset()
    origin.subject.apply_to(dataset)
    dataset.PatientName = "^"  # highdicom warns of names that real archives hold
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = _frame_uid(origin.images[k])
    dataset.SeriesInstanceUID = stack.series_uid
    dataset.Modality = "MR"
    dataset.FrameOfReferenceUID = origin.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    dataset.Rows, dataset.Columns = stack.rows, stack.columns
    dataset.PixelSpacing = [decimal_string(v) for v in stack.pixel_spacing_mm]
    dataset.SliceThickness = decimal_string(stack.slice_thickness_mm)
    spacing = stack.slice_spacing_mm or stack.spacing_between_slices_mm
    if spacing is not None:
        dataset.SpacingBetweenSlices = decimal_string(spacing)
    dataset.ImageOrientationPatient = [decimal_string(v) for v in stack.orientation]
    dataset.ImagePositionPatient = [decimal_string(v) for v in stack.origins_mm[k]]
    return dataset


def _frame_uid(image: ImageReference) -> str:
    """Return the UID a slice goes by until :func:`point_to_sources`."""
    if image.frame is None:
        return image.sop_instance_uid
    return derived_uid(image.sop_instance_uid, "frame", image.frame)


def complete_dataset(dataset: Dataset, origin: SourceImages, created: datetime) -> None:
    """Add subject, true references and UTC dates to what highdicom made of the slice headers."""
    origin.subject.apply_to(dataset)
    true = {_frame_uid(one): one for one in origin.images}
    found: list[tuple[Dataset, ImageReference]] = []

    def look(item: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and element.value in true:
            found.append((item, true[element.value]))

    dataset.walk(look)
    for item, image in found:
        item.ReferencedSOPClassUID = UID(image.sop_class_uid)
        item.ReferencedSOPInstanceUID = UID(image.sop_instance_uid)
        if image.frame is not None:
            item.ReferencedFrameNumber = image.frame
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date_and_time(created)
    dataset.TimezoneOffsetFromUTC = "+0000"
    for equipment in dataset.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = "".join(date_and_time(created)) + "+0000"


def date_and_time(created: datetime) -> tuple[str, str]:
    """Return a time as DICOM date and time in UTC, to the second."""
    when = created.astimezone(UTC)
    return when.strftime("%Y%m%d"), when.strftime("%H%M%S")


def encode(dataset: Dataset, patient: PatientStudy) -> bytes:
    """Return the bytes of a file, explicit little endian, naming this program as its writer.

    What identifies the patient in an archive is copied byte for byte. Own text that the images'
    character set may not hold turns the whole into UTF-8, with the same text in other bytes.
    """
    meta = dataset.file_meta
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    verbatim = dict(patient.verbatim)
    if not _is_ascii(dataset, set(verbatim)):
        dataset.SpecificCharacterSet, verbatim = "ISO_IR 192", {}
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return _with_values(buffer.getvalue(), verbatim)


def _with_values(data: bytes, values_by_tag: dict[int, bytes]) -> bytes:
    """Return an explicit little endian file with other values of some short text elements.

    pydicom decodes and encodes every text that it writes, and so loses blanks and escapes.
    """
    written = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=list(values_by_tag))
    found: list[Any] = [written.get_item(tag) for tag in values_by_tag if tag in written]
    result = bytearray(data)
    for element in sorted(found, key=lambda one: -one.value_tell):
        value = values_by_tag[int(element.tag)]
        value += b" " * (len(value) % 2)
        start = element.value_tell
        result[start - 2 : start + element.length] = struct.pack("<H", len(value)) + value
    return bytes(result)


def _is_ascii(dataset: Dataset, without: set[int]) -> bool:
    """Return whether all text but that of some elements is ASCII."""
    return all(
        str(element.value).isascii()
        for element in dataset.iterall()
        if element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT") and element.tag not in without
    )


def replace_uids(dataset: Dataset, keyword: str, uid: str) -> None:
    """Replace every value of a keyword by one UID, at any depth."""

    def change(_: Dataset, element: DataElement) -> None:
        if element.keyword == keyword:
            element.value = UID(uid)

    dataset.walk(change)


def _read(reader: SourceReader, source: Source, sha256: str) -> Elements:
    with reader.open(source) as (stream, _):
        data = stream.read()
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise _changed("The file has changed since it was read.", source.name)
    try:
        found = dcmread(
            BytesIO(data), stop_before_pixels=True, force=True, specific_tags=list(_TAGS)
        )
        elements = Elements()
        for tag in _TAGS:
            element: DataElement | RawDataElement | None = found.get_item(tag)
            if element is not None:
                elements.values[tag] = (b"", _raw(element.value))
    except UNREADABLE as error:
        raise _changed("The header cannot be read again.", source.name) from error
    return elements


def _date(text: str) -> str:
    """Return a date that exists, else nothing: real archives hold 20120000."""
    try:
        known = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a date alone
    except ValueError:
        return ""
    return text if len(text) == 8 and known.year >= 1000 else ""


def _one_value(text: str, limit: int) -> str:
    """Return text as one value: a backslash would separate two."""
    return text.replace("\\", " ").strip()[:limit]


def _raw(value: object) -> bytes:
    """Return a value as bytes again where pydicom has parsed it on the way."""
    if isinstance(value, bytes):
        return value
    parts = value if isinstance(value, MultiValue) else [value]
    return "\\".join("" if one is None else str(one) for one in parts).encode("utf-8", "replace")


def _changed(message: str, path: str) -> InputError:
    return InputError("E_SOURCE_CHANGED", f"{message} Open the images again.", path)


def _patient_study(header: Elements, stack: Stack, identify: bool) -> PatientStudy:
    def given(tag: int) -> str:
        return values.text(header, tag) if identify else ""

    time, sex = given(_TIME), given(_SEX).upper()
    name = pseudonym(stack.patient_id)
    patient = PatientStudy(
        patient_id=stack.patient_id if identify else name,
        patient_name=stack.patient_name if identify else f"{name}^" if name else "",
        birth_date=_date(given(_BIRTH)),
        sex=sex if sex in ("M", "F", "O") else "",
        study_uid=stack.study_uid,
        study_date=_date(stack.study_date),
        study_time=time if _TIME_TEXT.fullmatch(time) else "",
        study_id=given(_STUDY_ID),
        accession_number=given(_ACCESSION),
        physician=given(_PHYSICIAN),
        pseudonymous=not identify,
        issuer=given(_ISSUER),
        study_description=given(_STUDY_TEXT),
    )
    return _with_verbatim(patient, header) if identify else patient


def _with_verbatim(patient: PatientStudy, header: Elements) -> PatientStudy:
    """Add the elements of the images as they are, if every one is sound in their character set."""
    _, raw = header.values.get(_CHARACTERS, (b"", b""))
    terms = tuple(one.strip() for one in raw.decode("ascii", "replace").strip("\0 ").split("\\"))
    if any(term not in python_encoding for term in terms):
        return patient
    encodings = convert_encodings(list(terms))
    verbatim = []
    for tag, (vr, most) in _VERBATIM.items():
        _, data = header.values.get(tag, (b"", b""))
        if not data:
            continue
        delimiters = {ord("^"), ord("=")} if vr == "PN" else set[int]()
        try:
            text = decode_bytes(data, encodings, delimiters)
        except (UnicodeError, LookupError, ValueError):
            return patient
        sound = (
            text.rstrip("\0 ").isprintable()
            and "\\" not in text
            and "\N{REPLACEMENT CHARACTER}" not in text
        )
        if not sound or len(text.rstrip("\0 ")) > most:
            return patient
        verbatim.append((tag, bytes(data)))
    # Images that name no character set hold ASCII, which reads the same in UTF-8.
    characters = terms if any(terms) else patient.characters
    return replace(patient, characters=characters, verbatim=tuple(verbatim))
