"""Read the documentation as the tests need it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, to the next one of the same or a higher level."""
    level = len(heading) - len(heading.lstrip("#"))
    start = re.search(rf"^{re.escape(heading)}(?: \{{.*\}})?\n", text, re.M)
    assert start is not None, f"no section {heading!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def first_cells(text: str) -> list[str]:
    """Return the names in backticks in the first column of the tables of a text."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.M)


def fenced_block(text: str) -> str:
    """Return the first fenced block of a text."""
    found = re.search(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
    assert found is not None, "no fenced block"
    return found[1]
