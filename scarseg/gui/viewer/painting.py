"""Labels and prompts as things to paint: outlines where the voxels are, boxes, points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil, floor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PyQt6.QtCore import QByteArray, QDataStream, QLineF, QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPolygonF

from scarseg.case.borders import trace_borders
from scarseg.case.labels import INFARCT, Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui import theme
from scarseg.gui.tools import prompts as tools_prompts

Traced = list[tuple[QColor, QPainterPath]]
"""Outlines with their colours, in the order they are drawn."""
T = TypeVar("T", bound=np.generic)
_density = 1.0
_OPAQUE = np.arange(256, dtype=np.uint32) * 0x010101 | np.uint32(0xFF000000)
"""Grey values as Qt wants colours."""
_TINT = np.zeros(256, dtype=np.uint32)
_TINT[list(INFARCT)] = [QColor(theme.LABEL_COLOURS[label]).rgba() for label in INFARCT]
"""The colour of each label that is filled."""
SEAM = ((-1.5, 0), (1.5, 0), (0, -1.5), (0, 1.5), (-1, -1), (1, -1), (-1, 1), (1, 1))
"""Where words are written dark before they are written bright, in screen pixels."""
HANDLE = 3.5
"""Half the side of a box handle, in screen pixels."""
SMALLEST_VOXEL = 9.0
"""Below this many screen pixels for a voxel, lines between voxels would hide the image."""
REACH = 8.0
"""How far from a handle the mouse may be, in screen pixels."""


def bounds(mask: MaskArray) -> QRect:
    """Return the smallest part of a mask (row, column) that holds all of it; null if empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return QRect()
    top, left = int(rows[0]), int(columns[0])
    return QRect(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)


def cut(values: npt.NDArray[T], part: QRect) -> npt.NDArray[T]:
    """Return a part of values (row, column)."""
    return values[part.top() : part.bottom() + 1, part.left() : part.right() + 1]


def outline(mask: MaskArray) -> QPainterPath:
    """Trace a mask (row, column) in source pixels: x is column, y is row, pixel i is [i, i+1)."""
    path = QPainterPath()
    for border in trace_borders(mask):
        path.addPolygon(polygon_of(border))
        path.closeSubpath()
    return path


def polygon_of(points: npt.NDArray[np.float64]) -> QPolygonF:
    """Turn points (n, 2) of x, y into a polygon in one go, as Qt would read it from a file."""
    data = len(points).to_bytes(4, "big") + points.astype(">f8").tobytes()
    polygon = QPolygonF()
    stream: Any = QDataStream(QByteArray(data))  # its stubs do not know that it reads polygons
    stream >> polygon
    return polygon


def outlines(labels: LabelArray) -> Traced:
    """Return the outlines of blood pool, wall, infarct and MVO with their colours, in order."""
    return Tracer().trace(labels)


class Tracer:
    """Trace the labels of one slice again and again, each time only those that changed."""

    def __init__(self) -> None:
        self._masks: list[MaskArray] = []
        self._traced: Traced = []

    def trace(self, labels: LabelArray) -> Traced:
        """Return the outlines of labels (row, column), as :func:`outlines` does."""
        parts = (
            (Label.BLOOD_POOL, labels == Label.BLOOD_POOL),
            (Label.MYOCARDIUM, wall_mask(labels)),
            (Label.SCAR, infarct_mask(labels)),
            (Label.MVO, labels == Label.MVO),
        )
        traced: Traced = []
        for n, (label, mask) in enumerate(parts):
            if self._masks and np.array_equal(self._masks[n], mask):
                traced.append(self._traced[n])
            else:
                traced.append((theme.colour(theme.LABEL_COLOURS[label]), outline(mask)))
        self._masks, self._traced = [mask for _, mask in parts], traced
        return traced


def tint(labels: LabelArray) -> tuple[QImage, QPointF]:
    """Colour scar and MVO; the wall has its outline alone.

    Returns:
        An image of the smallest part of labels (row, column) that holds them all, and where in
        source pixels it is.
    """
    part = bounds(infarct_mask(labels))
    data = _TINT[cut(labels, part)].tobytes()
    argb = QImage.Format.Format_ARGB32_Premultiplied
    image = QImage(data, part.width(), part.height(), 4 * part.width(), argb).copy()
    return image, QPointF(part.topLeft())


