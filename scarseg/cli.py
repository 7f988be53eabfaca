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
from typing import TYPE_CHECKING

from scarseg.arguments import COMMANDS, NOTHING_DONE, build_parser
from scarseg.errors import Cancelled, InputError, ScarsegError

if TYPE_CHECKING:
    from scarseg import cohort
    from scarseg.agreement.command import Done
    from scarseg.io.dicom_report import LoadReport, StackSummary
    from scarseg.progress import Progress

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
    from scarseg import demo

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
    from scarseg import cohort

    return _measured(cohort.run_batch(options, _bar, _say))


def _measure(options: argparse.Namespace) -> int:
    from scarseg import cohort

    return _measured(cohort.run_measure(options, _bar, _say))


def _measured(done: cohort.Done) -> int:
    print(f"{done.file}: {done.measured} measured, {done.failed} failed")
    return SOME_FAILED if done.some_failed else DONE


def _inspect(options: argparse.Namespace) -> int:
    from scarseg.io import dicom, selection

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
    from scarseg import simulate
    from scarseg.io.outputs import refuse_existing

    if options.folder.is_dir() and not any(options.folder.iterdir()):
        pass  # an empty folder is as good as none
    else:
        refuse_existing([options.folder], "choose another folder")
    with _bar("Simulating") as progress:
        simulate.simulate_patients(options.folder, options.patients, options.seed, progress)
    print(options.folder)
    return DONE


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from scarseg.evaluation import command

    with _bar("Evaluating") as progress:
        done = command.evaluate_folder(options, progress)
    for note in done.notes:
        _say(note)
    width = None if sys.stdout.isatty() else command.PLAIN_WIDTH
    console = Console(width=width, highlight=False)
    for table in done.tables:
        console.print(table)
    print(f"{options.output}: {done.said}")
    return SOME_FAILED if done.failed else DONE


def _agree(options: argparse.Namespace) -> int:
    from scarseg.agreement import command

    return _show(command.agree(options), options.json, command.PLAIN_WIDTH)


def _compare(options: argparse.Namespace) -> int:
    from scarseg.agreement import command, comparing

    with _bar("Comparing") as progress:
        done = comparing.compare(options, progress)
    return _show(done, options.json, command.PLAIN_WIDTH)


def _replay(options: argparse.Namespace) -> int:
    from scarseg.replay import command

    done = command.run_replay(options, _bar, _say)
    for line in (*done.lines, *done.files):
        print(line)
    return DONE if done.identical else SOME_FAILED


def _show(done: Done, as_json: bool, plain_width: int) -> int:
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
    from scarseg.models.environment import prepare_environment

    prepare_environment()
    from scarseg.training import commands, detector_command

    train = {"segmenter": commands.train_segmenter, "detector": detector_command.train_detector}
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
