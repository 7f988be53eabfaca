"""Run the models on one slice: detect, propose, predict from prompts; cache predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.case.contours import contour_mask
from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError
from scarseg.models import (
    Detection,
    Embedding,
    Logits,
    Models,
    asks_boxes,
    takes_walls,
)
from scarseg.models.at_once import embed_all, predict_ahead
from scarseg.quant.components import inside_boxes
from scarseg.segmentation.calibration import rules_of
from scarseg.segmentation.proposal import (
    ProposalRules,
    ScarSource,
    bounding_box,
    compose_labels,
    heart_box,
    scar_boxes,
    scar_level,
)
from scarseg.segmentation.scar_rules import (
    change_near_clicks,
    move_endocardium,
    obey_points,
    previous_answer,
    widen_wall,
)
from scarseg.segmentation.wall_correction import (
    CorrectedHeart,
    HeartMasks,
    correct_drawn_heart,
    correct_logits,
    is_heart_from,
)

SMALLEST_HEART_MM = 12.0
"""A predicted pool and wall narrower than this is no heart to crop round."""

NO_SCAR_LOGIT = -20.0
"""Scar logit where a rule excludes scar."""


@dataclass(frozen=True, eq=False)
class SliceProposal:
    """Proposal of the models for one slice.

    ``prompts`` holds the left_ventricle box and the scar boxes (origin detector); ``labels``
    uint8 (row, column); ``embedding`` and ``logits`` serve later clicks.
    """

    prompts: SlicePrompts
    labels: LabelArray
    embedding: Embedding
    logits: Logits


def detect(models: Models, image: SliceImage) -> list[Detection]:
    """Return the detector's boxes; empty without a detector."""
    return [] if models.detector is None else models.detector.detect(image)


def predict(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    previous: Logits | None = None,
    quick: bool = False,
    heart: HeartMasks | None = None,
    rules: ProposalRules | None = None,
) -> Logits:
    """Predict a slice from prompts for scar, and apply those for wall and pool to the result.

    Args:
        previous: the answer before, where a click corrects it.
        quick: as :meth:`scarseg.models.Segmenter.predict`.
        heart: wall and pool that a reader set; never the network's own.
        rules: those of the models by default, here and below.
    """
    rules = rules or rules_of(models)
    answer = _predict_scar(models, embedding, prompts.scar_only, rules, previous, quick, heart)
    return apply_heart_prompts(models, embedding, answer, prompts, rules, previous)


def apply_heart_prompts(
    models: Models,
    embedding: Embedding,
    answer: Logits,
    prompts: SlicePrompts,
    rules: ProposalRules | None = None,
    previous: Logits | None = None,
) -> Logits:
    """Apply a reader's points and box for wall and pool to a prediction.

    The prediction is corrected by them. The segmenter then predicts once more, from the
    corrected heart where it was trained with given walls, and with the box of the ventricle
    moved to it unless a reader drew that box; the result is corrected again. ``uncorrected``
    keeps the prediction before all that. A click for scar changes ``previous``, the answer before
    it, only near it.
    """
    raw = answer.uncorrected or answer
    if raw.wall is None or not prompts.has_heart_prompts:
        return raw
    once = correct_logits(raw, prompts, embedding.pixel_spacing_mm)
    given = raw.prompts or prompts.scar_only
    box = heart_box(once)
    heart = _given_heart(once, prompts) if takes_walls(models.segmenter) else None
    drawn = prompts.lv_box is not None and prompts.lv_box.origin is Origin.READER
    if box is None or (drawn and heart is None):
        return once
    moved = given if drawn else replace(given, lv_box=box)
    rules, spacing = rules or rules_of(models), embedding.pixel_spacing_mm
    again = _predict_scar(models, embedding, moved, rules, heart=heart)
    again = replace(correct_logits(again, prompts, spacing), uncorrected=raw)
    if previous is None or not rules.local_clicks:
        return again
    # Prompts for the wall may be as new as the click: its scar alone is that before.
    before = replace(previous, wall=again.wall, blood_pool=again.blood_pool)
    level = scar_level(prompts, True, rules)
    return change_near_clicks(again, before, given, spacing, level, rules)


def _given_heart(logits: Logits, prompts: SlicePrompts) -> HeartMasks:
    """Return the part of a corrected heart that a reader set, as the segmenter was trained.

    Of the endocardium alone that is the pool, of the epicardium alone the heart as wall.
    """
    heart = HeartMasks.of_logits(logits)
    nothing = np.zeros_like(heart.wall)
    if not prompts.has_contours or (prompts.endocardium and prompts.epicardium):
        return heart
    if prompts.epicardium is None:
        return HeartMasks(nothing, heart.pool)
    return HeartMasks(heart.wall | heart.pool, nothing)


