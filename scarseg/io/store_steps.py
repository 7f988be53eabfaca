"""The record of a case as bytes: a line of JSON for where it begins, then one per step.

A line is made once per step and kept, so that saving again costs what is new.
"""

from __future__ import annotations

import json
from typing import Any
from weakref import WeakKeyDictionary

from scarseg.case import Cause, Look, Record, Recorded, Sight
from scarseg.io.store_values import (
    box_document,
    flag,
    patch_document,
    read_box,
    read_patch,
    read_reading,
    reading_document,
    text,
)
from scarseg.prompts import Box

_lines: WeakKeyDictionary[Recorded, bytes] = WeakKeyDictionary()


def encode(record: Record) -> bytes:
    """Turn a record into bytes."""
    start = None
    if record.start is not None:
        start = [[reading_document(each), patch_document(patch)] for each, patch in record.start]
    head = {"n_forgotten": record.n_forgotten, "start": start}
    return b"\n".join((_line(head), *(_step_line(step) for step in record.steps)))


def decode(data: bytes, shape: tuple[int, ...]) -> Record:
    """Turn bytes into the record of a stack of this shape (slice, row, column).

    Raises:
        KeyError, TypeError, ValueError: they are not what :func:`encode` writes.
    """
    first, *others = data.split(b"\n")
    head = json.loads(first)
    start = head["start"] and [
        (read_reading(reading), read_patch(patch, shape)) for reading, patch in head["start"]
    ]
    if start is not None and len(start) != shape[0]:
        raise ValueError("a record must begin on every slice")
    record = Record(shape, start, n_forgotten=int(head["n_forgotten"]))
    for line in others:
        step = _step(json.loads(line), shape)
        _lines[step] = line
        record.add(step)
    return record


def _step_line(step: Recorded) -> bytes:
    line = _lines.get(step)
    if line is None:
        line = _lines[step] = _line(_step_document(step))
    return line


def _step_document(step: Recorded) -> dict[str, Any]:
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
    if step.ground is not None:
        document["ground"] = patch_document(step.ground)
    if step.look is not None:
        look = step.look
        document["look"] = {
            "segmenter": look.segmenter_sha256,
            "detector": look.detector_sha256,
            "lv_hint": look.lv_hint and box_document(look.lv_hint),
            "lv_box": look.lv_box and box_document(look.lv_box),
            "sight": look.sight.value,
            "fresh": look.fresh,
            "software": look.software,
        }
    return document


def _step(document: dict[str, Any], shape: tuple[int, ...]) -> Recorded:
    k = int(document["slice"])
    if not 0 <= k < shape[0]:
        raise ValueError("a step must be on a slice of its stack")
    names = ("reading", "patch", "look", "ground")
    reading, patch, look, ground = (document.get(name) for name in names)
    return Recorded(
        int(document["at_ms"]),
        Cause(document["cause"]),
        text(document["name"]),
        k,
        None if reading is None else read_reading(reading),
        None if patch is None else read_patch(patch, shape),
        None if look is None else _look(look),
        None if ground is None else read_patch(ground, shape),
    )


def _look(document: dict[str, Any]) -> Look:
    return Look(
        text(document["segmenter"]),
        text(document["detector"]),
        _box(document["lv_hint"]),
        _box(document["lv_box"]),
        Sight(document["sight"]),
        flag(document.get("fresh", False)),
        text(document.get("software", "")),
    )


def _box(values: list[Any] | None) -> Box | None:
    return None if values is None else read_box(values)


def _line(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")
