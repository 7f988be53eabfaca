"""``scarseg weights``: list or verify the shipped weights."""

from __future__ import annotations

import argparse

from scarseg.cli.console import DONE, NOTHING_DONE
from scarseg.cli.parser import Commands, examples


def add_weights(commands: Commands) -> None:
    """Add ``scarseg weights``."""
    command = commands.add_parser(
        "weights",
        help="list or verify the shipped weights",
        epilog=examples("scarseg weights", "scarseg weights verify"),
    )
    command.add_argument("action", nargs="?", choices=("list", "verify"), default="list")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from scarseg.models import weights

    if options.action == "list":
        for entry in weights.list_weights():
            star = "*" if entry.default else " "
            print(f"{star} {entry.kind:10} {entry.name:24} {entry.sha256[:12]}  {entry.licence}")
        print(f"in {weights.weights_folder()}")
        return DONE
    checked = weights.verify_weights()
    for entry, status in checked:
        print(f"{status:8} {entry.name} ({entry.file})")
    return DONE if all(status == "ok" for _, status in checked) else NOTHING_DONE
