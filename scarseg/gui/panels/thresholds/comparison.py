"""Compare threshold methods with the segmentation, preview one and adopt its scar."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QPainterPath
from PyQt6.QtWidgets import QWidget

from scarseg.gui.actions import Actions
from scarseg.gui.panels import remote_region
from scarseg.gui.panels.remote_region import RemoteRegions
from scarseg.gui.panels.thresholds import masks
from scarseg.gui.panels.thresholds.masks import (
    SEGMENTED,
    MethodMask,
    MethodMasks,
    MethodOutlines,
    MethodRequest,
    compute_methods,
)
from scarseg.gui.panels.thresholds.preview import EMPTY_PATH, PreviewLayer
from scarseg.gui.panels.thresholds.tiles import MethodsPanel
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.montage import Views
from scarseg.gui.viewer.view_options import ViewOptionsBar

DEBOUNCE_MS = 60
"""Pause after a change before the methods are computed, so that a stroke computes them once."""
MIN_HEIGHT_BOTH = 1000
"""In a lower window the strip of methods replaces the filmstrip; the results list slices too."""


def debounced(parent: QObject, callback: Callable[[], None]) -> Callable[[], None]:
    """Return a function that runs ``callback`` once, a moment after the first of several calls."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(DEBOUNCE_MS)
    timer.timeout.connect(callback)
    return lambda: None if timer.isActive() else timer.start()


