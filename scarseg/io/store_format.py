"""The bytes of a case file.

Layout, integers little-endian::

    magic         16 bytes
    version       uint32
    table length  uint32
    table         JSON: name, length and sha256 of every record
    records       one after another: "case" (JSON) and "labels" (zlib of uint8, C order)
    digest        sha256 of everything above

Every version of the format begins with magic and version and ends in the digest, so that a
newer file is told from a damaged one. Nothing in it is code, and nothing in it names a patient.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from scarseg import __version__
from scarseg.case import Case, ModelIdentity, SliceReading, SliceStatus
from scarseg.labels import Label, LabelArray
from scarseg.prompts import Box, Origin, Point, SlicePrompts
from scarseg.stack import Stack

MAGIC = b"\x89scarseg case\r\n\x1a"
VERSION = 1
MAX_BYTES = 1 << 30
_HEAD = struct.Struct("<16sII")
_DIGEST = hashlib.sha256().digest_size
_pixel_hashes: WeakKeyDictionary[Stack, str] = WeakKeyDictionary()


class Damaged(Exception):  # noqa: N818 - a finding, turned into a StoreError by store.py
    """These bytes are not a whole case file."""


class Newer(Exception):  # noqa: N818 - a finding, turned into a StoreError by store.py
    """A whole case file of a later format."""


@dataclass(frozen=True, eq=False)
class Content:
    """A case file's content: ``document`` as parsed JSON, ``packed`` the compressed labels."""

    document: dict[str, Any]
    packed: bytes

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


def has_files_of(content: Content, stack: Stack) -> bool:
    """Tell whether a case was made on the very files of this stack, by their hashes."""
    hashes = [source.sha256 for source in stack.sources]
    try:
        files = [each["sha256"] for each in content.document["source"]["files"]]
    except (KeyError, TypeError):
        return False
    return all(hashes) and files == hashes


def encode(case: Case) -> bytes:
    """Turn a case into the bytes of a case file."""
    labels = np.ascontiguousarray(case.labels, dtype=np.uint8)
    if labels.shape != case.stack.pixels.shape or len(case.readings) != case.stack.n_slices:
        raise ValueError("labels and readings must fit the stack")
    records = {
        "case": json.dumps(_document(case), separators=(",", ":")).encode("ascii"),
        "labels": zlib.compress(labels.tobytes(), 6),
    }
    table = json.dumps(
        [
            {"name": name, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in records.items()
        ],
        separators=(",", ":"),
    ).encode("ascii")
    body = b"".join((_HEAD.pack(MAGIC, VERSION, len(table)), table, *records.values()))
    return body + hashlib.sha256(body).digest()


def parse(data: bytes) -> Content:
    """Check every hash and give the content.

    Raises:
        Damaged: any byte is missing, added or changed.
        Newer: whole, but of a later format.
    """
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if len(body) < _HEAD.size or not body.startswith(MAGIC):
        raise Damaged("it does not begin like a case file")
    if hashlib.sha256(body).digest() != digest:
        raise Damaged("its bytes do not match their checksum")
    _, version, table_length = _HEAD.unpack_from(body)
    if version > VERSION:
        raise Newer(f"format {version}, this program reads up to {VERSION}")
    try:
        records = _split(body, table_length)
        document = json.loads(records["case"])
        content = Content(document, records["labels"])
        if not isinstance(content.identity, dict):
            raise Damaged("it does not say which stack it belongs to")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Damaged(f"its content cannot be read ({type(error).__name__})") from error
    return content


def build(content: Content, stack: Stack) -> Case:
    """Make the case again from what :func:`parse` gave, on its own stack.

    Raises:
        Damaged: the content is not what this program writes.
    """
    document = content.document
    try:
        readings = [_reading(each) for each in document["readings"]]
        if len(readings) != stack.n_slices:
            raise Damaged("it has not one reading per slice")
        return Case(
            stack,
            _labels(content.packed, stack),
            readings,
            segmenter=_model(document["segmenter"]),
            detector=_model(document["detector"]),
            reader=_text(document["reader"]),
            interactions=int(document["interactions"]),
            seconds=float(document["seconds"]),
            history=[_text(each) for each in document["history"]],
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, zlib.error) as error:
        raise Damaged(f"its content cannot be read ({type(error).__name__})") from error


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
        "readings": [_reading_document(reading) for reading in case.readings],
        "segmenter": _model_document(case.segmenter),
        "detector": _model_document(case.detector),
        "reader": case.reader,
        "interactions": int(case.interactions),
        "seconds": float(case.seconds),
        "history": list(case.history),
    }


