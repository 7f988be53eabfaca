"""Layer of a slice view: the outline of the previewed method and the remote region."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QBrush, QPainter, QPainterPath

from scarseg.gui import theme
from scarseg.gui.viewer import painting
from scarseg.gui.viewer.layers import AddedLayer
from scarseg.gui.viewer.slice_view import SliceView

EMPTY_PATH = QPainterPath()


class PreviewLayer(AddedLayer):
    """The outline of a method, dashed, and the remote region, faintly hatched."""

    def __init__(self, view: SliceView) -> None:
        super().__init__(view.overlay.redraw)
        self.outline, self.remote = EMPTY_PATH, EMPTY_PATH
        self._width = 1.4 if view.small else 2.0

    @classmethod
    def on(cls, view: SliceView) -> PreviewLayer:
        """Return the layer of a view; it is added above the labels on first use."""
        for layer in view.added_layers:
            if isinstance(layer, cls):
                return layer
        made = cls(view)
        view.added_layers.append(made)
        view.redraw()
        return made

    def show_paths(self, outline: QPainterPath, remote: QPainterPath) -> None:
        """Set the paths, in source pixels."""
        if (outline, remote) != (self.outline, self.remote):
            self.outline, self.remote = outline, remote
            self.touch()

    def paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if not self.remote.isEmpty():
            self._paint_remote(painter)
        if not self.outline.isEmpty():
            painter.setPen(painting.pen(theme.colour("#000000", 0.6), self._width + 1.4))
            painter.drawPath(self.outline)
            dashed = painting.pen("#ffffff", self._width)
            dashed.setDashPattern([3.0, 2.2])
            painter.setPen(dashed)
            painter.drawPath(self.outline)

    def _paint_remote(self, painter: QPainter) -> None:
        """Hatch in screen pixels, independent of the zoom."""
        region = painter.worldTransform().map(self.remote)
        painter.save()
        painter.resetTransform()
        hatch = QBrush(theme.colour(theme.ACCENT, 0.5), Qt.BrushStyle.BDiagPattern)
        painter.fillPath(region, hatch)
        painter.setPen(painting.pen(theme.colour(theme.ACCENT, 0.75), 1.0))
        painter.drawPath(region)
        painter.restore()
