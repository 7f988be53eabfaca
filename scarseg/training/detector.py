"""Train the detector."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from scarseg.models.detector import DetectorSettings, YoloDetector, read_weights
from scarseg.models.detector_network import build_network
from scarseg.training.cases import TrainingCase
from scarseg.training.detector_checkpoint import (
    TrainingState,
    put_weights,
    read_checkpoint,
    write_checkpoint,
)
from scarseg.training.detector_choice import UNNAMED, worth
from scarseg.training.detector_data import LabelledSlice, slices_of
from scarseg.training.detector_evaluate import (
    choose_lv_score,
    choose_scar_score,
    find_all,
    summarise,
)
from scarseg.training.detector_loss import DetectionLoss, MaskHead
from scarseg.training.detector_sampling import Sampler
from scarseg.training.loop import SCORE, Ending, History, Limits, Stop, run
from scarseg.training.progress import Board
from scarseg.training.splits import Split

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


class Training:
    """One run: network, its running average, optimiser and how far it is."""

    def __init__(self, recipe: DetectorRecipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder = recipe, folder
        self.device = torch.device(device)
        self.network = build_network().to(memory_format=torch.channels_last).to(self.device)
        self.masks = MaskHead().to(self.device)
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
        self.state = TrainingState(seed=recipe.seed)
        self.history = History()
        self.settings = DetectorSettings()
        self.tuning: Sequence[LabelledSlice] = ()
        self._sampler: Sampler | None = None

    @property
    def step(self) -> int:
        return self.state.steps

    @step.setter
    def step(self, value: int) -> None:
        self.state.steps = value

    @property
    def seconds(self) -> float:
        return self.state.seconds

    @seconds.setter
    def seconds(self, value: float) -> None:
        self.state.seconds = value

    @property
    def is_blank(self) -> bool:
        """Tell whether the weights are still chance."""
        return self.step == 0 and not self.recipe.init

    def done(self) -> float:
        """Give the share of the run behind us: of its steps or of its minutes."""
        by_time = self.seconds / (self.recipe.minutes * 60)
        return max(by_time, self.step / self.recipe.steps if self.recipe.steps else 0.0)

    def _parameters(self) -> list[nn.Parameter]:
        everything = [*self.network.parameters(), *self.masks.parameters()]
        return [p for p in everything if p.requires_grad]

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "average": self.average, "masks": self.masks}

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def begin_with(self, weights: Path) -> None:
        """Start from trained weights instead of chance.

        Raises:
            WeightsError: as :func:`scarseg.models.detector.read_weights`.
        """
        state, self.settings = read_weights(weights)
        self.network.load_state_dict(state, strict=False)
        self.average.load_state_dict(state, strict=False)

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            WeightsError: E_WEIGHTS_DAMAGED.
        """
        self.state = read_checkpoint(self.checkpoint, self.modules, self.optimiser)
        self.history = History.restored(self.state.tries)

    def learn(self) -> float | None:
        """Draw a batch and learn from it; give its loss, None when that is no number."""
        assert self._sampler is not None, "run() gives the data"
        return self.learn_from(self._sampler.draw())

    def learn_from(self, batch: dict[str, Tensor]) -> float | None:
        """Learn from one batch; give its loss, None when that is no number."""
        share = min(1.0, self.done())
        rate = LEARNING_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
        rate *= min(1.0, (self.step + 1) / WARM_UP_STEPS) * self.recipe.rate
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        here = {name: value.to(self.device) for name, value in batch.items()}
        images = here["img"].contiguous(memory_format=torch.channels_last)
        loss = self.loss(self.network(images), here)
        loss = loss + MASK_WEIGHT * self.masks.loss(here["masks"], here["known"])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters(), 10.0)
        self.step += 1
        self.state.images += len(images)
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            self._mend()
            return None
        self.optimiser.step()
        self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _mend(self) -> None:
        """Put back what a pass that gave no number has left in the batch norms' statistics."""
        average = self.average.state_dict()
        for name, value in self.network.state_dict().items():
            if value.dtype.is_floating_point and not torch.isfinite(value).all():
                value.copy_(average[name])

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the running average towards the network."""
        keep = AVERAGING * (1 - math.exp(-self.step / 500))
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

    def examine(self, stop: Stop) -> dict[str, float] | None:
        """Measure the running average on the tuning slices, thresholds chosen there."""
        if not self.tuning or stop.asked:
            return None
        found = find_all(self.detector().candidates, self.tuning)
        self.settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
        figures = summarise(found, self.settings.scar_score, self.settings.lv_score)
        shown = {name: figures[name] for name in SHOWN if not math.isnan(figures[name])}
        return {SCORE: worth(figures), **shown}

    def keep_best(self) -> None:
        put_weights(self.folder / "best.safetensors", self.average.state_dict(), self.settings)

    def save(self) -> None:
        """Write the checkpoint and the last weights.

        Raises:
            OutputError: E_WRITE; the checkpoint before it stands.
        """
        self.state.tries = self.history.state()
        write_checkpoint(self.checkpoint, self.modules, self.optimiser, self.state)
        put_weights(self.folder / "last.safetensors", self.average.state_dict(), self.settings)

    def run(
        self,
        slices: Sequence[LabelledSlice],
        tuning: Sequence[LabelledSlice] = (),
        limits: Limits | None = None,
        board: Board | None = None,
        stop: Stop | None = None,
    ) -> Ending:
        """Train until the budget is spent, see :func:`scarseg.training.loop.run`.

        Args:
            slices: to learn from; tuning: to choose the checkpoint and the thresholds on.
        """
        self._sampler = Sampler(slices, self.recipe.batch, self.recipe.seed + 1 + self.step)
        self.tuning = tuning
        return run(self, limits, board, stop)


def split_slices(cases: Iterable[TrainingCase], split: Split) -> dict[str, list[LabelledSlice]]:
    """Give the slices of each part of a split."""
    kept = list(cases)
    return {
        part: slices_of(split.cases(kept, part)) for part in ("training", "validation", "held_out")
    }
