"""ultralytics' detection loss, with classes that are silent on images that cannot teach them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from scarseg.models import prepare_environment
from scarseg.models.detector_network import neck_layer


class DetectionLoss:
    """Box, class and distribution loss of YOLO, per image, weighted class by class.

    ``network`` is built by :func:`scarseg.models.detector_network.build_network`.
    """

    def __init__(self, network: nn.Module) -> None:
        prepare_environment()
        from ultralytics.utils.loss import v8DetectionLoss

        self._loss = v8DetectionLoss(network)
        self._known = torch.ones(1, 1, 1)
        self._loss.bce = self._masked_bce

    def _masked_bce(self, scores: Tensor, targets: Tensor) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        return loss * self._known

    def __call__(self, answers: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss per image.

        Args:
            answers: what the network gives in training mode.
            batch: ``batch_idx`` (n,) sorted, ``cls`` (n, 1), ``bboxes`` (n, 4) as centre and size
                in shares of the image, ``known`` (image, class) bool.
        """
        self._known = batch["known"].float()[:, None, :]
        total, _ = self._loss(answers, batch)
        return total.sum() / len(batch["known"])


class MaskHead(nn.Module):
    """Draw pool, wall and scar from the neck's finest map: trained along, never shipped.

    Knowing where every voxel of the wall is teaches the neck more than a box does.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.SiLU(),
            nn.Conv2d(64, 3 * 16, 1),
            nn.PixelShuffle(4),
        )
        self.seen: Tensor | None = None

    def listen(self, network: nn.Module) -> None:
        """Keep the neck's finest map of every forward pass."""

        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.seen = output

        neck_layer(network).register_forward_hook(keep)

    def loss(self, masks: Tensor, known: Tensor) -> Tensor:
        """Return BCE + Dice of the last pass against masks (image, 3, row, column).

        ``known`` (image, class): class 0 says whether scar may be learned.
        """
        assert self.seen is not None
        logits = self.layers(self.seen)
        counts = logits.new_ones(len(masks), 3, 1, 1)
        counts[:, 2, 0, 0] = known[:, 0].float()
        crossed = F.binary_cross_entropy_with_logits(logits, masks, reduction="none") * counts
        chance = logits.sigmoid() * counts
        both = (chance * masks).sum((0, 2, 3))
        dice = 1 - (2 * both + 1) / (chance.sum((0, 2, 3)) + (masks * counts).sum((0, 2, 3)) + 1)
        return crossed.mean() * 3 + dice.mean()
