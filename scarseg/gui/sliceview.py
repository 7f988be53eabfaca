"""One slice with its overlays, drawn in true proportions; no hand yet."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QImage, QResizeEvent, QTransform
from PyQt6.QtWidgets import QLabel

from scarseg.gui import items, overlay, theme
from scarseg.labels import LabelArray
from scarseg.prompts import SlicePrompts
from scarseg.stack import FloatArray

Levels = tuple[float, float]
Position = tuple[float, float]
LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of the positive and negative direction of each LPS axis; H head, F foot."""


def facing(direction: Sequence[float]) -> str:
    """Name a direction in patient space (LPS) by its one or two leading letters."""
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    leading = [axis for axis in order[:2] if abs(direction[axis]) > 0.35]
    return "".join(LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in leading)


class SliceView(pg.GraphicsView):
    """Image, tint, outlines, prompts and hand of one slice, in source pixels."""

    def __init__(self) -> None:
        super().__init__(background=theme.GROUND)
        self.setAccessibleName("Slice view")
        self.levels: Levels = (0.0, 1.0)
        self.fill_opacity = 0.3
        self.filled = True
        self.prompts_shown = True
        self.chosen: tuple[str, int] | None = None
        self.home: QRectF | None = None
        self.whole = QRectF(0, 0, 1, 1)
        self._spacing = (1.0, 1.0)
        self._pixels: FloatArray = np.zeros((1, 1), dtype=np.float32)
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._ground = self._labels
        self._traced: overlay.Traced = []
        self._prompts = SlicePrompts()
        self._waits = False
        self._make_layers()
        self.corner = self._letters("Slice and its status")
        self.edges = [self._letters("Direction in the patient") for _ in range(4)]

    def _make_layers(self) -> None:
        self.view = pg.ViewBox(
            lockAspect=True, invertY=True, enableMouse=False, enableMenu=False, defaultPadding=0.0
        )
        self.setCentralItem(self.view)
        self._group = pg.ItemGroup()
        self.image = items.SmoothImage(self._pixels)
        self.tint = items.tint_item()
        self.outlines, self.prompt_layer = items.LabelLayer(), items.PromptLayer()
        self.marks, self.hand = items.MarkLayer(), items.HandLayer()
        over = (self.outlines, self.marks, self.prompt_layer, self.hand)
        for layer in (self.image, self.tint, *over):
            layer.setParentItem(self._group)
        self.view.addItem(self._group, ignoreBounds=True)

    def _letters(self, name: str) -> QLabel:
        made = QLabel(self)
        made.setObjectName("over")
        made.setAccessibleName(name)
        made.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        return made

    # What is shown

    def set_geometry(
        self, rows: int, columns: int, spacing: tuple[float, float], orientation: Sequence[float]
    ) -> None:
        """Prepare for slices of this size.

        ``spacing`` (row, column) in mm; ``orientation`` the six direction cosines.
        """
        self._spacing = spacing
        self._group.setTransform(QTransform.fromScale(spacing[1], spacing[0]))
        for layer in (self.outlines, self.marks, self.prompt_layer, self.hand):
            layer.set_shape(rows, columns)
        self.whole = QRectF(0, 0, columns * spacing[1], rows * spacing[0])
        across, down = orientation[:3], orientation[3:]
        for edge, direction, sign in zip(
            self.edges, (across, across, down, down), (-1, 1, -1, 1), strict=True
        ):
            edge.setText(facing([sign * value for value in direction]))
            edge.adjustSize()
        self._place_letters()

    def show_image(self, pixels: FloatArray) -> None:
        """Show the pixels (row, column) of a slice."""
        self._pixels = pixels
        self.image.setImage(pixels, autoLevels=False, levels=self.levels)

    def show_labels(self, labels: LabelArray, ground: LabelArray, traced: overlay.Traced) -> None:
        """Show labels (row, column) with their outlines.

        ``ground`` is what the eraser brings to light.
        """
        self._labels, self._ground, self._traced = labels, ground, traced
        self._draw_labels(labels, traced)

    def show_prompts(self, prompts: SlicePrompts, waits: bool) -> None:
        """Show boxes and points; ``waits`` when they have not been answered yet."""
        self._prompts, self._waits = prompts, waits
        kind, index = self.chosen or ("box", 0)
        if index >= len(prompts.boxes if kind == "box" else prompts.points):
            self.chosen = None
        self.prompt_layer.show_prompts(prompts, self.chosen, waits)
        self.prompt_layer.setVisible(self.prompts_shown)

    def say(self, text: str) -> None:
        """Write slice and status into the corner."""
        self.corner.setText(text)
        self.corner.adjustSize()

    def picture(self, caption: str) -> QImage:
        """Give the slice as it is shown, without the hand; ``caption`` stands in the corner."""
        said, hand = self.corner.text(), self.hand.isVisible()
        self.say(caption)
        self.hand.setVisible(False)
        image = self.grab().toImage()
        self.say(said)
        self.hand.setVisible(hand)
        return image

    def set_levels(self, levels: Levels) -> None:
        """Show grey values from black to white between these two."""
        self.levels = levels
        self.image.setLevels(levels)

    def set_smooth(self, smooth: bool) -> None:
        """Show voxels smoothed, or as they are."""
        self.image.smooth = smooth
        self.image.update()

    def set_overlays_shown(self, shown: bool) -> None:
        """Show everything over the image, or the image alone."""
        for layer in (self.tint, self.outlines, self.marks, self.hand):
            layer.setVisible(shown)
        self.prompt_layer.setVisible(shown and self.prompts_shown)

    def redraw(self) -> None:
        """Draw again after opacity, fill or visibility changed."""
        self._draw_labels(self._labels, self._traced)
        self.prompt_layer.setVisible(self.prompts_shown)

    def _draw_labels(self, labels: LabelArray, traced: overlay.Traced | None = None) -> None:
        opacity = self.fill_opacity if self.filled else 0.0
        self.tint.setImage(overlay.tint(labels, opacity), autoLevels=False, levels=None)
        self.outlines.set_outlines(overlay.outlines(labels) if traced is None else traced)

    def go_home(self) -> None:
        """Fit the heart, or the whole slice where it is not known."""
        self.view.setRange(self.home or self.whole, padding=0)

    def fit(self) -> None:
        """Fit the heart (``home``, in mm); where it fits already, the whole slice."""
        target = self.home or self.whole
        shown = self.view.viewRect()
        away = shown.center() - target.center()
        fits = abs(min(shown.width(), shown.height()) - target.height()) < 1
        if fits and hypot(away.x(), away.y()) < 1:
            target = self.whole
        self.view.setRange(target, padding=0)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if hasattr(self, "edges"):
            self._place_letters()

    def _place_letters(self) -> None:
        self.corner.move(10, 8)
        width, height = self.width(), self.height()
        left, right, top, bottom = self.edges
        left.move(8, (height - left.height()) // 2)
        right.move(width - right.width() - 8, (height - right.height()) // 2)
        top.move((width - top.width()) // 2, 6)
        bottom.move((width - bottom.width()) // 2, height - bottom.height() - 6)

    # Where things are

    def to_source(self, at: QPointF) -> Position:
        """Turn a position in this widget into (column, row) source pixels."""
        self.view.prepareForPaint()  # pyqtgraph moves its items only when it paints
        point = self._group.mapFromScene(self.mapToScene(at.toPoint()))
        return point.x(), point.y()

    def from_source(self, column: float, row: float) -> QPointF:
        """Turn (column, row) source pixels into a position in this widget."""
        self.view.prepareForPaint()
        return QPointF(self.mapFromScene(self._group.mapToScene(QPointF(column, row))))

    @property
    def screen_per_pixel(self) -> float:
        """Give how many screen pixels a source pixel takes, on average of both axes."""
        one, other = self.from_source(0, 0), self.from_source(100, 100)
        return max(hypot(other.x() - one.x(), other.y() - one.y()) / hypot(100, 100), 1e-6)
