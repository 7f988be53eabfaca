"""The bytes of a case file.

Layout, integers little-endian::

    magic         16 bytes
    version       uint32
    table length  uint32
    table         JSON: name, length and sha256 of every record
    records       one after another, see below
    digest        sha256 of everything above

Records are "case" (JSON, :class:`~scarseg.io.casefile.documents.CaseDocument`), "labels" (zlib of
uint8, C order), "steps" (:mod:`scarseg.io.casefile.steps`) and, where labels under scar are known,
"grounds" (zlib of one uint8 per voxel of scar and MVO, C order). Version 1 had the first two.

Every version of the format begins with magic and version and ends in the digest, so that a
newer file is distinguished from a damaged one. Nothing in it is code, and nothing in it names a
patient.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

import msgspec
import numpy as np

from scarseg import __version__
from scarseg.case.case import Case
from scarseg.case.history import ReadingRecord
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.stack import Stack
from scarseg.io.casefile.documents import (
    CaseDocument,
    ImageSource,
    IntervalDocument,
    PatchRow,
    ReadingDocument,
    RemoteDocument,
    Software,
    SourceFile,
    StackIdentity,
    decode_document,
    encode_document,
)
from scarseg.io.casefile.steps import decode_steps, encode_steps

MAGIC = b"\x89scarseg case\r\n\x1a"
VERSION = 2
MAX_BYTES = 1 << 30
_HEAD = struct.Struct("<16sII")
_DIGEST = hashlib.sha256().digest_size
# Hashing the pixels takes longer than all else in saving; a stack never changes.
_pixel_hashes: WeakKeyDictionary[Stack, str] = WeakKeyDictionary()


class DamagedCaseError(Exception):
    """These bytes are not a whole case file; :mod:`scarseg.io.casefile.store` decides what next."""


class NewerFormatError(Exception):
    """A whole case file of a later format."""


class TableEntry(msgspec.Struct):
    """One record in the table of a case file."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True, eq=False)
class CaseContent:
    """Content of a case file; ``records`` are the bytes of all records, "case" included."""

    document: CaseDocument
    records: dict[str, bytes]

    @property
    def packed_labels(self) -> bytes:
        return self.records["labels"]


def stack_identity(stack: Stack) -> StackIdentity:
    """Return what a case file keeps of its stack; two stacks match when these are equal."""
    return StackIdentity(
        series_uid=stack.series_uid,
        part=stack.part,
        sop_instance_uids=[source.sop_instance_uid for source in stack.sources],
        frames=[source.frame for source in stack.sources],
        shape=list(stack.pixels.shape),
        pixel_spacing_mm=[float(v) for v in stack.pixel_spacing_mm],
        pixels_sha256=_pixels_sha256(stack),
    )


def has_same_files(content: CaseContent, stack: Stack) -> bool:
    """Return whether a case was made on the very files of this stack, by their hashes."""
    hashes = [source.sha256 for source in stack.sources]
    return all(hashes) and [one.sha256 for one in content.document.source.files] == hashes


def encode_case(case: Case) -> bytes:
    """Return the bytes of a case file."""
    labels = np.ascontiguousarray(case.labels, dtype=np.uint8)
    if labels.shape != case.stack.pixels.shape or len(case.readings) != case.stack.n_slices:
        raise ValueError("labels and readings must fit the stack")
    records = {
        "case": encode_document(_document(case)),
        "labels": zlib.compress(labels.tobytes(), 1),
        "steps": encode_steps(case.record),
    }
    if case.labels_under_scar is not None:
        under = case.labels_under_scar[infarct_mask(labels)]
        records["grounds"] = zlib.compress(under.tobytes(), 1)
    return seal(records)


def seal(records: dict[str, bytes], version: int = VERSION) -> bytes:
    """Return records as a file: head, table, records and digest."""
    table = msgspec.json.encode(
        [
            TableEntry(name, len(data), hashlib.sha256(data).hexdigest())
            for name, data in records.items()
        ]
    )
    body = b"".join((_HEAD.pack(MAGIC, version, len(table)), table, *records.values()))
    return body + hashlib.sha256(body).digest()


def parse_case(data: bytes) -> CaseContent:
    """Check every hash and the form of the document; return the content.

    Raises:
        DamagedCaseError: any byte is missing, added or changed, or the content is of another form.
        NewerFormatError: whole, but of a later format.
    """
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if len(body) < _HEAD.size or not body.startswith(MAGIC):
        raise DamagedCaseError("it does not begin like a case file")
    if hashlib.sha256(body).digest() != digest:
        raise DamagedCaseError("its bytes do not match their checksum")
    _, version, table_length = _HEAD.unpack_from(body)
    if version > VERSION:
        raise NewerFormatError(f"format {version}, this program reads up to {VERSION}")
    try:
        records = _split(body, table_length)
        document = decode_document(records["case"], CaseDocument)
    except (KeyError, ValueError, RecursionError) as error:
        raise DamagedCaseError(f"its content cannot be read ({type(error).__name__})") from error
    if "labels" not in records:
        raise DamagedCaseError("it has no labels")
    return CaseContent(document, records)


