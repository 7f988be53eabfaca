"""``scarseg agree``: statistics of two tables, on the console, as a page and as JSON."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from scarseg.agreement.pairing import (
    KEY,
    Paired,
    lists_methods,
    pair_tables,
    select_method,
    select_table,
)
from scarseg.agreement.summary import (
    PUBLISHED,
    AgreementPage,
    StatisticLine,
    Stratum,
    agreement_of,
    format_number,
    key_text,
    numbers_json,
    output_files,
    statistic_lines,
    strata,
    to_dict,
    unit_of,
    write_agreement,
)
from scarseg.errors import InputError
from scarseg.io.files import refuse_existing, refuse_inputs, require_writable
from scarseg.io.tables.csv_reader import CsvTable, read_tables
from scarseg.quant.agreement import Agreement

PLAIN_WIDTH = 120
"""Width in characters of a table that is not printed to a terminal."""
MAX_NAMED = 20
NOT_EQUIVALENCE = "No p value here shows that two readings are equivalent."


@dataclass(frozen=True)
class ComparisonOutput:
    """What a command prints: tables or JSON on stdout, notes on stderr, files, failures."""

    tables: tuple[Table, ...]
    json: str
    notes: tuple[str, ...]
    files: tuple[Path, ...] = ()
    failed: int = 0


def agree(options: argparse.Namespace) -> ComparisonOutput:
    """Run ``scarseg agree`` with parsed options.

    Raises:
        InputError: E_TABLE, E_PAIRS; OutputError: E_EXISTS, E_WRITE, E_OUTPUT_NAME.
    """
    check_output(options, [options.a, options.b])
    a, b = _read_both(options)
    key = options.key or KEY
    paired = pair_tables(a, b, options.column, options.column_b, key, options.strata)
    agreed = table_agreement(paired, options.strata)
    files: list[Path] = []
    if options.output is not None:
        files = write_agreement(options.output, agreed.page(), options.force)
    tables = [statistics_table(_title(paired), agreed.lines)]
    if agreed.parts:
        tables.append(_strata_table(agreed.parts, agreed.unit))
    numbers = numbers_json(agreed.numbers)
    return ComparisonOutput(tuple(tables), numbers, tuple(_notes(paired)), tuple(files))


def _read_both(options: argparse.Namespace) -> tuple[CsvTable, CsvTable]:
    """Read both tables; of a workbook the sheet, and of a table of methods the rows, to compare."""
    methods = (options.method, options.method_b or options.method)
    columns = (options.column, options.column_b or options.column)
    read = [
        select_table(read_tables(path), [column], method is not None)
        for path, column, method in zip((options.a, options.b), columns, methods, strict=True)
    ]
    if options.method is not None and not any(lists_methods(one) for one in read):
        message = f"Neither {read[0].name} nor {read[1].name} lists threshold methods."
        raise InputError("E_TABLE", message)
    a, b = (
        select_method(table, method, options.scope)
        for table, method in zip(read, methods, strict=True)
    )
    return a, b


@dataclass(frozen=True)
class TableAgreement:
    """Two paired tables with all their statistics, as lines and as numbers."""

    paired: Paired
    unit: str
    lines: list[StatisticLine]
    parts: list[Stratum]
    numbers: dict[str, Any]

    def page(self) -> AgreementPage:
        """Return the output pages."""
        return _page(self.paired, self.unit, self.lines, self.parts, self.numbers)


def table_agreement(paired: Paired, stratum: str | None = None) -> TableAgreement:
    """Compute all statistics of two tables; also by ``stratum``, a column of the first."""
    found, unit = agreement_of(paired.pairs), unit_of(paired.column_a)
    parts = strata(paired.pairs, unit, stratum)
    numbers = _numbers(paired, unit, found, parts)
    return TableAgreement(paired, unit, statistic_lines(found, unit), parts, numbers)


def check_output(options: argparse.Namespace, inputs: list[Path]) -> None:
    """Refuse an output that could not be written, before any work is done."""
    if options.output is None:
        return
    files = output_files(options.output)
    refuse_inputs(files, inputs)
    if not options.force:
        refuse_existing(files)
    for file in files:
        require_writable(file)


def statistics_table(
    title: str, lines: list[StatisticLine], interval: str = "95 % interval"
) -> Table:
    """Return the console table of all statistics; ``interval`` is the head of the last column."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column(interval, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(line.what, line.value, line.interval)
    return table


