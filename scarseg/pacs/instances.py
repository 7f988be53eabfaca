"""Bytes of one DICOM file: checked to be whole, and written alike whichever way they came.

An archive sends the same image in other bytes by C-STORE than by WADO: another file meta group,
sequences with or without explicit lengths. Here the data set is taken element by element as it
came, sequences get explicit lengths, and the file meta group is ours; so the hash of a file does
not depend on the way.
"""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from scarseg.errors import PacsError
from scarseg.pacs.archive import check_uid

UNREADABLE = (
    *(InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError),
    *(NotImplementedError, struct.error, zlib.error, IndexError, AssertionError, RecursionError),
)
"""Exceptions that pydicom raises on bytes that are no whole DICOM."""
IMPLEMENTATION_UID = "2.25.187366913417402958131072943906122318529"
IMPLEMENTATION_NAME = "SCARSEG"
MAX_FILE_BYTES = 2 << 30

CHARACTERS, SOP_CLASS, SOP = 0x00080005, 0x00080016, 0x00080018
PATIENT_ID, STUDY, SERIES = 0x00100020, 0x0020000D, 0x0020000E
_ROWS, _PADDING = 0x00280010, 0xFFFCFFFC
_PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
_UNDEFINED = 0xFFFFFFFF
_MAX_DEPTH = 32
_filters = threading.Lock()
"""The filters of warnings belong to the process, not to a thread."""


@dataclass(frozen=True)
class Identity:
    """What an instance says it is."""

    sop_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    patient_id: str


def file_bytes(encoded: bytes, sop_class: str, sop: str, transfer_syntax: str) -> bytes:
    """Return a file of an encoded data set, as C-STORE brings it, with our file meta group."""
    meta = _meta(sop_class, sop, transfer_syntax)
    buffer = BytesIO()
    empty = FileDataset(buffer, {}, b"\0" * 128, meta)
    empty.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue() + encoded


def parsed(data: bytes, stop_before_pixels: bool = False) -> FileDataset:
    """Return the data set of a file; pydicom's warnings, which repeat raw values, are dropped.

    Raises:
        one of UNREADABLE.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(BytesIO(data), stop_before_pixels=stop_before_pixels)


def normalised(data: bytes | Dataset) -> tuple[Identity, bytes]:
    """Return the identity of a file that arrived and its bytes as they are kept.

    Raises:
        PacsError: E_PACS_ANSWER, it is no whole DICOM file or its UIDs are none.
    """
    try:
        dataset = parsed(data) if isinstance(data, bytes) else data
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        _check_whole(dataset)
        found = identity(dataset)
        _unify(dataset, 0)
        _name_pixels(dataset, syntax)
        dataset.file_meta = _meta(found.sop_class_uid, found.sop_uid, syntax)
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    except UNREADABLE as error:
        raise PacsError(
            "E_PACS_ANSWER", f"An image arrived that is no whole DICOM ({type(error).__name__})."
        ) from None
    return found, buffer.getvalue()


def identity(dataset: Dataset) -> Identity:
    """Return what a data set says it is.

    Raises:
        PacsError: E_PACS_ANSWER, a UID is none.
    """
    return Identity(
        check_uid(raw_text(dataset, SOP), "SOP Instance"),
        check_uid(raw_text(dataset, SOP_CLASS), "SOP Class"),
        check_uid(raw_text(dataset, STUDY), "study"),
        check_uid(raw_text(dataset, SERIES), "series"),
        raw_text(dataset, PATIENT_ID),
    )


def raw_text(dataset: Dataset, tag: int) -> str:
    """Return a text as the data set's character set has it, without pydicom's validation.

    What cannot be decoded becomes replacement characters. Several values keep their backslash.
    """
    element: Any = dataset.get_item(Tag(tag))
    if element is None or element.value is None:
        return ""
    value = element.value
    if not isinstance(value, bytes):
        several = isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue"
        value = "\\".join(str(one) for one in value) if several else str(value)
        return value.strip("\0 ")
    terms = ["ascii"]
    if tag != CHARACTERS and (named := raw_text(dataset, CHARACTERS)):
        terms = named.split("\\")
    try:
        encodings = convert_encodings([one.strip() for one in terms])
        is_name = element.VR == "PN" or tag == 0x00100010
        delimiters = {ord("^"), ord("=")} if is_name else set[int]()
        text = decode_bytes(value, encodings, delimiters)
    except (UnicodeError, LookupError, ValueError):
        text = value.decode("ascii", "replace")
    return text.strip("\0 ")


def _meta(sop_class: str, sop: str, transfer_syntax: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    return meta


def _check_whole(dataset: Dataset) -> None:
    """Raise ValueError for a data set whose end is missing: pydicom reads it without a word."""
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset decodes its elements
        element: Any = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
            kept: Any = element.value
            if kept is not None and len(kept) != element.length:
                raise ValueError("cut off")
    if _ROWS in dataset and not any(tag in dataset for tag in _PIXELS):
        raise ValueError("no pixels")


def _unify(dataset: Dataset, depth: int) -> None:
    """Set explicit lengths in all sequences, remove padding; other elements stay as they came."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    if depth == 0 and _PADDING in dataset:
        del dataset[Tag(_PADDING)]
    dataset.is_undefined_length_sequence_item = False
    for tag in list(dataset.keys()):
        if _vr(dataset, tag) != "SQ":
            continue
        element = dataset[tag]
        element.is_undefined_length = False
        for item in element.value or ():
            _unify(item, depth + 1)


def _name_pixels(dataset: Dataset, syntax: str) -> None:
    """Set the VR of compressed pixels to OB, as the standard has it; some files say OW."""
    tag = Tag(_PIXELS[0])
    element: Any = dataset.get_item(tag)
    if element is None or element.VR != "OW" or not UID(syntax).is_encapsulated:
        return
    if isinstance(element, RawDataElement):
        dataset[tag] = element._replace(VR="OB")
    else:
        element.VR = "OB"


def _vr(dataset: Dataset, tag: BaseTag) -> str:
    element = dataset.get_item(tag)
    vr = getattr(element, "VR", None)
    if vr is None:  # implicit VR
        try:
            return dictionary_VR(tag)
        except KeyError:
            return "UN"
    return str(vr)
