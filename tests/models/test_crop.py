"""What the segmenter sees, and where its answer lands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scarseg.case.prompts import Box
from scarseg.models.segmenter_crop import (
    CROP_PIXELS,
    CROP_SPACING_MM,
    OUTSIDE_LOGIT,
    CropGeometry,
    crop_slice,
    normalise,
    uncrop,
)

SHAPE, SPACING = (150, 210), (1.8, 1.1)


def blob(column: float, row: float, width_mm: float = 12) -> torch.Tensor:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    distance = ((rows - row) * SPACING[0]) ** 2 + ((columns - column) * SPACING[1]) ** 2
    return torch.from_numpy(np.exp(-distance / width_mm**2).astype(np.float32))


def peak(values: torch.Tensor) -> tuple[float, float]:
    """Return the centre of mass (column, row) of what is above half."""
    rows, columns = torch.nonzero(values > values.max() * 0.5, as_tuple=True)
    return float(columns.float().mean()) + 0.5, float(rows.float().mean()) + 0.5


def test_crop_keeps_round_things_round_on_unequal_spacing() -> None:
    box = Box(90, 50, 130, 80)
    geometry = CropGeometry.around(box, SHAPE, SPACING)
    crop = crop_slice(blob(110, 65), geometry)[0, 0]
    rows, columns = torch.nonzero(crop > 0, as_tuple=True)
    assert float(rows.max() - rows.min()) == pytest.approx(
        float(columns.max() - columns.min()), abs=1
    )
    assert peak(crop + 1) == pytest.approx((CROP_PIXELS / 2, CROP_PIXELS / 2), abs=0.6)


def test_points_map_where_pixels_map() -> None:
    geometry = CropGeometry.around(Box(60, 40, 120, 90), SHAPE, SPACING)
    crop = crop_slice(blob(75, 80, 5), geometry)[0, 0]
    assert peak(crop + 1) == pytest.approx(geometry.to_crop(75, 80), abs=0.7)


@pytest.mark.parametrize("spacing", [(1.8, 1.1), (0.7, 0.7), (1.43, 1.43)])
def test_answer_lands_where_it_was_seen(spacing: tuple[float, float]) -> None:
    geometry = CropGeometry.around(Box(90, 50, 130, 90), SHAPE, spacing)
    logits = torch.full((1, 1, CROP_PIXELS, CROP_PIXELS), -5.0)
    logits[..., 30:40, 50:54] = 5.0
    back = uncrop(logits, geometry, SHAPE)[0]
    column, row = peak(back - OUTSIDE_LOGIT)
    assert geometry.to_crop(column, row) == pytest.approx((52, 35), abs=0.7)
    area = float((back > 0).sum()) * spacing[0] * spacing[1]
    assert area == pytest.approx(40 * CROP_SPACING_MM**2, rel=0.12)


def test_outside_the_crop_nothing_is_found() -> None:
    geometry = CropGeometry.around(Box(90, 50, 130, 90), SHAPE, SPACING)
    back = uncrop(torch.full((1, 1, CROP_PIXELS, CROP_PIXELS), 5.0), geometry, SHAPE)
    assert back[0, 0, 0].item() == pytest.approx(OUTSIDE_LOGIT)


def test_large_hearts_fit() -> None:
    box = Box(20, 10, 140, 100)
    geometry = CropGeometry.around(box, SHAPE, SPACING)
    c0, r0, c1, r1 = geometry.box_to_crop(box)
    assert min(c0, r0) > 0
    assert max(c1, r1) < CROP_PIXELS


def test_normalising_ignores_gain_offset_and_the_neighbour() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 1, CROP_PIXELS, CROP_PIXELS, generator=generator)
    other = torch.cat([images[:1] * 700 - 30, images[1:]])
    assert torch.allclose(normalise(images)[:1], normalise(other)[:1], atol=1e-4)
    changed = torch.cat([images[:1], images[1:] * 900])
    assert torch.equal(normalise(images)[:1], normalise(changed)[:1])


def test_constant_images_stay_finite() -> None:
    assert torch.isfinite(normalise(torch.zeros(1, 1, CROP_PIXELS, CROP_PIXELS))).all()
