"""The plot of the histogram of the wall, with its threshold and its grey window to be dragged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent
from PyQt6.QtWidgets import QSizePolicy

from scarseg.gui import theme
from scarseg.gui.viewer.plot import Plot
from scarseg.gui.viewer.window_level import Levels
from scarseg.quant.thresholds import ThresholdMethod
from scarseg.quant.wall_histogram import WallHistogram

LOW, HIGH = 92, 220
"""Least and greatest height of the plot, in pixels."""
HEAD, STRIP = 15.0, 9.0
"""Above the bars for the marks' names, and beneath them for the grey window, in pixels."""
LEAST_WINDOW = 1e-3
"""Of the range of the histogram: black and white are never closer."""
MARKS = {
    ThresholdMethod.SD_2: "+2 SD",
    ThresholdMethod.SD_5: "+5 SD",
    ThresholdMethod.FWHM_REMOTE: "½ max",
}
TIP = (
    "Voxels of the wall by signal (heights by their root): scar lit, the other wall quiet, the"
    " blood pool as a faint hill."
    " Marks: mean of the remote wall, + 2 and + 5 SD of it, and halfway from it to the brightest"
    " of the wall in the boxes. With the threshold brush (T), drag its line: the grams of wall"
    " above it stand beside it. The strip beneath shows the greys; drag it or its ends to change"
    " the window."
)


