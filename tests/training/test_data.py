"""Training slices: what is drawn, what is labelled, what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scarseg.training.cases import TrainingCase
from scarseg.training.data import SampleStream, add_corrections, make_sample
from scarseg.training.painting import paint_scar
from scarseg.training.segmenter import Recipe, Training, rate_at
from tests.conftest import COLUMN_SPACING, ROW_SPACING, make_phantom_stack, phantom_labels


def phantom_case(kind: str = "lge") -> TrainingCase:
    stack = make_phantom_stack()
    labels = phantom_labels()
    if kind == "cine":
        labels = np.where(labels == 3, 2, labels).astype(np.uint8)
        labels[:, :6, :6] = 5
    spacing = (ROW_SPACING, COLUMN_SPACING)
    return TrainingCase("X", kind, np.array(stack.pixels), labels, spacing, 10.0)


def test_samples_keep_scar_in_the_wall_and_pool_apart() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        sample = make_sample(phantom_case(), 2, rng)
        pool, wall, scar = sample.masks
        assert scar.any()
        assert not (scar & ~wall).any()
        assert not (pool & wall).any()
        assert np.isfinite(sample.image).all()


def test_area_survives_augmentation() -> None:
    # Scale is drawn between exp(-0.22) and exp(0.22) a side.
    rng = np.random.default_rng(0)
    truth = (phantom_labels()[2] >= 2).sum() * ROW_SPACING * COLUMN_SPACING
    areas = [make_sample(phantom_case(), 2, rng).masks[1].sum() * 1.43**2 for _ in range(60)]
    assert 0.8 < np.median(areas) / truth < 1.25
    assert min(areas) > truth * 0.5
    assert max(areas) < truth * 1.9


def test_cine_says_nothing_of_scar_unless_painted() -> None:
    rng = np.random.default_rng(0)
    samples = [make_sample(phantom_case("cine"), 2, rng) for _ in range(40)]
    for sample in samples:
        assert sample.scar_known or not sample.masks[2].any()
    assert {s.scar_known for s in samples} == {True, False}


def test_painted_scar_is_brighter_and_grows_from_the_endocardium() -> None:
    labels = phantom_labels()[0]
    pool, wall = labels == 1, labels == 2
    image = np.where(wall, 0.1, np.where(pool, 0.6, 0.0)).astype(np.float32)
    painted, scar = paint_scar(image, pool, wall, np.random.default_rng(3))
    assert scar.any()
    assert not (scar & ~wall).any()
    assert painted[scar].mean() > image[wall].mean() + 0.1


def test_batches_repeat_by_seed_and_hold_scar_free_slices() -> None:
    cases = [phantom_case()]
    one, two = (next(iter(SampleStream(cases, 24, seed=5))) for _ in range(2))
    assert torch.equal(one["image"], two["image"])
    empty = one["masks"][:, 2].sum((1, 2)) == 0
    assert empty.any()
    assert not empty.all()


def test_corrections_keep_earlier_prompts() -> None:
    batch = next(iter(SampleStream([phantom_case()], 8, seed=1)))
    corrected = add_corrections(batch, torch.full((8, 3, 80, 80), -5.0), np.random.default_rng(0))
    before, after = batch["point_labels"], corrected["point_labels"]
    assert torch.equal(after[before >= 0], before[before >= 0])
    has_scar = batch["masks"][:, 2].sum((1, 2)) >= 2
    room = (before < 0).any(dim=1)
    assert ((after >= 0).sum(1) > (before >= 0).sum(1))[has_scar & room].all()


def test_rate_warms_up_and_ends_at_zero() -> None:
    assert rate_at(0.0, 0.1) == 0
    assert rate_at(0.1, 0.1) == pytest.approx(1)
    assert rate_at(1.0, 0.1) == pytest.approx(0)


def test_training_runs_saves_and_resumes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = Recipe(minutes=0.02, batch=2)
    training = Training(recipe, tmp_path)
    before = training.network.mask_decoder.iou_token.weight.clone()
    training.run([phantom_case()], workers=0, shares=(0.6, 0.4, 0, 0))
    assert training.step >= 1
    assert not torch.equal(before, training.network.mask_decoder.iou_token.weight)
    again = Training(recipe, tmp_path)
    again.resume()
    assert again.step == training.step
    assert (tmp_path / "average.safetensors").exists()
