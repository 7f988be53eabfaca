"""The reasons to doubt each slice of an open or prepared case, found on a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PyQt6 import sip
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from scarseg.case.case import Case
from scarseg.case.history import SliceStatus
from scarseg.case.labels import LabelArray
from scarseg.case.measurements import MassConvention
from scarseg.gui.session.document import Document
from scarseg.gui.session.interval import IntervalUpdater
from scarseg.gui.workers import Worker

if TYPE_CHECKING:
    from scarseg.quant.doubt import Doubt

DELAY_MS = 100
"""Changes that follow each other this soon are looked at together."""
Ranges = Sequence[tuple[float, float] | None]


class DoubtUpdater(QObject):
    """Find the doubts of one document anew where its labels or intervals changed.

    Until the new ones are there the former ones count.

    Signals:
        changed: the doubts of some slices are others now.
    """

    changed = pyqtSignal()

    def __init__(
        self, document: Document, interval: IntervalUpdater, worker: Worker, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._document, self._interval, self._worker = document, interval, worker
        n = document.case.stack.n_slices
        self._found: list[tuple[Doubt, ...] | None] = [None] * n
        self._seen: list[LabelArray | None] = [None] * n
        self._unseen = [True] * n
        self._ranges: list[tuple[float, float] | None] = [None] * n
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._begin)
        document.slice_changed.connect(self._later)
        interval.changed.connect(self._later)
        self._later()

    def _later(self, *_what: object) -> None:
        self._timer.start()

    def of(self, k: int) -> tuple[Doubt, ...]:
        """Return the doubts of a slice, as far as they are known."""
        return self._found[k] or ()

    def unread(self) -> list[int]:
        """Return the slices to be read about which there is doubt, or may be: it is not known."""
        return [k for k in self._to_read if self._found[k] is None or self._found[k]]

    def known_unread(self) -> list[int]:
        """Return the slices to be read about which doubt is known."""
        return [k for k in self._to_read if self._found[k]]

    @property
    def _to_read(self) -> list[int]:
        readings = self._document.case.readings
        return [k for k, each in enumerate(readings) if not each.status.read]

    def _intervals(self) -> Ranges:
        return self._interval.slices[MassConvention.THICKNESS]

    def _begin(self) -> None:
        """Start to find the doubts of slices whose labels, neighbours or interval changed."""
        case = self._document.case
        labels, ranges = case.labels, self._intervals()
        unseen = [reading.status is SliceStatus.UNSEEN for reading in case.readings]
        moved = {
            k
            for k, seen in enumerate(self._seen)
            if seen is None or unseen[k] != self._unseen[k] or not np.array_equal(seen, labels[k])
        }
        self._unseen = unseen
        near = {j for k in moved for j in (k - 1, k, k + 1) if 0 <= j < len(labels)}
        # An interval that is being computed anew leaves the doubt about its width as it is.
        wider = {k for k, one in enumerate(ranges) if one is not None and one != self._ranges[k]}
        if not near | wider:
            return
        for k in moved:
            self._seen[k] = labels[k].copy()
        self._ranges = [new or old for new, old in zip(ranges, self._ranges, strict=True)]
        self._worker.run(
            f"doubts {id(self):x}", find_doubts,
            self._document.case.copy(), sorted(near | wider), list(self._ranges),
            done=self._take, current=lambda: not sip.isdeleted(self),
        )  # fmt: skip

    def _take(self, found: Mapping[int, tuple[Doubt, ...]]) -> None:
        for k, doubts in found.items():
            self._found[k] = doubts
        self.changed.emit()


def find_doubts(case: Case, slices: Sequence[int], ranges: Ranges) -> dict[int, tuple[Doubt, ...]]:
    """Return the doubts of some slices of a case, whose masses have these intervals in g."""
    from scarseg.quant.doubt import slice_doubts

    return {k: slice_doubts(case, k, ranges[k]) for k in slices}
