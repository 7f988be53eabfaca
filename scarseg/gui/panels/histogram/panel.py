"""The histogram of the wall: the bins that are scar lit, and where the usual thresholds lie."""

from __future__ import annotations

from functools import partial

import numpy as np
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from scarseg.case.case import Case
from scarseg.case.labels import MaskArray, infarct_mask, wall_mask
from scarseg.gui.panels.docks import PanelDocks
from scarseg.gui.panels.histogram.plot import HistogramPlot
from scarseg.gui.session.session import Session
from scarseg.gui.theme import label
from scarseg.gui.viewer.montage import Views
from scarseg.gui.viewer.view_options import ViewOptionsBar
from scarseg.gui.viewer.window_level import Levels
from scarseg.quant.components import inside_boxes
from scarseg.quant.method_comparison import MassCurve, mass_curve
from scarseg.quant.remote import RemoteRegion, propose_remote
from scarseg.quant.wall_histogram import signal_range, wall_histogram

PAUSE_MS = 80
"""After an edit, before the histogram is counted anew: not for each of many."""


class Histogram(QWidget):
    """The plot under its heading; follows the open case, a moment after each change."""

    def __init__(
        self,
        session: Session,
        views: Views,
        view_row: ViewOptionsBar,
        docks: PanelDocks,
        toggle: QAction,
    ) -> None:
        super().__init__()
        self.setAccessibleName("Histogram of the wall")
        self._session = session
        self._wanted, self._whole = True, False
        self._remote: dict[int, MaskArray] = {}
        self.plot = HistogramPlot(self._grams_above)
        self._curve: MassCurve | None = None
        self._weighed = False
        self.scope = QToolButton()
        self.scope.setObjectName("foot")
        self.scope.setCheckable(True)
        self.scope.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.scope.toggled.connect(self._choose_scope)
        self._choose_scope(False)
        head = QHBoxLayout()
        head.addWidget(label("SIGNAL OF THE WALL", "heading"))
        head.addStretch(1)
        head.addWidget(self.scope)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 2, 12, 4)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)
        layout.addStretch(0)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.count)
        session.opened.connect(self._follow)
        session.front.slice_changed.connect(self._changed)
        session.front.current_changed.connect(self._later)
        view_row.threshold_shown.connect(self.plot.show_threshold)
        self.plot.threshold_dragged.connect(view_row.set_threshold)
        self.plot.window_dragged.connect(partial(self._drag_window, views))
        self.plot.window_settled.connect(views.levels_settled)
        views.shared.changed.connect(lambda: self.plot.show_levels(views.shared.levels))
        docks.add("histogram", "Signal", self, action=toggle)
        toggle.toggled.connect(self._want)

    @staticmethod
    def _drag_window(views: Views, levels: Levels) -> None:
        views.shared.set("levels", levels)
        views.levels_changed.emit()

    def _want(self, wanted: bool) -> None:
        self._wanted = wanted
        self._later()

    def _choose_scope(self, whole: bool) -> None:
        self._whole = whole
        self.scope.setText("Stack" if whole else "Slice")
        self.scope.setAccessibleName("Histogram of the whole stack")
        self.scope.setToolTip("Of this slice or of the whole stack")
        if hasattr(self, "_pause"):
            self._later()

    def _follow(self) -> None:
        current = self._session.current
        if current is None:
            self.plot.show_histogram(None)
            return
        self._remote.clear()
        self._later()

    def _changed(self, k: int) -> None:
        self._remote.pop(k, None)
        self._later()

    def _later(self, *_what: object) -> None:
        if self._wanted and not self._pause.isActive():
            self._pause.start()

    def count(self) -> None:
        """Count now."""
        current = self._session.current
        if current is None or not self._wanted:
            return
        case, k = current.document.case, current.document.current
        chosen = slice(None) if self._whole else slice(k, k + 1)
        each = range(case.stack.n_slices)[chosen]
        shape = (case.stack.rows, case.stack.columns)
        asked = [reading.prompts for reading in case.readings[chosen]]
        region = np.stack([inside_boxes(prompts.boxes, shape) for prompts in asked])
        span = signal_range(case.stack.pixels, case.labels)
        found = wall_histogram(
            case.stack.pixels[chosen],
            case.labels[chosen],
            case.stack.pixel_spacing_mm,
            span,
            region if region.any() else None,
            RemoteRegion(np.stack([self._remote_of(case, index) for index in each])),
        )
        self._weighed = False
        self.plot.show_histogram(found)

    def _grams_above(self, threshold: float) -> float | None:
        """Return the grams of wall above a threshold, of the slice or of the stack."""
        current = self._session.current
        if current is None:
            return None
        if not self._weighed:
            case, k = current.document.case, current.document.current
            wall = wall_mask(case.labels)
            if not self._whole:
                wall[:k], wall[k + 1 :] = False, False
            self._curve, self._weighed = mass_curve(case.stack, wall), True
        return None if self._curve is None else self._curve.mass_at(threshold)

    def _remote_of(self, case: Case, k: int) -> MaskArray:
        """Return the remote wall of a slice; found again once its labels changed."""
        if k not in self._remote:
            labels = case.labels[k : k + 1]
            spacing = case.stack.pixel_spacing_mm
            proposed = propose_remote(wall_mask(labels), spacing, infarct_mask(labels))
            self._remote[k] = proposed.mask[0]
        return self._remote[k]
