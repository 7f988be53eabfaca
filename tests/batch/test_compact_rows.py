"""Rows kept in little memory are the rows they were made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scarseg.batch.compact_rows import CompactRow, compact
from scarseg.batch.results import StackResult
from scarseg.io.tables.table import StackRecord


def test_a_row_is_equal_to_its_dictionary() -> None:
    given = {"patient": "A", "scar_mass_g": 1.5, "n": 3, "note": None}
    row = CompactRow(given)
    assert row == given and dict(row) == given and {**row} == given
    assert list(row) == list(given) and len(row) == 4
    assert row.get("missing") is None and row.get("n") == 3
    with pytest.raises(KeyError):
        row["missing"]


def test_rows_of_other_columns_or_another_order_do_not_mix() -> None:
    one, other = CompactRow({"a": 1, "b": 2}), CompactRow({"b": 1, "a": 2})
    assert (one["a"], one["b"], other["a"], other["b"]) == (1, 2, 2, 1)
    assert list(other) == ["b", "a"] and CompactRow({"a": 5})["a"] == 5
    assert not CompactRow({})


def test_a_result_stays_equal_and_its_own_provenance_its_own() -> None:
    def result(labels: str) -> StackResult:
        record = StackRecord(
            {"patient": labels},
            ({"slice": 1}, {"slice": 2}),
            {"thresholds": {"level": 0.5}, "labels_sha256": labels},
        )
        return StackResult(record, "note", tables={"segments": ({"segment": 1},)})

    one, other = compact(result("x")), compact(result("y"))
    assert one == result("x") and other == result("y")
    assert one.record.provenance["thresholds"] is other.record.provenance["thresholds"]
    changed = replace(one, record=replace(one.record, provenance={"thresholds": {"level": 0.6}}))
    assert compact(changed).record.provenance == {"thresholds": {"level": 0.6}}
