"""Train the detector: ``python -m scarseg.training.detector DATA... -o OUT --time-budget 60``."""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from scarseg.models.detector import (
    DetectorSettings,
    YoloDetector,
    save_weights,
)
from scarseg.models.detector_network import build_network
from scarseg.training.cases import VALIDATION, read_cases
from scarseg.training.detector_checkpoint import TrainingState, read_checkpoint, write_checkpoint
from scarseg.training.detector_choice import UNNAMED, choose_weights, measure, worth
from scarseg.training.detector_data import TUNING, LabelledSlice, simulated_cases, slices_of
from scarseg.training.detector_evaluate import (
    choose_lv_score,
    choose_scar_score,
    find_all,
    shift_slices,
    summarise,
)
from scarseg.training.detector_loss import DetectionLoss, MaskHead
from scarseg.training.detector_sampling import SHARES, Sampler

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
WARM_UP_STEPS = 300
MASK_WEIGHT = 2.0
AVERAGING = 0.999


class Training:
    """One run: network, its running average, optimiser and how far it is."""

    def __init__(self, out: Path, budget_seconds: float, seed: int) -> None:
        torch.manual_seed(seed)
        self.out, self.budget = out, budget_seconds
        self.network = build_network().to(memory_format=torch.channels_last)
        self.masks = MaskHead()
        self.average = copy.deepcopy(self.network).eval()
        self.masks.listen(self.network)
        self.loss = DetectionLoss(self.network)
        matrices = [p for p in self._parameters() if p.ndim > 1]
        vectors = [p for p in self._parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": WEIGHT_DECAY},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
        )
        self.state = TrainingState(seed=seed)

    def _parameters(self) -> list[nn.Parameter]:
        everything = [*self.network.parameters(), *self.masks.parameters()]
        return [p for p in everything if p.requires_grad]

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "average": self.average, "masks": self.masks}

    def resume(self) -> None:
        """Go on from the checkpoint in the output folder, if there is one."""
        path = self.out / "checkpoint.safetensors"
        if path.is_file():
            self.state = read_checkpoint(path, self.modules, self.optimiser)

    def step(self, batch: dict[str, Tensor]) -> float:
        """Learn from one batch; give its loss."""
        share = min(1.0, self.state.seconds / self.budget)
        rate = LEARNING_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        rate *= min(1.0, (self.state.steps + 1) / WARM_UP_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        images = batch["img"].contiguous(memory_format=torch.channels_last)
        loss = self.loss(self.network(images), batch)
        loss = loss + MASK_WEIGHT * self.masks.loss(batch["masks"], batch["known"])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters(), 10.0)
        self.optimiser.step()
        self.state.steps += 1
        self.state.images += len(images)
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average towards the network."""
        keep = AVERAGING * (1 - math.exp(-self.state.steps / 500))
        current = self.network.state_dict()
        for key, value in self.average.state_dict().items():
            if value.dtype.is_floating_point:
                value.mul_(keep).add_(current[key].detach(), alpha=1 - keep)
            else:
                value.copy_(current[key])

    def detector(self, settings: DetectorSettings | None = None) -> YoloDetector:
        """Give the running average as a detector."""
        network = copy.deepcopy(self.average).eval()
        return YoloDetector(network, settings or DetectorSettings(), UNNAMED)

    def save(self) -> None:
        write_checkpoint(
            self.out / "checkpoint.safetensors", self.modules, self.optimiser, self.state
        )


def tune(training: Training, slices: Sequence[LabelledSlice]) -> dict[str, float]:
    """Measure on the tuning slices, keep the weights when they are the best so far."""
    found = find_all(training.detector().candidates, slices)
    settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
    figures = summarise(found, settings.scar_score, settings.lv_score)
    value = worth(figures)
    state = training.average.state_dict()
    save_weights(training.out / "last.safetensors", state, settings)
    if value > training.state.best:
        training.state.best = value
        save_weights(training.out / "best.safetensors", state, settings)
    return figures


def train(
    slices: Sequence[LabelledSlice],
    tuning: Sequence[LabelledSlice],
    out: Path,
    budget_seconds: float,
    *,
    batch: int = 16,
    seed: int = 0,
    epoch_steps: int = 500,
    resume: bool = True,
) -> Training:
    """Train until the budget is spent; a checkpoint and a line of figures every epoch.

    Args:
        slices: to learn from; tuning: to choose the checkpoint and the thresholds on.
        out: folder for checkpoint.safetensors, best.safetensors, last.safetensors, log.jsonl.
        budget_seconds: spent on training steps, over all restarts.
        epoch_steps: steps between checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    training = Training(out, budget_seconds, seed)
    if resume:
        training.resume()
    sampler = Sampler(slices, batch, seed + 1 + training.state.steps)
    while training.state.seconds < budget_seconds:
        losses = []
        for _ in range(epoch_steps):
            started = time.monotonic()
            losses.append(training.step(sampler.draw()))
            training.state.seconds += time.monotonic() - started
            if training.state.seconds >= budget_seconds:
                break
        line = {"loss": float(np.mean(losses)), **_progress(training)}
        if tuning:
            line |= tune(training, tuning)
        training.state.history.append(line)
        training.save()
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps({k: round(v, 3) for k, v in line.items()}), flush=True)
    return training