def _predict_scar(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    rules: ProposalRules,
    previous: Logits | None = None,
    quick: bool = False,
    heart: HeartMasks | None = None,
) -> Logits:
    """Run the segmenter and apply the rules for endocardium, clicks and scar beside the pool.

    Raises:
        ModelError: E_MODEL_OUTPUT, the logits are not finite or of another shape.
    """
    refined = previous if rules.previous_with_points and prompts.points else None
    fed = refined
    if takes_walls(models.segmenter) and (refined is not None or heart is not None):
        fed = previous_answer(
            None if refined is None else refined.scar,
            None if heart is None else heart.pool,
            None if heart is None else heart.wall,
            embedding.shape,
        )
    logits = models.segmenter.predict(embedding, prompts, fed, quick)
    for one in (logits.scar, logits.blood_pool, logits.wall):
        if one is not None and (one.shape != embedding.shape or not np.isfinite(one).all()):
            raise ModelError("E_MODEL_OUTPUT", "The segmenter gave no usable answer.")
    spacing = embedding.pixel_spacing_mm
    if heart is None:
        logits = move_endocardium(logits, spacing, rules.endocardium_offset_mm)
    if not prompts.no_scar:
        level = scar_level(prompts, heart is not None, rules)
        logits = widen_wall(logits, spacing, level, rules.pool_reach_mm)
        logits = obey_points(logits, prompts, spacing, level, rules.click_radius_mm)
        if rules.local_clicks and previous is not None:
            before = _before_heart_prompts(previous)
            drawn = None if heart is None else heart.wall
            logits = change_near_clicks(logits, before, prompts, spacing, level, rules, drawn)
    return replace(logits, prompts=prompts)


def _before_heart_prompts(logits: Logits) -> Logits:
    """Return logits with the wall and pool that they had before a reader's prompts for them."""
    raw = logits.uncorrected
    return logits if raw is None else replace(raw, scar=logits.scar, prompts=logits.prompts)


def correct_heart(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    labels_under_scar: LabelArray,
    previous: Logits | None,
    rules: ProposalRules | None = None,
) -> CorrectedHeart:
    """Correct wall and blood pool of a slice by a reader's points and box for them.

    Scar and MVO of ``before`` (row, column) stay, to the pixel, even where there is no wall
    any more. Where wall and pool are still those of ``previous``, the prediction behind
    ``before``, they are computed from it with all points and the box together, so that a point
    taken back leaves no trace. A manually drawn wall is corrected near the prompts that
    contradict it, and stays everywhere else.

    Args:
        labels_under_scar: labels underneath the scar of ``before``, of the same shape.
    """
    if previous is None or not is_heart_from(before, previous):
        return correct_drawn_heart(prompts, before, labels_under_scar, embedding.pixel_spacing_mm)
    logits = apply_heart_prompts(models, embedding, previous, prompts, rules)
    return CorrectedHeart.with_scar(before, HeartMasks.of_logits(logits), logits)


@dataclass(frozen=True, eq=False)
class EmbeddedHeart:
    """A slice embedded round its heart, with the prediction without prompts."""

    embedding: Embedding
    logits: Logits


def embed_on_hearts(
    images: Sequence[SliceImage],
    models: Models,
    lv_boxes: Sequence[Box | None],
    rules: ProposalRules,
) -> list[EmbeddedHeart]:
    """Embed slices and predict them without prompts, each network for all of them at once.

    Every crop is moved to the predicted heart, at most ``rules.recrops`` times, until it agrees.
    """
    segmenter, boxes = models.segmenter, list(lv_boxes)
    embeddings = embed_all(segmenter, images, boxes)
    waiting = [k for k, box in enumerate(boxes) if box is None or box.origin is not Origin.READER]
    for _ in range(rules.recrops):
        predict_ahead(segmenter, [embeddings[k] for k in waiting], quick=True)
        moved = []
        for k in waiting:
            own, box = _own_heart(models, embeddings[k], rules), boxes[k]
            if own is not None and (
                box is None or own.intersection_over_union(box) < rules.recrop_overlap
            ):
                boxes[k] = own
                moved.append(k)
        if not moved:
            break
        again = embed_all(segmenter, [images[k] for k in moved], [boxes[k] for k in moved])
        for k, embedding in zip(moved, again, strict=True):
            embeddings[k] = embedding
        waiting = moved
    predict_ahead(segmenter, embeddings)
    return [
        EmbeddedHeart(one, predict(models, one, SlicePrompts(lv_box=one.lv_box), rules=rules))
        for one in embeddings
    ]


def _own_heart(models: Models, embedding: Embedding, rules: ProposalRules) -> Box | None:
    """Return the box of the heart that the segmenter predicts; None where it is none."""
    prompts = SlicePrompts(lv_box=embedding.lv_box)
    own = heart_box(predict(models, embedding, prompts, quick=True, rules=rules))
    sized = own is not None and _heart_sized(own, embedding.pixel_spacing_mm)
    return own if sized else None


def _heart_sized(box: Box, pixel_spacing_mm: tuple[float, float]) -> bool:
    row_mm, column_mm = pixel_spacing_mm
    return min(box.width * column_mm, box.height * row_mm) >= SMALLEST_HEART_MM


