"""Change one operator or number of a module at a time and print the changes no test notices.

    python benchmarks/mutants.py quant.mass [--part 1/4]

Comparisons, arithmetic, ``and`` and ``or``, ``not``, and numbers by one (a float by a tenth). Each
mutant runs the tests that belong to the module, in a process of its own, until the first fails.
Every survivor is a missing test, dead code, or an equivalent of the original.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

TESTS = {
    "quant.mass": ("quant/test_mass.py", "quant/test_mass_overlap.py"),
    "quant.thresholds": ("quant/test_thresholds.py", "quant/test_method_comparison.py"),
    "segmentation.proposal": ("segmentation/test_proposal.py",),
    "case.positions": ("case/test_positions.py", "quant/test_mass_overlap.py"),
}
_PYTEST = (
    *("-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
hypothesis.settings.register_profile("few", max_examples=10, derandomize=True, database=None)
LIMIT_S = 300
"""A mutant that runs longer counts as noticed: its loop has no end."""
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}


_CHANGED = (ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.AugAssign)


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, how the line reads then, and the whole module."""

    line: int
    before: str
    after: str
    source: str


class _Places(ast.NodeVisitor):
    """Collect the nodes that can be changed; annotations and messages of errors are left out."""

    def __init__(self) -> None:
        self.found: list[ast.AST] = []

    def generic_visit(self, node: ast.AST) -> None:
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if number or isinstance(node, _CHANGED):
            self.found.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not isinstance(child, ast.Raise):
                    self.visit(child)


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every change of a module."""
    tree = ast.parse(source)
    places = _Places()
    places.visit(tree)
    for place in places.found:
        for changed in _changes(place):
            before = ast.unparse(place)
            kept = {name: getattr(place, name) for name in changed._fields}
            for name in changed._fields:
                setattr(place, name, getattr(changed, name))
            yield Mutant(getattr(place, "lineno", 0), before, ast.unparse(place), ast.unparse(tree))
            for name, value in kept.items():
                setattr(place, name, value)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for k, operator in enumerate(node.ops):
            changed = copy.copy(node)
            changed.ops = list(node.ops)
            changed.ops[k] = _SWAPPED[type(operator)]()  # type: ignore[assignment]
            yield changed
    elif isinstance(node, ast.BoolOp | ast.BinOp | ast.AugAssign):
        if type(node.op) in _SWAPPED:
            changed_op = copy.copy(node)
            changed_op.op = _SWAPPED[type(node.op)]()  # type: ignore[assignment]
            yield changed_op
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not | ast.Invert):
            changed_not = copy.copy(node)
            changed_not.op, changed_not.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
            if isinstance(node.op, ast.Invert):
                changed_not.op, changed_not.operand = ast.UAdd(), node.operand
            yield changed_not
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        step = 1 if isinstance(node.value, int) else 0.1 * node.value or 0.1
        for value in (node.value + step, node.value - step):
            yield ast.Constant(value)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import one module from a changed source."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, self.name, "exec"), module.__dict__)


def load_libraries(tests: Sequence[str]) -> None:
    """Import what the tests import, and forget the modules of this repository again.

    Every mutant is tried in a process forked from this one: it then loads no library.
    """
    for test in ("conftest.py", *tests):
        importlib.import_module(f"tests.{test.removesuffix('.py').replace('/', '.')}")
    for name in [one for one in sys.modules if one.split(".")[0] in ("scarseg", "tests")]:
        del sys.modules[name]


def survives(name: str, source: str, tests: Sequence[str]) -> bool:
    """Return whether all tests pass with the changed module, in a process forked for it."""
    pid = os.fork()
    if not pid:
        signal.alarm(LIMIT_S)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        sys.meta_path.insert(0, _Finder(name, source))
        hypothesis.settings.load_profile("few")
        paths = [str(ROOT / "tests" / one) for one in tests]
        os._exit(int(pytest.main([*_PYTEST, *paths])))
    _, status = os.waitpid(pid, 0)
    return status == 0


def main() -> int:
    """Check a module and print the survivors."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("module", choices=sorted(TESTS))
    parser.add_argument("--part", default="1/1", help="n/of: every of-th mutant from the n-th on")
    parser.add_argument("--list", action="store_true", help="print the mutants, run none")
    options = parser.parse_args()
    path = ROOT / "scarseg" / f"{options.module.replace('.', '/')}.py"
    number, of = (int(value) for value in options.part.split("/"))
    every = list(mutants(path.read_text(encoding="utf-8")))[number - 1 :: of]
    if options.list:
        for one in every:
            print(f"{path.name}:{one.line}: {one.before}  ->  {one.after}")
        return 0
    load_libraries(TESTS[options.module])
    os.chdir(ROOT)
    name = f"scarseg.{options.module}"
    if not survives(name, path.read_text(encoding="utf-8"), TESTS[options.module]):
        raise SystemExit("the tests fail without any change")
    n_survivors, began = 0, time.monotonic()
    for one in every:
        if survives(name, one.source, TESTS[options.module]):
            n_survivors += 1
            print(f"{path.name}:{one.line}: {one.before}  ->  {one.after}", flush=True)
    minutes = (time.monotonic() - began) / 60
    print(f"{len(every)} mutants, {n_survivors} survivors, {minutes:.0f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
