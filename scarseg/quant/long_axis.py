"""Where slices lie along the long axis, and which slices of two stacks belong together.

The axis reaches from the first slice whose wall closes to the last, each as deep as the distance
to its neighbours: the thirds of it are the basal, mid and apical segments. Slices of two studies
are linked at equal shares of that axis, as the segments are, since a heart that was scanned with
other slices, or has changed its length, has no common millimetre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scarseg.case.labels import LabelArray
from scarseg.case.stack import Stack
from scarseg.quant import wall_geometry


@dataclass(frozen=True)
class LongAxis:
    """Extent of the closed wall: ``first`` and ``last`` slice with a ring, and its ends in mm."""

    first: int
    last: int
    start_mm: float
    end_mm: float

    @property
    def length_mm(self) -> float:
        return self.end_mm - self.start_mm

    def share(self, position_mm: float) -> float:
        """Return a position as a share of the axis: 0 at the base, 1 at the end of the apex."""
        return (position_mm - self.start_mm) / self.length_mm


def long_axis(labels: LabelArray, stack: Stack) -> LongAxis | None:
    """Return the axis of a stack; None where no slice has a closed wall.

    Args:
        labels: uint8 (slice, row, column).
        stack: positions of the slices.
    """
    rings = [k for k in range(stack.n_slices) if wall_geometry.is_closed_ring(labels[k])]
    if not rings:
        return None
    first, last = rings[0], rings[-1]
    z = np.asarray(stack.slice_positions_mm)[first : last + 1]
    gaps = np.diff(z) if len(z) > 1 else np.ones(1)
    return LongAxis(first, last, float(z[0] - gaps[0] / 2), float(z[-1] + gaps[-1] / 2))


class LinkRule(StrEnum):
    """By what slices of two studies are linked."""

    LONG_AXIS = "at equal shares of the way from base to apex, as the segments are"
    DISTANCE = "at equal distances from the first slice, since the wall of one study closes nowhere"


@dataclass(frozen=True)
class LinkedSlices:
    """The slices of two stacks on one scale.

    ``earlier`` and ``later`` have one entry per slice: its share of the long axis, or its distance
    from the first slice in mm, as ``rule`` says. Slices above the base are below 0.
    """

    rule: LinkRule
    earlier: tuple[float, ...]
    later: tuple[float, ...]

    def earlier_of(self, later_index: int) -> int:
        """Return the earlier slice nearest to one of the later study."""
        return _nearest(self.earlier, self.later[later_index])


def link_slices(earlier: tuple[LabelArray, Stack], later: tuple[LabelArray, Stack]) -> LinkedSlices:
    """Link the slices of two studies of one heart.

    Args:
        earlier: labels uint8 (slice, row, column) and stack of the first study.
        later: those of the second.
    """
    axes = [long_axis(*one) for one in (earlier, later)]
    positions = [one[1].slice_positions_mm for one in (earlier, later)]
    if axes[0] is None or axes[1] is None:
        from_first = [tuple(z - one[0] for z in one) for one in positions]
        return LinkedSlices(LinkRule.DISTANCE, *from_first)
    shares = [
        tuple(axis.share(z) for z in one)
        for axis, one in zip((axes[0], axes[1]), positions, strict=True)
    ]
    return LinkedSlices(LinkRule.LONG_AXIS, *shares)


def _nearest(positions: Sequence[float], at: float) -> int:
    return min(range(len(positions)), key=lambda k: (round(abs(positions[k] - at), 9), k))
