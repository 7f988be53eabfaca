"""Strokes and polygons to labels: numbers in, numbers out. No Qt here.

Positions are continuous source pixels (column, row), as in :mod:`scarseg.case.prompts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.draw import polygon2mask
from skimage.measure import label as connected

from scarseg.case.labels import Label, LabelArray, MaskArray

Position = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Painted:
    """The outcome of a gesture that draws; ``labels`` uint8 (row, column)."""

    verb: str
    labels: LabelArray


@dataclass(frozen=True)
class Refused:
    """A gesture that could not be carried out, and why."""

    why: str


def disc(
    shape: tuple[int, int],
    start: Position,
    end: Position,
    radius_mm: float,
    spacing: tuple[float, float],
) -> MaskArray:
    """Cover the pixels whose centre a round brush passes over on its way, round in mm.

    The pixel under the mouse is always covered. ``spacing`` (row, column) in mm.
    """
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = (rows + 0.5) * spacing[0], (columns + 0.5) * spacing[1]
    x0, y0 = start[0] * spacing[1], start[1] * spacing[0]
    x1, y1 = end[0] * spacing[1], end[1] * spacing[0]
    length = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = (
        0.0
        if length == 0
        else np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0, 1)
    )
    near = (x - x0 - along * (x1 - x0)) ** 2 + (y - y0 - along * (y1 - y0)) ** 2
    mask: MaskArray = near <= radius_mm**2
    column, row = int(np.floor(end[0])), int(np.floor(end[1]))
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        mask[row, column] = True
    return mask


def painted(labels: LabelArray, mask: MaskArray, label: Label) -> LabelArray:
    """Write one label under the mask (row, column)."""
    out = labels.copy()
    out[mask] = label
    return out


def erased(labels: LabelArray, under_scar: LabelArray, mask: MaskArray, label: Label) -> LabelArray:
    """Remove one label under the mask; the label beneath it is restored.

    MVO gives scar; scar (with its MVO) gives ``under_scar``, the wall or whatever was there before
    it; the wall goes with the scar in it; blood pool gives background.
    """
    out = labels.copy()
    if label is Label.MVO:
        out[mask & (labels == Label.MVO)] = Label.SCAR
    elif label is Label.SCAR:
        gone = mask & (labels >= Label.SCAR)
        out[gone] = under_scar[gone]
    elif label is Label.MYOCARDIUM:
        out[mask & (labels >= Label.MYOCARDIUM)] = Label.BACKGROUND
    else:
        out[mask & (labels == label)] = Label.BACKGROUND
    return out


class Brush:
    """Paint or erase one label along a stroke.

    ``where`` (row, column) is all that it may change; everything when None.
    """

    def __init__(self, erases: bool, where: MaskArray | None = None, verb: str = "") -> None:
        self.erases = erases
        self._where = where
        self._verb = verb or ("erase" if erases else "paint")
        self._labels: LabelArray | None = None
        self._before: LabelArray | None = None
        self._last: Position = (0.0, 0.0)

    def press(
        self,
        labels: LabelArray,
        under_scar: LabelArray,
        at: Position,
        label: Label,
        radius_mm: float,
        spacing: tuple[float, float],
    ) -> LabelArray:
        """Begin a stroke with its first dab; give the labels as they look now."""
        self._before, self._labels, self._last = labels.copy(), labels.copy(), at
        self._under_scar, self._label = under_scar, label
        self._radius_mm, self._spacing = radius_mm, spacing
        return self.move(at)

    def move(self, at: Position) -> LabelArray:
        """Continue the stroke; return the labels as they look now."""
        assert self._labels is not None
        mask = disc(self._labels.shape, self._last, at, self._radius_mm, self._spacing)
        if self._where is not None:
            mask &= self._where
        if self.erases:
            self._labels = erased(self._labels, self._under_scar, mask, self._label)
        else:
            self._labels = painted(self._labels, mask, self._label)
        self._last = at
        return self._labels

    def release(self, now: LabelArray) -> Painted | None:
        """End the stroke; None when it changed nothing.

        The stroke lands on the labels as they are ``now``: an answer may have come in between.
        """
        labels, before = self._labels, self._before
        self._labels = self._before = None
        if labels is None or before is None:
            return None
        stroke = labels != before
        after = now.copy()
        after[stroke] = labels[stroke]
        if np.array_equal(after, now):
            return None
        return Painted(self._verb, after)


def polygon(
    labels: LabelArray, corners: list[Position], label: Label, verb: str = "polygon"
) -> Painted | None:
    """Fill a polygon; pixels whose centre lies inside. None when it holds none."""
    if len(corners) < 3:
        return None
    at = np.array([(row - 0.5, column - 0.5) for column, row in corners])
    out = painted(labels, polygon2mask(labels.shape, at), label)
    return None if np.array_equal(out, labels) else Painted(verb, out)


def flood(labels: LabelArray, at: Position, label: Label) -> Painted | Refused | None:
    """Fill the piece of one label (four neighbours) under the mouse with another.

    A piece that reaches the border of the slice is not closed and is refused. None when the
    mouse is off the slice or the piece has that label already.
    """
    column, row = int(np.floor(at[0])), int(np.floor(at[1]))
    if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]):
        return None
    if labels[row, column] == label:
        return None
    same = labels == labels[row, column]
    pieces = connected(same, connectivity=1)
    piece: MaskArray = pieces == pieces[row, column]
    if piece[0].any() or piece[-1].any() or piece[:, 0].any() or piece[:, -1].any():
        return Refused("This region is not closed: draw round it first, then fill.")
    return Painted("fill", painted(labels, piece, label))
