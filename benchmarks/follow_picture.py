"""Draw the pictures of the readers' guide: a follow-up, and the choice of weights.

python benchmarks/follow_picture.py docs/follow.png docs/weights.png
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from follow_up import scan
from PyQt6.QtWidgets import QWidget

from scarseg import models as scarseg_models
from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassInterval
from scarseg.case.stack import Stack
from scarseg.gui import app
from scarseg.gui.dialogs.weights import WeightsDialog
from scarseg.gui.follow_up import jobs
from scarseg.gui.follow_up.dialog import ComparisonDialog
from scarseg.models import Models
from scarseg.segmentation import pipeline
from scarseg.segmentation.interval import case_interval
from scarseg.simulate.anatomy import SimulationOptions, draw_heart

SEED = 5
FACTOR = 1.6
"""Width of the scars in the second study."""


def studies() -> tuple[Stack, Stack]:
    """Return two simulated studies of one heart, the second with wider scars."""
    drawn = SimulationOptions(scar=True)
    streams = np.random.SeedSequence([SEED, 0]).spawn(2)
    heart = draw_heart(*(np.random.default_rng(one) for one in streams), drawn)
    first, _ = scan(heart, SEED, drawn)
    options = replace(
        drawn,
        sequence=first.sequence,
        pixel_spacing_mm=first.pixel_spacing_mm,
        slice_thickness_mm=first.slice_thickness_mm,
        slice_gap_mm=(first.spacing_between_slices_mm or 0.0) - first.slice_thickness_mm,
    )
    wider = tuple(replace(one, half_angle=one.half_angle * FACTOR) for one in heart.scars)
    second, _ = scan(replace(heart, scars=wider), SEED + 2, options)
    patient = {"patient_id": "SIM-1"}
    return (
        replace(first, **patient, study_date="20230104", series_uid="2.25.111"),
        replace(second, **patient, study_date="20240306", series_uid="2.25.112"),
    )


def proposed(stack: Stack, models: Models) -> tuple[Case, MassInterval]:
    """Return a proposed case and its interval."""
    case, embeddings = pipeline.propose_case_with_embeddings(stack, models)
    return case, case_interval(case, models, embeddings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("follow", type=Path)
    parser.add_argument("weights", type=Path)
    options = parser.parse_args()
    qt = app.application()
    models = scarseg_models.load()
    (earlier, first), (later, second) = (proposed(one, models) for one in studies())
    earlier.readings = [replace(one, status=SliceStatus.ACCEPTED) for one in earlier.readings]
    window = QWidget()
    dialog = ComparisonDialog(window, "SIM-1  2024-03-06")
    dialog.show_comparison(jobs.compare((earlier, later), (first, second)))
    dialog.set_busy(False)
    # Drawn once to lay everything out, then with the hearts fitted.
    for _ in range(2):
        dialog.grab()
        qt.processEvents()
    dialog.grab().save(str(options.follow))
    choice = WeightsDialog(window, models.segmenter.identity.name, None, lambda: None)
    choice.checkpoint.setChecked(True)
    choice.path.setText("medsam_vit_b.pth")
    choice.grab()
    choice.grab().save(str(options.weights))


if __name__ == "__main__":
    main()
