"""Classes and packages stay small, and every class name has one module."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from pathlib import Path

from tests.docs.pages import ROOT

MAX_CLASS_LINES, MAX_METHODS = 300, 25
MAX_FILES = 20
MAX_LAYERS = 8

LARGER_CLASSES = {
    "Session": "what is open: every part of the window asks it, and it alone may change it",
    "InferenceJobs": "the jobs of one worker share its queue and its embeddings",
    "Presenter": "one listener of the document that updates every view of a slice",
    "MainWindow": "builds all panels and connects their signals, nothing else",
    "ArchiveController": "the dialogs of archives share one worker and one list of servers",
    "BullseyeView": "a drawn widget: its methods are Qt events and the shapes of segments",
}
"""Reasons of those above the limits."""
LARGER_PACKAGES = {"scarseg/quant": "one file for each number, none of which knows the window"}


def class_definitions() -> list[tuple[str, ast.ClassDef]]:
    return [
        (str(path.relative_to(ROOT)), node)
        for path in sorted((ROOT / "scarseg").rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]


def test_no_class_name_stands_in_two_modules() -> None:
    counts = Counter(node.name for _, node in class_definitions())
    assert [name for name, n in counts.items() if n > 1] == []


def test_classes_are_small() -> None:
    larger = {}
    for path, node in class_definitions():
        n_lines = (node.end_lineno or 0) - node.lineno + 1
        n_methods = sum(isinstance(one, ast.FunctionDef) for one in node.body)
        if (n_lines > MAX_CLASS_LINES or n_methods > MAX_METHODS) and (
            node.name not in LARGER_CLASSES
        ):
            larger[node.name] = f"{path}: {n_lines} lines, {n_methods} methods"
    assert larger == {}


def test_packages_hold_at_most_twenty_files() -> None:
    counts = Counter(
        str(path.parent.relative_to(ROOT)) for path in (ROOT / "scarseg").rglob("*.py")
    )
    larger = {name: n for name, n in counts.items() if n > MAX_FILES}
    assert set(larger) <= set(LARGER_PACKAGES), larger


def test_layers_are_at_most_eight() -> None:
    settings = tomllib.loads(Path(ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one.get("containers") == ["scarseg"]]
    assert len([one for one in layers if one != "__main__"]) <= MAX_LAYERS
