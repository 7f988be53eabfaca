"""Ask the models about one slice: find the heart, propose, answer a prompts file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scarseg.case.labels import Label, LabelArray, MaskArray
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError
from scarseg.models import Detection, Embedding, Logits, Models
from scarseg.segmentation.proposal import (
    ProposalRules,
    ScarSource,
    compose_labels,
    heart_box,
    inside_boxes,
    scar_boxes,
)
from scarseg.segmentation.wall_correction import (
    CorrectedHeart,
    HeartMasks,
    correct_drawn_heart,
    correct_logits,
    is_heart_from,
)

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
    """Ask the segmenter for scar, and let the answer obey what is asked of wall and pool."""
    answer = _ask(models, embedding, prompts.scar_only, previous, quick)
    return apply_heart_prompts(models, embedding, answer, prompts)


def apply_heart_prompts(
    models: Models, embedding: Embedding, answer: Logits, prompts: SlicePrompts
) -> Logits:
    """Let an answer of the segmenter obey a reader's points and box for wall and pool.

    The segmenter was not taught such prompts: its answer is corrected by them. It is then asked
    once more with its box of the ventricle moved to the corrected heart, unless a reader drew
    that box, and what it says is corrected again. The answer before all that stays in
    ``uncorrected``.
    """
    raw = answer.uncorrected or answer
    if raw.wall is None or not prompts.has_heart_prompts:
        return raw
    once = correct_logits(raw, prompts, embedding.pixel_spacing_mm)
    asked = raw.prompts or prompts.scar_only
    box = heart_box(once)
    if box is None or (prompts.lv_box is not None and prompts.lv_box.origin is Origin.READER):
        return once
    again = _ask(models, embedding, replace(asked, lv_box=box))
    return replace(correct_logits(again, prompts, embedding.pixel_spacing_mm), uncorrected=raw)


def _ask(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    previous: Logits | None = None,
    quick: bool = False,
) -> Logits:
    """Ask the segmenter and refuse an answer that is no answer."""
    logits = models.segmenter.predict(embedding, prompts, previous, quick)
    for one in (logits.scar, logits.blood_pool, logits.wall):
        if one is not None and (one.shape != embedding.shape or not np.isfinite(one).all()):
            raise ModelError("E_MODEL_OUTPUT", "The segmenter gave no usable answer.")
    return replace(logits, prompts=prompts)


def correct_heart(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    labels_under_scar: LabelArray,
    previous: Logits | None,
) -> CorrectedHeart:
    """Correct wall and blood pool of a slice as a reader's points and box for them ask.

    Scar and MVO of ``before`` (row, column) stay, to the pixel, even where there is no wall
    any more. Where wall and pool are still those of ``previous``, the answer behind ``before``,
    they follow from that and all points and the box together: one taken back leaves no trace.
    What a hand drew since is corrected round what it contradicts, and stays everywhere else.

    Args:
        labels_under_scar: what lies beneath the scar of ``before``, of the same shape.
    """
    if previous is None or not is_heart_from(before, previous):
        return correct_drawn_heart(prompts, before, labels_under_scar, embedding.pixel_spacing_mm)
    logits = apply_heart_prompts(models, embedding, previous, prompts)
    return CorrectedHeart.with_scar(before, HeartMasks.of_logits(logits), logits)


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
    if boxes and (rules.scar is ScarSource.PREDICTED or automatic.wall is None):
        logits = predict(models, embedding, prompts)
        labels = compose_labels(logits, spacing, rules.prompted_logit, rules)
        return SliceProposal(prompts, labels, embedding, logits)
    logits = _without_scar(automatic, ~inside_boxes(boxes, embedding.shape))
    labels = compose_labels(logits, spacing, rules.automatic_logit, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def propose_prompted(
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
    if prompts.has_scar_prompts:
        logits = predict(models, embedding, prompts)
        threshold, rules = rules.prompted_logit, replace(rules, island_mm2=0.0)
    else:
        logits = apply_heart_prompts(models, embedding, logits, prompts)
    if asked is None or prompts.no_scar:
        logits = _without_scar(logits, np.ones(embedding.shape, dtype=bool))
    labels = compose_labels(logits, image.pixel_spacing_mm, threshold, rules)
    return SliceProposal(prompts, labels, embedding, logits)


def _without_scar(logits: Logits, where: MaskArray) -> Logits:
    """Take the scar away where the mask says so."""
    return replace(logits, scar=np.where(where, np.float32(OFF), logits.scar))


CACHE_SIZE = 4
"""So many answers of a slice are known again when undoing brings their labels back."""


class PredictionCache:
    """The answers behind the labels of one slice, by those labels; the latest few.

    ``last`` is what the segmenter said last, whether or not its labels stand.
    """

    def __init__(self) -> None:
        self.last: Logits | None = None
        self._known: dict[bytes, Logits] = {}

    def store(self, labels: LabelArray, logits: Logits) -> None:
        """Note that labels (row, column) are what the models made of this answer."""
        mark = _mark(labels)
        self._known.pop(mark, None)
        self._known[mark] = logits
        if len(self._known) > CACHE_SIZE:
            del self._known[next(iter(self._known))]

    def contains(self, labels: LabelArray) -> bool:
        """Tell whether labels are an answer as it came, with no drawing of a hand."""
        return bool(self._known) and _mark(labels) in self._known

    def lookup(self, labels: LabelArray) -> Logits | None:
        """Give the answer behind these labels, or the last there was."""
        return self._known.get(_mark(labels), self.last) if self._known else self.last


def _mark(labels: LabelArray) -> bytes:
    """Know labels again without keeping them."""
    return hashlib.sha1(labels.tobytes(), usedforsecurity=False).digest()
