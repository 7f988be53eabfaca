"""The page of a blinded re-reading: one reading of some cases against others of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scarseg.agreement.mask_overlap import STRUCTURES, MaskPair
from scarseg.agreement.masks import mask_numbers, mask_tables
from scarseg.agreement.pairing import Paired, pair_tables
from scarseg.agreement.summary import AgreementPage, file_bytes, to_dict
from scarseg.agreement.tables import NOT_EQUIVALENCE, table_agreement
from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.io.files import refuse_existing, write_files
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.csv_reader import parse_csv
from scarseg.io.tables.table import StackRecord, render_tables

COLUMN = "scar_mass_g"


@dataclass(frozen=True)
class RereadCase:
    """One case in two readings: its study code, the rows of both, and their masks compared."""

    code: str
    a: StackRecord
    b: StackRecord
    masks: MaskPair


@dataclass(frozen=True)
class ReadingComparison:
    """The other reading, by its name, and the cases that both have."""

    name: str
    cases: tuple[RereadCase, ...]


def write_rereading(
    path: Path,
    name: str,
    others: Sequence[ReadingComparison],
    notes: Sequence[str],
    force: bool = False,
) -> tuple[list[Path], str]:
    """Write the page as HTML and PDF, numbers, pairs, and the table of every reading.

    All beside ``path`` with its stem, all or none. The table of A ends in ``_a``, the others in
    ``_b``, ``_c`` and so on; ``scarseg agree`` reads them.

    Args:
        path: file of the page.
        name: reading A, such as "read 2, reader AB".
        others: the readings to compare with; at least one, each with at least one case.
        notes: sentences for the reader of the page.

    Returns:
        The files, and one sentence on the agreement of the first two readings.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    tables, paired = _tables(path, name, others)
    page, sentence = _page(name, others, paired, notes)
    stem = path.with_suffix("") if path.suffix.lower() in (".html", ".htm", ".pdf") else path
    files = [
        stem.with_name(f"{stem.name}{end}") for end in (".json", "_pairs.csv", ".pdf", ".html")
    ]
    if not force:
        refuse_existing([*tables, *files])
    write_files({**tables, **{file: file_bytes(file, page) for file in files}}, force)
    return files, sentence


def _tables(
    path: Path, name: str, others: Sequence[ReadingComparison]
) -> tuple[dict[Path, bytes], list[Paired]]:
    """Return the table of each reading, and A paired with each of the others."""
    stem = path.with_suffix("").name
    of_a = {one.code: one.a for other in others for one in other.cases}
    readings = [
        (name, list(of_a.values())),
        *((other.name, [one.b for one in other.cases]) for other in others),
    ]
    files: dict[Path, bytes] = {}
    parsed = []
    for number, (reading, records) in enumerate(readings):
        table = path.with_name(f"{stem}_{_letter(number)}.csv")
        made = render_tables(table, records, {"reading": reading})
        files |= made
        parsed.append(replace(parse_csv(table, made[table]), name=reading))
    codes: dict[tuple[str, ...], str] = {
        (str(record.row["series_uid"]), str(record.row["part"])): code
        for code, record in of_a.items()
    }
    return files, [_with_codes(pair_tables(parsed[0], one, COLUMN), codes) for one in parsed[1:]]


def _letter(number: int) -> str:
    """Return a, b, ... z, then 27, 28 and so on."""
    return chr(ord("a") + number) if number < 26 else str(number + 1)


def _with_codes(paired: Paired, codes: Mapping[tuple[str, ...], str]) -> Paired:
    """Return the pairs labelled by study codes instead of patients."""
    pairs = tuple(replace(one, label=codes[one.key]) for one in paired.pairs)
    return replace(paired, pairs=pairs, only_a=())


def _page(
    name: str, others: Sequence[ReadingComparison], paired: Sequence[Paired], notes: Sequence[str]
) -> tuple[AgreementPage, str]:
    lead: list[str] = []
    blocks: list[Any] = []
    comparisons, rows, sentence = [], [], ""
    for other, pairs in zip(others, paired, strict=True):
        agreed, names = table_agreement(pairs), (name, other.name)
        masks = [one.masks for one in other.cases]
        overlap = mask_numbers(names, masks, DENSITY_G_PER_ML)
        tables = agreed.page()
        of = f"Against {other.name}: " if len(others) > 1 else ""
        lead += [*tables.lead[:-1], *_empty_notes(masks)]
        blocks += [_with_readings(of, block) for block in (*tables.blocks, *mask_tables(masks))]
        comparisons.append({"b": other.name, "tables": agreed.numbers, "masks": overlap})
        rows += _rows(other)
        sentence = sentence or _sentence(agreed.numbers["agreement"], masks, other.name)
    numbers = {"a": name, "comparisons": comparisons, "notes": list(notes)}
    columns = tuple(rows[0])
    title = f"Blinded re-reading: {name}"
    lead_lines = (*lead, *notes, NOT_EQUIVALENCE)
    return AgreementPage(title, lead_lines, tuple(blocks), numbers, columns, tuple(rows)), sentence


def _with_readings(of: str, block: Any) -> Any:
    """Return a block whose title or caption starts with the readings it compares."""
    if not of:
        return block
    if hasattr(block, "title"):
        return replace(block, title=of + block.title)
    return replace(block, caption=of + block.caption)


def _empty_notes(masks: Sequence[MaskPair]) -> list[str]:
    n = sum(one.scar.both_empty for one in masks)
    return [f"{n} of {len(masks)} pairs have no scar in either mask: no overlap."] if n else []


def _rows(other: ReadingComparison) -> list[dict[str, Cell]]:
    return [
        {
            "against": other.name,
            "code": one.code,
            **{key: one.a.row[key] for key in ("patient_id", "series_uid", "part")},
            "scar_mass_a_g": one.a.row[COLUMN],
            "scar_mass_b_g": one.b.row[COLUMN],
            **{
                f"{s}_{f}": v for s in STRUCTURES for f, v in to_dict(getattr(one.masks, s)).items()
            },
        }
        for one in other.cases
    ]


def _sentence(found: Mapping[str, Any], masks: Sequence[MaskPair], name: str) -> str:
    """Return the agreement of two readings in one sentence."""
    limits, agreed = found["bland_altman"], found["concordance"]
    parts = [f"bias {limits['bias']:+.2f} g"]
    if limits["lower_limit"] is not None:
        parts.append(f"limits {limits['lower_limit']:+.2f} to {limits['upper_limit']:+.2f} g")
    if agreed is not None:
        parts.append(f"CCC {agreed['ccc']:.3f}")
    dice = [one.scar.dice for one in masks if one.scar.dice is not None]
    if dice:
        parts.append(f"Dice {sum(dice) / len(dice):.2f}")
    n = len(masks)
    return f"{n} case{'' if n == 1 else 's'} against {name}: {', '.join(parts)}."
