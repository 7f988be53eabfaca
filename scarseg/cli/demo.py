"""``scarseg demo`` and ``scarseg simulate``: studies with known scar."""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scarseg.cli.console import DONE, progress_bar
from scarseg.cli.options import add_seed, count
from scarseg.cli.parser import Commands, examples
from scarseg.cli.window import has_display, open_window
from scarseg.errors import InputError

if TYPE_CHECKING:
    from scarseg.progress import Progress

SEED = 19
"""Seed of the demo's study."""


def add_demo(commands: Commands) -> None:
    """Add ``scarseg demo``."""
    demo = commands.add_parser(
        "demo",
        help="simulate a study and open the window on it",
        epilog=examples("scarseg demo", "scarseg demo --headless -o demo"),
    )
    demo.add_argument("--headless", action="store_true", help="no window: leave CSV, masks, PNG")
    demo.add_argument("-o", "--output", type=Path, metavar="DIR", help="where to write the files")
    demo.set_defaults(run=_demo)


def add_simulate(commands: Commands) -> None:
    """Add ``scarseg simulate``."""
    simulate = commands.add_parser(
        "simulate",
        help="make studies with known scar",
        epilog=examples("scarseg simulate studies --patients 5 --seed 3"),
    )
    simulate.add_argument("folder", type=Path, metavar="DIR")
    simulate.add_argument(
        "--patients", type=count, default=1, metavar="N", help="how many (default: 1)"
    )
    add_seed(simulate, "same seed, same bytes", 0)
    simulate.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from scarseg.simulate import studies

    _refuse_filled(options.folder)
    with progress_bar("Simulating") as progress:
        studies.simulate_patients(options.folder, options.patients, options.seed, progress)
    print(options.folder)
    return DONE


def _demo(options: argparse.Namespace) -> int:
    headless = options.headless or not has_display()
    folder = _new_folder(options.output)
    with progress_bar("Demo") as progress:
        study = _simulate_study(folder, progress)
        files = _measure_study(folder, study, progress) if headless else ()
    if headless:
        for path in files:
            print(path)
        return DONE
    print(study)
    return open_window(str(study))


def _refuse_filled(folder: Path) -> None:
    """Raise OutputError E_EXISTS unless the folder is missing or empty."""
    from scarseg.io.files import refuse_existing

    if not (folder.is_dir() and not any(folder.iterdir())):
        refuse_existing([folder], "choose another folder")


def _new_folder(requested: Path | None) -> Path:
    """Make the demo's folder: the requested one, else the first free ``scarseg-demo`` here.

    Raises:
        OutputError: E_EXISTS, the requested folder exists and is not empty; E_WRITE.
    """
    from scarseg.io.files import make_folder

    if requested is None:
        names = (f"scarseg-demo{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
        requested = next(Path(name) for name in names if not os.path.lexists(name))
    else:
        _refuse_filled(requested)
    make_folder(requested)
    return requested.resolve()


def _simulate_study(folder: Path, progress: Progress) -> Path:
    """Simulate one study below the folder; return the folder of its DICOM."""
    from scarseg.simulate import studies

    progress(0.0, "simulating a study")
    return studies.write_study(folder / "study", SEED).dicom_folder


def _measure_study(folder: Path, study: Path, progress: Progress) -> tuple[Path, ...]:
    """Run the whole chain without a window; return the files it wrote.

    Those are the CSV, the per-slice CSV, the sidecar, the mask, and a picture of the window.
    """
    from scarseg import models
    from scarseg.batch import selection
    from scarseg.io import dicom
    from scarseg.io.masks import nifti
    from scarseg.segmentation import pipeline

    chosen = selection.select_stacks(dicom.scan([study]))
    if not chosen.jobs:
        raise InputError("E_NO_LGE", "The simulated study holds no LGE stack.")
    job = chosen.jobs[0]
    progress(0.1, "loading the models")
    loaded = models.load()
    stack = dicom.read_stack(job.summary)
    case = pipeline.propose_case(
        stack, loaded, lambda done, what: progress(0.2 + 0.6 * done, what.lower())
    )
    mask = folder / "masks" / job.mask_file
    nifti.write_labels(mask, case.labels, stack)
    record = pipeline.measured_record(case, mask_file=job.mask_file)
    files = pipeline.export_table(folder / "scar.csv", [record])
    progress(0.9, "drawing the window")
    picture = folder / "desk.png"
    # Must be set before Qt looks for a display.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from scarseg.gui import app

    app.save_screenshot(case, picture)
    return (*files, mask, picture)
