"""Correct the borders of wall and blood pool by a reader's clicks and pool box.

The segmenter was not trained on such prompts, so its prediction is corrected geometrically:

1. The heart (pool and wall together) and the pool each become a signed distance to their border,
   in mm, positive inside.
2. A click that contradicts the labels moves the border to itself and :data:`BEYOND` of that
   distance further, since readers click into the middle of what is missing and not on its edge.
   The shift fades along the border as a Gaussian of :data:`SIGMA_MM`, less in a small structure,
   so that its far side stays. A click that agrees with the labels changes nothing.
   - wall: inside the heart, outside the pool;
   - not wall: pool or background, whichever is nearer to the click;
   - pool: inside both; new pool keeps a wall of :data:`THINNEST_WALL_MM` round it;
   - not pool: outside the pool, which makes it wall.
3. A box round the pool stretches the pool to it first, each side on its own; the outer border
   moves only where the wall would get too thin.
4. The heart is one component without holes, as in a proposal.

Clicks are applied in order, twice, so that a later one does not undo an earlier one. The
constants were chosen with benchmarks/structure_prompts.py on patients kept for tuning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.contours import heart_in_contours
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.models import Logits
from scarseg.quant.components import fill_holes
from scarseg.segmentation.proposal import bounding_box, largest_component, split_heart

SIGMA_MM = 14.0
"""Reach of a click along the border, at most,"""
SIGMA_OF_RADIUS = 0.7
"""and as a share of the radius of a disc as large as the structure."""
BEYOND = 0.4
"""How much further than the click the border moves, as a share of the distance to the click."""
BEYOND_MM = 4.0
"""... and at most."""
MARGIN_MM = 0.7
"""Depth of a clicked pixel inside its structure, at least."""
FIRST_MM = 4.0
"""Radius of the disc a click creates where its structure did not exist."""
THINNEST_WALL_MM = 3.0
"""Thinnest wall round new pool."""
BOX_AGREES = 0.06
"""A side of the pool within this share of its box agrees with it: no box is drawn exactly."""
ROUNDS = 2
WINDOW_MARGIN_MM = 20.0
"""Margin round heart and prompts beyond which nothing changes."""
ABSENT_MM = 50.0
"""Distance to a structure that does not exist."""

Distances = npt.NDArray[np.float64]
Spacing = tuple[float, float]
Ends = tuple[float, float]


@dataclass(frozen=True, eq=False)
class HeartMasks:
    """Disjoint masks (row, column) of the whole wall (scar included) and the blood pool."""

    wall: MaskArray
    pool: MaskArray

    @classmethod
    def of_logits(cls, logits: Logits) -> HeartMasks:
        """Return the masks of a prediction; its segmenter must know the wall."""
        return cls(*split_heart(logits))

    @classmethod
    def of_labels(cls, labels: LabelArray) -> HeartMasks:
        """Return the masks of labels (row, column)."""
        return cls(wall_mask(labels), labels == Label.BLOOD_POOL)

    @property
    def labels(self) -> LabelArray:
        """Labels (row, column) of wall and pool."""
        labels = np.zeros(self.wall.shape, dtype=np.uint8)
        labels[self.wall], labels[self.pool] = Label.MYOCARDIUM, Label.BLOOD_POOL
        return labels


def correct_heart_masks(
    heart: HeartMasks, prompts: SlicePrompts, spacing_mm: Spacing, drawn: bool = False
) -> HeartMasks:
    """Move the borders of wall and pool by a reader's points and box.

    Args:
        heart: masks before.
        prompts: only those for wall and pool count; one at least.
        spacing_mm: (row, column).
        drawn: whether the heart was drawn manually: then no hole is filled and no component
            dropped.

    Contours come first, and are kept exactly; then box and points move what they contradict.
    """
    if prompts.has_contours:
        masks = heart_in_contours(heart.wall, heart.pool, prompts.endocardium, prompts.epicardium)
        heart, drawn = HeartMasks(*masks), True
        if prompts.pool_box is None and not prompts.heart_points:
            return heart
    rows, columns = _window(heart, prompts, spacing_mm)
    up, left = rows.start, columns.start
    borders = HeartBorders(
        HeartMasks(heart.wall[rows, columns], heart.pool[rows, columns]), spacing_mm
    )
    if prompts.pool_box is not None:
        borders.stretch_pool(_shifted(prompts.pool_box, -left, -up))
    for _ in range(ROUNDS):
        for point in prompts.heart_points:
            shifted = replace(point, column=point.column - left, row=point.row - up)
            borders.apply_click(shifted, tidy=not drawn)
    found = borders.heart(tidy=not drawn)
    whole = HeartMasks(np.zeros_like(heart.wall), np.zeros_like(heart.pool))
    whole.wall[rows, columns], whole.pool[rows, columns] = found.wall, found.pool
    return whole


def _window(heart: HeartMasks, prompts: SlicePrompts, spacing_mm: Spacing) -> tuple[slice, slice]:
    """Return the rows and columns of heart and prompts with a margin: outside nothing changes."""
    found = np.nonzero(heart.wall | heart.pool)
    rows, columns = ([int(i) for i in each] for each in found)
    for point in prompts.heart_points:
        columns.append(point.pixel[0])
        rows.append(point.pixel[1])
    if (box := prompts.pool_box) is not None:
        columns += [int(box.column0), int(box.column1)]
        rows += [int(box.row0), int(box.row1)]
    spans = []
    for places, n, spacing in zip((rows, columns), heart.wall.shape, spacing_mm, strict=True):
        margin = int(WINDOW_MARGIN_MM / spacing) + 1
        first, last = np.clip([min(places) - margin, max(places) + margin + 1], 0, n)
        spans.append(slice(int(first), int(last)))
    return spans[0], spans[1]


def _shifted(box: Box, columns: float, rows: float) -> Box:
    return Box(box.column0 + columns, box.row0 + rows, box.column1 + columns, box.row1 + rows)


class HeartBorders:
    """Borders of the whole heart and of the pool as signed distances in mm, positive inside."""

    def __init__(self, heart: HeartMasks, spacing_mm: Spacing) -> None:
        self.spacing_mm = spacing_mm
        self.outer = _distances(heart.wall | heart.pool, spacing_mm)
        self.pool = _distances(heart.pool, spacing_mm)

    def heart(self, tidy: bool) -> HeartMasks:
        """Return the masks; ``tidy`` keeps the largest component and fills its holes."""
        whole: MaskArray = self.outer > 0
        if tidy:
            whole = fill_holes(largest_component(whole))
        pool = whole & (self.pool > 0)
        return HeartMasks(whole & ~pool, pool)

    def apply_click(self, point: Point, tidy: bool) -> None:
        """Move the borders so that a click agrees with them; a click off the image is ignored."""
        column, row = point.pixel
        if not (0 <= row < self.outer.shape[0] and 0 <= column < self.outer.shape[1]):
            return
        at, now = (row, column), self.heart(tidy)
        in_wall, in_pool = bool(now.wall[at]), bool(now.pool[at])
        if point.structure is Label.BLOOD_POOL:
            if point.positive and not in_pool:
                self._add_pool(at)
            elif not point.positive and in_pool:
                self.pool = self._moved(self.pool, at, -1)
        elif point.positive:
            if not (in_wall or in_pool):
                self.outer = self._moved(self.outer, at, 1)
            self.pool = self._moved(self.pool, at, -1)
        elif in_wall and now.pool.any() and -self.pool[at] < self.outer[at]:
            self._add_pool(at)
        elif in_wall:
            self.outer = self._moved(self.outer, at, -1)

    def _add_pool(self, at: tuple[int, int]) -> None:
        before = self.pool
        self.outer = self._moved(self.outer, at, 1)
        self.pool = self._moved(self.pool, at, 1)
        self._keep_wall(before)

    def _moved(self, distances: Distances, at: tuple[int, int], sign: int) -> Distances:
        """Move a border over a pixel: outwards (``sign`` 1) or inwards (-1)."""
        depth = sign * distances[at]
        if depth > 0:
            return distances
        if not (distances > 0).any():
            rows, columns = np.ogrid[: distances.shape[0], : distances.shape[1]]
            down, across = (rows - at[0]) * self.spacing_mm[0], (columns - at[1])
            first: Distances = FIRST_MM - np.hypot(down, across * self.spacing_mm[1])
            return first
        shift = MARGIN_MM - depth + min(-depth * BEYOND, BEYOND_MM)
        moved: Distances = distances + sign * shift * self._nearness(distances > 0, at)
        return moved

    def _nearness(self, mask: MaskArray, at: tuple[int, int]) -> Distances:
        """Return the weight (0 to 1) of a click for every pixel.

        A Gaussian of the distance between the border point nearest to the pixel and the one
        nearest to the click.
        """
        row_mm, column_mm = self.spacing_mm
        rim = mask & ~ndimage.binary_erosion(mask)
        rows, columns = ndimage.distance_transform_edt(
            ~rim, self.spacing_mm, return_distances=False, return_indices=True
        )
        away = ((rows - rows[at]) * row_mm) ** 2 + ((columns - columns[at]) * column_mm) ** 2
        radius_mm = np.sqrt(np.count_nonzero(mask) * row_mm * column_mm / np.pi)
        sigma_mm = min(SIGMA_MM, SIGMA_OF_RADIUS * radius_mm)
        near: Distances = np.exp(-away / (2 * sigma_mm**2))
        return near

    def stretch_pool(self, box: Box) -> None:
        """Stretch the pool's four halves until they fill a box; an ellipse without a pool.

        A side within :data:`BOX_AGREES` of the box, as a share of its length, is left.
        """
        before = self.pool
        rows: Distances = np.arange(before.shape[0]) + np.float64(0.5)
        columns: Distances = np.arange(before.shape[1]) + np.float64(0.5)
        if not (before > 0).any():
            across, down = columns - box.centre[0], rows - box.centre[1]
            inside = np.hypot(across / (box.width / 2), (down / (box.height / 2))[:, None]) <= 1
        else:
            own = bounding_box(largest_component(before > 0))
            down = _unstretched(rows, (own.row0, own.row1), (box.row0, box.row1))
            ends = (own.column0, own.column1), (box.column0, box.column1)
            where = np.broadcast_arrays(down[:, None] - 0.5, _unstretched(columns, *ends) - 0.5)
            inside = ndimage.map_coordinates(before, where, order=1, mode="nearest") > 0
        self.pool = _distances(inside, self.spacing_mm)
        self._keep_wall(before)

    def _keep_wall(self, before: Distances) -> None:
        """Move the outer border away from new pool, so that the wall does not get too thin."""
        new = (self.pool > 0) & (before <= 0)
        if new.any():
            rim = _distances(new, self.spacing_mm) + THINNEST_WALL_MM
            self.outer = np.maximum(self.outer, np.minimum(rim, THINNEST_WALL_MM))


def _unstretched(places: Distances, own: Ends, wanted: Ends) -> Distances:
    """Return where each place on an axis was before ``own`` was stretched to ``wanted``.

    Each half is stretched on its own, so that a side that agrees stays.
    """
    middle = (own[0] + own[1]) / 2
    slack = BOX_AGREES * (wanted[1] - wanted[0])
    ends = [one if abs(one - to) <= slack else to for one, to in zip(own, wanted, strict=True)]
    if not ends[0] < middle < ends[1]:
        share = (places - wanted[0]) / (wanted[1] - wanted[0])
        moved: Distances = own[0] + share * (own[1] - own[0])
        return moved
    away = places - middle
    before = away * (middle - own[0]) / (middle - ends[0])
    after = away * (own[1] - middle) / (ends[1] - middle)
    found: Distances = middle + np.where(away < 0, before, after)
    return found


def _distances(mask: MaskArray, spacing_mm: Spacing) -> Distances:
    """Compute the distance of pixel centres to the border of a mask, in mm, positive inside."""
    half = min(spacing_mm) / 2
    inside = np.full(mask.shape, ABSENT_MM)
    outside = np.full(mask.shape, ABSENT_MM)
    if not mask.all():
        inside = ndimage.distance_transform_edt(mask, spacing_mm) - half
    if mask.any():
        outside = ndimage.distance_transform_edt(~mask, spacing_mm) - half
    found: Distances = np.where(mask, inside, -outside)
    return found


WEAK_LOGIT = 0.1
"""Smallest absolute logit of a pixel in a corrected prediction."""


@dataclass(frozen=True, eq=False)
class CorrectedHeart:
    """A slice after the correction of wall and pool.

    ``labels`` uint8 (row, column) with the scar there was; ``labels_under_scar`` the same without
    it, so that scar outside the wall can be found; ``logits`` the corrected prediction, None
    where a manual drawing was corrected instead.
    """

    labels: LabelArray
    labels_under_scar: LabelArray
    logits: Logits | None

    @classmethod
    def with_scar(
        cls, before: LabelArray, heart: HeartMasks, logits: Logits | None
    ) -> CorrectedHeart:
        """Combine a corrected heart with the scar and MVO of ``before`` (row, column)."""
        underneath = heart.labels
        return cls(np.where(infarct_mask(before), before, underneath), underneath, logits)


def correct_drawn_heart(
    prompts: SlicePrompts, before: LabelArray, labels_under_scar: LabelArray, spacing_mm: Spacing
) -> CorrectedHeart:
    """Correct a manually drawn heart near the prompts that contradict it; the scar stays.

    Args:
        before: labels uint8 (row, column); ``labels_under_scar`` those underneath their scar.
        spacing_mm: (row, column).
    """
    heart = HeartMasks.of_labels(labels_under_scar)
    if prompts.has_heart_prompts:
        heart = correct_heart_masks(heart, prompts, spacing_mm, drawn=True)
    return CorrectedHeart.with_scar(before, heart, None)


def is_heart_from(labels: LabelArray, logits: Logits) -> bool:
    """Return whether wall and pool (row, column) are those of a prediction, without manual edits.

    Labels underneath scar and MVO are not compared.
    """
    if logits.wall is None:
        return False
    seen = ~infarct_mask(labels)
    return np.array_equal(labels[seen], HeartMasks.of_logits(logits).labels[seen])


def correct_logits(logits: Logits, prompts: SlicePrompts, spacing_mm: Spacing) -> Logits:
    """Correct a prediction by a reader's prompts for wall and pool.

    The prediction before stays in ``uncorrected``. A segmenter of scar alone is not corrected.
    """
    logits = logits.uncorrected or logits
    if logits.wall is None or logits.blood_pool is None or not prompts.has_heart_prompts:
        return logits
    heart = correct_heart_masks(HeartMasks.of_logits(logits), prompts, spacing_mm)
    pool = _signed(logits.blood_pool, heart.pool)
    return replace(
        logits,
        blood_pool=pool,
        wall=_signed(logits.wall, heart.wall),
        uncorrected=logits,
        exact=prompts.has_contours,
    )


def _signed(logits: FloatArray, mask: MaskArray) -> FloatArray:
    """Return logits with the sign of a mask: positive inside."""
    strength = np.maximum(np.abs(logits), np.float32(WEAK_LOGIT))
    return np.where(mask, strength, -strength).astype(np.float32)
