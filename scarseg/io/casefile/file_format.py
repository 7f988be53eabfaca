"""The bytes of a case file.

Layout, integers little-endian::

    magic         16 bytes
    version       uint32
    table length  uint32
    table         JSON: name, length and sha256 of every record
    records       one after another, see below
    digest        sha256 of everything above

Records are "case" (JSON), "labels" (zlib of uint8, C order), "steps" (what was asked and
answered, a line of JSON each) and, once somebody asked what
lies beneath scar, "grounds" (zlib of one uint8 per voxel of scar and MVO, C order). Version 1
had the first two.

Every version of the format begins with magic and version and ends in the digest, so that a
newer file is told from a damaged one. Nothing in it is code, and nothing in it names a patient.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from scarseg import __version__
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import (
    Cause,
    DetectorScope,
    ModelRun,
    ReadingRecord,
    SliceReading,
    SliceStatus,
    Step,
)
from scarseg.case.labels import Label, LabelArray, Patch, infarct_mask
from scarseg.case.prompts import Box, InsertionPoint, Origin, Point, SlicePrompts
from scarseg.case.stack import Stack


def reading_document(reading: SliceReading) -> dict[str, Any]:
    """Turn a reading into JSON."""
    prompts = reading.prompts
    return {
        "boxes": [box_document(box) for box in prompts.boxes],
        "points": [_point_document(each) for each in prompts.points],
        "lv_box": None if prompts.lv_box is None else box_document(prompts.lv_box),
        "pool_box": None if prompts.pool_box is None else box_document(prompts.pool_box),
        "no_scar": bool(prompts.no_scar),
        "status": reading.status.value,
        "edited": bool(reading.edited),
        "reason": reading.reason,
    }


def read_reading(document: dict[str, Any]) -> SliceReading:
    """Turn JSON into a reading; every error of a wrong value is one of type or value."""
    lv_box, pool_box = document["lv_box"], document.get("pool_box")
    prompts = SlicePrompts(
        boxes=tuple(read_box(each) for each in document["boxes"]),
        points=tuple(_point(each) for each in document["points"]),
        lv_box=None if lv_box is None else read_box(lv_box),
        no_scar=flag(document["no_scar"]),
        pool_box=None if pool_box is None else read_box(pool_box),
    )
    status = SliceStatus(document["status"])
    return SliceReading(prompts, status, flag(document["edited"]), text(document["reason"]))


def _point_document(point: Point) -> list[Any]:
    place = [float(point.column), float(point.row), bool(point.positive)]
    return place if point.structure is Label.SCAR else [*place, int(point.structure)]


def _point(values: list[Any]) -> Point:
    column, row, positive, *structure = values
    (asked,) = structure or (Label.SCAR,)
    return Point(float(column), float(row), flag(positive), Label(asked))


def box_document(box: Box) -> list[Any]:
    """Turn a box into JSON: corners, origin, score."""
    corners = [float(v) for v in (box.column0, box.row0, box.column1, box.row1)]
    return [*corners, box.origin.value, None if box.score is None else float(box.score)]


def read_box(values: list[Any]) -> Box:
    """Turn JSON into a box."""
    *corners, origin, score = values
    column0, row0, column1, row1 = (float(v) for v in corners)
    certainty = None if score is None else float(score)
    return Box(column0, row0, column1, row1, Origin(origin), certainty)


def patch_document(patch: Patch) -> list[Any]:
    """Turn a patch into JSON: corner, size, and its bytes in base 64."""
    packed = b64encode(patch.packed).decode("ascii")
    return [patch.row, patch.column, patch.rows, patch.columns, packed]


def read_patch(values: list[Any], shape: tuple[int, ...]) -> Patch:
    """Turn JSON into a patch that lies within a slice of a stack (slice, row, column).

    Raises:
        ValueError, TypeError: it does not, or it is no patch.
    """
    *place, packed = values
    row, column, rows, columns = (int(v) for v in place)
    if min(row, column, rows, columns) < 0 or row + rows > shape[1] or column + columns > shape[2]:
        raise ValueError("a patch must lie within its slice")
    patch = Patch(row, column, rows, columns, b64decode(packed, validate=True))
    patch.unpacked()
    return patch


def text(value: object) -> str:
    """Take a text for a text and nothing else."""
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def flag(value: object) -> bool:
    """Take true or false and nothing else."""
    if not isinstance(value, bool):
        raise TypeError("true or false expected")
    return value


_lines: WeakKeyDictionary[Step, bytes] = WeakKeyDictionary()


def encode_steps(record: ReadingRecord) -> bytes:
    """Turn a record into bytes."""
    start = None
    if record.start is not None:
        start = [[reading_document(each), patch_document(patch)] for each, patch in record.start]
    head = {"n_forgotten": record.n_forgotten, "start": start}
    return b"\n".join((_line(head), *(_step_line(step) for step in record.steps)))


def decode_steps(data: bytes, shape: tuple[int, ...]) -> ReadingRecord:
    """Turn bytes into the record of a stack of this shape (slice, row, column).

    Raises:
        KeyError, TypeError, ValueError: they are not what :func:`encode_case` writes.
    """
    first, *others = data.split(b"\n")
    head = json.loads(first)
    start = head["start"] and [
        (read_reading(reading), read_patch(patch, shape)) for reading, patch in head["start"]
    ]
    if start is not None and len(start) != shape[0]:
        raise ValueError("a record must begin on every slice")
    record = ReadingRecord(shape, start, n_forgotten=int(head["n_forgotten"]))
    for line in others:
        step = _step(json.loads(line), shape)
        _lines[step] = line
        record.add(step)
    return record


def _step_line(step: Step) -> bytes:
    line = _lines.get(step)
    if line is None:
        line = _lines[step] = _line(_step_document(step))
    return line


def _step_document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {
        "at_ms": step.at_ms,
        "cause": step.cause.value,
        "name": step.name,
        "slice": step.slice_index,
    }
    if step.reading is not None:
        document["reading"] = reading_document(step.reading)
    if step.patch is not None:
        document["patch"] = patch_document(step.patch)
    if step.labels_under_scar is not None:
        document["ground"] = patch_document(step.labels_under_scar)
    if step.model_run is not None:
        look = step.model_run
        document["look"] = {
            "segmenter": look.segmenter_sha256,
            "detector": look.detector_sha256,
            "lv_hint": look.lv_hint and box_document(look.lv_hint),
            "lv_box": look.lv_box and box_document(look.lv_box),
            "sight": look.detector_scope.value,
            "fresh": look.fresh,
            "software": look.software,
        }
    return document


def _step(document: dict[str, Any], shape: tuple[int, ...]) -> Step:
    k = int(document["slice"])
    if not 0 <= k < shape[0]:
        raise ValueError("a step must be on a slice of its stack")
    names = ("reading", "patch", "look", "ground")
    reading, patch, look, ground = (document.get(name) for name in names)
    return Step(
        int(document["at_ms"]),
        Cause(document["cause"]),
        text(document["name"]),
        k,
        None if reading is None else read_reading(reading),
        None if patch is None else read_patch(patch, shape),
        None if look is None else _look(look),
        None if ground is None else read_patch(ground, shape),
    )


def _look(document: dict[str, Any]) -> ModelRun:
    return ModelRun(
        text(document["segmenter"]),
        text(document["detector"]),
        _box(document["lv_hint"]),
        _box(document["lv_box"]),
        DetectorScope(document["sight"]),
        flag(document.get("fresh", False)),
        text(document.get("software", "")),
    )


def _box(values: list[Any] | None) -> Box | None:
    return None if values is None else read_box(values)


def _line(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")


MAGIC = b"\x89scarseg case\r\n\x1a"
VERSION = 2
MAX_BYTES = 1 << 30
_HEAD = struct.Struct("<16sII")
_DIGEST = hashlib.sha256().digest_size
_pixel_hashes: WeakKeyDictionary[Stack, str] = WeakKeyDictionary()


class DamagedCaseError(Exception):
    """These bytes are not a whole case file."""


class NewerFormatError(Exception):
    """A whole case file of a later format."""


@dataclass(frozen=True, eq=False)
class CaseContent:
    """A case file's content: ``document`` as parsed JSON, ``records`` the others as they are."""

    document: dict[str, Any]
    records: dict[str, bytes]

    @property
    def packed(self) -> bytes:
        """Give the compressed labels."""
        return self.records["labels"]

    @property
    def identity(self) -> dict[str, Any]:
        """Give what the stack must match."""
        identity: dict[str, Any] = self.document["stack"]
        return identity


