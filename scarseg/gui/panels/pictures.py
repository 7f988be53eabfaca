"""Copy or save pictures: the slice as it is shown, or all slices with their grams.

They show pixels, labels, prompts, grams and directions, and nothing that names the patient.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, sqrt
from pathlib import Path

from PyQt6.QtCore import QBuffer, QIODevice, QObject, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtWidgets import QApplication

from scarseg.case.measurements import Measurements
from scarseg.gui import theme
from scarseg.gui.commands import Commands
from scarseg.gui.dialogs.about import NOTICE
from scarseg.gui.viewer.filmstrip import Filmstrip, Tile, draw_slice
from scarseg.gui.viewer.montage import Views

SIDE, GAP, LINE = 240, 10, 22
"""Side of a slice, gap between two, and height of a line of text, in pixels."""
SCALE = 2.0
"""Device pixel ratio of the picture of all slices."""
OUTLINE = 3.0
"""Width of the outlines in the picture of all slices, in its pixels."""


def montage_image(tiles: list[Tile], measured: Measurements) -> QImage:
    """Return all slices in rows, each with number, grams and status, and the total below."""
    columns = max(ceil(sqrt(len(tiles) * 4 / 3)), 1)
    rows = ceil(len(tiles) / columns)
    width = columns * (SIDE + GAP) + GAP
    height = rows * (SIDE + LINE + GAP) + GAP + LINE
    image = QImage(round(width * SCALE), round(height * SCALE), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(SCALE)
    image.fill(QColor(theme.BACKGROUND))
    painter = QPainter(image)
    font = painter.font()
    font.setPixelSize(13)
    painter.setFont(font)
    for n, tile in enumerate(tiles):
        x = GAP + n % columns * (SIDE + GAP)
        y = GAP + n // columns * (SIDE + LINE + GAP)
        painter.drawPixmap(QPointF(x, y), draw_slice(tile.content, SIDE, SCALE, OUTLINE))
        words = QRectF(x, y + SIDE, SIDE, LINE)
        _write(painter, words, f"{tile.index + 1}   {tile.grams}", theme.TEXT)
        _write(painter, words, tile.status_word, tile.status_colour, Qt.AlignmentFlag.AlignRight)
    foot = QRectF(GAP, height - GAP - LINE, width - 2 * GAP, LINE)
    _write(painter, foot, total_text(measured), theme.TEXT)
    _write(painter, foot, NOTICE, theme.QUIET, Qt.AlignmentFlag.AlignRight)
    painter.end()
    return image


def _write(
    painter: QPainter,
    where: QRectF,
    text: str,
    colour: str,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    painter.setPen(QColor(colour))
    painter.drawText(where, side | Qt.AlignmentFlag.AlignVCenter, text)


def total_text(measured: Measurements) -> str:
    """Return the total with its convention, and the number of slices read."""
    read = f"{measured.n_slices_reviewed} of {measured.n_slices} slices read"
    return f"Scar {measured.scar_mass_g:.1f} g by slice {measured.convention.value} · {read}"


def write_png(path: Path, image: QImage, force: bool) -> str:
    """Write a picture as PNG; return a message for the status bar.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE.
    """
    from scarseg.io import files

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    files.write_file(path, bytes(buffer.data().data()), force)
    return f"Written: {path.name} in {path.parent}"


class PictureExport(QObject):
    """Copy or save pictures of the open case."""

    def __init__(
        self,
        commands: Commands,
        views: Views,
        strip: Filmstrip,
        measured: Callable[[], Measurements | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._commands, self._views, self._strip, self._measured = commands, views, strip, measured

    def copy_slice(self) -> None:
        self._copy(self._slice(), "The slice as shown")

    def copy_montage(self) -> None:
        self._copy(self._montage(), "The picture of all slices")

    def save_slice(self) -> None:
        if self._commands.document is not None:
            name = f"slice-{self._commands.document.current + 1}.png"
            self._save(self._slice(), "Save picture of the slice", name)

    def save_montage(self) -> None:
        self._save(self._montage(), "Save picture of all slices", "slices.png")

    def _slice(self) -> QImage | None:
        document = self._commands.document
        if document is None:
            return None
        n = document.case.stack.n_slices
        return self._views.picture(f"Slice {document.current + 1} of {n}")

    def _montage(self) -> QImage | None:
        measured = self._measured()
        if self._commands.document is None or measured is None:
            return None
        return montage_image(self._strip.tiles, measured)

    def _copy(self, image: QImage | None, what: str) -> None:
        clipboard = QApplication.clipboard()
        if image is not None and clipboard is not None:
            clipboard.setImage(image)
            self._commands.said.emit(f"{what} is on the clipboard.")

    def _save(self, image: QImage | None, title: str, name: str) -> None:
        path = None if image is None else self._commands.export.picture_path(title, name)
        if image is not None and path is not None:
            self._commands.export.write(partial(write_png, path, image), path)
