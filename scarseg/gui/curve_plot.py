"""The curve of a slice's grams against the threshold, every method a point on it."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from scarseg.gui import overlay, theme
from scarseg.gui.caption import LEFT, RIGHT, sized
from scarseg.gui.methods import SEGMENTED, Answer, Method

NARROWEST = 230
MARGINS = (8.0, 6.0, 8.0, 19.0)


class CurvePlot(QWidget):
    """Grams of one slice above each threshold; no island is dropped and no dark core added."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Grams of the slice against the threshold")
        self.setToolTip(
            "Grams of this slice above each threshold (no island dropped, no dark core added);"
            " a point per method, the segmentation as a line"
        )
        self._answer: Answer | None = None
        self._k, self._chosen = 0, ""

    def show_answer(self, answer: Answer | None, k: int, chosen: str) -> None:
        """Show slice ``k``, the chosen method named."""
        self._answer, self._k, self._chosen = answer, k, chosen
        points = self.points()
        said = ", ".join(f"{m.title} {grams:.1f} g" for m, _, grams in points)
        self.setAccessibleDescription(said or "No wall on this slice")
        self.update()

    def points(self) -> list[tuple[Method, float, float]]:
        """Give every method with a threshold here: method, threshold, grams on the curve."""
        if self._answer is None or self._answer.curves[self._k] is None:
            return []
        curve = self._answer.curves[self._k]
        assert curve is not None
        return [
            (method, level, curve.mass_at(level))
            for method in self._answer.methods
            if (level := method.levels[self._k]) is not None
        ]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, top, right, bottom = MARGINS
        room = QRectF(self.rect()).adjusted(left, top, -right, -bottom)
        painter.setPen(overlay.pen(theme.LINE, 1))
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        sized(painter, 11)
        points = self.points()
        if points:
            self._paint_curve(painter, room, points)
        else:
            painter.setPen(QColor(theme.QUIET))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, "No wall on this slice")
        painter.end()

    def _paint_curve(
        self, painter: QPainter, room: QRectF, points: list[tuple[Method, float, float]]
    ) -> None:
        assert self._answer is not None
        curve = self._answer.curves[self._k]
        assert curve is not None
        low, high = float(curve.thresholds[0]), float(curve.thresholds[-1])
        most = max(float(curve.mass_g[0]), 1e-9)

        def at(threshold: float, grams: float) -> QPointF:
            across = min(max((threshold - low) / max(high - low, 1e-9), 0.0), 1.0)
            return QPointF(
                room.left() + room.width() * across, room.bottom() - room.height() * grams / most
            )

        painter.setPen(overlay.pen(theme.QUIET, 1.5))
        pairs = zip(curve.thresholds, curve.mass_g, strict=True)
        painter.drawPolyline(QPolygonF([at(float(x), float(y)) for x, y in pairs]))
        labelled = self._answer.method(SEGMENTED).slices_g[self._k]
        painter.setPen(overlay.pen(theme.ORANGE, 1.2, Qt.PenStyle.DashLine))
        painter.drawLine(at(low, labelled), at(high, labelled))
        named = None
        for method, level, grams in points:
            mine = method.name == self._chosen
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.ACCENT if mine else theme.TEXT))
            painter.drawEllipse(at(level, grams), *((5.0, 5.0) if mine else (3.0, 3.0)))
            named = (method, level, grams) if mine else named
        self._write(painter, room, (low, high), labelled, named)

    def _write(
        self,
        painter: QPainter,
        room: QRectF,
        ends: tuple[float, float],
        labelled: float,
        named: tuple[Method, float, float] | None,
    ) -> None:
        foot = QRectF(room.left(), room.bottom() + 2, room.width(), 16)
        painter.setPen(QColor(theme.QUIET))
        painter.drawText(foot, LEFT, f"{ends[0]:.4g}")
        painter.drawText(foot, RIGHT, f"{ends[1]:.4g}")
        painter.drawText(foot, Qt.AlignmentFlag.AlignCenter, "threshold, this slice")
        head = QRectF(room.left(), room.top(), room.width(), 16)
        painter.setPen(QColor(theme.ORANGE))
        painter.drawText(head, RIGHT, f"segmented {labelled:.1f} g")
        if named is not None:
            method, level, grams = named
            painter.setPen(QColor(theme.ACCENT))
            words = f"{method.title} > {level:.4g}: {grams:.1f} g"
            painter.drawText(head.translated(0, 16), RIGHT, words)
