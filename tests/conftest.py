"""One phantom with unequal row, column and slice spacing and truth known on paper."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import SliceSource, Stack
from scarseg.models import Models
from tests.fakes import POOL_LEVEL, SCAR_LEVEL, WALL_LEVEL, fake_models

N_SLICES, ROWS, COLUMNS = 5, 60, 72
ROW_SPACING, COLUMN_SPACING, THICKNESS, SPACING = 1.5, 1.25, 8.0, 10.0


def phantom_labels() -> LabelArray:
    """Ring of inner radius 9 and outer radius 15 mm round column 36, row 30.

    Scar is the ring's right quarter (|angle| < 45 degrees) on slices 1 to 3.
    """
    rows, columns = np.mgrid[:ROWS, :COLUMNS] + 0.5
    y = (rows - 30) * ROW_SPACING
    x = (columns - 36) * COLUMN_SPACING
    radius = np.hypot(x, y)
    labels = np.zeros((N_SLICES, ROWS, COLUMNS), dtype=np.uint8)
    labels[:, radius < 9] = Label.BLOOD_POOL
    wall = (radius >= 9) & (radius < 15)
    labels[:, wall] = Label.MYOCARDIUM
    for k in (1, 2, 3):
        labels[k, wall & (x > 0) & (np.abs(y) < x)] = Label.SCAR
    return labels


def make_phantom_stack() -> Stack:
    labels = phantom_labels()
    levels = np.array([10.0, POOL_LEVEL, WALL_LEVEL, SCAR_LEVEL, WALL_LEVEL], dtype=np.float32)
    return Stack(
        pixels=levels[labels],
        pixel_spacing_mm=(ROW_SPACING, COLUMN_SPACING),
        slice_thickness_mm=THICKNESS,
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        origins_mm=tuple((0.0, 0.0, SPACING * k) for k in range(N_SLICES)),
        sources=tuple(SliceSource(f"1.2.3.4.{k + 1}") for k in range(N_SLICES)),
        series_uid="1.2.3.4",
        study_uid="1.2.3",
        description="LGE SAX phantom",
        patient_id="PHANTOM",
        study_date="20240102",
        spacing_between_slices_mm=SPACING,
    )


@pytest.fixture
def phantom_stack() -> Stack:
    return make_phantom_stack()


@pytest.fixture
def phantom_truth() -> LabelArray:
    return phantom_labels()


@pytest.fixture
def models() -> Models:
    return fake_models()
