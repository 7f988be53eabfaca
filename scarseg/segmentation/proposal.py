"""Turn detections and logits into boxes and labels: every rule of a proposal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import FloatArray
from scarseg.models import Detection, Logits, Structure
from scarseg.quant.components import fill_holes, inside_boxes, remove_islands


class ScarSource(StrEnum):
    """Source of the scar mask of a proposal, once its boxes are known."""

    RESTRICTED = "restricted"
    """The automatic mask, inside the boxes."""
    PREDICTED = "predicted"
    """A second prediction, with the boxes as prompt."""


@dataclass(frozen=True)
class ProposalRules:
    """Every threshold between logits and a proposal.

    Args:
        scar: source of the mask inside the boxes; a segmenter of scar alone always predicts.
        automatic_logit: automatic scar is where the logit is above this.
        prompted_logit: the same where boxes or points were given.
        given_wall_logit: at most the threshold of scar where a reader set the wall.
        previous_with_points: whether the previous prediction is an input where a reader set
            points. Without, the same prompts always give the same mask.
        endocardium_offset_mm: how far the predicted endocardium moves, inwards where positive; one
            that a reader set stays.
        pool_reach_mm: scar wins over the blood pool up to this distance from the wall.
        click_radius_mm: radius of the disc round a click for scar that follows the click.
        local_clicks: a click changes only the piece of scar that it names
            (:func:`scarseg.segmentation.scar_rules.change_near_clicks`); without, a click changes
            the whole slice.
        negative_reach_mm: how far from the click that piece reaches where it is removed.
        negative_far_share_per_mm: a negative click also removes scar beyond that piece, at most
            this share of the slice's scar for every mm that it lies inside the scar.
        island_mm2: components of scar smaller than this are dropped from a proposal.
        box_island_mm2: smaller components of automatic scar get no box of their own.
        tight_boxes: a box is drawn round the scar inside it, since the segmenter fills a box when
            it predicts again. Without, it is also never smaller than the detector's.
        empty_box_score: a detector's box without predicted scar is dropped below this score.
        box_growth: each box is wider than its component by this share on every side, since a
            box too small costs more than one too large; at least one pixel.
        detector_scar_score: scar boxes below this score are dropped, beside what the detector
            itself drops.
        detector_lv_score: the same for boxes of the left ventricle.
        merge_overlap: boxes sharing more than this part of the smaller one become one.
        recrops: how often the crop is moved to the predicted pool and wall,
        recrop_overlap: while their box and that of the crop overlap (IoU) less than this.
        gate_evidence_mm2: scar proposed in a whole stack without prompts is withheld where its
            evidence (:mod:`scarseg.segmentation.gate`) is below this; 0 withholds none,
        gate_slices: nor where the stack has fewer slices than this.
        lv_outlier: an LV box further from its neighbours' than this share of its size is
            rejected.
        lv_dip: an LV box smaller than both its neighbours' by more than this factor, or larger,
            is rejected too: the size of a heart changes monotonically towards the apex.
    """

    scar: ScarSource = ScarSource.RESTRICTED
    automatic_logit: float = -0.5
    prompted_logit: float = 0.0
    given_wall_logit: float = -0.5
    previous_with_points: bool = True
    endocardium_offset_mm: float = 0.0
    pool_reach_mm: float = 2.0
    click_radius_mm: float = 2.5
    local_clicks: bool = True
    negative_reach_mm: float = 6.0
    negative_far_share_per_mm: float = 0.03
    island_mm2: float = 30.0
    box_island_mm2: float = 40.0
    tight_boxes: bool = True
    empty_box_score: float = 0.5
    box_growth: float = 0.08
    detector_scar_score: float = 0.0
    detector_lv_score: float = 0.0
    merge_overlap: float = 0.3
    recrops: int = 2
    recrop_overlap: float = 0.85
    gate_evidence_mm2: float = 75.0
    gate_slices: int = 3
    lv_outlier: float = 0.5
    lv_dip: float = 1.25


RULES = ProposalRules()
"""The rules in use.

Chosen with ``benchmarks/scar_rules.py`` on EMIDEC's six tuning patients, as they came and with
thickened walls, read by the first network of scarseg-compact-3, which never saw them:

- logits 0 and a reach of 2 mm into the pool: automatic 0.712 and 0.676, box 0.796 and 0.802; no
  reach 0.711 and 0.673, 0.798 and 0.800; logit -0.5 0.704 and 0.680, 0.788 and 0.799; logit -1
  0.686 and 0.675, 0.777 and 0.789. The reach costs nothing here and pays where walls are thicker.
