"""The strip that compares threshold methods with the segmentation, and lets one be adopted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QRectF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QPainterPath
from PyQt6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from scarseg.case import Case
from scarseg.gui import chrome, drawing, methods, overlay, remote_hand, theme
from scarseg.gui.curve_plot import CurvePlot
from scarseg.gui.document import Document
from scarseg.gui.home import SMALLEST_MM, find_home
from scarseg.gui.method_tiles import MethodRow, Picture
from scarseg.gui.montage import Content
from scarseg.gui.panels import label
from scarseg.gui.preview import NOTHING, PreviewLayer
from scarseg.gui.session import Session
from scarseg.gui.viewrow import ViewRow
from scarseg.gui.views import Views
from scarseg.labels import Label, MaskArray, infarct_mask
from scarseg.measurements import MassConvention

PAUSE_MS = 60
"""After a change, before the methods are worked out anew: not for each of many."""
ROOMY_WINDOW = 1000
"""In a lower window the strip stands for the strip of slices, which the results list as well."""
ROOM = 1.12
"""Side of a tile's picture to the width of the heart in it."""


class Comparison(QWidget):
    """The strip under the slice; closed until a reader asks for it.

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
        view_row: ViewRow,
        choose_tool: Callable[[str], object],
        window: QWidget,
    ) -> None:
        super().__init__()
        self.setAccessibleName("Comparison of methods")
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session, self._views, self._window = session, views, window
        self._choose_tool = choose_tool
        self.wanted, self.chosen = False, methods.SEGMENTED
        self.answer: methods.Answer | None = None
        self.drawn: dict[str, dict[int, MaskArray]] = {}
        self._asked, self._stale = 0, True
        self._manual: float | None = None
        self._whole_stack = self._low = False
        self._levels = views.shared.levels
        self._then: Callable[[], None] | None = None
        self._pauses = [QTimer(self) for _ in range(3)]
        for timer, act in zip(self._pauses, (self._ask, self._show, self._fit), strict=True):
            timer.setSingleShot(True)
            timer.setInterval(PAUSE_MS)
            timer.timeout.connect(act)
        self._soon, self._show_soon, self._fit_soon = (timer.start for timer in self._pauses)
        self.plot = CurvePlot()
        self.row = MethodRow(self.plot)
        self.words = chrome.Elided("quiet")
        self._buttons = [QToolButton() for _ in range(5)]
        self.scope, self.remote, self.adopt_here, self.adopt_everywhere, self.shut = self._buttons
        self._arrange()
        self.setVisible(False)
        self.row.chosen.connect(self.choose)
        view_row.threshold_shown.connect(self._take_threshold)
        session.opened.connect(self._follow)
        views.shared.changed.connect(self._window_changed)

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(10, 0, 6, 0)
        head.setSpacing(2)
        self.words.setAccessibleName("What the numbers of the methods are")
        head.addWidget(label("METHODS", "heading"))
        head.addSpacing(8)
        head.addWidget(self.words, 1)
        head.addSpacing(6)
        for button in self._buttons:
            button.setObjectName("foot")
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 3, 0, 2)
        layout.setSpacing(3)
        layout.addLayout(head)
        layout.addWidget(self.row)

    def handlers(self) -> dict[str, Callable[[], object]]:
        """Give what the actions do."""
        return {
            "compare": lambda: None,
            "previous_method": lambda: self.step(-1),
            "next_method": lambda: self.step(1),
            "whole_stack": lambda: None,
            "remote": self._take_remote,
            "adopt": self.adopt,
            "adopt_all": self.adopt_all,
        }

    def take(self, actions: Mapping[str, QAction]) -> None:
        """Take the actions, and follow the window's height."""
        self._toggle = actions["compare"]
        self._toggle.toggled.connect(self._open)
        actions["whole_stack"].toggled.connect(self._choose_scope)
        for name, text, button in (
            ("adopt", "Adopt   Ctrl+J", self.adopt_here),
            ("adopt_all", "On all", self.adopt_everywhere),
        ):
            chrome.button_for(actions[name], text, button)
        for name, text, button in (
            ("whole_stack", "Per slice", self.scope),
            ("remote", "Remote", self.remote),
            ("compare", "✕", self.shut),
        ):
            _say_action(actions[name], text, button)
        self.shut.setAccessibleName("Close the comparison")
        self._remote_tip = self.remote.toolTip()
        self.remote.setCheckable(True)
        actions["remote"].toggled.connect(self.remote.setChecked)
        for button in self._buttons:
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.hand = remote_hand.RemoteHand(self._views, self._current, self)
        actions["let_go"].triggered.connect(self.hand.let_go)
        self.hand.drawn.connect(self._remote_drawn)
        self.hand.clicked.connect(self._remote_clicked)
        self.hand.given_up.connect(self._remote_given_up)
        self._views.switched.connect(self._show_soon)
        self._window.installEventFilter(self)
        self._fit()

    # What is open

    @property
    def document(self) -> Document | None:
        return None if self._session.current is None else self._session.current.document

    def _current(self) -> int | None:
        return None if self.document is None else self.document.current

    @property
    def replaces_strip(self) -> bool:
        """Say whether there is no room for the strip of slices beside this one."""
        return self.wanted and self._low

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._window and event is not None and event.type() == QEvent.Type.Resize:
            self._fit_soon()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        low = self._window.height() < ROOMY_WINDOW
        if low is not self._low:
            self._low = low
            self.fitted.emit()
        self.row.fit()

    def _open(self, wanted: bool) -> None:
        self.wanted = wanted
        if not wanted and self._views.shared.tool == remote_hand.TOOL:
            self._choose_tool("box")
        self.fitted.emit()
        self._show_preview()
        if wanted:
            self._soon()

    def _follow(self) -> None:
        self.answer, self._manual, self._then = None, None, None
        self._asked += 1
        if self.document is not None:
            self.document.slice_changed.connect(self._changed)
            self.document.moved_to.connect(self._show)
            self._changed()

    def _changed(self, *_what: object) -> None:
        """What is shown is of before; the methods are worked out anew in a moment."""
        self._stale, self._asked = True, self._asked + 1
        if self.wanted:
            for tile in self.row.tiles:
                tile.tell(stale=True)
            if not self._pauses[0].isActive():
                self._soon()

    def _window_changed(self) -> None:
        if self._views.shared.levels != self._levels:
            self._levels = self._views.shared.levels
            if self.wanted and not self._pauses[1].isActive():
                self._show_soon()

    def _take_threshold(self, value: float | None) -> None:
        if value is not None and value != self._manual:
            self._manual = value
            self._changed()

    def _choose_scope(self, whole_stack: bool) -> None:
        self._whole_stack = whole_stack
        self.scope.setText("Per stack" if whole_stack else "Per slice")
        self._changed()

    # Working out

    def _ask(self) -> None:
        document = self.document
        if document is None or not self.wanted:
            return
        self._asked += 1
        number, case = self._asked, copy(document.case)
        case.labels, case.readings = case.labels.copy(), list(case.readings)
        question = methods.Question(
            case, self._whole_stack, dict(self._drawn_here()), self._manual, document.grounds.copy()
        )
        self._session.numbers_lane.run(
            "compare", methods.compare, question,
            done=self._take_answer, current=lambda: number == self._asked,
        )  # fmt: skip

    def _take_answer(self, answer: methods.Answer) -> None:
        self.answer, self._stale = answer, False
        self._show()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _drawn_here(self) -> dict[int, MaskArray]:
        assert self.document is not None
        return self.drawn.setdefault(self.document.case.stack.stack_id, {})

    # Showing

    def _show(self, *_what: object) -> None:
        """Show what is known of the current slice."""
        document, answer = self.document, self.answer
        if document is None or answer is None or not self.wanted:
            return
        k, stack = document.current, document.case.stack
        path = overlay.outline(answer.wall[k])
        wall = [(theme.colour(theme.LABEL_COLOURS[Label.MYOCARDIUM]), path)]
        crop = _crop(document.case, k, path)
        picture = Picture(Content(stack.pixels[k], self._levels, crop, wall))
        for tile in self.row.tiles:
            tile.show_method(answer, k, picture)
            tile.tell(chosen=tile.name == self.chosen, stale=self._stale)
        self.words.set_line(self._words(answer, k))
        self._say_remote(answer, k)
        self.plot.show_answer(answer, k, self.chosen)
        self._show_preview()

    def _words(self, answer: methods.Answer, k: int) -> str:
        if not answer.wall.any():
            return methods.REASONS["W_NO_WALL"]
        thick = answer.measured.convention is MassConvention.THICKNESS
        depth = "slice thickness" if thick else "slice spacing"
        return f"g by {depth}: of the stack, and of slice {k + 1}"

    def _say_remote(self, answer: methods.Answer, k: int) -> None:
        drawn, signal = k in self._drawn_here(), answer.signals[k]
        own = answer.remote[k].any()
        word = "drawn" if drawn else "proposed" if own else "of the stack" if signal else "none"
        self.remote.setText(f"Remote: {word}")
        measured = "No remote wall"
        if signal is not None:
            measured = f"{signal.mean:.4g} ± {signal.sd:.3g} in {signal.n_voxels} voxels"
        self.remote.setToolTip(f"{self._remote_tip}\nOn this slice: {measured}")

    def _show_preview(self) -> None:
        """Lay the chosen outline and the remote region over the slices in sight."""
        document, answer = self.document, self.answer
        if document is None:
            return
        for k in range(document.case.stack.n_slices):
            for canvas in self._views.of_slice(k):
                outline, remote = NOTHING, NOTHING
                if self.wanted and answer is not None:
                    outline, remote = self._paths(answer, k)
                PreviewLayer.on(canvas).show_paths(outline, remote)

    def _paths(self, answer: methods.Answer, k: int) -> tuple[QPainterPath, QPainterPath]:
        method = answer.method(self.chosen)
        shows = self.chosen != methods.SEGMENTED and not method.reason
        outline = overlay.outline(method.infarct[k]) if shows else NOTHING
        return outline, overlay.outline(answer.remote[k])

    # Choosing and adopting

    def choose(self, name: str) -> None:
        """Preview a method on the slices; the segmentation previews nothing."""
        self.chosen = name
        self._show()
        if self.answer is not None and self.answer.method(name).reason:
            self.said.emit(self.answer.method(name).reason)

    def step(self, by: int) -> None:
        """Choose the next method that applies."""
        if not self.wanted:
            self._toggle.setChecked(True)
        able = [t.name for t in self.row.tiles if t.able or t.name == self.chosen]
        at = able.index(self.chosen) if self.chosen in able else 0
        if able:
            self.choose(able[(at + by) % len(able)])
            tile = next(tile for tile in self.row.tiles if tile.name == self.chosen)
            self.row.ensureWidgetVisible(tile, 20, 0)

    def _ready(self, again: Callable[[], None]) -> methods.Method | None:
        """Give the method to adopt; where it is not worked out yet, come ``again`` once it is."""
        if self.document is None or self.document.read_only:
            return None
        if not self.wanted or self.chosen == methods.SEGMENTED:
            self.said.emit("Choose a method first: J compares them, a click or Alt+→ chooses one.")
            return None
        if self._stale or self.answer is None:
            self._then = again
            return None
        method = self.answer.method(self.chosen)
        if method.reason:
            self.said.emit(method.reason)
            return None
        return method

    def adopt(self) -> None:
        """Take the chosen method's scar on this slice, to start from."""
        method, document = self._ready(self.adopt), self.document
        if method is None or document is None or self.answer is None:
            return
        k = document.current
        if not self.answer.wall[k].any():
            self.said.emit("There is no wall on this slice for a method to look in.")
            return
        document.push(methods.adopt(document.case, document.grounds[k], method, k))
        self.said.emit(f"{method.title} adopted: correct it, then accept. Ctrl+Z takes it back.")

    def adopt_all(self) -> None:
        """Take the chosen method's scar on every slice with a wall that is not read yet."""
        method, document = self._ready(self.adopt_all), self.document
        if method is None or document is None or self.answer is None:
            return
        case, walls = document.case, self.answer.wall.any(axis=(1, 2))
        here = [k for k in np.flatnonzero(walls) if not case.readings[k].status.read]
        with document.together():
            for k in map(int, here):
                change = methods.adopt(case, document.grounds[k], method, k)
                document.push(change, counts=k == here[0])
        kept = int(walls.sum()) - len(here)
        rest = f" {kept} read already stay as they are." if kept else ""
        self.said.emit(f"{method.title} adopted on {len(here)} slices.{rest} Y goes back.")

    # The remote region

    def _take_remote(self) -> None:
        self._toggle.setChecked(True)
        self._choose_tool(remote_hand.TOOL)
        self.said.emit(
            "Remote wall: drag round it, or click where it is. Alt + click: as proposed."
        )

    def _remote_drawn(self, k: int, corners: list[remote_hand.Position]) -> None:
        assert self.document is not None
        blank = np.zeros_like(self.document.case.labels[k])
        filled = drawing.polygon(blank, corners, Label.MYOCARDIUM)
        if filled is not None:
            self._keep_remote(k, filled.labels > 0)

    def _remote_clicked(self, k: int, at: remote_hand.Position) -> None:
        from scarseg.quant.remote import remote_sector

        assert self.document is not None
        spacing = self.document.case.stack.pixel_spacing_mm
        self._keep_remote(k, remote_sector(self._wall(k), spacing, at))

    def _keep_remote(self, k: int, region: MaskArray) -> None:
        """Take a reader's remote region: of it what is wall and not scar."""
        from scarseg.quant.remote import MINIMUM_VOXELS

        assert self.document is not None
        region = region & self._wall(k) & ~infarct_mask(self.document.case.labels[k])
        if np.count_nonzero(region) < MINIMUM_VOXELS:
            self.said.emit(f"Not taken: fewer than {MINIMUM_VOXELS} voxels of healthy wall.")
            return
        self._drawn_here()[k] = region
        self._changed()

    def _remote_given_up(self, k: int) -> None:
        if self._drawn_here().pop(k, None) is not None:
            self._changed()

    def _wall(self, k: int) -> MaskArray:
        """Give the wall of a slice as it stands now, (row, column)."""
        assert self.document is not None
        labels, grounds = self.document.case.labels, self.document.grounds
        return methods.searched_wall(methods.clipped(labels, grounds))[k]


def _say_action(action: QAction, text: str, button: QToolButton) -> None:
    """Let a button do what an action does, under words of its own that may change."""
    button.setText(text)
    button.setToolTip(action.toolTip())
    button.setAccessibleName(action.text())
    button.clicked.connect(action.trigger)


def _crop(case: Case, k: int, wall: QPainterPath) -> QRectF:
    """Give the square round the wall of a slice, in source pixels; the usual one without wall."""
    if wall.isEmpty():
        return find_home(case).crop
    row_mm, column_mm = case.stack.pixel_spacing_mm
    box = wall.boundingRect()
    side = max(box.width() * column_mm, box.height() * row_mm) * ROOM
    side = max(side, SMALLEST_MM / 2)
    across, down = side / column_mm, side / row_mm
    middle = box.center()
    return QRectF(middle.x() - across / 2, middle.y() - down / 2, across, down)
