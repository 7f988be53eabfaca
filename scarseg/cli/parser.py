"""The parser, and words of the command line turned into values or refused."""

from __future__ import annotations

import argparse
import sys
from math import isfinite
from typing import TYPE_CHECKING, NoReturn

NOTHING_DONE = 1
"""Exit status when nothing could be done."""

INPUT = "folder (searched to any depth), DICOM file, zip or DICOMDIR"

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = object  # known to type checkers alone


class Parser(argparse.ArgumentParser):
    """A parser whose errors carry a code and leave with status 1: nothing was done."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(NOTHING_DONE, f"E_USAGE: {message}\n")


def length(text: str) -> float:
    """Read a length in mm."""
    return _positive(text, "a length in mm")


def density(text: str) -> float:
    """Read a density in g/ml."""
    return _positive(text, "a density in g/ml")


def _positive(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def count(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def seconds(text: str) -> float:
    """Read a time in s."""
    return _positive(text, "a time in s")


def tcp_port(text: str) -> int:
    """Read the number of a TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed (0, 1, 2 ...)")
    return int(text)


def label_values(text: str) -> tuple[tuple[int, object], ...]:
    """Read ``1=scar,2=myocardium``."""
    from scarseg.case.labels import Label

    names = {label.name.lower(): label for label in Label}
    meaning = {}
    for part in text.split(","):
        value, _, name = part.partition("=")
        if not value.strip().isdecimal() or name.strip().lower() not in names:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a value and what it stands for (1=scar)"
            )
        meaning[int(value)] = names[name.strip().lower()]
    return tuple(meaning.items())
