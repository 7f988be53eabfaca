"""A network in training: its optimiser, running average, budget and checkpoint."""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from scarseg.errors import WeightsError
from scarseg.training.loop import StopRequest, ValidationHistory
from scarseg.training.runs import write_file

State = Mapping[str, Tensor]


class Budget(Protocol):
    """The part of a recipe that ends a run: its minutes, and its steps unless 0."""

    @property
    def minutes(self) -> float: ...

    @property
    def steps(self) -> int: ...

    @property
    def init(self) -> str:
        """Name of the weights a run begins with; empty for random ones."""
        ...


class Trainer(ABC):
    """A run: one network learns, an exponential moving average (EMA) of it is what counts.

    Args:
        budget: the recipe.
        folder: where checkpoint.safetensors and weights go.
        network: all of it, on its device.
        average: tensors that follow those of :meth:`trained_state`, by name; updated in place.
        optimiser: over what is trained.
    """

    max_gradient_norm: ClassVar[float]

    def __init__(
        self,
        budget: Budget,
        folder: Path,
        network: nn.Module,
        average: dict[str, Tensor],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        self.budget, self.folder, self.network = budget, folder, network
        self.average, self.optimiser = average, optimiser
        self.step, self.seconds = 0, 0.0
        self.history = ValidationHistory()

    @abstractmethod
    def loss(self) -> Tensor:
        """Return the loss of the next batch."""

    @abstractmethod
    def learning_rates(self) -> Sequence[float]:
        """Return the learning rate of every parameter group for the next step."""

    @abstractmethod
    def ema_decay(self) -> float:
        """Return the share of the running average that stays in the next update."""

    @abstractmethod
    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Measure the running average on the validation patients.

        Returns:
            figures with ``score``; None without any patient or when stopped.
        """

    @abstractmethod
    def save_best(self) -> None:
        """Write the running average as the best weights so far."""

    @abstractmethod
    def save_last(self) -> None:
        """Write the running average as the last weights."""

    def trained_state(self) -> dict[str, Tensor]:
        """Return the tensors of what is trained, not copied."""
        return dict(self.network.state_dict())

    def checkpoint_states(self) -> dict[str, State]:
        """Return the tensors of a checkpoint by the name of their part."""
        return {"network": self.trained_state(), "average": self.average}

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint."""
        return self.folder / "checkpoint.safetensors"

    @property
    def is_untrained(self) -> bool:
        """Return whether the weights are still random."""
        return self.step == 0 and not self.budget.init

    def done(self) -> float:
        """Return the share of the budget that is spent: of its steps or of its minutes."""
        by_time = self.seconds / (self.budget.minutes * 60)
        return max(by_time, self.step / self.budget.steps if self.budget.steps else 0.0)

    def train_step(self) -> float | None:
        """Run one step; return its loss, or None when it was skipped as not a number."""
        return self.optimise(self.loss())

    def optimise(self, loss: Tensor) -> float | None:
        """Run one step down the gradient of a loss and update the running average.

        Returns:
            the loss; None when it or its gradient was not a number: nothing has then changed
            but the count of steps.
        """
        for group, rate in zip(self.optimiser.param_groups, self.learning_rates(), strict=True):
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.max_gradient_norm)
        self.step += 1
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            self._restore_batchnorm()
            return None
        self.optimiser.step()
        self._update_ema()
        return float(loss.detach())

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = self.ema_decay()
        for name, value in self.trained_state().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    @torch.no_grad()
    def _restore_batchnorm(self) -> None:
        """Replace the batch norms' statistics that a skipped step has spoilt by their average.

        Running mean and variance are updated in the forward pass, before the loss is known.
        """
        for name, value in self.trained_state().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                value.copy_(self.average[name])

    def progress_state(self) -> dict[str, Any]:
        """Return how far the run is, as its checkpoint holds it."""
        return {"seconds": self.seconds, "steps": self.step, "tries": self.history.state()}

    def restore_progress(self, state: Mapping[str, Any]) -> None:
        """Set how far the run is from what :meth:`progress_state` returned."""
        self.seconds, self.step = float(state["seconds"]), int(state["steps"])
        self.history = ValidationHistory.restored(state.get("tries"))

    def save(self) -> None:
        """Write the checkpoint and the last weights.

        Raises:
            OutputError: E_WRITE; the checkpoint before it stays.
        """
        tensors = {
            f"{part}/{name}": value
            for part, state in self.checkpoint_states().items()
            for name, value in state.items()
        }
        for index, slots in self.optimiser.state_dict()["state"].items():
            for name, value in slots.items():
                tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
        # A clone each: safetensors refuses tensors that share memory.
        plain = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        write_file(self.checkpoint, save(plain, {"state": json.dumps(self.progress_state())}))
        self.save_last()

    def resume(self) -> None:
        """Continue from the checkpoint.

        Raises:
            WeightsError: E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN (of another network).
        """
        path = self.checkpoint
        earlier = self.folder / "checkpoint.pt"
        if not path.exists() and earlier.exists():
            path = earlier
        try:
            tensors, progress = _read_pickled(path) if path is earlier else _read(path)
        except (
            SafetensorError,
            UnpicklingError,
            RuntimeError,
            EOFError,
            OSError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            message = f"The checkpoint {path} is damaged; start anew elsewhere."
            raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path)) from error
        try:
            self._restore(tensors)
            self.restore_progress(progress)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            message = f"The checkpoint {path} is of another network."
            raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(path)) from error

    @torch.no_grad()
    def _restore(self, tensors: State) -> None:
        """Copy tensors of a checkpoint into network, average and optimiser."""
        for part, state in self.checkpoint_states().items():
            stored = {k for k in tensors if k.startswith(f"{part}/")}
            if stored != {f"{part}/{name}" for name in state}:
                raise KeyError(f"the tensors of {part} have other names")
            for name, value in state.items():
                if value.shape != tensors[f"{part}/{name}"].shape:
                    raise ValueError(f"{part}/{name} has another shape")
                value.copy_(tensors[f"{part}/{name}"])
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser/"):
                _, index, name = key.split("/")
                slots.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        progress = json.loads((file.metadata() or {})["state"])
    if not isinstance(progress, dict):
        raise TypeError("the state of a run is a dictionary")
    return tensors, progress


def _read_pickled(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint of a segmenter in the format before safetensors."""
    state = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
    tensors = {
        f"{part}/{name}": value
        for part in ("network", "average")
        for name, value in state.get(part, {}).items()
    }
    for index, slots in state.get("optimiser", {}).get("state", {}).items():
        for name, value in slots.items():
            tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    progress = {"seconds": state.get("seconds"), "steps": state.get("step")}
    return tensors, {**progress, "tries": state.get("history")}


def to_half_precision(state: State) -> dict[str, Tensor]:
    """Return a state on the CPU in float16, contiguous: what goes into a weights file."""
    return {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in state.items()
    }