def propose(
    image: SliceImage,
    models: Models,
    lv_box: Box | None,
    detections: Sequence[Detection],
    rules: ProposalRules,
    embedded: EmbeddedHeart | None = None,
) -> SliceProposal:
    """Propose one slice: embed and predict, find scar boxes, make the final mask with them.

    ``embedded`` is the result of :func:`embed_on_hearts` where it is there already.
    """
    found = embedded or embed_on_hearts([image], models, [lv_box], rules)[0]
    embedding, automatic = found.embedding, found.logits
    spacing = image.pixel_spacing_mm
    labels = compose_labels(automatic, spacing, rules.automatic_logit, rules)
    boxes = scar_boxes(automatic.scar, labels == Label.SCAR, detections, spacing, rules)
    prompts = SlicePrompts(boxes=boxes, lv_box=embedding.lv_box)
    by_box = automatic.wall is None or asks_boxes(models.segmenter)
    if boxes and (rules.scar is ScarSource.PREDICTED or by_box):
        logits = predict(models, embedding, prompts, rules=rules)
        labels = compose_labels(logits, spacing, rules.prompted_logit, rules)
        return SliceProposal(prompts, labels, embedding, logits)
    logits = _without_scar(automatic, ~inside_boxes(boxes, embedding.shape))
    labels = compose_labels(logits, spacing, rules.automatic_logit, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def propose_prompted(
    image: SliceImage,
    models: Models,
    lv_box: Box | None,
    given: SlicePrompts | None,
    rules: ProposalRules,
) -> SliceProposal:
    """Propose one slice from a reader's prompts: scar only where prompted, the wall always."""
    if given is not None and given.lv_box is not None:
        lv_box = given.lv_box
    elif given is not None and given.epicardium is not None:
        rows, columns = image.pixels.shape
        drawn = bounding_box(contour_mask(given.epicardium, (rows, columns)))
        lv_box = replace(drawn, origin=Origin.READER)
    found = embed_on_hearts([image], models, [lv_box], rules)[0]
    embedding, logits = found.embedding, found.logits
    prompts = replace(given or SlicePrompts(), lv_box=embedding.lv_box)
    threshold = scar_level(prompts, prompts.has_heart_prompts, rules)
    if prompts.has_scar_prompts:
        logits = _predict_click_by_click(models, embedding, prompts, rules)
        rules = replace(rules, island_mm2=0.0)
    else:
        logits = apply_heart_prompts(models, embedding, logits, prompts, rules)
    if given is None or prompts.no_scar:
        logits = _without_scar(logits, np.ones(embedding.shape, dtype=bool))
    labels = compose_labels(logits, image.pixel_spacing_mm, threshold, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def _predict_click_by_click(
    models: Models, embedding: Embedding, prompts: SlicePrompts, rules: ProposalRules
) -> Logits:
    """Predict from all prompts as a reader would arrive at them, one point for scar at a time."""
    clicks = prompts.scar_points if rules.previous_with_points else ()
    first = tuple(point for point in prompts.points if point not in clicks)
    logits: Logits | None = None
    begin = 0 if prompts.boxes else 1
    for n in range(begin if clicks else 0, len(clicks)):
        asked = replace(prompts, points=(*first, *clicks[:n]))
        logits = predict(models, embedding, asked, logits, rules=rules)
    return predict(models, embedding, prompts, logits, rules=rules)


def _without_scar(logits: Logits, where: MaskArray) -> Logits:
    """Remove scar where a mask is set."""
    return replace(logits, scar=np.where(where, np.float32(NO_SCAR_LOGIT), logits.scar))


CACHE_SIZE = 8
"""Predictions kept per slice, so that undo finds the logits behind the labels again."""


class PredictionCache:
    """The latest predictions of one slice, keyed by the labels made of them.

    ``last`` is the latest prediction, whether or not its labels are still on the slice.
    """

    def __init__(self) -> None:
        self.last: Logits | None = None
        self._by_labels: dict[bytes, Logits] = {}

    def store(self, labels: LabelArray, logits: Logits) -> None:
        """Store a prediction by the labels (row, column) made of it."""
        key = _digest(labels)
        self._by_labels.pop(key, None)
        self._by_labels[key] = logits
        if len(self._by_labels) > CACHE_SIZE:
            del self._by_labels[next(iter(self._by_labels))]

    def contains(self, labels: LabelArray) -> bool:
        """Return whether labels are an unedited prediction that is cached."""
        return bool(self._by_labels) and _digest(labels) in self._by_labels

    def lookup(self, labels: LabelArray) -> Logits | None:
        """Return the prediction behind labels, or else the latest one."""
        return self._by_labels.get(_digest(labels), self.last) if self._by_labels else self.last


def _digest(labels: LabelArray) -> bytes:
    """Return a digest of labels, the key of the cache."""
    return hashlib.sha1(labels.tobytes(), usedforsecurity=False).digest()
