"""The histogram of the wall: the bins that are scar lit, and where the usual thresholds lie."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QEvent, QObject, Qt, QTimer
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from scarseg.case import Case
from scarseg.gui.panels import label
from scarseg.gui.session import Session
from scarseg.gui.viewrow import ViewRow
from scarseg.gui.views import Views
from scarseg.gui.wall_plot import HIGH, LOW, Plot
from scarseg.labels import MaskArray, infarct_mask, wall_mask
from scarseg.proposal import inside
from scarseg.quant.remote import propose_remote
from scarseg.quant.wall_histogram import signal_range, wall_histogram

PAUSE_MS = 80
"""After an edit, before the histogram is counted anew: not for each of many."""
SMALLEST_WINDOW, ROOMY_WINDOW = 720, 1000
"""In a lower window there is no room; in a higher one the plot is taller."""


class Histogram(QWidget):
    """The plot under its heading; follows the open case, a moment after each change."""

    def __init__(
        self, session: Session, views: Views, view_row: ViewRow, room: QVBoxLayout
    ) -> None:
        super().__init__()
        self.setAccessibleName("Histogram of the wall")
        self._session = session
        self._wanted, self._whole = True, False
        self._remote: dict[int, MaskArray] = {}
        self._watched: QWidget | None = None
        self.plot = Plot(lambda: views.shared.levels)
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
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.plot)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.count)
        session.opened.connect(self._follow)
        view_row.threshold_shown.connect(self.plot.show_threshold)
        self.plot.threshold_dragged.connect(view_row.set_threshold)
        views.shared.changed.connect(self.plot.update)
        room.addWidget(self)

    def take(self, toggle: QAction, window: QWidget) -> None:
        """Let an action show and hide it, and a window's height."""
        toggle.setChecked(True)
        toggle.toggled.connect(self._want)
        self._watched = window
        window.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._watched and event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return super().eventFilter(watched, event)

    def _want(self, wanted: bool) -> None:
        self._wanted = wanted
        self._fit()

    def _fit(self) -> None:
        tall = self._watched is None or self._watched.height() >= SMALLEST_WINDOW
        self.setVisible(self._wanted and tall)
        roomy = self._watched is not None and self._watched.height() >= ROOMY_WINDOW
        self.plot.setFixedHeight(HIGH if roomy else LOW)
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
        current.document.slice_changed.connect(self._changed)
        current.document.moved_to.connect(self._later)
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
        if current is None or self.isHidden():
            return
        case, k = current.document.case, current.document.current
        chosen = slice(None) if self._whole else slice(k, k + 1)
        each = range(case.stack.n_slices)[chosen]
        shape = (case.stack.rows, case.stack.columns)
        asked = [reading.prompts for reading in case.readings[chosen]]
        region = np.stack([inside(prompts.boxes, shape) for prompts in asked])
        span = signal_range(case.stack.pixels, case.labels)
        found = wall_histogram(
            case.stack.pixels[chosen],
            case.labels[chosen],
            case.stack.pixel_spacing_mm,
            span,
            region if region.any() else None,
            np.stack([self._remote_of(case, index) for index in each]),
        )
        self.plot.show_histogram(found)

    def _remote_of(self, case: Case, k: int) -> MaskArray:
        """Give the remote wall of a slice; looked for anew once its labels changed."""
        if k not in self._remote:
            labels, one = case.labels[k : k + 1], case.stack.pixels[k : k + 1]
            scar = infarct_mask(labels)
            self._remote[k] = propose_remote(
                one, wall_mask(labels), case.stack.pixel_spacing_mm, scar if scar.any() else None
            )[0]
        return self._remote[k]
