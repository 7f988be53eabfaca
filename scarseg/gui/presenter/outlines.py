"""Outlines and scar outside the wall of each slice, computed when a slice is first shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtGui import QPainterPath

from scarseg.case.labels import LabelArray
from scarseg.gui.session.document import Document
from scarseg.gui.viewer import painting
from scarseg.quant import scar_checks

if TYPE_CHECKING:
    from scarseg.quant.doubt import Doubt


class OutlineCache:
    """Outlines, scar outside the wall and the marks round it, per slice of a document.

    A slice is computed when it is first shown: all of a stack would take longer than a frame.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        n = len(document.case.labels)
        self._seen: list[LabelArray | None] = [None] * n
        self._tracers = [painting.Tracer() for _ in range(n)]
        self.outlines: list[painting.Traced] = [[] for _ in range(n)]
        self.marks = [QPainterPath() for _ in range(n)]
        self.strays: list[scar_checks.ScarOutsideWall | None] = [None] * n
        self._doubts: list[tuple[tuple[Doubt, ...], QPainterPath]] = [((), QPainterPath())] * n

    @property
    def rest(self) -> list[int]:
        """Return the slices not computed yet, the nearest to the current one first."""
        near = self._document.current
        rest = [k for k, seen in enumerate(self._seen) if seen is None]
        return sorted(rest, key=lambda k: abs(k - near))

    def update(self, k: int) -> bool:
        """Compute a slice (again); return whether its labels differ from before."""
        found = self._find_scar_outside_wall(k)
        self.strays[k], self.marks[k] = found, painting.outline(found.mask)
        labels = self._document.case.labels[k]
        before = self._seen[k]
        if before is not None and np.array_equal(labels, before):
            return False
        self._seen[k] = labels.copy()
        self.outlines[k] = self._tracers[k].trace(labels)
        return True

    def postpone(self, k: int) -> bool:
        """Mark a slice whose labels changed as not computed; return whether they did."""
        before = self._seen[k]
        if before is None or np.array_equal(self._document.case.labels[k], before):
            return before is None
        self._seen[k] = None
        return True

    def outline_doubts(self, k: int, doubts: tuple[Doubt, ...]) -> QPainterPath:
        """Return the outlines of what is doubtful on a slice; traced once for each finding."""
        traced_for, path = self._doubts[k]
        if doubts is not traced_for:
            path = QPainterPath()
            for doubt in doubts:
                if doubt.mask is not None:
                    path.addPath(painting.outline(doubt.mask))
            self._doubts[k] = doubts, path
        return path

    def _find_scar_outside_wall(self, k: int) -> scar_checks.ScarOutsideWall:
        case = self._document.case
        return scar_checks.find_scar_outside_wall(
            case.labels[k],
            self._document.labels_under_scar[k],
            case.readings[k].prompts,
            case.stack.pixel_spacing_mm,
        )
