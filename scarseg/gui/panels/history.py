"""History panel: the undo stack of the open case as a list; a click undoes or redoes to a step."""

from __future__ import annotations

from typing import Any

from PyQt6 import sip
from PyQt6.QtCore import QAbstractListModel, QEvent, QModelIndex, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter
from PyQt6.QtWidgets import (
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from scarseg.gui import theme
from scarseg.gui.session.document import UNDO_LIMIT, Document, SliceCommand

ROW_HEIGHT = 20
MAX_EARLIER = 20
"""Steps of earlier sessions that the tool tip of the first line lists."""
SLICE, TIME, UNDONE = (Qt.ItemDataRole.UserRole + n for n in (1, 2, 3))
LIST_KEYS = (
    *(Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown),
    *(Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape),
)
"""Keys that the focused list handles itself, instead of the shortcuts of the slices."""


class HistoryModel(QAbstractListModel):
    """Model of the undo stack: row 0 is the state when opened, row n the state after step n."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._shown: Document | None = None

    @property
    def _document(self) -> Document | None:
        """The document; None once Qt has deleted it, which a closing window does first."""
        gone = self._shown is None or sip.isdeleted(self._shown)
        return None if gone else self._shown

    def show(self, document: Document | None) -> None:
        """Show another document, or none."""
        self.beginResetModel()
        self._shown = document
        self.endResetModel()

    def refresh(self) -> None:
        """Read the steps again."""
        self.beginResetModel()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own
        document = self._document
        return 0 if document is None else document.undo_stack.count() + 1

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        document = self._document
        if document is None or not index.isValid():
            return None
        stack = document.undo_stack
        step = stack.command(index.row() - 1) if index.row() else None
        verb = number = ""
        if step is not None and step.childCount():  # one step on several slices
            verb, step = step.text(), step.child(0)
        if not isinstance(step, SliceCommand):
            return _first(document, role)
        if not verb:
            verb, number = step.verb, str(step.change.slice_index + 1)
        if role == Qt.ItemDataRole.DisplayRole:
            return verb
        if role == SLICE:
            return number
        if role == TIME:
            return step.at.strftime("%H:%M:%S")
        if role == UNDONE:
            return index.row() > stack.index()
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            undone = ", undone" if index.row() > stack.index() else ""
            return f"{step.text() if number else verb}, {step.at:%H:%M:%S}{undone}"
        return None


def _first(document: Document, role: int) -> str | None:
    """Return the data of the first row: how far back the list goes."""
    full = document.undo_stack.count() == UNDO_LIMIT
    if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
        return f"{UNDO_LIMIT} steps back" if full else "as opened"
    if role == Qt.ItemDataRole.ToolTipRole:
        names = document.previous_history
        lines = [f"{len(names)} steps before this session", *names[-MAX_EARLIER:]]
        return "\n".join(lines) if names else "Nothing was done before this session."
    return None


class HistoryDelegate(QStyledItemDelegate):
    """Delegate that paints a step in one line: slice, edit, time; undone steps are grey."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(80, ROW_HEIGHT)

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        if painter is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        here = bool(option.state & QStyle.StateFlag.State_Selected)
        area = option.rect
        if here or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.LINE if here else theme.RAISED))
            painter.drawRoundedRect(area.adjusted(0, 1, -4, -1), 4, 4)
        if here:
            painter.setBrush(QColor(theme.ACCENT))
            painter.drawRoundedRect(QRect(area.left(), area.top() + 3, 3, ROW_HEIGHT - 6), 1, 1)
        strong = theme.MUTED if index.data(UNDONE) else theme.TEXT
        quiet = theme.MUTED if index.data(UNDONE) else theme.QUIET
        time = str(index.data(TIME) or "")
        across = painter.fontMetrics().horizontalAdvance(time) + 10 if time else 4
        self._write(painter, QRect(area.left() + 6, area.top(), 20, ROW_HEIGHT), quiet,
                    str(index.data(SLICE) or ""), Qt.AlignmentFlag.AlignRight)  # fmt: skip
        self._write(painter, area.adjusted(34, 0, -across, 0), strong, str(index.data()))
        self._write(painter, area.adjusted(34, 0, -8, 0), quiet, time, Qt.AlignmentFlag.AlignRight)
        painter.restore()

    def _write(
        self,
        painter: QPainter,
        area: QRect,
        colour: str,
        text: str,
        side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        painter.setPen(QColor(colour))
        fitting = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | side, fitting)


class HistoryView(QListView):
    """List of the steps; with the focus, arrow keys move through them.

    Signals:
        left: the reader leaves the list.
    """

    left = pyqtSignal()

    def event(self, event: QEvent | None) -> bool:
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() in LIST_KEYS
            and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (
            Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape,
        ):  # fmt: skip
            self.left.emit()
            return
        super().keyPressEvent(event)


class HistoryPanel(QWidget):
    """The steps of the open case with the current one selected.

    Signals:
        chosen: undo or redo to the state after this many steps.
        left: the reader leaves the list.
    """

    chosen = pyqtSignal(int)
    left = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("History")
        self.view = HistoryView()
        self.view.setAccessibleName("Steps of this case")
        self.view.setItemDelegate(HistoryDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setMinimumSize(130, 5 * ROW_HEIGHT)
        self.steps = HistoryModel(self)
        self.view.setModel(self.steps)
        self.view.left.connect(self.left)
        self._selecting = False
        selection = self.view.selectionModel()
        assert selection is not None
        selection.currentChanged.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 2, 4, 4)
        layout.addWidget(self.view, 1)
        self._document: Document | None = None
        self.hide()

    def follow(self, document: Document) -> None:
        """Show the steps of the document that was opened."""
        self._document = document
        self.steps.show(document)
        document.undo_stack.indexChanged.connect(self._refresh)
        self._select_current()

    def forget(self) -> None:
        """Clear the list: no case is open."""
        self._document = None
        self.steps.show(None)

    def _refresh(self) -> None:
        if self._document is not None and self.isVisibleTo(self.window()):
            self._selecting = True
            self.steps.refresh()
            self._selecting = False
            self._select_current()

    def showEvent(self, event: object) -> None:
        self._refresh()

    def _select_current(self) -> None:
        if self._document is None or sip.isdeleted(self._document):
            return
        self._selecting = True
        here = self.steps.index(self._document.undo_stack.index())
        self.view.setCurrentIndex(here)
        self.view.scrollTo(here)
        self._selecting = False

    def _choose(self, index: QModelIndex) -> None:
        if not self._selecting and index.isValid():
            self.chosen.emit(index.row())
