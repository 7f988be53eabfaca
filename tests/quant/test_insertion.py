"""The proposed insertion: from the image where the RV shows, else from the orientation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from scarseg.case.labels import Label
from scarseg.quant import wall_geometry
from scarseg.quant.insertion_point import (
    SEPTUM_FACES,
    InsertionSource,
    epicardial_radii_mm,
    propose_insertion,
)
from scarseg.quant.segments import insertion_angles, segment_map
from tests.quant.heart_views import View, from_apex, mirrored, polar, quarter_turned, ring_labels

MUSCLE, BLOOD, LUNG, FAT = 50.0, 150.0, 20.0, 400.0
SHAPE = (120, 120)

SHORT_AXIS = np.array([[0.6, 0.6, -0.53], [-0.37, -0.37, -0.85], [-0.71, 0.71, 0.0]])
"""Rows run left and back, columns down; their product points from apex to base."""


def orthogonal(axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    row = axes[0] / np.linalg.norm(axes[0])
    column = axes[1] - (axes[1] @ row) * row
    column = column / np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)])


def heart(start: float | None, width: float = 110.0, n_slices: int = 6) -> View:
    """A ring in lung with fat on its free wall and, from ``start`` on, an RV of 25 mm."""
    labels = ring_labels(n_slices, SHAPE, (20, 28))
    view = from_apex(labels, [10.0 * k for k in range(n_slices)], axes=orthogonal(SHORT_AXIS))
    radius, angle = polar(SHAPE)
    image = np.full(SHAPE, LUNG, dtype=np.float32)
    image[radius < 34] = FAT
    if start is not None:
        image[(radius < 53) & ((angle - start) % 360 < width)] = BLOOD
    image[radius < 28] = MUSCLE
    image[radius < 20] = BLOOD
    pixels = np.repeat(image[None], n_slices, axis=0)
    return replace(view, stack=replace(view.stack, pixels=pixels))


def off(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("start", [60.0, 120.0, 150.0])
def test_the_rv_is_found_in_the_image(start: float) -> None:
    view = heart(start)
    found = propose_insertion(view.stack, view.labels)
    assert found is not None
    assert found.source is InsertionSource.IMAGE
    assert off(found.angle, start) <= 6
    assert abs(found.septum_degrees - 110) <= 10
    # On the epicardium, where the angle says.
    centre = (SHAPE[1] / 2, SHAPE[0] / 2)
    x, y = found.point.column - centre[0], centre[1] - found.point.row
    assert np.hypot(x, y) == pytest.approx(28, abs=1)
    assert off(float(np.degrees(np.arctan2(y, x))), start) <= 6
    assert found.point.slice_index in (1, 2, 3)


def stored_otherwise(view: View, store: object) -> View:
    stored = mirrored(view) if store is mirrored else quarter_turned(view)
    pixels = view.stack.pixels[:, :, ::-1]
    if store is quarter_turned:
        pixels = view.stack.pixels.transpose(0, 2, 1)[:, ::-1]
    return replace(stored, stack=replace(stored.stack, pixels=pixels))


@pytest.mark.parametrize("store", [mirrored, quarter_turned])
def test_a_flipped_stack_has_its_insertion_at_the_same_place(store: object) -> None:
    view = heart(120.0)
    plain = propose_insertion(view.stack, view.labels)
    other = stored_otherwise(view, store)
    found = propose_insertion(other.stack, other.labels)
    assert plain is not None
    assert found is not None
    column, row = SHAPE[1] - plain.point.column, plain.point.row
    if store is quarter_turned:
        column, row = plain.point.row, SHAPE[1] - plain.point.column
    assert np.hypot(found.point.column - column, found.point.row - row) < 3


def test_without_an_rv_the_orientation_proposes() -> None:
    view = heart(None)
    found = propose_insertion(view.stack, view.labels)
    assert found is not None
    assert found.source is InsertionSource.ORIENTATION
    faces = wall_geometry.direction_angle(view.stack, SEPTUM_FACES)
    assert off(found.angle, faces - 60) < 1e-6
    # On the usual picture the septum is on the left and its front end above.
    assert 135 < faces < 225
    assert found.point.column < SHAPE[1] / 2
    assert found.point.row < SHAPE[0] / 2


def test_without_a_ring_nothing_is_proposed() -> None:
    view = heart(120.0)
    view.labels[:, :, 60:] = 0
    assert propose_insertion(view.stack, view.labels) is None


def test_psir_with_dark_blood_falls_back() -> None:
    view = heart(120.0)
    dark = replace(view.stack, pixels=-view.stack.pixels)
    found = propose_insertion(dark, view.labels)
    assert found is not None
    assert found.source is InsertionSource.ORIENTATION
    assert found.contrast == 0


def test_the_epicardium_is_measured_in_millimetres() -> None:
    spacing = (2.0, 0.8)
    labels = ring_labels(2, (40, 100), (20, 28), spacing)
    view = from_apex(labels, [0, 10], spacing)
    labels[0, :, :50][labels[0, :, :50] == Label.MYOCARDIUM] = 0
    centre = (50.0, 20.0)
    whole = epicardial_radii_mm(view.stack, labels[1], centre)
    assert whole == pytest.approx(np.full(360, 28.0), abs=1.3)
    half = epicardial_radii_mm(view.stack, labels[0], centre)
    assert half[180] == 0
    assert half[0] == pytest.approx(28, abs=1)


@pytest.mark.parametrize("store", [None, mirrored, quarter_turned])
def test_segments_lie_in_the_patient_where_their_names_say(store: object) -> None:
    view = heart(None)
    if store is not None:
        view = stored_otherwise(view, store)
    found = propose_insertion(view.stack, view.labels)
    assert found is not None
    angles = insertion_angles(view.labels, view.stack, [found.point])
    numbers = segment_map(view.labels, view.stack, angles)

    def middle(*wanted: int) -> npt.NDArray[np.float64]:
        """Of these segments in the patient, LPS."""
        slices, rows, columns = (float(v.mean()) for v in np.nonzero(np.isin(numbers, wanted)))
        place = view.stack.affine @ np.array([columns, rows, slices, 1.0])
        return np.asarray(place[:3])

    assert (middle(11, 12) - middle(8, 9))[0] > 20  # the lateral wall lies left of the septum,
    for anterior, inferior in ((1, 4), (7, 10), (13, 15)):
        assert (middle(anterior) - middle(inferior))[2] > 20  # the anterior wall above;
    along = middle(13, 14, 15, 16) - middle(1, 2, 3, 4, 5, 6)
    assert along[0] > 0  # the apex points left
    assert along[1] < 0  # and forward.
