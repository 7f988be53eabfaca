"""Train the detector."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scarseg.models.detector import DetectorSettings, YoloDetector, read_weights
from scarseg.models.detector_network import build_network
from scarseg.training.cases import TrainingCase
from scarseg.training.detector.data import LabelledSlice, labelled_slices
from scarseg.training.detector.evaluate import (
    choose_lv_score,
    choose_scar_score,
    detect_all,
    summarise,
)
from scarseg.training.detector.loss import DetectionLoss, MaskHead
from scarseg.training.detector.sampling import Sampler
from scarseg.training.detector.weights import UNNAMED, checkpoint_score, write_weights
from scarseg.training.loop import SCORE, Ending, Limits, StopRequest, run_training
from scarseg.training.progress_display import ProgressDisplay
from scarseg.training.splits import Split
from scarseg.training.trainer import State, Trainer

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
WARM_UP_STEPS = 300
MASK_WEIGHT = 2.0
AVERAGING = 0.999
SHOWN = (
    "lv_iou_mean",
    "lv_found_iou_over_0.5",
    "scar_ap_iou_over_0.3",
    "scar_recall_iou_over_0.3",
    "scar_slice_sensitivity_at_specificity_0.9",
)


@dataclass(frozen=True)
class DetectorRecipe:
    """Everything that shapes a run besides its data.

    ``rate`` is a factor on the learning rate; ``steps`` ends the run earlier, 0 for no limit.
    """

    minutes: float
    steps: int = 0
    batch: int = 16
    seed: int = 0
    rate: float = 1.0
    init: str = ""


class DetectorTraining(Trainer):
    """A run of the detector: its network, and a mask head that is trained along with it."""

    max_gradient_norm = 10.0

    def __init__(self, recipe: DetectorRecipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        network = build_network().to(memory_format=torch.channels_last).to(device)
        self.masks = MaskHead().to(device)
        self.average_network: nn.Module = copy.deepcopy(network).eval()
        self.masks.listen(network)
        self._detection_loss = DetectionLoss(network)
        parameters = [
            p for p in (*network.parameters(), *self.masks.parameters()) if p.requires_grad
        ]
        optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
        )
        # The state shares its memory with the network: updating one updates the other.
        average = dict(self.average_network.state_dict())
        super().__init__(recipe, folder, network, average, optimiser)
        self.images = 0
        self.settings = DetectorSettings()
        self.tuning: Sequence[LabelledSlice] = ()
        self._sampler: Sampler | None = None

    def checkpoint_states(self) -> dict[str, State]:
        return {**super().checkpoint_states(), "masks": self.masks.state_dict()}

    def progress_state(self) -> dict[str, Any]:
        return {**super().progress_state(), "images": self.images}

    def restore_progress(self, state: Mapping[str, Any]) -> None:
        super().restore_progress(state)
        self.images = int(state.get("images", 0))

    def load_initial_weights(self, weights: Path) -> None:
        """Start from trained weights instead of random ones.

        Raises:
            WeightsError: as :func:`scarseg.models.detector.read_weights`.
        """
        state, self.settings = read_weights(weights)
        self.network.load_state_dict(state, strict=False)
        self.average_network.load_state_dict(state, strict=False)

    def loss(self) -> Tensor:
        assert self._sampler is not None, "run() sets the sampler"
        return self.batch_loss(self._sampler.draw())

    def batch_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of one batch of :class:`scarseg.training.detector.sampling.Sampler`."""
        self.network.train()
        here = {name: value.to(self.device) for name, value in batch.items()}
        images = here["img"].contiguous(memory_format=torch.channels_last)
        self.images += len(images)
        loss = self._detection_loss(self.network(images), here)
        return loss + MASK_WEIGHT * self.masks.loss(here["masks"], here["known"])

    def train_on(self, batch: dict[str, Tensor]) -> float | None:
        """Run one step on a given batch; see :meth:`train_step`."""
        return self.optimise(self.batch_loss(batch))

    def learning_rates(self) -> list[float]:
        cosine = (1 + math.cos(math.pi * min(1.0, self.done()))) / 2
        warm_up = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        rate = LEARNING_RATE * (0.01 + 0.99 * cosine) * warm_up * self.recipe.rate
        return [rate] * len(self.optimiser.param_groups)

    def ema_decay(self) -> float:
        return AVERAGING * (1 - math.exp(-self.step / 500))

    def detector(self, settings: DetectorSettings | None = None) -> YoloDetector:
        """Return the running average as a detector."""
        network = copy.deepcopy(self.average_network).eval()
        return YoloDetector(network, settings or DetectorSettings(), UNNAMED)

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Measure the running average on the tuning slices, thresholds chosen there."""
        if not self.tuning or stop.requested:
            return None
        found = detect_all(self.detector().candidates, self.tuning)
        self.settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
        figures = summarise(found, self.settings.scar_score, self.settings.lv_score)
        shown = {name: figures[name] for name in SHOWN if not math.isnan(figures[name])}
        return {SCORE: checkpoint_score(figures), **shown}

    def save_best(self) -> None:
        write_weights(self.folder / "best.safetensors", self.average, self.settings)

    def save_last(self) -> None:
        write_weights(self.folder / "last.safetensors", self.average, self.settings)

    def run(
        self,
        slices: Sequence[LabelledSlice],
        tuning: Sequence[LabelledSlice] = (),
        limits: Limits | None = None,
        display: ProgressDisplay | None = None,
        stop: StopRequest | None = None,
    ) -> Ending:
        """Train until the budget is spent, see :func:`scarseg.training.loop.run_training`.

        Args:
            slices: to train on; tuning: to choose the checkpoint and the thresholds on.
        """
        self._sampler = Sampler(slices, self.recipe.batch, self.recipe.seed + 1 + self.step)
        self.tuning = tuning
        return run_training(self, limits, display, stop)


def split_slices(cases: Iterable[TrainingCase], split: Split) -> dict[str, list[LabelledSlice]]:
    """Return the slices of each part of a split."""
    kept = list(cases)
    return {
        part: labelled_slices(split.cases(kept, part))
        for part in ("training", "validation", "held_out")
    }
