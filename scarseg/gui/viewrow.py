"""The row beneath the slice: label, brush size, fill, window level, pixel under the hand."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPixmap
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSlider, QWidget

from scarseg.gui import levels, theme
from scarseg.gui.panels import label
from scarseg.labels import Label

LABEL_WORDS = {
    Label.BLOOD_POOL: "blood pool",
    Label.MYOCARDIUM: "wall",
    Label.SCAR: "scar",
    Label.MVO: "MVO",
    Label.BACKGROUND: "background",
}


def _dot(name: str) -> QIcon:
    pixmap = QPixmap(QSize(12, 12))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(name))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, 10, 10)
    painter.end()
    return QIcon(pixmap)


class ViewRow(QWidget):
    """Label, brush size, opacity and window level, and what is under the hand."""

    label_chosen = pyqtSignal(int)
    radius_changed = pyqtSignal(float)
    opacity_changed = pyqtSignal(float)
    preset_chosen = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.labels, self.presets = QComboBox(), QComboBox()
        for number, (value, word) in enumerate(LABEL_WORDS.items(), start=1):
            icon = _dot(theme.LABEL_COLOURS.get(value, theme.QUIET))
            self.labels.addItem(icon, f"{word}   {number}", int(value))
        self.presets.addItems([*levels.PRESETS, "By hand"])
        self.brush = _slider("Brush radius in millimetres", 2, 40, 8)
        self.opacity = _slider("Opacity of the fill", 0, 100, 30)
        self.brush_text, self.hover = label("", "quiet"), label("", "quiet", "Pixel under the hand")
        self.labels.setAccessibleName("Label to draw and erase")
        self.labels.setToolTip("Label to draw and erase  (1 to 5)")
        self.presets.setAccessibleName("Window level")
        self.presets.setToolTip("Window level; drag with the right button  (A: automatic)")
        self.brush.setToolTip("Brush size  ([ and ], Shift + wheel)")
        self.opacity.setToolTip("Opacity of the fill  (C: contour alone)")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 2, 10, 2)
        layout.setSpacing(6)
        for widget in (
            label("Label", "quiet"), self.labels, label("Brush", "quiet"), self.brush,
            self.brush_text, label("Fill", "quiet"), self.opacity,
            label("Window", "quiet"), self.presets,
        ):  # fmt: skip
            layout.addWidget(widget)
            if isinstance(widget, QComboBox | QSlider):
                widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        layout.addStretch(1)
        layout.addWidget(self.hover)
        self.labels.activated.connect(
            lambda index: self.label_chosen.emit(int(self.labels.itemData(index)))
        )
        self.presets.textActivated.connect(self.preset_chosen)
        self.brush.valueChanged.connect(self._brush_moved)
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        self._brush_moved(self.brush.value())

    def _brush_moved(self, value: int) -> None:
        self.brush_text.setText(f"{value / 2:g} mm")
        self.brush_text.setFixedWidth(44)
        self.radius_changed.emit(value / 2)

    def choose_label(self, value: Label) -> None:
        self.labels.setCurrentIndex(self.labels.findData(int(value)))


def _slider(name: str, low: int, high: int, value: int) -> QSlider:
    made = QSlider(Qt.Orientation.Horizontal)
    made.setRange(low, high)
    made.setValue(value)
    made.setFixedWidth(72)
    made.setAccessibleName(name)
    return made
