"""Tool bar, and the row of view options: label, brush size, opacity, window level, threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from scarseg.case.labels import Label
from scarseg.gui import theme
from scarseg.gui.actions import ACTIONS, MENUS, SEPARATED, shortcut_text
from scarseg.gui.theme import label
from scarseg.gui.viewer import window_level
from scarseg.quant.suggested_threshold import SuggestedThreshold

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
        layout.addWidget(self._menu_button())
        rows = {row.name: row for row in ACTIONS}
        for name in TOOL_BAR_ACTIONS:
            if not name:
                layout.addWidget(_rule())
                continue
            key = shortcut_text(rows[name])
            text = f"{SHORT_TEXTS.get(name, rows[name].text)}  {KEY_SYMBOLS.get(key, key)}"
            button = configure_button(actions[name], text)
            button.setProperty("tight", True)
            layout.addWidget(button)
        layout.addWidget(configure_button(actions["undo"], "↶"))
        layout.addWidget(configure_button(actions["redo"], "↷"))
        montage = configure_button(actions["montage"], "▦  M")
        montage.setProperty("tight", True)
        layout.addWidget(montage)
        self.geometry_line = ElidedLabel("quiet")
        self.geometry_line.setAccessibleName("Open stack")
        self.warning = label("", "warning", "Warnings about the stack")
        layout.addWidget(self.geometry_line, 1)
        layout.addSpacing(8)
        layout.addWidget(self.warning)

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
        button.setText("☰")
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


def configure_button(action: QAction, text: str, button: QToolButton | None = None) -> QToolButton:
    """Bind a tool button, new by default, to an action, with a text of its own; return it."""
    button = button or QToolButton()
    button.setDefaultAction(action)
    button.setText(text)
    button.setAccessibleName(action.text())
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    action.changed.connect(lambda: button.setText(text))
    return button


THRESHOLD_STEPS = 200
"""Steps of the threshold slider over its range."""
LABEL_NAMES = {
    Label.BLOOD_POOL: "blood pool",
    Label.MYOCARDIUM: "wall",
    Label.SCAR: "scar",
    Label.MVO: "MVO",
    Label.BACKGROUND: "background",
}


MAX_PIXEL_RATIO = 3
"""Icons are drawn for the highest device pixel ratio that is supported."""


def _colour_icon(name: str) -> QIcon:
    pixmap = QPixmap(QSize(12, 12) * MAX_PIXEL_RATIO)
    pixmap.setDevicePixelRatio(MAX_PIXEL_RATIO)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(name))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, 10, 10)
    painter.end()
    return QIcon(pixmap)


class ViewOptionsBar(QWidget):
    """Row of view options: label, brush size, opacity, window level, threshold, hovered pixel.

    Signals:
        label_chosen: value of a :class:`Label`.
        radius_changed: brush radius in mm.
        opacity_changed: opacity of the fill, 0 to 1.
        preset_chosen: name of a window level preset.
        threshold_changed: the threshold that the reader set, in source units.
        threshold_shown: the threshold of the brush, None with another tool.
    """

    label_chosen = pyqtSignal(int)
    radius_changed = pyqtSignal(float)
    opacity_changed = pyqtSignal(float)
    preset_chosen = pyqtSignal(str)
    threshold_changed = pyqtSignal(float)
    threshold_shown = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.labels, self.presets = QComboBox(), QComboBox()
        for number, (value, word) in enumerate(LABEL_NAMES.items(), start=1):
            icon = _colour_icon(theme.LABEL_COLOURS.get(value, theme.QUIET))
            self.labels.addItem(icon, f"{word}   {number}", int(value))
        for name, use in window_level.PRESETS.items():
            self.presets.addItem(name)
            self.presets.setItemData(self.presets.count() - 1, use, Qt.ItemDataRole.ToolTipRole)
        self.presets.addItem(window_level.BY_HAND)
        self.brush = _slider("Brush radius in millimetres", 2, 40, 8)
        self.opacity = _slider("Opacity of the fill", 0, 100, 30)
        self.threshold = _slider("Threshold of the brush", 0, THRESHOLD_STEPS, THRESHOLD_STEPS // 2)
        self.threshold_label = label("Above", "quiet")
        self.threshold_text = label("", "figures", "Threshold in the image's own units")
        self._range = (0.0, 1.0)
        self.brush_text, self.hover = (
            label("", "quiet"),
            label("", "quiet", "Pixel under the mouse"),
        )
        self.labels.setAccessibleName("Label to draw and erase")
        self.labels.setToolTip("Label to draw and erase  (1 to 5)")
        self.presets.setAccessibleName("Window level")
        self.presets.setToolTip("Window level; drag with the right button  (A: LGE auto)")
        self.brush.setToolTip("Brush size  ([ and ], Shift + wheel)")
        self.threshold.setToolTip("The threshold brush paints above this  (Alt + wheel)")
        self.opacity.setToolTip("Opacity of the fill  (C: contour alone)")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 2, 10, 2)
        layout.setSpacing(6)
        for widget in (
            self.labels, label("Brush", "quiet"), self.brush,
            self.brush_text, self.threshold_label, self.threshold, self.threshold_text,
            label("Fill", "quiet"), self.opacity,
            label("Window", "quiet"), self.presets,
        ):  # fmt: skip
            layout.addWidget(widget)
            if isinstance(widget, QComboBox | QSlider):
                widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Where there is no room, the hovered pixel is cut off before the window grows.
        self.hover.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.hover.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self.hover, 1)
        self.labels.activated.connect(
            lambda index: self.label_chosen.emit(int(self.labels.itemData(index)))
        )
        self.presets.textActivated.connect(self.preset_chosen)
        self.brush.valueChanged.connect(self._brush_moved)
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        self.threshold.valueChanged.connect(self._threshold_moved)
        self._brush_moved(self.brush.value())
        self.show_threshold(None)

    def _brush_moved(self, value: int) -> None:
        self.brush_text.setText(f"{value / 2:g} mm")
        self.brush_text.setFixedWidth(44)
        self.radius_changed.emit(value / 2)

    def _threshold_moved(self, step: int) -> None:
        low, high = self._range
        self.threshold_changed.emit(low + (high - low) * step / THRESHOLD_STEPS)

    def set_threshold(self, value: float) -> None:
        """Set the threshold, in source units, from another control."""
        low, high = self._range
        self.threshold_changed.emit(min(max(value, low), high))

    def show_threshold(self, threshold: SuggestedThreshold | None) -> None:
        """Show the threshold and its slider; None hides them."""
        for widget in (self.threshold_label, self.threshold, self.threshold_text):
            widget.setVisible(threshold is not None)
        self.threshold_shown.emit(None if threshold is None else threshold.value)
        if threshold is None:
            return
        self._range = (threshold.low, threshold.high)
        share = (threshold.value - threshold.low) / (threshold.high - threshold.low)
        self.threshold.blockSignals(True)
        self.threshold.setValue(round(share * THRESHOLD_STEPS))
        self.threshold.blockSignals(False)
        self.threshold_text.setText(f"{threshold.value:.4g}")
        self.threshold_text.setToolTip(threshold.rule)

    def choose_label(self, value: Label) -> None:
        self.labels.setCurrentIndex(self.labels.findData(int(value)))


def _slider(name: str, low: int, high: int, value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setValue(value)
    slider.setFixedWidth(60)
    slider.setAccessibleName(name)
    return slider
