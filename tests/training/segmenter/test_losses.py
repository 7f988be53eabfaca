"""Losses against values worked out by hand, and the faults of published code."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from scarseg.training.segmenter.losses import (
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


# One image of four pixels, logits 0 (probability 0.5 everywhere), one pixel of four in the mask.
FLAT = torch.zeros(1, 1, 2, 2)
ONE_OF_FOUR = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
NOTHING = LossWeights(0.0, 0.0, 0.0, 0.0, 0.0, (1.0,))


def one_loss(weights: LossWeights, target: torch.Tensor = ONE_OF_FOUR) -> float:
    known = torch.ones(1, 1, dtype=torch.bool)
    iou = torch.full((1, 1), 0.25)
    return float(segmentation_loss(FLAT, iou, target, known, torch.ones(1), weights))


@pytest.mark.parametrize(
    ("term", "value"),
    [
        # -ln 0.5 on every pixel, times PER_PIXEL
        ("cross_entropy", 4 * math.log(2)),
        # both: 0.5 * 1; sums: 4 * 0.5 and 1; 1 - (2 * 0.5 + 1) / (2 + 1 + 1)
        ("batch_dice", 0.5),
        ("image_dice", 0.5),
        # nothing is above 0: IoU (0 + 1) / (0 + 1 - 0 + 1) = 0.5; (0.25 - 0.5) squared
        ("predicted_iou", 0.0625),
    ],
)
def test_each_term_by_hand(term: str, value: float) -> None:
    assert one_loss(replace(NOTHING, **{term: 1.0})) == pytest.approx(value, rel=1e-5)
    assert one_loss(replace(NOTHING, **{term: 3.0})) == pytest.approx(3 * value, rel=1e-5)
    assert one_loss(NOTHING) == 0.0


def test_the_soft_term_by_hand() -> None:
    # A mask that fills the picture stays 1 when blurred; KL(1 || 0.5) = ln 2, times PER_PIXEL.
    weights = replace(NOTHING, soft_label=1.0)
    assert one_loss(weights, torch.ones_like(FLAT)) == pytest.approx(4 * math.log(2), rel=1e-5)


def test_terms_add_up_and_structures_weigh() -> None:
    all_terms = LossWeights(1.0, 1.0, 1.0, 0.0, 1.0, (2.0,))
    by_hand = 2 * (4 * math.log(2) + 0.5 + 0.5) + 0.0625
    assert one_loss(all_terms) == pytest.approx(by_hand, rel=1e-5)


def test_a_blurred_pixel_by_hand() -> None:
    # Pixels of 2 mm, sigma 2 mm: the kernel is exp(-k^2 / 2) over the sum of k = -4 .. 4,
    # 1 + 2 (0.60653 + 0.13534 + 0.01111 + 0.00034) = 2.50662, along rows and along columns.
    target = torch.zeros(1, 1, 21, 21)
    target[0, 0, 10, 10] = 1
    soft = soft_labels(target, torch.tensor([2.0]), 2.0)
    assert soft[0, 0, 10, 10].item() == pytest.approx(1 / 2.50662**2, rel=1e-4)
    assert soft[0, 0, 10, 11].item() == pytest.approx(0.60653 / 2.50662**2, rel=1e-4)
    assert soft.sum().item() == pytest.approx(1.0, rel=1e-5)


def test_every_image_is_blurred_by_its_own_pixel_size() -> None:
    target = torch.zeros(2, 1, 21, 21)
    target[:, 0, 10, 10] = 1
    together = soft_labels(target, torch.tensor([1.0, 2.0]))
    alone = soft_labels(target[1:], torch.tensor([2.0]))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-3)
    assert together[0].max() < together[1].max() / 2


def test_images_that_know_a_structure_share_its_loss() -> None:
    # Of two images one knows the structure: the mean is over that one.
    target = torch.cat([ONE_OF_FOUR, 1 - ONE_OF_FOUR])
    known = torch.tensor([[True], [False]])
    weights = replace(NOTHING, cross_entropy=1.0, batch_dice=1.0, image_dice=1.0)
    logits = torch.cat([FLAT, FLAT + 7])
    got = segmentation_loss(logits, torch.zeros(2, 1), target, known, torch.ones(2), weights)
    assert float(got) == pytest.approx(4 * math.log(2) + 0.5 + 0.5, rel=1e-5)


def test_an_empty_mask_is_learned_from() -> None:
    # A scar-free slice: the answer "nothing" costs nothing, the answer "scar" much.
    target = batch_of(torch.zeros(40, 40))
    assert loss_of(torch.full_like(target, -20.0), target) < 1e-3
    assert loss_of(torch.full_like(target, 3.0), target) > 5.0
    logits = torch.zeros_like(target, requires_grad=True)
    known = torch.ones(1, 3, dtype=torch.bool)
    segmentation_loss(logits, torch.zeros(1, 3), target, known, torch.ones(1)).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all(), "every pixel is pushed down"


def test_nothing_known_is_no_loss_and_no_number_is_lost() -> None:
    known = torch.zeros(1, 1, dtype=torch.bool)
    weights = replace(LossWeights(), structures=(1.0,))
    got = segmentation_loss(FLAT, torch.zeros(1, 1), ONE_OF_FOUR, known, torch.ones(1), weights)
    assert float(got) == 0.0


def test_the_loss_stays_on_the_device_of_its_input() -> None:
    # A default device that computes nothing: a tensor made without a device would go astray.
    logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
    target, known = torch.ones(2, 3, 8, 8), torch.ones(2, 3, dtype=torch.bool)
    iou, spacing = torch.zeros(2, 3), torch.ones(2)
    with torch.device("meta"):
        loss = segmentation_loss(logits, iou, target, known, spacing)
        loss.backward()
    assert loss.device.type == "cpu"
    assert math.isfinite(float(loss.detach()))
