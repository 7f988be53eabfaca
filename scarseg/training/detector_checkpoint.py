"""Checkpoints of a detector's training: tensors in safetensors, so resuming runs no code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass
class TrainingState:
    """How far a run is; seconds are spent training, over all its restarts."""

    seconds: float = 0.0
    steps: int = 0
    images: int = 0
    seed: int = 0
    best: float = -1.0
    history: list[dict[str, float]] = field(default_factory=list)


def write_checkpoint(
    path: Path,
    modules: dict[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    state: TrainingState,
) -> None:
    """Write everything a run needs to go on, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().clone().contiguous()
    for index, slots in optimiser.state_dict()["state"].items():
        for key, value in slots.items():
            tensors[f"optimiser/{index}/{key}"] = torch.as_tensor(value).clone().contiguous()
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary, {"state": json.dumps(asdict(state))})
    temporary.replace(path)


def read_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer
) -> TrainingState:
    """Fill modules and optimiser from a checkpoint; give how far the run was."""
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
