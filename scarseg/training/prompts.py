"""Simulated prompts of readers, drawn from reference labels, in crop pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
MAX_BOXES = 4
MAX_POINTS = 6
SMALLEST_COMPONENT = 4


@dataclass
class CropPrompts:
    """Prompts of one crop: boxes (column0, row0, column1, row1), points (column, row, label)."""

    lv_box: tuple[float, float, float, float]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    points: list[tuple[float, float, int]] = field(default_factory=list)


def bounding_box(mask: Mask) -> tuple[float, float, float, float]:
    """Return the half-open box of a non-empty mask as (column0, row0, column1, row1)."""
    rows, columns = np.nonzero(mask)
    return (
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
    )


def draw_box(
    box: tuple[float, float, float, float],
    rng: np.random.Generator,
    edges: tuple[float, float] = (0.02, 0.14),
    growth: tuple[float, float] = (-0.16, 0.15),
) -> tuple[float, float, float, float]:
    """Draw a box as a hand would: edges off on their own, and all of it larger or smaller."""
    width, height = box[2] - box[0], box[3] - box[1]
    spread = rng.uniform(*edges)
    grown = rng.uniform(*growth)
    offsets = rng.normal(0, spread / 2, 4)
    c0 = box[0] + offsets[0] * width - grown * width / 2
    r0 = box[1] + offsets[1] * height - grown * height / 2
    c1 = box[2] + offsets[2] * width + grown * width / 2
    r1 = box[3] + offsets[3] * height + grown * height / 2
    return (min(c0, c1 - 1), min(r0, r1 - 1), max(c1, c0 + 1), max(r1, r0 + 1))


def components(mask: Mask) -> list[Mask]:
    """Split a mask into its parts, largest first; specks are left out unless there is nothing."""
    parts, n = ndimage.label(mask, structure=np.ones((3, 3), dtype=np.int64))
    masks = [parts == i for i in range(1, n + 1)]
    masks.sort(key=lambda part: -int(part.sum()))
    large = [part for part in masks if part.sum() >= SMALLEST_COMPONENT]
    return large or masks[:1]


def click_inside(mask: Mask, rng: np.random.Generator, central: bool) -> tuple[float, float]:
    """Click into a non-empty mask: at its deepest point, or anywhere inside."""
    if central:
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    else:
        rows, columns = np.nonzero(mask)
        pick = int(rng.integers(rows.size))
        row, column = rows[pick], columns[pick]
    return float(column) + 0.5, float(row) + 0.5


def corrective_click(
    target: Mask, answer: Mask, rng: np.random.Generator
) -> list[tuple[float, float, int]]:
    """Click where the largest error is; none when the masks agree."""
    best: Mask | None = None
    label = 1
    for error, kind in ((target & ~answer, 1), (answer & ~target, 0)):
        if not error.any():
            continue
        part = components(error)[0]
        if best is None or part.sum() > best.sum():
            best, label = part, kind
    if best is None or best.sum() < 2:
        return []
    return [(*click_inside(best, rng, central=rng.random() < 0.8), label)]


def simulate_prompts(
    lv: Mask, scar: Mask, wall: Mask, rng: np.random.Generator
) -> tuple[CropPrompts, Mask]:
    """Draw one reader's prompts; return them with the scar mask that they mark.

    Args:
        lv: pool and wall; scar: the true scar; wall: all of it, bool (row, column).
    """
    prompts = CropPrompts(_lv_box(lv, rng))
    if not scar.any():
        _mislead(prompts, wall, rng)
        return prompts, scar
    target = scar
    kind = rng.random()
    parts = components(scar)
    if kind < 0.54:
        if rng.random() < 0.5:
            prompts.boxes = [draw_box(bounding_box(scar), rng)]
        else:
            if len(parts) > 1 and rng.random() < 0.25:
                left_out = int(rng.integers(len(parts)))
                target = scar & ~parts[left_out]
                parts = [p for i, p in enumerate(parts) if i != left_out]
            prompts.boxes = [draw_box(bounding_box(p), rng) for p in parts[:MAX_BOXES]]
        if rng.random() < 0.25:
            prompts.points = _points(target, wall, rng, int(rng.integers(1, 3)))
    elif kind < 0.7:
        prompts.points = _points(target, wall, rng, int(rng.integers(1, 4)))
    return prompts, target


def _lv_box(lv: Mask, rng: np.random.Generator) -> tuple[float, float, float, float]:
    if not lv.any():
        centre, half = rng.uniform(34, 46, 2), rng.uniform(12, 26)
        return (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    if rng.random() < 0.15:
        return draw_box(bounding_box(lv), rng, (0.1, 0.25), (-0.2, 0.3))
    return draw_box(bounding_box(lv), rng, (0.05, 0.1), (-0.03, 0.05))


def _points(
    target: Mask, wall: Mask, rng: np.random.Generator, n: int
) -> list[tuple[float, float, int]]:
    """Click n times, the first time inside the scar, later now and then outside it."""
    points: list[tuple[float, float, int]] = []
    outside = wall & ~ndimage.binary_dilation(target, iterations=2)
    for i in range(n):
        if i and rng.random() < 0.35 and outside.any():
            points.append((*click_inside(outside, rng, central=False), 0))
        else:
            points.append((*click_inside(target, rng, central=rng.random() < 0.5), 1))
    return points


def _mislead(prompts: CropPrompts, wall: Mask, rng: np.random.Generator) -> None:
    """Add a false box or a negative click to a slice without scar: the target stays empty."""
    kind = rng.random()
    if not wall.any() or kind > 0.3:
        return
    column, row = click_inside(wall, rng, central=False)
    if kind < 0.15:
        half = rng.uniform(3, 10, 2)
        prompts.boxes = [(column - half[0], row - half[1], column + half[0], row + half[1])]
    else:
        prompts.points = [(column, row, 0)]
