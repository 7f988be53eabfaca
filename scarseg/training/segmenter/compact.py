"""Train the compact segmenter."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from scarseg.errors import InputError, WeightsError
from scarseg.models.compact_sam import (
    CompactSam,
    PromptBatch,
    fold_batchnorms,
    network_from_weights,
    split_members,
)
from scarseg.models.segmenter import TAKES_WALLS, CompactSegmenter
from scarseg.training.cases import TrainingCase
from scarseg.training.loop import Ending, Limits, StopRequest, run_training
from scarseg.training.progress_display import ProgressDisplay
from scarseg.training.segmenter.data import SampleStream, add_corrections
from scarseg.training.segmenter.losses import LossWeights, segmentation_loss
from scarseg.training.segmenter.recipe import Recipe
from scarseg.training.segmenter.trainer import UNFINISHED, SegmenterTraining
from scarseg.training.segmenter.validate import ValidationSlice

SHARES = (0.46, 0.22, 0.2, 0.12)
"""How often a slice is drawn: LGE with scar, LGE without, cine, simulated."""


def prompt_batch(batch: dict[str, Tensor], scar: Tensor | None = None) -> PromptBatch:
    """Return the prompts of a batch.

    Args:
        scar: the answer before (image, 1, row, column), zeros by default. Its pool and wall are
            not fed: these maps hold what was set from outside.
    """
    nothing = torch.zeros_like(batch["given"][:, :1])
    previous = torch.cat([batch["given"], nothing if scar is None else scar], dim=1)
    return PromptBatch(
        batch["lv_box"],
        batch["boxes"],
        batch["boxes_used"],
        batch["points"],
        batch["point_labels"],
        previous,
    )


def batch_loss(
    network: CompactSam,
    batch: dict[str, Tensor],
    rounds: int,
    rng: np.random.Generator,
    weights: LossWeights | None = None,
    previous_share: float = 1.0,
) -> Tensor:
    """Return the loss of one batch, predicted once and then after ``rounds`` of corrective clicks.

    Every round clicks at the largest error of the prediction before it; the earlier prompts stay.
    Gradients flow through the first and the last decode. The rounds between only lead to where
    a reader would be by then, and nothing is learned through clicks or previous masks: a
    reader has no gradient.

    Args:
        network: on any device.
        batch: of :func:`scarseg.training.segmenter.data.collate`, on the CPU.
        rounds: 0 for no clicks.
        rng: draws the clicks.
        weights: of the loss terms.
        previous_share: share of the rounds that see the scar predicted before them.
    """
    device = next(network.parameters()).device
    here = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    image = here["image"].contiguous(memory_format=torch.channels_last)
    features = network.embed(image)

    def decode(prompts: dict[str, Tensor], before: Tensor | None) -> tuple[Tensor, Tensor]:
        answer: tuple[Tensor, Tensor] = network.predict(features, prompt_batch(prompts, before))
        return answer

    def cost(logits: Tensor, iou: Tensor) -> Tensor:
        return segmentation_loss(
            logits, iou, here["masks"], here["known"], here["spacing_mm"], weights
        )

    logits, iou = decode(here, None)
    loss = cost(logits, iou)
    clicked = batch
    for k in range(rounds):
        clicked = add_corrections(clicked, logits.detach().cpu(), rng)
        seen = previous_share >= 1 or rng.random() < previous_share
        before = torch.sigmoid(logits.detach()[:, 2:]) if seen else None
        moved = {name: clicked[name].to(device) for name in ("points", "point_labels")}
        with torch.set_grad_enabled(k == rounds - 1):
            logits, iou = decode({**here, **moved}, before)
    return 0.5 * (loss + cost(logits, iou)) if rounds else loss


class CompactTraining(SegmenterTraining):
    """A run of the compact segmenter that can be stopped and resumed from its checkpoint."""

    network: CompactSam
    metadata = {TAKES_WALLS: "yes"}  # noqa: RUF012 - typed in the base class

    def __init__(self, recipe: Recipe, folder: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        network = CompactSam().to(memory_format=torch.channels_last).to(device)
        encoder = list(network.image_encoder.parameters())
        inside = {id(p) for p in encoder}
        others = [p for p in network.parameters() if id(p) not in inside]
        groups = [(encoder, recipe.encoder_rate), (others, recipe.decoder_rate)]
        super().__init__(recipe, folder, network, groups)
        self._batches: Iterator[dict[str, Tensor]] | None = None
        self._rng = np.random.default_rng(recipe.seed)

    def load_initial_weights(self, weights: Path) -> None:
        """Start from trained weights instead of random ones; of several networks the first.

        Raises:
            WeightsError: E_WEIGHTS_DAMAGED, E_WEIGHTS_UNKNOWN.
        """
        try:
            state = split_members(load_file(weights))[0]
        except (SafetensorError, OSError) as error:
            message = f"The weights file {weights} is damaged: {error}"
            raise WeightsError("E_WEIGHTS_DAMAGED", message, str(weights)) from error
        try:
            self.network.load_state_dict(network_from_weights(state).state_dict())
        except (RuntimeError, KeyError, ValueError) as error:
            message = f"The weights file {weights} is not a scarseg segmenter."
            raise WeightsError("E_WEIGHTS_UNKNOWN", message, str(weights)) from error
        self.average = self.copied_state()

    def loss(self) -> Tensor:
        assert self._batches is not None, "run() gives the data"
        recipe, rounds = self.recipe, 0
        if self._rng.random() < recipe.correction_share:
            rounds = 1 if recipe.rounds < 2 else int(self._rng.integers(1, recipe.rounds + 1))
        batch = next(self._batches)
        return batch_loss(
            self.network, batch, rounds, self._rng, recipe.loss, recipe.previous_share
        )

    def segmenter(self) -> CompactSegmenter:
        return CompactSegmenter(
            fold_batchnorms(network_from_weights(self.average)),
            UNFINISHED,
            str(self.device),
            takes_walls=True,
        )

    def run(
        self,
        cases: Sequence[TrainingCase],
        workers: int,
        shares: Sequence[float] = SHARES,
        validation_slices: Sequence[ValidationSlice] = (),
        limits: Limits | None = None,
        display: ProgressDisplay | None = None,
        stop: StopRequest | None = None,
    ) -> Ending:
        """Train until the budget is spent, see :func:`scarseg.training.loop.run_training`.

        Args:
            cases: to learn from.
            workers: processes that prepare batches; 0: this one.
            shares: of slices with scar, without, cine and simulated ones.
            validation_slices: slices of validation patients; empty: the last weights are the best.
        """
        four = (shares[0], shares[1], shares[2], shares[3])
        wanted = {"lge": four[0] + four[1], "cine": four[2], "simulated": four[3]}
        if not sum(wanted[case.kind] for case in cases):
            raise InputError("E_INPUT_EMPTY", "There is no case to learn from.")
        stream = SampleStream(cases, self.recipe.batch, self.recipe.seed * 1000 + self.step, four)
        ahead = 6 if workers else None
        self._batches = iter(
            DataLoader(
                stream,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=ahead,
                worker_init_fn=ignore_interrupt,
            )
        )
        self._rng = np.random.default_rng(self.recipe.seed)
        self.validation_slices = validation_slices
        self.network.train()
        try:
            return run_training(self, limits, display, stop)
        finally:
            self._batches = None  # ends its workers


def ignore_interrupt(_worker: int) -> None:
    """Ignore Ctrl-C in a data worker: the run stops it when the checkpoint is written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
