"""What the commands write to the terminal: lines, progress bars, tables, the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from scarseg.progress import Progress

DONE, NOTHING_DONE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit status of a command."""


def say(text: str) -> None:
    """Write a line to stderr; results alone go to stdout."""
    print(text, file=sys.stderr)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show a progress bar on stderr, where that is a terminal, while a job runs."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, what: str) -> None:
            text = f"{title}: {what}" if what else title
            bar.update(task, completed=fraction, description=text)

        yield report


def print_tables(tables: Sequence[Table], plain_width: int) -> None:
    """Print tables to stdout, ``plain_width`` columns wide where that is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else plain_width
    console = Console(width=width, highlight=False)
    for table in tables:
        console.print(table)


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Send the program's own log to stderr; other libraries' may hold what a header says."""
    logger = logging.getLogger("scarseg")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
