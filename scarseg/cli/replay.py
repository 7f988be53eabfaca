"""``scarseg replay``: make readings again from their case files."""

from __future__ import annotations

import argparse
from pathlib import Path

from scarseg.cli.console import DONE, SOME_FAILED, progress_bar, say
from scarseg.cli.options import add_device, add_dicom, add_force, add_mass, add_weights
from scarseg.cli.parser import Commands, examples


def add_replay(commands: Commands) -> None:
    """Add ``scarseg replay``."""
    replay = commands.add_parser(
        "replay",
        help="make a reading again from its case file, and compare",
        description="Make the mask and the grams of a reading again from what its case file"
        " remembers: the models answer every prompt anew, in order, and manual edits are applied"
        " again. Exit status: 0 all is identical, 2 something differs or cannot be checked (printed"
        " step by step, with the reason as far as it is known), 1 nothing could be done.",
        epilog=examples(
            "scarseg replay cases --dicom STUDIES", "scarseg replay case.scarseg -o again"
        ),
    )
    replay.add_argument(
        "cases", nargs="+", type=Path, metavar="CASE", help="case files (.scarseg) or folders"
    )
    add_dicom(replay, "the images (default: the folder that was opened last)")
    replay.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="write the label maps (NIfTI) and the table that were made again here",
    )
    add_weights(replay, "name or file (default: the recorded weights)")
    add_device(replay)
    add_mass(replay, "what scar_mass_g follows")
    add_force(replay)
    replay.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from scarseg.replay.case_files import replay_files

    output = replay_files(options, progress_bar, say)
    for line in (*output.lines, *output.files):
        print(line)
    return DONE if output.identical else SOME_FAILED
