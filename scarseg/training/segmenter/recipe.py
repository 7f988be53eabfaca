"""Everything that shapes a segmenter's run besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from scarseg.training.segmenter.losses import LossWeights


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes a run besides its data.

    Args:
        minutes: of training; steps: ends it earlier, 0 for no limit.
        init: name of the weights it began with, empty for none.
        batch: crops per step.
        encoder_rate, decoder_rate: full learning rates of AdamW.
        warm_up: share of the run in which the rate grows.
        average: how slowly the running average follows the weights.
        correction_share: share of steps that also answer corrective clicks.
        rounds: at most so many rounds of clicks on such a step, one drawn after the other.
        previous_share: share of rounds that see the answer before them; the others see the
            prompts alone, as a reader's clicks do in use.
        train: what of a SAM checkpoint is trained, decoder or all; empty for the compact network.
        loss: weights of its terms.
    """

    minutes: float
    steps: int = 0
    init: str = ""
    batch: int = 12
    encoder_rate: float = 2e-3
    decoder_rate: float = 7e-4
    weight_decay: float = 1e-2
    warm_up: float = 0.04
    average: float = 0.999
    correction_share: float = 0.5
    seed: int = 1
    rounds: int = 1
    previous_share: float = 1.0
    train: str = ""
    loss: LossWeights = field(default_factory=LossWeights)


def rate_at(done: float, warm_up: float) -> float:
    """Return the share of the full learning rate: linear warm-up, then a cosine to zero."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warm_up) / (1 - warm_up))))