- a wall that a reader set, box, logit 0 / -0.5 / -1: 0.819 / 0.819 / 0.817, thickened 0.831 / 0.828
  / 0.824: no choice here; of 70 patients elsewhere lower ones were better.
- islands from 8, 20 and 30 mm2: automatic 0.714, 0.714 and 0.712; false grams on patients without
  scar 0.34, 0.25 and 0.25.
- three clicks after a box, as before: 0.844 and 0.863, 94 and 100 % of positive clicks obeyed, 24
  and 16 % of the negative ones lower the Dice by over 0.02. From the answer before: 0.850 and
  0.871, 7 and 5 %. Obeyed within 2.5 mm as well: 0.845 and 0.869, mean absolute error 0.7 and 1.6
  g, 100 %, 9 and 5 %. Nothing changed beyond 10 mm of a negative click as well: 0.850 and 0.867,
  1.2 and 2.1 g, 5 and 5 %: off, since the error of the mass grows.

The limit of the gate was set on the 21 validation and tuning patients, read by the same network,
which never saw them (``benchmarks/cross_validation.py choose --rules gate``). Evidence with four
mirrored views, as they came: 0, 0, 0, 0, 0, 42 and 106 mm2 without scar, 194 mm2 and more with it
(2.7 g and more); with one view, validation patients alone: 0, 0, 0, 0 and 43 mm2 without, 114 mm2
and more with it, with thickened walls 0 and 79 mm2. At 120 mm2 one patient of ten lost a scar of
3.5 g.

On the same 15 (with thickened walls) automatic reached 0.628 (0.622) by level -0.5, 0.614 (0.607)
by 0 once the gate is at 75 mm2, at which all 5 without scar stay empty by either, and the mean
absolute error 4.5 (7.5) and 4.9 (9.7) g: -0.5, since 70 patients of two hospitals, read by
scarseg-compact-2, gained by it too (0.571 to 0.582, 0.605 to 0.610 at -0.5 to -1).
Box, levels 0.5, 0 and -0.5: 0.736, 0.741 and 0.742 (0.749, 0.760,
0.765), 0.98, 1.09 and 1.20 times the true mass (0.91, 0.99, 1.07): 0 stays.

