"""``scarseg train segmenter`` and ``scarseg train detector``: their options, and the run."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from scarseg.cli.console import DONE, INTERRUPTED, progress_bar, say
from scarseg.cli.options import (
    above_zero,
    add_device,
    add_reference_data,
    share,
    weight,
    whole,
)
from scarseg.cli.parser import Commands, Parser, examples

_SEGMENTER_ABOUT = (
    "Train a segmenter on a site's own read cases, on label maps in the EMIDEC layout and on"
    " simulated studies, in any mix. Writes DIR/NAME.safetensors with its card (NAME is the"
    " folder's), at once ready for use: scarseg batch INPUT -o scar.csv --segmenter"
    " DIR/NAME.safetensors. Ctrl-C keeps a checkpoint; the same command with --resume goes on."
)
_DETECTOR_ABOUT = _SEGMENTER_ABOUT.replace("a segmenter", "a detector").replace(
    "--segmenter", "--detector"
)


def add_train(commands: Commands) -> None:
    """Add ``scarseg train`` with its two kinds."""
    train = commands.add_parser("train", help="train a segmenter or a detector on your own data")
    kinds: Commands = train.add_subparsers(metavar="KIND", required=True, parser_class=Parser)
    segmenter = kinds.add_parser(
        "segmenter",
        help="masks from boxes, points or alone",
        description=_SEGMENTER_ABOUT,
        epilog=examples(
            "scarseg train segmenter cases --dicom STUDIES --init default -o weights/ours",
            "scarseg train segmenter emidec --simulated 40 --time-budget 600 -o weights/new",
        ),
    )
    _add_segmenter_options(segmenter)
    segmenter.set_defaults(run=_run, kind="segmenter")
    detector = kinds.add_parser(
        "detector",
        help="boxes of ventricle and scars",
        description=_DETECTOR_ABOUT,
        epilog=examples("scarseg train detector emidec --simulated 40 -o weights/found"),
    )
    _add_common(detector, "safetensors file of scarseg")
    detector.set_defaults(run=_run, kind="detector")


def _run(options: argparse.Namespace) -> int:
    from scarseg.models import prepare_environment

    prepare_environment()
    from scarseg.training.detector.commands import train_detector
    from scarseg.training.segmenter.commands import train_segmenter

    train = {"segmenter": train_segmenter, "detector": train_detector}[options.kind]
    try:
        output = train(options, partial(progress_bar, "Reading"))
    except KeyboardInterrupt:
        say("Interrupted. A run goes on from its last checkpoint with --resume.")
        return INTERRUPTED
    if output.how_to_resume:
        say(output.how_to_resume)
        return INTERRUPTED
    for path in output.files:
        print(path)
    return DONE


def _add_segmenter_options(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "safetensors file of scarseg, or a SAM or MedSAM checkpoint (.pth)")
    parser.add_argument(
        "--train",
        choices=("decoder", "all"),
        default="decoder",
        help="what of a SAM checkpoint learns (default: decoder)",
    )
    parser.add_argument(
        "--shares",
        type=share,
        nargs=4,
        default=(0.46, 0.22, 0.2, 0.12),
        metavar="S",
        help="how often LGE with scar, LGE without, cine and simulated slices are drawn"
        " (default: 0.46 0.22 0.2 0.12)",
    )
    parser.add_argument(
        "--rounds",
        type=whole(1, 5),
        default=1,
        metavar="N",
        help="corrective clicks are trained over up to N rounds (default: 1)",
    )
    parser.add_argument(
        "--previous-share",
        type=share,
        default=1.0,
        metavar="S",
        help="share of these rounds that see the answer before them (default: 1)",
    )
    parser.add_argument(
        "--workers",
        type=whole(0, 256),
        default=1,
        metavar="N",
        help="processes that prepare slices (default: 1)",
    )
    loss = parser.add_argument_group("loss", "weights of its terms; 0 leaves a term out")
    for name, default, what in (
        ("cross-entropy", 1.0, "binary cross-entropy with the mask"),
        ("batch-dice", 0.5, "Dice over the batch"),
        ("image-dice", 0.5, "Dice per image"),
        ("soft-label", 0.5, "KL divergence to the blurred mask"),
        ("predicted-iou", 0.1, "the network's own guess at its IoU"),
    ):
        loss.add_argument(
            f"--loss-{name}",
            type=weight,
            default=default,
            metavar="W",
            help=f"{what} (default: {default:g})",
        )
    loss.add_argument(
        "--loss-structures",
        type=weight,
        nargs=3,
        default=(0.7, 1.0, 1.3),
        metavar="W",
        help="blood pool, wall and scar (default: 0.7 1 1.3)",
    )
    loss.add_argument(
        "--soft-label-mm",
        type=above_zero,
        default=2.0,
        metavar="MM",
        help="standard deviation of the blur (default: 2)",
    )


def _add_common(parser: argparse.ArgumentParser, init: str) -> None:
    add_reference_data(parser, "*")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the run and of the weights it ends with, named alike: weights/NAME",
    )
    parser.add_argument(
        "--simulated",
        type=whole(0, 100_000),
        default=0,
        metavar="N",
        help="simulated stacks to learn from beside the data (default: 0)",
    )
    parser.add_argument(
        "--init",
        metavar="WEIGHTS",
        help=f'begin with weights instead of random ones: "default", a name, or a {init}',
    )
    _add_validation(parser)
    _add_effort(parser)


def _add_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "validation", "Patients the run does not learn from choose its best checkpoint."
    )
    group.add_argument(
        "--validation",
        type=share,
        metavar="SHARE",
        help="share of patients kept for that (default: 0.2; with EMIDEC's tuning patients among"
        " the data, these alone); 0: the last weights are taken",
    )
    group.add_argument(
        "--split",
        type=Path,
        metavar="FILE",
        help="keep who learns and who validates in FILE, for later runs too",
    )
    group.add_argument(
        "--use-inner", action="store_true", help="learn from EMIDEC's tuning patients too"
    )
    group.add_argument(
        "--patience",
        type=whole(0, 1000),
        default=10,
        metavar="N",
        help="end when N validations in a row were no better; 0: never (default: 10)",
    )


def _add_effort(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("effort")
    group.add_argument(
        "--time-budget",
        type=above_zero,
        default=60.0,
        metavar="MINUTES",
        help="of training (default: 60); the learning rate falls to zero at its end",
    )
    group.add_argument(
        "--steps", type=whole(0, 10**9), default=0, metavar="N", help="end after N steps"
    )
    group.add_argument("--batch", type=whole(1, 4096), metavar="N", help="slices per step")
    group.add_argument(
        "--rate",
        type=above_zero,
        default=1.0,
        metavar="X",
        help="factor on the learning rates; 0.3 to 0.6 for fine-tuning (default: 1)",
    )
    group.add_argument("--seed", type=whole(0, 10**9), default=1, metavar="S", help="default: 1")
    group.add_argument(
        "--threads",
        type=whole(1, 1024),
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="of the network on the CPU (default: 2)",
    )
    add_device(group)
    group.add_argument(
        "--resume", action="store_true", help="go on with the run in DIR, if there is one"
    )
