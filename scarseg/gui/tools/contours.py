"""Endocardium and epicardium as contours that are pulled and nudged, and the labels they make.

Numbers in, numbers out; no Qt here. Positions are continuous source pixels (column, row), as in
:mod:`scarseg.case.prompts`. A contour stays as it is, to a fraction of a pixel, while labels
follow it: a nudge of half a pixel is never lost by rasterisation, and nudging back brings back
the same labels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scarseg.case.borders import trace_borders
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask

Position = tuple[float, float]
Points = npt.NDArray[np.float64]
STEP = 0.7
"""Distance of neighbouring points of a contour, in source pixels."""
SMOOTHING = 1.2
"""Standard deviation, in pixels, of the Gaussian along a contour that removes steps of voxels."""
PULL_MM = 7.0
"""Standard deviation of a pull along the contour: it is a few mm wide,"""
PULL_WIDENS = 0.8
"""... and at least this many times as wide as it is long, so that its flanks stay smooth."""
NUDGE = 0.5
"""Source pixels that a nudge moves a contour by."""
SMALLEST_AREA = 4.0
"""Square pixels: a contour is not nudged to less."""
KEPT = 48
"""Hearts whose contours are kept."""


class Border(StrEnum):
    """A border of the wall."""

    ENDOCARDIUM = "endocardium"
    EPICARDIUM = "epicardium"


@dataclass(frozen=True, eq=False)
class Contour:
    """A closed contour, and the mask that it bounds.

    ``core`` (n, 2) are points of column and row before it was nudged, ``offset`` how far outwards
    it was nudged since, in source pixels. ``first_inside`` are the pixels inside the contour as
    it was traced from ``traced`` (row, column); a pixel of the mask is as in ``traced`` where the
    contour did not pass over it, so that what a reader does not move stays to the voxel.
    """

    core: Points
    first_inside: MaskArray
    traced: MaskArray
    offset: float = 0.0

    @classmethod
    def trace(cls, mask: MaskArray) -> Contour | None:
        """Trace the largest component of a mask (row, column); None where it is empty."""
        borders = trace_borders(mask)
        if not borders:
            return None
        points = max((border[:-1] for border in borders), key=_area)
        core = _smoothed(_resampled(points))
        return cls(core, _inside(core, mask.shape), mask)

    @cached_property
    def points(self) -> Points:
        """Points (n, 2) of column and row, in order."""
        if not self.offset:
            return self.core
        ahead, behind = np.roll(self.core, -1, axis=0), np.roll(self.core, 1, axis=0)
        along = ahead - behind
        normals = np.stack([along[:, 1], -along[:, 0]], axis=1)
        normals /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        outwards = 1.0 if _signed_area(self.core) > 0 else -1.0
        return _resampled(self.core + outwards * self.offset * normals)

    @cached_property
    def mask(self) -> MaskArray:
        """Pixels (row, column) that the contour bounds."""
        inside = _inside(self.points, self.traced.shape)
        mask: MaskArray = np.where(inside == self.first_inside, self.traced, inside)
        return mask

    def nearest(self, at: Position) -> tuple[int, float]:
        """Return the index of the point nearest to a position, and its distance in pixels."""
        away = np.hypot(*(self.points - at).T)
        index = int(np.argmin(away))
        return index, float(away[index])

    def pulled(self, index: int, by: Position, spacing: tuple[float, float]) -> Contour:
        """Pull one point by (column, row); its neighbours follow, less the further they are.

        Args:
            spacing: (row, column) in mm; the pull is a Gaussian along the contour in mm.
        """
        mm = np.array(spacing[::-1])
        steps = np.linalg.norm((np.roll(self.points, -1, axis=0) - self.points) * mm, axis=1)
        before = np.cumsum(steps) - steps
        away = np.abs(before - before[index])
        away = np.minimum(away, steps.sum() - away)
        width = max(PULL_MM, PULL_WIDENS * float(np.hypot(*(np.array(by) * mm))))
        weights = np.exp(-(away**2) / (2 * width**2))
        moved = self.points + weights[:, None] * np.array(by)
        return replace(self, core=_resampled(moved), offset=0.0)

    def nudged(self, by: float) -> Contour | None:
        """Move the whole contour outwards by so many pixels; None where nothing would be left."""
        made = replace(self, offset=self.offset + by)
        shrunk = by < 0 and _signed_area(made.points) * _signed_area(self.core) <= 0
        return None if shrunk or _area(made.points) < SMALLEST_AREA else made


@dataclass(frozen=True, eq=False)
class HeartContours:
    """The contours of one slice; the endocardium is None where there is no blood pool."""

    epicardium: Contour
    endocardium: Contour | None

    @classmethod
    def trace(cls, under_scar: LabelArray) -> HeartContours | None:
        """Trace labels (row, column) without their scar; None where there is no heart."""
        epicardium = Contour.trace(under_scar > 0)
        if epicardium is None:
            return None
        return cls(epicardium, Contour.trace(under_scar == Label.BLOOD_POOL))

    def __getitem__(self, border: Border) -> Contour | None:
        return self.epicardium if border is Border.EPICARDIUM else self.endocardium

    def replaced(self, border: Border, contour: Contour) -> HeartContours:
        """Return the contours with another one in place of one."""
        if border is Border.EPICARDIUM:
            return replace(self, epicardium=contour)
        return replace(self, endocardium=contour)

    def nearest(self, at: Position, reach: float) -> tuple[Border, int] | None:
        """Find the contour within ``reach`` pixels of a position, and its nearest point."""
        best, found = reach, None
        for border in Border:
            contour = self[border]
            if contour is None:
                continue
            index, away = contour.nearest(at)
            if away <= best:
                best, found = away, (border, index)
        return found

    def nudged(self, border: Border, by: float) -> HeartContours | None:
        """Move a whole contour outwards by so many pixels; None where that cannot be."""
        contour = self[border]
        made = None if contour is None else contour.nudged(by)
        return None if made is None else self.replaced(border, made)

    @cached_property
    def under_scar(self) -> LabelArray:
        """Wall and blood pool (row, column) within the contours; pool only inside the heart."""
        heart = self.epicardium.mask
        labels = np.where(heart, np.uint8(Label.MYOCARDIUM), np.uint8(Label.BACKGROUND))
        if self.endocardium is not None:
            labels[self.endocardium.mask & heart] = Label.BLOOD_POOL
        return labels


@dataclass(frozen=True, eq=False)
class WallMoved:
    """The outcome of a gesture on a contour: labels and labels under scar, uint8 (row, column)."""

    verb: str
    labels: LabelArray
    under_scar: LabelArray


def move_wall(
    verb: str,
    labels: LabelArray,
    under_scar: LabelArray,
    before: HeartContours,
    after: HeartContours,
) -> WallMoved | None:
    """Write moved contours into labels (row, column), where they passed over a pixel.

    Scar and MVO stay within the wall, and go where blood pool or background came over them. None
    when no pixel changes.
    """
    passed = before.under_scar != after.under_scar
    beneath = np.where(passed, after.under_scar, under_scar).astype(np.uint8)
    lost = passed & (beneath != Label.MYOCARDIUM)
    moved = np.where(infarct_mask(labels) & ~lost, labels, beneath).astype(np.uint8)
    # Scar outside the wall that nobody moved stays as it was.
    same = np.array_equal(moved, labels) and np.array_equal(beneath, under_scar)
    return None if same else WallMoved(verb, moved, beneath)


@dataclass(frozen=True, eq=False)
class ContourDrag:
    """A contour taken with the mouse at one of its points, and pulled from there.

    Args:
        border: which contour; ``index`` is the point of it that was taken.
        before: the contours as they were.
        start: where the mouse was pressed.
        spacing: (row, column) in mm.
    """

    border: Border
    index: int
    before: HeartContours
    start: Position
    spacing: tuple[float, float]

    def contours(self, at: Position) -> HeartContours:
        """Return the contours as a release here would leave them."""
        taken = self.before[self.border]
        assert taken is not None
        by = (at[0] - self.start[0], at[1] - self.start[1])
        return self.before.replaced(self.border, taken.pulled(self.index, by, self.spacing))

    def moved(
        self, after: HeartContours, labels: LabelArray, under_scar: LabelArray
    ) -> WallMoved | None:
        """Write dragged contours into the labels (row, column) as they are now."""
        return move_wall(f"move the {self.border}", labels, under_scar, self.before, after)


@dataclass
class ContourCache:
    """Contours by the labels they make, so that a fraction of a pixel survives between gestures.

    Undo and redo find the contours of the labels that they bring back.
    """

    _kept: dict[bytes, HeartContours] = field(default_factory=dict)

    def of(self, under_scar: LabelArray) -> HeartContours | None:
        """Return the contours of labels without scar (row, column); None without a heart."""
        key = _digest(under_scar)
        found = self._kept.get(key) or HeartContours.trace(under_scar)
        if found is not None:
            self._keep(key, found)
        return found

    def store(self, under_scar: LabelArray, contours: HeartContours) -> None:
        """Keep the contours that made these labels without scar (row, column)."""
        self._keep(_digest(under_scar), contours)

    def _keep(self, key: bytes, contours: HeartContours) -> None:
        self._kept.pop(key, None)
        self._kept[key] = contours
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]


def _digest(labels: LabelArray) -> bytes:
    return hashlib.sha1(labels.tobytes(), usedforsecurity=False).digest()


def _inside(points: Points, shape: tuple[int, ...]) -> MaskArray:
    """Return the pixels (row, column) whose centre lies inside a closed contour (even-odd rule).

    Where the contour crosses the line through the centres of a row, the pixels to the right of
    it change sides. Its points are less than a pixel apart: each stretch crosses one line at most.
    """
    x0, y0 = points.T
    x1, y1 = np.roll(points, -1, axis=0).T
    rows = np.ceil(np.minimum(y0, y1) - 0.5)
    crosses = (rows + 0.5 < np.maximum(y0, y1)) & (rows >= 0) & (rows < shape[0])
    x0, y0, x1, y1, rows = (each[crosses] for each in (x0, y0, x1, y1, rows))
    columns = np.ceil(x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0) - 0.5)
    columns = np.clip(columns, 0, shape[1]).astype(np.intp)
    mask = np.zeros((shape[0], shape[1]), dtype=np.bool_)
    if columns.size:
        first, last = int(columns.min()), int(columns.max())
        turns = np.zeros((shape[0], last - first + 1), dtype=np.int32)
        np.add.at(turns, (rows.astype(np.intp), columns - first), 1)
        mask[:, first : last + 1] = (np.cumsum(turns, axis=1) & 1)[:, : shape[1] - first]
    return mask


def _signed_area(points: Points) -> float:
    """Compute the area inside a closed contour in square pixels, its sign by its direction."""
    x, y = points.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _area(points: Points) -> float:
    return abs(_signed_area(points))


def _resampled(points: Points) -> Points:
    """Return points of a closed contour at equal distances of about :data:`STEP`."""
    closed = np.vstack([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    n = max(round(float(along[-1]) / STEP), 8)
    places = np.linspace(0, along[-1], n, endpoint=False)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def _smoothed(points: Points) -> Points:
    """Smooth a closed contour by a Gaussian along it."""
    sigma = SMOOTHING / STEP
    reach = int(3 * sigma)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    n = len(points)
    wrapped = points[np.arange(-reach, n + reach) % n]
    return np.stack(
        [np.convolve(wrapped[:, axis], kernel, mode="valid") for axis in (0, 1)], axis=1
    )
