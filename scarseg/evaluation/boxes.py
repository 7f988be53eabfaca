"""Proposed boxes against true ones."""

from __future__ import annotations

from collections.abc import Sequence

from scarseg.prompts import Box


def matched(true: Sequence[Box], proposed: Sequence[Box], least_iou: float) -> int:
    """Count true boxes that a proposed one meets with at least this overlap (IoU).

    Each box is used once, the best overlaps first.
    """
    pairs = sorted(
        (
            (one.intersection_over_union(other), i, j)
            for i, one in enumerate(true)
            for j, other in enumerate(proposed)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    met: set[int] = set()
    used: set[int] = set()
    for overlap, i, j in pairs:
        if overlap >= least_iou and i not in met and j not in used:
            met.add(i)
            used.add(j)
    return len(met)
