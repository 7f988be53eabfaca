"""Ask the models about one slice: find the heart, propose, answer a prompts file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.corrections import corrected_logits
from scarseg.errors import ModelError
from scarseg.labels import Label, LabelArray, MaskArray
from scarseg.models import Detection, Embedding, Logits, Models
from scarseg.prompts import Box, Origin, SlicePrompts
from scarseg.proposal import (
    ProposalRules,
    ScarChoice,
    compose_labels,
    heart_box,
    inside,
    scar_boxes,
)
from scarseg.stack import SliceImage

SMALLEST_HEART_MM = 12.0
"""A pool and wall narrower than this is not taken for a heart to look at again."""

OFF = -20.0
"""Scar logit where a rule says that there is none."""


@dataclass(frozen=True, eq=False)
class SliceProposal:
    """What the models say of one slice before a reader has looked.

    ``prompts`` holds the left_ventricle box and the scar boxes (origin detector); ``labels``
    uint8 (row, column); ``embedding`` and ``logits`` serve later clicks.
    """

    prompts: SlicePrompts
    labels: LabelArray
    embedding: Embedding
    logits: Logits


def detect(models: Models, image: SliceImage) -> list[Detection]:
    """Give the detector's boxes; none without a detector."""
    return [] if models.detector is None else models.detector.detect(image)


def predict(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    previous: Logits | None = None,
    quick: bool = False,
) -> Logits:
    """Ask the segmenter for scar, and refuse an answer that is no answer.

    It is not told what is asked of wall and blood pool: its answer is corrected by that.
    """
    logits = models.segmenter.predict(embedding, prompts.scar_alone, previous, quick)
    for one in (logits.scar, logits.blood_pool, logits.wall):
        if one is not None and (one.shape != embedding.shape or not np.isfinite(one).all()):
            raise ModelError("E_MODEL_OUTPUT", "The segmenter gave no usable answer.")
    return corrected_logits(logits, prompts, embedding.pixel_spacing_mm)


def _look(
    image: SliceImage, models: Models, lv_box: Box | None, rules: ProposalRules
) -> tuple[Embedding, Logits]:
    """Embed a slice and ask without prompts; look again where the heart turns out to be."""
    embedding = models.segmenter.embed(image, lv_box)
    drawn = lv_box is not None and lv_box.origin is Origin.READER
    for _ in range(0 if drawn else rules.recrops):
        glance = predict(models, embedding, SlicePrompts(lv_box=lv_box), quick=True)
        own = heart_box(glance)
        if own is None or not _heart_sized(own, image.pixel_spacing_mm):
            break
        if lv_box is not None and own.intersection_over_union(lv_box) >= rules.recrop_overlap:
            break
        lv_box = own
        embedding = models.segmenter.embed(image, lv_box)
    return embedding, predict(models, embedding, SlicePrompts(lv_box=lv_box))


def _heart_sized(box: Box, pixel_spacing_mm: tuple[float, float]) -> bool:
    row_mm, column_mm = pixel_spacing_mm
    return min(box.width * column_mm, box.height * row_mm) >= SMALLEST_HEART_MM


def propose(
    image: SliceImage,
    models: Models,
    lv_box: Box | None,
    detections: Sequence[Detection],
    rules: ProposalRules,
) -> SliceProposal:
    """Propose one slice: look, find scar boxes, make the final mask with them."""
    embedding, automatic = _look(image, models, lv_box, rules)
    spacing = image.pixel_spacing_mm
    labels = compose_labels(automatic, spacing, rules.automatic_logit, rules)
    boxes = scar_boxes(automatic.scar, labels == Label.SCAR, detections, spacing, rules)
    prompts = SlicePrompts(boxes=boxes, lv_box=embedding.lv_box)
    if boxes and (rules.scar is ScarChoice.PREDICTED or automatic.wall is None):
        logits = predict(models, embedding, prompts)
        labels = compose_labels(logits, spacing, rules.prompted_logit, rules)
        return SliceProposal(prompts, labels, embedding, logits)
    logits = _without_scar(automatic, ~inside(boxes, embedding.shape))
    labels = compose_labels(logits, spacing, rules.automatic_logit, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def answer_file(
    image: SliceImage,
    models: Models,
    lv_box: Box | None,
    asked: SlicePrompts | None,
    rules: ProposalRules,
) -> SliceProposal:
    """Propose one slice by a reader's prompts: scar only if asked, the wall in any case."""
    if asked is not None and asked.lv_box is not None:
        lv_box = asked.lv_box
    embedding, logits = _look(image, models, lv_box, rules)
    prompts = replace(asked or SlicePrompts(), lv_box=embedding.lv_box)
    threshold = rules.automatic_logit
    if prompts.asks_for_scar:
        logits = predict(models, embedding, prompts)
        threshold, rules = rules.prompted_logit, replace(rules, island_mm2=0.0)
    else:
        logits = corrected_logits(logits, prompts, embedding.pixel_spacing_mm)
    if asked is None or prompts.no_scar:
        logits = _without_scar(logits, np.ones(embedding.shape, dtype=bool))
    labels = compose_labels(logits, image.pixel_spacing_mm, threshold, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def _without_scar(logits: Logits, where: MaskArray) -> Logits:
    """Take the scar away where the mask says so."""
    return replace(logits, scar=np.where(where, np.float32(OFF), logits.scar))
