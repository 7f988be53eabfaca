"""Fine-tuning a SAM checkpoint, with a small ViT for speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.cli import main
from scarseg.models import load, sam_vit
from scarseg.models.scar_in_wall import ScarInWall
from scarseg.training.cases import TrainingCase
from scarseg.training.segmenter.vit import draw_prompts, to_logit_grid, to_network_input
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels
from tests.models.test_vit import small_sam


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    monkeypatch.setitem(sam_vit.sam_model_registry, "vit_b", small_sam)
    path = tmp_path / "sam_vit_b.pth"
    torch.save(small_sam().state_dict(), path)
    return path


def case(name: str) -> TrainingCase:
    stack = make_phantom_stack()
    spacing = stack.pixel_spacing_mm
    whole = TrainingCase(name, "lge", stack.pixels, phantom_labels(), spacing, SLICE_SPACING)
    return replace(whole, scar_read=(False, True, True, False, False))


@pytest.mark.parametrize("part", ["decoder", "all"])
def test_a_checkpoint_learns_and_opens_again(
    part: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [case(f"case-{k}") for k in range(4)]
    monkeypatch.setattr("scarseg.training.commands.read_data", lambda *_: cases)
    out = tmp_path / "tuned"
    words = ["train", "segmenter", str(tmp_path), "-o", str(out), "--init", str(checkpoint)]
    words += ["--train", part, "--steps", "2", "--batch", "2", "--threads", "1"]
    assert main(words) == 0
    before = torch.load(checkpoint, weights_only=True)
    after = torch.load(out / "tuned.pth", weights_only=True)
    moved = {k.split(".")[0] for k in after if not torch.equal(before[k], after[k])}
    assert "mask_decoder" in moved
    assert ("image_encoder" in moved) is (part == "all")
    segmenter = load(out / "tuned.pth", "none", "cpu").segmenter
    assert isinstance(segmenter, ScarInWall)
    image = make_phantom_stack().image(2)
    answer = segmenter.predict(segmenter.embed(image, None), SlicePrompts((Box(30, 5, 50, 20),)))
    assert np.isfinite(answer.scar).all()
    card = json.loads((out / "tuned.json").read_text())
    assert card["file"] == "tuned.pth"
    assert card["recipe"]["train"] == part
    assert card["licence"] == "the terms of sam_vit_b.pth"
    assert main([*words, "--resume", "--steps", "3"]) == 0
    assert json.loads((out / "tuned.json").read_text())["run"]["steps"] == 3


def test_images_enter_training_as_they_do_in_use(checkpoint: Path) -> None:
    pixels = np.random.default_rng(0).normal(50, 20, (60, 90)).astype(np.float32)
    joined = load(checkpoint, "none", "cpu").segmenter
    assert isinstance(joined, ScarInWall)
    segmenter = joined.scar
    features = segmenter.embed(SliceImage(pixels, (1.5, 1.1)), None).features
    shown, inside, scale = to_network_input(pixels, (1.5, 1.1), 128)
    assert inside == features.input_size
    assert scale == pytest.approx(features.scale)
    with torch.inference_mode():
        own = segmenter.sam.image_encoder(segmenter.sam.preprocess(shown))
    torch.testing.assert_close(own, features.embedding)


def test_targets_keep_their_share_of_the_picture() -> None:
    mask = np.zeros((60, 90), dtype=bool)
    mask[10:40, 20:50] = True
    target = to_logit_grid(mask, (85, 128), 128, 32)
    # 30 of 60 rows and 30 of 90 columns, of a picture of 85 / 4 by 128 / 4 pixels
    assert target.sum().item() == pytest.approx(85 / 4 * 30 / 60 * 32 * 30 / 90, rel=0.15)


def test_prompts_ask_for_what_they_show() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        drawn = draw_prompts(phantom_labels()[2], rng)
        assert drawn.target.any()
        assert drawn.box is not None or drawn.points
    for _ in range(10):
        drawn = draw_prompts(np.zeros((40, 40), dtype=np.uint8), rng)
        assert not drawn.target.any()
        assert drawn.box is not None or all(label == 0 for *_, label in drawn.points)
