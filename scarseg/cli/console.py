"""What the commands write to the terminal and the log: lines, progress bars, tables."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.errors import OutputError

if TYPE_CHECKING:
    from rich.table import Table

    from scarseg.progress import Progress

DONE, NOTHING_DONE, SOME_FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit status of a command."""
LOG_SECONDS = 30.0
"""Time between two lines of the log about one progress bar."""

_log = logging.getLogger(__name__)
_CODE = re.compile(r"([EW]_[A-Z_]+)\b")


class _Settings:
    """How much the running command prints; one command runs at a time."""

    quiet = verbose = identify = False


def say(text: str) -> None:
    """Write a line to stderr; results alone go to stdout. With --quiet, errors alone."""
    code = _CODE.match(text)
    if not _Settings.quiet or (code is not None and code[1].startswith("E_")):
        print(text, file=sys.stderr)
    # Without --identify a log names nobody: a sentence may hold a path or what a header says.
    logged = text if _Settings.identify else code[1] if code is not None else ""
    if logged:
        _log.info("%s", logged, extra={"said": True})


def counted(n: int, noun: str) -> str:
    """Return a number with its noun in singular or plural."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show a progress bar on stderr, where that is a terminal, while a job runs."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    hidden = not console.is_terminal or _Settings.quiet or _Settings.verbose
    logged_at = time.monotonic()
    with Bar(console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, what: str) -> None:
            nonlocal logged_at
            text = f"{title}: {what}" if what else title
            bar.update(task, completed=fraction, description=text)
            if time.monotonic() - logged_at >= LOG_SECONDS:
                logged_at = time.monotonic()
                _log.info("%s, %.0f %%", title, 100 * fraction)

        yield report


def print_tables(tables: Sequence[Table], plain_width: int) -> None:
    """Print tables to stdout, ``plain_width`` columns wide where that is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else plain_width
    console = Console(width=width, highlight=False)
    for table in tables:
        console.print(table)


@contextmanager
def messages_of(options: argparse.Namespace) -> Iterator[None]:
    """Send the program's own log to stderr and to ``--log``, as the options of a command say.

    Other libraries' logs may hold what a header says, and go nowhere.

    Raises:
        OutputError: E_WRITE, the log file cannot be written.
    """
    for name in ("quiet", "verbose", "identify"):
        setattr(_Settings, name, bool(getattr(options, name, False)))
    logger = logging.getLogger("scarseg")
    before = logger.level
    terminal = logging.StreamHandler()
    terminal.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    terminal.setLevel(logging.INFO if _Settings.verbose else logging.WARNING)
    terminal.addFilter(lambda record: not getattr(record, "said", False))
    handlers: list[logging.Handler] = [terminal]
    path = getattr(options, "log", None)
    if path is not None:
        handlers.append(_file_handler(path))
    if path is not None or _Settings.verbose:
        logger.setLevel(logging.INFO)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.flush()
        if path is not None:
            handlers[-1].close()
        logger.setLevel(before)
        _Settings.quiet = _Settings.verbose = _Settings.identify = False


def _file_handler(path: Path) -> logging.Handler:
    """Return the handler that appends to a file, readable by its owner alone; not to a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        stream = os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise OutputError("E_WRITE", message, str(path)) from error
    handler = _ClosingHandler(stream)
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


class _ClosingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Closes its stream with itself."""

    def close(self) -> None:
        self.stream.close()
        super().close()
