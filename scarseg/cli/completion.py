"""``scarseg completion``: what a shell needs to complete commands, options and files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from scarseg.cli.console import DONE
from scarseg.cli.parser import Commands, examples

SHELLS = ("bash", "zsh", "fish")


def add_completion(commands: Commands) -> None:
    """Add ``scarseg completion``."""
    completion = commands.add_parser(
        "completion",
        help="print what bash, zsh or fish needs to complete commands",
        description="Print the lines that make a shell complete commands, options and their"
        " choices with the Tab key. Load them in the shell's start-up file.",
        epilog=examples(
            "scarseg completion bash >> ~/.bashrc",
            "scarseg completion zsh >> ~/.zshrc",
            "scarseg completion fish > ~/.config/fish/completions/scarseg.fish",
        ),
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["scarseg"], shell=options.shell))
    return DONE


def complete_if_asked(build_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Answer a shell that completes a word, and leave; return where none asked."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(build_parser())