def _progress(training: Training) -> dict[str, float]:
    state = training.state
    return {
        "minutes": state.seconds / 60,
        "minutes_left": max(0.0, training.budget - state.seconds) / 60,
        "steps": float(state.steps),
        "images": float(state.images),
    }


def load_slices(folders: Sequence[Path], simulated: int, seed: int) -> list[LabelledSlice]:
    """Read folders in the EMIDEC layout and simulate ``simulated`` patients beside them."""
    slices = slices_of(case for folder in folders for case in read_cases(folder))
    if simulated:
        slices += slices_of(simulated_cases(simulated, seed))
    return slices


def split(slices: Sequence[LabelledSlice]) -> dict[str, list[LabelledSlice]]:
    """Split by patient: validation and tuning lists are fixed, the rest is trained on."""
    parts: dict[str, list[LabelledSlice]] = {"train": [], "tuning": [], "validation": []}
    for piece in slices:
        name = "tuning" if piece.patient in TUNING else "train"
        parts["validation" if piece.patient in VALIDATION else name].append(piece)
    return parts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="scarseg.training.detector", description=__doc__)
    parser.add_argument("data", nargs="*", type=Path, help="folders in the EMIDEC layout")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--time-budget", type=float, default=60.0, help="minutes of training")
    parser.add_argument("--simulated", type=int, default=0, help="simulated patients to add")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epoch-steps", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="start over instead of resuming")
    parser.add_argument("--evaluate", type=Path, help="only measure this weights file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    parts = split(load_slices(options.data, options.simulated, options.seed))
    if options.evaluate is None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_recipe(options.out, parts, options)
        train(
            parts["train"],
            shift_slices(parts["tuning"]),
            options.out,
            options.time_budget * 60,
            batch=options.batch,
            seed=options.seed,
            epoch_steps=options.epoch_steps,
            resume=not options.fresh,
        )
    weights = options.evaluate or choose_weights(options.out, parts["tuning"])
    summary = measure(weights, parts)
    text = json.dumps({"weights": weights.name, "summary": summary}, indent=1)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return 0


def write_recipe(
    out: Path, parts: dict[str, list[LabelledSlice]], options: argparse.Namespace
) -> None:
    """Write what made the weights to recipe.json: data, patients kept apart, settings."""
    trained = parts["train"]
    recipe = {
        "architecture": "YOLO11n (ultralytics), one input channel, two classes",
        "minutes": options.time_budget,
        "seed": options.seed,
        "batch": options.batch,
        "patients": {
            kind: len({piece.patient for piece in trained if piece.kind == kind})
            for kind in sorted({piece.kind for piece in trained})
        },
        "slices": len(trained),
        "tuned_on": sorted({piece.patient for piece in parts["tuning"]}),
        "validated_on": sorted({piece.patient for piece in parts["validation"]}),
        "shares": SHARES,
        "learning_rate": LEARNING_RATE,
        "weight_decay": WEIGHT_DECAY,
        "mask_weight": MASK_WEIGHT,
    }
    (out / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
