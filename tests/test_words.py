"""Docstrings open as a professional of this field would write them; names avoid invented terms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "scarseg").rglob("*.py"))
OPENINGS = re.compile(
    r"(Give|Gives|Say|Says|Tell|Tells|Take|Takes|Let|Lets|Put|Puts|Lay|Look|Go|Ask|Whether|Hand)\b"
)
"""Return, Compute, Set, Write, Run ... say more; see the glossary in docs/developer.md."""
TERMS = re.compile(
    r"(^|_)(told|mend|mended|strays?|sitting|swayed|footing|ground|grounds|looked|wish|eye)(_|$)"
)


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.Module) -> Iterator[Definition]:
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            yield node


def wrong_openings(source: str) -> list[str]:
    """Return the first lines of docstrings that open with a word to avoid."""
    lines = []
    for node in definitions(ast.parse(source)):
        text = ast.get_docstring(node)
        if text and OPENINGS.match(text):
            lines.append(f"{node.name}: {text.splitlines()[0]}")
    return lines


def wrong_names(source: str) -> list[str]:
    """Return names of functions, classes and arguments that use an invented term."""
    names = []
    for node in definitions(ast.parse(source)):
        names.append(re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower())
        if not isinstance(node, ast.ClassDef):
            names += [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
    return [name for name in names if TERMS.search(name)]


def test_the_check_finds_what_it_is_for() -> None:
    bad = 'def told_of(ground):\n    """Give the sum."""\n\n\nclass Strays:\n    """Takes all."""\n'
    assert wrong_openings(bad) == ["told_of: Give the sum.", "Strays: Takes all."]
    assert sorted(wrong_names(bad)) == ["ground", "strays", "told_of"]
    good = 'def total(labels):\n    """Return the sum."""\n'
    assert wrong_openings(good) == wrong_names(good) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_open_with_a_plain_verb_and_names_are_plain(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert wrong_openings(source) == []
    assert wrong_names(source) == []


def test_no_class_name_stands_in_two_modules() -> None:
    seen: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                seen.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in seen.items() if len(paths) > 1} == {}
