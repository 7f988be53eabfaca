"""Train the detector."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from scarseg.case.case import ModelIdentity
from scarseg.errors import OutputError, WeightsError
from scarseg.io.files import remove_quietly, temporary_name
from scarseg.models.detector import (
    DetectorSettings,
    YoloDetector,
    build_network,
    open_detector,
    read_weights,
    save_weights,
)
from scarseg.training.cases import TrainingCase
from scarseg.training.detector.data import LabelledSlice, Sampler, labelled_slices
from scarseg.training.detector.evaluate import (
    choose_lv_score,
    choose_scar_score,
    detect_all,
    resample_slices,
    shift_slices,
    summarise,
)
from scarseg.training.detector.loss import DetectionLoss, MaskHead
from scarseg.training.loop import (
    SCORE,
    Ending,
    Limits,
    ProgressDisplay,
    StopRequest,
    ValidationHistory,
    run_training,
)
from scarseg.training.runs import write_file
from scarseg.training.splits import Split


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


def write_weights(path: Path, state: dict[str, Tensor], settings: DetectorSettings) -> None:
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
        remove_quietly(temporary)


CHOICE_SHIFTS = 3
"""Thresholds are chosen with every tuning heart in so many places: fewer accidents."""
UNNAMED = ModelIdentity("detector in training", "0" * 64, False)


def choose_weights(out: Path, tuning: Sequence[LabelledSlice]) -> Path:
    """Write the better of the best and the last weights as detector.safetensors.

    Its thresholds are chosen on the tuning slices.

    Without tuning patients the last weights are taken, with the thresholds they have.
    """
    chosen, most = out / "detector.safetensors", -1.0
    tuning = [labelled for seed in range(CHOICE_SHIFTS) for labelled in shift_slices(tuning, seed)]
    for name in ("last", "best"):
        path = out / f"{name}.safetensors"
        if not path.is_file():
            continue
        state, settings = read_weights(path)
        value = 0.0
        if tuning:
            found = detect_all(open_detector(path, UNNAMED).candidates, tuning)
            settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
            figures = summarise(found, settings.scar_score, settings.lv_score)
            value = checkpoint_score(figures)
        if value > most:
            most = value
            write_weights(chosen, state, settings)
    return chosen


def checkpoint_score(figures: dict[str, float]) -> float:
    """Say how good a checkpoint is in one number: hearts and scars count the same.

    What nothing can be said of, without a heart or a scar to find, counts nothing.
    """
    parts = [figures["lv_iou_mean"], figures["scar_ap_iou_over_0.3"]]
    return sum(part for part in parts if not math.isnan(part))


def measure_weights(
    weights: Path, slices: Sequence[LabelledSlice], name: str = "validation"
) -> dict[str, dict[str, float]]:
    """Measure a weights file, hearts off the centre; and once more as another scanner sees them."""
    detector = open_detector(weights, UNNAMED)
    shifted = shift_slices(slices)
    summary = {}
    for key, some in (
        (name, shifted),
        (f"{name}_at_1.1_by_1.7_mm", resample_slices(shifted, (1.1, 1.7))),
    ):
        if some:
            found = detect_all(detector.candidates, some)
            figures = summarise(found, detector.settings.scar_score, detector.settings.lv_score)
            summary[key] = {k: round(v, 4) for k, v in figures.items() if not math.isnan(v)}
    return summary


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


class DetectorTraining:
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
        self.history = ValidationHistory()
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
    def is_untrained(self) -> bool:
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

    def load_initial_weights(self, weights: Path) -> None:
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
        self.history = ValidationHistory.restored(self.state.tries)

    def train_step(self) -> float | None:
        """Draw a batch and learn from it; give its loss, None when that is no number."""
        assert self._sampler is not None, "run() gives the data"
        return self.train_on(self._sampler.draw())

    def train_on(self, batch: dict[str, Tensor]) -> float | None:
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
            self._restore_batchnorm()
            return None
        self.optimiser.step()
        self._update_ema()
        return float(loss.detach())

    @torch.no_grad()
    def _restore_batchnorm(self) -> None:
        """Put back what a pass that gave no number has left in the batch norms' statistics."""
        average = self.average.state_dict()
        for name, value in self.network.state_dict().items():
            if value.dtype.is_floating_point and not torch.isfinite(value).all():
                value.copy_(average[name])

    @torch.no_grad()
    def _update_ema(self) -> None:
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
        write_weights(self.folder / "best.safetensors", self.average.state_dict(), self.settings)

    def save(self) -> None:
        """Write the checkpoint and the last weights.

        Raises:
            OutputError: E_WRITE; the checkpoint before it stands.
        """
        self.state.tries = self.history.state()
        write_checkpoint(self.checkpoint, self.modules, self.optimiser, self.state)
        write_weights(self.folder / "last.safetensors", self.average.state_dict(), self.settings)

    def run(
        self,
        slices: Sequence[LabelledSlice],
        tuning: Sequence[LabelledSlice] = (),
        limits: Limits | None = None,
        board: ProgressDisplay | None = None,
        stop: StopRequest | None = None,
    ) -> Ending:
        """Train until the budget is spent, see :func:`scarseg.training.loop.run_training`.

        Args:
            slices: to learn from; tuning: to choose the checkpoint and the thresholds on.
        """
        self._sampler = Sampler(slices, self.recipe.batch, self.recipe.seed + 1 + self.step)
        self.tuning = tuning
        return run_training(self, limits, board, stop)


def split_slices(cases: Iterable[TrainingCase], split: Split) -> dict[str, list[LabelledSlice]]:
    """Give the slices of each part of a split."""
    kept = list(cases)
    return {
        part: labelled_slices(split.cases(kept, part))
        for part in ("training", "validation", "held_out")
    }
