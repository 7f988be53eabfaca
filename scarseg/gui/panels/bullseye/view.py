"""Bull's-eye widget: the AHA segments coloured by transmurality."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QBrush,
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from scarseg.gui import theme
from scarseg.gui.panels.bullseye.faces import COLOURS, SegmentFace, percent_face
from scarseg.quant import bullseye_layout
from scarseg.quant.bullseye_layout import whole_percent
from scarseg.quant.segments import SEGMENTS, Level, Segment, Territory

MARGIN = 15
"""Space around the circle for the names of the walls, in pixels."""
LEGEND_HEIGHT = 24
_ARTERIES = {
    Territory.LAD: Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop,
    Territory.RCA: Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom,
    Territory.LCX: Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom,
}
_TURNS = {"anterior": 0, "septal": -90, "inferior": 0, "lateral": 90}
_MIDDLE = Qt.AlignmentFlag.AlignCenter
Percents = Mapping[int, float | None]


SMALLEST = 120
"""Smallest diameter of the disc with room for the percents, in pixels."""


class BullseyeView(QWidget):
    """Segments in the colour of their transmurality class, with number and percent.

    Signals:
        hovered: number of the segment under the mouse, or None.
        chosen: number of a segment that was clicked.
    """

    hovered = pyqtSignal(object)
    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Bull's eye")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(SMALLEST, SMALLEST + LEGEND_HEIGHT)
        self._percents: Percents = {}
        self._arteries: Mapping[Territory, float | None] = {}
        self._words: Mapping[int, str] = {}
        self._why = ""
        self.at: int | None = None

    def sizeHint(self) -> QSize:
        return QSize(200, 200 + LEGEND_HEIGHT)

    def show_percents(
        self,
        percents: Percents,
        arteries: Mapping[Territory, float | None],
        words: Mapping[int, str],
    ) -> None:
        """Show percents by segment number and by artery; ``words`` are the tool tips."""
        self._percents, self._arteries, self._words, self._why = percents, arteries, words, ""
        percents_text = [f"{n}: {whole_percent(p)} %" for n, p in percents.items() if p is not None]
        self.setAccessibleDescription("Scar by segment. " + ", ".join(percents_text))
        self.update()

    def show_nothing(self, why: str) -> None:
        """Show the reason why there are no segments."""
        self._percents, self._arteries, self._words, self._why = {}, {}, {}, why
        self.setAccessibleDescription(why)
        self.update()

    def colour_of(self, number: int) -> str | None:
        """Return the colour of a segment; None where no slice shows it."""
        face = self._face_of(number)
        return None if face is None else face.colour

    # What a subclass for other figures replaces

    def _face_of(self, number: int) -> SegmentFace | None:
        """Return how a segment looks; None where no slice shows it."""
        percent = self._percents.get(number)
        return None if percent is None else percent_face(percent)

    def _artery_text(self, artery: Territory) -> str:
        """Return the figure of a territory, empty where there is none."""
        percent = self._arteries.get(artery)
        return "" if percent is None else f"{whole_percent(percent)} %"

    def _legend(self) -> list[tuple[str, str]]:
        """Return text and colour of every class."""
        names = [str(kind).replace(" to ", "–") for kind in COLOURS]
        names[0] += " %"
        return list(zip(names, COLOURS.values(), strict=True))

    # Mouse and keyboard

    def position_of(self, number: int) -> QPointF:
        """Return the centre of a segment, in this widget."""
        x, y = bullseye_layout.segment_centre(SEGMENTS[number - 1])
        return self._on_screen(x, y)

    def _hover(self, number: int | None) -> None:
        if number is not None and number not in self._words:
            number = None
        if number != self.at:
            self.at = number
            self.setCursor(
                Qt.CursorShape.ArrowCursor if number is None else Qt.CursorShape.PointingHandCursor
            )
            self.hovered.emit(number)
            self.update()

    def _segment_at(self, at: QPointF) -> int | None:
        centre, radius = self._circle()
        return bullseye_layout.segment_at_point(
            (at.x() - centre.x()) / radius, (centre.y() - at.y()) / radius
        )

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self._segment_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self._words.get(number or 0, self._why), self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None:
            self._hover(self._segment_at(event.position()))

    def leaveEvent(self, event: QEvent | None) -> None:
        self._hover(None)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            number = self._segment_at(event.position())
            if number in self._words and number is not None:
                self.chosen.emit(number)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Select the previous or next segment by arrow keys; Return goes to its slice."""
        if event is None:
            return
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        known = sorted(self._words)
        if event.key() in steps and known and not event.modifiers():
            step = steps[Qt.Key(event.key())]
            here = known.index(self.at) if self.at in known else (-1 if step > 0 else 0)
            self._hover(known[(here + step) % len(known)])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.at is not None:
            self.chosen.emit(self.at)
        else:
            event.ignore()

    def focusOutEvent(self, event: object) -> None:
        self._hover(None)

    # Geometry

    def _circle(self) -> tuple[QPointF, float]:
        area = QRectF(0, 0, self.width(), self.height() - LEGEND_HEIGHT)
        return area.center(), max(min(area.width(), area.height()) / 2 - theme.px(MARGIN), 1.0)

    def _on_screen(self, x: float, y: float) -> QPointF:
        centre, radius = self._circle()
        return QPointF(centre.x() + radius * x, centre.y() - radius * y)

    def _sector(self, segment: Segment) -> QPainterPath:
        centre, radius = self._circle()
        inner, outer = (radius * share for share in bullseye_layout.RADII[segment.level])
        start, end = bullseye_layout.sector_degrees(segment)
        path = QPainterPath()
        around = QRectF(centre.x() - outer, centre.y() - outer, 2 * outer, 2 * outer)
        if segment.level is Level.APEX:
            path.addEllipse(around)
            return path
        within = QRectF(centre.x() - inner, centre.y() - inner, 2 * inner, 2 * inner)
        path.arcMoveTo(around, start)
        path.arcTo(around, start, end - start)
        path.arcTo(within, end, start - end)
        path.closeSubpath()
        return path

    # Paint

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._why:
            painter.setPen(QColor(theme.QUIET))
            painter.drawText(self.rect(), _MIDDLE | Qt.TextFlag.TextWordWrap, self._why)
            return
        for segment in SEGMENTS:
            self._paint_segment(painter, segment)
        for colour, width in ((theme.BACKGROUND, 4.4), (theme.TEXT, 1.8)):
            painter.setPen(QPen(QColor(colour), width))
            for line in bullseye_layout.territory_borders():
                painter.drawPolyline(QPolygonF([self._on_screen(x, y) for x, y in line]))
        if self.at is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.ACCENT), 2.4))
            painter.drawPath(self._sector(SEGMENTS[self.at - 1]))
        self._paint_names(painter)
        self._paint_legend(painter)
        if self.hasFocus():
            painter.setPen(QColor(theme.ACCENT))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_segment(self, painter: QPainter, segment: Segment) -> None:
        face = self._face_of(segment.number)
        path, centre = self._sector(segment), self.position_of(segment.number)
        painter.setPen(QPen(QColor(theme.BACKGROUND), 1.2))
        painter.setBrush(QColor(theme.BACKGROUND if face is None else face.colour))
        painter.drawPath(path)
        if face is None:
            painter.fillPath(path, QBrush(QColor(theme.LINE), Qt.BrushStyle.BDiagPattern))
            self._write(painter, centre, str(segment.number), theme.MUTED, 10)
            return
        along = self._direction_along(segment)
        wider = 3 * max(len(face.text) - 3, 0)
        self._write(painter, centre - (7 + wider) * along, face.text, face.text_colour, 12, True)
        number_colour = theme.colour(face.text_colour, 0.8)
        self._write(painter, centre + (10 + wider) * along, str(segment.number), number_colour, 9)

    def _direction_along(self, segment: Segment) -> QPointF:
        """Return the unit vector along a segment, to the right or down.

        Number and percent are written side by side along the ring: across, it is too narrow.
        """
        x, y = bullseye_layout.segment_centre(segment)
        length = hypot(x, y)
        if not length:
            return QPointF(0, 1)
        along = QPointF(y / length, x / length)
        forward = along.x() if abs(along.x()) > abs(along.y()) else along.y()
        return along if forward > 0 else -along

    def _write(
        self,
        painter: QPainter,
        at: QPointF,
        text: str,
        colour: str | QColor,
        size: int,
        bold: bool = False,
    ) -> None:
        font = painter.font()
        font.setPixelSize(theme.px(size))
        font.setBold(bold)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(QRectF(at.x() - 60, at.y() - 12, 120, 24), _MIDDLE, text)

    def _paint_names(self, painter: QPainter) -> None:
        _centre, radius = self._circle()
        for name, at_degrees in bullseye_layout.WALL_NAMES:
            x, y = bullseye_layout.polar_point(1 + 0.5 * theme.px(MARGIN) / radius, at_degrees)
            painter.save()
            painter.translate(self._on_screen(x, y))
            painter.rotate(_TURNS[name])
            self._write(painter, QPointF(0, 0), name, theme.QUIET, 10)
            painter.restore()
        area = QRectF(0, 0, self.width(), self.height() - LEGEND_HEIGHT)
        for artery, side in _ARTERIES.items():
            painter.setPen(QColor(theme.TEXT))
            text = "\n".join(part for part in (str(artery), self._artery_text(artery)) if part)
            font = painter.font()
            font.setPixelSize(theme.px(11))
            font.setBold(True)
            painter.setFont(font)
            painter.drawText(area, side, text)

    def _paint_legend(self, painter: QPainter) -> None:
        legend = self._legend()
        across = self.width() / max(len(legend), 1)
        top = self.height() - LEGEND_HEIGHT + 4
        for n, (text, name) in enumerate(legend):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(name))
            painter.drawRect(QRectF(n * across + 0.5, top, across - 1, 5))
            at = QPointF((n + 0.5) * across, top + 12)
            self._write(painter, at, text, theme.QUIET, 10)
