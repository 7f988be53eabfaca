"""Return the reasons to doubt the scar of a slice, the same for window, list, tables and report.

The wall of a proposal includes the segmenter's own scar, so scar in fat or pericardium never lies
outside "the wall". It is compared with the heart without that scar instead: the convex hull of
blood pool and myocardium, and the hearts of the neighbouring slices.

The doubt about a case is the mass in doubt, E = half the width of the interval and, for every
slice that is not read, the largest mass that one of its doubts concerns, as E / (E + 10 g): 0.5
where 10 g are in doubt. Both are in grams, so that nothing is weighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention
from scarseg.case.prompts import Origin
from scarseg.quant.components import inside_boxes, window_around
from scarseg.quant.image_quality import Grade, slice_grade
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
HALF_DOUBT_G = 10.0
"""Mass in doubt that makes the doubt about a case 0.5."""


class DoubtKind(StrEnum):
    """Kind of a doubt, as written in tables."""

    OUTSIDE = "outside_epicardium"
    OFF_NEIGHBOURS = "off_neighbours"
    LARGE = "large"
    LONELY = "lonely"
    BASE = "base"
    APEX = "apex"
    WIDE = "wide_interval"
    DETECTOR = "detector_disagrees"
    IMAGE = "poor_image"


@dataclass(frozen=True, eq=False)
class Doubt:
    """One reason to doubt the scar of a slice; ``mask`` (row, column) shows where, if anywhere.

    ``grams`` is the mass that it concerns.
    """

    kind: DoubtKind
    sentence: str
    mask: MaskArray | None = None
    grams: float = 0.0


def slice_doubts(
    case: Case, slice_index: int, interval_g: tuple[float, float] | None = None
) -> tuple[Doubt, ...]:
    """Return every reason to doubt the scar of a slice.

    Without scar there is none but a box of the detector.

    Args:
        case: labels of all slices.
        slice_index: of the slice.
        interval_g: of the mass of the slice, where it is known.
    """
    k = slice_index
    labels, spacing = case.labels, case.stack.pixel_spacing_mm
    infarct = infarct_mask(labels[k])
    doubts = _detector_doubts(case, k)
    if not infarct.any():
        return tuple(doubts)
    area_mm2 = spacing[0] * spacing[1]
    depth = slice_depths_mm(case.stack, MassConvention.THICKNESS)[k]
    mm2_g = DENSITY_G_PER_ML / MM3_PER_ML * depth
    grams = float(mm2_g * np.count_nonzero(infarct) * area_mm2)
    outside = _outside_epicardium(labels[k], spacing)
    if (area := np.count_nonzero(outside) * area_mm2) >= OUTSIDE_MM2:
        sentence = f"{area:.0f} mm² lie outside the epicardium without scar: fat or pericardium?"
        doubts.append(Doubt(DoubtKind.OUTSIDE, sentence, outside, float(area * mm2_g)))
    off = _off_neighbours(labels, k, spacing)
    if (area := np.count_nonzero(off) * area_mm2) >= OFF_MM2:
        sentence = f"{area:.0f} mm² lie outside the heart of the neighbouring slices"
        doubts.append(Doubt(DoubtKind.OFF_NEIGHBOURS, sentence, off, float(area * mm2_g)))
    wall = wall_mask(labels[k])
    share = np.count_nonzero(infarct) / np.count_nonzero(wall)
    if share > LARGE_SHARE and (labels[k] == Label.MYOCARDIUM).any():
        sentence = f"scar is {100 * share:.0f} % of the wall"
        beyond = float(grams * (1 - LARGE_SHARE / share))
        doubts.append(Doubt(DoubtKind.LARGE, sentence, grams=beyond))
    neighbours = [j for j in (k - 1, k + 1) if 0 <= j < len(labels)]
    # A neighbour that nobody has looked at yet, model or reader, has no scar that is known.
    statuses = [case.readings[j].status for j in neighbours]
    known = all(
        labels[j].any() or status is not SliceStatus.UNSEEN
        for j, status in zip(neighbours, statuses, strict=True)
    )
    if neighbours and known and not any(infarct_mask(labels[j]).any() for j in neighbours):
        doubts.append(Doubt(DoubtKind.LONELY, "scar on this slice alone", grams=grams))
    doubts += _end_doubts(labels, k, grams)
    if interval_g is not None:
        width = interval_g[1] - interval_g[0]
        if width > max(WIDE_G, grams):
            low, high = interval_g
            sentence = f"the interval is wide: {low:.1f} to {high:.1f} g"
            doubts.append(Doubt(DoubtKind.WIDE, sentence))
    if slice_grade(case.stack.pixels[k], labels[k], spacing) is Grade.POOR:
        sentence = "poor image: remote myocardium is noisy or as bright as blood"
        doubts.append(Doubt(DoubtKind.IMAGE, sentence))
    return tuple(doubts)


@dataclass(frozen=True)
class CaseDoubt:
    """Doubt about the mass of a case, 0 to 1, and the kinds of doubt about each slice."""

    score: float
    kinds: tuple[tuple[DoubtKind, ...], ...]

    @property
    def reasons(self) -> str:
        """Kinds of doubt with the slices, counted from 1, that they concern."""
        where: dict[DoubtKind, list[str]] = {}
        for k, kinds in enumerate(self.kinds):
            for kind in kinds:
                where.setdefault(kind, []).append(f"{k + 1}")
        return "; ".join(f"{kind}: {' '.join(slices)}" for kind, slices in sorted(where.items()))


def case_doubt(
    case: Case,
    interval_g: tuple[float, float] | None = None,
    slices_g: Sequence[tuple[float, float]] = (),
) -> CaseDoubt:
    """Return the doubt about a case. What a reader has read is not doubted.

    Args:
        case: labels and readings of all slices.
        interval_g: of the scar mass, None where it is not known.
        slices_g: the same of every slice; empty where it is not known.
    """
    found: list[tuple[Doubt, ...]] = []
    for k, reading in enumerate(case.readings):
        known = slices_g[k] if slices_g else None
        found.append(() if reading.status.read else slice_doubts(case, k, known))
    doubtful_g = sum(max((one.grams for one in doubts), default=0.0) for doubts in found)
    if interval_g is not None:
        doubtful_g += (interval_g[1] - interval_g[0]) / 2
    score = doubtful_g / (doubtful_g + HALF_DOUBT_G)
    return CaseDoubt(score, tuple(tuple(one.kind for one in doubts) for doubts in found))


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
    box = window_around(heart, spacing)
    hull = np.zeros_like(infarct)
    hull[box] = convex_hull_image(heart[box])
    return _further_than(infarct, hull, HULL_MARGIN_MM, spacing)


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
    return _further_than(infarct, before | after, NEIGHBOUR_MARGIN_MM, spacing)


def _further_than(
    infarct: MaskArray, heart: MaskArray, margin_mm: float, spacing: tuple[float, float]
) -> MaskArray:
    """Return infarct (row, column) further from a heart than a margin."""
    box = window_around(infarct | heart, spacing)  # distances cost by area
    away = np.asarray(ndimage.distance_transform_edt(~heart[box], sampling=spacing))
    further = np.zeros_like(infarct)
    further[box] = infarct[box] & (away > margin_mm)
    return further


def _end_doubts(labels: LabelArray, k: int, grams: float) -> list[Doubt]:
    """Return the doubt about the first or the last slice with a wall."""
    walls = np.flatnonzero(wall_mask(labels).any(axis=(1, 2)))
    if grams < END_G or len(walls) < 2:
        return []
    if k == walls[0]:
        sentence = "base: outflow tract and partial volume look like scar"
        return [Doubt(DoubtKind.BASE, sentence, grams=grams)]
    if k == walls[-1]:
        return [Doubt(DoubtKind.APEX, "apex: partial volume looks like scar", grams=grams)]
    return []


def _detector_doubts(case: Case, k: int) -> list[Doubt]:
    """Return the doubt about boxes of the detector in which the segmenter found no scar."""
    infarct = infarct_mask(case.labels[k])
    prompts = case.readings[k].prompts
    empty = tuple(
        box
        for box in prompts.boxes
        if box.origin is Origin.DETECTOR and not infarct[inside_boxes((box,), infarct.shape)].any()
    )
    if not empty or prompts.no_scar:
        return []
    sentence = "the detector sees scar where the segmenter finds none"
    return [Doubt(DoubtKind.DETECTOR, sentence, inside_boxes(empty, infarct.shape))]
