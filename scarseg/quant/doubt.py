"""Return the reasons to doubt the scar of a slice, the same for window, montage, list and report.

The wall of a proposal includes the segmenter's own scar, so scar in fat or pericardium never lies
outside "the wall". It is compared with the heart without that scar instead: the convex hull of
blood pool and myocardium, and the hearts of the neighbouring slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.quant.mass import MM3_PER_ML, slice_depths_mm

HULL_MARGIN_MM = 1.5
"""The epicardium without scar is grown by about a pixel: borders are no sharper."""
OUTSIDE_MM2 = 30.0
"""Smallest area outside the epicardium, that of the smallest island of a proposal."""
NEIGHBOUR_MARGIN_MM = 4.0
"""A heart moves and tapers by less than this from slice to slice."""
OFF_MM2 = 15.0
"""Smallest area outside the neighbours' hearts."""
LARGE_SHARE = 0.5
"""Infarct of more than this share of a slice's wall is rare."""
END_G = 1.0
"""Less scar than this on the first or last slice of the wall is not reported."""
WIDE_G = 2.0
"""An interval narrower than this is not reported."""


class DoubtKind(StrEnum):
    """Kind of a doubt, as written in tables."""

    OUTSIDE = "outside_epicardium"
    OFF_NEIGHBOURS = "off_neighbours"
    LARGE = "large"
    LONELY = "lonely"
    BASE = "base"
    APEX = "apex"
    WIDE = "wide_interval"


@dataclass(frozen=True, eq=False)
class Doubt:
    """One reason to doubt the scar of a slice; ``mask`` (row, column) shows where, if anywhere."""

    kind: DoubtKind
    sentence: str
    mask: MaskArray | None = None


def slice_doubts(
    case: Case, slice_index: int, interval_g: tuple[float, float] | None = None
) -> tuple[Doubt, ...]:
    """Return every reason to doubt the scar of a slice; none where it has no scar.

    Args:
        case: labels of all slices.
        slice_index: of the slice.
        interval_g: of the mass of the slice, where it is known.
    """
    k = slice_index
    labels, spacing = case.labels, case.stack.pixel_spacing_mm
    infarct = infarct_mask(labels[k])
    if not infarct.any():
        return ()
    area_mm2 = spacing[0] * spacing[1]
    depth = slice_depths_mm(case.stack, MassConvention.THICKNESS)[k]
    grams = DENSITY_G_PER_ML / MM3_PER_ML * np.count_nonzero(infarct) * area_mm2 * depth
    doubts = []
    outside = _outside_epicardium(labels[k], spacing)
    if (area := np.count_nonzero(outside) * area_mm2) >= OUTSIDE_MM2:
        sentence = f"{area:.0f} mm² lie outside the epicardium without scar: fat or pericardium?"
        doubts.append(Doubt(DoubtKind.OUTSIDE, sentence, outside))
    off = _off_neighbours(labels, k, spacing)
    if (area := np.count_nonzero(off) * area_mm2) >= OFF_MM2:
        sentence = f"{area:.0f} mm² lie outside the heart of the neighbouring slices"
        doubts.append(Doubt(DoubtKind.OFF_NEIGHBOURS, sentence, off))
    wall = wall_mask(labels[k])
    share = np.count_nonzero(infarct) / np.count_nonzero(wall)
    if share > LARGE_SHARE and (labels[k] == Label.MYOCARDIUM).any():
        doubts.append(Doubt(DoubtKind.LARGE, f"scar is {100 * share:.0f} % of the wall"))
    neighbours = [j for j in (k - 1, k + 1) if 0 <= j < len(labels)]
    if neighbours and not any(infarct_mask(labels[j]).any() for j in neighbours):
        doubts.append(Doubt(DoubtKind.LONELY, "scar on this slice alone"))
    doubts += _end_doubts(labels, k, grams)
    if interval_g is not None:
        width = interval_g[1] - interval_g[0]
        if width > max(WIDE_G, grams):
            low, high = interval_g
            sentence = f"the interval is wide: {low:.1f} to {high:.1f} g"
            doubts.append(Doubt(DoubtKind.WIDE, sentence))
    return tuple(doubts)


def describe(doubts: Sequence[Doubt]) -> str:
    """Join the sentences of several doubts; empty without any."""
    return "; ".join(one.sentence for one in doubts)


def _outside_epicardium(labels: LabelArray, spacing: tuple[float, float]) -> MaskArray:
    """Return scar (row, column) outside the hull of pool and myocardium, grown by a margin.

    A wide transmural scar is reported too: nothing else shows where its wall ends.
    """
    infarct = infarct_mask(labels)
    heart = (labels == Label.BLOOD_POOL) | (labels == Label.MYOCARDIUM)
    if np.count_nonzero(heart) < 3:
        return np.zeros_like(infarct)
    hull = np.asarray(convex_hull_image(heart), dtype=np.bool_)
    return infarct & _further_than(hull, HULL_MARGIN_MM, spacing)


def _off_neighbours(labels: LabelArray, k: int, spacing: tuple[float, float]) -> MaskArray:
    """Return scar of slice ``k`` outside the union of the neighbours' hearts and a margin.

    Without a heart on both neighbours nothing is compared: base and apex taper.
    """
    infarct = infarct_mask(labels[k])
    nothing = np.zeros_like(infarct)
    if not 0 < k < len(labels) - 1:
        return nothing
    before, after = (labels[j] > Label.BACKGROUND for j in (k - 1, k + 1))
    if not (before.any() and after.any()):
        return nothing
    return infarct & _further_than(before | after, NEIGHBOUR_MARGIN_MM, spacing)


def _further_than(mask: MaskArray, margin_mm: float, spacing: tuple[float, float]) -> MaskArray:
    away = np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))
    return np.asarray(away > margin_mm, dtype=np.bool_)


def _end_doubts(labels: LabelArray, k: int, grams: float) -> list[Doubt]:
    """Return the doubt about the first or the last slice with a wall."""
    walls = np.flatnonzero(wall_mask(labels).any(axis=(1, 2)))
    if grams < END_G or len(walls) < 2:
        return []
    if k == walls[0]:
        return [Doubt(DoubtKind.BASE, "base: outflow tract and partial volume look like scar")]
    if k == walls[-1]:
        return [Doubt(DoubtKind.APEX, "apex: partial volume looks like scar")]
    return []
