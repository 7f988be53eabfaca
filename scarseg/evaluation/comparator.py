"""Full width at half maximum in the proposed wall and a reader's box: what a model must beat."""

from __future__ import annotations

import numpy as np

from scarseg.evaluation.reading import Answer, Seen
from scarseg.labels import Label, wall_mask
from scarseg.proposal import inside
from scarseg.quant.levels import ThresholdRules
from scarseg.quant.thresholds import fwhm_mask
from scarseg.stack import Stack

STRONGEST = ThresholdRules(maximum_percentile=98)
"""Half-way from remote muscle to a robust maximum: the best of FWHM's readings on EMIDEC's tuning
patients (``benchmarks/thresholds.py``). A comparator should be beaten at its best."""


def half_maximum(stack: Stack, seen: Seen, boxed: Answer) -> Answer:
    """Read a stack by FWHM with the boxes of another reading as its region."""
    walls = np.stack([wall_mask(proposal.labels) for proposal in seen.proposals])
    regions = np.stack(
        [inside(asked.boxes, (stack.rows, stack.columns)) for asked in boxed.prompts]
    )
    scar = fwhm_mask(stack.pixels, walls, stack.pixel_spacing_mm, regions, rules=STRONGEST)
    labels = np.where(walls, Label.MYOCARDIUM, Label.BACKGROUND).astype(np.uint8)
    labels[scar] = Label.SCAR
    return Answer(labels, boxed.prompts)