Local clicks were chosen by the five folds over all 75 patients, each read by weights that never saw
it (``benchmarks/cross_validation.py choose --rules clicks --walls plain``), as the rules with the
best Dice at which at most 5 % of the negative clicks lower that of their slice by over 0.02. Three
clicks after a box, with 2, 3 and 4 % of far scar for every mm of depth: Dice 0.782, 0.784 and
0.784, 3.1, 2.6 and 2.3 g off, 3.4, 4.2 and 5.4 % of the negative clicks; 0.784, 2.4 g and 22 % by
the rules before, which answered the slice anew.
"""


def scar_level(prompts: SlicePrompts, wall_set: bool, rules: ProposalRules) -> float:
    """Return the logit above which a prediction is scar; ``wall_set``: by a reader."""
    level = rules.prompted_logit if prompts.has_scar_prompts else rules.automatic_logit
    return min(level, rules.given_wall_logit) if wall_set else level


def best_lv_box(detections: Iterable[Detection], rules: ProposalRules = RULES) -> Detection | None:
    """Return the best detection of the left ventricle, or None."""
    found = [
        one
        for one in detections
        if one.structure is Structure.LEFT_VENTRICLE and one.score >= rules.detector_lv_score
    ]
    return max(found, key=lambda one: one.score, default=None)


def reconcile_lv_boxes(
    found: Sequence[Sequence[Detection]], rules: ProposalRules = RULES
) -> list[Box | None]:
    """Reconcile the LV boxes of a stack: one per slice, or None everywhere if none was found.

    The position of the heart is the one with the highest sum of scores over the slices, since a
    kidney may be detected on some of them. A box away from that position or of a size unlike its
    neighbours' is rejected; missing boxes are interpolated between the nearest slices that have
    one, and copied beyond the ends.

    Args:
        found: the detections of every slice; those of other structures do not count.
    """
    hearts = [
        [
            one
            for one in several
            if one.structure is Structure.LEFT_VENTRICLE and one.score >= rules.detector_lv_score
        ]
        for several in found
    ]
    accepted = _best_near_heart(hearts, rules.lv_outlier)
    if not accepted:
        return [None] * len(found)
    slices = sorted(accepted)
    corners = np.array([_corners(accepted[k].box) for k in slices])
    kept = ~_dips((corners[:, 2:] - corners[:, :2]).mean(axis=1), rules.lv_dip)
    known = np.array(slices)[kept]
    reconciled: list[Box | None] = []
    for k in range(len(found)):
        if k in known:
            one = accepted[k]
            reconciled.append(replace(one.box, origin=Origin.DETECTOR, score=one.score))
            continue
        column0, row0, column1, row1 = (
            float(np.interp(k, known, corners[kept][:, axis])) for axis in range(4)
        )
        reconciled.append(Box(column0, row0, column1, row1, Origin.DETECTOR))
    return reconciled


def _best_near_heart(hearts: Sequence[Sequence[Detection]], reach: float) -> dict[int, Detection]:
    """Return each slice's best heart near the position with the highest sum of best scores.

    Near is a distance of centres of at most ``reach`` times the size of the box there.
    """
    groups: list[dict[int, Detection]] = []
    for anchor in (one for several in hearts for one in several):
        size = (anchor.box.width + anchor.box.height) / 2
        groups.append(
            {
                k: max(some, key=lambda one: one.score)
                for k, several in enumerate(hearts)
                if (
                    some := [
                        one
                        for one in several
                        if _centre_distance(one.box, anchor.box) <= reach * size
                    ]
                )
            }
        )
    return max(groups, key=lambda near: sum(one.score for one in near.values()), default={})


def _centre_distance(a: Box, b: Box) -> float:
    return float(np.hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1]))


def _dips(sizes: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.bool_]:
    """Return which sizes along a stack are under or over both their neighbours by a factor."""
    dips = np.zeros(len(sizes), dtype=bool)
    before, own, after = sizes[:-2], sizes[1:-1], sizes[2:]
    dips[1:-1] = (own * factor < np.minimum(before, after)) | (
        own > factor * np.maximum(before, after)
    )
    return dips


def heart_box(logits: Logits) -> Box | None:
    """Return the box round the segmenter's own pool and wall, largest component; None without."""
    if logits.wall is None:
        return None
    heart = logits.wall > 0
    if logits.blood_pool is not None:
        heart |= logits.blood_pool > 0
    heart = largest_component(heart)
    return bounding_box(heart) if heart.any() else None


def compose_labels(
    logits: Logits,
    pixel_spacing_mm: tuple[float, float],
    scar_logit: float,
    rules: ProposalRules = RULES,
) -> LabelArray:
    """Compose labels (row, column) of one slice: pool, wall, and scar only in the wall.

    Of pool and wall the largest component stays. Islands of scar below ``rules.island_mm2``
    become wall. A segmenter of scar alone returns scar alone, not clipped.
    """
    scar = logits.scar > scar_logit
    labels = np.zeros(scar.shape, dtype=np.uint8)
    if logits.wall is not None:
        wall, pool = split_heart(logits)
        labels[pool] = Label.BLOOD_POOL
        labels[wall] = Label.MYOCARDIUM
        scar &= wall
    labels[remove_islands(scar, pixel_spacing_mm, rules.island_mm2)] = Label.SCAR
    return labels


def split_heart(logits: Logits) -> tuple[MaskArray, MaskArray]:
    """Return disjoint masks of wall and blood pool that together have no holes.

    Where both are predicted for a pixel, and in a hole where neither is, the larger logit
    decides. Contours of a reader are kept as they are.
    """
    assert logits.wall is not None
    if logits.exact and logits.blood_pool is not None:
        return logits.wall > 0, logits.blood_pool > 0
    wall: MaskArray = logits.wall > 0
    if logits.blood_pool is None:
        return largest_component(wall), np.zeros_like(wall)
    predicted = wall | (logits.blood_pool > 0)
    heart = np.zeros_like(predicted)
    # Holes lie within the bounding rectangle: filling only there saves most of a large slice.
    for around in ndimage.find_objects(predicted.astype(np.uint8)):
        heart[around] = fill_holes(largest_component(predicted[around]))
    stronger = logits.wall >= logits.blood_pool
    wall = heart & np.where(wall == (logits.blood_pool > 0), stronger, wall)
    return wall, heart & ~wall


