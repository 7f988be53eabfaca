"""What ``batch`` and ``measure`` take."""

from __future__ import annotations

import argparse
from pathlib import Path

from scarseg.cli.parser import INPUT, Commands, Parser, count, density, length


def add_batch(commands: Commands) -> None:
    """Add ``scarseg batch``."""
    batch = commands.add_parser(
        "batch",
        help="measure studies without a window",
        description="Measure the LGE stack of every study: one CSV row each, a per-slice file"
        " and a JSON sidecar beside it. Exit status: 0 all is well, 2 some study failed (its"
        " row carries the code), 1 nothing could be done.",
    )
    batch.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=INPUT)
    batch.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="scar.csv",
        help="the table to write (or scar.xlsx)",
    )
    batch.add_argument(
        "--masks", type=Path, metavar="DIR", help="write masks and DICOM reports here"
    )
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
    batch.add_argument(
        "--no-interval",
        dest="interval",
        action="store_false",
        help="leave out the interval of the scar mass (scar_mass_low_g, scar_mass_high_g)",
    )
    _add_measuring(batch)
    batch.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="default: auto"
    )
    batch.add_argument("--jobs", type=count, default=1, metavar="N", help="processes side by side")
    batch.add_argument("--segmenter", metavar="PATH", help="other weights: name, file or SAM .pth")
    batch.add_argument("--detector", metavar="PATH", help='other weights: name, file or "none"')
    batch.set_defaults(command="batch")


def add_measure(commands: Commands) -> None:
    """Add ``scarseg measure``."""
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


def _add_measuring(command: Parser) -> None:
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
        "--slice-thickness", type=length, metavar="MM", help="where the header has none"
    )
    command.add_argument(
        "--density", type=density, default=1.05, metavar="G_PER_ML", help="default: 1.05"
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


def _values(text: str) -> tuple[tuple[int, object], ...]:
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


def _methods(text: str) -> tuple[str, ...]:
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
