"""Labelled slices for the detector, and the boxes that their label maps mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.labels import Label, LabelArray
from scarseg.models.detector_view import View
from scarseg.simulate import simulate_stack
from scarseg.stack import FloatArray
from scarseg.training.cases import INNER, TrainingCase

TUNING = (*INNER, "P011", "P080", "N018", "N058")
"""EMIDEC training patients kept aside to choose the checkpoint and the thresholds."""

SMALLEST_SCAR_MM2 = 24.0
"""A component below this (12 pixels of 1.43 mm) is no box of its own."""
LEAST_VISIBLE = 0.4
"""A box counts when at least this share of its area lies in the view."""

_SQUARE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice with its truth.

    ``pixels`` float32 and ``labels`` uint8 (row, column), labels 0 to 4 (and 5 for the RV of
    cine); ``kind``: lge, cine or simulated. Cine says nothing of scar.
    """

    patient: str
    index: int
    pixels: FloatArray
    labels: LabelArray
    pixel_spacing_mm: tuple[float, float]
    kind: str = "lge"

    @property
    def heart(self) -> npt.NDArray[np.bool_]:
        """Mask (row, column) of the left ventricle, pool and wall."""
        return (self.labels > 0) & (self.labels <= Label.MVO)

    @property
    def heart_centre(self) -> tuple[float, float] | None:
        """Give the middle (column, row) of the left ventricle's box, or None without one."""
        corners = box_of(corner_points(self.heart))
        if corners is None:
            return None
        return (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2


def slices_of(cases: Iterable[TrainingCase]) -> list[LabelledSlice]:
    """Split stacks into labelled slices; what nobody read, or has no wall drawn, is left out."""
    return [
        LabelledSlice(
            case.patient,
            k,
            np.ascontiguousarray(case.pixels[k], dtype=np.float32),
            np.ascontiguousarray(case.labels[k], dtype=np.uint8),
            case.pixel_spacing_mm,
            case.kind,
        )
        for case in cases
        for k in case.slices_read
        if case.wall_known is None or case.wall_known[k] or not (case.labels[k] > 0).any()
    ]


def simulated_cases(patients: int, seed: int) -> list[TrainingCase]:
    """Simulate patients, scanner by scanner different, as training cases."""
    cases = []
    for number in range(patients):
        made = simulate_stack(seed * 1_000_003 + number)
        cases.append(
            TrainingCase(
                f"simulated{number:04d}",
                "simulated",
                made.stack.pixels,
                made.truth,
                made.stack.pixel_spacing_mm,
                made.stack.slice_spacing_mm or made.stack.slice_thickness_mm,
            )
        )
    return cases


def corner_points(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Give (n, 2) corners (column, row) of the first and last pixel of every row of a mask.

    Among them are all corners of its convex hull: enough for its box however it is turned.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return np.zeros((0, 2))
    kept = mask[rows]
    first = kept.argmax(axis=1)
    last = mask.shape[1] - kept[:, ::-1].argmax(axis=1)
    columns = np.concatenate([first, first, last, last])
    return np.stack([columns, np.concatenate([rows, rows + 1] * 2)], axis=1).astype(np.float64)


def box_of(points: npt.NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Give (column0, row0, column1, row1) round points, or None without any."""
    if len(points) == 0:
        return None
    column0, row0 = points.min(axis=0)
    column1, row1 = points.max(axis=0)
    return float(column0), float(row0), float(column1), float(row1)


def scar_parts(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float]
) -> list[npt.NDArray[np.float64]]:
    """Give the corner points of every component of scar and MVO that earns a box."""
    infarct = (labels == Label.SCAR) | (labels == Label.MVO)
    if not infarct.any():
        return []
    numbered, _ = ndimage.label(infarct, _SQUARE)
    pixel_mm2 = pixel_spacing_mm[0] * pixel_spacing_mm[1]
    parts = []
    for number, place in enumerate(ndimage.find_objects(numbered), start=1):
        part = numbered[place] == number
        if part.sum() * pixel_mm2 >= SMALLEST_SCAR_MM2:
            start = np.array([place[1].start, place[0].start], dtype=np.float64)
            parts.append(corner_points(part) + start)
    return parts


def true_boxes(
    piece: LabelledSlice, view: View
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Give the boxes of a slice as seen in a view.

    Returns (n, 4) boxes (column0, row0, column1, row1) in view pixels, clipped to the view, and
    (n,) class numbers (0 scar, 1 left_ventricle). What is mostly out of view is left out.
    """
    parts = [(0, part) for part in scar_parts(piece.labels, piece.pixel_spacing_mm)]
    if piece.heart.any():
        parts.append((1, corner_points(piece.heart)))
    limit = np.array([view.shape[1], view.shape[0]] * 2, dtype=np.float64)
    boxes, classes = [], []
    for number, points in parts:
        full = np.array(box_of(view.to_view(points)))
        seen = np.clip(full, 0, limit)
        if np.prod(seen[2:] - seen[:2]) >= LEAST_VISIBLE * np.prod(full[2:] - full[:2]):
            boxes.append(seen)
            classes.append(number)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(classes, dtype=np.int64)
