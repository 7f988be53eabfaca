"""A network in training with the running average of its weights, and its checkpoints."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from scarseg.errors import WeightsError
from scarseg.models import Segmenter
from scarseg.training.loop import StopRequest, ValidationHistory
from scarseg.training.runs import write_file
from scarseg.training.segmenter.recipe import Recipe, rate_at
from scarseg.training.segmenter.validate import ValidationSlice, validate

MAX_GRADIENT_NORM = 2.0
MIN_RATE_SHARE = 0.01


class SegmenterTraining(ABC):
    """What every segmenter's run shares: optimiser, running average, budget, checkpoint.

    Args:
        recipe: everything that shapes the run.
        folder: where checkpoint.pt, average.safetensors and best.safetensors go.
        network: the whole of it, on its device.
        groups: parameters that learn, with the full learning rate of each group.
        trained: modules of ``network`` that are kept in checkpoints; () is all of it.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        network: nn.Module,
        groups: Sequence[tuple[list[nn.Parameter], float]],
        trained: tuple[str, ...] = (),
    ) -> None:
        self.recipe, self.folder, self.network = recipe, folder, network
        self._trained = trained
        self.average = self._copied()
        self.rates = [rate for _, rate in groups]
        self.optimiser = torch.optim.AdamW(
            [{"params": parameters} for parameters, _ in groups], weight_decay=recipe.weight_decay
        )
        self.step, self.seconds = 0, 0.0
        self.history = ValidationHistory()
        self.validation_slices: Sequence[ValidationSlice] = ()

    @abstractmethod
    def loss(self) -> Tensor:
        """Give the loss of the next batch."""

    @abstractmethod
    def segmenter(self) -> Segmenter:
        """Give the running average as a segmenter."""

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _state(self) -> dict[str, Tensor]:
        """Give the tensors of what is trained, not copied."""
        state = self.network.state_dict()
        if not self._trained:
            return dict(state)
        return {k: v for k, v in state.items() if k.startswith(self._trained)}

    def _copied(self) -> dict[str, Tensor]:
        return {k: v.detach().clone() for k, v in self._state().items()}

    @property
    def is_untrained(self) -> bool:
        """Tell whether the weights are still chance."""
        return self.step == 0 and not self.recipe.init

    def done(self) -> float:
        """Give the share of the run behind us: of its steps or of its minutes."""
        by_time = self.seconds / (self.recipe.minutes * 60)
        return max(by_time, self.step / self.recipe.steps if self.recipe.steps else 0.0)

    def train_step(self) -> float | None:
        """Make one step; give its loss, or None when it was left out as no number."""
        # Never nothing: the first of few steps must count.
        rate = max(MIN_RATE_SHARE, rate_at(self.done(), self.recipe.warm_up))
        for group, full in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = full * rate
        loss = self.loss()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        learning = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(learning, MAX_GRADIENT_NORM)
        self.step += 1
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            self._restore_batchnorm()
            return None
        self.optimiser.step()
        self._update_ema()
        return float(loss.detach())

    @torch.no_grad()
    def _update_ema(self) -> None:
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self._state().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    @torch.no_grad()
    def _restore_batchnorm(self) -> None:
        """Put back what a pass that gave no number has left in the batch norms' statistics."""
        for name, value in self._state().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                value.copy_(self.average[name])

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Try the running average on the validation slices; None without any or when stopped."""
        if not self.validation_slices:
            return None
        return validate(self.segmenter(), self.validation_slices, lambda: stop.requested)

    def save(self) -> None:
        """Write checkpoint and running average.

        Raises:
            OutputError: E_WRITE; the checkpoint before it stands.
        """
        state = {
            "network": self._state(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history.state(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_file(self.checkpoint, buffer.getvalue())
        self._write_average("average.safetensors")

    def save_best(self) -> None:
        self._write_average("best.safetensors")

    def _write_average(self, name: str) -> None:
        write_file(self.folder / name, safetensors.torch.save(to_half_precision(self.average)))

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            WeightsError: E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN (of another network).
        """
        try:
            state: dict[str, Any] = torch.load(
                self.checkpoint, map_location=self.device, weights_only=True
            )
        except (UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
            message = f"The checkpoint {self.checkpoint} is damaged; start anew elsewhere."
            raise WeightsError("E_WEIGHTS_DAMAGED", message, str(self.checkpoint)) from error
        try:
            self._load(state["network"])
            self.average = {k: state["average"][k] for k in self._state()}
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
            self.history = ValidationHistory.restored(state.get("history"))
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            message = f"The checkpoint {self.checkpoint} is of another network."
            raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(self.checkpoint)) from error

    def _load(self, state: dict[str, Tensor]) -> None:
        """Fill what is trained; everything of it must be there."""
        missing, unexpected = self.network.load_state_dict(state, strict=False)
        lacking = [k for k in missing if not self._trained or k.startswith(self._trained)]
        if lacking or unexpected:
            raise KeyError(f"{len(lacking)} tensors are missing, {len(unexpected)} unknown")


def to_half_precision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give a state on the CPU in float16, contiguous: what goes into a weights file."""
    return {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in state.items()
    }
