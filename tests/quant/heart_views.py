"""Short-axis stacks of one heart as different scanners would store it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scarseg.case.labels import Label, LabelArray
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import SliceSource, Stack


@dataclass(frozen=True, eq=False)
class View:
    """A stack, its labels, and the anterior insertion on its first slice."""

    stack: Stack
    labels: LabelArray
    insertion: InsertionPoint


def from_apex(
    clock_labels: npt.NDArray[np.uint8],
    positions: list[float],
    pixel_spacing: tuple[float, float] = (1.0, 1.0),
    insertion: tuple[float, float] = (0.0, 0.0),
    axes: npt.NDArray[np.float64] | None = None,
) -> View:
    """Show slices (slice, row, column) the usual way: seen from the apex, anterior up.

    Rows run to the right of the picture and columns down, so that their cross product points
    from apex to base; ``axes`` are row direction, column direction and that product, as rows.
    """
    axes = np.eye(3) if axes is None else axes
    origins: Any = tuple(tuple(float(v) for v in -z * axes[2]) for z in positions)
    cosines: Any = tuple(float(v) for v in axes[:2].ravel())
    stack = Stack(
        pixels=np.zeros(clock_labels.shape, dtype=np.float32),
        pixel_spacing_mm=pixel_spacing,
        slice_thickness_mm=8.0,
        orientation=cosines,
        origins_mm=origins,
        sources=tuple(SliceSource(f"1.2.{k}") for k in range(len(clock_labels))),
        series_uid="1.2",
        study_uid="1",
    )
    return View(stack, clock_labels, InsertionPoint(0, *insertion))


def mirrored(view: View) -> View:
    """Store every row of the same heart from its other end: seen from the base."""
    stack = view.stack
    row, column_mm = np.array(stack.orientation[:3]), stack.pixel_spacing_mm[1]
    shift = row * column_mm * (stack.columns - 1)
    cosines: Any = tuple(float(v) for v in (*-row, *stack.orientation[3:]))
    origins: Any = tuple(tuple(float(v) for v in np.array(o) + shift) for o in stack.origins_mm)
    flipped = replace(
        stack, pixels=stack.pixels[:, :, ::-1], orientation=cosines, origins_mm=origins
    )
    point = replace(view.insertion, column=stack.columns - view.insertion.column)
    return View(flipped, np.ascontiguousarray(view.labels[:, :, ::-1]), point)


def quarter_turned(view: View) -> View:
    """Store columns as rows, from the other end: the picture turned by a quarter."""
    stack = view.stack
    row, column = np.array(stack.orientation[:3]), np.array(stack.orientation[3:])
    shift = row * stack.pixel_spacing_mm[1] * (stack.columns - 1)
    cosines: Any = tuple(float(v) for v in (*column, *-row))
    origins: Any = tuple(tuple(float(v) for v in np.array(o) + shift) for o in stack.origins_mm)
    labels = np.ascontiguousarray(view.labels.transpose(0, 2, 1)[:, ::-1])
    turned = replace(
        stack,
        pixels=np.zeros(labels.shape, dtype=np.float32),
        pixel_spacing_mm=stack.pixel_spacing_mm[::-1],
        orientation=cosines,
        origins_mm=origins,
    )
    point = replace(
        view.insertion, column=view.insertion.row, row=stack.columns - view.insertion.column
    )
    return View(turned, labels, point)


def ring_labels(
    n_slices: int,
    shape: tuple[int, int] = (80, 80),
    radii_mm: tuple[float, float] = (20.0, 30.0),
    pixel_spacing: tuple[float, float] = (1.0, 1.0),
) -> LabelArray:
    """Draw the same ring on every slice, round the middle of the picture."""
    radius, _ = polar(shape, pixel_spacing)
    one = np.zeros(shape, dtype=np.uint8)
    one[radius < radii_mm[1]] = Label.MYOCARDIUM
    one[radius < radii_mm[0]] = Label.BLOOD_POOL
    return np.repeat(one[None], n_slices, axis=0)


def polar(
    shape: tuple[int, int], pixel_spacing: tuple[float, float] = (1.0, 1.0)
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return radius in mm and angle in degrees, counter-clockwise from the picture's right."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    y = (rows - shape[0] / 2) * pixel_spacing[0]
    x = (columns - shape[1] / 2) * pixel_spacing[1]
    return np.hypot(x, y), np.degrees(np.arctan2(-y, x)) % 360
