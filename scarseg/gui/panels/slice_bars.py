"""Bars of the scar mass of every slice, with MVO, interval and the proposed mass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QHelpEvent, QMouseEvent
from PyQt6.QtWidgets import (
    QToolTip,
)

from scarseg.case.history import SliceStatus
from scarseg.case.measurements import MassConvention, Measurements, SliceMeasurement
from scarseg.gui import theme
from scarseg.gui.viewer.plot import Plot

LOW_ROW, HIGH_ROW = 15, 21
"""Height of a row in pixels, where room is scarce and where it is not."""
BAR = 0.6
"""Height of a bar, of its row."""
COLOURS = {"scar": theme.ORANGE, "mvo": theme.VIOLET}
"""Of the bars; MVO is part of the scar."""
LEAST_RANGE_G = 0.05
"""A narrower interval of a slice is not seen in its grams either."""


class SliceBars(Plot):
    """Scar grams of every slice as bars, MVO inside them; a click chooses the slice.

    A line with ends spans the slice's interval, where it is known, and a stroke is where the
    models' proposal stood: bright where it was changed.

    ``spent`` gives a slice's (seconds, interactions) for its tool tip.
    """

    clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__("left", "right")
        self.setAccessibleName("Scar mass slice by slice")
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)
        self.spent: Callable[[int], tuple[float, int]] | None = None
        self._rows: tuple[SliceMeasurement, ...] = ()
        self._convention = MassConvention.THICKNESS
        self._current = 0
        self._height = LOW_ROW
        self._ranges: Sequence[tuple[float, float] | None] = ()
        self._reach, self._most = 0.0, 1.0
        self._shown_texts: list[str] = []
        plot = self.getPlotItem()
        plot.invertY(True)
        plot.layout.setContentsMargins(0, 2, 0, 2)
        for side, width in (("left", 24), ("right", 50)):
            plot.getAxis(side).setPen(None)
            plot.getAxis(side).setWidth(width)
        self._tracks, self._track = _bars(theme.RAISED), _bars(theme.LINE)
        self._bars = {
            (what, read): _bars(theme.colour(colour, 1.0 if read else 0.55))
            for what, colour in COLOURS.items()
            for read in (False, True)
        }
        self._ticks = [
            pg.PlotCurveItem(pen=pg.mkPen(theme.colour(theme.TEXT, alpha), width=2))
            for alpha in (0.35, 1.0)
        ]
        self._whiskers = [
            pg.ErrorBarItem(pen=pg.mkPen(colour, width=width), beam=BAR * 0.5)
            for colour, width in ((theme.BACKGROUND, 3), (theme.TEXT, 1))
        ]
        bars = (self._tracks, self._track, *self._bars.values())
        for item in (*bars, *self._ticks, *self._whiskers):
            self.addItem(item)

    @property
    def convention(self) -> MassConvention:
        """Return the convention of the bars."""
        return self._convention

    def show_ranges(self, ranges: Sequence[tuple[float, float] | None]) -> None:
        """Show the ends of each slice's interval in g; None where it is not known (yet)."""
        before, self._ranges = self._reach, ranges
        if None not in ranges:  # until then the scale stays: bars that jump cannot be compared
            self._reach = max((high for _, high in filter(None, ranges)), default=0.0)
        if self._reach != before:
            self.fit()
        elif self._rows:
            self._show_whiskers()

    def forget_ranges(self) -> None:
        """Show no intervals."""
        if self._ranges:
            self._ranges, self._reach = (), 0.0
            self.fit()

    def show_measurements(self, measured: Measurements, current: int) -> None:
        self._rows, self._convention = measured.slices, measured.convention
        self._current = current
        changed = [row.slice_index + 1 for row in self._rows if row.changed]
        self.setAccessibleDescription(
            f"Changed since the proposal: {', '.join(map(str, changed)) or 'no slice'}"
        )
        self.setFixedHeight(self.height_of(self._height))
        self.fit()

    def height_of(self, row: int) -> int:
        """Return the height of all bars where each row has this one, in pixels."""
        return row * len(self._rows) + 4

    def set_row_height(self, pixels: int) -> None:
        """Make the rows higher or lower."""
        if pixels == self._height:
            return
        self._height = pixels
        self.set_axis_size(11 if pixels == LOW_ROW else 12)
        self.setFixedHeight(self.height_of(pixels))
        self.fit()

    def choose(self, current: int) -> None:
        self._current = current
        self._show_current()

    def words(self, k: int) -> str:
        """Return the tool tip of a slice."""
        row = self._rows[k]
        lines = [
            f"Slice {k + 1} · {_word(row)}",
            f"{row.scar_mass_thickness_g:.1f} g by slice thickness,"
            f" {row.scar_mass_spacing_g:.1f} g by slice spacing",
        ]
        proposed = self._grams(row, "scar", "proposed_")
        if proposed is not None:
            word = "changed since" if row.changed else "as proposed"
            lines.append(f"proposed {proposed:.1f} g, {word}")
        ends = self._range(k)
        if ends is not None:
            lines.append(f"90 % interval {ends[0]:.1f} – {ends[1]:.1f} g")
        if self.spent is not None:
            seconds, n = self.spent(k)
            if seconds or n:
                lines.append(f"{seconds:.0f} s, {n} interaction{'' if n == 1 else 's'}")
        return "\n".join(lines)

    def _grams(self, row: SliceMeasurement, what: str, of: str = "") -> float | None:
        grams = getattr(row, f"{what}_mass_{of}{self._convention.value}_g")
        return None if grams is None else float(grams)

    def _range(self, k: int) -> tuple[float, float] | None:
        return self._ranges[k] if k < len(self._ranges) else None

    def _row_at(self, y: float) -> int:
        return min(max(int((y - 2) // self._height), 0), len(self._rows) - 1)

    def viewportEvent(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._rows:
            QToolTip.showText(event.globalPos(), self.words(self._row_at(event.pos().y())), self)
            return True
        return bool(super().viewportEvent(event))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._rows:
            self.clicked.emit(self._row_at(event.position().y()))

    # What is shown

    def fit(self) -> None:
        """Show the rows, the longest bar or interval as wide as there is room."""
        rows = self._rows
        if not rows:
            return
        scar = [self._grams(row, "scar") or 0.0 for row in rows]
        proposed = [self._grams(row, "scar", "proposed_") for row in rows]
        self._most = max(*scar, *(grams or 0.0 for grams in proposed), self._reach) or 1.0
        self.setRange(xRange=(0, self._most), yRange=(-0.5, len(rows) - 0.5), padding=0)
        y = np.arange(len(rows))
        _set_bars(self._tracks, y, np.full(len(rows), self._most))
        for (what, read), bars in self._bars.items():
            chosen = [k for k, row in enumerate(rows) if row.status.read is read]
            _set_bars(bars, chosen, [self._grams(rows[k], what) or 0.0 for k in chosen])
        self._show_current()
        self._show_ticks(proposed)
        self._show_whiskers()
        texts = [_grams_text(row, grams) for row, grams in zip(rows, scar, strict=True)]
        if texts != self._shown_texts:  # laying out an axis costs as much as all the rest
            left, right = (self.getPlotItem().getAxis(side) for side in ("left", "right"))
            if len(texts) != len(self._shown_texts):
                left.setTicks([[(k, str(k + 1)) for k in y]])
            right.setTicks([list(enumerate(texts))])
            self._shown_texts = texts

    def _show_current(self) -> None:
        _set_bars(self._track, [self._current], [self._most])

    def _show_ticks(self, proposed: Sequence[float | None]) -> None:
        """Mark where the proposal stood; quietly where it still stands."""
        for ticks, changed in zip(self._ticks, (False, True), strict=True):
            shown = [
                (grams, k)
                for k, (row, grams) in enumerate(zip(self._rows, proposed, strict=True))
                if grams is not None and row.changed is changed and (changed or grams)
            ]
            x = np.repeat([grams for grams, _ in shown], 2)
            y = np.add.outer([k for _, k in shown], [-0.4, 0.4]).ravel()
            ticks.setData(x, y, connect="pairs")

    def _show_whiskers(self) -> None:
        """Span the interval of each slice, with a dark edge to stand out on the bar."""
        shown = [
            (k, *ends)
            for k in range(len(self._rows))
            if (ends := self._range(k)) is not None and ends[1] - ends[0] >= LEAST_RANGE_G
        ]
        for whiskers in self._whiskers:
            whiskers.setVisible(bool(shown))
            if shown:
                k, low, high = np.array(shown, dtype=np.float64).T
                whiskers.setData(x=low, y=k, right=high - low)


def _bars(colour: str | QColor) -> pg.BarGraphItem:
    return pg.BarGraphItem(x0=0, x1=[], y=[], height=BAR, brush=colour, pen=None)


def _set_bars(bars: pg.BarGraphItem, y: npt.ArrayLike, ends: npt.ArrayLike) -> None:
    bars.setOpts(x0=0, x1=np.asarray(ends, dtype=float), y=np.asarray(y), height=BAR)


def _grams_text(row: SliceMeasurement, scar: float) -> str:
    if row.status is SliceStatus.NOT_ASSESSABLE and scar == 0:
        return "n/a"
    return "–" if row.status is SliceStatus.UNSEEN and scar == 0 else f"{scar:.1f} g"


def _word(row: SliceMeasurement) -> str:
    corrected = row.status is SliceStatus.ACCEPTED and row.changed
    return theme.CORRECTED if corrected else theme.STATUS_WORDS[row.status]
