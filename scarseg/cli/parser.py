"""The parser: one line per usage error, suggestions for misspelt words, examples in the help."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

NOTHING_DONE = 1
"""Exit status when nothing could be done."""

EXAMPLES = "examples:"
"""First line of an epilog that is printed as it is written."""

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]
else:
    Commands = object  # known to type checkers alone


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions, and keeps the lines of examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES):
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line with a code and leave with status 1: nothing was done.

    Options cannot be abbreviated: a script must not change its meaning when an option is added.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _HelpFormatter)
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(NOTHING_DONE, f"E_USAGE: {message}. See {self.prog} --help.\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is left here, where the options of this command are known."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            first = rest[0].partition("=")[0]
            kind = "option" if first.startswith("-") else "argument"
            hint = did_you_mean(first, self._option_string_actions)
            self.error(f"there is no {kind} {first}{hint}")
        return found, rest


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or an empty text where nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}" if close else ""


def examples(*commands: str) -> str:
    """Return the epilog of a command with its examples."""
    return "\n".join((EXAMPLES, *(f"  {command}" for command in commands)))


def leaf_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands that have no commands of their own."""
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for one in group.choices.values():
            yield from leaf_parsers(one)
