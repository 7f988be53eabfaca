"""Predict scar anew inside a wall that a reader set: by contours, pool box, clicks or a brush."""

from __future__ import annotations

from dataclasses import replace

from scarseg.case.labels import Label, LabelArray
from scarseg.case.prompts import Origin, SlicePrompts
from scarseg.models import Embedding, Logits, Models
from scarseg.quant.components import remove_islands
from scarseg.segmentation.calibration import rules_of
from scarseg.segmentation.predict import correct_heart, predict
from scarseg.segmentation.proposal import ProposalRules, bounding_box, scar_level
from scarseg.segmentation.wall_correction import CorrectedHeart, HeartMasks


def refill_wall(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    labels_under_scar: LabelArray,
    previous: Logits | None,
    rules: ProposalRules | None = None,
) -> CorrectedHeart:
    """Correct wall and pool of a slice by its prompts for them and predict scar inside anew.

    Without prompts for wall and pool the wall of the labels serves, as a reader drew it. Scar
    and MVO of ``before`` are replaced: by what a reader's boxes and points ask for, and without
    any by what the segmenter finds by itself.

    The logits returned have the wall of the prediction before where the wall was drawn by hand.

    Args:
        prompts: of the slice.
        before: labels (row, column).
        labels_under_scar: labels underneath their scar.
        previous: the prediction behind ``before``, None where there is none.
    """
    rules, spacing = rules or rules_of(models), embedding.pixel_spacing_mm
    corrected = correct_heart(
        models, embedding, prompts, before, labels_under_scar, previous, rules
    )
    heart = HeartMasks.of_labels(corrected.labels_under_scar)
    asked = prompts if prompts.asks_for_scar else replace(prompts, boxes=())
    logits = corrected.logits
    if logits is None or asked.boxes != prompts.boxes:
        box = prompts.lv_box
        whole = heart.wall | heart.pool
        if whole.any() and (box is None or box.origin is not Origin.READER):
            asked = replace(asked, lv_box=bounding_box(whole))
        logits = predict(models, embedding, asked.scar_only, heart=heart, rules=rules)
    scar = heart.wall & (logits.scar > scar_level(asked, True, rules))
    if prompts.no_scar:
        scar[:] = False
    if not prompts.asks_for_scar:
        scar = remove_islands(scar, spacing, rules.island_mm2)
    labels = corrected.labels_under_scar.copy()
    labels[scar] = Label.SCAR
    kept = corrected.logits or previous
    if kept is not None:
        kept = replace(kept, scar=logits.scar, prompts=logits.prompts)
    return CorrectedHeart(labels, corrected.labels_under_scar, kept)
