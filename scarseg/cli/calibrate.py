"""``scarseg calibrate``: learn a site's rules from its read cases."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, print_tables, progress_bar
from scarseg.cli.options import REFERENCE_DATA, add_device, add_dicom, add_force, add_weights
from scarseg.cli.parser import Commands, examples

if TYPE_CHECKING:
    from rich.table import Table

    from scarseg.models.calibration_file import CalibrationFile

WIDTH = 100


def add_calibrate(commands: Commands) -> None:
    """Add ``scarseg calibrate``."""
    calibrate = commands.add_parser(
        "calibrate",
        help="learn a site's thresholds from its read cases",
        description="Learn, from ten or more read patients of a site, what needs no training: the"
        " logit above which there is scar (automatic, with boxes, with the wall given), how far the"
        " predicted endocardium moves, and how little scar of a whole stack is withheld. The table"
        " shows mass and Dice without calibration, and with one that was learned from the other"
        " patients. Exit status: 0 the file is written, 1 nothing could be done.",
        epilog=examples(
            "scarseg calibrate cases --dicom images -o site.json",
            "scarseg batch STUDIES -o scar.csv --calibration site.json",
        ),
    )
    calibrate.add_argument("cases", nargs="+", type=Path, metavar="CASES", help=REFERENCE_DATA)
    add_dicom(calibrate, "where the images of case files and masks are")
    calibrate.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="calibration to write"
    )
    add_weights(calibrate, "weights to calibrate: name, file or SAM .pth")
    add_device(calibrate)
    add_force(calibrate)
    calibrate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    """Learn a calibration; raise what reading the cases and loading the models raise."""
    from scarseg import models
    from scarseg.evaluation import rule_tables
    from scarseg.evaluation.calibrate import learn_calibration, require_enough
    from scarseg.io.files import refuse_existing, refuse_inputs, require_writable, write_file
    from scarseg.training.cases import read_data

    refuse_inputs([options.output], options.cases)
    if not options.force:
        refuse_existing([options.output])
    require_writable(options.output)
    with progress_bar("Calibrating") as progress:
        progress(0.0, "reading")
        cases = require_enough(read_data(options.cases, options.dicom))
        loaded = models.load(options.segmenter, options.detector, options.device)
        tables = []
        for n, case in enumerate(cases):

            def report(done: float, _what: str, n: int = n) -> None:
                progress((n + done) / len(cases), f"case {n + 1} of {len(cases)}")

            tables.append(rule_tables.read_by_rules(case, loaded, report))
    learned = learn_calibration(tables, loaded)
    write_file(options.output, learned.encode(), options.force)
    print_tables([figures_table(learned)], WIDTH)
    rules = learned.rules
    print(
        f"{options.output}: logits {rules.automatic_logit:g} automatic, {rules.prompted_logit:g} by"
        f" boxes, {rules.given_wall_logit:g} with the wall given; endocardium"
        f" {rules.endocardium_offset_mm:+g} mm; scar withheld below"
        f" {rules.gate_evidence_mm2:g} mm2; sha256 {learned.sha256}"
    )
    return DONE


def figures_table(learned: CalibrationFile) -> Table:
    """Return the figures of a calibration as a table, before beside after."""
    from rich.table import Table

    n = f"{learned.n_cases} cases, {learned.n_cases_with_scar} with scar; leave-one-out"
    table = Table(title=n, title_justify="left")
    for name in ("prompts", "", "mass bias %", "bias g", "MAE g", "Dice"):
        table.add_column(name, justify="left" if name in ("prompts", "") else "right")
    by_kind = sorted(learned.figures, key=lambda one: one.prompts)
    for one in by_kind:
        table.add_row(
            one.prompts,
            "after" if one.calibrated else "before",
            f"{one.bias_percent:+.1f}",
            f"{one.bias_g:+.2f}",
            f"{one.mean_absolute_error_g:.2f}",
            f"{one.dice:.3f}",
        )
    return table
