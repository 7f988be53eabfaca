"""Read from a header whose image a file is, which series it belongs to, and its frames.

One patient ID with two names, birth dates or sexes is two patients until somebody checks.
"""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydicom._uid_dict import UID_dictionary

from scarseg.case.patient import Patient, count_values
from scarseg.errors import InputError, ScarsegError
from scarseg.io.dicom import values
from scarseg.io.dicom.elements import Elements
from scarseg.io.dicom.frames import read_frames
from scarseg.io.dicom.kinds import frame_kind, vendor_kind
from scarseg.io.dicom.parser import Header
from scarseg.io.dicom.series_words import plain
from scarseg.io.dicom.sources.inputs import Source
from scarseg.io.dicom.types import Frame, ImageKind

ENHANCED_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    }
)
CLASSIC_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"})

GAUSS_PER_TESLA = 10_000
_HIGHEST_TESLA = 100  # above it a number can only be gauss


class NotAnImageError(Exception):
    """DICOM, but no image plane that could belong to a stack; the file is skipped.

    ``reason`` is set where the file holds pixels all the same, ``series_uid`` their series.
    """

    def __init__(self, class_name: str, reason: str = "", series_uid: str = "") -> None:
        super().__init__(class_name)
        self.reason = reason
        self.series_uid = series_uid


@dataclass(frozen=True)
class ImageFile:
    """One file: its patient, study and series, and its frames.

    ``error`` is why the file is refused; ``damage`` is set where it ends too early, and
    then ``frames`` holds only what is known. ``own_series_uid`` is set where every slice of a stack
    came as a series of its own (and ``own_study`` as a study): its series UID before it was
    joined. ``concatenation`` is UID, number and total (0: not given) of a part of a multi-frame
    image.
    """

    source: Source
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    patient_name: str
    study_date: str
    modality: str
    description: str
    protocol: str
    sequence_name: str
    body_part: str
    series_number: int | None
    contrast: bool
    cardiac_images: int | None
    lossy: bool
    frame_of_reference: str = ""
    kind: ImageKind | None = None
    frames: tuple[Frame, ...] = field(default=())
    error: ScarsegError | None = None
    damage: str = ""
    own_series_uid: str = ""
    own_study: bool = False
    concatenation: tuple[str, int, int] | None = None
    manufacturer: str = ""
    model_name: str = ""
    field_strength_t: float | None = None
    birth_date: str = field(default="", repr=False)
    sex: str = ""

    @property
    def patient(self) -> Patient:
        """Whose image it is, for comparison."""
        return Patient(
            self.patient_id.strip(), name_key(self.patient_name), self.birth_date, self.sex
        )


def read_image(header: Header, source: Source) -> ImageFile:
    """Return the image file of a header, with its frames.

    Raises:
        NotAnImageError: no MR or CT image plane.
        InputError: ``E_HEADER``: it does not say which image or series it is.
    """
    root = header.elements
    sop_class = values.uid(root, 0x00080016) or values.uid(root, 0x00020002)
    enhanced = sop_class in ENHANCED_CLASSES
    _check_is_image(root, sop_class, header)
    image = _describe(root, source)
    if not (image.sop_uid and image.series_uid and image.study_uid):
        if header.damage or header.pixel_offset < 0:
            why = header.damage or "the file ends before the pixel data"
            raise InputError("E_TRUNCATED", f"The header is damaged: {why}.", source.name)
        raise InputError(
            "E_HEADER",
            "SOPInstanceUID, SeriesInstanceUID or StudyInstanceUID is missing or no UID.",
            source.name,
        )
    if header.damage:
        return replace(image, damage=f"the header is damaged: {header.damage}")
    try:
        return replace(image, frames=read_frames(header, source, image.sop_uid, enhanced=enhanced))
    except ScarsegError as error:
        error.path = source.name
        return replace(image, error=error)


def _check_is_image(root: Elements, sop_class: str, header: Header) -> None:
    if sop_class not in ENHANCED_CLASSES | CLASSIC_CLASSES:
        has_plane = 0x00200032 in root.values and 0x00200037 in root.values
        if not has_plane or (0x00280010 not in root.values and not header.damage):
            holds_pixels = 0x00280010 in root.values and header.pixel_offset >= 0
            reason = "it has no position and orientation" if holds_pixels else ""
            raise NotAnImageError(_class_name(sop_class), reason, values.uid(root, 0x0020000E))
    colour = values.codes(root, 0x00280004)
    if colour and colour[0] not in ("MONOCHROME1", "MONOCHROME2"):
        series_uid = values.uid(root, 0x0020000E)
        raise NotAnImageError("colour image", "it is a colour image", series_uid)


def _class_name(sop_class: str) -> str:
    known = UID_dictionary.get(sop_class)
    return known[0] if known else "unknown"


