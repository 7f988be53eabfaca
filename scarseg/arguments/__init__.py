"""What the command line takes; imports nothing that takes time."""

from __future__ import annotations

import argparse
from pathlib import Path

import scarseg
from scarseg.arguments import agreement, cohort, replay
from scarseg.arguments.parsing import INPUT, NOTHING_DONE, Commands, Parser, count, seed
from scarseg.training import arguments as training

__all__ = ["COMMANDS", "NOTHING_DONE", "build_parser"]

COMMANDS = (
    "gui",
    "demo",
    "batch",
    "measure",
    "inspect",
    "simulate",
    "train",
    "evaluate",
    "weights",
    "agree",
    "compare",
    "replay",
)

_RESEARCH_USE = "For research use only. Not a medical device."


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = Parser(
        prog="scarseg",
        description="Measure myocardial scar on LGE cardiac MR. " + _RESEARCH_USE,
        epilog='"scarseg" and "scarseg PATH" open the window.',
    )
    parser.add_argument("--version", action="version", version=f"scarseg {scarseg.__version__}")
    commands: Commands = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=Parser
    )
    _add_gui(commands)
    _add_demo(commands)
    cohort.add_batch(commands)
    cohort.add_measure(commands)
    _add_inspect(commands)
    _add_simulate(commands)
    _add_train(commands)
    _add_evaluate(commands)
    agreement.add_agree(commands)
    agreement.add_compare(commands)
    replay.add_replay(commands)
    _add_weights(commands)
    return parser


def _add_gui(commands: Commands) -> None:
    gui = commands.add_parser("gui", help="open the window")
    gui.add_argument("path", nargs="?", metavar="PATH", help="folder, file or zip to open")
    gui.set_defaults(command="gui")


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="simulate a study and open the window on it")
    demo.add_argument("--headless", action="store_true", help="no window: leave CSV, masks, PNG")
    demo.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to leave things")
    demo.set_defaults(command="demo")


def _add_inspect(commands: Commands) -> None:
    inspect = commands.add_parser("inspect", help="say what is in a folder, without models")
    inspect.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=INPUT)
    inspect.add_argument("--json", action="store_true", help="for programs, on stdout")
    inspect.set_defaults(command="inspect")


def _add_simulate(commands: Commands) -> None:
    simulate = commands.add_parser("simulate", help="make studies with known scar")
    simulate.add_argument("folder", type=Path, metavar="DIR")
    simulate.add_argument(
        "--patients", type=count, default=1, metavar="N", help="how many (default: 1)"
    )
    simulate.add_argument(
        "--seed", type=seed, default=0, metavar="S", help="same seed, same bytes (default: 0)"
    )
    simulate.set_defaults(command="simulate")


def _add_train(commands: Commands) -> None:
    train = commands.add_parser("train", help="train a segmenter or a detector on your own data")
    kinds: Commands = train.add_subparsers(metavar="KIND", required=True, parser_class=Parser)
    segmenter = kinds.add_parser(
        "segmenter", help="masks from boxes, points or alone", description=training.SEGMENTER_ABOUT
    )
    training.add_segmenter(segmenter)
    detector = kinds.add_parser(
        "detector", help="boxes of ventricle and scars", description=training.DETECTOR_ABOUT
    )
    training.add_detector(detector)
    segmenter.set_defaults(command="train", kind="segmenter")
    detector.set_defaults(command="train", kind="detector")


def _add_evaluate(commands: Commands) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure how good the models are, on patients with a reference",
        description="Let the models read patients whose scar is known: alone, with a reader's"
        " boxes, with clicks. Leaves patients.csv, slices.csv, summary.json and drawings. Exit"
        " status: 0 all is well, 2 some patient failed (its row carries the code), 1 nothing"
        " could be done.",
    )
    evaluate.add_argument(
        "data",
        nargs="+",
        type=Path,
        metavar="DATA",
        help="folder in the EMIDEC layout, of read case files, or made by scarseg simulate",
    )
    evaluate.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="where to leave things"
    )
    evaluate.add_argument(
        "--segmenter",
        "--weights",
        action="append",
        metavar="PATH",
        help="weights to evaluate: name, file or SAM .pth; may be repeated to compare",
    )
    evaluate.add_argument("--detector", metavar="PATH", help='name, file or "none"')
    evaluate.add_argument(
        "--prompts",
        nargs="+",
        action="extend",
        metavar="HOW",
        help="box, point, box+points, clicks:N, auto, detector (default: auto box clicks:3"
        " detector)",
    )
    evaluate.add_argument(
        "--patients",
        metavar="WHICH",
        help="validation, inner, all, a file (names, or the split that training kept), or names"
        " with commas between (default: validation where DATA holds these patients, else all)",
    )
    evaluate.add_argument(
        "--lv",
        choices=("program", "truth"),
        default="program",
        help="who finds the left ventricle (default: program)",
    )
    evaluate.add_argument(
        "--dicom",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="where the images of read case files are; may be repeated",
    )
    evaluate.add_argument(
        "--seed", type=seed, default=7, metavar="S", help="of a reader's hand (default: 7)"
    )
    evaluate.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )
    evaluate.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="processes side by side"
    )
    evaluate.add_argument("--no-figures", action="store_true", help="draw nothing")
    evaluate.add_argument("--force", action="store_true", help="replace outputs that exist")
    evaluate.set_defaults(command="evaluate")


def _add_weights(commands: Commands) -> None:
    weights = commands.add_parser("weights", help="list or verify the shipped weights")
    weights.add_argument("action", nargs="?", choices=("list", "verify"), default="list")
    weights.set_defaults(command="weights")
