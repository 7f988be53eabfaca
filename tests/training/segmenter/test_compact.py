"""Steps of the segmenter's training: rounds of clicks, devices, numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scarseg.errors import InputError, WeightsError
from scarseg.models import takes_walls
from scarseg.models.compact_sam import CompactSam, join_members
from scarseg.models.segmenter import load_segmenter
from scarseg.training import runs
from scarseg.training.cases import TrainingCase
from scarseg.training.loop import Ending
from scarseg.training.segmenter import compact
from scarseg.training.segmenter.compact import CompactTraining, batch_loss
from scarseg.training.segmenter.data import SampleStream
from scarseg.training.segmenter.recipe import Recipe
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels

RECIPE = Recipe(minutes=100.0, steps=2, batch=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case() -> TrainingCase:
    stack = make_phantom_stack()
    spacing = stack.pixel_spacing_mm
    return TrainingCase("X", "lge", stack.pixels, phantom_labels(), spacing, SLICE_SPACING)


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    return next(iter(SampleStream([case()], 2, 0, (1.0, 0.0, 0.0, 0.0))))


def test_rounds_click_on_and_learn_at_both_ends(
    batch: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = CompactSam()
    seen: list[tuple[bool, int, float]] = []
    predict = network.predict

    def watched(features: Any, prompts: Any) -> Any:
        clicks = int((prompts.point_labels >= 0).sum())
        assert not prompts.previous.requires_grad, "nothing is learned through the mask before"
        assert torch.equal(prompts.previous[:, :2], batch["given"]), "never its own pool and wall"
        seen.append((torch.is_grad_enabled(), clicks, float(prompts.previous[:, 2].sum())))
        return predict(features, prompts)

    monkeypatch.setattr(network, "predict", watched)
    loss = batch_loss(network, batch, 3, np.random.default_rng(0))
    assert [learns for learns, *_ in seen] == [True, False, False, True]
    clicks = [n for _, n, _ in seen]
    assert clicks == sorted(clicks)
    assert clicks[-1] > clicks[0]
    assert [before > 0 for *_, before in seen] == [False, True, True, True]
    loss.backward()
    assert all(p.grad is not None for p in network.image_encoder.parameters())
    seen.clear()
    batch_loss(network, batch, 2, np.random.default_rng(0), previous_share=0.0)
    assert [before for *_, before in seen] == [0.0, 0.0, 0.0], "prompts alone, as in use"


def test_a_step_works_where_the_network_is(batch: dict[str, torch.Tensor]) -> None:
    # A default device that computes nothing: a tensor made without a device would go astray.
    network = CompactSam()
    with torch.device("meta"):
        loss = batch_loss(network, batch, 0, np.random.default_rng(0))
        loss.backward()
    assert loss.device.type == "cpu"
    assert torch.isfinite(loss)


def test_training_learns(tmp_path: Path) -> None:
    training = CompactTraining(
        replace(RECIPE, steps=12, warm_up=0.1, correction_share=0.0), tmp_path
    )
    fixed = next(iter(SampleStream([case()], 2, 3, (1.0, 0.0, 0.0, 0.0))))
    training._batches = iter([fixed] * 12)
    training.network.train()
    losses = [training.train_step() for _ in range(12)]
    assert losses[0] is not None and losses[-1] is not None
    assert losses[-1] < 0.8 * losses[0]


def test_a_step_without_a_number_changes_nothing(
    tmp_path: Path, batch: dict[str, torch.Tensor]
) -> None:
    training = CompactTraining(replace(RECIPE, correction_share=0.0), tmp_path)
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    spoilt = {**batch, "image": batch["image"] * float("nan")}
    training._batches = iter([spoilt, batch])
    training.network.train()
    assert training.train_step() is None
    for key, value in training.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, before[key], msg=key)
    assert training.train_step() is not None


def test_a_resumed_run_has_the_same_weights_and_average(tmp_path: Path) -> None:
    training = CompactTraining(RECIPE, tmp_path)
    assert training.run([case()], 0, (1.0, 1.0, 0.0, 0.0)) is Ending.FINISHED
    again = CompactTraining(replace(RECIPE, seed=8), tmp_path)
    again.resume()
    assert (again.step, again.seconds) == (training.step, training.seconds)
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])
        assert torch.equal(training.average[name], again.average[name])


def test_a_checkpoint_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    training = CompactTraining(RECIPE, tmp_path)
    training.save()
    optimiser = training.optimiser.state_dict()
    state = {
        "network": training.trained_state(),
        "average": training.average,
        "optimiser": optimiser,
        "step": 7,
        "seconds": 12.5,
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    training.checkpoint.unlink()
    old = {**asdict(RECIPE), "n_cases": 354, "left_out": ["P005"]}
    for name in ("rounds", "previous_share", "train", "loss"):
        del old[name]
    runs.write_recipe(tmp_path, old)
    longer = {"kind": "segmenter", **asdict(replace(RECIPE, minutes=200.0))}
    runs.require_same_recipe(tmp_path, longer)
    with pytest.raises(InputError, match="E_RUN_OTHER"):
        runs.require_same_recipe(tmp_path, {**longer, "seed": 2})
    again = CompactTraining(RECIPE, tmp_path)
    again.resume()
    assert again.history.validations == []
    assert (again.step, again.seconds) == (7, 12.5)
    for name, value in training.average.items():
        assert torch.equal(value, again.average[name])


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    training = CompactTraining(RECIPE, tmp_path)
    training.checkpoint.write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        training.resume()
    save_file({"network/a": torch.zeros(1)}, training.checkpoint, {"state": "{}"})
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        training.resume()


def test_beginning_with_one_network_of_several(tmp_path: Path) -> None:
    torch.manual_seed(3)
    states = [CompactSam().state_dict() for _ in range(2)]
    save_file(join_members(states), tmp_path / "several.safetensors")
    training = CompactTraining(RECIPE, tmp_path)
    training.load_initial_weights(tmp_path / "several.safetensors")
    for name, value in states[0].items():
        torch.testing.assert_close(training.network.state_dict()[name], value)
        torch.testing.assert_close(training.average[name], value)


def test_beginning_with_one_slice_weights_and_with_none(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = CompactSam().state_dict()
    stem = "image_encoder.stem.0.weight"
    narrow = {**state, stem: state[stem][:, :1].contiguous()}
    save_file(narrow, tmp_path / "narrow.safetensors")
    training = CompactTraining(RECIPE, tmp_path)
    training.load_initial_weights(tmp_path / "narrow.safetensors")
    wide = training.network.state_dict()[stem]
    assert torch.equal(wide[:, :1], narrow[stem])
    assert not wide[:, 1:].any()
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        training.load_initial_weights(tmp_path / "other.safetensors")


def test_saved_weights_are_half_precision_of_the_running_average(tmp_path: Path) -> None:
    training = CompactTraining(RECIPE, tmp_path)
    training.average = {
        k: v + 1 if v.is_floating_point() else v for k, v in training.average.items()
    }
    training.save_best()
    assert takes_walls(load_segmenter(tmp_path / "best.safetensors", "cpu"))
    stored = load_file(tmp_path / "best.safetensors")
    for name, value in training.average.items():
        if value.is_floating_point():
            assert stored[name].dtype == torch.float16
            torch.testing.assert_close(stored[name].float(), value, atol=2e-3, rtol=1e-3)


def test_rounds_are_drawn_only_when_there_is_a_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fake(_n: Any, _b: Any, rounds: int, *_: Any) -> torch.Tensor:
        asked.append(rounds)
        return torch.zeros(())

    monkeypatch.setattr(compact, "batch_loss", fake)
    for most, expected in ((1, {0, 1}), (3, {0, 1, 2, 3})):
        asked.clear()
        training = CompactTraining(replace(RECIPE, rounds=most), tmp_path)
        training._batches = iter([{}] * 60)
        for _ in range(60):
            training.loss()
        assert set(asked) == expected
