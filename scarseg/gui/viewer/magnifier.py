"""A magnifier under the mouse, while its key is held: the slice three times larger, voxel by voxel.

It asks whatever slice view lies under the mouse, the large one or one of many.
"""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, QRect, QRectF, Qt, QTimer
from PyQt6.QtGui import (
    QCursor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QTransform,
)
from PyQt6.QtWidgets import QApplication, QWidget

from scarseg.gui import theme
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.slice_view import SliceView

KEY = Qt.Key.Key_Z
TIMES = 3
SIDE = 264
"""Width and height of the magnifier, in screen pixels; a multiple of ``TIMES``."""
LOOK_AGAIN_MS = 60
"""How often it looks again while it is held: the slice beneath may change without the mouse."""
GONE = (QEvent.Type.WindowDeactivate, QEvent.Type.ApplicationDeactivate, QEvent.Type.Close)


def magnified(view: SliceView, at: QPointF, ratio: float) -> QImage:
    """Draw what a view shows round a place of its, larger, voxels as they are.

    Args:
        view: with everything over its image.
        at: the middle, in the view's own pixels.
        ratio: of pixels of the screen to those of the window.
    """
    picture = QImage(
        round(SIDE * ratio), round(SIDE * ratio), QImage.Format.Format_ARGB32_Premultiplied
    )
    picture.setDevicePixelRatio(ratio)
    picture.fill(theme.colour(theme.BACKGROUND))
    # From source pixels to the view, and from there round the place to the glass.
    origin, right, down = (view.from_source(*corner) for corner in ((0, 0), (1, 0), (0, 1)))
    across, along = right - origin, down - origin
    larger = QTransform(
        across.x(), across.y(), along.x(), along.y(), origin.x() - at.x(), origin.y() - at.y()
    )
    larger *= QTransform.fromScale(TIMES, TIMES)
    larger *= QTransform.fromTranslate(SIDE / 2, SIDE / 2)
    back, _ = larger.inverted()
    painter = QPainter(picture)
    painter.setTransform(larger)
    rows, columns = view.image.pixels.shape
    part = back.mapRect(QRectF(0, 0, SIDE, SIDE)).toAlignedRect() & QRect(0, 0, columns, rows)
    grey = painting.grey(painting.cut(view.image.pixels, part), view.shown_levels)
    painter.drawImage(QPointF(part.topLeft()), painting.image(grey))
    if view.tint.isVisible():
        painter.setOpacity(view.tint.opacity())
        view.tint.paint(painter)
        painter.setOpacity(1.0)
    with painting.lines_for(ratio):
        for layer in (view.outlines, view.marks, view.prompt_layer, view.tool_layer):
            if layer.isVisible():
                layer.paint(painter)
    painter.end()
    return picture


class Glass(QWidget):
    """The round glass; the mouse goes through it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("Magnifier")
        self.setFixedSize(SIDE, SIDE)
        self.picture = QImage()
        self.hide()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rim = QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5)
        round_ = QPainterPath()
        round_.addEllipse(rim)
        painter.setClipPath(round_)
        painter.drawImage(QRectF(self.rect()), self.picture)
        painter.setClipping(False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for name, width in (("#000000", 4.0), (theme.TEXT, 1.6)):
            painter.setPen(QPen(theme.colour(name, 0.85), width))
            painter.drawEllipse(rim)
        painter.end()


class Magnifier(QObject):
    """Show the glass over the slice under the mouse while the key is held."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.glass = Glass(window)
        self._view: SliceView | None = None
        self._at = QPointF()
        self._again = QTimer(self)
        self._again.setInterval(LOOK_AGAIN_MS)
        self._again.timeout.connect(self._draw)
        window.installEventFilter(self)

    @property
    def held(self) -> bool:
        """Return whether the key is down."""
        return self._again.isActive()

    def hold(self) -> None:
        """Show it, from now on over whatever slice the mouse comes to."""
        if self.held:
            return
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)
        self._again.start()
        place = QCursor.pos()
        view = _view_of(QApplication.widgetAt(place))
        if view is not None:
            self._come(view, QPointF(view.mapFromGlobal(place)))

    def release(self) -> None:
        """Hide it."""
        application = QApplication.instance()
        if self.held and application is not None:
            application.removeEventFilter(self)
        self._again.stop()
        self._leave()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None:
            return False
        kind = event.type()
        if isinstance(event, QKeyEvent) and event.key() == KEY and not event.isAutoRepeat():
            if kind == QEvent.Type.KeyPress and watched is self._window and not event.modifiers():
                self.hold()
            elif kind == QEvent.Type.KeyRelease and self.held:
                self.release()
        elif kind in GONE and watched is self._window:
            self.release()
        elif self.held and kind == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            self._follow(watched, event)
        return False

    def _follow(self, watched: QObject | None, event: QMouseEvent) -> None:
        if not isinstance(watched, QWidget):
            return
        view = _view_of(watched)
        if view is None:
            self._leave()
        elif watched is view:
            self._come(view, event.position())

    def _come(self, view: SliceView, at: QPointF) -> None:
        if view.window() is not self._window:
            return
        if self._view is not view:
            self._leave()
            self._view = view
            view.destroyed.connect(self._leave)
        self._at = at
        self._draw()
        middle = view.mapTo(self._window, at.toPoint())
        self.glass.move(middle - QPoint(SIDE // 2, SIDE // 2))
        self.glass.show()
        self.glass.raise_()

    def _leave(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.destroyed.disconnect(self._leave)
        self.glass.hide()

    def _draw(self) -> None:
        if self._view is None:
            return
        if not self._view.isVisible():
            self._leave()
            return
        picture = magnified(self._view, self._at, self._window.devicePixelRatioF())
        if picture != self.glass.picture:
            self.glass.picture = picture
            self.glass.update()


def _view_of(widget: QWidget | None) -> SliceView | None:
    """Find the slice view that a widget is part of."""
    while widget is not None and not isinstance(widget, SliceView):
        widget = widget.parentWidget()
    return widget
