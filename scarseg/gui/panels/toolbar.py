"""Tool bar: menu, tools, what they show in little room, and the open stack in a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QAction, QColor, QPainter, QResizeEvent
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from scarseg.gui import theme
from scarseg.gui.actions import ACTIONS, MENUS, SEPARATED, shortcut_text
from scarseg.gui.theme import label
from scarseg.gui.tool_buttons import ToolBarButton, tool_icon

TOOL_BAR_ACTIONS = (
    "box",
    "point",
    "brush",
    "threshold",
    "eraser",
    "flood",
    "lasso",
    "polygon",
    "",
    "segment",
    "no_scar",
    "not_assessable",
    "accept",
    "",
)
SHORT_TEXTS = {"not_assessable": "N/A", "threshold": "Threshold"}
"""Text of a tool button where that of the menu is too long."""
DETAILS = ((True, True, True), (False, True, True), (True, False, True), (True, False, False))
"""Whether buttons show icons, words and keys, from the widest tool bar to the narrowest."""
KEY_SYMBOLS = {"Space": "␣", "Return": "⏎", "Enter": "⏎"}


def _rule() -> QFrame:
    """Return the thin line between groups of tool buttons."""
    line = QFrame()
    line.setObjectName("rule")
    line.setFixedSize(1, 18)
    return line


class ElidedLabel(QLabel):
    """A one-line label that ends in an ellipsis where its text does not fit.

    Where not even half of it fits, it is left to the tool tip.
    """

    def __init__(self, name: str, side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignRight) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._text, self._side = "", side

    def set_line(self, text: str) -> None:
        self._text = text
        self.setToolTip(text)
        self.update()

    def text(self) -> str:
        return self._text

    def paintEvent(self, event: object) -> None:
        if 2 * self.width() < self.fontMetrics().horizontalAdvance(self._text):
            return
        painter = QPainter(self)
        line = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(QColor(theme.QUIET))
        painter.drawText(self.rect(), self._side | Qt.AlignmentFlag.AlignVCenter, line)
        painter.end()


class ToolBar(QWidget):
    """Tool bar: menu, tool buttons, and the geometry of the open stack."""

    def __init__(self, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Tools")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 4, 12, 4)
        layout.setSpacing(2)
        self.recent = QMenu("Open recent", self)
        self.recent.setEnabled(False)
        self.menu = _menu(self, actions, {"open_last": self.recent})
        self._buttons: list[ToolBarButton] = []
        layout.addWidget(self._menu_button())
        rows = {row.name: row for row in ACTIONS}
        for name in TOOL_BAR_ACTIONS:
            if not name:
                layout.addWidget(_rule())
                continue
            key = shortcut_text(rows[name])
            word = SHORT_TEXTS.get(name, rows[name].text)
            self._add(layout, actions[name], name, word, KEY_SYMBOLS.get(key, key))
        for name, key in (("undo", ""), ("redo", ""), ("montage", "M")):
            self._add(layout, actions[name], name, "", key)
        self.geometry_line = ElidedLabel("quiet")
        self.geometry_line.setAccessibleName("Open stack")
        self.warning = label("", "warning", "Warnings about the stack")
        layout.addWidget(self.geometry_line, 1)
        layout.addSpacing(8)
        layout.addWidget(self.warning)

    def _add(self, layout: QHBoxLayout, action: QAction, name: str, word: str, key: str) -> None:
        button = ToolBarButton(action, name, word, key)
        self._buttons.append(button)
        layout.addWidget(button)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_buttons()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            self._fit_buttons()

    def _fit_buttons(self) -> None:
        """Show icons and words of the tools where there is room, else words, else icons."""
        for details in DETAILS:
            for button in self._buttons:
                button.show_parts(*details)
            if super().minimumSizeHint().width() <= self.width():
                return

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def show_recent(self, folders: Sequence[Path], open_folder: Callable[[Path], None]) -> None:
        """Fill the menu of the folders that were opened last."""
        self.recent.clear()
        for folder in folders:
            action = self.recent.addAction(str(folder))
            assert action is not None
            action.triggered.connect(partial(lambda path, _checked: open_folder(path), folder))
        self.recent.setEnabled(bool(folders))

    def _menu_button(self) -> QToolButton:
        button = QToolButton()
        button.setIcon(tool_icon("menu"))
        button.setToolTip("Menu")
        button.setAccessibleName("Menu")
        button.setMenu(self.menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return button


def _menu(parent: QWidget, actions: Mapping[str, QAction], below: Mapping[str, QMenu]) -> QMenu:
    """Return the menu of the table; ``below`` holds menus that stand below an action."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    for title in MENUS:
        submenu = menu.addMenu(title)
        assert submenu is not None
        submenu.setToolTipsVisible(True)
        for row in ACTIONS:
            if row.menu == title:
                if row.name in SEPARATED:
                    submenu.addSeparator()
                submenu.addAction(actions[row.name])
                if row.name in below:
                    submenu.addMenu(below[row.name])
    return menu
