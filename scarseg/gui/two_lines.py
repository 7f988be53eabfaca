"""Lists whose items are a title and a quieter line beneath it."""

from __future__ import annotations

from PyQt6.QtCore import QModelIndex, QRect, QSize, Qt
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from scarseg.gui import theme

SECOND = Qt.ItemDataRole.UserRole + 1
COLOUR = Qt.ItemDataRole.UserRole + 2


class TwoLines(QStyledItemDelegate):
    """Paint an item as a title and a quieter line beneath it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(100, theme.px(42 if index.data(SECOND) else 24))

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        if painter is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        area = option.rect.adjusted(2, 1, -2, -1)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.RAISED if chosen else "#1a2027"))
            painter.drawRoundedRect(area, 5, 5)
        second = str(index.data(SECOND) or "")
        first = area.adjusted(9, 4, -6, -theme.px(20)) if second else area.adjusted(9, 0, -6, 0)
        name = theme.TEXT if second else str(index.data(COLOUR))
        self._line(painter, first, 12, chosen, name, str(index.data()))
        below = area.adjusted(9, theme.px(21), -6, -3)
        self._line(painter, below, 11, False, str(index.data(COLOUR)), second)
        painter.restore()

    def _line(
        self, painter: QPainter, area: QRect, size: int, bold: bool, name: str, text: str
    ) -> None:
        font = painter.font()
        font.setPixelSize(theme.px(size))
        font.setBold(bold)
        painter.setFont(font)
        painter.setPen(QColor(name))
        elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, elided)


def list_of_two_lines(name: str) -> QListWidget:
    made = QListWidget()
    made.setAccessibleName(name)
    made.setItemDelegate(TwoLines(made))
    made.setMouseTracking(True)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return made


def two_lines(title: str, second: str, colour: str, tip: str, value: object) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(SECOND, second)
    item.setData(COLOUR, colour)
    item.setData(Qt.ItemDataRole.UserRole, value)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title}, {second}")
    item.setToolTip(tip)
    return item
