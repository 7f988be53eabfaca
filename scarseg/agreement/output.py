"""Write an agreement: a page, the numbers as JSON, the pairs as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import scarseg
from scarseg.errors import OutputError
from scarseg.io.outputs import refuse_existing, write_all
from scarseg.io.provenance import RESEARCH_USE
from scarseg.io.table import Cell, render_rows

PAGE, PRINT, NUMBERS = "agreement.html", "agreement.pdf", "agreement.json"
PAIRS = "pairs.csv"


@dataclass(frozen=True)
class Written:
    """What can be written: bytes made only when they are asked for."""

    title: str
    lead: tuple[str, ...]
    blocks: tuple[Any, ...]
    numbers: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Cell], ...]

    @property
    def foot(self) -> str:
        return f"scarseg {scarseg.__version__}. {RESEARCH_USE}"


def output_files(output: Path) -> list[Path]:
    """Name the files that ``-o`` makes: one by its ending, else a folder of four.

    Raises:
        OutputError: E_OUTPUT_NAME, another ending.
    """
    ending = output.suffix.lower()
    if ending in (".html", ".htm", ".pdf", ".json"):
        return [output]
    if ending in (".csv", ".xlsx", ".png", ".txt"):
        raise OutputError(
            "E_OUTPUT_NAME",
            f"{output} must be a folder or end in .html, .pdf or .json.",
            str(output),
        )
    return [output / name for name in (PRINT, PAIRS, NUMBERS, PAGE)]


def write(output: Path, written: Written, force: bool = False) -> list[Path]:
    """Write what ``-o`` asks for, all or none; give the files.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE, E_OUTPUT_NAME.
    """
    files = output_files(output)
    if not force:
        refuse_existing(files)
    write_all({path: contents(path, written) for path in files}, force)
    return files


def numbers_json(numbers: Mapping[str, Any]) -> str:
    """Write the numbers for programs."""
    about = {
        "software": "scarseg",
        "software_version": scarseg.__version__,
        "statement": RESEARCH_USE,
        **numbers,
    }
    return json.dumps(about, indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> dict[str, Any]:
    """Turn a result into dictionaries that JSON takes."""
    return asdict(value)


def contents(path: Path, written: Written) -> bytes:
    """Make the file of this name: page, print, numbers or pairs by its ending."""
    ending = path.suffix.lower()
    if ending == ".json":
        return numbers_json(written.numbers).encode()
    if ending == ".csv":
        return render_rows(written.columns, written.rows)
    from scarseg.figures import page

    make = page.pdf_page if ending == ".pdf" else page.html_page
    return make(written.title, written.lead, written.blocks, written.foot)


def key_text(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """Write keys for a list."""
    return [" ".join(part for part in key if part) for key in keys]
