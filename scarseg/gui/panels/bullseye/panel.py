"""Bull's-eye panel: segments and insertion point of the open case, updated after each change."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.case.measurements import DENSITY_G_PER_ML
from scarseg.gui.actions import Actions
from scarseg.gui.panels.bullseye.summary import SegmentSummary, summarize
from scarseg.gui.panels.bullseye.view import BullseyeView
from scarseg.gui.panels.docks import PanelDocks
from scarseg.gui.panels.insertion_point import InsertionTool
from scarseg.gui.session.session import Session
from scarseg.gui.theme import label
from scarseg.gui.viewer.montage import Views
from scarseg.quant.segments import SEGMENTS
from scarseg.quant.wall_map import reader_insertion

DEBOUNCE_MS = 150
"""Pause after an edit before the wall is mapped, so that a stroke maps it once."""
NO_WALL = "No slice has a closed wall yet."
COMPUTING = "Looking where the scar lies …"


class BullseyePanel(QWidget):
    """The bull's eye with its heading, its buttons, and the hovered segment in words.

    Signals:
        hovered: number of the segment under the mouse, or None.
        chosen: index of a slice, on a click on a segment.
    """

    hovered = pyqtSignal(object)
    chosen = pyqtSignal(int)

    def __init__(self, place: QAction) -> None:
        super().__init__()
        self.setAccessibleName("Where the scar lies")
        self.shown: SegmentSummary | None = None
        self._by_ray = False
        self.view = BullseyeView()
        self.view.hovered.connect(self._hover)
        self.view.chosen.connect(self._choose)
        self.scope = _button("Transmurality by ray", "Scar area of a segment, or the share of")
        self.scope.setCheckable(True)
        self.scope.toggled.connect(self._choose_scope)
        self.scope.setToolTip(
            "Area: scar in percent of the segment's wall.\n"
            "Rays: how far through the wall scar goes, where there is any (mean)."
        )
        self.words = label("", "quiet", "Segment under the mouse, or the insertion point")
        self.figures = label("", "quiet", "Figures of the segment under the mouse")
        for line in (self.words, self.figures):
            line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.place = _button("Set the insertion point", place.toolTip())
        self.place.setText("Set …   Ctrl+I")
        self.place.clicked.connect(place.trigger)
        self.reset = _button("Propose the insertion point", "Delete your point: as proposed again")
        self.reset.setText("✕  As proposed")
        head, foot = QHBoxLayout(), QHBoxLayout()
        head.addWidget(label("BULL'S EYE, % SCAR", "heading"))
        head.addStretch(1)
        head.addWidget(self.scope)
        foot.setSpacing(0)
        foot.setContentsMargins(0, 0, 0, 0)
        for button in (self.place, self.reset):
            foot.addWidget(button)
        foot.addStretch(1)
        buttons = QWidget()
        buttons.setLayout(foot)
        self._row = QStackedWidget()
        for page in (buttons, self.figures):
            self._row.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 2, 12, 4)
        layout.setSpacing(2)
        layout.addLayout(head)
        for part in (self.view, self.words, self._row):
            layout.addWidget(part)
        self._choose_scope(False)
        self.hide()

    def show_summary(self, summary: SegmentSummary | None, why: str = "") -> None:
        """Show the segments, or the reason why there are none."""
        self.shown = summary
        self._show_words()
        if summary is None:
            self.view.show_nothing(why)
            return
        words = {number: summary.words(number) for number in summary.slices}
        self.view.show_percents(summary.percents(self._by_ray), summary.arteries(), words)

    def _choose_scope(self, by_ray: bool) -> None:
        self._by_ray = by_ray
        self.scope.setText("Rays" if by_ray else "Area")
        if self.shown is not None:
            self.show_summary(self.shown)

    def _hover(self, number: int | None) -> None:
        self._show_words()
        self.hovered.emit(number)

    def _choose(self, number: int) -> None:
        if self.shown is not None:
            self.chosen.emit(self.shown.fullest[number])

    def _show_words(self) -> None:
        """Show the hovered segment, else the source of the insertion point."""
        summary, number = self.shown, self.view.at
        hovering = summary is not None and number in summary.slices
        mine = summary is not None and summary.found.source is None
        self._row.setCurrentIndex(int(hovering))
        self.place.setVisible(summary is not None)
        self.reset.setVisible(mine)
        self.words.setText("" if summary is None else summary.note())
        if summary is not None and hovering and number is not None:
            self.words.setText(summary.title(SEGMENTS[number - 1]))
            self.figures.setText(summary.figures(number))


class BullseyeController(QObject):
    """Controller: maps the wall on a worker and shows it in the panel and on the slices."""

    def __init__(
        self,
        session: Session,
        views: Views,
        docks: PanelDocks,
        go_to: Callable[[int], None],
        actions: Actions,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session, self._views = session, views
        self.insertion = InsertionTool(session, views, window)
        self._go_to = go_to
        self._n_changes, self._n_shown = 0, -1
        self._debounce = QTimer(self)
        self._debounce.setSingleShot(True)
        self._debounce.setInterval(DEBOUNCE_MS)
        self._debounce.timeout.connect(self.map_now)
        session.opened.connect(self._follow)
        session.front.slice_changed.connect(self._changed)
        session.front.insertion_changed.connect(self._changed)
        actions.connect({"insertion": self._set_insertion})
        self._toggle = actions["bullseye"]
        self.panel = BullseyePanel(actions["insertion"])
        docks.add("bullseye", "Bull's eye", self.panel, action=self._toggle, wanted=False)
        self.panel.chosen.connect(self._go)
        self.panel.hovered.connect(self._highlight)
        self.panel.reset.clicked.connect(self.insertion.propose)
        self._toggle.toggled.connect(self._show)
        actions["cancel_gesture"].triggered.connect(self.insertion.disarm)

    def _set_insertion(self) -> None:
        """Wait for the click that sets the insertion point, with the panel open."""
        self._toggle.setChecked(True)
        self.insertion.arm()

    # Open and closed

    def _show(self, shown: bool) -> None:
        self.insertion.show(self.panel.shown if shown else None)
        self._later()

    # What it shows

    def _follow(self) -> None:
        self.insertion.show(None)
        self.panel.show_summary(None)
        self._changed()

    def _changed(self, *_what: object) -> None:
        self._n_changes += 1
        self._later()

    def _later(self) -> None:
        if self._toggle.isChecked():
            self._debounce.start()

    def map_now(self) -> None:
        """Map the wall on the worker; a result that arrives after another edit is dropped."""
        current, n = self._session.current, self._n_changes
        if current is None or not self._toggle.isChecked() or n == self._n_shown:
            return
        case = current.document.case
        if self.panel.shown is None:
            self.panel.show_summary(None, COMPUTING)
        self._session.disk_worker.run(
            "map the wall",
            summarize,
            case.labels.copy(),
            case.stack,
            reader_insertion(case),
            DENSITY_G_PER_ML,
            done=partial(self._show_result, n),
            current=lambda: n == self._n_changes,
        )

    def _show_result(self, n: int, summary: SegmentSummary | None) -> None:
        self._n_shown = n
        self.panel.show_summary(summary, NO_WALL)
        if self._toggle.isChecked():
            self.insertion.show(summary)
            self._highlight(self.panel.view.at)

    def _highlight(self, number: int | None) -> None:
        """Highlight a segment on its slices."""
        self.insertion.highlight(number)

    def _go(self, k: int) -> None:
        self._go_to(k)
        self._views.active.setFocus()


def _button(name: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName("foot")
    button.setAccessibleName(name)
    button.setToolTip(tip)
    return button
