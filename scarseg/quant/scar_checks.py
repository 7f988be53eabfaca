"""Find scar where none is expected: outside the wall, in the blood pool, far from its box.

It is reported, and changed only on request of the reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected

from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, without_infarct
from scarseg.case.prompts import SlicePrompts

FAR_MM = 5.0
"""A component of scar is far from its box when all of it is further than this from every box."""
SMALLEST_MM2 = 10.0
"""A smaller area is not reported."""


@dataclass(frozen=True, eq=False)
class ScarOutsideWall:
    """Scar outside the wall of one slice; masks (row, column), areas in mm2."""

    outside: MaskArray
    in_pool: MaskArray
    far: MaskArray
    pixel_mm2: float

    @cached_property
    def mask(self) -> MaskArray:
        """Mask of all that is reported."""
        parts = [part for part in self._parts() if self._area_mm2(part) >= SMALLEST_MM2]
        combined: MaskArray = np.logical_or.reduce([np.zeros_like(self.outside), *parts])
        return combined

    @cached_property
    def can_clip(self) -> bool:
        """Return whether clipping to the wall would remove any of it."""
        return any(self._area_mm2(part) >= SMALLEST_MM2 for part in (self.outside, self.in_pool))

    @cached_property
    def description(self) -> str:
        """Sentence part that lists the areas, or an empty text."""
        places = ("outside the wall", "in the blood pool", "far from its box")
        reported = [
            f"{area:.0f} mm² {place}"
            for part, place in zip(self._parts(), places, strict=True)
            if (area := self._area_mm2(part)) >= SMALLEST_MM2
        ]
        return f"scar {', '.join(reported)}" if reported else ""

    def _parts(self) -> tuple[MaskArray, MaskArray, MaskArray]:
        return self.outside, self.in_pool, self.far & ~self.outside & ~self.in_pool

    def _area_mm2(self, part: MaskArray) -> float:
        return float(np.count_nonzero(part)) * self.pixel_mm2


def find_scar_outside_wall(
    labels: LabelArray,
    labels_under_scar: LabelArray,
    prompts: SlicePrompts,
    spacing: tuple[float, float],
) -> ScarOutsideWall:
    """Find scar (MVO included) of one slice where none is expected.

    Args:
        labels: uint8 (row, column).
        labels_under_scar: labels underneath scar and MVO, of the same shape.
        prompts: the boxes that scar should be near to; without any, none is far.
        spacing: (row, column) in mm.
    """
    infarct = infarct_mask(labels)
    empty = np.zeros_like(infarct)
    known = has_wall(labels_under_scar)
    return ScarOutsideWall(
        infarct & (labels_under_scar == Label.BACKGROUND) if known else empty,
        infarct & (labels_under_scar == Label.BLOOD_POOL) if known else empty,
        _far_components(infarct, prompts, spacing) if prompts.boxes else empty,
        spacing[0] * spacing[1],
    )


def _far_components(
    infarct: MaskArray, prompts: SlicePrompts, spacing: tuple[float, float]
) -> MaskArray:
    far = np.zeros_like(infarct)
    rows_any, columns_any = np.flatnonzero(infarct.any(axis=1)), np.flatnonzero(infarct.any(axis=0))
    if rows_any.size == 0:
        return far
    top, bottom = int(rows_any[0]), int(rows_any[-1]) + 1
    left, right = int(columns_any[0]), int(columns_any[-1]) + 1
    rows, columns = np.arange(top + 0.5, bottom), np.arange(left + 0.5, right)
    part = infarct[top:bottom, left:right]
    far[top:bottom, left:right] = _far_within(part, rows, columns, prompts, spacing)
    return far


def _far_within(
    infarct: MaskArray,
    rows: npt.NDArray[np.floating],
    columns: npt.NDArray[np.floating],
    prompts: SlicePrompts,
    spacing: tuple[float, float],
) -> MaskArray:
    """Find the components far from every box, within a part of a slice.

    ``rows`` and ``columns`` are the voxel centres of the part.
    """
    near = np.zeros_like(infarct)
    for box in prompts.boxes:
        down = np.maximum(np.maximum(box.row0 - rows, rows - box.row1), 0) * spacing[0]
        across = np.maximum(np.maximum(box.column0 - columns, columns - box.column1), 0)
        near |= np.hypot(down[:, None], across[None, :] * spacing[1]) <= FAR_MM
    pieces = connected(infarct, connectivity=2)
    return infarct & ~np.isin(pieces, pieces[near & infarct])


def has_wall(labels_under_scar: LabelArray) -> bool:
    """Return whether a slice has wall."""
    return bool((labels_under_scar == Label.MYOCARDIUM).any())


def clip_to_wall(labels: LabelArray, labels_under_scar: LabelArray) -> LabelArray:
    """Replace scar and MVO outside the wall by the labels underneath them."""
    out = labels.copy()
    gone = infarct_mask(labels) & (labels_under_scar != Label.MYOCARDIUM)
    out[gone] = labels_under_scar[gone]
    return out


def estimate_labels_under_scar(labels: LabelArray) -> LabelArray:
    """Estimate the labels underneath the scar of one slice (row, column).

    Needed for case files of earlier versions, which do not store them. A component of scar that
    touches wall lies on wall; one that touches none, on a slice that has wall, lies on what it
    touches most, blood pool or background.
    """
    underneath = without_infarct(labels)
    wall = labels == Label.MYOCARDIUM
    if not wall.any():
        return underneath
    components = connected(infarct_mask(labels), connectivity=2)
    for number in range(1, int(components.max()) + 1):
        rim = labels[_dilated(components == number)]
        if not (rim == Label.MYOCARDIUM).any():
            in_pool = np.count_nonzero(rim == Label.BLOOD_POOL) * 2 > np.count_nonzero(rim < 2)
            underneath[components == number] = Label.BLOOD_POOL if in_pool else Label.BACKGROUND
    return underneath


def _dilated(mask: MaskArray) -> MaskArray:
    """Dilate a mask (row, column) by one pixel to all eight sides."""
    wide = np.pad(mask, 1)
    wide = wide[:-2] | wide[1:-1] | wide[2:]
    return np.asarray(wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:], dtype=np.bool_)