def _title(paired: Paired) -> str:
    other = "" if paired.column_a == paired.column_b else f" and {paired.column_b}"
    return f"{paired.column_a}{other}: A {paired.name_a}, B {paired.name_b}"


def _notes(paired: Paired) -> list[str]:
    notes = list(paired.notes)
    for which, keys in (
        (f"{paired.name_a} has no partner in {paired.name_b}", paired.only_a),
        (f"{paired.name_b} has no partner in {paired.name_a}", paired.only_b),
        ("both tables has no value in one of them", paired.blank),
    ):
        if keys:
            named = ", ".join(key_text(keys)[:MAX_NAMED])
            more = f" and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else ""
            notes.append(f"{len(keys)} of {which}: {named}{more}.")
    return notes


def _numbers(paired: Paired, unit: str, found: Agreement, parts: list[Stratum]) -> dict[str, Any]:
    return {
        "a": paired.name_a,
        "b": paired.name_b,
        "column_a": paired.column_a,
        "column_b": paired.column_b,
        "unit": unit,
        "difference": "a - b",
        "agreement": to_dict(found),
        "strata": [to_dict(one) for one in parts],
        "pairs": [
            {"key": list(one.key), "a": one.a, "b": one.b, "difference": one.a - one.b}
            for one in paired.pairs
        ],
        "only_in_a": [list(one) for one in paired.only_a],
        "only_in_b": [list(one) for one in paired.only_b],
        "without_value": [list(one) for one in paired.blank],
        "notes": list(paired.notes),
    }


def _page(
    paired: Paired,
    unit: str,
    lines: list[StatisticLine],
    parts: list[Stratum],
    numbers: dict[str, Any],
) -> AgreementPage:
    from scarseg.report.layout import FigureBlock, TableBlock
    from scarseg.report.plots import agreement_figure, bars_figure

    names, labels = (paired.name_a, paired.name_b), [one.label for one in paired.pairs]
    quantity = paired.column_a
    what = f"differences are A - B; {len(paired.pairs)} pairs"
    blocks: list[Any] = [
        FigureBlock(
            "Bland-Altman with bias, limits of agreement and their 95 % intervals; scatter with"
            " the line of identity.",
            agreement_figure(paired.a, paired.b, names, quantity, unit),
        ),
        TableBlock(
            "Statistics",
            ("", "value", "95 % interval"),
            tuple((one.what, one.value, one.interval) for one in lines),
        ),
    ]
    if parts:
        blocks.append(TableBlock("Strata", _strata_header(unit), _strata_rows(parts)))
    blocks.append(
        FigureBlock(
            "Both values of every patient.",
            bars_figure(paired.a, paired.b, labels, names, quantity, unit),
        )
    )
    if quantity.startswith("scar_mass"):
        blocks.append(TableBlock("Published figures, to stand beside", ("", ""), PUBLISHED))
    blocks.append(_pairs_block(paired, unit))
    notes = (*_notes(paired), NOT_EQUIVALENCE)
    return AgreementPage(
        "Agreement of two readings",
        (f"{quantity}: A = {names[0]}, B = {names[1]}; {what}", *notes),
        tuple(blocks),
        numbers,
        ("series_uid", "label", "a", "b", "difference"),
        tuple(
            {
                "series_uid": key_text([one.key])[0],
                "label": one.label,
                "a": one.a,
                "b": one.b,
                "difference": one.a - one.b,
            }
            for one in paired.pairs
        ),
    )


def _pairs_block(paired: Paired, unit: str) -> Any:
    from scarseg.report.layout import TableBlock

    rows = tuple(
        (one.label, format_number(one.a), format_number(one.b), format_number(one.a - one.b))
        for one in paired.pairs
    )
    of = f", {unit}" if unit else ""
    return TableBlock("Pairs", ("", f"A{of}", f"B{of}", f"A - B{of}"), rows)


def _strata_header(unit: str) -> tuple[str, ...]:
    of = f", {unit}" if unit else ""
    return ("", "pairs", f"bias{of}", f"SD{of}", f"MAE{of}", "CCC")


def _strata_rows(parts: list[Stratum]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            one.name,
            str(one.n),
            format_number(one.bias),
            format_number(one.sd),
            format_number(one.mae),
            format_number(one.ccc, 3),
        )
        for one in parts
    )


def _strata_table(parts: list[Stratum], unit: str) -> Table:
    table = Table(title="Strata (by the mean of A and B)", title_justify="left")
    for name in _strata_header(unit):
        table.add_column(name, justify="right" if name else "left")
    for row in _strata_rows(parts):
        table.add_row(*row)
    return table
