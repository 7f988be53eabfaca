"""RV insertion point on the slices: its mark, and the click that sets it."""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPainter, QPainterPath, QPolygonF

from scarseg.case.labels import wall_mask
from scarseg.case.prompts import InsertionPoint
from scarseg.gui import theme
from scarseg.gui.panels.bullseye.summary import SegmentSummary
from scarseg.gui.session.session import Session
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.layers import AddedLayer
from scarseg.gui.viewer.montage import Cell, Views
from scarseg.quant.wall_geometry import ring_centre

CLICK_RADIUS = 8.0
"""Distance from the mark at which a click deletes it, in screen pixels."""
MARK_RADIUS = 5.0
"""Half the size of the mark, in screen pixels."""
CURSOR_TEXT = "RV inserts in front here"
HINT = (
    "Click where the right ventricle inserts in front; a click on your own point deletes it."
    " Esc: leave it."
)
EMPTY_PATH = QPainterPath()
LEAST_MOVE = 0.25
"""A mark that moves by less, in source pixels, is not drawn again."""
PRESS, MOVE = QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove
RELEASE, DOUBLE_CLICK = QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick


class InsertionLayer(AddedLayer):
    """Layer of a slice view: the mark of the insertion and the highlighted segment."""

    def __init__(self, canvas: Canvas, k: int | None) -> None:
        super().__init__(canvas.overlay.redraw)
        self.k = k
        self.small = k is not None
        self.highlighted = EMPTY_PATH
        self.mark: tuple[float, float] | None = None
        self.own = False
        self._drawn: tuple[float, float] | None = None

    def show(self, highlighted: QPainterPath, mark: tuple[float, float] | None, own: bool) -> None:
        """Set path and mark, in source pixels; ``own`` if the reader's point is on this slice."""
        moved = _differ(mark, self._drawn) or own is not self.own
        touched = moved or highlighted is not self.highlighted
        self.highlighted, self.mark, self.own = highlighted, mark, own
        if touched:
            self._drawn = mark
            self.touch()

    def paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.highlighted.isEmpty():
            painter.fillPath(self.highlighted, theme.colour(theme.ACCENT, 0.22))
            painting.paint_outlines(painter, [(theme.colour(theme.ACCENT), self.highlighted)], 1.8)
        if self.mark is None:
            return
        at = painter.worldTransform().map(QPointF(*self.mark))
        painter.save()
        painter.resetTransform()
        half = MARK_RADIUS * (0.8 if self.small else 1.0)
        ends = ((0, -half), (half, 0), (0, half), (-half, 0))
        diamond = QPolygonF([at + QPointF(x, y) for x, y in ends])
        painter.setBrush(theme.colour(theme.ACCENT if self.own else theme.BACKGROUND, 0.9))
        for colour, width in (("#000000", 3.4), (theme.ACCENT, 1.6)):
            painter.setPen(painting.pen(colour, width))
            painter.drawPolygon(diamond)
        painter.restore()
        if not self.small:
            painting.paint_caption(painter, *self.mark, "   RV", theme.ACCENT)


def _differ(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    """Return whether two marks are seen apart: a change of one slice moves all by a trifle."""
    if one is None or other is None:
        return one is not other
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) > LEAST_MOVE


