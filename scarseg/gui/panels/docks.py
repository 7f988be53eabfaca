"""The panels of the window as docks: side by side, in tabs or afloat, as the reader left them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from PyQt6.QtCore import QByteArray, QChildEvent, QEvent, QObject, QSettings, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import (
    QAbstractButton,
    QDockWidget,
    QMainWindow,
    QTabBar,
    QTabWidget,
    QToolButton,
    QWidget,
)

from scarseg.gui import theme

GEOMETRY_KEY, STATE_KEY = "window/geometry", "window/panels"
STATE_VERSION = 1
"""Other panels than these need another number, or what is remembered does not fit."""
LEFT, RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea

_SVG = f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none"
stroke="{theme.TEXT}" stroke-width="1.6"><path d="{{}}"/></svg>'''
BUTTONS = {
    "qt_dockwidget_floatbutton": _SVG.format("M3 6h7v7H3z M6 6V3h7v7h-3"),
    "qt_dockwidget_closebutton": _SVG.format("M4 4l8 8 M12 4l-8 8"),
}
"""Icons of the buttons in the title of a dock, by their names in Qt, whose own icons are dark."""


@dataclass(eq=False)
class _Panel:
    """A dock, the action that opens it, and whether the reader wants it and it has content."""

    dock: QDockWidget
    action: QAction | None
    wanted: bool = True
    usable: bool = False


class PanelDocks(QObject):
    """Show each panel in a dock of its own; remember where they stand and the window's size.

    A panel is visible while the reader wants it (its action is checked) and there is something
    for it to show (:meth:`set_usable`). Panels that share a side stand one above the other until
    :meth:`arrange` puts them into tabs.
    """

    def __init__(self, window: QMainWindow, settings: QSettings) -> None:
        super().__init__(window)
        self._window, self._settings = window, settings
        self._panels: dict[str, _Panel] = {}
        self.remembered = False
        window.setDockNestingEnabled(True)
        window.installEventFilter(self)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        for corner, side in (
            (Qt.Corner.TopLeftCorner, LEFT), (Qt.Corner.BottomLeftCorner, LEFT),
            (Qt.Corner.TopRightCorner, RIGHT), (Qt.Corner.BottomRightCorner, RIGHT),
        ):  # fmt: skip
            window.setCorner(corner, side)

    def add(
        self,
        name: str,
        title: str,
        panel: QWidget,
        side: Qt.DockWidgetArea = RIGHT,
        action: QAction | None = None,
        wanted: bool = True,
    ) -> QDockWidget:
        """Add a panel; ``action`` opens and closes it, without one it always stays open."""
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setAccessibleName(title)
        features = QDockWidget.DockWidgetFeature.DockWidgetMovable
        features |= QDockWidget.DockWidgetFeature.DockWidgetFloatable
        if action is not None:
            features |= QDockWidget.DockWidgetFeature.DockWidgetClosable
        dock.setFeatures(features)
        if action is None:
            dock.setTitleBarWidget(QWidget())  # it has its own heading, and stays where it is
        dock.setWidget(panel)
        panel.show()
        self._window.addDockWidget(side, dock)
        self._panels[name] = _Panel(dock, action, wanted)
        if action is not None:
            action.setChecked(wanted)
            action.toggled.connect(partial(self._want, name))
            dock.installEventFilter(self)
        dock.hide()
        return dock

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Uncheck the action of a panel that is closed by its own button; name new tab bars."""
        if isinstance(event, QChildEvent) and isinstance(event.child(), QTabBar):
            _name_tabs(event.child())
        if event is not None and event.type() == QEvent.Type.Close:
            for panel in self._panels.values():
                if panel.dock is watched and panel.action is not None:
                    panel.action.setChecked(False)
        return super().eventFilter(watched, event)

    def arrange(self, names: Sequence[str], side_by_side: bool) -> None:
        """Arrange panels as tabs in one place, the first in front, or one beside the other.

        Only panels side by side have a title bar, by which they can be dragged elsewhere.
        """
        docks = [self._panels[name].dock for name in names]
        for before, dock in pairwise(docks):
            if side_by_side:
                self._window.splitDockWidget(before, dock, Qt.Orientation.Horizontal)
            else:
                self._window.tabifyDockWidget(docks[0], dock)
        for dock in docks:
            dock.setTitleBarWidget(None if side_by_side else QWidget())
            for button, svg in BUTTONS.items():
                if (found := dock.findChild(QAbstractButton, button)) is not None:
                    found.setIcon(theme.icon(svg))
        docks[0].raise_()

    def set_sizes(self, widths: Mapping[str, int], heights: Mapping[str, int]) -> None:
        """Set sizes in pixels, by name, where nothing is remembered."""
        for sizes, way in (
            (widths, Qt.Orientation.Horizontal), (heights, Qt.Orientation.Vertical),
        ):  # fmt: skip
            docks = [self._panels[name].dock for name in sizes]
            self._window.resizeDocks(docks, list(sizes.values()), way)

    def shows(self, name: str) -> bool:
        """Return whether a panel is open and has something to show."""
        return self._panels[name].wanted and self._panels[name].usable

    def set_usable(self, usable: bool, *names: str) -> None:
        """Set whether some panels have something to show."""
        for name in names:
            self._panels[name].usable = usable
            self._fit(name)

    def _want(self, name: str, wanted: bool) -> None:
        panel = self._panels[name]
        behind = panel.dock.isVisible() and panel.dock.visibleRegion().isEmpty()
        if not wanted and behind and panel.action is not None:
            panel.action.setChecked(True)  # behind another tab: the reader wants to see it
            return
        panel.wanted = wanted
        self._fit(name)
        if wanted and panel.usable:
            panel.dock.raise_()

    def _fit(self, name: str) -> None:
        self._panels[name].dock.setVisible(self.shows(name))

    def restore(self) -> None:
        """Restore size, places and open panels of last time."""
        geometry = self._settings.value(GEOMETRY_KEY)
        state = self._settings.value(STATE_KEY)
        if isinstance(geometry, QByteArray):
            self._window.restoreGeometry(geometry)
        if isinstance(state, QByteArray):
            self.remembered = self._window.restoreState(state, STATE_VERSION)
        for name, panel in self._panels.items():
            if panel.action is not None:
                kept = self._settings.value(f"panels/{name}", panel.wanted, type=bool)
                panel.action.setChecked(bool(kept))
            self._fit(name)

    def save(self) -> None:
        """Remember size, places and open panels."""
        self._settings.setValue(GEOMETRY_KEY, self._window.saveGeometry())
        self._settings.setValue(STATE_KEY, self._window.saveState(STATE_VERSION))
        for name, panel in self._panels.items():
            if panel.action is not None:
                self._settings.setValue(f"panels/{name}", panel.wanted)


def _name_tabs(bar: QObject | None) -> None:
    """Set the accessible names of a tab bar, which Qt creates, and of its buttons."""
    if isinstance(bar, QTabBar):
        bar.setAccessibleName("Panels")
        for button in bar.findChildren(QToolButton):
            button.setToolTip("Show the tabs before or after")