def _reading_document(reading: SliceReading) -> dict[str, Any]:
    prompts = reading.prompts
    return {
        "boxes": [_box_document(box) for box in prompts.boxes],
        "points": [_point_document(point) for point in prompts.points],
        "lv_box": None if prompts.lv_box is None else _box_document(prompts.lv_box),
        "pool_box": None if prompts.pool_box is None else _box_document(prompts.pool_box),
        "no_scar": bool(prompts.no_scar),
        "status": reading.status.value,
        "edited": bool(reading.edited),
        "reason": reading.reason,
    }


def _point_document(point: Point) -> list[Any]:
    where = [float(point.column), float(point.row), bool(point.positive)]
    return where if point.structure is Label.SCAR else [*where, int(point.structure)]


def _box_document(box: Box) -> list[Any]:
    corners = [float(v) for v in (box.column0, box.row0, box.column1, box.row1)]
    return [*corners, box.origin.value, None if box.score is None else float(box.score)]


def _model_document(model: ModelIdentity) -> dict[str, Any]:
    return {"name": model.name, "sha256": model.sha256, "verified": bool(model.verified)}


def _reading(document: dict[str, Any]) -> SliceReading:
    lv_box, pool_box = document["lv_box"], document.get("pool_box")
    prompts = SlicePrompts(
        boxes=tuple(_box(each) for each in document["boxes"]),
        points=tuple(_point(each) for each in document["points"]),
        lv_box=None if lv_box is None else _box(lv_box),
        no_scar=_flag(document["no_scar"]),
        pool_box=None if pool_box is None else _box(pool_box),
    )
    status = SliceStatus(document["status"])
    return SliceReading(prompts, status, _flag(document["edited"]), _text(document["reason"]))


def _point(values: list[Any]) -> Point:
    column, row, positive, *structure = values
    [label] = structure or [Label.SCAR]
    return Point(float(column), float(row), _flag(positive), Label(label))


def _box(values: list[Any]) -> Box:
    *corners, origin, score = values
    column0, row0, column1, row1 = (float(v) for v in corners)
    certainty = None if score is None else float(score)
    return Box(column0, row0, column1, row1, Origin(origin), certainty)


def _model(document: dict[str, Any]) -> ModelIdentity:
    return ModelIdentity(
        _text(document["name"]), _text(document["sha256"]), _flag(document["verified"])
    )


def _labels(packed: bytes, stack: Stack) -> LabelArray:
    size = stack.pixels.size
    unpacking = zlib.decompressobj()
    raw = unpacking.decompress(packed, size + 1)  # never more, whatever the file says
    if len(raw) != size or not unpacking.eof or unpacking.unused_data:
        raise Damaged("its labels do not fill the stack")
    labels = np.frombuffer(raw, dtype=np.uint8).reshape(stack.pixels.shape).copy()
    if int(labels.max()) > max(Label):
        raise Damaged("it has labels that do not exist")
    return labels


def _split(body: bytes, table_length: int) -> dict[str, bytes]:
    start = _HEAD.size + table_length
    records = {}
    for entry in json.loads(body[_HEAD.size : start]):
        data = body[start : start + entry["length"]]
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise Damaged(f"its record {_text(entry['name'])[:20]!r} does not match its checksum")
        records[entry["name"]] = data
        start += len(data)
    if start != len(body):
        raise Damaged("it is longer than its records")
    return records


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false expected")
    return value


def _pixels_sha256(stack: Stack) -> str:
    known = _pixel_hashes.get(stack)
    if known is None:
        known = hashlib.sha256(stack.pixels.astype("<f4", copy=False).data).hexdigest()
        _pixel_hashes[stack] = known
    return known
