"""What is drawn over each slice of a document, worked out once for all that draw it."""

from __future__ import annotations

import numpy as np
from PyQt6.QtGui import QPainterPath

from scarseg.gui import overlay, strays
from scarseg.gui.document import Document
from scarseg.labels import LabelArray


class Tracing:
    """Outlines, stray scar and the marks round it, per slice of a document.

    A slice is worked out when it is first asked for: a whole reading at once would take longer
    than a frame.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        n = len(document.case.labels)
        self._seen: list[LabelArray | None] = [None] * n
        self._tracers = [overlay.Tracer() for _ in range(n)]
        self.outlines: list[overlay.Traced] = [[] for _ in range(n)]
        self.marks = [QPainterPath() for _ in range(n)]
        self.strays: list[strays.Strays | None] = [None] * n

    @property
    def rest(self) -> list[int]:
        """Give the slices not worked out yet, the nearest to the current one first."""
        near = self._document.current
        rest = [k for k, seen in enumerate(self._seen) if seen is None]
        return sorted(rest, key=lambda k: abs(k - near))

    def update(self, k: int) -> bool:
        """Work out a slice (again); say whether its labels are others than before."""
        found = self._find_strays(k)
        self.strays[k], self.marks[k] = found, overlay.outline(found.mask)
        labels = self._document.case.labels[k]
        before = self._seen[k]
        if before is not None and np.array_equal(labels, before):
            return False
        self._seen[k] = labels.copy()
        self.outlines[k] = self._tracers[k].trace(labels)
        return True

    def _find_strays(self, k: int) -> strays.Strays:
        case = self._document.case
        return strays.find(
            case.labels[k],
            self._document.grounds[k],
            case.readings[k].prompts,
            case.stack.pixel_spacing_mm,
        )
