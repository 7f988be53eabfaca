"""Pair the rows of two tables, and tell what has no partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from scarseg.errors import InputError
from scarseg.io.tables.csv_reader import CsvTable

KEY = ("series_uid", "part")
"""What names a stack in our tables."""
_OPTIONAL = "part"
_READ = "read"


@dataclass(frozen=True)
class Pair:
    """One patient's value in both tables; ``stratum`` is empty unless one was asked for."""

    key: tuple[str, ...]
    label: str
    a: float
    b: float
    stratum: str = ""


@dataclass(frozen=True)
class Paired:
    """Two tables laid side by side.

    ``only_a``, ``only_b``: keys without a partner. ``blank``: keys found in both whose value is
    missing in one or both (a failed stack). ``notes`` are sentences a reader should know.
    """

    name_a: str
    name_b: str
    column_a: str
    column_b: str
    pairs: tuple[Pair, ...]
    only_a: tuple[tuple[str, ...], ...]
    only_b: tuple[tuple[str, ...], ...]
    blank: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def a(self) -> npt.NDArray[np.float64]:
        return np.array([one.a for one in self.pairs])

    @property
    def b(self) -> npt.NDArray[np.float64]:
        return np.array([one.b for one in self.pairs])


def pair_tables(
    a: CsvTable,
    b: CsvTable,
    column: str,
    column_b: str | None = None,
    key: Sequence[str] = KEY,
    stratum: str | None = None,
) -> Paired:
    """Pair two tables by their keys, in the order of the keys.

    Args:
        a, b: two readings.
        column: what is compared, ``column_b`` where the second table names it otherwise.
        key: the columns that name a stack; ``part`` may be missing and is then blank.
        stratum: a column of the first table to split the patients by.

    Raises:
        InputError: E_TABLE, a column is missing, a key appears twice, or a value is no number;
            E_PAIRS, nothing pairs up.
    """
    column_b = column_b or column
    for table, wanted in ((a, column), (b, column_b)):
        _require(table, [wanted, *(name for name in key if name != _OPTIONAL)])
    if stratum is not None:
        _require(a, [stratum])
    rows_a, rows_b = _by_key(a, key), _by_key(b, key)
    common = sorted(rows_a.keys() & rows_b.keys())
    pairs, blank = [], []
    for one in common:
        x, y = _number(a, rows_a[one], column), _number(b, rows_b[one], column_b)
        if x is None or y is None:
            blank.append(one)
            continue
        label = rows_a[one].get("patient_id") or one[0]
        pairs.append(Pair(one, label, x, y, rows_a[one].get(stratum, "") if stratum else ""))
    if not pairs:
        raise InputError("E_PAIRS", f"No row of {a.name} has a partner with a value in {b.name}.")
    kept = [one.key for one in pairs]
    return Paired(
        a.name,
        b.name,
        column,
        column_b,
        tuple(pairs),
        tuple(sorted(rows_a.keys() - rows_b.keys())),
        tuple(sorted(rows_b.keys() - rows_a.keys())),
        tuple(blank),
        (
            *_zeros(pairs),
            *_notes(a, b, [rows_a[one] for one in kept], [rows_b[one] for one in kept]),
        ),
    )


def _require(table: CsvTable, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise InputError("E_TABLE", f"{table.name} has no column {name}.")


def _by_key(table: CsvTable, key: Sequence[str]) -> dict[tuple[str, ...], dict[str, str]]:
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in table.rows:
        name = tuple(row.get(one, "") for one in key)
        if not any(name):
            continue  # a study that failed before a series was known
        if name in rows:
            raise InputError("E_TABLE", f"{table.name} has two rows of {' '.join(name).strip()}.")
        rows[name] = row
    return rows


def _number(table: CsvTable, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text.replace(",", ".") if table.decimal_comma else text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError("E_TABLE", f"{table.name}: {text!r} in {column} is not a number.")
    return value


def _zeros(pairs: Sequence[Pair]) -> list[str]:
    n = sum(one.a == 0 and one.b == 0 for one in pairs)
    return [f"{n} of {len(pairs)} pairs are 0 in both and count as agreement."] if n else []


def _notes(
    a: CsvTable, b: CsvTable, rows_a: Sequence[dict[str, str]], rows_b: Sequence[dict[str, str]]
) -> tuple[str, ...]:
    """Tell what makes two numbers of one patient differ although the masks may not."""
    notes = []
    for name, what in (
        ("mass_convention", "mass conventions"),
        ("density_g_per_ml", "densities"),
        ("slice_thickness_mm", "slice thicknesses"),
    ):
        known = [
            (one[name], other[name])
            for one, other in zip(rows_a, rows_b, strict=True)
            if one.get(name) and other.get(name)
        ]
        n = sum(one != other for one, other in known)
        if n:
            notes.append(f"{n} of {len(rows_a)} pairs have different {what}.")
    for table, rows in ((a, rows_a), (b, rows_b)):
        n = sum(row.get("status", _READ) not in (_READ, "") for row in rows)
        if n:
            notes.append(f"{n} of {len(rows)} stacks were not read to the end in {table.name}.")
    return tuple(notes)
