"""``scarseg train segmenter``: what a user types, sees and is left with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from scarseg.cli import main
from scarseg.models import load
from scarseg.models.weights import resolve_weights
from scarseg.training.cases import INNER, VALIDATION, TrainingCase
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels

DAMP = ["--steps", "2", "--batch", "2", "--threads", "1", "--workers", "0"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case(name: str) -> TrainingCase:
    stack = make_phantom_stack()
    spacing = stack.pixel_spacing_mm
    whole = TrainingCase(name, "lge", stack.pixels, phantom_labels(), spacing, SLICE_SPACING)
    return replace(whole, scar_read=(False, True, True, False, False))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that reads as three patients, one of each part of the split."""
    cases = [case(name) for name in ("P001", INNER[0], VALIDATION[0])]
    monkeypatch.setattr("scarseg.training.commands.read_data", lambda *_: cases)
    return tmp_path / "data"


def train(data: Path, out: Path, *more: str) -> int:
    return main(["train", "segmenter", str(data), "-o", str(out), *DAMP, *more])


def test_the_command_leaves_weights_that_are_at_once_of_use(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert train(data, out, "--seed", "4") == 0
    said = capsys.readouterr()
    weights = out / "site.safetensors"
    ends = ("safetensors", "json", "md", "sha256")
    assert said.out.split() == [str(out / f"site.{end}") for end in ends]
    assert "learning from 2 slices of 1 patient (lge)" in said.err
    assert "1 patient chooses the checkpoint (2 slices); 1 kept apart" in said.err
    assert "validation at step 2: score" in said.err
    digest = sha256(weights.read_bytes()).hexdigest()
    assert (out / "site.sha256").read_text() == f"{digest}  site.safetensors\n"
    card = json.loads((out / "site.json").read_text())
    assert card["sha256"] == digest
    assert card["licence"] == "CC-BY-NC-SA-4.0"
    assert card["sources"] == ["EMIDEC"]
    assert card["patients"] == {"training": 1, "validation": 1, "held_out": 1}
    assert card["recipe"]["seed"] == 4
    assert card["command"].startswith("scarseg train segmenter data -o site --steps 2")
    assert "box_dice" in card["validation"]
    assert card["run"]["exported_step"] == 2
    assert "P001" not in (out / "site.json").read_text(), "no patient is named in a card"
    page = (out / "site.md").read_text()
    assert "CC BY-NC-SA 4.0" in page
    assert digest in page
    segmenter = load(weights, "none", "cpu").segmenter
    assert segmenter.identity.sha256 == digest


def test_another_run_is_never_overwritten(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert train(data, out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert train(data, out) == 1
    assert "E_EXISTS" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert train(data, out, "--resume", "--rate", "0.5") == 1
    said = capsys.readouterr().err
    assert "E_RUN_OTHER" in said
    assert "encoder_rate was 0.002, is now 0.001" in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_run_goes_on_longer(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert train(data, out) == 0
    assert train(data, out, "--resume", "--steps", "3") == 0
    assert "going on at step 2" in capsys.readouterr().err
    assert json.loads((out / "site.json").read_text())["run"]["steps"] == 3


def test_names_of_shipped_weights_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = resolve_weights(None, "segmenter")
    before = shipped.path.read_bytes()
    for out in (tmp_path / shipped.identity.name, shipped.path.parent):
        assert train(data, out) == 1
        assert "E_OUTPUT_NAME" in capsys.readouterr().err
    assert shipped.path.read_bytes() == before


def test_fine_tuned_weights_begin_as_the_default_and_keep_its_terms(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = [case(f"case-{k}") for k in range(4)]
    monkeypatch.setattr("scarseg.training.commands.read_data", lambda *_: ours)
    out = tmp_path / "tuned"
    assert train(data, out, "--init", "default", "--rate", "0.01", "--steps", "1") == 0
    assert "(what it began with)" in capsys.readouterr().err
    card = json.loads((out / "tuned.json").read_text())
    assert card["sources"] == []
    assert card["licence"] == "CC-BY-NC-SA-4.0", "terms travel with the weights"
    assert card["began_with"].startswith("scarseg-")
    alone = tmp_path / "alone"
    assert train(data, alone, "--validation", "0") == 0
    card = json.loads((alone / "alone.json").read_text())
    assert card["licence"] == "yours"
    assert card["validation"] == {}


def test_patients_kept_for_reports_never_choose_a_checkpoint(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = {"version": 1, "training": ["P001"], "validation": [VALIDATION[0]], "held_out": []}
    file = tmp_path / "split.json"
    file.write_text(json.dumps(split))
    assert train(data, tmp_path / "site", "--split", str(file)) == 1
    assert VALIDATION[0] in capsys.readouterr().err


def test_a_split_file_is_made_kept_and_used_again(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    assert train(data, tmp_path / "one", "--split", str(file)) == 0
    made = file.read_bytes()
    assert json.loads(made)["validation"] == [INNER[0]]
    assert (tmp_path / "one" / "split.json").read_bytes() == made
    assert train(data, tmp_path / "two", "--split", str(file), "--steps", "1") == 0
    assert file.read_bytes() == made


@pytest.mark.parametrize(
    "words",
    [
        ["--time-budget", "0"],
        ["--loss-batch-dice", "nan"],
        ["--shares", "1", "2", "0", "0"],
        ["--steps", "-1"],
    ],
)
def test_options_that_make_no_sense(
    data: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(data, tmp_path / "site", *words)
    assert "E_USAGE" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_nothing_to_learn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "segmenter", "-o", str(tmp_path / "none")]) == 1
    assert "E_INPUT_EMPTY" in capsys.readouterr().err
