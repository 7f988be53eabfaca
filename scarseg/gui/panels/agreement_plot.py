"""Bland-Altman plot of a re-reading, and the dialog that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui import theme
from scarseg.gui.theme import label
from scarseg.gui.viewer.plot import Plot

if TYPE_CHECKING:
    pass


class AgreementPlot(Plot):
    """Bland-Altman plot of two readings: differences of the scar mass against their means."""

    def __init__(self, a: Sequence[float], b: Sequence[float], codes: Sequence[str]) -> None:
        super().__init__("left", "bottom")
        self.setAccessibleName("Bland-Altman plot of the scar mass")
        from scarseg.quant.agreement import bland_altman  # scipy.stats takes long to load

        means = (np.asarray(a) + np.asarray(b)) / 2
        found, differences = bland_altman(a, b), np.asarray(a) - np.asarray(b)
        plot = self.getPlotItem()
        plot.setLabel("bottom", "mean of both readings, g", color=theme.QUIET)
        plot.getAxis("bottom").setHeight(40)
        plot.setLabel("left", "this reading minus the other, g", color=theme.QUIET)
        lines = {"bias": found.bias, "+1.96 SD": found.upper_limit, "−1.96 SD": found.lower_limit}
        known = {name: value for name, value in lines.items() if value is not None}
        reach = max(*np.abs(differences), *map(abs, known.values()), 0.1) * 1.2
        low, high = float(means.min()), float(means.max())
        room = max((high - low) * 0.15, 0.5)
        self.setRange(xRange=(low - room, high + room), yRange=(-reach, reach), padding=0)
        for name, value in known.items():
            dash = Qt.PenStyle.SolidLine if name == "bias" else Qt.PenStyle.DashLine
            self.addItem(
                pg.InfiniteLine(value, 0, pen=pg.mkPen(theme.ACCENT, width=1.2, style=dash))
            )
            text = self.add_text(theme.ACCENT)
            text.setText(f"{name} {value:+.2f} g".replace("-", "−"))
            text.setAnchor((1.0, 1.0))
            text.setPos(high + room, value)
        dots = pg.ScatterPlotItem(
            means, differences, data=list(codes), size=8, pen=None, brush=theme.ORANGE,
            hoverable=True, tip=lambda x, y, data: f"{data}: {x:.1f} g, {y:+.1f} g",
        )  # fmt: skip
        self.addItem(dots)
        words = ", ".join(f"{name} {value:+.2f} g" for name, value in known.items())
        self.setAccessibleDescription(f"{len(means)} cases: {words}")


class AgreementDialog(QDialog):
    """What a re-reading came to: the sentence, and the plot of its masses.

    It is not modal; it closes with the window it belongs to.
    """

    def __init__(self, window: QWidget, summary: str, plot: AgreementPlot) -> None:
        super().__init__(window)
        window.installEventFilter(self)
        self.setWindowTitle("Agreement of the readings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.plot = plot
        plot.setMinimumSize(520, 320)
        text = label(summary)
        text.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(plot, 1)
        layout.addWidget(buttons)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self.parent() and event is not None and event.type() == QEvent.Type.Close:
            self.close()
        return False
