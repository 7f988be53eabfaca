"""The command line: parse, call the engine, print, exit.

Exit status: 0 all is well, 2 some study failed (its row carries the code), 1 nothing could be
done. Results go to stdout; progress, notes and errors to stderr.

No module of this package imports the engine at its top: ``scarseg --help`` must not wait for
torch, Qt or numpy. Every ``add_...`` function defines a command and names the function that
runs it (``set_defaults(run=...)``), which imports what it needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import scarseg
from scarseg.cli import agree, batch, demo, evaluate, inspect, replay, train, weights, window
from scarseg.cli.console import INTERRUPTED, NOTHING_DONE, log_to_stderr, say
from scarseg.cli.parser import Commands, Parser
from scarseg.errors import Cancelled, ScarsegError

_ADD_COMMANDS = (
    window.add_gui,
    demo.add_demo,
    batch.add_batch,
    batch.add_measure,
    inspect.add_inspect,
    demo.add_simulate,
    train.add_train,
    evaluate.add_evaluate,
    agree.add_agree,
    agree.add_compare,
    replay.add_replay,
    weights.add_weights,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    return _build()[0]


def _build() -> tuple[argparse.ArgumentParser, Commands]:
    parser = Parser(
        prog="scarseg",
        description="Measure myocardial scar on LGE cardiac MR."
        " For research use only. Not a medical device.",
        epilog='"scarseg" and "scarseg PATH" open the window.',
    )
    parser.add_argument("--version", action="version", version=f"scarseg {scarseg.__version__}")
    commands: Commands = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=Parser
    )
    for add in _ADD_COMMANDS:
        add(commands)
    return parser, commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scarseg with these arguments (the program's own when None); return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = _build()
    # "scarseg" and "scarseg PATH" open the window.
    if not words or (words[0] not in commands.choices and not words[0].startswith("-")):
        words.insert(0, "gui")
    options = parser.parse_args(words)
    options.words = words
    try:
        with log_to_stderr():
            return int(options.run(options))
    except Cancelled:
        return INTERRUPTED
    except ScarsegError as error:
        unnamed = error.path and error.path not in error.message
        say(f"{error.code}: {error.message}{f' [{error.path}]' if unnamed else ''}")
        return NOTHING_DONE
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "Interrupted; no table was written.")
        return INTERRUPTED
