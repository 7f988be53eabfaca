"""Scar grams slice by slice, with a tick where the models' proposal stood."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QEvent, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QToolTip, QWidget

from scarseg.case import SliceStatus
from scarseg.gui import theme
from scarseg.measurements import MassConvention, Measurements, SliceMeasurement

LOW_ROW, HIGH_ROW = 15, 21
"""Height of a row in pixels, where room is scarce and where it is not."""
LEAST_RANGE_G = 0.05
"""A narrower interval of a slice is not seen in its grams either."""


class SliceBars(QWidget):
    """Scar grams of every slice as bars, MVO inside them; a click chooses the slice.

    A whisker spans the slice's interval, where it is known.

    ``spent`` gives a slice's (seconds, interactions) for its tool tip.
    """

    clicked = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Scar mass slice by slice")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.spent: Callable[[int], tuple[float, int]] | None = None
        self._rows: tuple[SliceMeasurement, ...] = ()
        self._convention = MassConvention.THICKNESS
        self._current = 0
        self._height = LOW_ROW
        self._ranges: Sequence[tuple[float, float] | None] = ()
        self._reach = 0.0

    @property
    def convention(self) -> MassConvention:
        """Tell by which convention the bars are."""
        return self._convention

    def show_ranges(self, ranges: Sequence[tuple[float, float] | None]) -> None:
        """Show the ends of each slice's interval in g; None where it is not known (yet)."""
        self._ranges = ranges
        if None not in ranges:  # until then the scale stays: bars that jump cannot be compared
            self._reach = max((high for _, high in filter(None, ranges)), default=0.0)
        self.update()

    def forget_ranges(self) -> None:
        """Show no intervals."""
        self._ranges, self._reach = (), 0.0
        self.update()

    def show_measurements(self, measured: Measurements, current: int) -> None:
        self._rows, self._convention = measured.slices, measured.convention
        self._current = current
        self.set_row_height(self._height)
        changed = [row.slice_index + 1 for row in self._rows if row.changed]
        self.setAccessibleDescription(
            f"Changed since the proposal: {', '.join(map(str, changed)) or 'no slice'}"
        )
        self.update()

    def set_row_height(self, pixels: int) -> None:
        """Make the rows higher or lower."""
        self._height = pixels
        self.setFixedHeight(pixels * len(self._rows) + 4)

    def choose(self, current: int) -> None:
        self._current = current
        self.update()

    def words(self, k: int) -> str:
        """Say everything of one slice."""
        row = self._rows[k]
        lines = [
            f"Slice {k + 1} · {theme.STATUS_WORDS[row.status]}",
            f"{row.scar_mass_thickness_g:.1f} g by slice thickness,"
            f" {row.scar_mass_spacing_g:.1f} g by slice spacing",
        ]
        proposed = self._grams(row, "scar", "proposed_")
        if proposed is not None:
            word = "changed since" if row.changed else "as proposed"
            lines.append(f"proposed {proposed:.1f} g, {word}")
        ends = self._range(k)
        if ends is not None:
            lines.append(f"90 % interval {ends[0]:.1f} – {ends[1]:.1f} g")
        if self.spent is not None:
            seconds, n = self.spent(k)
            if seconds or n:
                lines.append(f"{seconds:.0f} s, {n} interaction{'' if n == 1 else 's'}")
        return "\n".join(lines)

    def _grams(self, row: SliceMeasurement, what: str, of: str = "") -> float | None:
        grams = getattr(row, f"{what}_mass_{of}{self._convention.value}_g")
        return None if grams is None else float(grams)

    def _range(self, k: int) -> tuple[float, float] | None:
        return self._ranges[k] if k < len(self._ranges) else None

    def _row_at(self, y: float) -> int:
        return min(max(int(y // self._height), 0), len(self._rows) - 1)

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self._rows:
            QToolTip.showText(event.globalPos(), self.words(self._row_at(event.pos().y())), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._rows:
            self.clicked.emit(self._row_at(event.position().y()))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(theme.px(11 if self._height == LOW_ROW else 12))
        painter.setFont(font)
        grams = [self._grams(row, "scar") or 0.0 for row in self._rows]
        proposed = [self._grams(row, "scar", "proposed_") or 0.0 for row in self._rows]
        most = max((*grams, *proposed, self._reach), default=0.0) or 1.0
        for k, row in enumerate(self._rows):
            self._paint_row(painter, k, row, most)
        painter.end()

    def _paint_row(self, painter: QPainter, k: int, row: SliceMeasurement, most: float) -> None:
        high, left, right = self._height, 24.0, 50.0
        top, room = k * high, self.width() - left - right
        chosen = k == self._current
        middle = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(theme.TEXT if chosen else theme.QUIET))
        painter.drawText(QRectF(0, top, 18, high), middle, str(k + 1))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.RAISED))
        painter.drawRoundedRect(QRectF(left, top + 3, room, high - 6), 3, 3)
        scar = self._grams(row, "scar") or 0.0
        faint = 1.0 if row.status.read else 0.55
        for grams, colour in ((scar, theme.ORANGE), (self._grams(row, "mvo"), theme.VIOLET)):
            if grams:
                painter.setBrush(theme.colour(colour, faint))
                painter.drawRoundedRect(QRectF(left, top + 3, room * grams / most, high - 6), 3, 3)
        self._paint_tick(painter, row, left, top, room / most)
        self._paint_whisker(painter, k, left, top + high / 2, room / most)
        painter.setPen(QColor(theme.TEXT if chosen else theme.QUIET))
        text = f"{scar:.1f} g"
        if row.status is SliceStatus.NOT_ASSESSABLE and scar == 0:
            text = "n/a"
        elif row.status is SliceStatus.UNSEEN and scar == 0:
            text = "–"
        painter.drawText(QRectF(self.width() - right, top, right, high), middle, text)

    def _paint_whisker(
        self, painter: QPainter, k: int, left: float, middle: float, scale: float
    ) -> None:
        """Span the interval of a slice, with a dark edge to stand out on the bar."""
        ends = self._range(k)
        if ends is None or ends[1] - ends[0] < LEAST_RANGE_G:
            return
        low, high = (left + grams * scale for grams in ends)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, edge in ((theme.GROUND, 1.0), (theme.TEXT, 0.0)):
            painter.setBrush(QColor(colour))
            span = QRectF(low - edge, middle - 0.5 - edge, high - low + 2 * edge, 1 + 2 * edge)
            painter.drawRect(span)
            for end in (low, high - 1):
                cap = QRectF(end - edge, middle - 2.5 - edge, 1 + 2 * edge, 5 + 2 * edge)
                painter.drawRect(cap)

    def _paint_tick(
        self, painter: QPainter, row: SliceMeasurement, left: float, top: float, scale: float
    ) -> None:
        """Mark where the proposal stood; quietly where it still stands."""
        proposed = self._grams(row, "scar", "proposed_")
        if proposed is None or not (row.changed or proposed):
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.TEXT, 1.0 if row.changed else 0.35))
        painter.drawRect(QRectF(left + proposed * scale - 1, top + 1.5, 2, self._height - 3))
