"""Study list left of the slices: studies, series, geometry, warnings, refused files."""

from __future__ import annotations

from html import escape

from PyQt6.QtCore import QEvent, QModelIndex, QPoint, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
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
from scarseg.gui.session.studies.study import Entry, Study
from scarseg.gui.session.studies.study_list import (
    StudyFilter,
    StudyList,
    StudyState,
    count_states,
    split_series,
    state_of,
    state_text,
)
from scarseg.gui.theme import label

SECOND_LINE_ROLE = Qt.ItemDataRole.UserRole + 1
COLOUR_ROLE = Qt.ItemDataRole.UserRole + 2


class TwoLineDelegate(QStyledItemDelegate):
    """Delegate that paints an item as a title with a second, quieter line."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(100, theme.px(42 if index.data(SECOND_LINE_ROLE) else 24))

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
        second = str(index.data(SECOND_LINE_ROLE) or "")
        first = area.adjusted(9, 4, -6, -theme.px(20)) if second else area.adjusted(9, 0, -6, 0)
        name = theme.TEXT if second else str(index.data(COLOUR_ROLE))
        self._line(painter, first, 12, chosen, name, str(index.data()))
        below = area.adjusted(9, theme.px(21), -6, -3)
        self._line(painter, below, 11, False, str(index.data(COLOUR_ROLE)), second)
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


def two_line_list(name: str) -> QListWidget:
    widget = QListWidget()
    widget.setAccessibleName(name)
    widget.setItemDelegate(TwoLineDelegate(widget))
    widget.setMouseTracking(True)
    widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    widget.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return widget


def two_line_item(title: str, second: str, colour: str, tip: str, value: object) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(SECOND_LINE_ROLE, second)
    item.setData(COLOUR_ROLE, colour)
    item.setData(Qt.ItemDataRole.UserRole, value)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title}, {second}")
    item.setToolTip(tip)
    return item


FOLD = "fold"
STATE_COLOURS = {
    StudyState.TO_READ: theme.QUIET,
    StudyState.IN_PROGRESS: theme.ACCENT,
    StudyState.READ: theme.GREEN,
    StudyState.FAILED: theme.RED,
}


class FilterEdit(QLineEdit):
    """Line edit for the filter; Esc clears it and returns the focus, Enter opens what was found.

    Signals:
        left: Esc was pressed.
        entered: Enter was pressed.
    """

    left = pyqtSignal()
    entered = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setPlaceholderText("Find")
        self.setToolTip(
            "Part of a name, date, state or series (Ctrl+F); Enter opens the first, Esc shows all"
        )
        self.setAccessibleName("Find a study")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.returnPressed.connect(self.entered)

    def event(self, event: QEvent | None) -> bool:
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.clear()
            self.left.emit()
            return
        super().keyPressEvent(event)


class StudiesPanel(QWidget):
    """Lists of the studies and of the series of the current study.

    Signals:
        entry_chosen: the entry to open.
        left: the reader leaves the filter.
        sorted: the list has another order.
        open_row_hidden: whether the filter hides the row of the open study.
    """

    entry_chosen = pyqtSignal(object)
    left = pyqtSignal()
    sorted = pyqtSignal()
    open_row_hidden = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("side")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Studies and series")
        self.setMinimumWidth(180)
        self.studies, self.series = (
            two_line_list("Studies"),
            two_line_list("Series of this study"),
        )
        self.studies.itemClicked.connect(self._study_clicked)
        self.series.itemClicked.connect(self._series_clicked)
        self.state, self.line = _state_filter(), FilterEdit()
        self.state.currentIndexChanged.connect(self._refresh)
        self.line.textChanged.connect(self._refresh)
        self.line.left.connect(self.left)
        self.line.entered.connect(self._open_first)
        self.by_doubt = QToolButton()
        self.by_doubt.setText("?↓")
        self.by_doubt.setCheckable(True)
        self.by_doubt.setProperty("tight", True)
        self.by_doubt.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.by_doubt.setAccessibleName("Most doubtful first")
        self.by_doubt.setToolTip("Show the studies with the most doubtful slices first")
        self.by_doubt.toggled.connect(self._sort)
        self.geometry_label = label("", "quiet", "Geometry of the stack")
        self.geometry_label.setWordWrap(True)
        self.warnings_label = label("", "warning", "Warnings about the stack")
        self.warnings_label.setWordWrap(True)
        self.next = QToolButton()
        self.next.setObjectName("foot")
        self._library: StudyList | None = None
        self._current: Entry | None = None
        self._shown: Entry | None = None
        self._filter = StudyFilter()
        self._hidden = False
        self._unfolded = False
        self._arrange()

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 14, 8, 10)
        layout.setSpacing(4)
        heading, series_heading = label("STUDIES", "heading"), label("SERIES", "heading")
        for each in (heading, series_heading, self.geometry_label, self.warnings_label):
            each.setIndent(6)
        filters = QHBoxLayout()
        filters.setSpacing(4)
        filters.addWidget(self.state, 3)
        filters.addWidget(self.line, 2)
        head = QHBoxLayout()
        head.addWidget(heading)
        head.addStretch(1)
        head.addWidget(self.by_doubt)
        layout.addLayout(head)
        layout.addLayout(filters)
        layout.addWidget(self.studies, 3)
        layout.addWidget(series_heading)
        layout.addWidget(self.series, 2)
        layout.addWidget(self.geometry_label)
        layout.addWidget(self.warnings_label)
        layout.addSpacing(6)
        layout.addWidget(self.next)

    def find_study(self) -> None:
        """Focus the filter."""
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.line.selectAll()

    def show_study_list(self, library: StudyList, current: Entry | None) -> None:
        """Show the studies that pass the filter, and the series of the current one."""
        self._library, self._current = library, current
        if current is not None:
            library.last_opened[library.study_of(current)] = current
        self._refresh()

    def _refresh(self) -> None:
        if self._library is None:
            return
        current = self._current
        study = None if current is None else self._library.study_of(current)
        top = self.studies.indexAt(QPoint(4, 4)).row()
        self._library.filter = StudyFilter(self.line.text(), self.state.currentData())
        filtered_anew, self._filter = self._library.filter != self._filter, self._library.filter
        # The open study stays in the list although reading changes its state, until the filter
        # is another or another study is opened: no key acts on a row that is out of sight.
        stays = current is self._shown and not filtered_anew and not self._hidden
        self.studies.clear()
        self._count_states(self._library)
        chosen = self._fill(self._library, study, study if stays else None)
        if (first := self.studies.item(max(top, 0))) is not None:
            self.studies.scrollToItem(first, QListWidget.ScrollHint.PositionAtTop)
        if current is not self._shown:
            self._unfolded = False
        if chosen is not None and (current is not self._shown or filtered_anew):
            self.studies.scrollToItem(chosen)
        self._shown = current
        hidden = study is not None and chosen is None
        if hidden is not self._hidden:
            self._hidden = hidden
            self.open_row_hidden.emit(hidden)
        self._fill_series(study)
        self._show_geometry(current)

    def _sort(self, by_doubt: bool) -> None:
        if self._library is not None:
            self._library.by_doubt = by_doubt
            self.sorted.emit()

    @property
    def hides_open(self) -> bool:
        """Return whether the filter hides the row of the open study."""
        return self._hidden

    def _count_states(self, library: StudyList) -> None:
        """Show the number of studies in each state in the filter."""
        states = [state_of(library.entry_of(study)) for study in library.studies]
        states += [StudyState.FAILED] * len(library.refused)
        self.state.setItemText(0, f"All {len(states)}")
        for row, (state, n) in enumerate(count_states(states).items(), start=1):
            self.state.setItemText(row, f"{str(state).capitalize()} {n}")

    def _fill(
        self, library: StudyList, current: Study | None, stays: Study | None
    ) -> QListWidgetItem | None:
        """Fill the list of studies and return the row of the current one, if it is shown."""
        wanted, text, chosen = library.filter.state, library.filter.text, None
        for study in library.ordered:
            if study is not stays and not library.shows(study):
                continue
            entry = library.entry_of(study)
            item = _study_item(study, entry, state_text(entry))
            self.studies.addItem(item)
            item.setSelected(study is current)
            chosen = item if study is current else chosen
        if wanted in (None, StudyState.FAILED):
            for refusal in library.refused:
                name = refusal.path.rsplit("/", 1)[-1]
                if text.casefold() in f"{name} {refusal.code} failed".casefold():
                    item = two_line_item(
                        name, f"failed · {refusal.code}", theme.RED, refusal.message, None
                    )
                    self.studies.addItem(item)
        if not self.studies.count() and (library.studies or library.refused):
            self.studies.addItem(
                two_line_item("No study passes the filter", "", theme.QUIET, "", None)
            )
        return chosen

    def _fill_series(self, study: Study | None) -> None:
        self.series.clear()
        likely, rest = split_series(study.entries if study else (), self._current)
        for entry in likely:
            self._add_series(entry)
        if not rest:
            return
        arrow = "▾" if self._unfolded else "▸"
        words = f"{arrow} {len(rest)} other series"
        tip = "Show or hide the series that are less likely to be read, such as localizers or cine"
        self.series.addItem(two_line_item(words, "", theme.QUIET, tip, FOLD))
        for entry in rest if self._unfolded else ():
            self._add_series(entry)

    def _add_series(self, entry: Entry) -> None:
        item = _series_item(entry)
        self.series.addItem(item)
        item.setSelected(entry is self._current)

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
        if isinstance(study, Study):
            self._open(study)

    def _open(self, study: Study) -> None:
        entry = None if self._library is None else self._library.entry_of(study)
        if entry is not None:
            self.entry_chosen.emit(entry)

    def _open_first(self) -> None:
        """Open the first study that was found, where something was looked for."""
        found = self.studies.item(0)
        study = None if found is None else found.data(Qt.ItemDataRole.UserRole)
        if self.line.text().strip() and isinstance(study, Study):
            self._open(study)
        self.left.emit()

    def show_all(self) -> None:
        """Clear the filter; the list scrolls to the open study."""
        self.state.setCurrentIndex(0)
        self.line.clear()

    def _series_clicked(self, item: QListWidgetItem) -> None:
        entry = item.data(Qt.ItemDataRole.UserRole)
        if isinstance(entry, Entry):
            self.entry_chosen.emit(entry)
        elif entry == FOLD:
            self._unfolded = not self._unfolded
            self._refresh()


def _state_filter() -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName("Show studies that are")
    combo.setToolTip("Show only studies in this state, with their number")
    combo.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.addItem("All", None)
    for state in StudyState:
        combo.addItem(str(state).capitalize(), state)
    view = combo.view()
    if view is not None:
        view.setMinimumWidth(140)
    return combo


def _study_item(study: Study, entry: Entry | None, words: str) -> QListWidgetItem:
    colour = STATE_COLOURS[state_of(entry)]
    if entry is not None and state_of(entry) is StudyState.TO_READ and entry.reading_summary:
        colour = theme.YELLOW
    return two_line_item(study.title, words, colour, "" if entry is None else entry.title, study)


def _series_item(entry: Entry) -> QListWidgetItem:
    short = " · ".join(entry.geometry.split(" · ")[:2])
    mark = " ⚠" if entry.warnings else ""
    tip = "\n".join([entry.geometry, *(f"{w.code}: {w.message}" for w in entry.warnings)])
    colour = theme.RED if entry.code else theme.YELLOW if entry.warnings else theme.QUIET
    return two_line_item(entry.title, (entry.code or short) + mark, colour, tip, entry)
