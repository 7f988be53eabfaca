"""Pair the rows of two tables by patient, and list the rows without a partner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scarseg.errors import InputError
from scarseg.io.tables.csv_reader import CsvTable, number_parser

KEY = ("series_uid", "part")
"""The columns that identify a stack in the tables of this program."""
_OPTIONAL = "part"
_READ = "read"
_METHOD, _SCOPE = "method", "threshold_scope"
"""A table with both lists the threshold methods: several rows per stack (scar_methods.csv)."""


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
    """Two tables paired by their keys.

    ``only_a``, ``only_b``: keys without a partner. ``blank``: keys of both tables whose value is
    missing in one or both (a failed stack). ``notes``: sentences for the reader of the result.
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


def lists_methods(table: CsvTable) -> bool:
    """Return whether a table has a row per threshold method of each stack."""
    return _METHOD in table.columns and _SCOPE in table.columns


def select_method(table: CsvTable, method: str | None, scope: str) -> CsvTable:
    """Return the rows of one threshold method; another kind of table as it is.

    Args:
        method: as in the column ``method``, such as "sd5".
        scope: "slice" or "stack": where maximum and remote region were taken.

    Raises:
        InputError: E_TABLE, the method is not named, or not in the table.
    """
    if not lists_methods(table):
        return table
    known = sorted({row.get(_METHOD, "") for row in table.rows})
    if method is None and len(known) > 1:
        listed = ", ".join(known)
        message = f"{table.name} has several methods; choose one with --method: {listed}."
        raise InputError("E_TABLE", message)
    rows = tuple(
        row
        for row in table.rows
        if method in (None, row.get(_METHOD)) and row.get(_SCOPE) in (scope, "", None)
    )
    if not rows:
        wanted = f"{method or known[0]} by {scope}"
        raise InputError("E_TABLE", f"{table.name} has no row of the method {wanted}.")
    return replace(table, rows=rows, name=f"{table.name} ({method or known[0]})")


def select_table(tables: Sequence[CsvTable], columns: Sequence[str], methods: bool) -> CsvTable:
    """Return the first table (sheet of a workbook) with these columns, else the first.

    Args:
        methods: prefer a table that lists the threshold methods.
    """
    fitting = [one for one in tables if set(columns) <= set(one.columns)] or list(tables)
    return next((one for one in fitting if lists_methods(one) is methods), fitting[0])


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
        a, b: the two readings.
        column: the column to compare; ``column_b`` where the second table names it otherwise.
        key: the columns that identify a stack; ``part`` may be missing and is then blank.
        stratum: a column of the first table to split the patients by.

    Raises:
        InputError: E_TABLE, a column is missing, a key occurs twice, or a value is no number;
            E_PAIRS, no row has a partner.
    """
    column_b = column_b or column
    for table, wanted in ((a, column), (b, column_b)):
        _require_columns(table, [wanted, *(name for name in key if name != _OPTIONAL)])
    if stratum is not None:
        _require_columns(a, [stratum])
    rows_a, rows_b = _by_key(a, key), _by_key(b, key)
    number_a, number_b = number_parser(a, column), number_parser(b, column_b)
    pairs, blank = [], []
    for one in sorted(rows_a.keys() & rows_b.keys()):
        row = rows_a[one]
        x, y = number_a(row.get(column, "")), number_b(rows_b[one].get(column_b, ""))
        if x is None or y is None:
            blank.append(one)
            continue
        label = row.get("patient_id") or one[0]
        pairs.append(Pair(one, label, x, y, row.get(stratum, "") if stratum else ""))
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
            *_zero_notes(pairs),
            *_setting_notes([rows_a[one] for one in kept], [rows_b[one] for one in kept]),
            *_status_notes(a, [rows_a[one] for one in kept]),
            *_status_notes(b, [rows_b[one] for one in kept]),
        ),
    )


def _require_columns(table: CsvTable, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.columns:
            raise InputError("E_TABLE", f"{table.name} has no column {name}.")


def _by_key(table: CsvTable, key: Sequence[str]) -> dict[tuple[str, ...], dict[str, str]]:
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for row in table.rows:
        name = tuple(row.get(one, "") for one in key)
        if not any(name):
            continue  # a study that failed before its series was known
        if name in rows:
            raise InputError("E_TABLE", f"{table.name} has two rows of {' '.join(name).strip()}.")
        rows[name] = row
    return rows


def _zero_notes(pairs: Sequence[Pair]) -> list[str]:
    n = sum(one.a == 0 and one.b == 0 for one in pairs)
    return [f"{n} of {len(pairs)} pairs are 0 in both and count as agreement."] if n else []


def _setting_notes(rows_a: Sequence[dict[str, str]], rows_b: Sequence[dict[str, str]]) -> list[str]:
    """Return notes on settings that make masses differ even where the masks do not."""
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
    return notes


def _status_notes(table: CsvTable, rows: Sequence[dict[str, str]]) -> list[str]:
    n = sum(row.get("status", _READ) not in (_READ, "") for row in rows)
    return [f"{n} of {len(rows)} stacks were not read to the end in {table.name}."] if n else []
