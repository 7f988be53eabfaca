"""The histogram of the wall: the bins that are scar lit, and where the usual thresholds lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from scarseg.case.case import Case
from scarseg.case.labels import MaskArray, infarct_mask, wall_mask
from scarseg.gui import theme
from scarseg.gui.panels.toolbar import ViewOptionsBar
from scarseg.gui.session.session import Session
from scarseg.gui.theme import label
from scarseg.gui.viewer.montage import Views
from scarseg.gui.viewer.window_level import Levels
from scarseg.quant.components import inside_boxes
from scarseg.quant.remote import RemoteRegion, propose_remote
from scarseg.quant.thresholds import ThresholdMethod
from scarseg.quant.wall_histogram import Counts, WallHistogram, signal_range, wall_histogram

LOW, HIGH = 92, 150
"""How high the plot is, in a small window and in a large one."""
HEAD, STRIP = 14.0, 5.0
"""Above the bars for the marks' names, and beneath them for the grey they are shown as."""
GRIP = 6.0
"""How far from the threshold's line the hand may be, in screen pixels."""
MARKS = {
    ThresholdMethod.SD_2: "+2 SD",
    ThresholdMethod.SD_5: "+5 SD",
    ThresholdMethod.FWHM_REMOTE: "½ max",
}
TIP = (
    "Voxels of the wall by signal (heights by their root): scar lit, the other wall quiet, the"
    " blood pool as a faint hill."
    " Marks: mean of the remote wall, + 2 and + 5 SD of it, and halfway from it to the brightest"
    " of the wall in the boxes. With the threshold brush (T), drag its line."
)


