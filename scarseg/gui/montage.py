"""All slices at once as a strip: image, outlines, grams, status."""

from __future__ import annotations

from dataclasses import dataclass, field

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
)
from PyQt6.QtWidgets import QHBoxLayout, QScrollArea, QWidget

from scarseg.case import SliceStatus
from scarseg.gui import overlay, theme
from scarseg.gui.document import Document
from scarseg.gui.inference import Inference, Readiness
from scarseg.measurements import Measurements

TILE_HEIGHT = 42
"""What stands beneath the picture: number, grams, status."""
SMALLEST, LARGEST = 74, 112
"""Ten slices fit side by side in a window of 1280 pixels."""
GAP = 5


@dataclass
class Content:
    """What a small picture of a slice shows; ``crop`` in source pixels."""

    image: QImage = field(default_factory=QImage)
    crop: QRectF = field(default_factory=lambda: QRectF(0, 0, 1, 1))
    traced: overlay.Traced = field(default_factory=list)


def draw_slice(content: Content, side: int, ratio: float, line: float = 1.1) -> QPixmap:
    """Draw image and outlines into a square of ``side``, ``ratio`` pixels for each of it.

    ``line`` is the width of outlines, in pixels.
    """
    pixmap = QPixmap(round(side * ratio), round(side * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(QColor(theme.GROUND))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.scale(side / content.crop.width(), side / content.crop.height())
    painter.translate(-content.crop.topLeft())
    painter.drawImage(QPointF(0, 0), content.image)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, path in content.traced:
        painter.setPen(overlay.pen(colour, line))
        painter.drawPath(path)
    painter.end()
    return pixmap


class Tile(QWidget):
    """One slice of the strip."""

    clicked = pyqtSignal(int)

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index
        self.set_width(100)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.content = Content()
        self._drawn: QPixmap | None = None
        self.grams = ""
        self.word, self.dot = "unseen", theme.QUIET
        self.chosen = False
        self.remark = ""
        self.status_word, self.status_colour = self.word, self.dot

    def set_width(self, width: int) -> None:
        """Make the tile this wide; its picture is square."""
        self.picture, self._drawn = width - 12, None
        self.setFixedSize(width, self.picture + TILE_HEIGHT)

    def show_image(self, image: QImage, crop: QRectF) -> None:
        """Show this image, cropped in source pixels."""
        self.content.image, self.content.crop, self._drawn = image, crop, None
        self.update()

    def show_outlines(self, traced: overlay.Traced) -> None:
        self.content.traced, self._drawn = traced, None
        self.update()

    def tell(
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
            words = (f"Slice {self.index + 1}", self.grams, self.word, self.remark)
            self.setAccessibleName(", ".join(words).removesuffix(", "))
            self.setToolTip(self.remark)
            self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() is Qt.MouseButton.LeftButton:
            self.clicked.emit(self.index)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(QColor(theme.ACCENT if self.chosen else theme.LINE), 1.6))
        painter.setBrush(QColor(theme.RAISED if self.chosen else theme.PANEL))
        painter.drawRoundedRect(frame, 4, 4)
        self._paint_picture(painter)
        font = painter.font()
        font.setPixelSize(12)
        font.setBold(self.chosen)
        painter.setFont(font)
        painter.setPen(QColor(theme.TEXT))
        top, right = self.picture + 6.0, self.width() - 7.0
        painter.drawText(QRectF(7, top, 26, 16), Qt.AlignmentFlag.AlignLeft, str(self.index + 1))
        painter.drawText(QRectF(26, top, right - 26, 16), Qt.AlignmentFlag.AlignRight, self.grams)
        if self.remark:
            painter.setPen(QColor(theme.YELLOW))
            corner = QRectF(right - 17, 7, 16, 16)
            painter.setBrush(theme.colour("#000000", 0.6))
            painter.drawEllipse(corner)
            painter.drawText(corner, Qt.AlignmentFlag.AlignCenter, "!")
        font.setPixelSize(11)
        font.setBold(False)
        painter.setFont(font)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.dot))
        painter.drawEllipse(QPointF(9.5, top + 24), 3.0, 3.2)
        painter.setPen(QColor(self.dot))
        room = right - 14
        word = painter.fontMetrics().elidedText(self.word, Qt.TextElideMode.ElideRight, int(room))
        painter.drawText(QRectF(16, top + 16, room, 16), Qt.AlignmentFlag.AlignLeft, word)
        painter.end()

    def _paint_picture(self, painter: QPainter) -> None:
        if self._drawn is None or self._drawn.devicePixelRatio() != self.devicePixelRatioF():
            self._drawn = self._draw()
        painter.drawPixmap(QPointF(6, 5), self._drawn)

    def _draw(self) -> QPixmap:
        """Draw image and outlines once; they change far more seldom than the tile is painted."""
        return draw_slice(self.content, self.picture, self.devicePixelRatioF())


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

    def show_document(self, document: Document, crop: QRectF, levels: tuple[float, float]) -> None:
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

    def show_window(self, document: Document, crop: QRectF, levels: tuple[float, float]) -> None:
        """Draw all pictures again with these levels and this crop."""
        for tile in self.tiles:
            pixels = document.case.stack.pixels[tile.index]
            tile.show_image(overlay.image(overlay.grey(pixels, levels)), crop)

    def show_status(self, document: Document, inference: Inference, k: int) -> None:
        """Say in colour and word how a slice stands."""
        status = document.case.readings[k].status
        word, dot = theme.STATUS_WORDS[status], theme.STATUS_COLOURS[status]
        self.tiles[k].status_word, self.tiles[k].status_colour = word, dot
        if status is SliceStatus.NOT_ASSESSABLE:
            word = f"n/a: {document.case.readings[k].reason}".removesuffix(": ")
        if status is SliceStatus.UNSEEN:
            state = inference.readiness[k]
            if state is Readiness.FAILED:
                word = "no proposal"
            elif inference.proposing:
                word = "proposing …"
        elif k in inference.pending:
            word, dot = "waiting …", theme.ACCENT
        elif k == document.current and not status.read:
            word, dot = "reading", theme.ACCENT
        self.tiles[k].tell(word=word, dot=dot)

    def show_grams(self, measured: Measurements) -> None:
        """Write the grams of every slice, in the headline's convention."""
        for row in measured.slices:
            grams = getattr(row, f"scar_mass_{measured.convention.value}_g")
            nothing = row.status in (SliceStatus.UNSEEN, SliceStatus.NOT_ASSESSABLE)
            words = "" if nothing and grams == 0 else f"{grams:.1f} g"
            self.tiles[row.slice_index].tell(grams=words)

    def choose(self, k: int) -> None:
        """Frame the current slice and bring it into sight."""
        for tile in self.tiles:
            tile.tell(chosen=tile.index == k)
        if self.tiles:
            self.ensureWidgetVisible(self.tiles[k], 60, 0)
