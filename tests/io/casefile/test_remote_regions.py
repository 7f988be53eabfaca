"""The remote regions that a reader drew stay with the case; damaged ones are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Patch
from scarseg.case.stack import Stack
from scarseg.errors import StoreError
from scarseg.io.casefile.file_format import _HEAD, encode_case
from scarseg.io.casefile.store import load_case


def drawn_case(stack: Stack) -> Case:
    region = np.zeros(stack.pixels.shape[1:], dtype=np.uint8)
    region[3:7, 4:9] = 1
    case = Case.new(stack)
    case.remote_regions = {1: Patch.of(region)}
    return case


def test_they_are_read_back(tmp_path: Path, phantom_stack: Stack) -> None:
    case = drawn_case(phantom_stack)
    path = tmp_path / "a.scarseg"
    path.write_bytes(encode_case(case))
    found = load_case(path, phantom_stack)
    assert found.remote_regions == case.remote_regions
    back = np.zeros(phantom_stack.pixels.shape[1:], dtype=np.uint8)
    found.remote_regions[1].apply(back)
    assert back.sum() == 20
    assert back[3:7, 4:9].all()


def test_a_case_without_them_has_no_new_key(phantom_stack: Stack) -> None:
    assert b'"remote"' not in encode_case(Case.new(phantom_stack))


def test_a_copy_changes_apart(phantom_stack: Stack) -> None:
    case = drawn_case(phantom_stack)
    case.copy().remote_regions.clear()
    assert [*case.remote_regions] == [1]


def resealed(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a case file with another document and all checksums right."""
    magic, version, length = _HEAD.unpack_from(data)
    table = json.loads(data[_HEAD.size : _HEAD.size + length])
    records, start = [], _HEAD.size + length
    for entry in table:
        record = data[start : start + entry["length"]]
        start += entry["length"]
        if entry["name"] == "case":
            document = json.loads(record)
            change(document["remote"][0])
            record = json.dumps(document).encode()
            entry["length"], entry["sha256"] = len(record), hashlib.sha256(record).hexdigest()
        records.append(record)
    head = json.dumps(table).encode()
    body = _HEAD.pack(magic, version, len(head)) + head + b"".join(records)
    return body + hashlib.sha256(body).digest()


def patch_row(rows: int, columns: int, value: int) -> list[Any]:
    import base64

    patch = Patch.at(0, 0, np.full((rows, columns), value, dtype=np.uint8))
    return [0, 0, rows, columns, base64.b64encode(patch.packed).decode()]


@pytest.mark.parametrize(
    "change",
    [
        {"slice_index": 99},
        {"slice_index": -1},
        {"region": patch_row(4, 4, 2)},
        {"region": patch_row(4, 4, 0)},
        {"region": patch_row(900, 4, 1)},
        {"region": [0, 0, 4, 4, "AAAA"]},
    ],
)
def test_regions_that_no_reader_drew_are_refused(
    tmp_path: Path, phantom_stack: Stack, change: dict[str, Any]
) -> None:
    data = encode_case(drawn_case(phantom_stack))
    path = tmp_path / "a.scarseg"
    path.write_bytes(resealed(data, lambda remote: remote.update(slice_index=1)))
    assert [*load_case(path, phantom_stack).remote_regions] == [1]
    path.write_bytes(resealed(data, lambda remote: remote.update(change)))
    with pytest.raises(StoreError):
        load_case(path, phantom_stack)
