"""The row beneath the slice: label, brush size, fill, window level, pixel under the hand."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPixmap
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QSlider, QWidget

from scarseg.gui import levels, theme
from scarseg.gui.enhanced import Threshold
from scarseg.gui.panels import label
from scarseg.labels import Label

STEPS = 200
"""Steps of the threshold's slider over its range."""
LABEL_WORDS = {
    Label.BLOOD_POOL: "blood pool",
    Label.MYOCARDIUM: "wall",
    Label.SCAR: "scar",
    Label.MVO: "MVO",
    Label.BACKGROUND: "background",
}


DENSEST = 3
"""Pictures are made for screens with so many pixels for each of a window, at most."""


def _dot(name: str) -> QIcon:
    pixmap = QPixmap(QSize(12, 12) * DENSEST)
    pixmap.setDevicePixelRatio(DENSEST)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(name))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, 10, 10)
    painter.end()
    return QIcon(pixmap)


class ViewRow(QWidget):
    """Label, brush size, opacity and window level, and what is under the hand.

    Signals:
        threshold_changed: the reader moved the threshold to this value, in source units.
        threshold_shown: the value in hand, None with another tool.
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
        for number, (value, word) in enumerate(LABEL_WORDS.items(), start=1):
            icon = _dot(theme.LABEL_COLOURS.get(value, theme.QUIET))
            self.labels.addItem(icon, f"{word}   {number}", int(value))
        for name, use in levels.PRESETS.items():
            self.presets.addItem(name)
            self.presets.setItemData(self.presets.count() - 1, use, Qt.ItemDataRole.ToolTipRole)
        self.presets.addItem(levels.BY_HAND)
        self.brush = _slider("Brush radius in millimetres", 2, 40, 8)
        self.opacity = _slider("Opacity of the fill", 0, 100, 30)
        self.threshold = _slider("Threshold of the brush", 0, STEPS, STEPS // 2)
        self.threshold_word = label("Above", "quiet")
        self.threshold_text = label("", "figures", "Threshold in the image's own units")
        self._range = (0.0, 1.0)
        self.brush_text, self.hover = label("", "quiet"), label("", "quiet", "Pixel under the hand")
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
            self.brush_text, self.threshold_word, self.threshold, self.threshold_text,
            label("Fill", "quiet"), self.opacity,
            label("Window", "quiet"), self.presets,
        ):  # fmt: skip
            layout.addWidget(widget)
            if isinstance(widget, QComboBox | QSlider):
                widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        # Where there is no room, the hand's pixel gives way before the window grows.
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
        self.threshold_changed.emit(low + (high - low) * step / STEPS)

    def set_threshold(self, value: float) -> None:
        """Take a threshold, in source units, that the reader sets elsewhere."""
        low, high = self._range
        self.threshold_changed.emit(min(max(value, low), high))

    def show_threshold(self, threshold: Threshold | None) -> None:
        """Show a threshold and the range it can be set in; None hides it."""
        for widget in (self.threshold_word, self.threshold, self.threshold_text):
            widget.setVisible(threshold is not None)
        self.threshold_shown.emit(None if threshold is None else threshold.value)
        if threshold is None:
            return
        self._range = (threshold.low, threshold.high)
        share = (threshold.value - threshold.low) / (threshold.high - threshold.low)
        self.threshold.blockSignals(True)
        self.threshold.setValue(round(share * STEPS))
        self.threshold.blockSignals(False)
        self.threshold_text.setText(f"{threshold.value:.4g}")
        self.threshold_text.setToolTip(threshold.rule)

    def choose_label(self, value: Label) -> None:
        self.labels.setCurrentIndex(self.labels.findData(int(value)))


def _slider(name: str, low: int, high: int, value: int) -> QSlider:
    made = QSlider(Qt.Orientation.Horizontal)
    made.setRange(low, high)
    made.setValue(value)
    made.setFixedWidth(60)
    made.setAccessibleName(name)
    return made
