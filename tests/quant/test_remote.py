"""The sector of the wall that a reader points at."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.case.labels import Label, wall_mask
from scarseg.quant.remote import mid_wall, propose_remote, remote_sector, ring_angles
from tests.conftest import COLUMN_SPACING, ROW_SPACING, make_phantom_stack, phantom_labels

SPACING = (ROW_SPACING, COLUMN_SPACING)
MIDDLE = (36.0, 30.0)


@pytest.fixture
def wall():
    return wall_mask(phantom_labels()[0])


@pytest.mark.parametrize(
    ("at", "angle"),
    [((60.0, 30.0), 0), ((36.0, 50.0), 90), ((10.0, 30.0), 180), ((36.0, 5.0), -90)],
)
def test_it_looks_towards_the_place_sixty_degrees_wide(wall, at, angle):
    sector = remote_sector(wall, SPACING, at)
    off = np.abs((ring_angles(wall, SPACING) - angle + 180) % 360 - 180)
    assert sector.any() and off[sector].max() <= 30 + 1e-6
    assert np.array_equal(sector, mid_wall(wall, SPACING) & (off <= 30 + 1e-6))


def test_the_angle_is_that_of_millimetres(wall):
    """45 degrees in the patient is another angle among pixels of 1.5 by 1.25 mm."""
    at = (MIDDLE[0] + 12 / COLUMN_SPACING, MIDDLE[1] + 12 / ROW_SPACING)
    sector = remote_sector(wall, SPACING, at)
    rows, columns = np.nonzero(sector)
    y = (rows + 0.5 - MIDDLE[1]) * ROW_SPACING
    x = (columns + 0.5 - MIDDLE[0]) * COLUMN_SPACING
    assert np.degrees(np.arctan2(y.mean(), x.mean())) == pytest.approx(45, abs=2)


def test_it_is_as_large_as_a_proposed_one_and_mirrors_with_the_image(wall):
    stack = make_phantom_stack()
    labels = phantom_labels()
    proposed = propose_remote(
        stack.pixels, wall_mask(labels), SPACING, labels == np.uint8(Label.SCAR)
    )
    sector = remote_sector(wall, SPACING, (50.0, 20.0))
    assert sector.sum() == pytest.approx(proposed[0].sum(), rel=0.25)
    mirrored = remote_sector(wall[:, ::-1], SPACING, (wall.shape[1] - 50.0, 20.0))
    assert np.array_equal(mirrored[:, ::-1], sector)


def test_without_a_wall_there_is_none():
    assert not remote_sector(np.zeros((5, 6), dtype=bool), SPACING, (2.0, 2.0)).any()
