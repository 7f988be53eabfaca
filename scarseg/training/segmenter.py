"""Train the compact segmenter: one command, a time budget, a checkpoint."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from scarseg.models.network import CompactSam, PromptBatch, widened
from scarseg.training.cases import INNER, VALIDATION, TrainingCase, read_cases
from scarseg.training.data import SampleStream, add_corrections
from scarseg.training.losses import segmentation_loss


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes a run besides its data."""

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


def rate_at(done: float, warm_up: float) -> float:
    """Give the share of the full learning rate: linear warm-up, then a cosine to zero."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warm_up) / (1 - warm_up))))


def prompt_batch(batch: dict[str, Tensor], previous: Tensor | None = None) -> PromptBatch:
    n, _, rows, columns = batch["image"].shape
    nothing = torch.zeros(n, 3, rows, columns, device=batch["image"].device)
    return PromptBatch(
        batch["lv_box"],
        batch["boxes"],
        batch["boxes_used"],
        batch["points"],
        batch["point_labels"],
        nothing if previous is None else previous,
    )


def train_step(
    network: CompactSam, batch: dict[str, Tensor], correct: bool, rng: np.random.Generator
) -> Tensor:
    """Give the loss of one batch; with ``correct`` a second decode answers corrective clicks."""
    image = batch["image"].contiguous(memory_format=torch.channels_last)
    features = network.embed(image)
    logits, iou = network.predict(features, prompt_batch(batch))
    loss = segmentation_loss(logits, iou, batch["masks"], batch["known"], batch["spacing_mm"])
    if correct:
        corrected = add_corrections(batch, logits.detach().cpu(), rng)
        previous = torch.sigmoid(logits.detach())
        logits, iou = network.predict(features, prompt_batch(corrected, previous))
        second = segmentation_loss(logits, iou, batch["masks"], batch["known"], batch["spacing_mm"])
        loss = 0.5 * (loss + second)
    return loss


class Training:
    """A run that can be stopped and resumed from its checkpoint."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder = recipe, folder
        self.network = CompactSam().to(memory_format=torch.channels_last)
        self.average = {k: v.clone() for k, v in self.network.state_dict().items()}
        encoder = list(self.network.image_encoder.parameters())
        inside = {id(p) for p in encoder}
        others = [p for p in self.network.parameters() if id(p) not in inside]
        self.rates = (recipe.encoder_rate, recipe.decoder_rate)
        self.optimiser = torch.optim.AdamW(
            [{"params": encoder}, {"params": others}], weight_decay=recipe.weight_decay
        )
        self.step, self.seconds = 0, 0.0

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            part,
        )
        part.replace(self.checkpoint)
        state = {k: v.half() if v.is_floating_point() else v for k, v in self.average.items()}
        save_file(
            {k: v.contiguous() for k, v in state.items()}, self.folder / "average.safetensors"
        )

    def resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _blend(self) -> None:
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    def begin_with(self, weights: Path) -> None:
        """Start from trained weights instead of chance."""
        state = widened({k: v.float() for k, v in load_file(weights).items()})
        self.network.load_state_dict(state)
        self.average = {k: v.clone() for k, v in self.network.state_dict().items()}

    def done(self) -> float:
        """Give the share of the run behind us: of its steps or of its minutes."""
        by_time = self.seconds / (self.recipe.minutes * 60)
        return max(by_time, self.step / self.recipe.steps if self.recipe.steps else 0.0)

    def run(self, cases: Sequence[TrainingCase], workers: int, shares: Sequence[float]) -> None:
        """Train until the time budget is spent."""
        stream = SampleStream(
            cases,
            self.recipe.batch,
            self.recipe.seed * 1000 + self.step,
            (shares[0], shares[1], shares[2], shares[3]),
        )
        ahead = 6 if workers else None
        batches = iter(
            DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=ahead)
        )
        rng = np.random.default_rng(self.recipe.seed)
        self.network.train()
        recent: list[float] = []
        last_save = time.monotonic()
        while (done := self.done()) < 1:
            begin = time.monotonic()
            rate = rate_at(done, self.recipe.warm_up)
            for group, full in zip(self.optimiser.param_groups, self.rates, strict=True):
                group["lr"] = full * rate
            correct = rng.random() < self.recipe.correction_share
            loss = train_step(self.network, next(batches), correct, rng)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            self.step += 1
            if torch.isfinite(norm) and torch.isfinite(loss):
                self.optimiser.step()
                self._blend()
                recent.append(float(loss.detach()))
            else:
                print(f"step {self.step} left out: gradient {float(norm)}", flush=True)
            self.seconds += time.monotonic() - begin
            if self.step % 50 == 0:
                left = self.seconds / 60 * (1 / max(self.done(), 1e-6) - 1)
                print(
                    f"step {self.step}  loss {np.mean(recent):.3f}  "
                    f"{self.seconds / self.step:.2f} s/step  {left:.1f} min left",
                    flush=True,
                )
                recent.clear()
            if time.monotonic() - last_save > 180:
                self.save()
                last_save = time.monotonic()
        self.save()


def simulated_cases(n: int, seed: int) -> list[TrainingCase]:
    """Make simulated stacks in memory."""
    from scarseg.simulate import simulate_stack

    cases = []
    for k in range(n):
        made = simulate_stack(seed * 100_000 + k)
        stack = made.stack
        cases.append(
            TrainingCase(
                f"simulated{k}",
                "simulated",
                np.array(stack.pixels),
                made.truth,
                stack.pixel_spacing_mm,
                stack.slice_spacing_mm or stack.slice_thickness_mm,
            )
        )
    return cases


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", type=Path, help="folders in the EMIDEC layout")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--time-budget", type=float, default=60, metavar="MINUTES")
    parser.add_argument("--simulated", type=int, default=0, metavar="STACKS")
    parser.add_argument("--shares", type=float, nargs=4, default=(0.46, 0.22, 0.2, 0.12))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="end here, if the time allows")
    parser.add_argument("--init", type=Path, help="weights to begin with")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--use-inner", action="store_true", help="train on tuning patients too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    left_out = {*VALIDATION, *(() if options.use_inner else INNER)}
    cases = [c for folder in options.data for c in read_cases(folder) if c.name not in left_out]
    cases += simulated_cases(options.simulated, options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        minutes=options.time_budget,
        steps=options.steps,
        init=options.init.name if options.init else "",
        encoder_rate=Recipe.encoder_rate * options.rate,
        decoder_rate=Recipe.decoder_rate * options.rate,
        seed=options.seed,
    )
    (options.output / "recipe.json").write_text(
        json.dumps({**asdict(recipe), "left_out": sorted(left_out), "n_cases": len(cases)})
    )
    training = Training(recipe, options.output)
    if options.init:
        training.begin_with(options.init)
    if options.resume and training.checkpoint.exists():
        training.resume()
    print(f"{len(cases)} stacks, {sum(len(c.labels) for c in cases)} slices", flush=True)
    training.run(cases, options.workers, options.shares)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
