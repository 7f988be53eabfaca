"""The empty window: drop area, buttons to open a study, and the first steps."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QEvent, QObject, QRectF, QSize, Qt
from PyQt6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPen, QShowEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from scarseg.gui import theme
from scarseg.gui.dialogs.about import NOTICE
from scarseg.gui.theme import label

BUTTONS = (
    ("open_folder", "Open folder …"),
    ("open_files", "Open files or zip …"),
    ("open_archive", "Open from archive …"),
    ("demo", "Try the demo study"),
)
STEPS = (
    ("1", "Scar is proposed on every slice while you look."),
    ("2", "Agree with Enter, or correct: drag a box or a contour, click a point, take the brush."),
    ("3", "Read the grams; F9 writes the page to sign, Ctrl+E the table."),
)
WIDTH, SMALLEST = 680, QSize(360, 240)
DRAG_EVENTS = (QEvent.Type.DragEnter, QEvent.Type.DragLeave, QEvent.Type.Drop)


class DropArea(QFrame):
    """Dashed frame that is highlighted while something is dragged over the window."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("drop")
        self.over = False
        self.setMaximumWidth(WIDTH)

    def highlight(self, over: bool) -> None:
        self.over = over
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(theme.ACCENT if self.over else theme.MUTED), 1.5, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(theme.colour(theme.ACCENT if self.over else theme.PANEL, 0.10 + 0.3))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 10, 10)
        painter.end()


class Welcome(QWidget):
    """Page shown while no study is open."""

    def __init__(self, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setAccessibleName("Nothing is open")
        self.drop_area = DropArea()
        inner = QVBoxLayout(self.drop_area)
        inner.setContentsMargins(24, 34, 24, 30)
        inner.setSpacing(6)
        for text, name in (
            ("Drop a study here", "welcome"),
            ("a folder, DICOM files, a DICOMDIR or a zip", "quiet"),
        ):
            line = label(text, name)
            line.setAlignment(Qt.AlignmentFlag.AlignCenter)
            inner.addWidget(line)
        inner.addSpacing(14)
        inner.addLayout(self._buttons(actions))
        inner.addWidget(self._last(actions["open_last"]), 0, Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.addStretch(3)
        layout.addWidget(self.drop_area, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(22)
        layout.addLayout(_steps())
        layout.addStretch(4)
        notice = label(NOTICE, "quiet")
        notice.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(notice)
        layout.addSpacing(14)
        self._watched: QWidget | None = None

    def minimumSizeHint(self) -> QSize:
        """Return what may be left of the page where panels stand beside it."""
        return SMALLEST

    def _buttons(self, actions: Mapping[str, QAction]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        self.buttons = []
        for name, text in BUTTONS:
            button = QPushButton(text)
            button.setToolTip(actions[name].toolTip())
            button.clicked.connect(actions[name].trigger)
            button.setDefault(name == "open_folder")
            self.buttons.append(button)
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _last(self, action: QAction) -> QPushButton:
        """Return the button of the last folder, hidden until there is one."""
        button = QPushButton(action.text())
        button.setToolTip(action.toolTip())
        button.setFlat(True)
        button.clicked.connect(action.trigger)

        def show() -> None:
            button.setText(action.text())
            button.setVisible(action.isEnabled())

        action.changed.connect(show)
        button.hide()
        return button

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        if self._watched is None:
            self._watched = self.window()
            assert self._watched is not None
            self._watched.installEventFilter(self)
        self.buttons[0].setFocus()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() in DRAG_EVENTS and watched is self._watched:
            self.drop_area.highlight(event.type() == QEvent.Type.DragEnter)
        return super().eventFilter(watched, event)


def _steps() -> QHBoxLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(5)
    for row, (number, text) in enumerate(STEPS):
        grid.addWidget(label(number, "heading"), row, 0)
        grid.addWidget(label(text, "quiet"), row, 1)
    middle = QHBoxLayout()
    middle.addStretch(1)
    middle.addLayout(grid)
    middle.addStretch(1)
    return middle