def scar_boxes(
    automatic: FloatArray,
    scar: MaskArray,
    detections: Iterable[Detection],
    pixel_spacing_mm: tuple[float, float],
    rules: ProposalRules = RULES,
) -> tuple[Box, ...]:
    """Return boxes for the detector's scars and the components of automatic scar.

    With ``rules.tight_boxes`` a component gets a box where it is large enough or inside a
    detected box, and of the detector's boxes those stay that hold no component. Overlapping
    boxes are merged; best score first. A component's score is its mean probability, or
    that of the detector's box where that is higher.

    Args:
        automatic: scar logits (row, column) without prompts. A segmenter that needs prompts
            returns a constant; then all boxes of the detector stay.
        scar: mask made of them.
        detections: of the same slice.
    """
    needs_prompts = np.ptp(automatic) == 0
    holding, empty = _detected_scars(
        scar, detections, 0.0 if needs_prompts else rules.empty_box_score, rules
    )
    held = holding if rules.tight_boxes else []
    boxes = empty if rules.tight_boxes else [*holding, *empty]
    components, n = ndimage.label(scar)
    smallest = rules.box_island_mm2 / (pixel_spacing_mm[0] * pixel_spacing_mm[1])
    for number in range(1, n + 1):
        mask = components == number
        around = [box for box in held if (mask & inside_boxes((box,), mask.shape)).any()]
        if around or np.count_nonzero(mask) >= smallest:
            score = float(np.mean(1 / (1 + np.exp(-automatic[mask].astype(np.float64)))))
            best = max((score, *(_score(box) for box in around)))
            boxes.append(expanded_box(mask, best, rules.box_growth))
    merged = _merge(boxes, rules.merge_overlap)
    return tuple(sorted(merged, key=lambda box: (-_score(box), _corners(box))))


def _detected_scars(
    scar: MaskArray, detections: Iterable[Detection], least_empty: float, rules: ProposalRules
) -> tuple[list[Box], list[Box]]:
    """Return the detector's boxes with scar inside, and those without it that score enough."""
    found = [
        replace(one.box, origin=Origin.DETECTOR, score=one.score)
        for one in detections
        if one.structure is Structure.SCAR and one.score >= rules.detector_scar_score
    ]
    holding = [box for box in found if (scar & inside_boxes((box,), scar.shape)).any()]
    empty = [box for box in found if box not in holding and _score(box) >= least_empty]
    return holding, empty


def largest_component(mask: MaskArray) -> MaskArray:
    """Keep the largest component (four neighbours) of a mask (row, column)."""
    components, n = ndimage.label(mask)
    if not n:
        return mask
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    largest: MaskArray = components == int(np.argmax(sizes))
    return largest


def bounding_box(mask: MaskArray, score: float | None = None) -> Box:
    """Return the tight box round a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return Box(
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
        Origin.DETECTOR,
        score,
    )


def expanded_box(mask: MaskArray, score: float, growth: float) -> Box:
    """Return the bounding box of a mask, expanded by a share of its size, within the image."""
    tight = bounding_box(mask, score)
    dx, dy = max(1.0, growth * tight.width), max(1.0, growth * tight.height)
    rows, columns = mask.shape
    return replace(
        tight,
        column0=max(0.0, tight.column0 - dx),
        row0=max(0.0, tight.row0 - dy),
        column1=min(float(columns), tight.column1 + dx),
        row1=min(float(rows), tight.row1 + dy),
    )


def _merge(boxes: list[Box], overlap: float) -> list[Box]:
    """Merge boxes that share more than ``overlap`` of the smaller one, until none do."""
    boxes = list(boxes)
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes)):
            if _overlap_of_smaller(boxes[i], boxes[j]) > overlap:
                a, b = boxes[i], boxes[j]
                merged = Box(
                    min(a.column0, b.column0),
                    min(a.row0, b.row0),
                    max(a.column1, b.column1),
                    max(a.row1, b.row1),
                    Origin.DETECTOR,
                    max(_score(a), _score(b)),
                )
                rest = [box for k, box in enumerate(boxes) if k not in (i, j)]
                return _merge([*rest, merged], overlap)
    return boxes


def _overlap_of_smaller(a: Box, b: Box) -> float:
    """Return the overlap of two boxes as a share of the smaller one."""
    width = max(0.0, min(a.column1, b.column1) - max(a.column0, b.column0))
    height = max(0.0, min(a.row1, b.row1) - max(a.row0, b.row0))
    return width * height / min(a.width * a.height, b.width * b.height)


def _score(box: Box) -> float:
    return box.score or 0.0


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.column0, box.row0, box.column1, box.row1
