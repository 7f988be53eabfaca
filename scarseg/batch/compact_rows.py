"""Rows of many stacks in little memory: names of columns and equal values are kept once.

A row is a dictionary where it is made. The results of thousands of stacks wait for the tables in
one process, and a dictionary per row would be most of what they take.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

from scarseg.batch.results import StackResult
from scarseg.io.tables.columns import Cell

_places: dict[tuple[str, ...], dict[str, int]] = {}
"""Place of every column in a row, by all its columns in order."""
_provenance: dict[str, object] = {}
"""Values of provenance that most stacks share, by name and text."""
_SHARED = ("segmenter", "detector", "thresholds", "interval")


class CompactRow(Mapping[str, Cell]):
    """A row that cannot be changed; equal to the dictionary it was made of."""

    __slots__ = ("_cells", "_places")

    def __init__(self, row: Mapping[str, Cell]) -> None:
        columns = tuple(row)
        if columns not in _places:
            _places[columns] = {name: place for place, name in enumerate(columns)}
        self._places = _places[columns]
        self._cells = tuple(
            sys.intern(cell) if type(cell) is str else cell for cell in row.values()
        )

    def __getitem__(self, column: str) -> Cell:
        return self._cells[self._places[column]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def compact(result: StackResult) -> StackResult:
    """Return an equal result whose rows take a fraction of the memory."""
    record = result.record
    provenance = {
        name: _provenance.setdefault(f"{name} {value!r}", value) if name in _SHARED else value
        for name, value in record.provenance.items()
    }
    return replace(
        result,
        record=replace(
            record,
            row=CompactRow(record.row),
            slices=tuple(CompactRow(row) for row in record.slices),
            provenance=provenance,
        ),
        tables={
            name: tuple(CompactRow(row) for row in rows) for name, rows in result.tables.items()
        },
    )
