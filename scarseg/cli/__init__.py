"""The command line: parse, call the engine, print, exit.

Exit status: 0 all is well, 2 some study failed (its row carries the code), 1 nothing could be
done. Results go to stdout; progress, notes and errors to stderr.

No module of this package imports the engine at its top: ``scarseg --help`` must not wait for
torch, Qt or numpy. Every ``add_...`` function defines a command and names the function that
runs it (``set_defaults(run=...)``), which imports what it needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import scarseg
from scarseg.cli import (
    agree,
    batch,
    calibrate,
    cluster,
    completion,
    demo,
    evaluate,
    follow,
    inspect,
    pacs,
    replay,
    train,
    weights,
    window,
)
from scarseg.cli.console import DONE, INTERRUPTED, NOTHING_DONE, messages_of, say
from scarseg.cli.options import add_console
from scarseg.cli.parser import Commands, Parser, did_you_mean, leaf_parsers
from scarseg.errors import Cancelled, ScarsegError

_COMMANDS = {
    "gui": window.add_gui,
    "demo": demo.add_demo,
    "batch": batch.add_batch,
    "measure": batch.add_measure,
    "inspect": inspect.add_inspect,
    "simulate": demo.add_simulate,
    "train": train.add_train,
    "evaluate": evaluate.add_evaluate,
    "calibrate": calibrate.add_calibrate,
    "agree": agree.add_agree,
    "compare": agree.add_compare,
    "follow": follow.add_follow,
    "replay": replay.add_replay,
    "pacs": pacs.add_pacs,
    "scheduler": cluster.add_scheduler_command,
    "worker": cluster.add_worker,
    "weights": weights.add_weights,
    "completion": completion.add_completion,
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands, or of the global options and one command alone."""
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
    for name, add in _COMMANDS.items():
        if only in (None, name):
            add(commands)
    for command in leaf_parsers(parser):
        if command is not parser:
            add_console(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scarseg with these arguments (the program's own when None); return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    completion.complete_if_asked(build_parser)
    # "scarseg" and "scarseg PATH" open the window.
    if not words or (words[0] not in _COMMANDS and not words[0].startswith("-")):
        if words and not _may_be_path(words[0]):
            hint = did_you_mean(words[0], _COMMANDS)
            say(f"E_USAGE: there is no command or file {words[0]}{hint}. See scarseg --help.")
            return NOTHING_DONE
        words.insert(0, "gui")
    options = build_parser(words[0] if words[0] in _COMMANDS else None).parse_args(words)
    options.words = words
    try:
        with messages_of(options):
            return _run(options)
    except ScarsegError as error:
        return _report(error)


def _may_be_path(word: str) -> bool:
    """Return whether a word that is no command may name what the window is to open."""
    return os.path.lexists(word) or any(mark in word for mark in "/\\.: ")


def _run(options: argparse.Namespace) -> int:
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # "scarseg inspect PATH | head": nobody reads on. What is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Cancelled:
        return INTERRUPTED
    except ScarsegError as error:
        return _report(error)
    except KeyboardInterrupt as interrupt:
        say(str(interrupt) or "Interrupted; no table was written.")
        return INTERRUPTED
    except MemoryError:
        say("E_MEMORY: The work did not fit into memory.")
        return NOTHING_DONE
    except Exception as error:  # noqa: BLE001 - the boundary of the program
        say(f"E_INTERNAL: A fault of the program, which these lines locate:\n{_locations(error)}")
        return NOTHING_DONE


def _report(error: ScarsegError) -> int:
    unnamed = error.path and error.path not in error.message
    say(f"{error.code}: {error.message}{f' [{error.path}]' if unnamed else ''}")
    return NOTHING_DONE


def _locations(error: BaseException) -> str:
    """Return the traceback of a bug without its message: that may hold a patient's name."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {one.filename}:{one.lineno} {one.name}" for one in frames]
    return "\n".join([*lines, type(error).__name__])