def stack_identity(stack: Stack) -> dict[str, Any]:
    """Describe which stack a case belongs to; two stacks match when these are equal."""
    return {
        "series_uid": stack.series_uid,
        "part": stack.part,
        "sop_instance_uids": [source.sop_instance_uid for source in stack.sources],
        "frames": [source.frame for source in stack.sources],
        "shape": list(stack.pixels.shape),
        "pixel_spacing_mm": [float(v) for v in stack.pixel_spacing_mm],
        "pixels_sha256": _pixels_sha256(stack),
    }


def has_same_files(content: CaseContent, stack: Stack) -> bool:
    """Tell whether a case was made on the very files of this stack, by their hashes."""
    hashes = [source.sha256 for source in stack.sources]
    try:
        files = [each["sha256"] for each in content.document["source"]["files"]]
    except (KeyError, TypeError):
        return False
    return all(hashes) and files == hashes


def encode_case(case: Case) -> bytes:
    """Turn a case into the bytes of a case file."""
    labels = np.ascontiguousarray(case.labels, dtype=np.uint8)
    if labels.shape != case.stack.pixels.shape or len(case.readings) != case.stack.n_slices:
        raise ValueError("labels and readings must fit the stack")
    records = {
        "case": json.dumps(_document(case), separators=(",", ":")).encode("ascii"),
        "labels": zlib.compress(labels.tobytes(), 1),
        "steps": encode_steps(case.record),
    }
    if case.labels_under_scar is not None:
        records["grounds"] = zlib.compress(
            case.labels_under_scar[infarct_mask(labels)].tobytes(), 1
        )
    table = json.dumps(
        [
            {"name": name, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in records.items()
        ],
        separators=(",", ":"),
    ).encode("ascii")
    body = b"".join((_HEAD.pack(MAGIC, VERSION, len(table)), table, *records.values()))
    return body + hashlib.sha256(body).digest()


def parse_case(data: bytes) -> CaseContent:
    """Check every hash and give the content.

    Raises:
        Damaged: any byte is missing, added or changed.
        Newer: whole, but of a later format.
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
        document = json.loads(records["case"])
        content = CaseContent(document, records)
        if not isinstance(content.identity, dict):
            raise DamagedCaseError("it does not say which stack it belongs to")
        if "labels" not in records:
            raise DamagedCaseError("it has no labels")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedCaseError(f"its content cannot be read ({type(error).__name__})") from error
    return content


def build_case(content: CaseContent, stack: Stack, with_steps: bool = True) -> Case:
    """Make the case again from what :func:`parse_case` gave, on its own stack.

    Without its steps it is quicker, and good for a look only.

    Raises:
        Damaged: the content is not what this program writes.
    """
    document, records = content.document, content.records
    shape = stack.pixels.shape
    try:
        readings = [read_reading(each) for each in document["readings"]]
        if len(readings) != stack.n_slices:
            raise DamagedCaseError("it has not one reading per slice")
        labels = _labels(records["labels"], stack)
        return Case(
            stack,
            labels,
            readings,
            segmenter=_model(document["segmenter"]),
            detector=_model(document["detector"]),
            reader=text(document["reader"]),
            read_number=int(document.get("read_number", 1)),
            interactions=int(document["interactions"]),
            seconds=float(document["seconds"]),
            slice_interactions=[int(n) for n in _per_slice(document, "slice_interactions", stack)],
            slice_seconds=[float(s) for s in _per_slice(document, "slice_seconds", stack)],
            proposed=[
                None if each is None else read_patch(each, shape)
                for each in _per_slice(document, "proposed", stack)
            ],
            labels_under_scar=_grounds(records.get("grounds"), labels),
            record=_record(records, shape) if with_steps else ReadingRecord(shape),
            insertion=_insertion(document.get("insertion"), stack),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, zlib.error) as error:
        raise DamagedCaseError(f"its content cannot be read ({type(error).__name__})") from error


def _document(case: Case) -> dict[str, Any]:
    stack = case.stack
    return {
        "software": {"name": "scarseg", "version": __version__},
        "saved_at_utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "stack": stack_identity(stack),
        "source": {
            "study_uid": stack.study_uid,
            "slice_thickness_mm": float(stack.slice_thickness_mm),
            "thickness_from_user": bool(stack.thickness_from_user),
            "slice_positions_mm": list(stack.slice_positions_mm),
            "files": [
                {
                    "sop_instance_uid": each.sop_instance_uid,
                    "frame": each.frame,
                    "sha256": each.sha256,
                }
                for each in stack.sources
            ],
        },
        "readings": [reading_document(reading) for reading in case.readings],
        "segmenter": _model_document(case.segmenter),
        "detector": _model_document(case.detector),
        "reader": case.reader,
        "read_number": int(case.read_number),
        "interactions": int(case.interactions),
        "seconds": float(case.seconds),
        "slice_interactions": [int(n) for n in case.slice_interactions],
        "slice_seconds": [float(s) for s in case.slice_seconds],
        "proposed": [None if each is None else patch_document(each) for each in case.proposed],
        "insertion": None if case.insertion is None else asdict(case.insertion),
    }


def _model_document(model: ModelIdentity) -> dict[str, Any]:
    return {"name": model.name, "sha256": model.sha256, "verified": bool(model.verified)}


def _model(document: dict[str, Any]) -> ModelIdentity:
    return ModelIdentity(
        text(document["name"]), text(document["sha256"]), flag(document["verified"])
    )


def _insertion(document: dict[str, Any] | None, stack: Stack) -> InsertionPoint | None:
    """Give the reader's insertion point; a file that is older has none."""
    if document is None:
        return None
    point = InsertionPoint(
        int(document["slice_index"]), float(document["column"]), float(document["row"])
    )
    inside = 0 <= point.column <= stack.columns and 0 <= point.row <= stack.rows
    if point.slice_index not in range(stack.n_slices) or not inside:
        raise DamagedCaseError("its insertion point lies outside the stack")
    return point


def _record(records: dict[str, bytes], shape: tuple[int, ...]) -> ReadingRecord:
    """Give the steps; those of a file that is older than they begin where the case stands."""
    return decode_steps(records["steps"], shape) if "steps" in records else ReadingRecord(())


def _labels(packed: bytes, stack: Stack) -> LabelArray:
    return _unpacked(packed, stack.pixels.size).reshape(stack.pixels.shape)


def _grounds(packed: bytes | None, labels: LabelArray) -> LabelArray | None:
    if packed is None:
        return None
    grounds, infarct = labels.copy(), infarct_mask(labels)
    grounds[infarct] = _unpacked(packed, int(np.count_nonzero(infarct)))
    return grounds


def _unpacked(packed: bytes, size: int) -> LabelArray:
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(packed, size + 1)  # never more, whatever the file says
    if len(raw) != size or not unpacking.eof or unpacking.unused_data:
        raise DamagedCaseError("its labels do not fill the stack")
    labels = np.frombuffer(raw, dtype=np.uint8).copy()
    if labels.size and int(labels.max()) > max(Label):
        raise DamagedCaseError("it has labels that do not exist")
    return labels


def _per_slice(document: dict[str, Any], name: str, stack: Stack) -> list[Any]:
    """Give a list with one value per slice; empty for a file that is older than it."""
    values = document.get(name, [])
    if not isinstance(values, list) or len(values) not in (0, stack.n_slices):
        raise DamagedCaseError("it has not one value per slice")
    return values


def _split(body: bytes, table_length: int) -> dict[str, bytes]:
    start = _HEAD.size + table_length
    records = {}
    for entry in json.loads(body[_HEAD.size : start]):
        data = body[start : start + entry["length"]]
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise DamagedCaseError(
                f"its record {text(entry['name'])[:20]!r} does not match its checksum"
            )
        records[entry["name"]] = data
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
