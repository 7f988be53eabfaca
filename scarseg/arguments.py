"""What the command line takes; imports nothing that takes time."""

from __future__ import annotations

import argparse
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import scarseg
from scarseg.training import arguments as training

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
)

NOTHING_DONE = 1
"""Exit status when nothing could be done."""

_INPUT = "folder (searched to any depth), DICOM file, zip or DICOMDIR"
_RESEARCH_USE = "For research use only. Not a medical device."

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction["_Parser"]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors carry a code and leave with status 1: nothing was done."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(NOTHING_DONE, f"E_USAGE: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = _Parser(
        prog="scarseg",
        description="Measure myocardial scar on LGE cardiac MR. " + _RESEARCH_USE,
        epilog='"scarseg" and "scarseg PATH" open the window.',
    )
    parser.add_argument("--version", action="version", version=f"scarseg {scarseg.__version__}")
    commands: _Commands = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=_Parser
    )
    _add_gui(commands)
    _add_demo(commands)
    _add_batch(commands)
    _add_measure(commands)
    _add_inspect(commands)
    _add_simulate(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_agree(commands)
    _add_compare(commands)
    _add_weights(commands)
    return parser


def _add_gui(commands: _Commands) -> None:
    gui = commands.add_parser("gui", help="open the window")
    gui.add_argument("path", nargs="?", metavar="PATH", help="folder, file or zip to open")
    gui.set_defaults(command="gui")


def _add_demo(commands: _Commands) -> None:
    demo = commands.add_parser("demo", help="simulate a study and open the window on it")
    demo.add_argument("--headless", action="store_true", help="no window: leave CSV, masks, PNG")
    demo.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to leave things")
    demo.set_defaults(command="demo")


def _add_batch(commands: _Commands) -> None:
    batch = commands.add_parser(
        "batch",
        help="measure studies without a window",
        description="Measure the LGE stack of every study: one CSV row each, a per-slice file"
        " and a JSON sidecar beside it. Exit status: 0 all is well, 2 some study failed (its"
        " row carries the code), 1 nothing could be done.",
    )
    batch.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=_INPUT)
    batch.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="scar.csv",
        help="the table to write (or scar.xlsx)",
    )
    batch.add_argument("--masks", type=Path, metavar="DIR", help="write masks and reports here")
    batch.add_argument(
        "--mask-format",
        choices=("nifti", "seg", "rtstruct", "none"),
        default="nifti",
        help="label maps 0-4, DICOM SEG or RTSTRUCT (default: nifti)",
    )
    batch.add_argument(
        "--sr", action="store_true", help="also a DICOM structured report of each, in --masks"
    )
    batch.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="a reader's boxes and points (JSON): scar on exactly these slices",
    )
    _add_measuring(batch)
    batch.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )
    batch.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes side by side")
    batch.add_argument("--segmenter", metavar="PATH", help="other weights: name, file or SAM .pth")
    batch.add_argument("--detector", metavar="PATH", help='other weights: name, file or "none"')
    batch.set_defaults(command="batch")


def _add_measure(commands: _Commands) -> None:
    measure = commands.add_parser(
        "measure",
        help="measure masks made elsewhere",
        description="Measure label maps (NIfTI) and DICOM Segmentations made elsewhere like a"
        " reading: the same tables. Each mask is matched to its stack by the images it refers to,"
        " its name (series UID, patient ID or folder), or where it lies, and must lie on its grid."
        " Exit status: 0 all is well, 2 some mask failed (its row carries the code), 1 nothing"
        " could be done.",
    )
    measure.add_argument(
        "masks_in", nargs="+", type=Path, metavar="MASKS", help="folder of masks, or files"
    )
    measure.add_argument(
        "--dicom",
        action="append",
        type=Path,
        required=True,
        metavar="DIR",
        help="the images; may be repeated",
    )
    measure.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="scar.csv",
        help="the table to write (or scar.xlsx)",
    )
    measure.add_argument(
        "--values",
        type=_values,
        default=(),
        metavar="1=scar,...",
        help="what values of a label map, or numbers of segments, stand for: background,"
        " blood_pool, myocardium, scar, mvo (default: 0 to 4 in this order; segments by their"
        " codes and names)",
    )
    _add_measuring(measure)
    measure.set_defaults(command="measure")


def _add_measuring(command: _Parser) -> None:
    """Add what batch and measure share."""
    command.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="measure this series instead of the proposed one; may be repeated",
    )
    command.add_argument(
        "--mass",
        choices=("thickness", "spacing"),
        default="thickness",
        help="what scar_mass_g follows; both are always written (default: thickness)",
    )
    command.add_argument(
        "--slice-thickness", type=_length, metavar="MM", help="where the header has none"
    )
    command.add_argument(
        "--density", type=_density, default=1.05, metavar="G_PER_ML", help="default: 1.05"
    )
    command.add_argument(
        "--methods",
        type=_methods,
        default=(),
        metavar="all|none|LIST",
        help="threshold methods to set beside, in scar_methods.csv: sd2 to sd6, fwhm_max,"
        " fwhm_remote, fwhm_min, otsu, schmidt, roes, yan, with commas between (default: none)",
    )
    command.add_argument(
        "--report", type=Path, metavar="DIR", help="a PDF report of every series, named by its UID"
    )
    command.add_argument(
        "--xlsx",
        action="store_true",
        help="also all tables in one workbook; -o scar.xlsx writes it alone",
    )
    command.add_argument("--identify", action="store_true", help="write patient IDs as they are")
    command.add_argument("--force", action="store_true", help="replace outputs that exist")


