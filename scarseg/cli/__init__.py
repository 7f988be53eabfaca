"""The command line: parse, call the engine, print, exit.

Exit status: 0 all is well, 2 some study failed (its row carries the code), 1 nothing could be
done. Results go to stdout; progress, notes and errors to stderr.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import scarseg
from scarseg.cli import agree, batch_options, replay_options, train_options
from scarseg.cli.parser import INPUT, NOTHING_DONE, Commands, Parser, count, seed
from scarseg.errors import Cancelled, InputError, ScarsegError
from scarseg.simulate import studies

if TYPE_CHECKING:
    from scarseg.agreement.tables import ComparisonOutput
    from scarseg.cli import batch
    from scarseg.io.dicom.types import LoadReport, StackSummary
    from scarseg.progress import Progress


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
    batch_options.add_batch(commands)
    batch_options.add_measure(commands)
    _add_inspect(commands)
    _add_simulate(commands)
    _add_train(commands)
    _add_evaluate(commands)
    agree.add_agree(commands)
    agree.add_compare(commands)
    replay_options.add_replay(commands)
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
        "segmenter",
        help="masks from boxes, points or alone",
        description=train_options.SEGMENTER_ABOUT,
    )
    train_options.add_segmenter(segmenter)
    detector = kinds.add_parser(
        "detector", help="boxes of ventricle and scars", description=train_options.DETECTOR_ABOUT
    )
    train_options.add_detector(detector)
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


DONE, SOME_FAILED, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run scarseg with these arguments (the program's own when None); give the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # "scarseg" and "scarseg PATH" open the window.
    if not words or (words[0] not in COMMANDS and not words[0].startswith("-")):
        words.insert(0, "gui")
    options = build_parser().parse_args(words)
    options.words = words
    command = _COMMANDS[options.command]
    try:
        with _log_to_stderr():
            return command(options)
    except Cancelled:
        return INTERRUPTED
    except ScarsegError as error:
        unnamed = error.path and error.path not in error.message
        _say(f"{error.code}: {error.message}{f' [{error.path}]' if unnamed else ''}")
        return NOTHING_DONE
    except KeyboardInterrupt:
        _say("Interrupted; no table was written.")
        return INTERRUPTED


def _gui(options: argparse.Namespace) -> int:
    if not _has_display():
        raise InputError(
            "E_NO_DISPLAY",
            "There is no display for a window; use scarseg batch or scarseg demo --headless.",
        )
    from scarseg.gui import app

    return int(app.main(options.path))


def _demo(options: argparse.Namespace) -> int:
    from scarseg.cli import demo

    headless = options.headless or not _has_display()
    folder = demo.new_folder(options.output)
    with _bar("Demo") as progress:
        study = demo.make_study(folder, progress)
        left = demo.measure_study(folder, study, progress) if headless else ()
    if headless:
        for path in left:
            print(path)
        return DONE
    print(study)
    return demo.open_window(study)


def _batch(options: argparse.Namespace) -> int:
    from scarseg.cli import batch

    return _measured(batch.run_batch(options, _bar, _say))


def _measure(options: argparse.Namespace) -> int:
    from scarseg.cli import batch

    return _measured(batch.run_measure(options, _bar, _say))


def _measured(done: batch.BatchOutput) -> int:
    print(f"{done.file}: {done.measured} measured, {done.failed} failed")
    return SOME_FAILED if done.some_failed else DONE


def _inspect(options: argparse.Namespace) -> int:
    from scarseg.batch import selection
    from scarseg.io import dicom

    if options.json:
        try:
            report = dicom.scan(options.inputs)
        except InputError as error:
            print(json.dumps(_report_of_nothing(error), indent=1))
            raise
        print(json.dumps(_report(report), indent=1))
    else:
        with _bar("Reading headers") as progress:
            report = dicom.scan(options.inputs, progress)
        _print_report(report)
    selection.require_mr(report)
    return DONE


def _report(report: LoadReport) -> dict[str, object]:
    return {
        "stacks": [_stack(one) for one in report.stacks],
        "refused": [
            {"path": one.path, "code": one.code, "message": one.message} for one in report.refused
        ],
        "skipped": report.skipped,
    }


def _report_of_nothing(error: InputError) -> dict[str, object]:
    refused = {"path": error.path or "", "code": error.code, "message": error.message}
    return {"stacks": [], "refused": [refused], "skipped": 0}


def _stack(one: StackSummary) -> dict[str, object]:
    return {
        "series_uid": one.series_uid,
        "description": one.description,
        "sequence": str(one.sequence),
        "n_slices": one.n_slices,
        "rows": one.rows,
        "columns": one.columns,
        "pixel_spacing_mm": list(one.pixel_spacing_mm),
        "slice_thickness_mm": one.slice_thickness_mm,
        "slice_spacing_mm": one.slice_spacing_mm,
        "complete": one.complete,
        "warnings": [warning.code for warning in one.warnings],
        "proposed": one.proposed,
    }


def _print_report(report: LoadReport) -> None:
    for one in report.stacks:
        thickness = "?" if one.slice_thickness_mm is None else f"{one.slice_thickness_mm:g}"
        spacing = "-" if one.slice_spacing_mm is None else f"{one.slice_spacing_mm:g}"
        row_mm, column_mm = one.pixel_spacing_mm
        print(f"{'*' if one.proposed else ' '} {one.stack_id}  {one.description}")
        print(
            f"    {one.sequence}, {_count(one.n_slices, 'slice')} of {one.rows} x {one.columns},"
            f" pixels {row_mm:g} x {column_mm:g} mm, thickness {thickness} mm,"
            f" spacing {spacing} mm"
        )
        print(f"    {one.reason}")
        for warning in one.warnings:
            print(f"    {warning.code}: {warning.message}")
    for refusal in report.refused:
        print(f"! {refusal.code}: {refusal.message} [{refusal.path}]")
    for note in report.notes:
        print(note)
    print(
        f"{_count(len(report.stacks), 'stack')} (* proposed), {len(report.refused)} refused,"
        f" {_count(report.skipped, 'other file')} skipped"
    )


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _simulate(options: argparse.Namespace) -> int:
    from scarseg.io.files import refuse_existing

    if options.folder.is_dir() and not any(options.folder.iterdir()):
        pass  # an empty folder is as good as none
    else:
        refuse_existing([options.folder], "choose another folder")
    with _bar("Simulating") as progress:
        studies.simulate_patients(options.folder, options.patients, options.seed, progress)
    print(options.folder)
    return DONE


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from scarseg.cli import evaluate

    with _bar("Evaluating") as progress:
        done = evaluate.evaluate_folder(options, progress)
    for note in done.notes:
        _say(note)
    width = None if sys.stdout.isatty() else evaluate.PLAIN_WIDTH
    console = Console(width=width, highlight=False)
    for table in done.tables:
        console.print(table)
    print(f"{options.output}: {done.said}")
    return SOME_FAILED if done.failed else DONE


def _agree(options: argparse.Namespace) -> int:
    from scarseg.agreement import tables

    return _show(tables.agree(options), options.json, tables.PLAIN_WIDTH)


def _compare(options: argparse.Namespace) -> int:
    from scarseg.agreement import masks, tables

    with _bar("Comparing") as progress:
        done = masks.compare(options, progress)
    return _show(done, options.json, tables.PLAIN_WIDTH)


def _replay(options: argparse.Namespace) -> int:
    from scarseg.cli import replay

    done = replay.run_replay(options, _bar, _say)
    for line in (*done.lines, *done.files):
        print(line)
    return DONE if done.identical else SOME_FAILED


def _show(done: ComparisonOutput, as_json: bool, plain_width: int) -> int:
    """Print an agreement."""
    from rich.console import Console

    for note in done.notes:
        _say(note)
    if as_json:
        print(done.json, end="")
    else:
        width = None if sys.stdout.isatty() else plain_width
        console = Console(width=width, highlight=False)
        for table in done.tables:
            console.print(table)
    for path in done.files:
        print(path, file=sys.stderr if as_json else sys.stdout)
    return SOME_FAILED if done.failed else DONE


def _train(options: argparse.Namespace) -> int:
    from scarseg.models import prepare_environment

    prepare_environment()
    from scarseg.cli import train as cli_train
    from scarseg.cli import train_detector

    train = {"segmenter": cli_train.train_segmenter, "detector": train_detector.train_detector}
    try:
        done = train[options.kind](options, partial(_bar, "Reading"))
    except KeyboardInterrupt:
        _say("Interrupted. A run goes on from its last checkpoint with --resume.")
        return INTERRUPTED
    if done.go_on:
        _say(done.go_on)
        return INTERRUPTED
    for path in done.files:
        print(path)
    return DONE


def _weights(options: argparse.Namespace) -> int:
    from scarseg.models import weights

    if options.action == "list":
        for entry in weights.list_weights():
            star = "*" if entry.default else " "
            print(f"{star} {entry.kind:10} {entry.name:24} {entry.sha256[:12]}  {entry.licence}")
        print(f"in {weights.weights_folder()}")
        return DONE
    verdicts = weights.verify_weights()
    for entry, verdict in verdicts:
        print(f"{verdict:8} {entry.name} ({entry.file})")
    return DONE if all(verdict == "ok" for _, verdict in verdicts) else NOTHING_DONE


def _has_display() -> bool:
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(text: str) -> None:
    print(text, file=sys.stderr)


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Send the program's own log to stderr; other libraries' may hold what a header says."""
    logger = logging.getLogger("scarseg")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    """Show a progress bar on stderr, where that is a terminal, while a job runs."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)

        def report(fraction: float, now: str) -> None:
            bar.update(task, completed=fraction, description=f"{what}: {now}" if now else what)

        yield report


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "gui": _gui,
    "demo": _demo,
    "batch": _batch,
    "measure": _measure,
    "inspect": _inspect,
    "simulate": _simulate,
    "train": _train,
    "evaluate": _evaluate,
    "agree": _agree,
    "compare": _compare,
    "replay": _replay,
    "weights": _weights,
}
