"""A simulated study through the whole chain: what a newcomer sees first."""

from __future__ import annotations

import os
from functools import partial
from itertools import count
from pathlib import Path

from scarseg import batch, models, pipeline, simulate
from scarseg.errors import OutputError
from scarseg.io import dicom, selection
from scarseg.io.outputs import make_folder, refuse_existing
from scarseg.progress import Progress

SEED = 7
"""Seed of the study: scar in a coronary territory, a gap between the slices."""


def new_folder(wanted: Path | None) -> Path:
    """Make the demo's folder: the wanted one, else the first free ``scarseg-demo`` here.

    Raises:
        OutputError: E_EXISTS, the wanted folder is there and not empty; E_WRITE.
    """
    if wanted is None:
        names = (f"scarseg-demo{f'-{n}' if n > 1 else ''}" for n in count(1))
        wanted = next(Path(name) for name in names if not os.path.lexists(name))
    elif not (wanted.is_dir() and not any(wanted.iterdir())):
        refuse_existing([wanted])
    make_folder(wanted)
    return wanted.resolve()


def make_study(folder: Path, progress: Progress) -> Path:
    """Simulate one study as DICOM below the folder; give its place."""
    progress(0.0, "simulating a study")
    study = folder / "study"
    simulate.write_study(study, SEED)
    return study


def measure_study(folder: Path, study: Path, progress: Progress) -> tuple[Path, ...]:
    """Run the whole chain without a window; give the files it left.

    Those are the CSV, the per-slice CSV, the sidecar, the mask, and a picture of the desk.
    """
    chosen = selection.select(dicom.scan([study]))
    settings = batch.BatchSettings(masks=folder / "masks")
    load = partial(models.load)
    result = batch.run(chosen.jobs, settings, load, 1, progress)
    failed = list(result.notes)
    if failed or not chosen.jobs:
        raise OutputError("E_DEMO", f"The demo failed: {'; '.join(failed) or 'no LGE stack'}.")
    files = pipeline.export_table(folder / "scar.csv", result.records)
    masks = [folder / "masks" / job.mask_file for job in chosen.jobs]
    picture = folder / "desk.png"
    _draw(study, picture)
    return (*files, *masks, picture)


def open_window(study: Path) -> int:
    """Open the window on the study; give its exit status."""
    from scarseg.gui import app

    return int(app.main(str(study)))


def _draw(study: Path, picture: Path) -> None:
    # Must stand before Qt looks for a display.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from scarseg.gui import app

    app.render(study, picture)
