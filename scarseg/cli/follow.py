"""``scarseg follow``: the change of scar mass between two studies of a patient."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from scarseg.cli.console import DONE, SOME_FAILED, counted, progress_bar, say
from scarseg.cli.options import (
    add_device,
    add_dicom,
    add_force,
    add_identify,
    add_mass,
    add_weights,
)
from scarseg.cli.parser import Commands, examples


def add_follow(commands: Commands) -> None:
    """Add ``scarseg follow``."""
    follow = commands.add_parser(
        "follow",
        help="compare two studies of the same patients, over time",
        description="Pair the case files of two points in time by patient and write the change of"
        " scar mass, its interval, and the smallest change beyond the program's own"
        " repeatability; per segment in follow_segments.csv. Of several studies the first of"
        " EARLIER and the last of LATER are compared. Exit status: 0 all is well, 2 some pair"
        " failed (its row carries the code), 1 nothing could be done.",
        epilog=examples(
            "scarseg follow cases_2023 cases_2024 --dicom STUDIES -o follow.csv",
            "scarseg follow before.scarseg after.scarseg --dicom STUDIES -o follow.csv --report .",
        ),
    )
    follow.add_argument(
        "earlier", type=Path, metavar="EARLIER", help="case file, or folder of them"
    )
    follow.add_argument("later", type=Path, metavar="LATER", help="case file, or folder of them")
    add_dicom(follow, "the images (default: the folder that was opened last)")
    follow.add_argument(
        "-o", "--output", type=Path, required=True, metavar="follow.csv", help="table to write"
    )
    follow.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="a PDF page of every pair, named by the later series",
    )
    follow.add_argument(
        "--no-interval",
        dest="interval",
        action="store_false",
        help="leave out the intervals, for which the models run, and what needs them",
    )
    add_mass(follow, "what the masses follow")
    add_weights(follow, "weights for the intervals: name, file or SAM .pth")
    add_device(follow)
    add_identify(follow)
    add_force(follow)
    follow.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from scarseg import models
    from scarseg.agreement.follow_files import follow_up

    load = partial(models.load, options.segmenter, options.detector, options.device)
    output = follow_up(options, load, progress_bar)
    for note in output.notes:
        say(note)
    for path in output.files:
        print(path)
    print(f"{counted(output.n_pairs - output.n_failed, 'pair')} compared, {output.n_failed} failed")
    return SOME_FAILED if output.n_failed else DONE