def _describe(root: Elements, source: Source) -> ImageFile:
    image_type = values.codes(root, 0x00080008)
    return ImageFile(
        source=source,
        sop_uid=values.uid(root, 0x00080018) or values.uid(root, 0x00020003),
        series_uid=values.uid(root, 0x0020000E),
        study_uid=values.uid(root, 0x0020000D),
        patient_id=values.identifier(root, 0x00100020),
        patient_name=values.text(root, 0x00100010),
        study_date=values.text(root, 0x00080020),
        modality=(values.codes(root, 0x00080060) or ("",))[0],
        description=values.text(root, 0x0008103E),
        protocol=values.text(root, 0x00181030),
        sequence_name=values.text(root, 0x00180024),
        body_part=values.text(root, 0x00180015),
        series_number=values.whole(root, 0x00200011),
        contrast=bool(values.text(root, 0x00180010)),
        cardiac_images=values.whole(root, 0x00181090),
        lossy=values.raw_text(root, 0x00282110) == "01",
        frame_of_reference=values.uid(root, 0x00200052),
        kind=frame_kind(image_type, vendor=vendor_kind(root)),
        concatenation=_concatenation(root),
        manufacturer=values.text(root, 0x00080070),
        model_name=values.text(root, 0x00081090),
        field_strength_t=_field_strength_t(root),
        birth_date=_birth_date(root),
        sex=_sex(root),
    )


def _field_strength_t(root: Elements) -> float | None:
    """Return the magnetic field strength in tesla; some old scanners wrote it in gauss."""
    value = values.number(root, 0x00180087)
    if value is None or value <= 0:
        return None
    return value / GAUSS_PER_TESLA if value > _HIGHEST_TESLA else value


def _concatenation(root: Elements) -> tuple[str, int, int] | None:
    uid = values.uid(root, 0x00209161)
    number = values.whole(root, 0x00209162)
    return (uid, number, values.whole(root, 0x00209163) or 0) if uid and number else None


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """Return a person's name for comparison: without case, accents and empty components."""
    parts = plain(name.partition("=")[0]).casefold().replace("^", " ").split()
    return " ".join(parts)


def _birth_date(root: Elements) -> str:
    """Return the patient's birth date as eight digits, empty where it is no date."""
    digits = re.sub(r"[.\-/]", "", values.text(root, 0x00100030))
    if re.fullmatch(r"\d{8}", digits, re.ASCII) is None:
        return ""
    try:
        datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return ""
    return digits


def _sex(root: Elements) -> str:
    sex = (values.codes(root, 0x00100040) or ("",))[0]
    return sex if sex in ("M", "F") else ""


def same_patients(patients: Iterable[Patient]) -> dict[Patient, Patient]:
    """Return for each of the patients the one it is: what is empty takes the only known value.

    A name is looked for under the same ID, an ID under the same name, a birth date under both, and
    a sex under all three.
    """
    found = {one: one for one in patients}
    _fill(found, "name", ("patient_id",))
    _fill(found, "patient_id", ("name",))
    _fill(found, "birth_date", ("patient_id", "name"))
    _fill(found, "sex", ("patient_id", "name", "birth_date"))
    return found


def _fill(found: dict[Patient, Patient], field: str, keys: Sequence[str]) -> None:
    known: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in found.values():
        if getattr(one, field):
            known[tuple(getattr(one, key) for key in keys)].add(getattr(one, field))
    for original, one in found.items():
        key = tuple(getattr(one, key) for key in keys)
        if not getattr(one, field) and len(known[key]) == 1 and any(key):
            found[original] = one._replace(**{field: next(iter(known[key]))})


Owner = tuple[Patient, str]


def group_owners(images: Sequence[ImageFile]) -> dict[Owner, list[ImageFile]]:
    """Group the images of one series by patient and study UID."""
    patients = same_patients(image.patient for image in images)
    owners: defaultdict[Owner, list[ImageFile]] = defaultdict(list)
    for image in images:
        owners[(patients[image.patient], image.study_uid)].append(image)
    return dict(owners)


def owners_sentence(owners: Collection[Owner]) -> str:
    """Return what is wrong with several owners of one series."""
    patients = [patient for patient, _ in owners]
    ids = {patient.patient_id for patient in patients}
    carried = count_values(patients)
    texts = []
    if len(ids - {""}) > 1:
        texts.append(f"{len(ids - {''})} patient IDs share this series UID")
    elif len(ids) > 1:
        texts.append("some images of this series carry no patient ID")
    elif carried:
        who = "images without a patient ID carry" if ids == {""} else "one patient ID carries"
        texts.append(f"{who} {carried} in this series")
    studies = {study for _, study in owners}
    if len(studies) > 1:
        texts.append(f"{len(studies)} studies share this series UID")
    text = "; ".join(texts) or "some images of this series do not say whose they are"
    return f"{text[0].upper()}{text[1:]}; split."


def contradictory_ids(patients: Iterable[Patient]) -> dict[str, str]:
    """Return the patient IDs of a scan that stand for several patients, with what says so."""
    by_id: defaultdict[str, set[Patient]] = defaultdict(set)
    for one in patients:
        if one.patient_id:
            by_id[one.patient_id].add(one)
    counted = {patient_id: count_values(known) for patient_id, known in by_id.items()}
    return {
        patient_id: f"One patient ID carries {carried} in these files."
        for patient_id, carried in counted.items()
        if carried
    }
