"""The record "steps" of a case file: a head and one line of JSON per step."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from scarseg.case.history import ReadingRecord, Step
from scarseg.io.casefile.documents import (
    PatchRow,
    ReadingDocument,
    StepDocument,
    StepsHead,
    decode_document,
    encode_document,
)

# A reading is saved after every change and most of its steps are those of the last save: the
# line of a step is made once. Steps are immutable.
_lines: WeakKeyDictionary[Step, bytes] = WeakKeyDictionary()


def encode_steps(record: ReadingRecord) -> bytes:
    """Return the record "steps"."""
    start = None
    if record.start is not None:
        start = [(ReadingDocument.of(each), PatchRow.of(patch)) for each, patch in record.start]
    head = encode_document(StepsHead(n_forgotten=record.n_forgotten, start=start))
    return b"\n".join((head, *map(_line, record.steps)))


def decode_steps(data: bytes, shape: tuple[int, ...]) -> ReadingRecord:
    """Return the steps of a stack of this shape (slice, row, column).

    Raises:
        ValueError, RecursionError: the bytes are not those of :func:`encode_steps`.
    """
    first, *lines = data.split(b"\n")
    head = decode_document(first, StepsHead)
    start = None
    if head.start is not None:
        start = [(reading.reading(), row.patch(shape)) for reading, row in head.start]
        if len(start) != shape[0]:
            raise ValueError("a record must begin on every slice")
    record = ReadingRecord(shape, start, n_forgotten=head.n_forgotten)
    for line in lines:
        step = decode_document(line, StepDocument).step(shape)
        _lines[step] = line
        record.add(step)
    return record


def _line(step: Step) -> bytes:
    line = _lines.get(step)
    if line is None:
        line = _lines[step] = encode_document(StepDocument.of(step))
    return line
