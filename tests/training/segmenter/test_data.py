"""Training slices: what is drawn, what is labelled, what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scarseg.case.prompts import Box
from scarseg.errors import InputError
from scarseg.models.segmenter import crop_with_neighbours
from scarseg.models.segmenter_crop import CropGeometry
from scarseg.training.augmentation import paint_scar
from scarseg.training.cases import TrainingCase
from scarseg.training.segmenter.compact import CompactTraining
from scarseg.training.segmenter.data import (
    SampleStream,
    _slice_pixels,
    add_corrections,
    collate,
    make_sample,
    with_prompts,
)
from scarseg.training.segmenter.recipe import Recipe, rate_at
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


def test_the_heart_keeps_its_area_under_augmentation() -> None:
    # A crop is scaled by 0.75 to 1.3 a side and bent a little; the warp leaves the epicardium.
    rng = np.random.default_rng(0)
    truth = (phantom_labels()[2] >= 1).sum() * ROW_SPACING * COLUMN_SPACING
    samples = [make_sample(phantom_case(), 2, rng) for _ in range(60)]
    areas = [(one.masks[0] | one.masks[1]).sum() * 1.43**2 for one in samples]
    assert 0.8 < np.median(areas) / truth < 1.25
    assert min(areas) > truth / 1.3**2 * 0.7
    assert max(areas) < truth / 0.75**2 * 1.3


def test_walls_are_thickened_and_thinned() -> None:
    rng = np.random.default_rng(0)
    samples = [make_sample(phantom_case(), 2, rng) for _ in range(60)]
    shares = [one.masks[1].sum() / (one.masks[0] | one.masks[1]).sum() for one in samples]
    plain = make_sample(phantom_case(), 2, None)
    share = plain.masks[1].sum() / (plain.masks[0] | plain.masks[1]).sum()
    assert min(shares) < share * 0.85
    assert max(shares) > share * 1.15


def test_cine_says_nothing_of_scar_unless_painted() -> None:
    rng = np.random.default_rng(0)
    samples = [make_sample(phantom_case("cine"), 2, rng) for _ in range(40)]
    for sample in samples:
        assert sample.known[2] or not sample.masks[2].any()
    assert {bool(s.known[2]) for s in samples} == {True, False}


def test_painted_scar_is_brighter_and_grows_from_the_endocardium() -> None:
    labels = phantom_labels()[0]
    pool, wall = labels == 1, labels == 2
    image = np.where(wall, 0.1, np.where(pool, 0.6, 0.0)).astype(np.float32)
    drawn = [paint_scar(image, pool, wall, np.random.default_rng(seed)) for seed in range(12)]
    painted = [(one, scar) for one, scar in drawn if scar.any()]
    assert len(painted) > 6, "a thin one may be thinner than a pixel"
    for one, scar in painted:
        assert not (scar & ~wall).any()
        assert one[scar].mean() > image[wall].mean() + 0.1


def test_the_wall_is_given_on_a_third_of_the_samples() -> None:
    rng = np.random.default_rng(0)
    samples = [make_sample(phantom_case(), 2, rng) for _ in range(90)]
    given = [one for one in samples if one.given.any()]
    assert 0.2 < len(given) / len(samples) < 0.5
    assert not make_sample(phantom_case(), 2, None).given.any()
    batch = collate([with_prompts(one, rng) for one in given[:2]])
    assert batch["given"].shape == (2, 2, *given[0].image.shape[1:])


def test_a_thicker_slice_holds_a_part_of_its_neighbour() -> None:
    case = phantom_case()
    levels_by_slice = np.arange(len(case.pixels), dtype=np.float32)[:, None, None]
    case = replace(case, pixels=np.broadcast_to(levels_by_slice, case.pixels.shape))
    rng = np.random.default_rng(0)
    levels = [float(_slice_pixels(case, 1, rng).mean()) for _ in range(200)]
    mixed = [level for level in levels if level != 1]
    assert 0.1 < len(mixed) / len(levels) < 0.4
    assert 0.7 <= min(mixed) < 1 < max(mixed) <= 1.3
    assert np.array_equal(_slice_pixels(case, 1, None), case.pixels[1])


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


def textured_case(spacing: tuple[float, float], signed: bool = False) -> TrainingCase:
    """Return the phantom with noise, so that every percentile matters."""
    case = phantom_case()
    noise = np.random.default_rng(0).normal(0, 30, case.pixels.shape)
    pixels = (case.pixels + noise - (200 if signed else 0)).astype(np.float32)
    return replace(case, pixels=pixels, pixel_spacing_mm=spacing)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("spacing", [(ROW_SPACING, COLUMN_SPACING), (0.7, 0.8), (2.4, 2.0)])
@pytest.mark.parametrize("index", [0, 2])
def test_the_network_is_trained_on_what_it_sees_in_use(
    spacing: tuple[float, float], index: int, signed: bool
) -> None:
    case = textured_case(spacing, signed)
    sample = make_sample(case, index, None)
    trained = collate([with_prompts(sample, np.random.default_rng(0))])["image"]
    stack = replace(make_phantom_stack(), pixels=case.pixels, pixel_spacing_mm=spacing)
    rows, columns = np.nonzero(case.labels[index])
    box = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    geometry = CropGeometry.around(box, case.labels.shape[1:], spacing)
    used = crop_with_neighbours(stack.image(index), geometry)
    assert torch.allclose(trained, used, atol=2e-4)
    assert sample.spacing_mm == pytest.approx(geometry.step[0] * spacing[1])


def test_augmentation_keeps_the_range_of_the_network() -> None:
    # The input is cut at -2 and 3: neither end may be emptied by augmentation alone.
    case = textured_case((ROW_SPACING, COLUMN_SPACING))
    rng = np.random.default_rng(0)
    images = [collate([with_prompts(make_sample(case, 2, rng), rng)])["image"] for _ in range(30)]
    assert min(float(image[:, 0].min()) for image in images) < -1.2
    assert max(float(image[:, 0].max()) for image in images) > 1.2
    assert all(float(image.min()) >= -2 and float(image.max()) <= 3 for image in images)


def test_pixels_that_are_not_square_do_not_squash_the_heart() -> None:
    rows, columns = np.nonzero(make_sample(phantom_case(), 2, None).heart)
    assert abs(int(np.ptp(rows)) - int(np.ptp(columns))) <= 1
    assert (np.ptp(rows) + 1) * 1.43 == pytest.approx(30, abs=2)


def test_only_slices_that_were_read_are_drawn_and_every_one_of_them() -> None:
    case = replace(phantom_case(), scar_read=(True, True, False, False, True))
    cases = [case, phantom_case("cine"), phantom_case("simulated"), phantom_case()]
    scar, none, cine, simulated = SampleStream(cases, 4, seed=0).groups
    assert [k for c, k in scar if c is case] == [1]
    assert [k for c, k in none if c is case] == [0, 4]
    assert len(scar) + len(none) == 3 + 5
    assert len(cine) == len(simulated) == 5


def test_shares_count_for_the_groups_that_exist() -> None:
    only = [replace(phantom_case(), scar_read=(False, True, True, True, False))]
    assert SampleStream(only, 4, seed=0).shares.tolist() == [1, 0, 0, 0]
    both = [phantom_case(), phantom_case("simulated")]
    shares = SampleStream(both, 4, seed=0, shares=(0.4, 0.2, 0.2, 0.2)).shares
    assert shares == pytest.approx([0.5, 0.25, 0, 0.25])
    unwanted = SampleStream([phantom_case("cine")], 4, seed=0, shares=(1, 0, 0, 0))
    assert unwanted.shares.tolist() == [0, 0, 1, 0]


def test_nothing_read_is_said_and_not_trained_on() -> None:
    with pytest.raises(InputError, match="no read slice"):
        SampleStream([replace(phantom_case(), scar_read=(False,) * 5)], 4, seed=0)


def test_slices_not_read_still_stand_beside_those_that_were() -> None:
    case = replace(phantom_case(), scar_read=(False, True, False, False, False))
    assert make_sample(case, 1, None).present.tolist() == [True, True, True]
    assert make_sample(case, 0, None).present.tolist() == [True, False, True]


def scar_only() -> TrainingCase:
    """Return the phantom with nothing but scar on slice 2, as without a wall to draw it in."""
    labels = phantom_labels()
    labels[2][labels[2] != 3] = 0
    some = (True, True, False, True, True)
    return replace(phantom_case(), labels=labels, wall_known=some, pool_known=some)


def test_scar_without_a_wall_is_kept_and_the_wall_is_not_learned() -> None:
    case, rng = scar_only(), np.random.default_rng(0)
    for _ in range(10):
        sample = make_sample(case, 2, rng)
        assert sample.known.tolist() == [False, False, True]
        assert sample.masks[2].sum() > 20
    assert make_sample(case, 1, rng).known.all()
    batch = next(iter(SampleStream([replace(case, scar_read=some_slice(2))], 6, seed=0)))
    assert not batch["known"][:, :2].any()
    assert batch["known"][:, 2].all()


def some_slice(index: int) -> tuple[bool, ...]:
    return tuple(k == index for k in range(5))


def test_where_the_heart_is_unknown_a_neighbour_says_where_it_lies() -> None:
    alone, whole = make_sample(scar_only(), 2, None), make_sample(phantom_case(), 2, None)
    assert np.array_equal(alone.heart, whole.heart)
    assert alone.spacing_mm == whole.spacing_mm
    assert np.array_equal(alone.masks[2], whole.masks[2])


def test_a_slice_beyond_the_heart_has_no_heart() -> None:
    labels = phantom_labels()
    labels[0] = 0
    sample = make_sample(replace(phantom_case(), labels=labels), 0, None)
    assert sample.known.all()
    assert not sample.heart.any()
    assert not sample.masks.any()


def test_corrections_come_round_after_round_until_there_is_no_room() -> None:
    batch = next(iter(SampleStream([phantom_case()], 12, seed=1)))
    rng, empty = np.random.default_rng(0), torch.full((12, 3, 80, 80), -5.0)
    wrong = (batch["masks"][:, 2].sum((1, 2)) >= 2) & batch["known"][:, 2]
    assert wrong.any()
    counts = [(batch["point_labels"] >= 0).sum(1)]
    for _ in range(7):
        batch = add_corrections(batch, empty, rng)
        counts.append((batch["point_labels"] >= 0).sum(1))
    first, second = counts[1][wrong] - counts[0][wrong], counts[2][wrong] - counts[1][wrong]
    assert (first == 1).all()
    assert (second == 1).all()
    assert (counts[-1][wrong] == 6).all()


def test_a_click_corrects_what_the_mask_before_got_wrong() -> None:
    batch = next(iter(SampleStream([phantom_case()], 12, seed=2)))
    answer = torch.where(batch["masks"] > 0.5, 5.0, -5.0)
    answer[:, 2, :12, :12] = 5.0
    free = (batch["point_labels"] >= 0).sum(1)
    corrected = add_corrections(batch, answer, np.random.default_rng(0))
    for i, k in enumerate(free):
        assert corrected["point_labels"][i, k] == 0
        assert (corrected["points"][i, k] < 12).all()


def test_rate_warms_up_and_ends_at_zero() -> None:
    assert rate_at(0.0, 0.1) == 0
    assert rate_at(0.1, 0.1) == pytest.approx(1)
    assert rate_at(1.0, 0.1) == pytest.approx(0)


def test_training_runs_saves_and_resumes(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = Recipe(minutes=0.02, batch=2)
    training = CompactTraining(recipe, tmp_path)
    before = training.network.mask_decoder.iou_token.weight.clone()
    training.run([phantom_case()], workers=0, shares=(0.6, 0.4, 0, 0))
    assert training.step >= 1
    assert not torch.equal(before, training.network.mask_decoder.iou_token.weight)
    again = CompactTraining(recipe, tmp_path)
    again.resume()
    assert again.step == training.step
    assert (tmp_path / "average.safetensors").exists()
