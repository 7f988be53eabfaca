"""Losses on logits, per structure and per image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

PER_PIXEL = 4.0
"""Factor on the terms that are means over pixels: most pixels are easy, Dice counts only shape."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; ``structures`` for blood pool, wall, scar.

    Args:
        cross_entropy: binary cross-entropy with the mask, mean over pixels, times PER_PIXEL.
        batch_dice: 1 - Dice of all images of the batch as one, structure by structure.
        image_dice: 1 - Dice of every image that shows the structure.
        soft_label: KL divergence to the mask blurred by ``sigma_mm``, mean over pixels, times
            PER_PIXEL.
        predicted_iou: squared error of the network's own guess at its IoU.
    """

    cross_entropy: float = 1.0
    batch_dice: float = 0.5
    image_dice: float = 0.5
    soft_label: float = 0.5
    predicted_iou: float = 0.1
    structures: tuple[float, ...] = (0.7, 1.0, 1.3)
    sigma_mm: float = 2.0


def dice_loss(probability: Tensor, target: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return 1 - Dice summed over ``dims``; 1 is added above and below for empty masks."""
    overlap = (probability * target).sum(dims)
    total = probability.sum(dims) + target.sum(dims)
    return 1 - (2 * overlap + 1) / (total + 1)


def soft_labels(target: Tensor, spacing_mm: Tensor, sigma_mm: float = 2.0) -> Tensor:
    """Blur masks (image, structure, row, column) by a Gaussian of ``sigma_mm``, per image.

    ``spacing_mm`` (image,) is the size of a pixel: the soft band has the same width in mm
    whatever the resolution, and no image sees another.
    """
    radius = int(3 * sigma_mm / float(spacing_mm.min())) + 1
    offsets = torch.arange(-radius, radius + 1, dtype=target.dtype, device=target.device)
    kernels = torch.exp(-0.5 * (offsets * spacing_mm[:, None] / sigma_mm) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    images, structures, rows, columns = target.shape
    flat = target.reshape(1, images * structures, rows, columns)
    weight = kernels.repeat_interleave(structures, dim=0)[:, None, None, :]
    flat = F.conv2d(
        F.pad(flat, (radius, radius, 0, 0), mode="replicate"), weight, groups=images * structures
    )
    flat = F.conv2d(
        F.pad(flat, (0, 0, radius, radius), mode="replicate"),
        weight.transpose(2, 3),
        groups=images * structures,
    )
    # Rounding must not leave 0..1: the entropy below would be NaN.
    return flat.reshape(target.shape).clamp(0, 1)


def soft_divergence(logits: Tensor, soft: Tensor) -> Tensor:
    """Return KL(soft label || prediction) per voxel for Bernoulli labels; 0 when they agree."""
    cross = F.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    entropy = -(torch.special.xlogy(soft, soft) + torch.special.xlogy(1 - soft, 1 - soft))
    return cross - entropy


def segmentation_loss(
    logits: Tensor,
    predicted_iou: Tensor,
    target: Tensor,
    known: Tensor,
    spacing_mm: Tensor,
    weights: LossWeights | None = None,
) -> Tensor:
    """Return the training loss of one decode.

    Args:
        logits: (image, structure, row, column), no sigmoid applied.
        predicted_iou: (image, structure).
        target: same shape as logits, 0 or 1.
        known: bool (image, structure): False where one was not labelled; it then counts nothing.
        spacing_mm: (image,) pixel size for the soft labels.
    """
    w = weights or LossWeights()
    mask = known.to(logits.dtype)
    probability = torch.sigmoid(logits)
    crossed = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((2, 3))
    per_image = w.cross_entropy * crossed * PER_PIXEL
    if w.soft_label:
        soft = soft_labels(target, spacing_mm, w.sigma_mm)
        divergence = soft_divergence(logits, soft).mean((2, 3))
        per_image = per_image + w.soft_label * divergence * PER_PIXEL
    present = (target.sum((2, 3)) > 0).to(logits.dtype)
    per_image = per_image + w.image_dice * present * dice_loss(probability, target, (2, 3))
    kept = mask[:, :, None, None]
    batch = w.batch_dice * dice_loss(probability * kept, target * kept, (0, 2, 3))
    structures = torch.tensor(w.structures, dtype=logits.dtype, device=logits.device)
    loss = ((per_image * mask).sum(0) / mask.sum(0).clamp_min(1) + batch) @ structures
    guessed = ((predicted_iou - _overlap(logits, target)) ** 2 * mask).sum()
    return loss + w.predicted_iou * guessed / mask.sum().clamp_min(1)


@torch.no_grad()
def _overlap(logits: Tensor, target: Tensor) -> Tensor:
    """Return the IoU (image, structure) of the answers, 1 added above and below for empty ones."""
    inside = (logits > 0).to(logits.dtype)
    both = (inside * target).sum((2, 3))
    return (both + 1) / (inside.sum((2, 3)) + target.sum((2, 3)) - both + 1)