def grey(pixels: FloatArray, levels: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Map source values (row, column) to grey, 0 at the low level and 255 at the high one."""
    low, high = levels
    scaled = (pixels - low) * (255.0 / max(high - low, 1e-6))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def image(grey_values: npt.NDArray[np.uint8]) -> QImage:
    """Copy grey values (row, column) into an image of the kind that is drawn fastest."""
    rows, columns = grey_values.shape
    data = _OPAQUE[grey_values].tobytes()
    return QImage(data, columns, rows, 4 * columns, QImage.Format.Format_RGB32).copy()


@contextmanager
def lines_for(ratio: float) -> Iterator[None]:
    """Draw lines as thick on a dense screen (``ratio`` pixels for each of a window) as elsewhere.

    Qt leaves the width of cosmetic pens as it is there.
    """
    global _density
    before, _density = _density, ratio
    try:
        yield
    finally:
        _density = before


def pen(name: str | QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """Return a pen whose width is in screen pixels whatever the zoom."""
    made = QPen(QColor(name), width * _density, style)
    made.setCosmetic(True)
    made.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return made


def paint_outlines(
    painter: QPainter, traced: Iterable[tuple[QColor, QPainterPath]], width: float
) -> None:
    """Draw outlines, a dark seam beneath each so that they show on bright scar too."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, path in traced:
        painter.setPen(pen(theme.colour("#000000", 0.35), width + 1.2))
        painter.drawPath(path)
        painter.setPen(pen(colour, width))
        painter.drawPath(path)


def paint_grid(
    painter: QPainter, shape: tuple[int, int], seen: QRectF, screen_per_pixel: float
) -> bool:
    """Draw the borders between the voxels of a slice; return whether they are far enough apart.

    Args:
        shape: of the slice (row, column).
        seen: the part that is in view, in source pixels.
        screen_per_pixel: screen pixels of a source pixel.
    """
    part = seen.intersected(QRectF(0, 0, shape[1], shape[0]))
    if screen_per_pixel < SMALLEST_VOXEL or part.isEmpty():
        return False
    left, right, top, bottom = part.left(), part.right(), part.top(), part.bottom()
    lines = [QLineF(x, top, x, bottom) for x in range(ceil(left), floor(right) + 1)]
    lines += [QLineF(left, y, right, y) for y in range(ceil(top), floor(bottom) + 1)]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(pen(theme.colour(theme.QUIET, 0.32), 1.0))
    painter.drawLines(*lines)
    return True


def paint_words(
    painter: QPainter, place: QRectF, side: Qt.AlignmentFlag, text: str, name: str
) -> None:
    """Write words in screen pixels, with a dark seam so that they show on bright tissue too."""
    painter.setPen(theme.colour("#000000", 0.5))
    for dx, dy in SEAM:
        painter.drawText(place.translated(dx, dy), side, text)
    painter.setPen(QColor(name))
    painter.drawText(place, side, text)


def paint_caption(painter: QPainter, x: float, y: float, text: str, name: str) -> None:
    at = painter.worldTransform().map(QPointF(x, y))
    painter.save()
    painter.resetTransform()
    font = painter.font()
    font.setPixelSize(11)
    font.setBold(False)
    painter.setFont(font)
    above = at.y() - 18
    top = above if above > 0 else max(at.y() + 2, 2.0)
    place = QRectF(max(at.x(), 0.0) + 1, top, 200, 16)
    paint_words(
        painter, place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, text, name
    )
    painter.restore()


def _paint_box(
    painter: QPainter,
    box: Box,
    chosen: bool,
    waits: bool,
    kind: Label,
    handles: Label | None,
    small: bool = False,
) -> None:
    ventricle = kind is Label.MYOCARDIUM
    from_detector = box.origin is Origin.DETECTOR
    name = theme.YELLOW if kind is Label.SCAR else theme.LABEL_COLOURS[kind]
    style = Qt.PenStyle.DashLine if from_detector or waits else Qt.PenStyle.SolidLine
    rectangle = QRectF(box.column0, box.row0, box.width, box.height)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if ventricle and handles is not kind:
        _paint_corners(painter, rectangle, name)
        return
    painter.setPen(pen(theme.colour("#000000", 0.4), 3.0))
    painter.drawRect(rectangle)
    painter.setPen(_dashed(pen(name, 1.5, style)))
    painter.drawRect(rectangle)
    if not ventricle:
        word = "" if small else f"{tools_prompts.NAMES[kind]} "
        text = word if box.score is None else f"{word}{box.score:.2f}"
        paint_caption(painter, box.column0, box.row0, "waiting …" if waits else text, name)
    if handles is kind:
        _paint_handles(painter, box, "#ffffff" if chosen else name, chosen)


def _dashed(made: QPen) -> QPen:
    """Set dashes of a length that reads as a line."""
    if made.style() is Qt.PenStyle.DashLine:
        made.setDashPattern([4.0, 3.0])
    return made


def _paint_corners(painter: QPainter, rectangle: QRectF, name: str) -> None:
    """Draw the corners of a box alone, where the tool does not change it."""
    arm = 0.09 * min(rectangle.width(), rectangle.height())
    path = QPainterPath()
    for x, dx in ((rectangle.left(), arm), (rectangle.right(), -arm)):
        for y, dy in ((rectangle.top(), arm), (rectangle.bottom(), -arm)):
            path.moveTo(x + dx, y)
            path.lineTo(x, y)
            path.lineTo(x, y + dy)
    painter.setPen(pen(theme.colour("#000000", 0.4), 2.6))
    painter.drawPath(path)
    painter.setPen(pen(theme.colour(name, 0.8), 1.3))
    painter.drawPath(path)


def _paint_handles(painter: QPainter, box: Box, name: str, large: bool) -> None:
    scale_x = abs(painter.worldTransform().m11()) or 1.0
    scale_y = abs(painter.worldTransform().m22()) or 1.0
    half_x, half_y = ((HANDLE + 1.5 * large) / scale for scale in (scale_x, scale_y))
    painter.setPen(pen("#101418", 1))
    painter.setBrush(QColor(name))
    reach = REACH * 2 / (scale_x + scale_y)
    for x, y in tools_prompts.handles(box, reach).values():
        painter.drawRect(QRectF(x - half_x, y - half_y, 2 * half_x, 2 * half_y))


def _point_colour(point: Point) -> str:
    """Return the colour of a point: of scar by its sign, of wall or pool by its structure."""
    if point.structure is not Label.SCAR:
        return theme.LABEL_COLOURS[point.structure]
    return theme.GREEN if point.positive else theme.RED


def paint_prompts(
    painter: QPainter,
    prompts: SlicePrompts,
    chosen: tuple[str, int] | None = None,
    waits: bool = False,
    handles: Label | None = Label.SCAR,
    small: bool = False,
) -> None:
    """Draw boxes (the detector's dashed, with score) and points in source pixels.

    ``chosen`` is ("box", "point" or "pool", index); ``waits`` draws what has not been answered
    yet; ``handles`` says for what the boxes ask that can be taken hold of, if any;
    ``small`` leaves out words that many small pictures would only repeat.
    """
    if prompts.lv_box is not None:
        _paint_box(painter, prompts.lv_box, False, False, Label.MYOCARDIUM, handles)
    if prompts.pool_box is not None:
        picked = chosen == ("pool", 0)
        _paint_box(painter, prompts.pool_box, picked, waits, Label.BLOOD_POOL, handles)
    for index, box in enumerate(prompts.boxes):
        picked = chosen == ("box", index)
        _paint_box(painter, box, picked, waits, Label.SCAR, handles, small)
    scale_x = abs(painter.worldTransform().m11()) or 1.0
    scale_y = abs(painter.worldTransform().m22()) or 1.0
    for index, point in enumerate(prompts.points):
        radius = 6.5 if chosen == ("point", index) else 5.0
        rx, ry = radius / scale_x, radius / scale_y
        name = _point_colour(point)
        hollow = waits
        painter.setPen(pen("#ffffff" if chosen == ("point", index) else "#101418", 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush if hollow else QColor(name))
        if hollow:
            painter.setPen(pen(name, 1.5, Qt.PenStyle.DotLine))
        centre = QPointF(point.column, point.row)
        painter.drawEllipse(centre, rx, ry)
        painter.setPen(pen("#101418", 1.5))
        painter.drawLine(centre - QPointF(rx * 0.5, 0), centre + QPointF(rx * 0.5, 0))
        if point.positive:
            painter.drawLine(centre - QPointF(0, ry * 0.5), centre + QPointF(0, ry * 0.5))
