"""``scarseg agree`` and ``scarseg compare``: how far two readings agree."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, SOME_FAILED, print_tables, progress_bar, say
from scarseg.cli.options import add_mass, add_page, label_values
from scarseg.cli.parser import Commands, examples

if TYPE_CHECKING:
    from scarseg.agreement.tables import ComparisonOutput


def add_agree(commands: Commands) -> None:
    """Add ``scarseg agree``."""
    agree = commands.add_parser(
        "agree",
        help="compare two tables of the same patients",
        description="Pair the rows of two tables and print how they agree: Bland-Altman, CCC,"
        " ICC, errors, Wilcoxon's test. Differences are A - B: a reference is B.",
        epilog=examples(
            "scarseg agree reader_a.csv reader_b.csv",
            "scarseg agree scar.csv truth.csv --column-b scar_mass_thickness_g -o page.html",
            "scarseg agree scar_methods.csv scar.csv --method fwhm_max --json",
        ),
    )
    agree.add_argument("a", type=Path, metavar="A.csv", help="a table: CSV, or a workbook (.xlsx)")
    agree.add_argument("b", type=Path, metavar="B.csv", help="the other table, or the reference")
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
    agree.add_argument(
        "--method",
        metavar="NAME",
        help="threshold method to compare, in a table that lists them (scar_methods.csv)",
    )
    agree.add_argument("--method-b", metavar="NAME", help="where it is another one in B.csv")
    agree.add_argument(
        "--scope",
        choices=("slice", "stack"),
        default="slice",
        help="with --method, whether each slice or the stack has its threshold (default: slice)",
    )
    agree.add_argument("--strata", metavar="NAME", help="also by the values of this column of A")
    add_page(agree)
    agree.set_defaults(run=_agree)


def add_compare(commands: Commands) -> None:
    """Add ``scarseg compare``."""
    compare = commands.add_parser(
        "compare",
        help="compare two folders of masks of the same patients",
        description="Pair label maps 0-4 (NIfTI) by file name, or with --dicom label maps and DICOM"
        " Segmentations by their images, and print Dice, distances and grams, stack by stack and"
        " pooled. Masks may be turned, flipped or cropped. A reference is B. Exit status: 0 all is"
        " well, 2 some pair could not be compared, 1 nothing could be done.",
        epilog=examples(
            "scarseg compare masks_a masks_b",
            "scarseg compare masks truth --dicom images -o comparison",
            "scarseg compare theirs ours --values 1=scar,2=myocardium --json",
        ),
    )
    compare.add_argument("a", type=Path, metavar="A_MASKS")
    compare.add_argument("b", type=Path, metavar="B_MASKS")
    compare.add_argument(
        "--dicom", type=Path, metavar="DIR", help="the images, for their slice thickness"
    )
    compare.add_argument(
        "--values",
        type=label_values,
        default=(),
        metavar="1=scar,...",
        help="what values of a label map, or numbers of segments, stand for, as in measure",
    )
    compare.add_argument(
        "--values-b",
        type=label_values,
        default=(),
        metavar="1=scar,...",
        help="where they stand for something else in B_MASKS",
    )
    add_mass(compare, "with --dicom, what grams follow; without, always spacing")
    add_page(compare)
    compare.set_defaults(run=_compare)


def _agree(options: argparse.Namespace) -> int:
    from scarseg.agreement import tables

    return _print(tables.agree(options), options.json)


def _compare(options: argparse.Namespace) -> int:
    from scarseg.agreement import masks

    with progress_bar("Comparing") as progress:
        output = masks.compare(options, progress)
    return _print(output, options.json)


def _print(output: ComparisonOutput, as_json: bool) -> int:
    from scarseg.agreement.tables import PLAIN_WIDTH

    for note in output.notes:
        say(note)
    if as_json:
        print(output.json, end="")
    else:
        print_tables(output.tables, PLAIN_WIDTH)
    for path in output.files:
        print(path, file=sys.stderr if as_json else sys.stdout)
    return SOME_FAILED if output.failed else DONE
