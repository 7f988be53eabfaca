"""Batches of random looks, drawn group by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scarseg.models.detector_network import CLASSES
from scarseg.training.detector_augment import FAR_SHARE, Look, make_look
from scarseg.training.detector_data import LabelledSlice

SHARES = {"scar": 0.42, "free": 0.2, "cine": 0.2, "simulated": 0.18}
"""How often a slice is drawn from each group; an absent group's share goes to the others."""


class Sampler:
    """Draw batches of random looks, group by group."""

    def __init__(self, slices: Sequence[LabelledSlice], batch: int, seed: int) -> None:
        groups: dict[str, list[LabelledSlice]] = {name: [] for name in SHARES}
        for piece in slices:
            scar = "scar" if (piece.labels >= 3).any() else "free"
            groups[scar if piece.kind == "lge" else piece.kind].append(piece)
        self._groups = [g for g in groups.values() if g]
        shares = np.array([SHARES[name] for name, g in groups.items() if g])
        self._shares = shares / shares.sum()
        self._batch = batch
        self._rng = np.random.default_rng(seed)

    def draw(self) -> dict[str, Tensor]:
        """Give one batch as :class:`scarseg.training.detector_loss.DetectionLoss` takes it."""
        looks = []
        for _ in range(self._batch):
            group = self._groups[int(self._rng.choice(len(self._groups), p=self._shares))]
            piece = group[int(self._rng.integers(len(group)))]
            looks.append(make_look(piece, self._rng, bool(self._rng.random() < FAR_SHARE)))
        return collate(looks)


def collate(looks: Sequence[Look]) -> dict[str, Tensor]:
    """Stack looks; boxes become centre and size in shares of the image."""
    rows, columns = looks[0].image.shape
    corners = torch.from_numpy(np.concatenate([k.boxes for k in looks]))
    corners = corners / torch.tensor([columns, rows, columns, rows])
    known = torch.ones(len(looks), len(CLASSES), dtype=torch.bool)
    known[:, 0] = torch.tensor([k.scar_counts for k in looks])
    counts = torch.tensor([len(k.boxes) for k in looks])
    return {
        "img": torch.from_numpy(np.stack([k.image for k in looks]))[:, None],
        "masks": torch.from_numpy(np.stack([k.masks for k in looks])).float(),
        "batch_idx": torch.repeat_interleave(torch.arange(len(looks)), counts).float(),
        "cls": torch.from_numpy(np.concatenate([k.classes for k in looks]))[:, None].float(),
        "bboxes": torch.cat(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1
        ).float(),
        "known": known,
    }
