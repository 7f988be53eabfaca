"""Checkpoints of a detector's training: tensors in safetensors, so resuming runs no code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from scarseg.errors import OutputError, WeightsError
from scarseg.io.atomic import discard, temporary_name
from scarseg.models.detector import DetectorSettings, save_weights
from scarseg.training.runs import write_file


@dataclass
class TrainingState:
    """How far a run is; seconds are spent training, over all its restarts."""

    seconds: float = 0.0
    steps: int = 0
    images: int = 0
    seed: int = 0
    best: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)
    tries: dict[str, Any] | None = None


def write_checkpoint(
    path: Path,
    modules: dict[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    state: TrainingState,
) -> None:
    """Write everything a run needs to go on, whole or not at all.

    Raises:
        OutputError: E_WRITE.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().clone().contiguous()
    for index, slots in optimiser.state_dict()["state"].items():
        for key, value in slots.items():
            tensors[f"optimiser/{index}/{key}"] = torch.as_tensor(value).clone().contiguous()
    tensors = {key: value.cpu() for key, value in tensors.items()}
    write_file(path, save(tensors, {"state": json.dumps(asdict(state))}))


def read_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer
) -> TrainingState:
    """Fill modules and optimiser from a checkpoint; give how far the run was.

    Raises:
        WeightsError: E_WEIGHTS_DAMAGED.
    """
    try:
        return _read(path, modules, optimiser)
    except (SafetensorError, OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        message = f"The checkpoint {path} is damaged; start anew elsewhere."
        raise WeightsError("E_WEIGHTS_DAMAGED", message, str(path)) from error


def _read(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer
) -> TrainingState:
    slots: dict[int, dict[str, Any]] = {}
    with safe_open(path, framework="pt") as file:
        keys = list(file.keys())
        for name, module in modules.items():
            prefix = f"{name}/"
            state = {
                k.removeprefix(prefix): file.get_tensor(k) for k in keys if k.startswith(prefix)
            }
            module.load_state_dict(state)
        for key in keys:
            if key.startswith("optimiser/"):
                _, index, slot = key.split("/")
                slots.setdefault(int(index), {})[slot] = file.get_tensor(key)
        metadata = file.metadata() or {}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})
    return TrainingState(**json.loads(metadata["state"]))


def put_weights(path: Path, state: dict[str, Tensor], settings: DetectorSettings) -> None:
    """Write weights as they are shipped, whole or not at all.

    Raises:
        OutputError: E_WRITE.
    """
    temporary = temporary_name(path)
    try:
        save_weights(temporary, state, settings)
        write_file(path, temporary.read_bytes())
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be written: {error}."
        raise OutputError("E_WRITE", message, str(path)) from error
    finally:
        discard(temporary)
