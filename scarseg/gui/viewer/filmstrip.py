"""All slices at once as a strip: image, outlines, grams, status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import QHBoxLayout, QScrollArea, QWidget

from scarseg.case.history import SliceStatus
from scarseg.case.measurements import Measurements
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.session.document import Document
from scarseg.gui.session.inference import Inference
from scarseg.gui.session.inference_state import Readiness
from scarseg.gui.viewer import painting

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class Captioned(QWidget):
    """A slice with what is said of it; its accessible name says the same."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.grams, self.remark = "", ""
        self.word, self.dot = "unseen", theme.QUIET
        self.chosen = False
        self._name()

    def set_caption(
        self,
        grams: str | None = None,
        word: str | None = None,
        dot: str | None = None,
        chosen: bool | None = None,
        remark: str | None = None,
    ) -> None:
        """Change what is given, and paint again only if that differs."""
        before = (self.grams, self.word, self.dot, self.chosen, self.remark)
        self.remark = self.remark if remark is None else remark
        self.grams = self.grams if grams is None else grams
        self.word = self.word if word is None else word
        self.dot = self.dot if dot is None else dot
        self.chosen = self.chosen if chosen is None else chosen
        if before != (self.grams, self.word, self.dot, self.chosen, self.remark):
            self._name()
            self.update()

    def _name(self) -> None:
        words = (f"Slice {self.index + 1}", self.grams, self.word, self.remark)
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setToolTip(theme.wrapped(self.remark))

    def write(
        self, painter: QPainter, room: QRectF, text: str, name: str, side: Qt.AlignmentFlag = LEFT
    ) -> None:
        """Write words into ``room``; what does not fit ends in an ellipsis."""
        painter.setPen(QColor(name))
        fits = painter.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, int(room.width()) + 1
        )
        painter.drawText(room, side, fits)

    def write_status(self, painter: QPainter, room: QRectF) -> None:
        """Write the status as a dot and a word in one colour."""
        self.write(painter, room.adjusted(10, 0, 0, 0), self.word, self.dot)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.dot))
        painter.drawEllipse(QPointF(room.left() + 3, room.center().y() + 0.5), 3.0, 3.0)


def sized(painter: QPainter, pixels: int, bold: bool = False) -> QFont:
    """Set the size of the painter's font; return the font."""
    font = painter.font()
    font.setPixelSize(theme.px(pixels))
    font.setBold(bold)
    painter.setFont(font)
    return font


def status_of(
    document: Document, inference: Inference, k: int, here: bool = False
) -> tuple[str, str]:
    """Return the state of a slice as a word and a colour; ``here`` marks the current one."""
    reading = document.case.readings[k]
    status = reading.status
    word, dot = theme.STATUS_WORDS[status], theme.STATUS_COLOURS[status]
    if status is SliceStatus.ACCEPTED and document.case.differs_from_proposal(k):
        word = theme.CORRECTED
    if status is SliceStatus.NOT_ASSESSABLE:
        word = f"n/a: {reading.reason}".removesuffix(": ")
    if k in inference.pending:
        return "waiting …", theme.ACCENT
    if status is SliceStatus.UNSEEN:
        if inference.readiness[k] is Readiness.FAILED:
            word = "no proposal"
        elif inference.proposing:
            word = "proposing"
    elif here and k == document.current and not status.read:
        word, dot = "reading", theme.ACCENT
    return word, dot


def show_grams_of(captions: Sequence[Captioned], measured: Measurements) -> None:
    """Write the grams of every slice, in the headline's convention."""
    for row in measured.slices:
        grams = getattr(row, f"scar_mass_{measured.convention.value}_g")
        nothing = row.status in (SliceStatus.UNSEEN, SliceStatus.NOT_ASSESSABLE)
        words = "" if nothing and grams == 0 else f"{grams:.1f} g"
        captions[row.slice_index].set_caption(grams=words)


TILE_HEIGHT = 42
"""What stands beneath the picture: number, grams, status."""
SMALLEST, LARGEST = 74, 112
"""Ten slices fit side by side in a window of 1280 pixels."""
GAP = 5


@dataclass
class Content:
    """What a small picture of a slice shows; ``crop`` in source pixels."""

    pixels: FloatArray = field(default_factory=lambda: np.zeros((1, 1), dtype=np.float32))
    levels: tuple[float, float] = (0.0, 1.0)
    crop: QRectF = field(default_factory=lambda: QRectF(0, 0, 1, 1))
    traced: painting.Traced = field(default_factory=list)


