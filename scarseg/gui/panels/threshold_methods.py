"""Compare threshold methods with the segmentation, and let one be adopted to start from."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QPainterPath
from PyQt6.QtWidgets import QWidget

from scarseg.gui.actions import Actions
from scarseg.gui.panels import remote_region, threshold_results
from scarseg.gui.panels.remote_region import RemoteRegions
from scarseg.gui.panels.threshold_preview import EMPTY_PATH, PreviewLayer
from scarseg.gui.panels.threshold_results import MethodOutlines, compute_methods
from scarseg.gui.panels.threshold_tiles import MethodsPanel
from scarseg.gui.panels.toolbar import ViewOptionsBar
from scarseg.gui.session.document import Document
from scarseg.gui.session.session import Session
from scarseg.gui.viewer.montage import Views

PAUSE_MS = 60
"""After a change, before the methods are worked out anew: not for each of many."""
MIN_HEIGHT_BOTH = 1000
"""In a lower window the strip stands for the strip of slices, which the results list as well."""


class ThresholdComparison(QObject):
    """Work the methods out behind the window while the strip is open, and show them.

    ``chosen`` is the method that is previewed; ``stale`` says whether the case, or what was asked,
    is another by now than the answer is about.

    Signals:
        said: a sentence for the reader that does not need an answer.
        fitted: it opened, closed, or stands for the strip of slices now, or no longer does.
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
        self.regions = RemoteRegions(session, views, self)
        self.wanted, self.chosen = False, threshold_results.SEGMENTED
        self._outlined: MethodOutlines | None = None
        self.stale = True
        self._asked = 0
        self._manual: float | None = None
        self._whole_stack = self._low = False
        self._levels = views.shared.levels
        self._then: Callable[[], None] | None = None
        self._ask_soon, self._show_soon, self._fit_soon = (
            self._later(act) for act in (self._ask, self._show, self._fit)
        )
        self.strip.row.chosen.connect(self.choose)
        self.regions.changed.connect(self._changed)
        self.regions.said.connect(self.said)
        view_row.threshold_shown.connect(self._take_threshold)
        session.opened.connect(self._follow)
        views.shared.changed.connect(self._window_changed)
        self._connect(actions)

    def _later(self, act: Callable[[], None]) -> Callable[[], None]:
        """Give what does something in a moment, once for all that ask for it until then."""
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(PAUSE_MS)
        timer.timeout.connect(act)
        return lambda: None if timer.isActive() else timer.start()

    def _connect(self, actions: Actions) -> None:
        actions.connect(
            {
                "previous_method": lambda: self.step(-1),
                "next_method": lambda: self.step(1),
                "remote": self._take_remote,
                "adopt": self.adopt,
                "adopt_all": self.adopt_all,
            }
        )
        self._toggle = actions["compare"]
        self._toggle.toggled.connect(self._open)
        actions["whole_stack"].toggled.connect(self._choose_scope)
        self.strip.bind(actions)
        self.regions.bind(actions)
        self._views.switched.connect(self._show_soon)  # cells are laid out by then
        self._window.installEventFilter(self)
        self._fit()

    # What is open

    @property
    def answer(self) -> threshold_results.MethodMasks | None:
        """Give what was worked out last, see ``stale``."""
        return None if self._outlined is None else self._outlined.answer

    @property
    def document(self) -> Document | None:
        return None if self._session.current is None else self._session.current.document

    @property
    def replaces_strip(self) -> bool:
        """Say whether there is no room for the strip of slices beside this one."""
        return self.wanted and self._low

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
            self._ask_soon()

    def _follow(self) -> None:
        self._outlined, self._manual = None, None
        if self.document is not None:
            self.document.slice_changed.connect(self._changed)
            self.document.current_changed.connect(self._show)
        self._changed()

    def _changed(self, *_what: object) -> None:
        """What is shown is of before; the methods are worked out anew in a moment."""
        self.stale, self._then = True, None
        self._asked += 1
        if self.wanted:
            self.strip.show_stale()
            self._ask_soon()

    def _window_changed(self) -> None:
        if self._views.shared.levels != self._levels:
            self._levels = self._views.shared.levels
            self._show_soon()

    def _take_threshold(self, value: float | None) -> None:
        if value is not None and value != self._manual:
            self._manual = value
            self._changed()

    def _choose_scope(self, whole_stack: bool) -> None:
        self._whole_stack = whole_stack
        self.strip.show_scope(whole_stack)
        self._changed()

    # Working out

    def _ask(self) -> None:
        document = self.document
        if document is None or not self.wanted:
            return
        self._asked += 1
        number, case = self._asked, copy(document.case)
        case.labels, case.readings = case.labels.copy(), list(case.readings)
        question = threshold_results.MethodRequest(
            case,
            self._whole_stack,
            dict(self.regions.here),
            self._manual,
            document.labels_under_scar.copy(),
        )
        self._session.measurement_worker.run(
            "compare", compute_methods, question,
            done=self._take_answer, current=lambda: number == self._asked,
        )  # fmt: skip

    def _take_answer(self, outlined: MethodOutlines) -> None:
        self._outlined, self.stale = outlined, False
        self._show()
        then, self._then = self._then, None
        if then is not None:
            then()

    # Showing

    def _show(self, *_what: object) -> None:
        """Show what is known of the current slice."""
        document, outlined = self.document, self._outlined
        if document is None or outlined is None or not self.wanted:
            return
        k = document.current
        self.strip.show_answer(outlined, document.case, k, self._levels, self.chosen)
        self.strip.show_remote(outlined.answer, k, k in self.regions.here)
        if self.stale:
            self.strip.show_stale()
        self._show_preview()

    def _show_preview(self) -> None:
        """Lay the chosen outline and the remote region over the slices in sight."""
        document = self.document
        if document is None:
            return
        for k in range(document.case.stack.n_slices):
            for canvas in self._views.of_slice(k):
                PreviewLayer.on(canvas).show_paths(*self._paths(k))

    def _paths(self, k: int) -> tuple[QPainterPath, QPainterPath]:
        if not self.wanted or self._outlined is None:
            return EMPTY_PATH, EMPTY_PATH
        shows = self.chosen != threshold_results.SEGMENTED
        outline = self._outlined.infarct[self.chosen][k] if shows else EMPTY_PATH
        return outline, self._outlined.remote[k]

    # Choosing and adopting

    def choose(self, name: str) -> None:
        """Preview a method on the slices; the segmentation previews nothing."""
        self.chosen = name
        self._show()
        self.strip.row.ensureWidgetVisible(self.strip.tile(name), 20, 0)

    def step(self, by: int) -> None:
        """Choose the next method that applies."""
        self._toggle.setChecked(True)
        able = [t.name for t in self.strip.row.tiles if t.able or t.name == self.chosen]
        if self.chosen in able:
            self.choose(able[(able.index(self.chosen) + by) % len(able)])

    def _method(self, again: Callable[[], None]) -> threshold_results.MethodMask | None:
        """Give the method to adopt; where it is not worked out yet, come ``again`` once it is."""
        if self.document is None or self.document.read_only:
            return None
        if not self.wanted or self.chosen == threshold_results.SEGMENTED:
            self.said.emit("Choose a method first: J compares them, a click or Alt+→ chooses one.")
            return None
        if self.stale or self.answer is None:
            self._then = again
            return None
        method = self.answer.method(self.chosen)
        if method.reason:
            self.said.emit(method.why_not)
            return None
        return method

    def adopt(self) -> None:
        """Take the chosen method's scar on this slice, to start from."""
        method, document = self._method(self.adopt), self.document
        if method is None or document is None or self.answer is None:
            return
        k = document.current
        if not self.answer.wall[k].any():
            self.said.emit("There is no wall on this slice for a method to look in.")
            return
        document.push(
            threshold_results.adopt(document.case, document.labels_under_scar[k], method, k)
        )
        self.said.emit(f"{method.title} adopted: correct it, then accept. Ctrl+Z takes it back.")

    def adopt_all(self) -> None:
        """Take the chosen method's scar on every slice with a wall that is not read yet."""
        method, document = self._method(self.adopt_all), self.document
        if method is None or document is None or self.answer is None:
            return
        case = document.case
        walls = [int(k) for k in np.flatnonzero(self.answer.wall.any(axis=(1, 2)))]
        here = [k for k in walls if not case.readings[k].status.read]
        with document.grouped():
            for k in here:
                change = threshold_results.adopt(case, document.labels_under_scar[k], method, k)
                document.push(change, counts=k == here[0])
        kept = len(walls) - len(here)
        rest = f" {kept} that are read stay as they are." if kept else ""
        self.said.emit(f"{method.title} adopted on {len(here)} slices.{rest} Y shows the way back.")

    def _take_remote(self) -> None:
        self._toggle.setChecked(True)
        self._choose_tool(remote_region.TOOL)
        self.said.emit(
            "Remote wall: drag round it, or click where it is. Alt-click: as proposed. B: box again"
        )
