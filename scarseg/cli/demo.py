"""A simulated study through the whole chain: what a newcomer sees first."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from scarseg import models
from scarseg.batch import selection
from scarseg.errors import InputError
from scarseg.io import dicom
from scarseg.io.files import make_folder, refuse_existing
from scarseg.io.masks import nifti
from scarseg.progress import Progress
from scarseg.segmentation import pipeline
from scarseg.simulate import studies

SEED = 19
"""Seed of the simulated study."""


def new_folder(wanted: Path | None) -> Path:
    """Make the demo's folder: the wanted one, else the first free ``scarseg-demo`` here.

    Raises:
        OutputError: E_EXISTS, the wanted folder is there and not empty; E_WRITE.
    """
    if wanted is None:
        names = (f"scarseg-demo{f'-{n}' if n > 1 else ''}" for n in count(1))
        wanted = next(Path(name) for name in names if not os.path.lexists(name))
    elif not (wanted.is_dir() and not any(wanted.iterdir())):
        refuse_existing([wanted], "choose another folder")
    make_folder(wanted)
    return wanted.resolve()


def make_study(folder: Path, progress: Progress) -> Path:
    """Simulate one study below the folder; give the place of its DICOM."""
    progress(0.0, "simulating a study")
    return studies.write_study(folder / "study", SEED).dicom_folder


def measure_study(folder: Path, study: Path, progress: Progress) -> tuple[Path, ...]:
    """Run the whole chain without a window; give the files it left.

    Those are the CSV, the per-slice CSV, the sidecar, the mask, and a picture of the desk.
    """
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
    progress(0.9, "drawing the desk")
    picture = folder / "desk.png"
    # Must stand before Qt looks for a display.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from scarseg.gui import app

    app.save_screenshot(case, picture)
    return (*files, mask, picture)


def open_window(study: Path) -> int:
    """Open the window on the study; give its exit status."""
    from scarseg.gui import app

    return int(app.main(str(study)))