def draw_slice(content: Content, side: int, ratio: float, line: float = 1.1) -> QPixmap:
    """Draw image and outlines into a square of ``side``, ``ratio`` pixels for each of it.

    ``line`` is the width of outlines, in pixels.
    """
    pixmap = QPixmap(round(side * ratio), round(side * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(QColor(theme.BACKGROUND))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.scale(side / content.crop.width(), side / content.crop.height())
    painter.translate(-content.crop.topLeft())
    grey = painting.grey(content.pixels, content.levels)
    painter.drawImage(QPointF(0, 0), painting.image(grey))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, path in content.traced:
        painter.setPen(painting.pen(colour, line))
        painter.drawPath(path)
    painter.end()
    return pixmap


class Tile(Captioned):
    """One slice of the strip."""

    clicked = pyqtSignal(int)

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.set_width(100)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.content = Content()
        self._drawn: QPixmap | None = None
        self.status_word, self.status_colour = self.word, self.dot

    def set_width(self, width: int) -> None:
        """Make the tile this wide; its picture is square."""
        self.picture, self._drawn = width - 12, None
        self.setFixedSize(width, self.picture + TILE_HEIGHT)

    def show_image(self, pixels: FloatArray, levels: tuple[float, float], crop: QRectF) -> None:
        """Show these pixels (row, column), cropped in source pixels."""
        self.content.pixels, self.content.levels, self.content.crop = pixels, levels, crop
        self._drawn = None
        self.update()

    def show_outlines(self, traced: painting.Traced) -> None:
        self.content.traced, self._drawn = traced, None
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit(self.index)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(theme.ACCENT if self.chosen else theme.LINE), 1.6))
        painter.setBrush(QColor(theme.RAISED if self.chosen else theme.PANEL))
        painter.drawRoundedRect(frame, 4, 4)
        if self._drawn is None or self._drawn.devicePixelRatio() != self.devicePixelRatioF():
            ratio = self.devicePixelRatioF()
            self._drawn = draw_slice(self.content, self.picture, ratio, 1.1 * ratio)
        painter.drawPixmap(QPointF(6, 5), self._drawn)
        top, right = self.picture + 6.0, self.width() - 7.0
        sized(painter, 12, bold=self.chosen)
        self.write(painter, QRectF(7, top, 26, 16), str(self.index + 1), theme.TEXT)
        self.write(painter, QRectF(26, top, right - 26, 16), self.grams, theme.TEXT, RIGHT)
        if self.remark:
            corner = QRectF(right - 17, 7, 16, 16)
            painter.setPen(QColor(theme.YELLOW))
            painter.setBrush(theme.colour("#000000", 0.6))
            painter.drawEllipse(corner)
            painter.drawText(corner, Qt.AlignmentFlag.AlignCenter, "!")
        sized(painter, 11)
        self.write_status(painter, QRectF(6.5, top + 16, self.width() - 9.5, 16))
        painter.end()


LevelsOf = Callable[[int], tuple[float, float]]


class Filmstrip(QScrollArea):
    """All slices of the open stack, the current one framed.

    Signals:
        chosen: the slice that was clicked.
    """

    chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("All slices")
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tiles: list[Tile] = []

    def show_document(self, document: Document, crop: QRectF, levels: LevelsOf) -> None:
        """Make a tile per slice; ``crop`` is the part to show, in source pixels."""
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(8, 2, 8, 0)
        layout.setSpacing(GAP)
        self.tiles = []
        for k in range(document.case.stack.n_slices):
            tile = Tile(k)
            tile.clicked.connect(self.chosen)
            self.tiles.append(tile)
            layout.addWidget(tile)
        layout.addStretch(1)
        self.setWidget(row)
        self._fit_tiles()
        self.show_window(document, crop, levels)
        self.choose(document.current)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_tiles()

    def _fit_tiles(self) -> None:
        """Make all tiles fit side by side where they can; else they scroll."""
        n = max(len(self.tiles), 1)
        room = (self.width() - 16 - GAP * (n - 1)) // n
        width = min(max(room, SMALLEST), LARGEST)
        for tile in self.tiles:
            tile.set_width(width)
        scrolls = room < SMALLEST
        self.setFixedHeight(width - 12 + TILE_HEIGHT + (14 if scrolls else 6))

    def show_window(self, document: Document, crop: QRectF, levels: LevelsOf) -> None:
        """Draw all pictures again with these levels and this crop.

        ``levels`` returns those of a slice.
        """
        for tile in self.tiles:
            pixels = document.case.stack.pixels[tile.index]
            tile.show_image(pixels, levels(tile.index), crop)

    def show_status(self, document: Document, inference: Inference, k: int) -> None:
        """Show the state of a slice in colour and word."""
        tile, status = self.tiles[k], document.case.readings[k].status
        tile.status_word, tile.status_colour = (
            theme.STATUS_WORDS[status],
            theme.STATUS_COLOURS[status],
        )
        word, dot = status_of(document, inference, k, here=True)
        tile.set_caption(word=word, dot=dot)

    def show_grams(self, measured: Measurements) -> None:
        """Write the grams of every slice, in the headline's convention."""
        show_grams_of(self.tiles, measured)

    def choose(self, k: int) -> None:
        """Frame the current slice and bring it into sight."""
        for tile in self.tiles:
            tile.set_caption(chosen=tile.index == k)
        if self.tiles:
            self.ensureWidgetVisible(self.tiles[k], 60, 0)
