"""The cursor of a hand without a mouse."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from scarseg.gui import theme

SIDE = 41
"""Its width and height, in screen pixels."""


class Cross(QWidget):
    """The cursor; its middle stays free to see what lies there."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Keyboard cursor")
        self.setFixedSize(SIDE, SIDE)
        self.pressed = False
        self.hide()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        middle, gap = SIDE / 2, 5.0
        colour = theme.ACCENT if self.pressed else "#ffffff"
        for name, width in (("#000000", 4.0), (colour, 2.0)):
            painter.setPen(QPen(QColor(name), width))
            for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                one = QPointF(middle + x * gap, middle + y * gap)
                painter.drawLine(one, QPointF(middle + x * (middle - 2), middle + y * (middle - 2)))
        painter.end()