def build_case(content: CaseContent, stack: Stack, with_steps: bool = True) -> Case:
    """Return the case of a parsed file, on its own stack.

    Without its steps it is quicker; good for a check only.

    Raises:
        DamagedCaseError: the content is not what this program writes.
    """
    document, records = content.document, content.records
    shape = stack.pixels.shape
    if len(document.readings) != stack.n_slices:
        raise DamagedCaseError("it has not one reading per slice")
    for values in (document.slice_interactions, document.slice_seconds, document.proposed):
        if len(values) not in (0, stack.n_slices):
            raise DamagedCaseError("it has not one value per slice")
    _check_insertion(document, stack)
    # A file older than the record of steps begins at the case as it is: ReadingRecord(()).
    record = ReadingRecord(()) if with_steps else ReadingRecord(shape)
    try:
        if with_steps and "steps" in records:
            record = decode_steps(records["steps"], shape)
        labels = _unpacked(records["labels"], stack.pixels.size).reshape(shape)
        return Case(
            stack,
            labels,
            [reading.reading() for reading in document.readings],
            segmenter=document.segmenter,
            calibration=document.calibration or None,
            detector=document.detector,
            reader=document.reader,
            read_number=document.read_number,
            interactions=document.interactions,
            seconds=document.seconds,
            slice_interactions=list(document.slice_interactions),
            slice_seconds=list(document.slice_seconds),
            proposed=[None if each is None else each.patch(shape) for each in document.proposed],
            labels_under_scar=_labels_under_scar(records.get("grounds"), labels),
            record=record,
            insertion=document.insertion,
            remote_regions={one.slice_index: one.patch(shape) for one in document.remote or ()},
            intervals=tuple(each.interval(stack.n_slices) for each in document.intervals or ()),
            archive=document.archive or "",
            sent=tuple(document.sent or ()),
        )
    except (TypeError, ValueError, OverflowError, RecursionError, zlib.error) as error:
        raise DamagedCaseError(f"its content cannot be read ({type(error).__name__})") from error


def _document(case: Case) -> CaseDocument:
    stack = case.stack
    return CaseDocument(
        software=Software(version=__version__),
        saved_at_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        stack=stack_identity(stack),
        source=ImageSource(
            study_uid=stack.study_uid,
            slice_thickness_mm=float(stack.slice_thickness_mm),
            thickness_from_user=bool(stack.thickness_from_user),
            slice_positions_mm=[float(v) for v in stack.slice_positions_mm],
            files=[
                SourceFile(
                    sop_instance_uid=each.sop_instance_uid, frame=each.frame, sha256=each.sha256
                )
                for each in stack.sources
            ],
        ),
        readings=[ReadingDocument.of(reading) for reading in case.readings],
        segmenter=case.segmenter,
        detector=case.detector,
        reader=case.reader,
        read_number=int(case.read_number),
        interactions=int(case.interactions),
        seconds=float(case.seconds),
        slice_interactions=[int(n) for n in case.slice_interactions],
        slice_seconds=[float(s) for s in case.slice_seconds],
        proposed=[None if each is None else PatchRow.of(each) for each in case.proposed],
        insertion=case.insertion,
        remote=[
            RemoteDocument(slice_index=k, region=PatchRow.of(region))
            for k, region in sorted(case.remote_regions.items())
        ]
        or msgspec.UNSET,
        intervals=[IntervalDocument.of(each) for each in case.intervals] or msgspec.UNSET,
        archive=case.archive or msgspec.UNSET,
        sent=list(case.sent) or msgspec.UNSET,
        calibration=case.calibration or msgspec.UNSET,
    )


def _check_insertion(document: CaseDocument, stack: Stack) -> None:
    point = document.insertion
    if point is None:
        return
    inside = 0 <= point.column <= stack.columns and 0 <= point.row <= stack.rows
    if point.slice_index not in range(stack.n_slices) or not inside:
        raise DamagedCaseError("its insertion point lies outside the stack")


def _labels_under_scar(packed: bytes | None, labels: LabelArray) -> LabelArray | None:
    if packed is None:
        return None
    under, infarct = labels.copy(), infarct_mask(labels)
    under[infarct] = _unpacked(packed, int(np.count_nonzero(infarct)))
    return under


def _unpacked(packed: bytes, size: int) -> LabelArray:
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(packed, size + 1)  # never more, whatever the file says
    if len(raw) != size or not unpacking.eof or unpacking.unused_data:
        raise DamagedCaseError("its labels do not fill the stack")
    labels = np.frombuffer(raw, dtype=np.uint8).copy()
    if labels.size and int(labels.max()) > max(Label):
        raise DamagedCaseError("it has labels that do not exist")
    return labels


def _split(body: bytes, table_length: int) -> dict[str, bytes]:
    start = _HEAD.size + table_length
    records = {}
    for entry in decode_document(body[_HEAD.size : start], list[TableEntry]):
        data = body[start : start + entry.length]
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise DamagedCaseError(f"its record {entry.name[:20]!r} does not match its checksum")
        records[entry.name] = data
        start += len(data)
    if start != len(body):
        raise DamagedCaseError("it is longer than its records")
    return records


def _pixels_sha256(stack: Stack) -> str:
    known = _pixel_hashes.get(stack)
    if known is None:
        known = hashlib.sha256(stack.pixels.astype("<f4", copy=False).data).hexdigest()
        _pixel_hashes[stack] = known
    return known
