"""A detector's run: it learns, stops on its budget, goes on, and is exported by the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from scarseg.case.case import ModelIdentity
from scarseg.cli import main
from scarseg.errors import WeightsError
from scarseg.models import load
from scarseg.models.detector import open_detector, read_weights
from scarseg.training.cases import VALIDATION, TrainingCase
from scarseg.training.detector.data import TUNING, labelled_slices
from scarseg.training.detector.evaluate import detect_all, summarise
from scarseg.training.detector.loss import MaskHead
from scarseg.training.detector.sampling import Sampler
from scarseg.training.detector.train import (
    DetectorRecipe,
    DetectorTraining,
    split_slices,
)
from scarseg.training.detector.weights import checkpoint_score, choose_weights
from scarseg.training.loop import Ending
from scarseg.training.splits import make_split
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels
from tests.fakes import FakeDetector

QUICK = DetectorRecipe(minutes=100.0, steps=1, batch=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several test processes with all threads each would wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case(name: str = "P001") -> TrainingCase:
    stack = make_phantom_stack()
    spacing = stack.pixel_spacing_mm
    return TrainingCase(name, "lge", stack.pixels, phantom_labels(), spacing, SLICE_SPACING)


def one_slice(name: str) -> TrainingCase:
    return replace(case(name), scar_read=(False, False, True, False, False))


def test_a_run_writes_weights_that_open_and_ends_with_its_budget(tmp_path: Path) -> None:
    slices = labelled_slices([case()])
    training = DetectorTraining(QUICK, tmp_path)
    assert training.run(slices, slices[:2]) is Ending.FINISHED
    assert training.step == 1
    assert training.images == 2
    opened = open_detector(tmp_path / "best.safetensors", ModelIdentity("x", "0" * 64, False))
    opened.detect(make_phantom_stack().image(0))
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert line["step"] == 1
    spent = DetectorTraining(QUICK, tmp_path)
    spent.resume()
    spent.run(slices, slices[:2])
    assert spent.step == 1, "the budget is spent already"
    assert spent.history.validations == training.history.validations


def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    batch = Sampler(labelled_slices([case()]), 2, 0).draw()
    one = DetectorTraining(QUICK, tmp_path)
    one.train_on(batch)
    one.save()
    other = DetectorTraining(replace(QUICK, seed=5), tmp_path)
    other.resume()
    assert other.progress_state() == one.progress_state()
    again = one.train_on(batch)
    assert again == pytest.approx(other.train_on(batch), rel=1e-5)
    for (key, a), b in zip(
        one.network.state_dict().items(), other.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, msg=key)


def test_a_checkpoint_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    training.save()
    with safe_open(training.checkpoint, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        state = json.loads(file.metadata()["state"])
    # Keys of versions before: the figures of validations were not kept, two keys not used.
    del state["tries"]
    state |= {"seed": 3, "best": -1.0, "history": []}
    save_file(tensors, training.checkpoint, {"state": json.dumps(state)})
    other = DetectorTraining(QUICK, tmp_path)
    other.resume()
    assert other.history.validations == []


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    save_file({"network/a": torch.zeros(1)}, training.checkpoint, {"state": "{}"})
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        training.resume()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    training.checkpoint.write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        training.resume()


def test_the_loss_falls(tmp_path: Path) -> None:
    batch = Sampler(labelled_slices([case()]), 4, 0).draw()
    training = DetectorTraining(replace(QUICK, batch=4, steps=0), tmp_path)
    losses = [training.train_on(batch) for _ in range(12)]
    assert losses[-1] is not None and losses[0] is not None
    assert losses[-1] < losses[0]


def test_a_step_without_a_number_changes_nothing(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    batch = Sampler(labelled_slices([case()]), 2, 0).draw()
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    assert training.train_on({**batch, "img": batch["img"] * float("nan")}) is None
    for key, value in training.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, before[key], msg=key)


def test_the_mask_head_makes_its_tensors_where_the_network_is() -> None:
    # On a default device that computes nothing, a tensor made without a device would go astray.
    head = MaskHead()
    head.seen = torch.zeros(2, 64, 8, 8)
    masks, known = torch.zeros(2, 3, 32, 32), torch.ones(2, 2, dtype=torch.bool)
    with torch.device("meta"):
        assert head.loss(masks, known).device.type == "cpu"


def test_training_begins_with_other_weights(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    training.save()
    other = DetectorTraining(replace(QUICK, seed=9, init="last"), tmp_path)
    other.load_initial_weights(tmp_path / "last.safetensors")
    key = "model.0.conv.weight"
    torch.testing.assert_close(
        other.network.state_dict()[key], training.network.state_dict()[key], atol=1e-3, rtol=1e-3
    )
    assert not other.is_untrained


def test_slices_that_nobody_read_or_drew_a_wall_on_teach_nothing() -> None:
    one = case()
    assert len(labelled_slices([one])) == 5
    unread = replace(one, scar_read=(True, True, False, True, True))
    assert [labelled.index for labelled in labelled_slices([unread])] == [0, 1, 3, 4]
    undrawn = replace(one, wall_known=(True, True, False, True, True))
    assert [labelled.index for labelled in labelled_slices([undrawn])] == [0, 1, 3, 4]


def test_a_split_keeps_the_tuning_list_and_holds_the_validation_list_out() -> None:
    cases = [case(name) for name in ("P001", TUNING[-1], VALIDATION[0])]
    parts = split_slices(cases, make_split(cases, 0, 0.0, TUNING))
    assert {p.patient for p in parts["training"]} == {"P001"}
    assert {p.patient for p in parts["validation"]} == {TUNING[-1]}
    assert {p.patient for p in parts["held_out"]} == {VALIDATION[0]}


def test_figures_of_nothing_are_no_warning() -> None:
    figures = summarise(detect_all(FakeDetector().detect, []), 0.1, 0.1)
    assert figures["slices"] == 0
    assert checkpoint_score(figures) == 0.0


def test_without_tuning_patients_the_last_weights_are_chosen(tmp_path: Path) -> None:
    training = DetectorTraining(QUICK, tmp_path)
    training.save()
    chosen, _ = read_weights(choose_weights(tmp_path, []))
    last, _ = read_weights(tmp_path / "last.safetensors")
    assert all(torch.equal(value, last[key]) for key, value in chosen.items())


def test_the_command_trains_chooses_and_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [one_slice(name) for name in ("P001", TUNING[0], VALIDATION[0])]
    monkeypatch.setattr("scarseg.training.commands.read_data", lambda *_: cases)
    monkeypatch.setattr("scarseg.training.detector.weights.CHOICE_SHIFTS", 1)
    out = tmp_path / "mine"
    words = ["train", "detector", str(tmp_path), "-o", str(out), "--batch", "2", "--steps", "1"]
    assert main(words) == 0
    left = capsys.readouterr().out.split()
    assert left == [str(out / f"mine.{end}") for end in ("safetensors", "json", "md", "sha256")]
    card = json.loads((out / "mine.json").read_text())
    assert card["validation"]["validation"]["slices"] == 1
    assert card["patients"] == {"training": 1, "validation": 1, "held_out": 1}
    assert card["licence"] == "CC-BY-NC-SA-4.0"
    assert json.loads((out / "split.json").read_text())["held_out"] == [VALIDATION[0]]
    detector = load(None, out / "mine.safetensors", "cpu").detector
    assert detector is not None and detector.identity.name == "mine"
    assert main([*words, "--resume"]) == 0
