"""SAM checkpoints of a user behind the same door, with a small ViT for speed."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import WeightsError
from scarseg.models import sam_vit
from scarseg.models.sam_vit import VitSegmenter
from scarseg.models.segmenter import load_segmenter
from scarseg.models.weights import ResolvedWeights


def small_sam() -> Sam:
    """SAM's own parts at 128 pixels, one block, ViT-B's width so that it is recognised."""
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=128,
            depth=1,
            embed_dim=768,
            num_heads=2,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            out_chans=64,
        ),
        prompt_encoder=PromptEncoder(64, (8, 8), (128, 128), 16),
        mask_decoder=MaskDecoder(
            transformer_dim=64,
            transformer=TwoWayTransformer(depth=1, embedding_dim=64, mlp_dim=64, num_heads=2),
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    monkeypatch.setitem(sam_vit.sam_model_registry, "vit_b", small_sam)
    path = tmp_path / "sam_vit_b.pth"
    torch.save(small_sam().state_dict(), path)
    return path


def vit_of(checkpoint: Path) -> VitSegmenter:
    identity = ModelIdentity(checkpoint.stem, "5" * 64)
    return sam_vit.load_vit(ResolvedWeights(checkpoint, identity, {}), "cpu")


def test_a_checkpoint_segments_scar_and_nothing_else(checkpoint: Path) -> None:
    segmenter = vit_of(checkpoint)
    rng = np.random.default_rng(0)
    image = SliceImage(rng.normal(0, 1, (60, 90)).astype(np.float32), (1.5, 1.1))
    embedding = segmenter.embed(image, None)
    box = Box(20, 10, 50, 40)
    boxed = segmenter.predict(embedding, SlicePrompts((box,)))
    assert boxed.scar.shape == (60, 90)
    assert boxed.wall is None
    assert boxed.blood_pool is None
    two = segmenter.predict(embedding, SlicePrompts((box, Box(60, 20, 80, 50))))
    assert (two.scar >= boxed.scar - 1e-4).all(), "a second territory only adds"
    clicked = segmenter.predict(embedding, SlicePrompts((), (Point(30, 30),)))
    assert not np.allclose(clicked.scar, boxed.scar)
    assert not (segmenter.predict(embedding, SlicePrompts()).scar > 0).any()
    assert not segmenter.identity.verified


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps({"a": print}, protocol=2))
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        load_segmenter(path, "cpu")
    torch.save({"other": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        load_segmenter(path, "cpu")


@pytest.mark.parametrize("wrapper", ["", "model", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_tensors_of_a_training_checkpoint_are_found(wrapper: str, prefix: str) -> None:
    tensors = {"image_encoder.a": torch.zeros(1), "mask_decoder.b": torch.ones(2)}
    state: dict[str, object] = {prefix + name: value for name, value in tensors.items()}
    if wrapper:
        state = {wrapper: state, "optimizer": {"lr": 1.0}, "epoch": 3}
    assert sam_vit._sam_tensors(state) == tensors


def test_a_checkpoint_of_something_else_is_told_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"model": {"backbone.conv1": torch.zeros(1)}}, path)
    weights = ResolvedWeights(path, ModelIdentity("other", "0" * 64), {})
    with pytest.raises(WeightsError, match=r"E_WEIGHTS_UNKNOWN.*backbone\.conv1.*mask_decoder\."):
        sam_vit.load_vit(weights, "cpu")
