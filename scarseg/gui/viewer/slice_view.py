"""One slice with its overlays, drawn in true proportions; no mouse yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QImage

from scarseg.case.labels import LabelArray
from scarseg.case.prompts import SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.gui.viewer import items, layers, painting
from scarseg.gui.viewer.view_state import SharedAttribute, ViewState
from scarseg.gui.viewer.viewport import Viewport
from scarseg.gui.viewer.window_level import Levels

LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of the positive and negative direction of each LPS axis; H head, F foot."""
SMALL_LINE = 1.3
"""Width of the outlines in a small view, in screen pixels."""


def facing(direction: Sequence[float]) -> str:
    """Name a direction in patient space (LPS) by its one or two leading letters."""
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    leading = [axis for axis in order[:2] if abs(direction[axis]) > 0.35]
    return "".join(LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in leading)


class SliceView(Viewport):
    """Image, tint, outlines, prompts and brush of one slice.

    ``added_layers`` are layers that others draw over the labels.
    """

    levels, fill_opacity = SharedAttribute[Levels](), SharedAttribute[float]()
    filled, prompts_shown = SharedAttribute[bool](), SharedAttribute[bool]()

    def __init__(self, shared: ViewState | None = None) -> None:
        super().__init__()
        self.setAccessibleName("Slice view")
        self.shared = shared or ViewState(self)
        self.chosen: tuple[str, int] | None = None
        self._labels: LabelArray = np.zeros((1, 1), dtype=np.uint8)
        self._under_scar = self._labels
        self._traced: painting.Traced = []
        self._tracer = painting.Tracer()
        self._prompts = SlicePrompts()
        self._waits = False
        self._slice_index = 0
        self.image, self.tint = items.SliceImageItem(), items.TintImage()
        self.overlay = layers.Overlay(self._layers)
        self.grid = layers.GridLayer(self.overlay.redraw)
        self.outlines = layers.LabelLayer(self.overlay.redraw)
        self.marks = layers.MarkLayer(self.overlay.redraw)
        self.contour_layer = layers.ContourLayer(self.overlay.redraw)
        self.prompt_layer = layers.PromptLayer(self.overlay.redraw)
        self.added_layers: list[layers.AddedLayer] = []
        self.tool_layer, self.corner = items.ToolLayer(), items.EdgeText()
        for item in (self.image, self.tint, self.overlay, self.tool_layer):
            self.box.addItem(item, ignoreBounds=True)
        self.corner.setParentItem(self.box)
        self.small = False
        self.shared.changed.connect(self.redraw)
        self.redraw()

    def _layers(self) -> Iterable[layers.Layer]:
        below = (self.grid, self.outlines, self.contour_layer, self.marks)
        return (*below, *self.added_layers, self.prompt_layer)

    # What is shown

    def set_geometry(
        self, rows: int, columns: int, spacing: tuple[float, float], orientation: Sequence[float]
    ) -> None:
        """Prepare for slices of this size.

        ``spacing`` (row, column) in mm; ``orientation`` the six direction cosines.
        """
        self._spacing, self.grid.shape = spacing, (rows, columns)
        self.box.setAspectLocked(True, spacing[1] / spacing[0])
        self.whole = QRectF(0, 0, columns * spacing[1], rows * spacing[0])
        across, down = orientation[:3], orientation[3:]
        self.corner.directions = [
            facing([sign * value for value in direction])
            for direction, sign in ((across, -1), (across, 1), (down, -1), (down, 1))
        ]
        self.overlay.redraw()

    def show_image(self, pixels: FloatArray, slice_index: int = 0) -> None:
        """Show the pixels (row, column) of a slice, with its grey levels."""
        self._slice_index = slice_index
        self.image.show_pixels(pixels)
        self.image.show_levels(self.shown_levels)

    @property
    def shown_levels(self) -> Levels:
        """Grey values from black to white of this slice."""
        return self.shared.levels_of(self._slice_index)

    def show_labels(
        self, labels: LabelArray, under_scar: LabelArray, traced: painting.Traced
    ) -> None:
        """Show labels (row, column) with their outlines.

        ``under_scar`` is what the eraser brings to light.
        """
        self._labels, self._under_scar, self._traced = labels, under_scar, traced
        if traced is not self.outlines.traced:
            self._draw_labels(labels, traced)

    def show_prompts(self, prompts: SlicePrompts, waits: bool) -> None:
        """Show boxes and points; ``waits`` when they have not been answered yet."""
        self._prompts, self._waits = prompts, waits
        kind, index = self.chosen or ("box", 0)
        n = {"box": len(prompts.boxes), "point": len(prompts.points)}
        if index >= n.get(kind, int(prompts.pool_box is not None)):
            self.chosen = None
        self.prompt_layer.show_prompts(prompts, self.chosen, waits)

    def show_status(self, text: str, colour: str = "") -> None:
        """Write slice and status into the corner, a dot of ``colour`` before them."""
        self.corner.show_text(text, colour)
        self.setAccessibleDescription(text)

    def make_small(self) -> None:
        """Draw what lies over the image as a cell among many needs it: finer and less of it."""
        self.small = self.prompt_layer.small = True
        self.outlines.width = SMALL_LINE
        self.corner.setVisible(False)

    def picture(self, caption: str) -> QImage:
        """Return the slice as it is shown, without the brush; ``caption`` stands in the corner."""
        status, visible = (self.corner.text(), self.corner.colour), self.tool_layer.isVisible()
        self.show_status(caption)
        self.tool_layer.setVisible(False)
        image = self.grab().toImage()
        self.show_status(*status)
        self.tool_layer.setVisible(visible)
        return image

    def set_levels(self, levels: Levels) -> None:
        """Show grey values from black to white between these two, in all views."""
        self.levels = levels

    def redraw(self) -> None:
        """Draw again after something that all views share was changed."""
        shown = not self.shared.hidden
        self.image.show_levels(self.shown_levels)
        if self.image.smooth is not self.shared.smooth:
            self.image.smooth = self.shared.smooth
            self.image.update()
        if self.tint.opacity() != self.fill_opacity:  # itemChange() of pyqtgraph costs a lot
            self.tint.setOpacity(self.fill_opacity)
        self.tint.setVisible(shown and self.filled)
        self.grid.setVisible(not self.shared.smooth)
        for layer in (self.outlines, self.contour_layer, self.marks, *self.added_layers):
            layer.setVisible(shown)
        self.tool_layer.setVisible(shown)
        self.prompt_layer.setVisible(shown and self.shared.prompts_shown)

    def _draw_labels(self, labels: LabelArray, traced: painting.Traced | None = None) -> None:
        self.tint.show_labels(labels)
        self.outlines.show_outlines(self._tracer.trace(labels) if traced is None else traced)