class Plot(QWidget):
    """Bars of a :class:`WallHistogram` over a strip of the greys they are shown as.

    Signals:
        threshold_dragged: to this value, in source units.
    """

    threshold_dragged = pyqtSignal(float)

    def __init__(self, levels: Callable[[], Levels]) -> None:
        super().__init__()
        self._levels = levels
        self.setAccessibleName("Histogram of the wall")
        self.setToolTip(TIP)
        self.setMouseTracking(True)
        self.setFixedHeight(LOW)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.shown: WallHistogram | None = None
        self.threshold: float | None = None
        self._dragging = False

    def sizeHint(self) -> QSize:
        return QSize(200, LOW)

    def show_histogram(self, found: WallHistogram | None) -> None:
        self.shown = found
        self.setAccessibleDescription(_words(found))
        self.update()

    def show_threshold(self, value: float | None) -> None:
        """Show the threshold brush's value as a line; None when another tool is in hand."""
        self.threshold = value
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if value is None else Qt.FocusPolicy.StrongFocus)
        if value is None:
            self._dragging = False
            self.unsetCursor()
        self.update()

    # Where things are

    def x_of(self, value: float) -> float:
        """Give where a signal stands, within the plot."""
        assert self.shown is not None
        low, high = self.shown.edges[0], self.shown.edges[-1]
        share = (value - low) / (high - low)
        return float(np.clip(share, 0.0, 1.0)) * (self.width() - 1)

    def value_at(self, x: float) -> float:
        assert self.shown is not None
        low, high = self.shown.edges[0], self.shown.edges[-1]
        share = min(max(x / max(self.width() - 1, 1), 0.0), 1.0)
        return float(low + share * (high - low))

    # The hand

    def _on_line(self, x: float) -> bool:
        return (
            self.shown is not None
            and self.threshold is not None
            and abs(x - self.x_of(self.threshold)) <= GRIP
        )

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self._dragging = self._on_line(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        x = event.position().x()
        if self._dragging:
            self.threshold_dragged.emit(self.value_at(x))
        elif self._on_line(x):
            self.setCursor(Qt.CursorShape.SizeHorCursor)
        else:
            self.unsetCursor()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self._dragging = False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the line by the arrows, one screen pixel a time."""
        steps = {Qt.Key.Key_Left: -1.0, Qt.Key.Key_Right: 1.0}
        if event is None:
            return
        if self.threshold is None or self.shown is None or event.key() not in steps:
            event.ignore()
            return
        by = steps[Qt.Key(event.key())]
        self.threshold_dragged.emit(self.value_at(self.x_of(self.threshold) + by))

    # Paint

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        found = self.shown
        if found is None or not found.n_wall:
            painter.setPen(QColor(theme.QUIET))
            text = "No wall on this slice yet."
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)
        else:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_bars(painter, found)
            self._paint_strip(painter)
            self._paint_marks(painter, found)
        if self.hasFocus():
            painter.setPen(QColor(theme.ACCENT))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_bars(self, painter: QPainter, found: WallHistogram) -> None:
        foot, room = self.height() - STRIP - 2, self.height() - STRIP - 2 - HEAD
        whole = found.wall + found.scar + found.mvo
        # By the root of the count: scar is spread thin beside the narrow peak of remote wall.
        per_voxel = room * np.sqrt(whole / max(int(whole.max()), 1)) / np.maximum(whole, 1)
        width = self.width() / len(found.wall)
        self._paint_hill(painter, found.pool, foot, room, width)
        painter.setPen(Qt.PenStyle.NoPen)
        beneath = np.zeros(len(found.wall))
        parts = ((found.scar, theme.ORANGE), (found.mvo, theme.VIOLET), (found.wall, theme.MUTED))
        for counts, name in parts:
            painter.setBrush(QColor(name))
            for index in np.flatnonzero(counts):
                high = float(counts[index] * per_voxel[index])
                top = foot - beneath[index] - high
                painter.drawRect(QRectF(index * width + 0.5, top, width - 1, high))
                beneath[index] += high

    def _paint_hill(
        self, painter: QPainter, counts: Counts, foot: float, room: float, width: float
    ) -> None:
        """Draw the blood pool behind, on its own scale: it would dwarf the wall."""
        tallest = int(counts.max())
        if not tallest:
            return
        middles = [
            QPointF((index + 0.5) * width, foot - room * float(np.sqrt(count / tallest)))
            for index, count in enumerate(counts)
        ]
        hill = QPolygonF([QPointF(0, foot), *middles, QPointF(self.width(), foot)])
        painter.setPen(QPen(theme.colour(theme.SLATE, 0.55), 1.0))
        painter.setBrush(theme.colour(theme.SLATE, 0.14))
        painter.drawPolygon(hill)

    def _paint_strip(self, painter: QPainter) -> None:
        low, high = self._levels()
        top = self.height() - STRIP
        painter.setPen(Qt.PenStyle.NoPen)
        for x in range(0, self.width(), 2):
            grey = (self.value_at(x) - low) / max(high - low, 1e-6)
            shade = round(255 * min(max(grey, 0.0), 1.0))
            painter.fillRect(QRectF(x, top, 2, STRIP), QColor(shade, shade, shade))

    def _paint_marks(self, painter: QPainter, found: WallHistogram) -> None:
        font = painter.font()
        font.setPixelSize(theme.px(10))
        painter.setFont(font)
        marks = [(found.thresholds[method], MARKS[method]) for method in found.thresholds]
        if found.remote_mean is not None:
            marks.append((found.remote_mean, "remote"))
        free = -1e9
        for value, name in sorted(marks):
            x = self.x_of(value)
            painter.setPen(QPen(theme.colour(theme.TEXT, 0.7), 1.0, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x, HEAD), QPointF(x, self.height() - STRIP - 2))
            width = float(painter.fontMetrics().horizontalAdvance(name))
            left = min(max(x - width / 2, 0.0), self.width() - width)
            if left > free:
                painter.setPen(QColor(theme.QUIET))
                painter.drawText(QPointF(left, HEAD - 4), name)
                free = left + width + 4
        if self.threshold is not None:
            x = self.x_of(self.threshold)
            painter.setPen(QPen(QColor(theme.ACCENT), 2.0))
            painter.drawLine(QPointF(x, HEAD - 2), QPointF(x, float(self.height())))


def _words(found: WallHistogram | None) -> str:
    """Say what the plot shows, for those who hear it."""
    if found is None or not found.n_wall:
        return "No wall on this slice."
    infarct = int(found.scar.sum() + found.mvo.sum())
    words = [f"{found.n_wall} voxels of wall, {infarct} of them scar"]
    if found.remote_mean is not None:
        words.append(f"remote {found.remote_mean:.4g}")
    words += [f"{MARKS[method]} {value:.4g}" for method, value in found.thresholds.items()]
    return ", ".join(words)


PAUSE_MS = 80
"""After an edit, before the histogram is counted anew: not for each of many."""
SMALLEST_WINDOW, ROOMY_WINDOW = 720, 1000
"""In a lower window there is no room; in a higher one the plot is taller."""


class Histogram(QWidget):
    """The plot under its heading; follows the open case, a moment after each change."""

    def __init__(
        self, session: Session, views: Views, view_row: ViewOptionsBar, room: QVBoxLayout
    ) -> None:
        super().__init__()
        self.setAccessibleName("Histogram of the wall")
        self._session = session
        self._wanted, self._whole = True, False
        self._remote: dict[int, MaskArray] = {}
        self._watched: QWidget | None = None
        self.plot = Plot(lambda: views.shared.levels)
        self.scope = QToolButton()
        self.scope.setObjectName("foot")
        self.scope.setCheckable(True)
        self.scope.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.scope.toggled.connect(self._choose_scope)
        self._choose_scope(False)
        head = QHBoxLayout()
        head.addWidget(label("SIGNAL OF THE WALL", "heading"))
        head.addStretch(1)
        head.addWidget(self.scope)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.plot)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.count)
        session.opened.connect(self._follow)
        view_row.threshold_shown.connect(self.plot.show_threshold)
        self.plot.threshold_dragged.connect(view_row.set_threshold)
        views.shared.changed.connect(self.plot.update)
        room.addWidget(self)

    def bind(self, toggle: QAction, window: QWidget) -> None:
        """Let an action show and hide it, and a window's height."""
        toggle.setChecked(True)
        toggle.toggled.connect(self._want)
        self._watched = window
        window.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if watched is self._watched and event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return super().eventFilter(watched, event)

    def _want(self, wanted: bool) -> None:
        self._wanted = wanted
        self._fit()

    def _fit(self) -> None:
        tall = self._watched is None or self._watched.height() >= SMALLEST_WINDOW
        self.setVisible(self._wanted and tall)
        roomy = self._watched is not None and self._watched.height() >= ROOMY_WINDOW
        self.plot.setFixedHeight(HIGH if roomy else LOW)
        self._later()

    def _choose_scope(self, whole: bool) -> None:
        self._whole = whole
        self.scope.setText("Stack" if whole else "Slice")
        self.scope.setAccessibleName("Histogram of the whole stack")
        self.scope.setToolTip("Of this slice or of the whole stack")
        if hasattr(self, "_pause"):
            self._later()

    def _follow(self) -> None:
        current = self._session.current
        if current is None:
            self.plot.show_histogram(None)
            return
        self._remote.clear()
        current.document.slice_changed.connect(self._changed)
        current.document.current_changed.connect(self._later)
        self._later()

    def _changed(self, k: int) -> None:
        self._remote.pop(k, None)
        self._later()

    def _later(self, *_what: object) -> None:
        if self._wanted and not self._pause.isActive():
            self._pause.start()

    def count(self) -> None:
        """Count now."""
        current = self._session.current
        if current is None or self.isHidden():
            return
        case, k = current.document.case, current.document.current
        chosen = slice(None) if self._whole else slice(k, k + 1)
        each = range(case.stack.n_slices)[chosen]
        shape = (case.stack.rows, case.stack.columns)
        asked = [reading.prompts for reading in case.readings[chosen]]
        region = np.stack([inside_boxes(prompts.boxes, shape) for prompts in asked])
        span = signal_range(case.stack.pixels, case.labels)
        found = wall_histogram(
            case.stack.pixels[chosen],
            case.labels[chosen],
            case.stack.pixel_spacing_mm,
            span,
            region if region.any() else None,
            RemoteRegion(np.stack([self._remote_of(case, index) for index in each])),
        )
        self.plot.show_histogram(found)

    def _remote_of(self, case: Case, k: int) -> MaskArray:
        """Give the remote wall of a slice; looked for anew once its labels changed."""
        if k not in self._remote:
            labels = case.labels[k : k + 1]
            spacing = case.stack.pixel_spacing_mm
            proposed = propose_remote(wall_mask(labels), spacing, infarct_mask(labels))
            self._remote[k] = proposed.mask[0]
        return self._remote[k]
