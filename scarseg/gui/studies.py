"""What stands left of the slice: studies, series, geometry, warnings, refusals."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import QModelIndex, QPoint, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui import theme
from scarseg.gui.library import Entry, Library, Study
from scarseg.gui.panels import label

SECOND = Qt.ItemDataRole.UserRole + 1
COLOUR = Qt.ItemDataRole.UserRole + 2


class TwoLines(QStyledItemDelegate):
    """Paint an item as a title and a quieter line beneath it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(100, 42)

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
        self._line(painter, area.adjusted(9, 4, -6, -20), 12, chosen, theme.TEXT, str(index.data()))
        second = str(index.data(SECOND) or "")
        self._line(
            painter, area.adjusted(9, 21, -6, -3), 11, False, str(index.data(COLOUR)), second
        )
        painter.restore()

    def _line(
        self, painter: QPainter, area: QRect, size: int, bold: bool, name: str, text: str
    ) -> None:
        font = painter.font()
        font.setPixelSize(size)
        font.setBold(bold)
        painter.setFont(font)
        painter.setPen(QColor(name))
        elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, elided)


def _list(name: str) -> QListWidget:
    made = QListWidget()
    made.setAccessibleName(name)
    made.setItemDelegate(TwoLines(made))
    made.setMouseTracking(True)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return made


def _item(title: str, second: str, colour: str, tip: str, value: object) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(SECOND, second)
    item.setData(COLOUR, colour)
    item.setData(Qt.ItemDataRole.UserRole, value)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title}, {second}")
    item.setToolTip(tip)
    return item


class StudiesPanel(QWidget):
    """Choose a study, and within it a series.

    Signals:
        entry_chosen: the reader wants this entry on the desk.
    """

    entry_chosen = pyqtSignal(object)
    left = pyqtSignal()

    def find(self) -> None:
        """Go to where the list is filtered."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Studies and series")
        self.setFixedWidth(212)
        self.studies, self.series = _list("Studies"), _list("Series of this study")
        self.studies.itemClicked.connect(self._study_clicked)
        self.series.itemClicked.connect(self._series_clicked)
        self.geometry_label = label("", "quiet", "Geometry of the stack")
        self.geometry_label.setWordWrap(True)
        self.warnings_label = label("", "warning", "Warnings about the stack")
        self.warnings_label.setWordWrap(True)
        self.next = QToolButton()
        self.next.setObjectName("foot")
        self.series_heading = label("SERIES", "heading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 14, 8, 10)
        layout.setSpacing(4)
        for heading, view, stretch in (
            (label("STUDIES", "heading"), self.studies, 3),
            (self.series_heading, self.series, 2),
        ):
            heading.setIndent(6)
            layout.addWidget(heading)
            layout.addWidget(view, stretch)
        for line in (self.geometry_label, self.warnings_label):
            line.setIndent(6)
            layout.addWidget(line)
        layout.addSpacing(6)
        layout.addWidget(self.next)
        self._shown: Entry | None = None

    def show_library(self, library: Library, current: Entry | None) -> None:
        """Show all studies, and the series of the current one."""
        study = None if current is None else library.study_of(current)
        top = self.studies.indexAt(QPoint(4, 4)).row()
        chosen = None
        self.studies.clear()
        for each in library.studies:
            item = _study_item(each, current)
            self.studies.addItem(item)
            item.setSelected(each is study)
            chosen = item if each is study else chosen
        for refusal in library.refused:
            name = refusal.path.rsplit("/", 1)[-1]
            self.studies.addItem(_item(name, refusal.code, theme.RED, refusal.message, None))
        if (first := self.studies.item(max(top, 0))) is not None:
            self.studies.scrollToItem(first, QListWidget.ScrollHint.PositionAtTop)
        if current is not self._shown and chosen is not None:
            self.studies.scrollToItem(chosen)
        self._shown = current
        self.series.clear()
        for entry in sorted(study.entries if study else (), key=lambda entry: not entry.proposed):
            item = _series_item(entry)
            self.series.addItem(item)
            item.setSelected(entry is current)
        self._show_geometry(current)

    def _show_geometry(self, entry: Entry | None) -> None:
        self.geometry_label.setText("" if entry is None else entry.geometry.replace(" · ", "\n"))
        warnings = () if entry is None else entry.warnings
        self.warnings_label.setText(
            "".join(
                f'<p style="margin: 0 0 4px 0">⚠ <b>{each.code}</b>'
                f'<span style="color: {theme.QUIET}; font-weight: 400"> {escape(each.message)}'
                "</span></p>"
                for each in warnings
            )
        )
        self.warnings_label.setVisible(bool(warnings))

    def _study_clicked(self, item: QListWidgetItem) -> None:
        study = item.data(Qt.ItemDataRole.UserRole)
        if isinstance(study, Study) and study.proposed is not None:
            self.entry_chosen.emit(study.proposed)

    def _series_clicked(self, item: QListWidgetItem) -> None:
        entry = item.data(Qt.ItemDataRole.UserRole)
        if isinstance(entry, Entry):
            self.entry_chosen.emit(entry)


def _study_item(study: Study, current: Entry | None) -> QListWidgetItem:
    entry = current if current in study.entries else study.proposed
    if entry is None:
        return _item(study.title, "no series", theme.QUIET, "", study)
    if entry.code:
        return _item(study.title, entry.code, theme.RED, "", study)
    colour = theme.GREEN if entry.read else theme.ACCENT if entry is current else theme.QUIET
    if entry.standing.endswith("proposed") and entry is not current:
        colour = theme.YELLOW
    return _item(study.title, entry.standing or "not opened yet", colour, entry.title, study)


def _series_item(entry: Entry) -> QListWidgetItem:
    short = " · ".join(entry.geometry.split(" · ")[:2])
    mark = " ⚠" if entry.warnings else ""
    tip = "\n".join([entry.geometry, *(f"{w.code}: {w.message}" for w in entry.warnings)])
    colour = theme.RED if entry.code else theme.YELLOW if entry.warnings else theme.QUIET
    return _item(entry.title, (entry.code or short) + mark, colour, tip, entry)
