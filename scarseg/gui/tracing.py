"""What is drawn over each slice of a document, worked out once for all that draw it."""

from __future__ import annotations

import numpy as np
from PyQt6.QtGui import QPainterPath

from scarseg.gui import overlay, strays
from scarseg.gui.document import Document


class Tracing:
    """Outlines, stray scar and the marks round it, per slice of a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen = document.case.labels.copy()
        self._tracers = [overlay.Tracer() for _ in document.case.labels]
        self.outlines: list[overlay.Traced] = [[] for _ in self._tracers]
        self.marks = [QPainterPath() for _ in self._tracers]
        self.strays = [self._find_strays(k) for k in range(len(self._tracers))]
        for k in range(len(self._tracers)):
            self._trace(k)

    def update(self, k: int) -> bool:
        """Work out a slice again after its labels or prompts changed; say whether labels did."""
        self.strays[k] = self._find_strays(k)
        labels = self._document.case.labels[k]
        if np.array_equal(labels, self._seen[k]):
            self.marks[k] = overlay.outline(self.strays[k].mask)
            return False
        self._seen[k] = labels
        self._trace(k)
        return True

    def _trace(self, k: int) -> None:
        self.outlines[k] = self._tracers[k].trace(self._document.case.labels[k])
        self.marks[k] = overlay.outline(self.strays[k].mask)

    def _find_strays(self, k: int) -> strays.Strays:
        case = self._document.case
        return strays.find(
            case.labels[k],
            self._document.grounds[k],
            case.readings[k].prompts,
            case.stack.pixel_spacing_mm,
        )