class MethodUpdater(QObject):
    """Compute the threshold methods of the open case on a worker, a moment after each change.

    States: nothing computed (``outlined`` is None), up to date, and stale: the case or a setting
    has changed since the request whose result ``outlined`` is. A result that arrives for an
    older request is dropped by its number.

    Signals:
        updated: ``outlined`` is up to date.
        outdated: ``outlined`` is stale.
    """

    updated = pyqtSignal()
    outdated = pyqtSignal()

    def __init__(self, session: Session, wanted: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._wanted = session, wanted
        self.outlined: MethodOutlines | None = None
        self.stale = True
        self._request = 0
        self._manual: float | None = None
        self._whole_stack = False
        self._when_updated: Callable[[], None] | None = None
        self.request_soon = debounced(self, self._compute)
        session.front.remote_changed.connect(self.invalidate)
        session.opened.connect(self._follow)
        session.front.slice_changed.connect(self.invalidate)

    @property
    def document(self) -> Document | None:
        return None if self._session.current is None else self._session.current.document

    def _follow(self) -> None:
        self.outlined, self._manual = None, None
        self.invalidate()

    def invalidate(self, *_what: object) -> None:
        """Mark the result as stale and request another one."""
        self.stale, self._when_updated = True, None
        self._request += 1
        if self._wanted():
            self.outdated.emit()
            self.request_soon()

    def set_manual_threshold(self, value: float | None) -> None:
        if value is not None and value != self._manual:
            self._manual = value
            self.invalidate()

    def set_whole_stack(self, whole_stack: bool) -> None:
        self._whole_stack = whole_stack
        self.invalidate()

    def run_when_updated(self, callback: Callable[[], None]) -> None:
        """Run a callback with the next result, unless another change comes first."""
        self._when_updated = callback

    def _compute(self) -> None:
        document = self.document
        if document is None or not self._wanted():
            return
        self._request += 1
        number, case = self._request, copy(document.case)
        case.labels, case.readings = case.labels.copy(), list(case.readings)
        case.remote_regions = dict(case.remote_regions)
        request = MethodRequest(
            case,
            self._whole_stack,
            self._manual,
            document.labels_under_scar.copy(),
        )
        self._session.measurement_worker.run(
            "compare", compute_methods, request,
            done=self._update, current=lambda: number == self._request,
        )  # fmt: skip

    def _update(self, outlined: MethodOutlines) -> None:
        self.outlined, self.stale = outlined, False
        self.updated.emit()
        callback, self._when_updated = self._when_updated, None
        if callback is not None:
            callback()


class ThresholdComparison(QObject):
    """Controller of the strip of methods: open it, preview a method, adopt its scar.

    ``chosen`` is the method that is previewed; ``wanted`` whether the strip is open.

    Signals:
        said: a message for the status bar.
        fitted: the strip opened or closed, or starts or stops replacing the filmstrip.
    """

    said = pyqtSignal(str)
    fitted = pyqtSignal()

    def __init__(
        self,
        session: Session,
        views: Views,
        view_row: ViewOptionsBar,
        choose_tool: Callable[[str], object],
        actions: Actions,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._views, self._window = session, views, window
        self._choose_tool = choose_tool
        self.strip = MethodsPanel()
        self.strip.setVisible(False)
        self.regions = RemoteRegions(session, views, actions, self)
        self.wanted, self.chosen = False, SEGMENTED
        self._low = False
        self._levels = views.shared.levels
        self._methods = MethodUpdater(session, lambda: self.wanted, self)
        self._methods.updated.connect(self._show)
        self._methods.outdated.connect(self.strip.show_stale)
        self._show_soon = debounced(self, self._show)
        self._fit_soon = debounced(self, self._fit)
        self.strip.row.chosen.connect(self.choose)
        self.regions.said.connect(self.said)
        view_row.threshold_shown.connect(self._methods.set_manual_threshold)
        session.front.current_changed.connect(self._show)
        views.shared.changed.connect(self._window_level_changed)
        self._connect(actions)

    def _connect(self, actions: Actions) -> None:
        actions.connect(
            {
                "previous_method": lambda: self.step(-1),
                "next_method": lambda: self.step(1),
                "remote": self._draw_remote,
                "adopt": self.adopt,
                "adopt_all": self.adopt_all,
            }
        )
        self._toggle = actions["compare"]
        self._toggle.toggled.connect(self._open)
        actions["whole_stack"].toggled.connect(self._methods.set_whole_stack)
        actions["whole_stack"].toggled.connect(self.strip.show_scope)
        self.strip.bind(actions)
        self._views.switched.connect(self._show_soon)  # cells are laid out by then
        self._window.installEventFilter(self)
        self._fit()

    @property
    def answer(self) -> MethodMasks | None:
        """Masks of all methods as computed last; see ``stale``."""
        return None if self._methods.outlined is None else self._methods.outlined.answer

    @property
    def stale(self) -> bool:
        """Return whether the case or a setting has changed since ``answer`` was requested."""
        return self._methods.stale

    @property
    def document(self) -> Document | None:
        return self._methods.document

    @property
    def replaces_strip(self) -> bool:
        """Return whether the window is too low for the filmstrip beside the strip of methods."""
        return self.wanted and self._low

    # Open, close and fit

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and watched is self._window:
            self._fit_soon()
        return False

    def _fit(self) -> None:
        low = self._window.height() < MIN_HEIGHT_BOTH
        if low is not self._low:
            self._low = low
            self.fitted.emit()
        self.strip.row.fit()

    def _open(self, wanted: bool) -> None:
        self.wanted = wanted
        if not wanted and self._views.shared.tool == remote_region.TOOL:
            self._choose_tool("box")
        self.fitted.emit()
        self._show_preview()
        if wanted:
            self._methods.request_soon()

    def _window_level_changed(self) -> None:
        if self._views.shared.levels != self._levels:
            self._levels = self._views.shared.levels
            self._show_soon()

    # Show

    def _show(self, *_what: object) -> None:
        """Show the result for the current slice."""
        document, outlined = self.document, self._methods.outlined
        if document is None or outlined is None or not self.wanted:
            return
        k = document.current
        self.strip.show_answer(outlined, document.case, k, self._levels, self.chosen)
        self.strip.show_remote(outlined.answer, k, k in self.regions.here)
        if self.stale:
            self.strip.show_stale()
        self._show_preview()

    def _show_preview(self) -> None:
        """Draw the chosen outline and the remote region over the visible slices."""
        document = self.document
        if document is None:
            return
        for k in range(document.case.stack.n_slices):
            for canvas in self._views.of_slice(k):
                PreviewLayer.on(canvas).show_paths(*self._paths(k))

    def _paths(self, k: int) -> tuple[QPainterPath, QPainterPath]:
        outlined = self._methods.outlined
        if not self.wanted or outlined is None:
            return EMPTY_PATH, EMPTY_PATH
        outline = EMPTY_PATH if self.chosen == SEGMENTED else outlined.infarct[self.chosen][k]
        return outline, outlined.remote[k]

    # Choose and adopt

    def choose(self, name: str) -> None:
        """Preview a method on the slices; the segmentation has no preview."""
        self.chosen = name
        self._show()
        self.strip.row.ensureWidgetVisible(self.strip.tile(name), 20, 0)

    def step(self, by: int) -> None:
        """Choose the next method that applies."""
        self._toggle.setChecked(True)
        able = [t.name for t in self.strip.row.tiles if t.able or t.name == self.chosen]
        if self.chosen in able:
            self.choose(able[(able.index(self.chosen) + by) % len(able)])

    def adopt(self) -> None:
        """Replace the scar of this slice by that of the chosen method, to be corrected."""
        method, document = self._method(self.adopt), self.document
        if method is None or document is None or self.answer is None:
            return
        k = document.current
        if not self.answer.wall[k].any():
            self.said.emit("There is no wall on this slice for a method to look in.")
            return
        document.push(masks.adopt(document.case, document.labels_under_scar[k], method, k))
        self.said.emit(f"{method.title} adopted: correct it, then accept. Ctrl+Z takes it back.")

    def adopt_all(self) -> None:
        """Adopt the chosen method on every slice that has a wall and is not read yet."""
        method, document = self._method(self.adopt_all), self.document
        if method is None or document is None or self.answer is None:
            return
        case = document.case
        walls = [int(k) for k in np.flatnonzero(self.answer.wall.any(axis=(1, 2)))]
        here = [k for k in walls if not case.readings[k].status.read]
        with document.grouped():
            for k in here:
                change = masks.adopt(case, document.labels_under_scar[k], method, k)
                document.push(change, counts=k == here[0])
        kept = len(walls) - len(here)
        rest = f" {kept} that are read stay as they are." if kept else ""
        self.said.emit(f"{method.title} adopted on {len(here)} slices.{rest} Y shows the way back.")

    def _method(self, callback: Callable[[], None]) -> MethodMask | None:
        """Return the method to adopt; run ``callback`` later where it is not computed yet."""
        if self.document is None or self.document.read_only:
            return None
        if not self.wanted or self.chosen == SEGMENTED:
            self.said.emit("Choose a method first: J compares them, a click or Alt+→ chooses one.")
            return None
        if self.stale or self.answer is None:
            self._methods.run_when_updated(callback)
            return None
        method = self.answer.method(self.chosen)
        if method.reason:
            self.said.emit(method.why_not)
            return None
        return method

    def _draw_remote(self) -> None:
        self._toggle.setChecked(True)
        self._choose_tool(remote_region.TOOL)
        self.said.emit(
            "Remote wall: drag round it, or click where it is. Alt-click: as proposed. B: box again"
        )
