"""What a reader who knows the scar does about a slice: the cheapest correction of what is wrong.

The reader sees picture, mask and prompts of one slice and knows the reference. The mouse is
imprecise: box edges are off by a normal error of 1.5 mm, clicks by 1 mm, but a click stays
inside the error that it is meant for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scarseg.case.labels import MaskArray
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.quant.components import inside_boxes
from scarseg.training.prompts import bounding_box, components

EDGE_MM, CLICK_MM = 1.5, 1.0
BAD = 0.65
"""A mask whose Dice is below this is not corrected by clicks: its scar gets a box."""
UNSEEN = 0.1
"""A piece of scar of which less than this share is found gets a box, not a click."""
LARGE = 0.25
"""... if it is at least this share of the slice's scar."""
FILLED = 0.15
"""One box holds all scar of a slice where scar is at least this share of it, else one piece."""
FALSE = 0.1
"""A box is wrong when less than this share of the scar found in it is true."""


@dataclass(frozen=True)
class DrawBox:
    """Drag a box from corner to corner."""

    box: Box


@dataclass(frozen=True)
class DeleteBox:
    """Click on the box of this index and press Del."""

    index: int


@dataclass(frozen=True)
class Click:
    """Click into scar that is missing, or Alt-click into false scar."""

    point: Point


Correction = DrawBox | DeleteBox | Click


def agreement(found: MaskArray, scar: MaskArray) -> float:
    """Return the Dice of a slice; 1 where there is no scar and none was found."""
    total = int(found.sum()) + int(scar.sum())
    return 1.0 if total == 0 else 2 * int((found & scar).sum()) / total


def correct(
    scar: MaskArray,
    found: MaskArray,
    prompts: SlicePrompts,
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Correction:
    """Choose the next correction of a slice that has scar and is not good enough.

    One box round the scar where the mask is bad, or round what nobody has found; else away with
    a box that holds nothing but false scar; else a click into the largest error.

    Args:
        scar, found: bool (row, column), true and as shown.
    """
    untouched = not prompts.points and all(box.score is not None for box in prompts.boxes)
    if untouched and agreement(found, scar) < BAD:
        missing: MaskArray | None = _by_one_box(scar, found)
    else:
        missing = _unseen(scar, found, prompts)
    if missing is not None:
        return DrawBox(draw_box(missing, pixel_spacing_mm, rng))
    wrong = _wrong_box(scar, found, prompts)
    if wrong is not None:
        return DeleteBox(wrong)
    return Click(click(scar, found, pixel_spacing_mm, rng))


def _by_one_box(scar: MaskArray, found: MaskArray) -> MaskArray:
    """Return what one drag covers best: all scar, or the largest missing component."""
    column0, row0, column1, row1 = bounding_box(scar)
    if scar.sum() >= FILLED * (column1 - column0) * (row1 - row0):
        return scar
    parts = components(scar)
    return next((one for one in parts if (one & found).sum() < UNSEEN * one.sum()), parts[0])


def _unseen(scar: MaskArray, found: MaskArray, prompts: SlicePrompts) -> MaskArray | None:
    """Return the largest piece of scar that is not found and that no reader has asked for yet."""
    asked = inside_boxes((box for box in prompts.boxes if box.score is None), scar.shape)
    for part in components(scar):
        large = part.sum() >= LARGE * scar.sum()
        if large and (part & found).sum() < UNSEEN * part.sum() and not (part & asked).any():
            return part
    return None


def _wrong_box(scar: MaskArray, found: MaskArray, prompts: SlicePrompts) -> int | None:
    """Return the box whose scar is false, where that is the larger part of the error."""
    error = int((scar ^ found).sum())
    for index, box in enumerate(prompts.boxes):
        others = [one for k, one in enumerate(prompts.boxes) if k != index]
        held = found & inside_boxes((box,), scar.shape) & ~inside_boxes(others, scar.shape)
        false = int((held & ~scar).sum())
        if others and 2 * false > error and (held & scar).sum() < FALSE * held.sum():
            return index
    return None


def draw_box(
    part: MaskArray, pixel_spacing_mm: tuple[float, float], rng: np.random.Generator
) -> Box:
    """Draw a box round a piece of scar with a mouse: half a pixel generous, edges off."""
    column0, row0, column1, row1 = bounding_box(part)
    off = rng.normal(0, EDGE_MM, 4) / np.tile(pixel_spacing_mm[::-1], 2)
    corners = np.array([column0 - 0.5, row0 - 0.5, column1 + 0.5, row1 + 0.5]) + off
    if corners[2] - corners[0] < 2 or corners[3] - corners[1] < 2:
        corners = np.array([column0 - 1, row0 - 1, column1 + 1, row1 + 1])
    rows, columns = part.shape
    return Box(*(float(v) for v in np.clip(corners, 0, [columns, rows, columns, rows])))


def click(
    scar: MaskArray,
    found: MaskArray,
    pixel_spacing_mm: tuple[float, float],
    rng: np.random.Generator,
) -> Point:
    """Click into the middle of the largest piece of error, missed or false."""
    errors = [(part, kind) for kind in (True, False) for part in _pieces(scar, found, kind)]
    part, positive = max(errors, key=lambda error: int(error[0].sum()))
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    at = np.array([column + 0.5, row + 0.5])
    off = rng.normal(0, CLICK_MM, 2) / np.array(pixel_spacing_mm[::-1])
    while not _within(part, *(at + off)):
        off /= 2
    return Point(float(at[0] + off[0]), float(at[1] + off[1]), positive)


def _pieces(scar: MaskArray, found: MaskArray, missed: bool) -> list[MaskArray]:
    error = scar & ~found if missed else found & ~scar
    return components(error)[:1] if error.any() else []


def _within(part: MaskArray, column: float, row: float) -> bool:
    inside_image = 0 <= row < part.shape[0] and 0 <= column < part.shape[1]
    return inside_image and bool(part[int(row), int(column)])
