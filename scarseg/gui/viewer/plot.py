"""A pyqtgraph plot in the colours of the window, without its menus and buttons."""

from __future__ import annotations

import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPointF, Qt, QTimer
from PyQt6.QtGui import QFont, QWheelEvent

from scarseg.gui import theme

SIDES = ("left", "bottom", "right", "top")


class Plot(pg.PlotWidget):
    """A plot that the mouse neither zooms nor pans; its items may be dragged.

    Args:
        axes: the sides that have one: "left", "bottom" ...
        background: the colour behind.
    """

    def __init__(self, *axes: str, background: str = theme.PANEL) -> None:
        self._texts: list[tuple[pg.TextItem, int, bool]] = []
        self._axis_size = 0
        super().__init__(background=background)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        viewport = self.viewport()
        viewport.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        viewport.setAutoFillBackground(False)
        plot = self.getPlotItem()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(False, False)
        plot.disableAutoRange()
        plot.layout.setContentsMargins(0, 0, 0, 0)
        plot.vb.setDefaultPadding(0)
        for side in SIDES:
            plot.showAxis(side, side in axes)
            axis = plot.getAxis(side)
            axis.setPen(theme.LINE)
            axis.setTextPen(theme.QUIET)
            axis.setStyle(tickFont=font(11), tickLength=0, tickAlpha=0, hideOverlappingLabels=False)
        plot.vb.sigResized.connect(lambda: self.fit())

    def set_axis_size(self, size: int) -> None:
        """Write at the axes in this size, in pixels of a small window."""
        self._axis_size = size
        for side in SIDES:
            self.getPlotItem().getAxis(side).setTickFont(font(size))

    def add_text(self, colour: str, size: int = 11, bold: bool = False) -> pg.TextItem:
        """Add a text, in the theme's letters."""
        made = pg.TextItem(color=colour)
        made.setFont(font(size, bold))
        self._texts.append((made, size, bold))
        made.textItem.document().setDocumentMargin(0)
        self.addItem(made)
        return made

    def to_view(self, x: float, y: float = 0.0) -> QPointF:
        """Return where a point of the plot is in this widget."""
        return self.getPlotItem().vb.mapViewToScene(QPointF(x, y))

    def from_view(self, at: QPointF) -> QPointF:
        """Return which point of the plot is at a place of this widget."""
        return self.getPlotItem().vb.mapSceneToView(at)

    def fit(self) -> None:
        """Set the ranges for the size the plot has now."""

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the size of the window's letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and self._axis_size:
            for text, size, bold in self._texts:
                text.setFont(font(size, bold))
            self.set_axis_size(self._axis_size)
            QTimer.singleShot(0, self.fit)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()  # the column it stands in scrolls


def font(size: int, bold: bool = False) -> QFont:
    """Return the font of a plot's letters, ``size`` pixels high in a small window."""
    made = QFont()
    made.setPixelSize(theme.px(size))
    made.setBold(bold)
    return made
