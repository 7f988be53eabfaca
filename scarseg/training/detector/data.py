"""Labelled slices for the detector, and the boxes of their label maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import FloatArray
from scarseg.models.detector_crop import DetectorCrop
from scarseg.training.cases import INNER, TrainingCase

TUNING = (*INNER, "P011", "P080", "N018", "N058")
"""EMIDEC training patients kept aside to choose the checkpoint and the thresholds."""

SMALLEST_SCAR_MM2 = 24.0
"""A component below this (12 pixels of 1.43 mm) is no box of its own."""
MIN_VISIBLE_SHARE = 0.4
"""A box counts when at least this share of its area lies in the crop."""

_SQUARE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """One slice with its reference labels.

    ``pixels`` float32 and ``labels`` uint8 (row, column), labels 0 to 4 (and 5 for the RV of
    cine); ``kind``: lge, cine or simulated. The scar of cine is not known.
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
        """Middle (column, row) of the left ventricle's box, or None without one."""
        corners = box_around(corner_points(self.heart))
        if corners is None:
            return None
        return (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2


def labelled_slices(cases: Iterable[TrainingCase]) -> list[LabelledSlice]:
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


def corner_points(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return (n, 2) corners (column, row) of the first and last pixel of every row of a mask.

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


def box_around(points: npt.NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Return (column0, row0, column1, row1) round points, or None without any."""
    if len(points) == 0:
        return None
    column0, row0 = points.min(axis=0)
    column1, row1 = points.max(axis=0)
    return float(column0), float(row0), float(column1), float(row1)


def scar_parts(
    labels: LabelArray, pixel_spacing_mm: tuple[float, float]
) -> list[npt.NDArray[np.float64]]:
    """Return the corner points of every component of scar and MVO large enough for a box."""
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
    labelled: LabelledSlice, crop: DetectorCrop
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the boxes of a slice in a crop.

    Returns (n, 4) boxes (column0, row0, column1, row1) in crop pixels, clipped to the crop, and
    (n,) class numbers (0 scar, 1 left_ventricle). What lies mostly outside is left out.
    """
    parts = [(0, part) for part in scar_parts(labelled.labels, labelled.pixel_spacing_mm)]
    if labelled.heart.any():
        parts.append((1, corner_points(labelled.heart)))
    limit = np.array([crop.shape[1], crop.shape[0]] * 2, dtype=np.float64)
    boxes, classes = [], []
    for number, points in parts:
        whole = np.array(box_around(crop.to_crop(points)))
        clipped = np.clip(whole, 0, limit)
        if np.prod(clipped[2:] - clipped[:2]) >= MIN_VISIBLE_SHARE * np.prod(whole[2:] - whole[:2]):
            boxes.append(clipped)
            classes.append(number)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(classes, dtype=np.int64)
