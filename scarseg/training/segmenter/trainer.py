"""A segmenter in training: what the compact network and SAM have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save
from torch import Tensor, nn

from scarseg.case.case import ModelIdentity
from scarseg.models import Segmenter
from scarseg.training.loop import StopRequest
from scarseg.training.runs import write_file
from scarseg.training.segmenter.recipe import Recipe, rate_at
from scarseg.training.segmenter.validate import ValidationSlice, validate
from scarseg.training.trainer import Trainer, to_half_precision

UNFINISHED = ModelIdentity("weights in training", "0" * 64, False)
MIN_RATE_SHARE = 0.01
"""Share of the full learning rate that the warm-up begins with: the first of few steps counts."""


class SegmenterTraining(Trainer):
    """A run of a segmenter.

    Args:
        recipe: everything that shapes the run.
        folder: where checkpoint.safetensors, average.safetensors and best.safetensors go.
        network: all of it, on its device.
        groups: parameters that learn, with the full learning rate of each group.
        trained: prefixes of the names of tensors that are trained; () is all of them.
    """

    max_gradient_norm = 2.0
    metadata: ClassVar[dict[str, str]] = {}
    """Facts in the weights file that its loading needs."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        network: nn.Module,
        groups: Sequence[tuple[list[nn.Parameter], float]],
        trained: tuple[str, ...] = (),
    ) -> None:
        self.recipe, self.full_rates = recipe, [rate for _, rate in groups]
        self._trained = trained
        parameters = [{"params": some} for some, _ in groups]
        optimiser = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay)
        super().__init__(recipe, folder, network, {}, optimiser)
        self.average = self.copied_state()
        self.validation_slices: Sequence[ValidationSlice] = ()

    @abstractmethod
    def segmenter(self) -> Segmenter:
        """Return the running average as a segmenter."""

    def trained_state(self) -> dict[str, Tensor]:
        state = super().trained_state()
        if not self._trained:
            return state
        return {k: v for k, v in state.items() if k.startswith(self._trained)}

    def copied_state(self) -> dict[str, Tensor]:
        """Return copies of the tensors of what is trained."""
        return {k: v.detach().clone() for k, v in self.trained_state().items()}

    def learning_rates(self) -> list[float]:
        share = max(MIN_RATE_SHARE, rate_at(self.done(), self.recipe.warm_up))
        return [share * full for full in self.full_rates]

    def ema_decay(self) -> float:
        # Grows with the steps: an average of few steps must not remember the random start.
        return min(self.recipe.average, (1 + self.step) / (10 + self.step))

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        if not self.validation_slices:
            return None
        return validate(self.segmenter(), self.validation_slices, lambda: stop.requested)

    def save_best(self) -> None:
        self.write_average("best.safetensors")

    def save_last(self) -> None:
        self.write_average("average.safetensors")

    def write_average(self, name: str) -> None:
        """Write the running average into the folder of the run."""
        data = save(to_half_precision(self.average), self.metadata or None)
        write_file(self.folder / name, data)
