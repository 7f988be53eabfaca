"""Plot of the mass of one slice against the threshold, with a point per method."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QSizePolicy

from scarseg.gui import theme
from scarseg.gui.panels.thresholds.masks import (
    SEGMENTED,
    MethodMask,
    MethodMasks,
)
from scarseg.gui.viewer.plot import Plot

NARROWEST = 230
MARGIN = 8.0
"""Beside and above the curve, in pixels."""


class CurvePlot(Plot):
    """Grams of one slice above each threshold; no island is dropped and no dark core added."""

    def __init__(self) -> None:
        super().__init__("bottom", background=theme.BACKGROUND)
        self.setMinimumWidth(NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Grams of the slice against the threshold")
        self.setToolTip(
            "Grams of this slice above each threshold (no island dropped, no dark core added);"
            " a point per method, the segmentation as a line"
        )
        self._answer: MethodMasks | None = None
        self._k, self._chosen = 0, ""
        self._curve = pg.PlotCurveItem(pen=pg.mkPen(theme.QUIET, width=1.5), antialias=True)
        dashed = pg.mkPen(theme.ORANGE, width=1.2, style=Qt.PenStyle.DashLine)
        self._labelled = pg.InfiniteLine(angle=0, pen=dashed)
        self._dots = pg.ScatterPlotItem(pen=None)
        for item in (self._curve, self._labelled, self._dots):
            self.addItem(item)
        self._segmented, self._named = self.add_text(theme.ORANGE), self.add_text(theme.ACCENT)
        self._empty = self.add_text(theme.QUIET)
        self._empty.setText("No wall on this slice")
        self._empty.setAnchor((0.5, 0.5))
        self.getPlotItem().getAxis("bottom").setHeight(19)

    def show_answer(self, answer: MethodMasks | None, k: int, chosen: str) -> None:
        """Show slice ``k``, the chosen method named."""
        self._answer, self._k, self._chosen = answer, k, chosen
        points = self.points()
        said = ", ".join(f"{m.title} {grams:.1f} g" for m, _, grams in points)
        self.setAccessibleDescription(said or "No wall on this slice")
        self.fit()

    def points(self) -> list[tuple[MethodMask, float, float]]:
        """Return every method with a threshold here: method, threshold, grams on the curve."""
        if self._answer is None or self._answer.curves[self._k] is None:
            return []
        curve = self._answer.curves[self._k]
        assert curve is not None
        return [
            (method, level, curve.mass_at(level))
            for method in self._answer.methods
            if (level := method.levels[self._k]) is not None
        ]

    def fit(self) -> None:
        """Show the curve in the size the plot has now."""
        points = self.points()
        for item in (self._curve, self._labelled, self._dots, self._segmented, self._named):
            item.setVisible(bool(points))
        self._empty.setVisible(not points)
        curve = self._answer.curves[self._k] if self._answer is not None and points else None
        axis = self.getPlotItem().getAxis("bottom")
        if self._answer is None or curve is None:
            self.setRange(xRange=(0, 1), yRange=(0, 1), padding=0)
            self._empty.setPos(0.5, 0.5)
            axis.setTicks([])
            return
        low, high = float(curve.thresholds[0]), float(curve.thresholds[-1])
        high = max(high, low + 1e-9)
        most = max(float(curve.mass_g[0]), 1e-9)
        margin = MARGIN / max(self.width(), 1) * (high - low)
        top = most * (1 + MARGIN / max(self.height(), 1))
        self.setRange(xRange=(low - margin, high + margin), yRange=(0, top), padding=0)
        words = [(low, f"{low:.4g}"), ((low + high) / 2, "threshold, this slice")]
        axis.setTicks([[*words, (high - margin, f"{high:.4g}")]])  # else it is cut at the edge
        self._curve.setData(curve.thresholds, curve.mass_g)
        labelled = self._answer.method(SEGMENTED).slices_g[self._k]
        self._labelled.setValue(labelled)
        mine = [method.name == self._chosen for method, _, _ in points]
        self._dots.setData(
            x=np.clip([level for _, level, _ in points], low, high),
            y=[grams for _, _, grams in points],
            size=[10 if chosen else 6 for chosen in mine],
            brush=[pg.mkBrush(theme.ACCENT if chosen else theme.TEXT) for chosen in mine],
        )
        self._segmented.setText(f"segmented {labelled:.1f} g")
        named = next((point for point, chosen in zip(points, mine, strict=True) if chosen), None)
        self._named.setText(
            "" if named is None else f"{named[0].title} > {named[1]:.4g}: {named[2]:.1f} g"
        )
        for text, line in ((self._segmented, 0.0), (self._named, -1.15)):
            text.setAnchor((1.0, line))
            text.setPos(high, top)
