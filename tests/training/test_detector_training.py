"""A training run: it learns, stops on its budget, and goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scarseg.case import ModelIdentity
from scarseg.models.detector import open_detector
from scarseg.training import detector as command
from scarseg.training.cases import VALIDATION, TrainingCase
from scarseg.training.detector import Training, main, train
from scarseg.training.detector_data import TUNING, slices_of
from scarseg.training.detector_sampling import Sampler
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several test processes with all threads each would wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cases() -> list[TrainingCase]:
    stack = make_phantom_stack()
    return [
        TrainingCase(
            "P001", "lge", stack.pixels, phantom_labels(), stack.pixel_spacing_mm, SLICE_SPACING
        )
    ]


def test_a_run_writes_weights_that_open(tmp_path: Path) -> None:
    slices = slices_of(cases())
    training = train(slices, slices[:2], tmp_path, 1e-3, batch=2, epoch_steps=1)
    assert training.state.steps == 1
    opened = open_detector(tmp_path / "best.safetensors", ModelIdentity("x", "0" * 64, False))
    opened.detect(make_phantom_stack().image(0))
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert line["minutes_left"] == 0 and line["images"] == 2
    spent = train(slices, slices[:2], tmp_path, 1e-3, batch=2, epoch_steps=1)
    assert spent.state.steps == 1  # resumed: the budget is spent already


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    batch = Sampler(slices_of(cases()), 2, 0).draw()
    one = Training(tmp_path, 1e9, 0)
    one.step(batch)
    one.save()
    other = Training(tmp_path, 1e9, 5)
    other.resume()
    assert other.state == one.state
    assert one.step(batch) == pytest.approx(other.step(batch), rel=1e-5)
    for (key, a), b in zip(
        one.network.state_dict().items(), other.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=key)


def test_the_loss_falls(tmp_path: Path) -> None:
    batch = Sampler(slices_of(cases()), 4, 0).draw()
    training = Training(tmp_path, 1e9, 0)
    losses = [training.step(batch) for _ in range(12)]
    assert losses[-1] < losses[0]


def test_the_command_trains_chooses_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = cases()
    three = [replace(case, name=name) for name in ("P001", TUNING[0], VALIDATION[0])]
    monkeypatch.setattr(command, "read_cases", lambda _folder: three)
    data = [str(tmp_path), "--out", str(tmp_path / "out"), "--batch", "2", "--epoch-steps", "1"]
    assert main([*data, "--time-budget", "1e-4"]) == 0
    out = tmp_path / "out"
    summary = json.loads((out / "evaluation.json").read_text())["summary"]
    assert summary["tuning"]["slices"] == summary["validation"]["slices"] == 5
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["patients"] == {"lge": 1}
    assert recipe["validated_on"] == [VALIDATION[0]]
    assert main([*data, "--evaluate", str(out / "detector.safetensors")]) == 0
    assert json.loads((out / "evaluation.json").read_text())["summary"] == summary