class InsertionTool(QObject):
    """Draw the point on every view, and handle the click that sets or deletes it.

    States: idle; armed, from :meth:`arm` until the next click, Esc or another tool. While armed it
    filters the mouse events of the canvases before their own tool.

    Signals:
        said: a message for the status bar.
    """

    said = pyqtSignal(str)

    def __init__(self, session: Session, views: Views, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._views = session, views
        self._layers: dict[Canvas, InsertionLayer] = {}
        self._summary: SegmentSummary | None = None
        self._highlighted: int | None = None
        self._paths: dict[int, QPainterPath] = {}
        self.armed = False
        self._add_view(views.canvas, None)
        views.grid.made.connect(self._add_cell)
        views.switched.connect(self._draw)
        views.shared.tool_chosen.connect(self.disarm)
        views.other_gestures.append(lambda: self.armed)
        session.opened.connect(self.disarm)
        session.front.current_changed.connect(self._draw)

    def _add_cell(self, cell: Cell) -> None:
        self._add_view(cell.canvas, cell.index)

    def _add_view(self, canvas: Canvas, k: int | None) -> None:
        """Add the layer to a view and filter its mouse events."""
        self._layers = {one: layer for one, layer in self._layers.items() if not sip.isdeleted(one)}
        layer = InsertionLayer(canvas, k)
        self._layers[canvas] = layer
        canvas.added_layers.append(layer)
        canvas.installEventFilter(self)
        canvas.redraw()

    # What is drawn

    def show(self, summary: SegmentSummary | None) -> None:
        """Show the insertion point of a summary; None hides it."""
        self._summary, self._paths = summary, {}
        self._draw()

    def highlight(self, number: int | None) -> None:
        """Highlight a segment on all its slices; None removes the highlight."""
        self._highlighted, self._paths = number, {}
        self._draw()

    def _draw(self, *_what: object) -> None:
        for canvas, layer in self._layers.items():
            if not sip.isdeleted(canvas):
                layer.show(*self._on(layer))

    def _on(self, layer: InsertionLayer) -> tuple[QPainterPath, tuple[float, float] | None, bool]:
        """Return path, mark and ``own`` of a view."""
        current, summary = self._session.current, self._summary
        if current is None or summary is None:
            return EMPTY_PATH, None, False
        k = current.document.current if layer.k is None else layer.k
        own = summary.found.source is None and summary.point.slice_index == k
        return self._path(summary, k), summary.marks.get(k), own

    def _path(self, summary: SegmentSummary, k: int) -> QPainterPath:
        """Return the outline of the highlighted segment, traced once for all views."""
        if k not in self._paths:
            highlighted = EMPTY_PATH
            if self._highlighted is not None and k in summary.slices.get(self._highlighted, ()):
                highlighted = painting.outline(summary.mask(self._highlighted, k))
            self._paths[k] = highlighted
        return self._paths[k]

    # The click

    def arm(self) -> None:
        """Wait for a click on a slice; called again, stop waiting."""
        if self.armed:
            self.disarm()
            return
        self._views.cancel_gestures()
        self.armed = True
        self.said.emit(HINT)

    def disarm(self) -> None:
        """Stop waiting for a click."""
        if self.armed:
            self.armed = False
            for canvas in self._canvases():
                canvas.tool_layer.show_word((0, 0), "", theme.ACCENT)

    def propose(self) -> None:
        """Delete the reader's point, so that the proposed one counts."""
        if self._session.current is not None:
            self._session.current.document.set_insertion_point(None)
            self.said.emit("The insertion point is as proposed again.")

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if (
            not (self.armed and isinstance(watched, Canvas) and isinstance(event, QMouseEvent))
            or watched not in self._layers
        ):
            return False
        at = event.position()
        if event.type() == MOVE:
            watched.tool_layer.show_word(watched.to_source(at), CURSOR_TEXT, theme.ACCENT)
            watched.setCursor(Qt.CursorShape.CrossCursor)
            return True
        if event.button() is not Qt.MouseButton.LeftButton:
            return False
        if event.type() == RELEASE:
            self._click(watched, at)
        return event.type() in (PRESS, RELEASE, DOUBLE_CLICK)

    def _click(self, canvas: Canvas, at: QPointF) -> None:
        current, layer = self._session.current, self._layers[canvas]
        if current is None:
            return
        document = current.document
        k = document.current if layer.k is None else layer.k
        document.go_to(k)
        self.disarm()
        own = document.case.insertion
        if own is not None and own.slice_index == k:
            away = canvas.from_source(own.column, own.row) - at
            if hypot(away.x(), away.y()) <= CLICK_RADIUS:
                self.propose()
                return
        column, row = canvas.to_source(at)
        labels = document.case.labels[k]
        inside = 0 <= column <= labels.shape[1] and 0 <= row <= labels.shape[0]
        if not inside or not wall_mask(labels).any():
            self.said.emit("There is no wall on this slice to set the insertion by.")
        elif ring_centre(labels) == (column, row):
            self.said.emit("The middle of the ventricle has no direction.")
        else:
            document.set_insertion_point(InsertionPoint(k, column, row))

    def _canvases(self) -> Iterator[Canvas]:
        return (one for one in self._layers if not sip.isdeleted(one))