def _add_inspect(commands: _Commands) -> None:
    inspect = commands.add_parser("inspect", help="say what is in a folder, without models")
    inspect.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=_INPUT)
    inspect.add_argument("--json", action="store_true", help="for programs, on stdout")
    inspect.set_defaults(command="inspect")


def _add_simulate(commands: _Commands) -> None:
    simulate = commands.add_parser("simulate", help="make studies with known scar")
    simulate.add_argument("folder", type=Path, metavar="DIR")
    simulate.add_argument(
        "--patients", type=_jobs, default=1, metavar="N", help="how many (default: 1)"
    )
    simulate.add_argument(
        "--seed", type=_seed, default=0, metavar="S", help="same seed, same bytes (default: 0)"
    )
    simulate.set_defaults(command="simulate")


def _add_train(commands: _Commands) -> None:
    train = commands.add_parser("train", help="train a segmenter or a detector on your own data")
    kinds: _Commands = train.add_subparsers(metavar="KIND", required=True, parser_class=_Parser)
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


def _add_evaluate(commands: _Commands) -> None:
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
        "--seed", type=_seed, default=7, metavar="S", help="of a reader's hand (default: 7)"
    )
    evaluate.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )
    evaluate.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="processes side by side"
    )
    evaluate.add_argument("--no-figures", action="store_true", help="draw nothing")
    evaluate.add_argument("--force", action="store_true", help="replace outputs that exist")
    evaluate.set_defaults(command="evaluate")


def _add_agree(commands: _Commands) -> None:
    agree = commands.add_parser(
        "agree",
        help="compare two tables of the same patients",
        description="Pair the rows of two tables and print how they agree: Bland-Altman, CCC,"
        " ICC, errors, Wilcoxon's test. Differences are A - B: a reference is B.",
    )
    agree.add_argument("a", type=Path, metavar="A.csv")
    agree.add_argument("b", type=Path, metavar="B.csv")
    agree.add_argument(
        "--column",
        default="scar_mass_g",
        metavar="NAME",
        help="what to compare (default: scar_mass_g)",
    )
    agree.add_argument("--column-b", metavar="NAME", help="where B.csv names it otherwise")
    agree.add_argument(
        "--key",
        action="append",
        metavar="NAME",
        help="column that names a stack; may be repeated (default: series_uid and part)",
    )
    agree.add_argument("--strata", metavar="NAME", help="also by the values of this column of A")
    _add_page(agree)
    agree.set_defaults(command="agree")


def _add_compare(commands: _Commands) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare two folders of masks of the same patients",
        description="Pair label maps 0-4 (NIfTI) by file name and print Dice, distances and"
        " grams, stack by stack and pooled. A reference is B. Exit status: 0 all is well, 2 some"
        " pair could not be compared, 1 nothing could be done.",
    )
    compare.add_argument("a", type=Path, metavar="A_MASKS")
    compare.add_argument("b", type=Path, metavar="B_MASKS")
    compare.add_argument(
        "--dicom", type=Path, metavar="DIR", help="the images, for their slice thickness"
    )
    compare.add_argument(
        "--mass",
        choices=("thickness", "spacing"),
        default="thickness",
        help="with --dicom, what grams follow (default: thickness); without, always spacing",
    )
    compare.add_argument(
        "--density", type=_density, default=1.05, metavar="G_PER_ML", help="default: 1.05"
    )
    _add_page(compare)
    compare.set_defaults(command="compare")


def _add_page(command: _Parser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR|FILE",
        help="a page (.html or .pdf), the numbers (.json), or a folder for all of them",
    )
    command.add_argument("--json", action="store_true", help="for programs, on stdout")
    command.add_argument("--force", action="store_true", help="replace outputs that exist")


def _add_weights(commands: _Commands) -> None:
    weights = commands.add_parser("weights", help="list or verify the shipped weights")
    weights.add_argument("action", nargs="?", choices=("list", "verify"), default="list")
    weights.set_defaults(command="weights")


def _length(text: str) -> float:
    return _positive(text, "a length in mm")


def _density(text: str) -> float:
    return _positive(text, "a density in g/ml")


def _positive(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _values(text: str) -> tuple[tuple[int, object], ...]:
    """Read ``1=scar,2=myocardium``."""
    from scarseg.labels import Label

    names = {label.name.lower(): label for label in Label}
    meaning = {}
    for part in text.split(","):
        value, _, name = part.partition("=")
        if not value.strip().isdecimal() or name.strip().lower() not in names:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a value and what it stands for (1=scar)"
            )
        meaning[int(value)] = names[name.strip().lower()]
    return tuple(meaning.items())


def _methods(text: str) -> tuple[str, ...]:
    """Read ``all``, ``none`` or names with commas between."""
    from scarseg.quant.method_comparison import CHOICES

    if text in ("all", "none"):
        return CHOICES if text == "all" else ()
    asked = [part.strip().lower() for part in text.split(",")]
    for name in asked:
        if name not in CHOICES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is no method (all, none, {', '.join(CHOICES)})"
            )
    return tuple(name for name in CHOICES if name in asked)


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed (0, 1, 2 ...)")
    return int(text)
