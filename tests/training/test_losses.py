"""Losses against values worked out by hand, and the faults of published code."""

from __future__ import annotations

import math

import pytest
import torch

from scarseg.training.losses import (
    LossWeights,
    dice_loss,
    segmentation_loss,
    soft_divergence,
    soft_labels,
)


def disc(radius: float = 6, size: int = 40, at: float = 20) -> torch.Tensor:
    grid = torch.arange(size, dtype=torch.float32) + 0.5 - at
    return ((grid[:, None] ** 2 + grid[None] ** 2) < radius**2).float()


def batch_of(*masks: torch.Tensor) -> torch.Tensor:
    return torch.stack([mask.expand(3, -1, -1) for mask in masks])


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> float:
    n = len(target)
    weights = LossWeights(soft_label=0.0, predicted_iou=0.0)
    known = torch.ones(n, 3, dtype=torch.bool)
    return float(
        segmentation_loss(logits, torch.zeros(n, 3), target, known, torch.ones(n), weights)
    )


def test_dice_loss_by_hand() -> None:
    probability = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    target = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    # 2 * 1 + 1 over 2 + 2 + 1
    assert dice_loss(probability, target, (1,)).item() == pytest.approx(1 - 3 / 5)


def test_a_perfect_answer_costs_nothing_and_an_empty_one_much() -> None:
    # A sigmoid too many makes both about 0.85.
    target = batch_of(disc())
    perfect = (target * 2 - 1) * 30
    empty = torch.full_like(target, -30.0)
    assert loss_of(perfect, target) < 1e-3
    assert loss_of(empty, target) > 1.0


def test_divergence_is_zero_when_prediction_is_the_soft_label() -> None:
    soft = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    logits = torch.logit(soft.clamp(1e-7, 1 - 1e-7))
    assert soft_divergence(logits, soft).abs().max().item() < 1e-5


def test_divergence_by_hand() -> None:
    got = soft_divergence(torch.zeros(1), torch.tensor([0.8])).item()
    assert got == pytest.approx(0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5), rel=1e-5)


def test_soft_labels_stay_in_their_image() -> None:
    target = batch_of(disc(), torch.zeros(40, 40))
    soft = soft_labels(target, torch.ones(2))
    assert soft[1].max().item() == 0.0
    assert soft[0].max().item() > 0.9


def test_soft_band_has_the_same_width_in_mm_at_any_resolution() -> None:
    def band_mm(spacing: float) -> float:
        size = int(80 / spacing)
        target = torch.zeros(1, 1, 8, size)
        target[..., : size // 2] = 1
        row = soft_labels(target, torch.tensor([spacing]))[0, 0, 4]
        return float(((row > 0.1) & (row < 0.9)).sum()) * spacing

    # 2.56 standard deviations of 2 mm lie between 10 and 90 percent.
    assert band_mm(0.25) == pytest.approx(2.56 * 2, abs=0.5)
    assert band_mm(0.5) == pytest.approx(2.56 * 2, abs=1.0)


def test_soft_labels_never_leave_zero_to_one() -> None:
    soft = soft_labels(torch.ones(4, 3, 40, 40), torch.full((4,), 1.43))
    assert soft.max().item() <= 1.0
    assert torch.isfinite(soft_divergence(torch.zeros_like(soft), soft)).all()


def test_unknown_structures_count_nothing() -> None:
    target = batch_of(disc())
    logits = torch.zeros_like(target, requires_grad=True)
    known = torch.tensor([[True, True, False]])
    loss = segmentation_loss(logits, torch.zeros(1, 3), target, known, torch.ones(1))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 2].abs().max().item() == 0.0
    assert logits.grad[0, 1].abs().max().item() > 0.0


def test_empty_masks_leave_the_loss_finite() -> None:
    target = batch_of(torch.zeros(40, 40), disc())
    assert math.isfinite(loss_of(torch.randn(2, 3, 40, 40), target))
