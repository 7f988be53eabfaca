"""Phantom patients on which the fakes of tests/fakes.py are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scarseg.case.labels import Label
from scarseg.training.cases import TrainingCase
from tests.conftest import COLUMN_SPACING, ROW_SPACING, SPACING, make_phantom_stack, phantom_labels
from tests.fakes import WALL_LEVEL

VOXEL_G = ROW_SPACING * COLUMN_SPACING * SPACING * 1.05e-3
"""Mass of one voxel."""


def phantom_case(name: str = "P001", kind: str = "lge") -> TrainingCase:
    """Make a patient with scar on slices 1 to 3 of 5."""
    pixels = np.array(make_phantom_stack().pixels)
    spacing = (ROW_SPACING, COLUMN_SPACING)
    return TrainingCase(name, kind, pixels, phantom_labels(), spacing, SPACING)


def healthy_case(name: str = "N001") -> TrainingCase:
    """Make the same patient without scar, in the picture as in the reference."""
    case = phantom_case(name)
    scar = case.labels == Label.SCAR
    pixels = np.where(scar, np.float32(WALL_LEVEL), case.pixels)
    return replace(case, pixels=pixels, labels=np.where(scar, 2, case.labels).astype(np.uint8))


def unread_scar(case: TrainingCase) -> TrainingCase:
    """Paint more scar than the reference has, inside the box round it.

    What is left out is the inner half of the wall next to row 30.
    """
    rows, columns = np.mgrid[: case.labels.shape[1], : case.labels.shape[2]] + 0.5
    hole = (np.abs(rows - 30) < 2) & (columns < 45.5)
    labels = np.where((case.labels == Label.SCAR) & hole, Label.MYOCARDIUM, case.labels)
    return replace(case, labels=labels.astype(np.uint8))
