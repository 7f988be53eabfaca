"""What is said of a slice beside its picture: number, grams, status, a remark."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter
from PyQt6.QtWidgets import QWidget

from scarseg.case import SliceStatus
from scarseg.gui import theme
from scarseg.gui.document import Document
from scarseg.gui.inference import Inference, Readiness
from scarseg.measurements import Measurements

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
            self._name()
            self.update()

    def _name(self) -> None:
        words = (f"Slice {self.index + 1}", self.grams, self.word, self.remark)
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setToolTip(self.remark)

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
    """Let the painter write at this size; give the font."""
    font = painter.font()
    font.setPixelSize(theme.px(pixels))
    font.setBold(bold)
    painter.setFont(font)
    return font


def standing_of(
    document: Document, inference: Inference, k: int, here: bool = False
) -> tuple[str, str]:
    """Say in a word and a colour how a slice stands; ``here`` says so of the current one."""
    reading = document.case.readings[k]
    status = reading.status
    word, dot = theme.STATUS_WORDS[status], theme.STATUS_COLOURS[status]
    if status is SliceStatus.NOT_ASSESSABLE:
        word = f"n/a: {reading.reason}".removesuffix(": ")
    if k in inference.pending:
        return "waiting …", theme.ACCENT
    if status is SliceStatus.UNSEEN:
        if inference.readiness[k] is Readiness.FAILED:
            word = "no proposal"
        elif inference.proposing:
            word = "proposing …"
    elif here and k == document.current and not status.read:
        word, dot = "reading", theme.ACCENT
    return word, dot


def tell_grams(captions: Sequence[Captioned], measured: Measurements) -> None:
    """Write the grams of every slice, in the headline's convention."""
    for row in measured.slices:
        grams = getattr(row, f"scar_mass_{measured.convention.value}_g")
        nothing = row.status in (SliceStatus.UNSEEN, SliceStatus.NOT_ASSESSABLE)
        words = "" if nothing and grams == 0 else f"{grams:.1f} g"
        captions[row.slice_index].tell(grams=words)
