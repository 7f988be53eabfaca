"""Row of view options: label, brush size, opacity, window level, threshold, hovered pixel."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QSlider, QWidget

from scarseg.case.labels import Label
from scarseg.gui import theme
from scarseg.gui.theme import label
from scarseg.gui.tool_buttons import MOST_PIXEL_RATIO
from scarseg.gui.viewer import window_level
from scarseg.quant.suggested_threshold import SuggestedThreshold

THRESHOLD_STEPS = 200
"""Steps of the threshold slider over its range."""
LABEL_NAMES = {
    Label.BLOOD_POOL: "blood pool",
    Label.MYOCARDIUM: "wall",
    Label.SCAR: "scar",
    Label.MVO: "MVO",
    Label.BACKGROUND: "background",
}


def _colour_icon(name: str) -> QIcon:
    pixmap = QPixmap(QSize(12, 12) * MOST_PIXEL_RATIO)
    pixmap.setDevicePixelRatio(MOST_PIXEL_RATIO)
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
        self._words = [label(word, "quiet") for word in ("Brush", "Fill", "Window")]
        brush_word, fill_word, window_word = self._words
        for widget in (
            self.labels, brush_word, self.brush,
            self.brush_text, self.threshold_label, self.threshold, self.threshold_text,
            fill_word, self.opacity, window_word, self.presets,
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

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Leave words, then the brush size in mm, to the tool tips where there is no room."""
        super().resizeEvent(event)
        parts = [*self._words, self.brush_text]
        for n_shown in (len(parts), 1, 0):
            for n, part in enumerate(reversed(parts)):
                part.setVisible(n < n_shown)
            if super().minimumSizeHint().width() <= self.width():
                return

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

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
