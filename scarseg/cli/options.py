"""Options that several commands share, and words of the command line turned into values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scarseg.case.calibration import Calibration

INPUT = "folder (searched to any depth), DICOM file, zip or DICOMDIR"
REFERENCE_DATA = (
    "folder in the EMIDEC layout, of read case files, of masks (NIfTI, DICOM SEG), or made by"
    " scarseg simulate"
)

_Parser = argparse._ActionsContainer
"""A parser or a group of its options."""


def add_table(command: _Parser) -> None:
    """Add ``-o scar.csv``."""
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="scar.csv",
        help="the table to write (or scar.xlsx)",
    )


def add_mass(command: _Parser, help_text: str, default: str = "thickness") -> None:
    """Add the mass convention and the density of myocardium."""
    command.add_argument(
        "--mass",
        choices=("thickness", "spacing"),
        default=default,
        help=f"{help_text} (default: {default})",
    )
    command.add_argument(
        "--density", type=density, default=1.05, metavar="G_PER_ML", help="default: 1.05"
    )


def add_dicom(command: _Parser, help_text: str, required: bool = False) -> None:
    """Add ``--dicom``, which may be repeated."""
    command.add_argument(
        "--dicom",
        action="append",
        type=Path,
        required=required,
        default=None if required else [],
        metavar="DIR",
        help=f"{help_text}; may be repeated",
    )


def add_reference_data(command: _Parser, nargs: str) -> None:
    """Add the patients with a reference, and where the images of read case files are."""
    command.add_argument("data", nargs=nargs, type=Path, metavar="DATA", help=REFERENCE_DATA)
    add_dicom(command, "where the images of case files and masks are")


def add_weights(command: _Parser, segmenter: str, detector: str = 'name, file or "none"') -> None:
    """Add the weights of segmenter and detector."""
    command.add_argument("--segmenter", metavar="PATH", help=segmenter)
    command.add_argument("--detector", metavar="PATH", help=detector)


def add_calibration(command: _Parser) -> None:
    """Add the calibration of the weights to a site."""
    command.add_argument(
        "--calibration", type=Path, metavar="FILE", help="what scarseg calibrate learned of a site"
    )


def calibration_of(
    options: argparse.Namespace, segmenter: Path | str | None, detector: Path | str | None
) -> Calibration | None:
    """Return the calibration of ``--calibration`` for weights, as ``models.load`` takes them.

    Raises:
        InputError: E_INPUT_MISSING, E_INPUT_UNREADABLE, E_CALIBRATION.
        WeightsError: E_CALIBRATION_WEIGHTS, or the weights are not there.
    """
    if options.calibration is None:
        return None
    from scarseg.models.calibration_file import read_calibration
    from scarseg.models.weights import resolve_weights

    found = read_calibration(options.calibration)
    hashes = [
        "" if given == "none" else resolve_weights(given, kind).identity.sha256
        for kind, given in (("segmenter", segmenter), ("detector", detector))
    ]
    return found.of_weights(*hashes)


def add_device(command: _Parser) -> None:
    """Add the device that the models run on."""
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )


def add_jobs(command: _Parser) -> None:
    """Add the number of processes."""
    command.add_argument(
        "--jobs", type=count, default=1, metavar="N", help="processes side by side (default: 1)"
    )


def add_scheduler(command: _Parser) -> None:
    """Add the scheduler of a cluster."""
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS|FILE",
        help="work on the workers of a cluster: address of its scheduler, or the file it wrote",
    )


def add_seed(command: _Parser, help_text: str, default: int) -> None:
    """Add the seed of everything drawn at random."""
    command.add_argument(
        "--seed", type=seed, default=default, metavar="S", help=f"{help_text} (default: {default})"
    )


def add_methods(command: _Parser, help_text: str) -> None:
    """Add the threshold methods."""
    command.add_argument(
        "--methods",
        type=methods,
        default=(),
        metavar="all|none|LIST",
        help=f"{help_text}: sd2 to sd6, fwhm_max, fwhm_remote, fwhm_min, otsu, schmidt, roes, yan,"
        " with commas between (default: none)",
    )


def add_page(command: _Parser) -> None:
    """Add the outputs of a comparison: a page, its numbers, or a folder for all of them."""
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR|FILE",
        help="a page (.html or .pdf), the numbers (.json), or a folder for all of them",
    )
    command.add_argument("--json", action="store_true", help="for programs, on stdout")
    add_force(command)


def add_force(command: _Parser) -> None:
    """Add ``--force``."""
    command.add_argument("--force", action="store_true", help="replace outputs that exist")


def add_identify(command: _Parser) -> None:
    """Add ``--identify``."""
    command.add_argument("--identify", action="store_true", help="write patient IDs as they are")


def add_console(command: argparse.ArgumentParser) -> None:
    """Add what every command has: how much it prints, and a log file."""
    group = command.add_argument_group("messages")
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument(
        "--quiet", action="store_true", help="print results and errors alone, no progress"
    )
    loudness.add_argument(
        "--verbose", action="store_true", help="print what is done, item by item, instead of a bar"
    )
    group.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="append messages and progress with their times; paths only with --identify",
    )


def length(text: str) -> float:
    """Read a length in mm."""
    return _number(text, "a length in mm", lambda value: value > 0)


def density(text: str) -> float:
    """Read a density in g/ml."""
    return _number(text, "a density in g/ml", lambda value: value > 0)


def share(text: str) -> float:
    """Read a share from 0 to 1."""
    return _number(text, "a share from 0 to 1", lambda value: 0 <= value <= 1)


def weight(text: str) -> float:
    """Read a weight from 0."""
    return _number(text, "a weight from 0", lambda value: value >= 0)


def above_zero(text: str) -> float:
    """Read a number above 0."""
    return _number(text, "a number above 0", lambda value: value > 0)


def _number(text: str, what: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and fits(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return the reader of a whole number between two limits."""

    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return int(text)

    return number


def count(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    return _number(text, "a number of seconds", lambda value: value > 0)


def tcp_port(text: str) -> int:
    """Read the number of a TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed (0, 1, 2 ...)")
    return int(text)


def label_values(text: str) -> tuple[tuple[int, object], ...]:
    """Read ``1=scar,2=myocardium``."""
    from scarseg.case.labels import Label

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


def methods(text: str) -> tuple[str, ...]:
    """Read ``all``, ``none`` or names with commas between."""
    from scarseg.quant.method_comparison import METHOD_CHOICES

    if text in ("all", "none"):
        return METHOD_CHOICES if text == "all" else ()
    asked = [part.strip().lower() for part in text.split(",")]
    for name in asked:
        if name not in METHOD_CHOICES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is no method (all, none, {', '.join(METHOD_CHOICES)})"
            )
    return tuple(name for name in METHOD_CHOICES if name in asked)