class HistogramPlot(Plot):
    """Bars of a :class:`WallHistogram` over a strip of the greys they are shown as.

    Args:
        grams: returns the grams of wall above a threshold, None without a wall.

    Signals:
        threshold_dragged: to this value, in source units.
        window_dragged: to these levels; ``window_settled`` once the mouse is released.
    """

    threshold_dragged = pyqtSignal(float)
    window_dragged = pyqtSignal(object)
    window_settled = pyqtSignal()

    def __init__(self, grams: Callable[[float], float | None]) -> None:
        super().__init__()
        self._grams = grams
        self.setAccessibleName("Histogram of the wall")
        self.setToolTip(TIP)
        self.setMinimumHeight(LOW)
        self.setMaximumHeight(HIGH)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.shown: WallHistogram | None = None
        self.threshold: float | None = None
        self._levels: Levels = (0.0, 1.0)
        self._hill = pg.PlotCurveItem(
            pen=pg.mkPen(theme.colour(theme.SLATE, 0.55)),
            brush=theme.colour(theme.SLATE, 0.14),
            antialias=True,
        )
        self._bars = [
            pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[], brush=colour, pen=None)
            for colour in (theme.ORANGE, theme.VIOLET, theme.MUTED)
        ]
        self._greys = pg.ImageItem(np.linspace(0, 1, 256)[None], axisOrder="row-major")
        self._window = pg.LinearRegionItem(
            brush=(0, 0, 0, 0),
            hoverBrush=theme.colour(theme.ACCENT, 0.25),
            pen=pg.mkPen(theme.ACCENT, width=2),
            swapMode="block",
        )
        self._marks = [self._mark() for _ in range(len(MARKS) + 1)]
        self._line = pg.InfiniteLine(movable=True, pen=pg.mkPen(theme.ACCENT, width=2))
        self._line.setCursor(Qt.CursorShape.SizeHorCursor)
        self._above = self.add_text(theme.ACCENT, 10, bold=True)
        self._empty = self.add_text(theme.QUIET)
        self._empty.setText("No wall on this slice yet.")
        self._empty.setAnchor((0.5, 0.5))
        for item in (self._hill, *self._bars, self._greys, self._window, self._line):
            self.addItem(item)
        self._window.sigRegionChanged.connect(self._drag_window)
        self._window.sigRegionChangeFinished.connect(lambda: self.window_settled.emit())
        self._line.sigDragged.connect(lambda line: self.threshold_dragged.emit(line.value()))
        self.show_histogram(None)

    def _mark(self) -> tuple[pg.InfiniteLine, pg.TextItem]:
        pen = pg.mkPen(theme.colour(theme.TEXT, 0.7), style=Qt.PenStyle.DotLine)
        line = pg.InfiniteLine(movable=False, pen=pen)
        self.addItem(line)
        return line, self.add_text(theme.QUIET, 10)

    def sizeHint(self) -> QSize:
        return QSize(200, LOW)

    def show_histogram(self, found: WallHistogram | None) -> None:
        self.shown = found
        self.setAccessibleDescription(_words(found))
        self.fit()

    def show_levels(self, levels: Levels) -> None:
        """Show the grey values from black to white."""
        if levels != self._levels:
            self._levels = levels
            self._show_window()

    def show_threshold(self, value: float | None) -> None:
        """Show the threshold brush's value as a line; None when another tool is in use."""
        self.threshold = value
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if value is None else Qt.FocusPolicy.StrongFocus)
        self._show_line()

    # Where things are

    def x_of(self, value: float) -> float:
        """Return where a signal is in this widget."""
        assert self.shown is not None
        edges = self.shown.edges
        return self.to_view(float(np.clip(value, edges[0], edges[-1]))).x()

    def value_at(self, x: float) -> float:
        assert self.shown is not None
        edges = self.shown.edges
        return float(np.clip(self.from_view(QPointF(x, 0)).x(), edges[0], edges[-1]))

    @property
    def above(self) -> str:
        """Return what stands beside the threshold's line: the grams of wall above it."""
        return self._above.toPlainText() if self._above.isVisible() else ""

    # The mouse and the keys

    def _drag_window(self) -> None:
        low, high = self._window.getRegion()
        self._levels = (low, high)
        self.window_dragged.emit(self._levels)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the line by the arrows, one screen pixel a time."""
        steps = {Qt.Key.Key_Left: -1.0, Qt.Key.Key_Right: 1.0}
        if event is None:
            return
        if self.threshold is None or self.shown is None or event.key() not in steps:
            event.ignore()
            return
        by = steps[Qt.Key(event.key())]
        self.threshold_dragged.emit(self.value_at(self.x_of(self.threshold) + by))

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.getPlotItem().vb.setBorder(theme.ACCENT)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self.getPlotItem().vb.setBorder(None)

    # What is shown

    def fit(self) -> None:
        """Show the histogram in the size the plot has now."""
        found = self.shown
        empty = found is None or not found.n_wall
        self._empty.setVisible(empty)
        for item in (self._hill, *self._bars, self._greys, self._window):
            item.setVisible(not empty)
        room = self.height() - STRIP - 2 - HEAD
        bottom = -(STRIP + 2) / room
        low, high = (0.0, 1.0) if found is None else (found.edges[0], found.edges[-1])
        self.setRange(xRange=(low, high), yRange=(bottom, 1 + HEAD / room), padding=0)
        self._empty.setPos((low + high) / 2, 0.5)
        self._greys.setRect(QRectF(low, bottom, high - low, STRIP / room))
        self._window.setSpan(0, STRIP / self.height())
        for line, _ in self._marks:
            line.setSpan(STRIP / self.height(), 1 - HEAD / self.height())
        if found is not None and not empty:
            self._show_bars(found)
        self._show_marks(None if empty else found)
        self._show_window()
        self._show_line()

    def _show_bars(self, found: WallHistogram) -> None:
        whole = found.wall + found.scar + found.mvo
        # By the root of the count: scar is spread thin beside the narrow peak of remote wall.
        per_voxel = np.sqrt(whole / max(int(whole.max()), 1)) / np.maximum(whole, 1)
        gap = 0.5 / max(self.width(), 1) * (found.edges[-1] - found.edges[0])
        beneath = np.zeros(len(whole))
        for bars, counts in zip(self._bars, (found.scar, found.mvo, found.wall), strict=True):
            top = beneath + counts * per_voxel
            bars.setOpts(
                x0=found.edges[:-1] + gap, x1=found.edges[1:] - gap, y0=beneath, y1=top, pen=None
            )
            beneath = top
        # The blood pool on its own scale: it would dwarf the wall.
        pool = np.sqrt(found.pool / max(int(found.pool.max()), 1))
        self._hill.setData((found.edges[:-1] + found.edges[1:]) / 2, pool, fillLevel=0)

    def _show_marks(self, found: WallHistogram | None) -> None:
        marks: list[tuple[float, str]] = []
        if found is not None:
            marks = [(value, MARKS[method]) for method, value in found.thresholds.items()]
            marks += [] if found.remote_mean is None else [(found.remote_mean, "remote")]
        free = -1e9
        for n, (line, text) in enumerate(self._marks):
            line.setVisible(n < len(marks))
            text.setVisible(n < len(marks))
        for (value, name), (line, text) in zip(sorted(marks), self._marks, strict=False):
            line.setValue(value)
            free = self._name(text, name, value, free)

    def _name(self, text: pg.TextItem, name: str, value: float, free: float) -> float:
        """Write a name above a value where there is room right of ``free``; return what is then."""
        if text.toPlainText() != name:  # laying out a text costs more than all the bars
            text.setText(name)
        x, width = self.x_of(value), text.boundingRect().width()
        left = min(max(x - width / 2, 0.0), self.width() - width)
        text.setVisible(left > free)
        if left <= free:
            return free
        text.setAnchor(((x - left) / max(width, 1.0), 0.0))
        text.setPos(float(np.clip(value, *self.viewRange()[0])), self.viewRange()[1][1])
        return left + width + 4

    def _show_window(self) -> None:
        low, high = self._levels
        xs, _ = self.viewRange()
        span = max(high - low, LEAST_WINDOW * (xs[1] - xs[0]))
        self._greys.setLevels(
            [(low - xs[0]) / (xs[1] - xs[0]), (low + span - xs[0]) / (xs[1] - xs[0])]
        )
        self._window.blockSignals(True)
        self._window.setRegion((low, high))
        self._window.blockSignals(False)

    def _show_line(self) -> None:
        shown = self.threshold is not None and self.shown is not None and self.shown.n_wall > 0
        self._line.setVisible(shown)
        self._above.setVisible(shown)
        if not shown or self.threshold is None:
            return
        self._line.setValue(self.threshold)
        grams = self._grams(self.threshold)
        self._above.setText("" if grams is None else f"{grams:.1f} g above")
        right = self.x_of(self.threshold) > self.width() / 2
        self._above.setAnchor((1.05 if right else -0.05, 0.0))
        self._above.setPos(self.threshold, 1.0)


def _words(found: WallHistogram | None) -> str:
    """Return what the plot shows, for screen readers."""
    if found is None or not found.n_wall:
        return "No wall on this slice."
    infarct = int(found.scar.sum() + found.mvo.sum())
    words = [f"{found.n_wall} voxels of wall, {infarct} of them scar"]
    if found.remote_mean is not None:
        words.append(f"remote {found.remote_mean:.4g}")
    words += [f"{MARKS[method]} {value:.4g}" for method, value in found.thresholds.items()]
    return ", ".join(words)
