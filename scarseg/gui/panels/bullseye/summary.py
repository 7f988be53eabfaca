"""Segments of a case as the bull's-eye panel shows them; without Qt, computed on a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scarseg.case.labels import LabelArray, MaskArray, infarct_mask
from scarseg.case.measurements import MassConvention
from scarseg.case.prompts import InsertionPoint
from scarseg.case.stack import Stack
from scarseg.quant.bullseye_layout import whole_percent
from scarseg.quant.insertion_point import InsertionSource, on_epicardium
from scarseg.quant.mass import headline_convention
from scarseg.quant.segments import Segment, Territory, TissueAmount
from scarseg.quant.transmurality import Transmurality
from scarseg.quant.wall_map import WallMap, map_wall


@dataclass(frozen=True, eq=False)
class SegmentSummary:
    """A wall map with its texts.

    ``slices`` are the slices of a segment, by its number; ``fullest`` the one of them with most
    infarct (the middle one where there is none). ``marks`` are positions (column, row) of the
    insertion by slice: the point itself on its own slice, the epicardium in its direction on the
    others. Grams follow ``convention``, that of the headline.
    """

    found: WallMap
    slices: Mapping[int, tuple[int, ...]]
    fullest: Mapping[int, int]
    marks: Mapping[int, tuple[float, float]]
    convention: MassConvention = MassConvention.THICKNESS

    @property
    def point(self) -> InsertionPoint:
        """The insertion point that was used."""
        return self.found.points[0]

    def percents(self, by_ray: bool) -> dict[int, float | None]:
        """Return the transmurality of each segment in percent, mean by ray or by area."""
        return self.found.ray_percents if by_ray else self.found.area_percents

    def arteries(self) -> dict[Territory, float | None]:
        """Return scar in percent of the wall of each coronary territory."""
        return {
            artery: amount.scar_percent(self.convention)
            for artery, amount in self.found.measured.territories
        }

    def mask(self, number: int, k: int) -> MaskArray:
        """Return the voxels (row, column) of a segment on a slice."""
        return np.asarray(self.found.segments[k] == number, dtype=np.bool_)

    def words(self, number: int) -> str:
        """Return everything about a segment, for its tool tip."""
        segment, amount = self.found.measured.segments[number - 1]
        through = self.found.transmurality[number - 1]
        name = f"{self.title(segment)} · {segment.territory}"
        return "\n".join((name, *_figures(through, amount, self.convention)))

    def title(self, segment: Segment) -> str:
        """Return the name of a segment: "8 mid anteroseptal · slices 4-6"."""
        return f"{segment.number} {segment.name} · {slice_range(self.slices[segment.number])}"

    def figures(self, number: int) -> str:
        """Return artery, grams and percents of a segment in one line."""
        through = self.found.transmurality[number - 1]
        amount = self.found.measured.amount(number)
        by_area, by_ray = _percent(through.area_percent), _percent(through.ray_mean_percent)
        grams = f"{amount.scar_mass_g(self.convention):.1f} g"
        return f"{through.segment.territory} · {grams} · area {by_area} · rays {by_ray}"

    def note(self) -> str:
        """Return the source of the insertion point in words."""
        k = self.point.slice_index + 1
        if self.found.source is None:
            return f"RV insertion: yours, slice {k}"
        if self.found.source is InsertionSource.IMAGE:
            return f"RV insertion: proposed, slice {k}"
        return "RV insertion: by orientation only"


def summarize(
    labels: LabelArray, stack: Stack, points: Sequence[InsertionPoint], density: float
) -> SegmentSummary | None:
    """Map the wall; return None where no slice has a closed ring."""
    found = map_wall(labels, stack, points, density)
    if found is None:
        return None
    infarct = infarct_mask(labels)
    slices, fullest = {}, {}
    for segment, _ in found.measured.segments:
        here = found.segments == segment.number
        on = np.flatnonzero(here.any(axis=(1, 2))).tolist()
        if on:
            scar = (here & infarct).sum(axis=(1, 2))
            slices[segment.number] = tuple(on)
            fullest[segment.number] = int(scar.argmax()) if scar.any() else on[len(on) // 2]
    convention = headline_convention(stack, MassConvention.THICKNESS)
    return SegmentSummary(found, slices, fullest, _marks(found, labels, stack), convention)


def _marks(found: WallMap, labels: LabelArray, stack: Stack) -> dict[int, tuple[float, float]]:
    marks = {}
    for k, level in enumerate(found.levels):
        if level is not None:
            on = on_epicardium(stack, labels[k], k, found.angles[k])
            marks[k] = (on.column, on.row)
    return marks | {one.slice_index: (one.column, one.row) for one in found.points}


def slice_range(slices: Sequence[int]) -> str:
    """Return "slice 4" or "slices 4-6"; the slices of a segment are consecutive."""
    first, last = slices[0] + 1, slices[-1] + 1
    return f"slice {first}" if first == last else f"slices {first}–{last}"


def _figures(through: Transmurality, amount: TissueAmount, convention: MassConvention) -> list[str]:
    lines = [
        f"scar {amount.scar_mass_g(convention):.1f} g of {amount.lv_mass_g(convention):.1f} g",
        f"by area {_percent(through.area_percent)}",
    ]
    if through.ray_mean_percent is not None:
        lines.append(
            f"through the wall {_percent(through.ray_mean_percent)} where there is scar,"
            f" at most {_percent(through.ray_maximum_percent)}"
        )
        lines.append(f"scar on {_percent(through.extent_percent)} of the rays")
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{whole_percent(value)} %"
