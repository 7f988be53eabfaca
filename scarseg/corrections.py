"""What becomes of a segmenter's answer, or of a drawing, where a reader corrects wall and pool.

The segmenter was taught to obey prompts for scar alone. Those for wall and blood pool change its
answer by the rules of :mod:`scarseg.borders`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scarseg.borders import Heart, Spacing, corrected
from scarseg.labels import LabelArray, MaskArray, infarct_mask
from scarseg.models import Logits
from scarseg.prompts import SlicePrompts
from scarseg.stack import FloatArray

WEAK_LOGIT = 0.1
"""The least that is said of a pixel in a corrected answer."""


@dataclass(frozen=True, eq=False)
class HeartAnswer:
    """What a reader's points and box for wall and pool make of a slice.

    ``labels`` uint8 (row, column) with the scar that stood there; ``ground`` the same without
    it, so that scar off the wall can be told; ``logits`` the segmenter's answer corrected, None
    where a drawing was corrected instead.
    """

    labels: LabelArray
    ground: LabelArray
    logits: Logits | None

    @classmethod
    def on_scar(cls, before: LabelArray, heart: Heart, logits: Logits | None) -> HeartAnswer:
        """Put the scar and MVO of ``before`` (row, column) on a heart, to the pixel."""
        ground = heart.labels
        return cls(np.where(infarct_mask(before), before, ground), ground, logits)


def redrawn(
    prompts: SlicePrompts, before: LabelArray, ground: LabelArray, spacing_mm: Spacing
) -> HeartAnswer:
    """Correct a heart that a hand drew, round what it contradicts; the scar stays.

    Args:
        before: labels uint8 (row, column); ``ground`` what lies beneath their scar.
        spacing_mm: (row, column).
    """
    heart = Heart.of_labels(ground)
    if prompts.asks_for_heart:
        heart = corrected(heart, prompts, spacing_mm, drawn=True)
    return HeartAnswer.on_scar(before, heart, None)


def is_heart_of(labels: LabelArray, logits: Logits) -> bool:
    """Tell whether wall and pool (row, column) are the segmenter's own, untouched by a hand.

    What lies beneath scar and MVO is not seen.
    """
    if logits.wall is None:
        return False
    seen = ~infarct_mask(labels)
    return np.array_equal(labels[seen], Heart.of_logits(logits).labels[seen])


def corrected_logits(logits: Logits, prompts: SlicePrompts, spacing_mm: Spacing) -> Logits:
    """Make a segmenter's answer obey what a reader asks of wall and pool.

    The answer before stays in ``raw``. A segmenter of scar alone has nothing to correct.
    """
    logits = logits.raw or logits
    if logits.wall is None or logits.blood_pool is None or not prompts.asks_for_heart:
        return logits
    heart = corrected(Heart.of_logits(logits), prompts, spacing_mm)
    pool = _signed(logits.blood_pool, heart.pool)
    return replace(logits, blood_pool=pool, wall=_signed(logits.wall, heart.wall), raw=logits)


def _signed(logits: FloatArray, mask: MaskArray) -> FloatArray:
    """Give logits the sign that a mask asks for."""
    strength = np.maximum(np.abs(logits), np.float32(WEAK_LOGIT))
    return np.where(mask, strength, -strength).astype(np.float32)
