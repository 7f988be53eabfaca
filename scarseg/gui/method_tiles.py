"""The tiles of the comparison: the slice with one method's scar, and what it weighs."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import QHBoxLayout, QScrollArea, QSizePolicy, QWidget

from scarseg.gui import overlay, theme
from scarseg.gui.caption import LEFT, sized
from scarseg.gui.method_outlines import Outlined
from scarseg.gui.methods import IN_SHORT, SEGMENTED, TITLES, Method
from scarseg.gui.montage import Content, draw_slice
from scarseg.labels import Label

SMALLEST, LARGEST = 64, 140
"""Width of a tile; eleven stand side by side in a window of 1280 pixels."""
GAP, EDGE, LINE_HEIGHT, LINES = 3, 4, 15, 4
SHORT = {"fwhm_remote": "FWHM rem.", SEGMENTED: "Segment."}
"""What a title is where it does not fit."""


class Picture:
    """A slice as all tiles show it, drawn once for each size."""

    def __init__(self, content: Content) -> None:
        self.crop = content.crop
        self._content = content
        self._drawn: dict[tuple[int, float], QPixmap] = {}

    def drawn(self, side: int, ratio: float) -> QPixmap:
        """Give a copy of the picture, to be drawn upon."""
        if (side, ratio) not in self._drawn:
            self._drawn = {(side, ratio): draw_slice(self._content, side, ratio, 1.0 * ratio)}
        return self._drawn[side, ratio].copy()


class MethodTile(QWidget):
    """One method: picture, name, grams and percent of the stack, grams of the slice.

    Signals:
        clicked: the method's name.
    """

    clicked = pyqtSignal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.method: Method | None = None
        self.chosen, self.stale = False, True
        self.grams = self.percent = self.here = ""
        self._picture = Picture(Content())
        self._drawn: QPixmap | None = None
        self._outlines: list[tuple[Label, QPainterPath]] = []
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(TITLES[name])
        self.set_width(SMALLEST)

    @property
    def able(self) -> bool:
        """Say whether the method has something to say."""
        return self.method is not None and not self.method.reason

    def set_width(self, width: int) -> None:
        """Make the tile this wide; its picture is square."""
        self._side, self._drawn = width - 2 * EDGE, None
        self.setFixedSize(width, self._side + EDGE + LINES * theme.px(LINE_HEIGHT) + 6)

    def show_method(self, outlined: Outlined, k: int, picture: Picture) -> None:
        """Show what the method makes of slice ``k``."""
        method, wall = outlined.answer.method(self.name), outlined.wall[k]
        self.method, self.stale, self._drawn = method, False, None
        infarct, mvo = outlined.infarct[self.name][k], outlined.mvo[self.name][k]
        self._picture, self._outlines = picture, [(Label.SCAR, infarct), (Label.MVO, mvo)]
        self.setEnabled(self.able)
        self.grams = "–" if method.reason else f"{method.total_g:.1f} g"
        percent = None if method.reason else method.percent
        self.percent = "" if percent is None else f"{percent:.0f} % LV"
        if method.reason:
            self.here = IN_SHORT[method.reason]
        elif self.name != SEGMENTED and wall.isEmpty():
            self.here = "no wall here"
        else:
            self.here = f"slice {method.slices_g[k]:.1f} g"
        self.setToolTip(_tip(method, k))
        words = (method.title, self.grams, self.percent, self.here)
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def tell(self, chosen: bool | None = None, stale: bool | None = None) -> None:
        """Say whether this method is previewed, and whether its numbers are of before."""
        self.chosen = self.chosen if chosen is None else chosen
        self.stale = self.stale if stale is None else stale
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit(self.name)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(theme.ACCENT if self.chosen else theme.LINE), 1.6))
        painter.setBrush(QColor(theme.RAISED if self.chosen else theme.PANEL))
        painter.drawRoundedRect(frame, 4, 4)
        if self.method is not None:
            if self._drawn is None or self._drawn.devicePixelRatio() != self.devicePixelRatioF():
                self._drawn = self._draw()
            painter.setOpacity(1.0 if self.able else 0.35)
            painter.drawPixmap(QPointF(EDGE, EDGE), self._drawn)
            painter.setOpacity(1.0)
            if self.method.warning:
                self._warn(painter)
        self._write(painter)
        painter.end()

    def _draw(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        pixmap = self._picture.drawn(self._side, ratio)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        crop = self._picture.crop
        painter.scale(self._side / crop.width(), self._side / crop.height())
        painter.translate(-crop.topLeft())
        for label, path in self._outlines:
            painter.setBrush(theme.colour(theme.LABEL_COLOURS[label], 0.35))
            painter.setPen(overlay.pen(theme.LABEL_COLOURS[label], 1.2 * ratio))
            painter.drawPath(path)
        painter.end()
        return pixmap

    def _warn(self, painter: QPainter) -> None:
        corner = QRectF(self.width() - EDGE - 17, EDGE + 1, 16, 16)
        painter.setPen(QColor(theme.YELLOW))
        painter.setBrush(theme.colour("#000000", 0.6))
        painter.drawEllipse(corner)
        painter.drawText(corner, Qt.AlignmentFlag.AlignCenter, "!")

    def _write(self, painter: QPainter) -> None:
        high, top = theme.px(LINE_HEIGHT), float(self._side + EDGE + 2)
        text = QColor(theme.TEXT if self.able and not self.stale else theme.MUTED)
        quiet = QColor(theme.QUIET if self.able and not self.stale else theme.MUTED)
        rows = [QRectF(EDGE, top + n * high, self.width() - EDGE - 1, high) for n in range(LINES)]
        sized(painter, 11)
        painter.setPen(QColor(theme.TEXT if self.able else theme.MUTED))
        title = TITLES[self.name]
        if painter.fontMetrics().horizontalAdvance(title) > rows[0].width():
            title = SHORT.get(self.name, title)
        painter.drawText(rows[0], LEFT, title)
        sized(painter, 12, bold=True)
        painter.setPen(text)
        painter.drawText(rows[1], LEFT, self.grams)
        sized(painter, 11)
        painter.setPen(quiet)
        painter.drawText(rows[2], LEFT, self.percent)
        painter.drawText(rows[3], LEFT, self.here)


def _tip(method: Method, k: int) -> str:
    """Say in words where the line is drawn, or why it is not."""
    lines = [f"{method.title}: {method.rule}"]
    if method.reason:
        return f"{lines[0]}\n{method.why_not}"
    level = method.levels[k]
    if level is not None:
        lines.append(f"Above {level:.4g} on this slice")
    if method.percent is not None:
        lines.append(
            f"{method.total_g:.2f} g, {method.percent:.1f} % of LV mass, dark cores included"
        )
    if method.warning:
        lines.append(method.warning)
    return "\n".join(lines)


class MethodRow(QScrollArea):
    """A tile per method, side by side where there is room, and at their end what else is given.

    Signals:
        chosen: the method that was clicked.
    """

    chosen = pyqtSignal(str)

    def __init__(self, end: QWidget) -> None:
        super().__init__()
        self.setAccessibleName("Methods")
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tiles = [MethodTile(name) for name in TITLES]
        self._end = end
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(8, 0, 8, 2)
        layout.setSpacing(GAP)
        for tile in self.tiles:
            tile.clicked.connect(self.chosen)
            layout.addWidget(tile, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(end, 1, Qt.AlignmentFlag.AlignTop)
        layout.addStretch(0)
        self.setWidget(row)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.fit()

    def fit(self) -> None:
        """Make the tiles as large as there is room for; the end stands where some is left."""
        n, least = len(self.tiles), self._end.minimumWidth()
        room = self.width() - 17 - GAP * (n + 1)
        roomy = room - least >= n * (SMALLEST + 16)
        self._end.setVisible(roomy)
        each = min(max((room - least * roomy) // n, SMALLEST), LARGEST)
        for tile in self.tiles:
            tile.set_width(each)
        self._end.setFixedHeight(self.tiles[0].height())
        scrolls = room < n * SMALLEST
        self.setFixedHeight(self.tiles[0].height() + (12 if scrolls else 4))
